# needs:  a trained network, the prepared source set
# makes:  the highest activations of selected maps, projected to pixels (Fig 2)
# config: deconvnet
rule deconvnet:
    input:
        unpack(inputs("deconvnet")),
    output:
        **outputs("deconvnet"),
    log:
        f"{R}/logs/deconvnet/{{run}}.log",
    benchmark:
        f"{R}/benchmarks/deconvnet/{{run}}.tsv"
    conda:
        "../envs/zfrepro.yaml"
    threads: threads("deconvnet")
    resources:
        gpu=gpus("deconvnet"),
    params:
        spec=spec("deconvnet"),
        code=code("deconvnet"),
        out=subpath(output.summary, parent=True),
    shell:
        "python -m zfrepro deconvnet --spec {params.spec:q} --weights {input.weights:q} --images {input.images:q}"
        " --out {params.out:q} --threads {threads} > {log:q} 2>&1"
