# needs:  the prepared source set
# makes:  the variants of Table 3: weights, snapshots, history, description of the network; one that diverges is recorded as such
# config: train.recipe, ablate.runs.<run>
use rule train as ablate with:
    output:
        **outputs("ablate"),
    log:
        f"{R}/logs/ablate/{{run}}.log",
    benchmark:
        f"{R}/benchmarks/ablate/{{run}}.tsv"
    params:
        spec=spec("ablate"),
        code=code("ablate"),
        on_divergence="record",
        out=subpath(output.weights, parent=True),
