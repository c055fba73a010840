# The only Python code of the workflow: the checked experiment, the settings of each job, the digest of each stage's code.
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
    """Settings of one job as canonical JSON, which Snakemake can compare."""
    return lambda wildcards: EXPERIMENT.slice(stage, getattr(wildcards, wildcard) if wildcard else None)


def code(*modules):
    """Digest of all code that the modules import. A module may contain a wildcard: datasets.{dataset}."""
    return lambda wildcards: "code " + code_digest.digest(*(module.format_map(_Names(wildcards)) for module in modules))


class _Names(dict):
    def __init__(self, wildcards):
        super().__init__(wildcards.items())
        if "set" in self:
            self["dataset"] = EXPERIMENT.prepare[self["set"]].dataset


def trained(run, file):
    """A file of a trained network, of rule train or ablate."""
    return f"{R}/{EXPERIMENT.runs()[run]}/{run}/{file}"


def feature_weights(features):
    """Weights of the network that computes the features; none for hand-crafted ones."""
    run = EXPERIMENT.network_of_features(features)
    return trained(run, "model.safetensors") if run else []
