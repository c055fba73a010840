"""Every stage that has the option `device` on a pretended GPU (helpers/pretend_cuda.py): its files hold what a CPU's hold."""

import inspect

import numpy as np
import pytest
from helpers import pretend_cuda, small_experiment
from torch.utils._pytree import tree_leaves

from zfrepro.graph import out_of
from zfrepro.storage import artifacts

EXPERIMENT = small_experiment.config()
JOBS = [
    job
    for job in small_experiment.jobs(EXPERIMENT)
    if job[-1] != "hog" and "device" in inspect.signature(small_experiment.module_of(job).run).parameters
]
AUTO = ("train", "scratch", "evaluate")  # in bfloat16 where the hardware multiplies it: here in float32
DROPPING = ("train", "scratch")  # by dropout, for which a real GPU draws other numbers


def run(job, results, out, device):
    """The stage with the settings and input files of its job."""
    module = small_experiment.module_of(job)
    spec = module.Spec.model_validate_json(EXPERIMENT.slice(job))
    if job[0] in ("train", "evaluate"):
        spec = spec.model_copy(update={"precision": "float32"})
    inputs = {label: results / file for label, file in EXPERIMENT.graph.inputs(job).items()}
    module.run(spec, **inputs, out=out, device=device)


def read(file):
    """Arrays, tensors and numbers of a file, in order."""
    readers = {".npz": artifacts.load_arrays, ".safetensors": artifacts.load_weights, ".json": artifacts.load_json}
    leaves = tree_leaves(readers[file.suffix](file)) if file.suffix in readers else []
    arrays = [np.asarray(leaf) for leaf in leaves if not isinstance(leaf, str | None)]
    return [array for array in arrays if array.dtype.kind in "biuf"]


def test_all_stages_that_compute_with_tensors_are_tried():
    assert {small_experiment.stage_of(job) for job in JOBS} == {
        "train", "evaluate", "deconvnet", "evolution", "occlusion", "invariance", "correspondence", "folds", "features", "probes",
        "scratch",
    }  # fmt: skip


@pytest.mark.parametrize("job", JOBS, ids="-".join)
def test_a_gpu_gives_what_a_cpu_gives(job, small_results, tmp_path):
    results = small_results / "results/small"
    done = results / out_of(job)
    if job[0] in AUTO:
        done = tmp_path / "cpu" / done.name
        run(job, results, done, "cpu")
    out = tmp_path / "cuda" / done.name
    with pretend_cuda.device() as gpu:
        run(job, results, out, "cuda")
        assert gpu.operations > 0
    files = sorted(out.iterdir()) if out.is_dir() else [out]
    numbers = {file: read(file) for file in files}
    assert any(numbers.values())
    for file, computed in numbers.items():
        for ours, theirs in zip(computed, read(done / file.name if out.is_dir() else done), strict=True):
            if job[0] in DROPPING and pretend_cuda.REAL:
                assert ours.shape == theirs.shape
            else:
                np.testing.assert_allclose(ours, theirs, rtol=10 * gpu.rtol, atol=10 * gpu.atol, err_msg=file.name)
