# The only Python code of the workflow: the checked experiment; settings, inputs and code of each job, from its graph of jobs.
from zfrepro import graph
from zfrepro.experiment import data_changes, loading
from zfrepro.running import manager
from zfrepro.storage import code_digest
from zfrepro.storage.source_code import Kept, Package
from zfrepro.errors import UserError

try:
    EXPERIMENT = loading.parse(config, "the experiment file")
except UserError as error:
    raise WorkflowError(str(error)) from None

R = str(EXPERIMENT.results())
DATA_NOTES = data_changes.note_files(EXPERIMENT)
if workflow.is_main_process:
    data_changes.note_changes(EXPERIMENT)
PACKAGE = Package(kept=Kept.default())

manager.adopt_job_environment()


wildcard_constraints:
    set="|".join(EXPERIMENT.prepare),
    run="|".join(EXPERIMENT.runs()),
    exhibit="|".join(EXPERIMENT.report.exhibits),
    features="|".join(EXPERIMENT.features.names) or "none",


def job(stage, wildcards):
    """`("probes", "caltech101", "improved")`"""
    return (stage, *(getattr(wildcards, name) for name in graph.WILDCARDS[stage]))


def outputs(stage):
    """Label -> file, with wildcards."""
    return {label: f"{R}/{file}" for label, file in graph.output_patterns(stage).items()}


def inputs(stage):
    """Label -> file of another job."""
    return lambda wildcards: {
        label: f"{R}/{file}" for label, file in EXPERIMENT.graph.inputs(job(stage, wildcards)).items()
    }


def input_list(stage):
    """The same files without their labels."""
    return lambda wildcards: list(inputs(stage)(wildcards).values())


def spec(stage):
    """Settings of one job as canonical JSON, which Snakemake can compare."""
    return lambda wildcards: EXPERIMENT.slice(job(stage, wildcards))


def code(stage):
    """Digest of all code that a job can import."""
    return (
        lambda wildcards: f"code {code_digest.digest(*EXPERIMENT.graph.code(job(stage, wildcards)), package=PACKAGE)}"
    )
