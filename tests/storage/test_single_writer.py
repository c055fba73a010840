"""One writer of a checkpoint: in one process, in two, on two machines, on file systems with and without locks."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from zfrepro.errors import UserError
from zfrepro.storage import machine, single_writer
from zfrepro.storage.checkpoints import Store

NO_PROCESS = 2**22 + 1  # above the largest process id of Linux
HOLDER = """
import sys
from pathlib import Path
from zfrepro.storage import single_writer
with single_writer.hold(Path(sys.argv[1])):
    print("holds", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds instead of minutes."""
    monkeypatch.setattr(single_writer, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(single_writer, "TOUCH_SECONDS", 0.05)
    monkeypatch.setattr(single_writer, "SILENT_SECONDS", 0.4)


def leave_note(folder: Path, **values: object) -> Path:
    """That of a writer which did not end by itself."""
    folder.mkdir(exist_ok=True)
    note = folder / single_writer.NOTE
    content = {
        "token": "a", "host": socket.gethostname(), "boot": machine.boot_id(), "process": NO_PROCESS, "started": time.time(),
        "job": "", **values,
    }  # fmt: skip
    note.write_text(json.dumps(content), encoding="utf-8")
    return note


def test_a_writer_leaves_nothing_but_an_empty_lock(tmp_path: Path) -> None:
    with single_writer.hold(tmp_path / "a") as writer:
        assert writer.is_current()
        assert (tmp_path / "a" / single_writer.NOTE).is_file()
    assert [path.name for path in (tmp_path / "a").iterdir()] == [single_writer.LOCK]


def test_a_second_process_is_refused_with_the_name_of_the_first_until_that_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "holds\n"
        name = rf"process {first.pid} on {re.escape(socket.gethostname())} \(SLURM job 12\) is writing here; wait for it or end it"
        with pytest.raises(UserError, match=name), single_writer.hold(tmp_path):
            pass
        first.kill()
    assert (tmp_path / single_writer.NOTE).is_file()
    with single_writer.hold(tmp_path) as writer:
        assert writer.is_current()


@pytest.mark.usefixtures("without_locks")
def test_without_locks_the_note_of_a_living_process_counts(tmp_path: Path) -> None:
    with single_writer.hold(tmp_path), pytest.raises(UserError, match=f"process {os.getpid()} on"), \
            single_writer.hold(tmp_path):  # fmt: skip
        pass
    leave_note(tmp_path)  # its process no longer exists
    with single_writer.hold(tmp_path):
        pass
    leave_note(tmp_path, process=os.getpid(), boot="before the machine was started again")
    with single_writer.hold(tmp_path):
        pass


@pytest.mark.parametrize("locks", [True, False])
@pytest.mark.usefixtures("quick")
def test_a_writer_on_another_machine_is_seen_by_its_touches(
    tmp_path: Path, locks: bool, request: pytest.FixtureRequest
) -> None:
    """Also with a lock: another machine may not see ours."""
    if not locks:
        request.getfixturevalue("without_locks")
    note, ended = leave_note(tmp_path, host="node7", job="SLURM job 3"), threading.Event()

    def touch() -> None:
        while not ended.wait(0.05):
            os.utime(note)

    living = threading.Thread(target=touch)
    living.start()
    try:
        with pytest.raises(UserError, match=r"process \d+ on node7 \(SLURM job 3\) is writing here"), \
                single_writer.hold(tmp_path):  # fmt: skip
            pass
    finally:
        ended.set()
        living.join()


@pytest.mark.usefixtures("quick")
def test_a_job_goes_on_once_its_predecessor_on_another_machine_is_silent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    leave_note(tmp_path, host="node7")
    started = time.monotonic()
    with single_writer.hold(tmp_path) as writer:
        assert time.monotonic() - started > 0.3
        assert writer.is_current()
    assert "on node7 was the last to write" in capsys.readouterr().out
    os.utime(leave_note(tmp_path, host="node7"), (0, 0))  # silent since 1970: nothing to wait for
    with single_writer.hold(tmp_path):
        pass
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("quick")
def test_the_note_is_touched_as_long_as_its_writer_works(tmp_path: Path) -> None:
    with single_writer.hold(tmp_path) as writer:
        os.utime(writer.note, (0, 0))
        end = time.monotonic() + 5
        while writer.note.stat().st_mtime == 0:
            assert time.monotonic() < end
            time.sleep(0.01)


def test_a_writer_that_was_taken_for_dead_saves_nothing_more(tmp_path: Path) -> None:
    store = Store(tmp_path / "improved", "key")
    with store.only_writer():
        store.save_state({"epoch": 1})
        leave_note(tmp_path / "improved", token="b", host="node8")
        with pytest.raises(UserError, match="on node8 has taken over"):
            store.save_state({"epoch": 2})
    assert store.load_state() == {"epoch": 1}
    assert (tmp_path / "improved" / single_writer.NOTE).is_file()  # the other's


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"token": "a"}'])
def test_a_broken_note_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / single_writer.NOTE).write_bytes(content)
    with single_writer.hold(tmp_path) as writer:
        assert writer.is_current()
