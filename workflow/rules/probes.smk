# needs:  features and folds of a prepared target set
# makes:  the accuracy of linear classifiers on these features, fold by fold (Tables 4 to 7, Fig 9)
# config: probes
rule probes:
    input:
        unpack(inputs("probes")),
    output:
        **outputs("probes"),
    log:
        f"{R}/logs/probes/{{set}}-{{features}}.log",
    benchmark:
        f"{R}/benchmarks/probes/{{set}}-{{features}}.tsv"
    priority: 24
    conda:
        "../envs/zfrepro.yaml"
    threads: threads_of_probes
    resources:
        gpu=gpus("probes"),
    params:
        spec=spec("probes"),
        code=code("probes"),
    shell:
        "python -m zfrepro probes --spec {params.spec:q} --features {input.features:q} --folds {input.folds:q}"
        " --images {input.images:q} --out {output:q} --threads {threads} > {log:q} 2>&1"
