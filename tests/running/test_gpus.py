"""Which GPUs a run uses: all that are alike, or those of --gpus and --device; what is not there is refused with a list of what is."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from zfrepro.commands import run
from zfrepro.errors import UserError
from zfrepro.running import gpu_lease, gpus, options, profiles
from zfrepro.running.gpus import Choice, Gpu
from zfrepro.storage import machine

EIGHT = [Gpu(f"GPU-{number}", "H100") for number in range(8)]
MIXED = [Gpu("0", "RTX 4090"), Gpu("1", "GT 710"), Gpu("2", "RTX 4090")]


@pytest.fixture(autouse=True)
def no_limits(monkeypatch):
    for name in (*machine.GPU_CHOICE, "ZFREPRO_DEVICE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def sees(monkeypatch):
    """sees(gpus): what torch answers."""
    return lambda there: monkeypatch.setattr(gpus, "visible", lambda: there)


@pytest.mark.parametrize(
    ("device", "gpus_option", "numbers"),
    [
        ("auto", None, range(8)),
        ("auto", "all", range(8)),
        ("cuda", "3", [0, 1, 2]),
        ("auto", "3,0", [3, 0]),
        ("cuda:5", None, [5]),
    ],
)
def test_which_gpus_a_run_uses(sees, device, gpus_option, numbers):
    sees(EIGHT)
    choice = gpus.choose(device, gpus_option and options.parse_gpus(gpus_option), None)
    assert [gpu.id for gpu in choice.gpus] == [f"GPU-{number}" for number in numbers]
    assert choice.slots == len(numbers)


def test_gpus_of_another_model_are_used_on_request_alone(sees):
    sees(MIXED)
    assert [gpu.id for gpu in gpus.choose("auto", None, None).gpus] == ["0", "2"]
    assert gpus.choose("auto", "all", 2) == Choice(tuple(MIXED), 2)


def test_jobs_share_a_gpu(sees):
    sees(EIGHT)
    assert gpus.choose("auto", 8, 3).slots == 24


def test_the_cpu_is_used_if_it_is_asked_for_or_nothing_else_is_there(sees, monkeypatch):
    sees([])
    assert gpus.choose("auto", None, None) is None
    monkeypatch.setattr(gpus, "visible", None)  # torch is not asked
    assert gpus.choose("cpu", None, None) is None


@pytest.mark.parametrize(
    ("device", "wish", "message"),
    [
        ("auto", 9, "--gpus 9: torch sees 2 GPUs here: 0 (H100), 1 (H100)"),
        ("auto", (0, 2), "--gpus 0,2: torch sees 2 GPUs here: 0 (H100), 1 (H100)"),
        ("cuda:9", None, "--device cuda:9: torch sees 2 GPUs here: 0 (H100), 1 (H100)"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(sees, device, wish, message):
    sees(EIGHT[:2])
    with pytest.raises(UserError) as error:
        gpus.choose(device, wish, None)
    assert str(error.value) == message


def test_the_message_names_the_variable_that_hides_gpus(sees, monkeypatch):
    sees(EIGHT[:1])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "6")
    with pytest.raises(UserError, match=r"torch sees 1 GPU here within CUDA_VISIBLE_DEVICES=6: 0 \(H100\)$"):
        gpus.choose("auto", 2, None)


@pytest.mark.parametrize(
    ("device", "wish", "jobs", "option"),
    [
        ("auto", "all", None, "--gpus all"),
        ("auto", 1, None, "--gpus 1"),
        ("cuda", None, None, "--device cuda"),
        ("cuda:0", None, None, "--device cuda:0"),
        ("auto", None, 2, "--jobs-per-gpu"),
    ],
)
def test_without_a_gpu_every_wish_for_one_is_refused(sees, device, wish, jobs, option):
    sees([])
    with pytest.raises(UserError) as error:
        gpus.choose(device, wish, jobs)
    assert str(error.value) == f"{option}: torch sees no GPU here; use --device cpu"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--gpus", "0"], "argument --gpus: 0: at least 1; to use no GPU: --device cpu"),
        (["--gpus", "0,0"], "argument --gpus: '0,0': GPU 0 is there twice"),
        (["--gpus", "-1"], "argument --gpus: '-1': use all, how many GPUs (8), or their numbers (0,3)"),
        (["--gpus", ""], "argument --gpus: '': use all, how many GPUs (8), or their numbers (0,3)"),
        (["--gpus", "0,"], "argument --gpus: '0,': use all, how many GPUs (8), or their numbers (0,3)"),
        (["--jobs-per-gpu", "0"], "argument --jobs-per-gpu: '0': at least 1"),
        (["--device", "gpu"], "argument --device: 'gpu': unknown device; use auto, cpu, cuda or cuda:1"),
        (["--device", "cpu", "--gpus", "2"], "--gpus does not go with --device cpu"),
        (["--device", "cpu", "--jobs-per-gpu", "2"], "--jobs-per-gpu does not go with --device cpu"),
        (["--force"], "--force: name the files to build again, such as results/demo/exhibits/overlap/exhibit.json"),
        (["--device", "cuda:1", "--gpus", "2"], "--gpus does not go with --device cuda:1, which names one GPU"),
    ],
)
def test_options_that_make_no_sense_are_refused(arguments, message, capsys):
    with pytest.raises(SystemExit) as error:
        run.main(arguments)
    assert error.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"zfrepro run: error: {message}"


def test_the_device_of_the_environment_is_checked_like_the_option(monkeypatch, capsys):
    monkeypatch.setenv("ZFREPRO_DEVICE", "tpu")
    with pytest.raises(SystemExit):
        run.main([])
    assert "argument --device: 'tpu': unknown device" in capsys.readouterr().err


def test_what_a_run_says_of_its_gpus(monkeypatch):
    assert gpus.describe(Choice(tuple(EIGHT)), "auto", 64) == "8 GPUs (H100), 1 job on each"
    few = "3 GPUs (RTX 4090, GT 710), 2 jobs on each; but 4 jobs at once, as many as there are cores"
    assert gpus.describe(Choice(tuple(MIXED), 2), "auto", 4) == few
    assert gpus.describe(Choice(tuple(EIGHT[:1])), "cuda", 1) == "1 GPU (H100), 1 job at once"
    monkeypatch.setattr(machine, "has_gpu_driver", lambda: False)
    assert gpus.describe(None, "auto", 2) == ""
    monkeypatch.setattr(machine, "has_gpu_driver", lambda: True)
    assert gpus.describe(None, "auto", 2) == "torch sees no GPU, though a driver is there: the CPU computes"
    assert gpus.describe(None, "cpu", 2) == ""


def test_torch_is_asked_only_where_a_driver_is(monkeypatch):
    calls = []

    def answer(command, **_):
        calls.append(command)
        return subprocess.CompletedProcess(command, 0, "a warning\n" + json.dumps([{"id": "0", "name": "H100"}]) + "\n")

    monkeypatch.setattr(subprocess, "run", answer)
    monkeypatch.setattr(machine, "has_gpu_driver", lambda: False)
    assert (gpus.visible(), calls) == ([], [])
    monkeypatch.setattr(machine, "has_gpu_driver", lambda: True)
    assert gpus.visible() == [Gpu("0", "H100")]
    assert calls == [[sys.executable, "-m", "zfrepro.models.gpu_list"]]


def test_a_torch_that_cannot_be_loaded_is_named(monkeypatch):
    failed = subprocess.CompletedProcess(
        [], 1, "", "Traceback ...\nImportError: libcudart.so: cannot open shared object file\n"
    )
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    monkeypatch.setattr(machine, "has_gpu_driver", lambda: True)
    with pytest.raises(UserError, match="which GPUs there are: ImportError: libcudart"):
        gpus.visible()


@pytest.mark.parametrize(
    ("arguments", "named", "at_once"),
    [
        ([], "GPU-0,GPU-1,GPU-2,GPU-3,GPU-4,GPU-5,GPU-6,GPU-7", 8),
        (["--gpus", "2", "--jobs-per-gpu", "3"], "GPU-0,GPU-1", 6),
        (["--device", "cuda:5"], "GPU-5", 1),
        (["--device", "cpu"], "", 4),
    ],
)
def test_a_run_names_its_gpus_to_its_jobs_and_counts_them_for_snakemake(sees, monkeypatch, arguments, named, at_once):
    sees(EIGHT)
    for name in (gpu_lease.GPUS, gpu_lease.JOBS_PER_GPU):
        monkeypatch.setenv(name, "from outside")
    parsed = run._parse([*arguments, "--cores", "4"])
    choice = run._choose_gpus(parsed, profiles.DEFAULT)
    assert os.environ[gpu_lease.GPUS] == named
    assert run._limits(parsed, profiles.DEFAULT, choice) == ["--cores", "4", "--resources", f"gpu={at_once}"]
