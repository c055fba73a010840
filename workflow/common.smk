# The only Python code of the workflow: the checked experiment; settings, inputs and code of each job, from its graph of jobs.
import functools
import os

from zfrepro import graph
from zfrepro.experiment import data_changes, loading, schedule
from zfrepro.running import gpu_lease, manager
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


envvars:  # for executors that start jobs with an environment of their own
    *manager.passed_variables(),


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


def gpus(stage):
    """1 for a job that computes on a GPU if there is one: Snakemake counts, the job takes one that is free (running/gpu_lease.py)."""
    wanted = os.environ.get("ZFREPRO_DEVICE") != "cpu"
    return lambda wildcards, input: int(wanted and graph.uses_gpu(stage, input))


def gpu_slots():
    """How many jobs can use the GPUs of this machine at once; 0 without one and on a cluster."""
    if workflow.is_main_process and workflow.local_exec and not workflow.dryrun:
        gpu_lease.offer()
    return gpu_lease.slots()


def threads(stage):
    """Beside a GPU a job has its share of the cores. On the CPU one thread: with another number sums have other last digits."""
    return lambda wildcards, input: (
        max(1, workflow.cores // gpu_slots()) if graph.uses_gpu(stage, input) and gpu_slots() else 1
    )


def threads_of_probes(wildcards, input):
    """Also on the CPU a share of many cores: their sums are of float32 in any order, and at the paper's size they take hours."""
    return max(threads("probes")(wildcards, input), (workflow.cores or 1) // 8)  # None where a cluster runs the jobs


@functools.cache
def priorities():
    """Run -> 0..20: below the jobs that come between two trainings, above those that only the report waits for."""
    return {run: round(20 * share, 2) for run, share in schedule.prioritise_trainings(EXPERIMENT).items()}


def longest_first(wildcards):
    """Of a training."""
    return priorities().get(wildcards.run, 0)
