"""Start, follow and stop a run of Snakemake; the command line of a stage."""

TAKEN = "taken from the result store"  # in the last line of the log of a job that computed nothing
