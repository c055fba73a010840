# needs:  a trained network with its snapshots, the prepared source set
# makes:  the highest activations of selected maps during training, projected to pixels (Fig 4)
# config: evolution
rule evolution:
    input:
        unpack(inputs("evolution")),
    output:
        **outputs("evolution"),
    log:
        f"{R}/logs/evolution/{{run}}.log",
    benchmark:
        f"{R}/benchmarks/evolution/{{run}}.tsv"
    conda:
        "../envs/zfrepro.yaml"
    threads: threads("evolution")
    resources:
        gpu=gpus("evolution"),
    params:
        spec=spec("evolution"),
        code=code("evolution"),
        out=subpath(output.summary, parent=True),
    shell:
        "python -m zfrepro evolution --spec {params.spec:q} --weights {input.weights:q}"
        " --snapshots {input.snapshots:q} --network {input.network:q} --images {input.images:q}"
        " --out {params.out:q} --threads {threads} > {log:q} 2>&1"
