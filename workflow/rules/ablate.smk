# needs:  the prepared source set
# makes:  the variants of Table 3: weights, snapshots, history, description of the network; one that diverges is recorded as such
# config: train.recipe, ablate.runs.<run>
rule ablate:
    input:
        images=f"{R}/prepare/source/manifest.json",
    output:
        weights=f"{R}/ablate/{{run}}/model.safetensors",
        sha256=f"{R}/ablate/{{run}}/model.safetensors.sha256",
        snapshots=f"{R}/ablate/{{run}}/snapshots.safetensors",
        snapshots_sha256=f"{R}/ablate/{{run}}/snapshots.safetensors.sha256",
        history=f"{R}/ablate/{{run}}/history.csv",
        network=f"{R}/ablate/{{run}}/network.json",
    log:
        f"{R}/logs/ablate/{{run}}.log",
    benchmark:
        f"{R}/benchmarks/ablate/{{run}}.tsv"
    conda:
        "../envs/zfrepro.yaml"
    threads: 1
    resources:
        gpu=1,
    params:
        spec=spec("ablate", "run"),
        code=code("stages.train"),
        out=subpath(output.weights, parent=True),
    shell:
        "python -m zfrepro train --spec {params.spec:q} --images {input.images:q} --out {params.out:q}"
        " --name {wildcards.run:q} --threads {threads} --on-divergence record > {log:q} 2>&1"
