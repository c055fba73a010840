# needs:  a prepared target set, the prepared source set
# makes:  its folds, without the images that are also in the source's training set
# config: folds.<set>
rule folds:
    input:
        unpack(inputs("folds")),
    output:
        **outputs("folds"),
    log:
        f"{R}/logs/folds/{{set}}.log",
    benchmark:
        f"{R}/benchmarks/folds/{{set}}.tsv"
    priority: 28
    conda:
        "../envs/zfrepro.yaml"
    threads: threads("folds")
    resources:
        gpu=gpus("folds"),
    params:
        spec=spec("folds"),
        code=code("folds"),
        out=subpath(output.summary, parent=True),
    shell:
        "python -m zfrepro folds --spec {params.spec:q} --images {input.images:q} --source {input.source:q}"
        " --out {params.out:q} --threads {threads} > {log:q} 2>&1"
