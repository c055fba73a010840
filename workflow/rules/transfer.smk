# needs:  the trained network to transfer, a prepared target set
# makes:  accuracies on the target set, by training pictures a class and fold (Table 4)
# config: transfer
rule transfer:
    input:
        weights=lambda wildcards: trained(EXPERIMENT.transfer.run, "model.safetensors"),
        network=lambda wildcards: trained(EXPERIMENT.transfer.run, "network.json"),
        images=f"{R}/prepare/{{set}}/manifest.json",
    output:
        f"{R}/transfer/{{set}}/{{method}}.json",
    log:
        f"{R}/logs/transfer/{{set}}-{{method}}.log",
    benchmark:
        f"{R}/benchmarks/transfer/{{set}}-{{method}}.tsv"
    priority: 25  # the longest of them ends the run
    conda:
        "../envs/zfrepro.yaml"
    threads: 1
    resources:
        gpu=1,
    params:
        spec=spec("transfer", "method"),
        code=code("stages.transfer"),
    shell:
        "python -m zfrepro transfer --spec {params.spec:q} --weights {input.weights:q} --network {input.network:q}"
        " --images {input.images:q} --out {output:q} --threads {threads} > {log:q} 2>&1"
