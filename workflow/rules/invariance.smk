# needs:  a trained network, the prepared source set
# makes:  how much features change when images are shifted, scaled and rotated (Fig 5)
# config: invariance
rule invariance:
    input:
        unpack(inputs("invariance")),
    output:
        **outputs("invariance"),
    log:
        f"{R}/logs/invariance/{{run}}.log",
    benchmark:
        f"{R}/benchmarks/invariance/{{run}}.tsv"
    conda:
        "../envs/zfrepro.yaml"
    threads: threads("invariance")
    resources:
        gpu=gpus("invariance"),
    params:
        spec=spec("invariance"),
        code=code("invariance"),
        out=subpath(output.summary, parent=True),
    shell:
        "python -m zfrepro invariance --spec {params.spec:q} --weights {input.weights:q} --images {input.images:q}"
        " --out {params.out:q} --threads {threads} > {log:q} 2>&1"
