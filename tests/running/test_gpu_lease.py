"""Each job gets a GPU of its own: the processes here ask for the GPUs of a list, as jobs do, and hold them until they are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from zfrepro.errors import UserError
from zfrepro.running import gpu_lease, gpus
from zfrepro.storage import machine

JOBS = """
import os, signal, sys
from zfrepro.running import gpu_lease
gpu_lease.SECONDS = 0.02
for line in sys.stdin:
    if os.fork() == 0:
        changed = gpu_lease.take(line.strip())
        print(os.getpid(), changed, os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
        signal.pause()
"""
EIGHT = ",".join(map(str, range(8)))


class Jobs:
    """Processes of one program, which starts one for each line that it reads: the device of a job."""

    def __init__(self, folder: Path, environment: dict[str, str]):
        inherited = {name: value for name, value in os.environ.items() if name not in VARIABLES}
        self.process = subprocess.Popen(
            [sys.executable, "-c", JOBS],
            env={**inherited, "TMPDIR": str(folder), **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def start(self, device: str = "auto") -> None:
        self.process.stdin.write(f"{device}\n")
        self.process.stdin.flush()

    def read(self) -> str:
        return self.process.stdout.readline()

    def gpu(self, device: str = "auto") -> tuple[int, str]:
        """Of a new job: its process, what it sees as CUDA_VISIBLE_DEVICES."""
        self.start(device)
        process, _, seen = self.read().split()
        return int(process), seen

    def end(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()


VARIABLES = {*machine.BATCH_JOBS, *gpu_lease.GRANTED, gpu_lease.GPUS, gpu_lease.JOBS_PER_GPU, "ZFREPRO_DEVICE"}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Jobs]]:
    started: list[Jobs] = []

    def begin(**environment: str) -> Jobs:
        started.append(Jobs(tmp_path, environment))
        return started[-1]

    yield begin
    for jobs in started:
        jobs.end()


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """This process holds no GPU, and locks lie in an empty folder."""
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr(gpu_lease, "_held", [])
    monkeypatch.setattr(gpu_lease.tempfile, "tempdir", str(tmp_path))
    return monkeypatch


def test_eight_jobs_take_eight_gpus_and_a_ninth_that_of_one_that_is_killed(start) -> None:
    jobs = start(ZFREPRO_GPUS=EIGHT)
    holders = dict(reversed(jobs.gpu()) for _ in range(8))
    assert list(holders) == EIGHT.split(",")
    jobs.start()
    note = json.loads(jobs.read())["note"]
    assert note.startswith("waiting for other jobs to end (8 on 8 GPUs; locks: ")
    os.kill(holders["5"], signal.SIGKILL)
    assert jobs.read().split()[1:] == ["True", "5"]


def test_another_run_of_the_same_machine_waits_too(start) -> None:
    """However it names its GPUs, and also under another number of jobs."""
    first, other = start(ZFREPRO_GPUS="GPU-a,GPU-b"), start(ZFREPRO_GPUS="GPU-b", ZFREPRO_JOBS_PER_GPU="1")
    (on_a, _), (on_b, _) = first.gpu(), first.gpu()
    other.start()
    assert "1 on 1 GPU; locks" in json.loads(other.read())["note"]
    os.kill(on_a, signal.SIGKILL)
    os.kill(on_b, signal.SIGKILL)
    assert other.read().split()[2] == "GPU-b"


def test_a_second_job_comes_to_a_gpu_when_each_has_one(start) -> None:
    jobs = start(ZFREPRO_GPUS="0,1,2", ZFREPRO_JOBS_PER_GPU="2")
    held = [jobs.gpu() for _ in range(6)]
    assert [gpu for _, gpu in held] == ["0", "1", "2", "0", "1", "2"]
    for process, _ in (held[1], held[4], held[5]):  # both of GPU 1, one of GPU 2
        os.kill(process, signal.SIGKILL)
    assert Counter(jobs.gpu()[1] for _ in range(3)) == {"1": 2, "2": 1}


def test_a_job_sees_the_gpu_under_the_name_that_the_run_gives_it(start) -> None:
    names = "GPU-5c1c2a1d-0000-4d1f-9d3c-1f5f5f5f5f5f,MIG-GPU-8932f937/1/0"
    jobs = start(ZFREPRO_GPUS=names, CUDA_VISIBLE_DEVICES="3,4")
    assert [jobs.gpu()[1], jobs.gpu()[1]] == names.split(",")


@pytest.mark.parametrize("batch", machine.BATCH_JOBS)
def test_what_a_cluster_hands_out_stays(alone, batch) -> None:
    alone.setattr(gpus, "visible", lambda: [gpus.Gpu("0", "H100")])
    alone.setenv(batch, "17")
    alone.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert not gpu_lease.take("auto")
    assert (os.environ["CUDA_VISIBLE_DEVICES"], gpu_lease._held) == ("0", [])


def test_a_run_inside_a_job_of_a_cluster_shares_out_what_that_job_has(alone) -> None:
    alone.setenv("SLURM_JOB_ID", "17")
    alone.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    alone.setattr(gpus, "visible", lambda: [gpus.Gpu("4", "H100"), gpus.Gpu("6", "H100")])
    gpu_lease.offer()
    assert gpu_lease.slots() == 2
    assert gpu_lease.take("auto")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "4"


def test_a_job_without_a_run_asks_for_what_is_there(alone) -> None:
    alone.setattr(gpus, "visible", lambda: [gpus.Gpu("GPU-a", "H100")])
    assert gpu_lease.take("cuda")
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-a"
    assert not gpu_lease.take("cuda")  # it has one already
    assert len(gpu_lease._held) == 1


def test_a_gpu_with_a_number_keeps_it(start, alone) -> None:
    """torch then finds it under the same number, and nobody else gets it."""
    alone.setenv(gpu_lease.GPUS, "a,b")
    assert not gpu_lease.take("cuda:1")
    assert "CUDA_VISIBLE_DEVICES" not in os.environ
    assert start(ZFREPRO_GPUS="b,a").gpu()[1] == "a"


def test_the_variable_that_a_user_of_amd_cards_has_set_is_changed_too(alone) -> None:
    alone.setenv(gpu_lease.GPUS, "1")
    alone.setenv("HIP_VISIBLE_DEVICES", "0,1")
    assert gpu_lease.take("auto")
    assert (os.environ["HIP_VISIBLE_DEVICES"], os.environ["CUDA_VISIBLE_DEVICES"]) == ("1", "1")


@pytest.mark.parametrize("named", ["", None])
def test_on_the_cpu_nothing_is_taken(alone, named) -> None:
    alone.setattr(gpus, "visible", list)
    assert not gpu_lease.take("cpu")
    if named is not None:
        alone.setenv(gpu_lease.GPUS, named)
    assert not gpu_lease.take("auto")
    assert (gpu_lease.slots(), gpu_lease._held, "CUDA_VISIBLE_DEVICES" in os.environ) == (0, [], False)


def test_the_variables_of_a_run() -> None:
    choice = gpus.Choice((gpus.Gpu("0", "H100"), gpus.Gpu("3", "H100")), 2)
    assert gpu_lease.variables(choice) == {"ZFREPRO_GPUS": "0,3", "ZFREPRO_JOBS_PER_GPU": "2"}
    assert gpu_lease.variables(None) == {"ZFREPRO_GPUS": "", "ZFREPRO_JOBS_PER_GPU": "1"}


def test_a_folder_that_others_may_change_is_refused(alone, tmp_path) -> None:
    alone.setenv(gpu_lease.GPUS, "0")
    folder = tmp_path / f"zfrepro-gpus-{os.getuid()}"
    folder.mkdir()
    folder.chmod(0o770)
    with pytest.raises(UserError, match=r"zfrepro-gpus-\d+: others can change what is there"):
        gpu_lease.take("auto")
    folder.chmod(0o700)
    assert gpu_lease.take("auto")


def test_a_link_in_place_of_the_folder_is_refused(alone, tmp_path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / f"zfrepro-gpus-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    alone.setenv(gpu_lease.GPUS, "0")
    with pytest.raises(UserError, match="others can change"):
        gpu_lease.take("auto")


@pytest.mark.parametrize("text", ["0", "-1", "two"])
def test_a_number_of_jobs_that_is_none_is_refused(alone, text) -> None:
    alone.setenv(gpu_lease.JOBS_PER_GPU, text)
    with pytest.raises(UserError, match=f"^ZFREPRO_JOBS_PER_GPU={text}: use a whole number, at least 1$"):
        gpu_lease.slots()
