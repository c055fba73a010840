# needs:  folds of a prepared target set, the settings of a trained network
# makes:  accuracies of the same network trained from scratch on the target (Tables 4 and 5)
# config: scratch
rule scratch:
    input:
        unpack(inputs("scratch")),
    output:
        **outputs("scratch"),
    log:
        f"{R}/logs/scratch/{{set}}.log",
    benchmark:
        f"{R}/benchmarks/scratch/{{set}}.tsv"
    priority: 26  # the longest of the jobs that follow a training
    conda:
        "../envs/zfrepro.yaml"
    threads: threads("scratch")
    resources:
        gpu=gpus("scratch"),
    params:
        spec=spec("scratch"),
        code=code("scratch"),
    shell:
        "python -m zfrepro scratch --spec {params.spec:q} --network {input.network:q} --folds {input.folds:q}"
        " --images {input.images:q} --out {output:q} --threads {threads} > {log:q} 2>&1"
