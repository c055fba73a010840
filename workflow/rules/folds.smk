# needs:  a prepared target set, the prepared source set
# makes:  its folds, without the images that are also in the source's training set
# config: folds.<set>
rule folds:
    input:
        images=f"{R}/prepare/{{set}}/manifest.json",
        source=f"{R}/prepare/source/manifest.json",
    output:
        arrays=f"{R}/folds/{{set}}/folds.npz",
        pairs=f"{R}/folds/{{set}}/overlap.npz",
        summary=f"{R}/folds/{{set}}/folds.json",
    log:
        f"{R}/logs/folds/{{set}}.log",
    benchmark:
        f"{R}/benchmarks/folds/{{set}}.tsv"
    priority: 28
    conda:
        "../envs/zfrepro.yaml"
    threads: 1
    resources:
        gpu=1,
    params:
        spec=spec("folds", "set"),
        code=code("stages.folds"),
        out=subpath(output.summary, parent=True),
    shell:
        "python -m zfrepro folds --spec {params.spec:q} --images {input.images:q} --source {input.source:q}"
        " --out {params.out:q} --threads {threads} > {log:q} 2>&1"
