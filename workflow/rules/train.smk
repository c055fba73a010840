# needs:  the prepared source set
# makes:  the networks of train.runs: weights, snapshots, history, description of the network
# config: train.recipe, train.runs.<run>
rule train:
    input:
        images=f"{R}/prepare/source/manifest.json",
    output:
        weights=f"{R}/train/{{run}}/model.safetensors",
        sha256=f"{R}/train/{{run}}/model.safetensors.sha256",
        snapshots=f"{R}/train/{{run}}/snapshots.safetensors",
        snapshots_sha256=f"{R}/train/{{run}}/snapshots.safetensors.sha256",
        history=f"{R}/train/{{run}}/history.csv",
        network=f"{R}/train/{{run}}/network.json",
    log:
        f"{R}/logs/train/{{run}}.log",
    benchmark:
        f"{R}/benchmarks/train/{{run}}.tsv"
    priority: 20  # many jobs wait for these networks
    conda:
        "../envs/zfrepro.yaml"
    threads: 1
    resources:
        gpu=1,
    params:
        spec=spec("train", "run"),
        code=code("stages.train"),
        out=subpath(output.weights, parent=True),
    shell:
        "python -m zfrepro train --spec {params.spec:q} --images {input.images:q} --out {params.out:q}"
        " --name {wildcards.run:q} --threads {threads} > {log:q} 2>&1"
