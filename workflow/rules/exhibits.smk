# needs:  the files that the exhibit's module names
# makes:  one table or figure: text (JSON), numbers (CSV), the same for LaTeX, picture (PNG)
# config: none
rule exhibits:
    input:
        lambda wildcards: list(EXPERIMENT.needs(wildcards.exhibit).values()),
    output:
        text=f"{R}/exhibits/{{exhibit}}/exhibit.json",
        numbers=f"{R}/exhibits/{{exhibit}}/{{exhibit}}.csv",
        latex=f"{R}/exhibits/{{exhibit}}/{{exhibit}}.tex",
        picture=report(
            f"{R}/exhibits/{{exhibit}}/{{exhibit}}.png",
            caption="../report/exhibit.rst",
            category="Tables and figures",
            labels={"exhibit": "{exhibit}"},
        ),
    log:
        f"{R}/logs/exhibits/{{exhibit}}.log",
    benchmark:
        f"{R}/benchmarks/exhibits/{{exhibit}}.tsv"
    conda:
        "../envs/zfrepro.yaml"
    params:
        spec=spec("exhibits", "exhibit"),
        code=code("stages.exhibits", "exhibits.{exhibit}"),
        out=subpath(output.text, parent=True),
    shell:
        "python -m zfrepro exhibits --spec {params.spec:q} --out {params.out:q} > {log:q} 2>&1"
