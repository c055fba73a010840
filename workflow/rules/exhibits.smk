# needs:  the files that the exhibit's module names
# makes:  one table or figure: text (JSON), numbers (CSV), the same for LaTeX, picture (PNG)
# config: none
rule exhibits:
    input:
        input_list("exhibits"),
    output:
        text=outputs("exhibits")["text"],
        numbers=outputs("exhibits")["numbers"],
        latex=outputs("exhibits")["latex"],
        picture=report(
            outputs("exhibits")["picture"],
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
        spec=spec("exhibits"),
        code=code("exhibits"),
        out=subpath(output.text, parent=True),
    shell:
        "python -m zfrepro exhibits --spec {params.spec:q} --out {params.out:q} > {log:q} 2>&1"
