"""States are whole or absent, belong to one key, and make way for finished results."""

import os
import signal

import pytest
import torch

from zfrepro.storage import artifacts
from zfrepro.storage.checkpoints import Store, key, stop_signal


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "state", key("spec", "code"))


def test_a_state_comes_back(store):
    assert store.load_state() is None
    store.save_state({"net": torch.ones(2), "epoch": 3})
    assert store.load_state()["epoch"] == 3


def test_another_key_sees_nothing(store, tmp_path):
    store.save_state({"epoch": 3})
    assert Store(tmp_path / "state", key("spec", "other code")).load_state() is None
    assert key({"a": 1, "b": 2}) == key({"b": 2, "a": 1})


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-20], lambda data: data[:200] + b"x" + data[201:], lambda data: b""]
)
def test_a_damaged_state_is_not_taken_up(store, damage):
    store.save_state({"net": torch.ones(100)})
    [state] = store.states()
    state.write_bytes(damage(state.read_bytes()))
    assert store.load_state() is None


def test_only_the_last_state_is_kept(store):
    for epoch in range(3):
        store.save_state({"epoch": epoch})
    assert len(store.states()) == 1
    assert store.load_state() == {"epoch": 2}
    store.save_state({"epoch": 2})  # the same bytes again
    assert store.load_state() == {"epoch": 2}


@pytest.mark.parametrize(
    "broken_at",
    [
        "torch.save",
        "zfrepro.storage.artifacts.sha256",
        "pathlib.Path.replace",
        "zfrepro.storage.checkpoints.Store.states",
    ],
)
def test_a_kill_at_any_moment_of_saving_leaves_a_whole_state(store, monkeypatch, broken_at):
    class Killed(BaseException):
        pass

    def kill(*_, **__):
        raise Killed

    store.save_state({"epoch": 1})
    with monkeypatch.context() as patch:
        patch.setattr(broken_at, kill)
        with pytest.raises(Killed):
            store.save_state({"epoch": 2})
    assert store.load_state() == {"epoch": 2 if broken_at.endswith("states") else 1}
    store.save_state({"epoch": 3})
    assert store.load_state() == {"epoch": 3}
    assert [path.name for path in store.folder.iterdir()] == [store.states()[0].name]


def test_a_pickled_program_is_not_run(store, tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "evil"),)

    store.save_state({"epoch": 1})
    [state] = store.states()
    torch.save(Evil(), state)
    state.rename(state.with_name(f"state.{artifacts.sha256(state)}.pt"))
    assert store.load_state() is None
    assert not (tmp_path / "evil").exists()


def test_states_go_when_the_result_is_complete(store):
    store.save_state({"epoch": 1})
    store.delete_states()
    assert store.load_state() is None
    assert list(store.folder.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_sets_the_event_and_handlers_come_back(number):
    before = signal.getsignal(number)
    with stop_signal() as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), number)
        assert stop.wait(1)
    assert signal.getsignal(number) is before
