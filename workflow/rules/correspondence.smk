# needs:  a trained network; the prepared source set, or photographs with a CSV of their parts if the config names one
# makes:  how a network's features change when the same part is covered in several images (Table 1, Fig 8)
# config: correspondence
rule correspondence:
    input:
        unpack(inputs("correspondence")),
        annotations=[str(path) for path in EXPERIMENT.annotation_files()],
    output:
        **outputs("correspondence"),
    log:
        f"{R}/logs/correspondence/{{run}}.log",
    benchmark:
        f"{R}/benchmarks/correspondence/{{run}}.tsv"
    conda:
        "../envs/zfrepro.yaml"
    threads: threads("correspondence")
    resources:
        gpu=gpus("correspondence"),
    params:
        spec=spec("correspondence"),
        code=code("correspondence"),
        out=subpath(output.summary, parent=True),
    shell:
        "python -m zfrepro correspondence --spec {params.spec:q} --weights {input.weights:q} --images {input.images:q}"
        " --out {params.out:q} --threads {threads} > {log:q} 2>&1"
