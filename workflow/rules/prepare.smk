# needs:  the data set's folder (config: prepare.<set>.options.root), or nothing for `scenes`
# makes:  one prepared set: pictures, labels, boxes, mean image; the manifest is what later rules depend on
# config: prepare.<set>
rule prepare:
    output:
        manifest=f"{R}/prepare/{{set}}/manifest.json",
        images=f"{R}/prepare/{{set}}/images.npy",
        index=f"{R}/prepare/{{set}}/index.npz",
        mean=f"{R}/prepare/{{set}}/mean.npy",
        parts=f"{R}/prepare/{{set}}/parts.csv",
    log:
        f"{R}/logs/prepare/{{set}}.log",
    benchmark:
        f"{R}/benchmarks/prepare/{{set}}.tsv"
    priority: 10000  # it takes all cores, and Snakemake adds up the priorities of the jobs that fit in its place
    conda:
        "../envs/zfrepro.yaml"
    threads: 64
    params:
        spec=spec("prepare", "set"),
        code=code("stages.prepare", "datasets.{dataset}"),
        out=subpath(output.manifest, parent=True),
    shell:
        "python -m zfrepro prepare --spec {params.spec:q} --out {params.out:q} --workers {threads} > {log:q} 2>&1"
