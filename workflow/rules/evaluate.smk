# needs:  a trained network, the prepared source set
# makes:  its errors and its class probabilities of every validation image
# config: evaluate
rule evaluate:
    input:
        unpack(inputs("evaluate")),
    output:
        **outputs("evaluate"),
    log:
        f"{R}/logs/evaluate/{{run}}.log",
    benchmark:
        f"{R}/benchmarks/evaluate/{{run}}.tsv"
    conda:
        "../envs/zfrepro.yaml"
    threads: threads("evaluate")
    resources:
        gpu=gpus("evaluate"),
    params:
        spec=spec("evaluate"),
        code=code("evaluate"),
        out=subpath(output.errors, parent=True),
    shell:
        "python -m zfrepro evaluate --spec {params.spec:q} --weights {input.weights:q} --network {input.network:q}"
        " --images {input.images:q} --out {params.out:q} --threads {threads} > {log:q} 2>&1"
