# needs:  the prepared source set
# makes:  the networks of train.runs: weights, snapshots, history, description of the network
# config: train.recipe, train.runs.<run>
rule train:
    input:
        unpack(inputs("train")),
    output:
        **outputs("train"),
    log:
        f"{R}/logs/train/{{run}}.log",
    benchmark:
        f"{R}/benchmarks/train/{{run}}.tsv"
    priority: longest_first
    conda:
        "../envs/zfrepro.yaml"
    threads: threads("train")
    resources:
        gpu=gpus("train"),
    params:
        spec=spec("train"),
        code=code("train"),
        on_divergence="fail",
        out=subpath(output.weights, parent=True),
    shell:
        "python -m zfrepro train --spec {params.spec:q} --images {input.images:q} --out {params.out:q}"
        " --name {wildcards.run:q} --threads {threads} --on-divergence {params.on_divergence:q} > {log:q} 2>&1"
