# needs:  the data set's folder (config: prepare.<set>.options.root), or nothing for `scenes`
# makes:  one prepared set: images, labels, boxes, mean image; later rules depend on the manifest
# config: prepare.<set>
rule prepare:
    input:
        data=lambda wildcards: str(DATA_NOTES[wildcards.set]) if wildcards.set in DATA_NOTES else [],
    output:
        **outputs("prepare"),
    log:
        f"{R}/logs/prepare/{{set}}.log",
    benchmark:
        f"{R}/benchmarks/prepare/{{set}}.tsv"
    priority: 10000  # it takes all cores; Snakemake weighs it against the sum of the jobs that could run instead
    conda:
        "../envs/zfrepro.yaml"
    threads: 64
    params:
        spec=spec("prepare"),
        code=code("prepare"),
        out=subpath(output.manifest, parent=True),
    shell:
        "python -m zfrepro prepare --spec {params.spec:q} --out {params.out:q} --workers {threads} > {log:q} 2>&1"
