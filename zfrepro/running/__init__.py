"""Start, follow and stop a run of Snakemake, and the command line of a stage."""
