"""`zfrepro store` counts what experiments use and deletes what none does."""

import json

import pytest

from zfrepro.commands import store as command
from zfrepro.errors import UserError
from zfrepro.running import manager
from zfrepro.storage import artifacts, result_store
from zfrepro.storage.result_store import ResultStore


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ZFREPRO_STORE", raising=False)
    return tmp_path


def compute(place, experiment, key, text, stage="folds", store=None, seconds=1800):
    """A job of an experiment, its result and its record."""
    out = place / "results" / experiment / stage / key
    artifacts.save_text(out / "a.txt", text)
    store = store or ResultStore(place / "results/.store")
    store.register(place / "results")
    store.add(key, stage, {}, out, ["a.txt"], seconds)
    artifacts.save_json(result_store.record_path(stage, out), {"key": key, "taken": False, "seconds": seconds})
    return out


def output(capsys, *arguments):
    command.main(list(arguments))
    return capsys.readouterr().out


def test_without_results_there_is_no_store(place, capsys):
    assert output(capsys).startswith("There is no result store here")
    assert list(place.iterdir()) == []


def test_sizes_and_hours_by_experiment(place, capsys):
    compute(place, "demo", "aa1", "x" * 1_000_000)
    compute(place, "demo", "aa2", "y" * 200_000, seconds=9000)
    compute(place, "paper", "aa3", "z" * 2_000_000)
    lines = [line.split() for line in output(capsys).splitlines()]
    assert lines == [
        ["paper", "1", "results", "2.0", "MB", "0.50", "hours", "of", "computing"],
        ["demo", "2", "results", "1.2", "MB", "3.00", "hours", "of", "computing"],
        ["in", "all,", "in", "results/.store", "3", "results", "3.2", "MB"],
    ]


def test_what_no_experiment_uses_is_listed_and_pruned(place, capsys):
    out = compute(place, "demo", "aa1", "x" * 1_000_000)
    (out / ".result.json").write_text(json.dumps({"key": "aa2"}))  # computed anew since
    compute(place, "paper", "aa3", "z" * 200_000)
    text = output(capsys)
    assert "(no experiment)" in text
    assert "zfrepro store --prune" in text
    assert output(capsys, "--prune") == "1.0 MB deleted from results/.store\n"
    assert "(no experiment)" not in output(capsys)
    assert ResultStore(place / "results/.store").entry("aa3")
    assert (out / "a.txt").read_text() == "x" * 1_000_000  # the results themselves stay


def test_a_shared_store_keeps_what_other_folders_use(place, capsys, monkeypatch):
    monkeypatch.setenv("ZFREPRO_STORE", str(place / "shared"))
    shared = ResultStore(place / "shared")
    for user in ("ann", "bob", "gone"):
        (place / user).mkdir()
        compute(place / user, "demo", f"k-{user}", user * 1000, store=shared)
    monkeypatch.chdir(place / "ann")
    (place / "gone/results").rename(place / "moved")
    assert {line.split()[0] for line in output(capsys).splitlines()} >= {"demo", f"{place}/bob/results/demo", "(no"}
    text = output(capsys, "--prune")
    assert f"these folders no longer exist, nothing is kept for them: {place}/gone/results" in text
    assert {entry.key for entry in shared.entries()} == {"k-ann", "k-bob"}


def test_pruning_waits_for_no_run_of_this_folder(place):
    """It would delete what the run is about to take."""
    compute(place, "demo", "aa1", "1")
    with manager.run_lock(place / "results"), pytest.raises(UserError, match="another run"):
        command.main(["--prune"])


def test_a_store_that_is_switched_off(place, capsys, monkeypatch):
    compute(place, "demo", "aa1", "1")
    monkeypatch.setenv("ZFREPRO_STORE", "none")
    assert output(capsys).startswith("There is no result store here")


def test_a_key_that_two_experiments_use_is_counted_and_kept(place, capsys):
    compute(place, "demo", "aa1", "1")
    compute(place, "paper", "aa1", "1")
    assert [line.split()[0] for line in output(capsys).splitlines()] == ["demo", "paper", "in"]
    command.main(["--prune"])
    assert ResultStore(place / "results/.store").entry("aa1")
