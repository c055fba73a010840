# The only Python of the workflow: the checked experiment, each job's settings, the digest of each stage's code.
from zfrepro.experiment import loading
from zfrepro.running import manager
from zfrepro.storage import code_digest
from zfrepro.errors import UserError

try:
    EXPERIMENT = loading.parse(config, "the experiment file")
except UserError as error:
    raise WorkflowError(str(error)) from None

R = str(EXPERIMENT.results())

manager.adopt_job_environment()


wildcard_constraints:
    set="|".join(EXPERIMENT.prepare),
    run="|".join(EXPERIMENT.runs()),
    exhibit="|".join(EXPERIMENT.report.exhibits),
    features="|".join(EXPERIMENT.features.names) or "none",


def spec(stage, wildcard=None):
    """The settings of one job as canonical JSON, so that Snakemake can compare them."""
    return lambda wildcards: EXPERIMENT.slice(stage, getattr(wildcards, wildcard) if wildcard else None)


def code(*modules):
    """Digest of all code that a stage can import. A module may name a wildcard: datasets.{dataset}."""
    return lambda wildcards: "code " + code_digest.digest(*(module.format_map(_Names(wildcards)) for module in modules))


class _Names(dict):
    def __init__(self, wildcards):
        super().__init__(wildcards.items())
        if "set" in self:
            self["dataset"] = EXPERIMENT.prepare[self["set"]].dataset


def trained(run, file):
    """A file of a trained network, whichever rule trains it."""
    return f"{R}/{EXPERIMENT.runs()[run]}/{run}/{file}"


def network_of_features(features):
    """The weights that features are computed with; nothing for hand-made ones."""
    run = EXPERIMENT.network_of_features(features)
    return trained(run, "model.safetensors") if run else []
