# needs:  a trained network, the prepared source set
# makes:  maps of the network's prediction by the position of a grey square (Fig 7), scored against object boxes
# config: occlusion
rule occlusion:
    input:
        unpack(inputs("occlusion")),
    output:
        **outputs("occlusion"),
    log:
        f"{R}/logs/occlusion/{{run}}.log",
    benchmark:
        f"{R}/benchmarks/occlusion/{{run}}.tsv"
    conda:
        "../envs/zfrepro.yaml"
    threads: threads("occlusion")
    resources:
        gpu=gpus("occlusion"),
    params:
        spec=spec("occlusion"),
        code=code("occlusion"),
        out=subpath(output.summary, parent=True),
    shell:
        "python -m zfrepro occlusion --spec {params.spec:q} --weights {input.weights:q} --images {input.images:q}"
        " --out {params.out:q} --threads {threads} > {log:q} 2>&1"
