"""Start, follow and stop a run of Snakemake; the command line of a stage."""
