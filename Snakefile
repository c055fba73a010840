# Zeiler & Fergus (2013), reproduced. `zfrepro run` uses this file; plain `snakemake` works too:
#   snakemake --workflow-profile workflow/profiles/default [--configfile workflow/experiments/NAME.yaml]
from snakemake.utils import min_version

min_version("9.20")


report: "workflow/report/workflow.rst"


if not config:  # --configfile replaces the default experiment; Snakemake would otherwise merge the two

    configfile: "config.yaml"


include: "workflow/common.smk"
include: "workflow/rules/prepare.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/ablate.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/deconvnet.smk"
include: "workflow/rules/evolution.smk"
include: "workflow/rules/occlusion.smk"
include: "workflow/rules/invariance.smk"
include: "workflow/rules/correspondence.smk"
include: "workflow/rules/folds.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/probes.smk"
include: "workflow/rules/scratch.smk"
include: "workflow/rules/exhibits.smk"
include: "workflow/rules/report.smk"


localrules:  # on a cluster they run where Snakemake does: some seconds each
    all,
    exhibits,
    report,


rule all:
    default_target: True
    input:
        rules.report.output,
