"""A full disk becomes a message that can be acted on; SIGTERM leaves a block in order."""

import errno
import signal
from types import SimpleNamespace

import pytest

from zfrepro.errors import UserError
from zfrepro.storage import guards


def test_missing_space_is_reported_in_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(guards.shutil, "disk_usage", lambda path: SimpleNamespace(free=2_000_000_000))
    with pytest.raises(UserError, match=r"3 GB more disk space needed: 7 pictures take 5 GB, 2 GB are free"):
        guards.check_space(tmp_path, 5_000_000_000, "7 pictures")
    guards.check_space(tmp_path, 2_000_000_000, "7 pictures")


def test_a_disk_that_gets_full(tmp_path):
    with pytest.raises(UserError, match="the disk is full"), guards.report_disk_full(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_other_errors_pass(tmp_path):
    with pytest.raises(FileNotFoundError), guards.report_disk_full(tmp_path):
        (tmp_path / "nothing").read_bytes()


def test_sigterm_is_an_exception_inside_the_block_only():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stopped, guards.stopped_by_sigterm():
        signal.raise_signal(signal.SIGTERM)
    assert stopped.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == before
