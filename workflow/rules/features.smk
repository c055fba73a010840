# needs:  a prepared target set; the network whose layers are used, unless the features are hand-crafted
# makes:  the features of all its images; later rules depend on features.json, the layers' files are in the same folder
# config: features
rule features:
    input:
        unpack(inputs("features")),
    output:
        **outputs("features"),
    log:
        f"{R}/logs/features/{{set}}-{{features}}.log",
    benchmark:
        f"{R}/benchmarks/features/{{set}}-{{features}}.tsv"
    conda:
        "../envs/zfrepro.yaml"
    threads: threads("features")
    resources:
        gpu=gpus("features"),
    params:
        spec=spec("features"),
        code=code("features"),
        weights=lambda wildcards, input: ["--weights", input.weights] if input.get("weights") else [],
        out=subpath(output.summary, parent=True),
    shell:
        "python -m zfrepro features --spec {params.spec:q} --images {input.images:q} {params.weights:q}"
        " --out {params.out:q} --threads {threads} > {log:q} 2>&1"
