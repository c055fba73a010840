"""The store gives back what was put in, whole or not at all: after damage, kills, full disks, and while others use it."""

import errno
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from zfrepro.errors import UserError
from zfrepro.storage import artifacts, result_store
from zfrepro.storage.result_store import ResultStore
from zfrepro.storage.store_folder import store_folder

KEY = "ab" + "0" * 30
PARTS = {"stage": "folds", "code": "1"}


@pytest.fixture
def store(tmp_path):
    return ResultStore(tmp_path / "store")


def key_of(number):
    return f"{number % 256:02x}{number:030x}"


def make(folder, **texts):
    """Files as stages write them: never into one that is there, which may be a link to an object of the store."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        artifacts.save_text(folder / f"{name}.txt", text)
    return folder


def add(store, folder, key=KEY, seconds=1.5):
    store.add(
        key, "folds", PARTS, folder, sorted(path.name for path in folder.iterdir() if path.name[0] != "."), seconds
    )


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def flip(path):
    about, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


def entry_path(store, key=KEY):
    return store.root / "results" / key[:2] / f"{key[2:]}.json"


def objects_are_whole(store):
    return all(artifacts.sha256(store.object_path(digest)) == digest for digest in store.objects())


# In and out


def test_what_is_added_is_taken(store, tmp_path):
    add(store, make(tmp_path / "a", one="1", two="2"))
    entry = store.take(KEY, tmp_path / "b")
    assert contents(tmp_path / "b") == {"one.txt": "1", "two.txt": "2"}
    assert (entry.stage, entry.seconds, entry.parts) == ("folds", 1.5, PARTS)
    assert (tmp_path / "b/one.txt").stat().st_ino == (tmp_path / "a/one.txt").stat().st_ino  # no second copy
    assert [entry.key for entry in store.entries()] == [KEY]
    assert sorted(store.objects().values()) == [1, 1]


def test_nothing_is_taken_for_another_key(store, tmp_path):
    add(store, make(tmp_path / "a", one="1"))
    assert store.take(key_of(1), tmp_path / "b") is None
    assert not (tmp_path / "b").exists()


def test_files_that_are_there_are_replaced(store, tmp_path):
    add(store, make(tmp_path / "a", one="1"))
    make(tmp_path / "b", one="older", other="stays")
    store.take(KEY, tmp_path / "b")
    assert contents(tmp_path / "b") == {"one.txt": "1", "other.txt": "stays"}


def test_a_result_that_is_replaced_leaves_the_store_as_it_is(store, tmp_path):
    add(store, make(tmp_path / "a", one="1"))
    artifacts.save_text(tmp_path / "a/one.txt", "2")
    store.take(KEY, tmp_path / "b")
    assert contents(tmp_path / "b") == {"one.txt": "1"}


def test_equal_files_are_stored_once(store, tmp_path):
    add(store, make(tmp_path / "a", one="1", two="1"))
    add(store, make(tmp_path / "b", one="1"), key_of(1))
    assert len(store.objects()) == 1


# Damage


def damage_flip(path):
    flip(path)


def damage_cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def damage_delete(path):
    path.unlink()


@pytest.mark.parametrize("damage", [damage_flip, damage_cut, damage_delete])
def test_a_damaged_object_is_not_served_and_can_be_added_again(store, tmp_path, damage):
    make(tmp_path / "a", one="first", two="second")
    add(store, tmp_path / "a")
    path = store.object_path(artifacts.sha256(tmp_path / "a/two.txt"))
    shutil.copy(path, tmp_path / "spare")  # else the damage is done to the result as well
    os.replace(tmp_path / "spare", path)
    damage(path)
    assert store.take(KEY, tmp_path / "b") is None
    assert not (tmp_path / "b").exists()
    assert not path.exists()
    add(store, tmp_path / "a")
    store.take(KEY, tmp_path / "b")
    assert contents(tmp_path / "b") == {"one.txt": "first", "two.txt": "second"}


def with_entry(change):
    """An entry with other content, whose digest of itself is right."""

    def edit(text):
        stored = json.loads(text)
        del stored["sha256"]
        change(stored)
        return json.dumps({**stored, "sha256": result_store._digest(stored)})

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: "",
        lambda text: text[:-20],
        lambda text: "[1]",
        lambda text: "null",
        lambda text: "{}",
        lambda text: "[" * 100_000,
        lambda text: text.replace('"one.txt"', '"onf.txt"'),
        lambda text: text.replace('"seconds": 1.5', '"seconds": 2.5'),
        lambda text: text.replace('"code": "1"', '"code": "2"'),
        with_entry(lambda stored: stored.update(files={})),
        with_entry(lambda stored: stored.update(files=["one.txt"])),
        with_entry(lambda stored: stored.update(key=key_of(7))),
        with_entry(lambda stored: stored.update(seconds="long")),
        with_entry(lambda stored: stored.update(files={"../one.txt": next(iter(stored["files"].values()))})),
        with_entry(lambda stored: stored.update(files={"a/../../one.txt": next(iter(stored["files"].values()))})),
        with_entry(lambda stored: stored.update(files={"/tmp/one.txt": next(iter(stored["files"].values()))})),
        with_entry(lambda stored: stored.update(files={"": next(iter(stored["files"].values()))})),
    ],
)
def test_a_damaged_or_foreign_entry_is_none(store, tmp_path, edit):
    add(store, make(tmp_path / "a", one="1"))
    path = entry_path(store)
    edited = edit(path.read_text())
    assert edited != path.read_text()
    path.write_text(edited)
    assert store.take(KEY, tmp_path / "b/c") is None
    assert not (tmp_path / "b").exists()
    assert set(tmp_path.iterdir()) == {tmp_path / "a", tmp_path / "store"}


def test_an_entry_that_names_a_file_outside_deletes_nothing(store, tmp_path):
    add(store, make(tmp_path / "a", one="1"))
    edited = with_entry(lambda stored: stored.update(files={"one.txt": f"..{tmp_path}/a/one.txt"}))
    entry_path(store).write_text(edited(entry_path(store).read_text()))
    assert store.take(KEY, tmp_path / "b") is None
    assert contents(tmp_path / "a") == {"one.txt": "1"}


def test_an_entry_under_another_key_is_none(store, tmp_path):
    add(store, make(tmp_path / "a", one="1"))
    other = entry_path(store, key_of(3))
    other.parent.mkdir(parents=True)
    shutil.copy(entry_path(store), other)
    assert store.entry(key_of(3)) is None


# Kills, and others at the same time


def add_for_ever(root, folder):
    """Endlessly new results of three files, of which one is always the same; fast, since no power fails."""
    os.fsync = lambda number: None
    store, number = ResultStore(Path(root)), 0
    while True:
        number += 1
        out = make(Path(folder) / "job", one=f"{os.getpid()} {number}", two="x" * 20_000, three=f"{number % 3}")
        add(store, out, key_of(1000 * (os.getpid() % 1000) + number % 50))


def test_a_kill_at_any_moment_leaves_whole_entries_only(store, tmp_path, monkeypatch):
    context, clock = multiprocessing.get_context("fork"), random.Random(0)
    for kill in range(12):
        writer = context.Process(target=add_for_ever, args=(store.root, tmp_path / f"killed{kill}"))
        writer.start()
        time.sleep(0.02 + 0.02 * clock.random())
        os.kill(writer.pid, signal.SIGKILL)
        writer.join()
    keys = [path.parent.name + path.stem for path in (store.root / "results").glob("??/[!.]*.json")]
    assert len(keys) > 2
    assert [key for key in keys if store.take(key, tmp_path / "out") is None] == []
    assert objects_are_whole(store)
    leftovers = list(store.root.rglob("*.tmp"))
    store.prune(lambda: ())
    assert [path for path in store.root.rglob("*") if path.is_file()] == leftovers  # another run might be writing them
    monkeypatch.setattr(result_store, "ABANDONED", 0)
    store.prune(lambda: ())
    assert [path for path in store.root.rglob("*") if path.is_file()] == []


def add_and_take(root, folder, seed, failures):
    store, random_numbers, taken = ResultStore(Path(root)), random.Random(seed), Path(folder) / f"{seed}-taken"
    for _ in range(150):
        number = random_numbers.randrange(20)
        text = f"result {number}"
        if random_numbers.random() < 0.5:
            add(store, make(Path(folder) / f"{seed}-{number}", one=text, two="shared"), key_of(number))
        elif store.take(key_of(number), taken) and contents(taken) != {"one.txt": text, "two.txt": "shared"}:
            failures.put(number)
        if random_numbers.random() < 0.05:
            store.prune(lambda: {key_of(even) for even in range(0, 20, 2)})


def test_several_add_take_and_prune_at_once(store, tmp_path):
    context = multiprocessing.get_context("fork")
    failures = context.Queue()
    workers = [context.Process(target=add_and_take, args=(store.root, tmp_path, seed, failures)) for seed in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert failures.empty()
    assert objects_are_whole(store)
    store.prune(lambda: {key_of(even) for even in range(0, 20, 2)})
    for entry in store.entries():
        assert store.take(entry.key, tmp_path / "last"), entry


def test_two_with_the_same_number_of_process_do_not_meet(store, tmp_path, monkeypatch):
    """As on two machines, or in two containers, that share a store."""
    monkeypatch.setattr(os, "getpid", lambda: 7)
    folders = [make(tmp_path / f"a{i}", one="1") for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda folder: [add(store, folder) for _ in range(20)], folders))
    assert store.take(KEY, tmp_path / "b")
    assert [contents(folder) for folder in folders] == [{"one.txt": "1"}] * 8


# Disks


@pytest.mark.parametrize(("module", "name"), [(os, "link"), (os, "replace"), (os, "fsync"), (Path, "mkdir")])
def test_a_full_disk_raises_and_leaves_no_entry(store, tmp_path, monkeypatch, module, name):
    make(tmp_path / "a", one="1")

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(module, name, full)
        if name == "link":
            patch.setattr(shutil, "copyfile", full)
        with pytest.raises(OSError, match="No space left") as raised:
            add(store, tmp_path / "a")
    assert result_store.explain(raised.value) == "its disk is full"
    assert store.entry(KEY) is None
    assert contents(tmp_path / "a") == {"one.txt": "1"}
    add(store, tmp_path / "a")
    assert store.take(KEY, tmp_path / "b")


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 256 kB of its own, where the tests may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_disk_that_is_really_full(small_disk, tmp_path):
    store = ResultStore(small_disk / "store")
    add(store, make(tmp_path / "a", one="1"))
    large = make(tmp_path / "b", one="2", two="x" * 300_000)
    with pytest.raises(OSError, match="No space left"):
        add(store, large, key_of(1))
    assert store.take(KEY, tmp_path / "c")  # copied from one disk to the other
    assert (tmp_path / "c/one.txt").stat().st_dev == tmp_path.stat().st_dev
    assert store.entry(key_of(1)) is None
    assert list((store.root / "objects").rglob(".*")) == []
    assert objects_are_whole(store)
    assert contents(large) == {"one.txt": "2", "two.txt": "x" * 300_000}


@pytest.mark.parametrize("number", [errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP])
def test_files_are_copied_where_they_cannot_be_linked(store, tmp_path, monkeypatch, number):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    add(store, make(tmp_path / "a", one="1"))
    store.take(KEY, tmp_path / "b")
    assert contents(tmp_path / "b") == {"one.txt": "1"}
    assert len({path.stat().st_ino for path in (*(tmp_path / "a").iterdir(), *(tmp_path / "b").iterdir())}) == 2


def test_a_copy_that_differs_is_an_error(store, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(shutil, "copyfile", lambda source, target: Path(target).write_text("other"))
    with pytest.raises(OSError, match="the copy differs"):
        add(store, make(tmp_path / "a", one="1"))
    assert store.entry(KEY) is None
    assert store.objects() == {}


def test_a_store_may_lie_on_another_file_system(tmp_path):
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is one file system only")
    store = ResultStore(shared / f"zfrepro-test-{os.getpid()}")
    try:
        add(store, make(tmp_path / "a", one="1"))
        store.take(KEY, tmp_path / "b")
        assert contents(tmp_path / "b") == {"one.txt": "1"}
        assert (tmp_path / "a/one.txt").stat().st_nlink == 1
    finally:
        shutil.rmtree(store.root)


def test_clocks_play_no_part(store, tmp_path):
    make(tmp_path / "a", one="1", two="2")
    os.utime(tmp_path / "a/one.txt", (0, 0))
    os.utime(tmp_path / "a/two.txt", (2**33, 2**33))
    add(store, tmp_path / "a")
    os.utime(entry_path(store), (2**33, 2**33))
    assert store.take(KEY, tmp_path / "b")
    store.prune(lambda: {KEY})
    assert store.take(KEY, tmp_path / "c")


# Of several users


def test_a_store_is_made_with_the_rights_that_the_user_grants(tmp_path):
    old = os.umask(0o002)
    try:
        store = ResultStore(tmp_path / "store")
        add(store, make(tmp_path / "a", one="1"))
    finally:
        os.umask(old)
    folders = [path for path in store.root.rglob("*") if path.is_dir()]
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o775}
    assert entry_path(store).stat().st_mode & 0o777 == 0o664


def test_a_damaged_object_of_another_user_is_not_served_though_it_cannot_be_deleted(store, tmp_path, monkeypatch):
    add(store, make(tmp_path / "a", one="1"))
    flip(store.object_path(next(iter(store.objects()))))

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    assert store.take(KEY, tmp_path / "b") is None


def test_the_folder_of_the_store(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ZFREPRO_STORE", raising=False)
    assert store_folder() is None
    (tmp_path / "results").mkdir()
    assert store_folder() == Path("results/.store")
    monkeypatch.setenv("ZFREPRO_STORE", "none")
    assert store_folder() is None
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ZFREPRO_STORE", "~/shared")
    assert store_folder() == tmp_path / "home/shared"


def test_a_store_that_cannot_be_made_is_named_before_the_run(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ZFREPRO_STORE", str(tmp_path / "file/store"))
    with pytest.raises(
        UserError, match=r"file/store: cannot be used as the result store .*; set ZFREPRO_STORE to another"
    ):
        result_store.prepare_folder(tmp_path / "results")


def test_a_full_disk_does_not_stop_a_run_before_it_begins(tmp_path, monkeypatch):
    monkeypatch.setenv("ZFREPRO_STORE", str(tmp_path / "store"))

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(ResultStore, "register", full)
    result_store.prepare_folder(tmp_path / "results")


# Pruning


def record(results, name, stage, key):
    folder = results / name
    folder.mkdir(parents=True, exist_ok=True)
    artifacts.save_json(result_store.record_path(stage, folder / ("x.json" if stage == "probes" else "")), {"key": key})


def test_prune_deletes_what_is_not_used_and_nothing_else(store, tmp_path):
    for number in range(3):
        add(store, make(tmp_path / str(number), one=str(number), two="shared"), key_of(number))
    freed = store.prune(lambda: {key_of(1)})
    assert freed == 2
    assert [entry.key for entry in store.entries()] == [key_of(1)]
    assert store.take(key_of(1), tmp_path / "out")
    assert sorted(store.objects().values()) == [1, 6]
    assert store.prune(lambda: {key_of(1)}) == 0


def test_prune_deletes_damaged_entries_and_what_they_named(store, tmp_path):
    add(store, make(tmp_path / "a", one="1"))
    entry_path(store).write_text("{")
    assert store.prune(lambda: set()) == 1
    assert [path for path in store.root.rglob("*") if path.is_file()] == []


def test_what_another_run_adds_while_pruning_stays(store, tmp_path):
    add(store, make(tmp_path / "old", one="old"))

    def meanwhile():
        add(store, make(tmp_path / "new", one="new"), key_of(1))
        return set()

    store.prune(meanwhile)
    assert [entry.key for entry in store.entries()] == [key_of(1)]
    assert store.take(key_of(1), tmp_path / "out")


def test_files_pruned_before_their_entry_was_written_are_added_again(store, tmp_path, monkeypatch):
    save = artifacts.save_json

    def prune_first(path, value):
        ResultStore(store.root).prune(lambda: set())
        save(path, value)

    monkeypatch.setattr(result_store.artifacts, "save_json", prune_first)
    add(store, make(tmp_path / "a", one="1"))
    assert store.take(KEY, tmp_path / "b")


def test_the_keys_in_use_are_those_of_all_experiments_of_a_folder(tmp_path):
    results = tmp_path / "results"
    record(results, "demo/folds/caltech101", "folds", "k1")
    record(results, "demo/probes/caltech101", "probes", "k2")
    record(results, "paper/features/caltech101/hog", "features", "k3")
    record(results, ".store/results/ab", "folds", "k4")
    (results / "demo/folds/caltech256").mkdir(parents=True)
    for name, text in {"voc2012": "{", "caltech256": "[]", "other": '{"taken": true}'}.items():
        make(results / f"demo/folds/{name}").joinpath(".result.json").write_text(text)
    assert result_store.used_keys(results) == {"k1": {"demo"}, "k2": {"demo"}, "k3": {"paper"}}


def test_folders_are_registered_once(store, tmp_path):
    for _ in range(2):
        store.register(tmp_path / "a/results")
        store.register(tmp_path / "b/results")
    assert sorted(store.folders()) == [tmp_path / "a/results", tmp_path / "b/results"]


def test_many_entries(store, tmp_path):
    """2,000 here, with files written as the store writes them; 100,000 were measured by hand."""
    fill(store, 2_000)
    add(store, make(tmp_path / "a", one="mine"))
    start = time.process_time()
    assert store.take(KEY, tmp_path / "b")
    assert time.process_time() - start < 0.1
    assert store.prune(lambda: {KEY, key_of(1_999)}) == sum(len(str(number)) for number in range(1_999))
    assert {entry.key for entry in store.entries()} == {KEY, key_of(1_999)}


def fill(store, count):
    """Entries with one file each, without waiting for the disk."""
    for number in range(count):
        content, key = str(number).encode(), key_of(number)
        digest = artifacts.hashlib.sha256(content).hexdigest()
        stored = {"key": key, "stage": "folds", "files": {"one.txt": digest}, "seconds": 1.0, "parts": PARTS}
        for path, text in (
            (store.object_path(digest), content),
            (entry_path(store, key), json.dumps({**stored, "sha256": result_store._digest(stored)}).encode()),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text)
