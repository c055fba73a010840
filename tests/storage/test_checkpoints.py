"""States are whole or absent, belong to one key, and make way for finished results."""

import os
import signal
import threading

import pytest
import torch

from zfrepro.storage import artifacts
from zfrepro.storage.checkpoints import BackgroundSaver, Store, key, stop_signal


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


class SlowStore(Store):
    """Saves a state only when `go` is set, and fails at those whose epoch is `broken`."""

    def __init__(self, folder, broken=None):
        super().__init__(folder, key("spec"))
        self.go, self.at_once, self.most, self.broken = threading.Event(), 0, 0, broken

    def save_state(self, state):
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        assert self.go.wait(5)
        if state["epoch"] == self.broken:
            self.at_once -= 1
            raise OSError(28, "No space left on device")
        super().save_state(state)
        self.at_once -= 1


def test_a_state_is_saved_while_the_work_goes_on(tmp_path):
    store = SlowStore(tmp_path)
    with BackgroundSaver(store) as saver:
        assert not saver.busy
        saver.start({"epoch": 1})
        assert saver.busy
        saver.check()  # waits for nothing
        assert store.load_state() is None
        store.go.set()
        saver.finish()
        assert not saver.busy
        assert store.load_state() == {"epoch": 1}


def test_one_state_is_saved_at_a_time_and_the_last_counts(tmp_path):
    store = SlowStore(tmp_path)
    with BackgroundSaver(store) as saver:
        threading.Timer(0.05, store.go.set).start()
        for epoch in range(1, 5):
            saver.start({"epoch": epoch})
    assert store.most == 1
    assert store.load_state() == {"epoch": 4}
    assert len(store.states()) == 1


@pytest.mark.parametrize("call", ["check", "finish", "start"])
def test_a_state_that_could_not_be_saved_is_told_once(tmp_path, call):
    store = SlowStore(tmp_path, broken=2)
    store.go.set()
    with BackgroundSaver(store) as saver:
        saver.start({"epoch": 1})
        saver.start({"epoch": 2})
        while saver.busy:
            threading.Event().wait(0.005)
        with pytest.raises(OSError, match="No space left on device"):
            getattr(saver, call)(*([{"epoch": 3}] if call == "start" else []))
        saver.check()
    assert store.load_state() == {"epoch": 1}


def test_an_error_of_the_work_comes_before_that_of_a_state(tmp_path):
    store = SlowStore(tmp_path, broken=1)

    def fail():
        with BackgroundSaver(store) as saver:
            saver.start({"epoch": 1})
            store.go.set()
            raise KeyError("the work")

    with pytest.raises(KeyError, match="the work"):
        fail()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_sets_the_event_and_handlers_come_back(number):
    before = signal.getsignal(number)
    with stop_signal() as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), number)
        assert stop.wait(1)
    assert signal.getsignal(number) is before
