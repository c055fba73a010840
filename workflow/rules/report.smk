# needs:  every exhibit, and network.json of the networks they depend on
# makes:  the report: an HTML page, a PDF, tables as CSV and LaTeX, figures as PNG, PDF and JPEG, provenance, and a summary for the site
# config: title, report; the provenance lists the whole experiment
rule report:
    input:
        input_list("report"),
    output:
        page=report(
            outputs("report")["page"],
            caption="../report/report.rst",
            category="Report",
        ),
        pdf=report(
            outputs("report")["pdf"],
            caption="../report/report.rst",
            category="Report",
        ),
        provenance=outputs("report")["provenance"],
        summary=outputs("report")["summary"],
        tables=expand(
            f"{R}/report/tables/{{exhibit}}.{{kind}}", exhibit=EXPERIMENT.report.exhibits, kind=["csv", "tex"]
        ),
        figures=expand(f"{R}/report/figures/{{exhibit}}.png", exhibit=EXPERIMENT.report.exhibits),
    log:
        f"{R}/logs/report.log",
    benchmark:
        f"{R}/benchmarks/report.tsv"
    conda:
        "../envs/zfrepro.yaml"
    params:
        spec=spec("report"),
        code=code("report"),
        results=subpath(output.page, ancestor=2),
        out=subpath(output.page, parent=True),
    shell:
        "python -m zfrepro report --spec {params.spec:q} --results {params.results:q} --out {params.out:q} > {log:q} 2>&1"
