"""Whatever can change what a job computes is in its key: options, device, environment, versions; what cannot is not."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from zfrepro.running import job_key
from zfrepro.stages import evaluate, exhibits, features, prepare, probes
from zfrepro.storage import artifacts, computing_code, machine
from zfrepro.storage.source_code import Kept, Package

H100, T4 = "NVIDIA H100 80GB HBM3", "Tesla T4"


@pytest.fixture(scope="module")
def package():
    return Package(kept=Kept(None))


@pytest.fixture(autouse=True)
def _machine(monkeypatch):
    """A CPU with AVX2, no GPU, nothing set."""
    for name in (*job_key.NUMERIC, *job_key.SELECTING, "ZFREPRO_DEVICE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(machine, "gpus", list)
    monkeypatch.setattr(machine, "instruction_set", lambda: "x86_64 avx2")
    monkeypatch.setattr(machine, "multiplies_bfloat16", lambda: False)


def evaluation(**changes):
    files = {name: Path(f"results/demo/{name}") for name in ("weights", "network", "images")}
    given = {
        "spec": evaluate.Spec(),
        **files,
        "out": Path("results/demo/evaluate/improved"),
        "device": "auto",
        "threads": 1,
    }
    return given | changes


def parts(package, arguments=None, stage="evaluate", module=evaluate):
    digests = {"weights": "w", "network": "n", "images": "i"}
    digest = lambda path, whole=False: digests.get(path.name, path.name)  # noqa: E731
    return job_key.key_parts(stage, module, arguments or evaluation(), package, digest)


def key(package, arguments=None, **given):
    return job_key.of_parts(parts(package, arguments, **given))


def test_a_key_names_all_that_it_is_made_of(package):
    found = parts(package)
    assert found["inputs"] == {"images": "i", "network": "n", "weights": "w"}
    assert found["options"] == {"threads": 1}
    assert found["settings"]["views"] == [1, 10]
    assert (found["device"], found["instructions"], found["bfloat16"]) == ("cpu", "x86_64 avx2", False)
    assert (found["stage"], found["format"]) == ("evaluate", artifacts.FORMAT)
    assert {"torch", "numpy"} <= found["libraries"].keys()
    assert len(job_key.of_parts(found)) == 32


@pytest.mark.parametrize(
    "changes",
    [
        {"spec": evaluate.Spec(views=(1,))},
        {"spec": evaluate.Spec(precision="float32")},
        {"threads": 2},
        {"weights": Path("results/demo/others")},
    ],
)
def test_settings_options_and_inputs_change_it(package, changes):
    assert key(package, evaluation(**changes)) != key(package)


def test_neutral_options_and_places_do_not(package):
    """Workers, save_every and out say how and where, not what."""
    assert key(package, evaluation(out=Path("results/other/evaluate/again"))) == key(package)
    scenes = {"spec": prepare.Spec(dataset="scenes", size=64), "out": Path("results/demo/prepare/source")}
    keys = {key(package, {**scenes, "workers": workers}, stage="prepare", module=prepare) for workers in (1, 8)}
    assert len(keys) == 1
    assert {"workers", "save_every"} <= job_key.NEUTRAL
    assert "threads" not in job_key.NEUTRAL


@pytest.mark.parametrize("name", job_key.NUMERIC)
def test_variables_that_change_kernels_or_precision_change_it(package, monkeypatch, name):
    before = key(package)
    monkeypatch.setenv(name, "1")
    assert key(package) != before


@pytest.mark.parametrize("name", ["GLIBC_TUNABLES", "OMP_NUM_THREADS", "HOME", "PYTHONHASHSEED"])
def test_other_variables_do_not(package, monkeypatch, name):
    before = key(package)
    monkeypatch.setenv(name, "7")
    assert key(package) == before


def test_another_instruction_set_changes_it_also_where_no_device_is_chosen(package, monkeypatch):
    probe = {"spec": probes.Spec(), "features": Path("f.json"), "folds": Path("g.json"), "images": Path("m.json"),
             "out": Path("p.json"), "device": "cpu", "threads": 1}  # fmt: skip
    before = key(package), key(package, probe, stage="probes", module=probes)
    monkeypatch.setattr(machine, "instruction_set", lambda: "x86_64 avx512f")
    after = key(package), key(package, probe, stage="probes", module=probes)
    assert not set(before) & set(after)


def test_bfloat16_counts_where_the_precision_is_chosen_by_it(package, monkeypatch):
    fixed = evaluation(spec=evaluate.Spec(precision="float32"))
    before = key(package), key(package, fixed)
    monkeypatch.setattr(machine, "multiplies_bfloat16", lambda: True)
    assert key(package) != before[0]
    assert key(package, fixed) == before[1]


def test_a_gpu_counts_by_its_model_and_the_processor_beside_it_does_not(package, monkeypatch):
    on_cpu = key(package)
    monkeypatch.setattr(machine, "gpus", lambda: [H100, H100])
    on_h100 = key(package)
    monkeypatch.setattr(machine, "instruction_set", lambda: "x86_64 avx512f")
    assert key(package) == on_h100
    monkeypatch.setattr(machine, "gpus", lambda: [T4])
    assert len({on_cpu, on_h100, key(package)}) == 3
    assert key(package, evaluation(device="cuda:0")) == key(package)


def test_threads_count_on_the_cpu_alone(package, monkeypatch):
    """Beside a GPU their number follows from that of the GPUs, which changes no result."""
    assert key(package, evaluation(threads=2)) != key(package)
    monkeypatch.setattr(machine, "gpus", lambda: [H100])
    assert key(package, evaluation(threads=2)) == key(package)
    assert key(package, evaluation(device="cpu", threads=2)) != key(package, evaluation(device="cpu"))


def test_of_several_models_the_one_that_is_chosen_counts(package, monkeypatch):
    monkeypatch.setattr(machine, "gpus", lambda: [H100, T4])
    first, second = (key(package, evaluation(device=f"cuda:{i}")) for i in range(2))
    assert first != second
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert key(package, evaluation(device="cuda:0")) != first


def test_the_device_may_come_from_the_environment(package, monkeypatch):
    monkeypatch.setattr(machine, "gpus", lambda: [H100])
    on_gpu = key(package)
    monkeypatch.setenv("ZFREPRO_DEVICE", "cpu")
    assert key(package) == key(package, evaluation(device="cpu")) != on_gpu


def test_after_the_job_the_device_is_compared_with_that_of_torch(package, monkeypatch):
    cuda = SimpleNamespace(is_available=lambda: True)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    assert not job_key.is_device_right(evaluation(), parts(package))
    assert job_key.is_device_right(evaluation(device="cpu"), parts(package, evaluation(device="cpu")))
    assert not job_key.is_device_right(evaluation(device="mps"), parts(package, evaluation(device="mps")))
    cuda.is_available = lambda: False
    assert job_key.is_device_right(evaluation(), parts(package))
    monkeypatch.delitem(sys.modules, "torch")
    assert job_key.is_device_right(evaluation(), {"device": "cuda"})  # nothing was computed with torch


def test_versions_and_the_format_change_it(package, monkeypatch):
    before = key(package)
    monkeypatch.setattr(artifacts, "FORMAT", 2)
    assert key(package) != before
    monkeypatch.setattr(artifacts, "FORMAT", 1)
    code, libraries = computing_code.digest(["stages.evaluate.run", "stages.evaluate.Spec"], package)
    monkeypatch.setattr(computing_code, "digest", lambda *_: (code, {**libraries, "torch": "0.1"}))
    assert key(package) != before


def test_a_result_that_is_one_file_is_kept_under_its_name(package):
    probe = {
        "spec": probes.Spec(),
        "features": Path("f.json"),
        "folds": Path("g.json"),
        "images": Path("m.json"),
        "device": "cpu",
        "threads": 1,
    }
    keys = {key(package, {**probe, "out": Path(f"results/demo/probes/caltech101/{name}.json")}, stage="probes", module=probes)
            for name in ("improved", "again")}  # fmt: skip
    assert len(keys) == 2


def test_a_folder_with_a_dot_in_its_name_is_no_file(package):
    one, other = (evaluation(out=Path(f"results/demo/evaluate/{name}")) for name in ("a-0.5", "b-0.5"))
    assert key(package, one) == key(package, other)


def test_paths_in_settings_are_relative_to_the_experiment(package):
    def given(name, file="train/improved/network.json"):
        spec = exhibits.Spec(name="fig3_architecture", files={"network/improved": Path(f"results/{name}/{file}")})
        return {"spec": spec, "out": Path(f"results/{name}/exhibits/fig3_architecture")}

    ours, theirs = (key(package, given(name), stage="exhibits", module=exhibits) for name in ("demo", "other"))
    assert ours == theirs
    assert ours != key(package, given("demo", "train/again/network.json"), stage="exhibits", module=exhibits)


def test_the_code_of_the_data_set_and_of_the_exhibit_is_in_it():
    assert list(job_key._roots("prepare", {"dataset": "voc2012"}))[2:] == [
        "datasets.voc2012.Spec", "datasets.voc2012.listing", "datasets.voc2012.load",
    ]  # fmt: skip
    assert "exhibits.overlap.build" in job_key._roots("exhibits", {"name": "overlap"})
    assert list(job_key._roots("train", {})) == ["stages.train.run", "stages.train.Spec"]


def test_an_input_that_is_left_out_is_an_option(package):
    given = {"spec": features.Spec(kind="hog"), "images": Path("i"), "weights": None, "out": Path("results/demo/features/a/hog"),
             "device": "auto", "threads": 1}  # fmt: skip
    found = parts(package, given, stage="features", module=features)
    assert found["options"] == {"threads": 1, "weights": None}
    assert found["inputs"] == {"images": "i"}


def test_features_without_a_network_are_computed_on_the_cpu(package, monkeypatch):
    monkeypatch.setattr(machine, "gpus", lambda: [H100])
    given = {"spec": features.Spec(kind="hog"), "images": Path("i"), "weights": None, "out": Path("results/demo/features/a/hog"),
             "device": "auto", "threads": 1}  # fmt: skip
    assert parts(package, given, stage="features", module=features)["device"] == "cpu"
    assert parts(package, given | {"weights": Path("w")}, stage="features", module=features)["device"] == "cuda"
