"""The lock of a results folder, on file systems with and without locks."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from zfrepro.errors import UserError
from zfrepro.running import manager, run_lock
from zfrepro.storage import machine

NO_PROCESS = 2**22 + 1  # above the largest process id of Linux


def _record(results: Path, **values: object) -> Path:
    results.mkdir(exist_ok=True)
    path = results / ".run.json"
    content = {
        "manager": NO_PROCESS,
        "group": NO_PROCESS,
        "started": time.time(),
        "host": socket.gethostname(),
        **values,
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture(params=[errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL])
def without_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", refuse)


def test_a_second_run_is_refused(tmp_path: Path) -> None:
    with (
        run_lock.hold(tmp_path) as record,
        pytest.raises(UserError, match=r"another run \(its process is not known\) is using"),
        run_lock.hold(tmp_path),
    ):
        pass
    _record(tmp_path, manager=77)
    with (
        run_lock.hold(tmp_path),
        pytest.raises(UserError, match=r"another run \(process 77\) is using"),
        run_lock.hold(tmp_path),
    ):
        pass
    assert record == tmp_path / ".run.json"


def test_without_locks_a_run_goes_on_and_says_so(
    tmp_path: Path, without_locks: None, capsys: pytest.CaptureFixture[str]
) -> None:
    with run_lock.hold(tmp_path):
        pass
    assert "its file system has no locks" in capsys.readouterr().err


@pytest.mark.parametrize("number", [errno.EWOULDBLOCK, errno.EAGAIN])
def test_only_would_block_means_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse(*_: object) -> None:
        raise BlockingIOError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(UserError, match="another run"), run_lock.hold(tmp_path):
        pass


def test_without_locks_the_record_of_a_living_run_counts(tmp_path: Path, without_locks: None) -> None:
    _record(tmp_path, manager=os.getpid())
    with pytest.raises(UserError, match=rf"another run \(process {os.getpid()}\)"), run_lock.hold(tmp_path):
        pass
    _record(tmp_path, manager=os.getpid(), started=time.time() - 1e6)  # a later process with the same number
    with run_lock.hold(tmp_path):
        pass
    _record(tmp_path)  # a process that no longer exists
    with run_lock.hold(tmp_path):
        pass


def test_without_locks_a_run_on_another_machine_is_not_known_to_have_ended(tmp_path: Path, without_locks: None) -> None:
    record = _record(tmp_path, host="node7")
    with pytest.raises(UserError, match=rf"was on node7 .*delete {record}"), run_lock.hold(tmp_path):
        pass


def test_leftovers_of_another_machine_are_not_looked_for_here(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as process:
        record = _record(tmp_path, group=process.pid, started=time.time() - 60, host="node7")
        assert manager.stop_leftovers(record) == []
        assert process.poll() is None
        record = _record(tmp_path, group=process.pid, started=time.time() - 60)
        assert manager.stop_leftovers(record) == [process.pid]
    assert not record.exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"manager": 1}'])
def test_a_broken_record_is_none(tmp_path: Path, without_locks: None, content: bytes) -> None:
    (tmp_path / ".run.json").write_bytes(content)
    with manager.run_lock(tmp_path):
        pass


def test_a_folder_that_cannot_be_written_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/proc")
    with pytest.raises(UserError, match=r"/proc/results: cannot be written .*change to one that you may write to"), \
            run_lock.hold(Path("results")):  # fmt: skip
        pass
    (tmp_path / "results").touch()
    with pytest.raises(UserError, match="cannot be written"), run_lock.hold(tmp_path / "results"):
        pass


SNAKEMAKE = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_DFL); print('works', flush=True); time.sleep(60)"
)


def _start_snakemake(results: Path, **values: object) -> subprocess.Popen:
    """One that has inherited the lock of a manager which was killed."""
    with run_lock.hold(results):
        process = subprocess.Popen(
            [sys.executable, "-c", SNAKEMAKE], stdout=subprocess.PIPE, start_new_session=True, close_fds=False
        )
    assert process.stdout is not None
    assert process.stdout.readline() == b"works\n"
    _record(results, group=process.pid, **values)
    return process


def test_the_next_run_ends_the_snakemake_of_a_killed_manager_which_holds_the_lock(tmp_path: Path) -> None:
    with _start_snakemake(tmp_path, boot=machine.boot_id()) as snakemake, manager.run_lock(tmp_path):
        assert snakemake.wait(5) == -signal.SIGTERM


def test_a_snakemake_on_another_machine_that_holds_the_lock_is_left_alone(tmp_path: Path) -> None:
    with _start_snakemake(tmp_path, host="login1", manager=77) as snakemake:
        with pytest.raises(UserError, match=r"another run \(process 77 on login1\)"), manager.run_lock(tmp_path):
            pass
        assert snakemake.poll() is None
        snakemake.kill()


def test_numbers_from_before_the_machine_was_started_again_mean_nothing(tmp_path: Path, without_locks: None) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True) as process:
        record = _record(tmp_path, group=process.pid, manager=process.pid, started=time.time() + 60, boot="earlier")
        with run_lock.hold(tmp_path):
            assert manager.stop_leftovers(record) == []
        assert process.poll() is None


def test_the_record_names_machine_executor_and_log(tmp_path: Path) -> None:
    record, log = tmp_path / ".run.json", tmp_path / "logs/snakemake.log"
    manager.start([sys.executable, "-c", "print('works')"], record, log, "cpu", "slurm").wait()
    content = run_lock.read(record)
    assert run_lock.is_of_this_machine(content)
    assert (content["boot"], content["executor"], content["log"]) == (machine.boot_id(), "slurm", str(log))


def test_a_cluster_run_is_interrupted_before_it_is_ended(tmp_path: Path) -> None:
    """Snakemake cancels its jobs on a cluster after SIGINT alone."""
    code = (
        "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\ntry:\n    print('works', flush=True); time.sleep(60)\n"
        "except KeyboardInterrupt:\n    print('cancelled', flush=True)"
    )
    record, log = tmp_path / ".run.json", tmp_path / "snakemake.log"
    process = manager.start([sys.executable, "-c", code], record, log, "cpu", "kubernetes")
    while "works" not in log.read_text():
        time.sleep(0.02)
    manager.stop(run_lock.read(record))
    assert process.wait(5) == 0
    assert log.read_text() == "works\ncancelled\n"
