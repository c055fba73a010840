"""The stage on small trees: what it writes, that nothing half-written stays, bad files, a full disk, signals."""

import errno
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from zfrepro.core.shrinking import thumbnails as shrink
from zfrepro.datasets import imagefolder, parallel
from zfrepro.datasets.base import DecodedImage, Item
from zfrepro.datasets.decoding import UnreadableImageError
from zfrepro.errors import UserError
from zfrepro.stages import prepare
from zfrepro.storage import artifacts, input_digest
from zfrepro.storage.prepared_set import FILES, PreparedSet

SIZE = 16


@pytest.fixture
def tree(tmp_path):
    """train: 3 classes x 8, val: 3 x 2 images of noise around a grey that depends on class and position"""
    random = np.random.default_rng(0)
    root = tmp_path / "images"
    for split, count in (("train", 8), ("val", 2)):
        for label, name in enumerate(("ant", "bee", "cat")):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = 60 * label + 5 * i + random.integers(0, 30, (20 + i, 31 - i, 3))
                Image.fromarray(pixels.astype(np.uint8)).save(root / split / name / f"{i}.png")
    return root


def spec(root, **settings):
    return prepare.Spec(**({"dataset": "imagefolder", "size": SIZE, "options": {"root": str(root)}} | settings))


def prepared(root, out, workers=1, **settings):
    prepare.run(spec(root, **settings), out, workers)
    return PreparedSet(out / "manifest.json")


def spoil(root, *names):
    for name in names:
        (root / name).write_text("not an image")


def manifest_of(dataset):
    """All of manifest.json; stages see a part of it."""
    return json.loads((dataset.folder / "manifest.json").read_text())


def test_everything_is_written_as_documented(tree, tmp_path):
    dataset = prepared(tree, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted([*FILES, "manifest.json"])
    assert dataset.classes == ["ant", "bee", "cat"]
    assert dataset.splits == {"train": (0, 24), "val": (24, 30)}
    assert dataset.images("val").shape == (6, SIZE, SIZE, 3)
    assert dataset.all_images.dtype == np.uint8
    assert dataset.labels("train").tolist() == [0] * 8 + [1] * 8 + [2] * 8
    assert dataset.files("val").tolist() == [f"val/{c}/{i}.png" for c in ("ant", "bee", "cat") for i in (0, 1)]
    assert np.isnan(dataset.boxes("train")).all()
    assert list(dataset.parts().columns) == ["image", "part", "x0", "y0", "x1", "y1"]
    assert len(dataset.parts()) == 0


def test_a_stored_image_is_the_file_resized_and_cropped(tree, tmp_path):
    dataset = prepared(tree, tmp_path / "out")
    with Image.open(tree / "train" / "bee" / "2.png") as image:  # 29 x 22
        expected = image.crop((3, 0, 25, 22)).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    difference = np.asarray(expected, int) - dataset.images("train")[10]
    assert np.abs(difference[:, 3:-3]).max() <= 1  # at the crop's edges, the filter sees what lies beyond


def test_the_mean_is_over_the_first_split_only(tree, tmp_path):
    dataset = prepared(tree, tmp_path / "out")
    assert dataset.mean().dtype == np.float32
    np.testing.assert_allclose(dataset.mean(), dataset.images("train").astype(float).mean(0), rtol=1e-6)


def test_the_manifest_says_what_is_there(tree, tmp_path):
    manifest = manifest_of(prepared(tree, tmp_path / "out"))
    assert manifest["dataset"] == "imagefolder"
    assert manifest["options"]["root"] == str(tree)
    assert manifest["options"]["val_fraction"] == 0
    assert manifest["counts"] == {"train": {"ant": 8, "bee": 8, "cat": 8}, "val": {"ant": 2, "bee": 2, "cat": 2}}
    assert manifest["sha256"] == {name: artifacts.sha256(tmp_path / "out" / name) for name in FILES}
    assert (manifest["skipped"], manifest["object_boxes"], manifest["part_boxes"]) == ([], 0, 0)
    assert set(manifest["versions"]) == {"pillow", "libjpeg_turbo", "numpy"}


def test_workers_change_nothing(tree, tmp_path):
    spoil(tree, "train/bee/3.png")
    serial = prepared(tree, tmp_path / "serial", max_bad=1, thumbnails=(5, 8))
    parallel = prepared(tree, tmp_path / "parallel", workers=2, max_bad=1, thumbnails=(5, 8))
    assert manifest_of(serial) == manifest_of(parallel)
    assert len(manifest_of(serial)["thumbnails"]) == 2


def test_thumbnails_are_those_of_the_stored_images(tree, tmp_path):
    """5 pixels: the areas cut pixels of the 16."""
    spoil(tree, "train/bee/3.png")
    dataset = prepared(tree, tmp_path / "out", max_bad=1, thumbnails=(8, 5, 8))
    for size in (5, 8):
        assert np.array_equal(dataset.thumbnails(size, None), shrink(dataset.all_images, size).numpy())
        assert np.array_equal(dataset.thumbnails(size, "val"), shrink(dataset.images("val"), size).numpy())
    by_hand = dataset.all_images.reshape(29, 8, 2, 8, 2, 3).mean((2, 4), dtype=np.float32)
    assert np.array_equal(dataset.thumbnails(8, None), by_hand)
    names = ["thumbnails5.npy", "thumbnails8.npy"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted([*FILES, "manifest.json", *names])
    assert manifest_of(dataset)["thumbnails"] == {name: artifacts.sha256(tmp_path / "out" / name) for name in names}


def test_thumbnails_are_no_part_of_what_trainings_depend_on(tree, tmp_path):
    digests = {
        input_digest.of_manifest(prepared(tree, tmp_path / str(sizes), thumbnails=sizes).folder / "manifest.json")
        for sizes in ((), (5,), (5, 8))
    }
    assert len(digests) == 1


def test_thumbnails_of_another_size_replace_those_there_were(tree, tmp_path):
    prepared(tree, tmp_path / "out", thumbnails=(5,))
    dataset = prepared(tree, tmp_path / "out", thumbnails=(8,))
    assert [path.name for path in (tmp_path / "out").glob("thumbnails*")] == ["thumbnails8.npy"]
    with pytest.raises(UserError, match=r"out: was prepared without thumbnails of 5 pixels"):
        dataset.thumbnails(5, "train")


class Boxed:
    """A data set of two wide images with boxes, 40 x 20, of which the middle 20 x 20 are stored"""

    Spec = imagefolder.Spec
    boxes = ((15, 5, 25, 20), (0, 0, 9, 20))

    def listing(self, options):
        return prepare.Listing(["a", "b"], {"all": [Item("0", 0), Item("1", 1)]})

    def load(self, options, item):
        parts = {"eye": (10, 0, 12, 2), "tail": (36, 0, 40, 4)}
        return DecodedImage(Image.new("RGB", (40, 20)), self.boxes[int(item.key)], parts if item.key == "1" else {})


def test_boxes_are_stored_in_stored_pixels(tmp_path, monkeypatch):
    monkeypatch.setattr(prepare, "_module", lambda spec: Boxed())
    dataset = prepared(tmp_path, tmp_path / "out", size=40)
    np.testing.assert_array_equal(dataset.boxes("all"), [[10, 10, 30, 40], [np.nan] * 4])
    assert dataset.parts().values.tolist() == [[1, "eye", 0, 0, 4, 4]]
    assert (manifest_of(dataset)["object_boxes"], manifest_of(dataset)["part_boxes"]) == (1, 1)


class Several:
    """A data set whose images have up to two of three classes, in two splits; its last image cannot be read"""

    Spec = imagefolder.Spec
    train = (Item("0", 0, present=(0, 2)), Item("1", 1, present=(1,), difficult=(0,)), Item("2", 2, difficult=(1, 2)))
    val = (Item("3", 2, present=(0, 1, 2)), Item("4", 2), Item("5", 1, present=(1,)))

    def listing(self, options):
        return prepare.Listing(["a", "b", "c"], {"train": list(self.train), "val": list(self.val)})

    def load(self, options, item):
        if item.key == "5":
            raise UnreadableImageError(Path("5.png"), "truncated")
        return DecodedImage(Image.new("RGB", (20, 20)))


def test_several_classes_per_image_are_stored_as_presence(tmp_path, monkeypatch):
    monkeypatch.setattr(prepare, "_module", lambda spec: Several())
    dataset = prepared(tmp_path, tmp_path / "out", max_bad=1)
    assert dataset.presence("train").dtype == np.int8
    assert dataset.presence("train").tolist() == [[1, 0, 1], [-1, 1, 0], [0, -1, -1]]
    assert dataset.presence("val").tolist() == [[1, 1, 1], [0, 0, 1]]
    assert dataset.labels("train").tolist() == [0, 1, 2]
    assert manifest_of(dataset)["counts"] == {"train": {"a": 1, "b": 1, "c": 1}, "val": {"a": 1, "b": 1, "c": 2}}
    with pytest.raises(UserError, match="has no split 'all'"):
        dataset.presence("all")


def test_a_class_without_an_image_is_named(tmp_path, monkeypatch):
    several = Several()
    several.train = Several.train[1:]  # a and c are there in difficult objects alone
    monkeypatch.setattr(prepare, "_module", lambda spec: several)
    with pytest.raises(UserError, match=r"split train: no image of class a, c \(2 such classes\)"):
        prepared(tmp_path, tmp_path / "out", max_bad=1)


def test_one_class_per_image_leaves_the_index_as_it_was(tree, tmp_path):
    """The same bytes as before there were sets with several classes: the networks trained on them stay valid."""
    dataset = prepared(tree, tmp_path / "out")
    files = [f"{s}/{c}/{i}.png" for s, n in (("train", 8), ("val", 2)) for c in ("ant", "bee", "cat") for i in range(n)]
    artifacts.save_arrays(
        tmp_path / "before.npz",
        labels=np.array([0] * 8 + [1] * 8 + [2] * 8 + [0, 0, 1, 1, 2, 2], np.int64),
        boxes=np.full((30, 4), np.nan, np.float32),
        files=np.array(files, np.str_),
    )
    assert (tmp_path / "out" / "index.npz").read_bytes() == (tmp_path / "before.npz").read_bytes()
    with pytest.raises(UserError, match=r"out: its images have one class each; use a set with several"):
        dataset.presence("train")


def test_bad_files_stop_the_stage_and_are_named(tree, tmp_path):
    spoil(tree, "train/bee/3.png", "val/cat/0.png")
    cut = (tree / "train" / "ant" / "0.png").read_bytes()
    (tree / "train" / "ant" / "0.png").write_bytes(cut[: len(cut) // 2])
    with pytest.raises(UserError) as stopped:
        prepared(tree, tmp_path / "out", max_bad=2)
    message = str(stopped.value)
    assert message.startswith("3 files cannot be read, and max_bad allows 2:\n  train/ant/0.png: cannot be read (")
    assert "\n  train/bee/3.png: not an image in a supported format" in message
    assert "\n  val/cat/0.png: " in message
    assert message.endswith("raise `max_bad` to leave them out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_file_s_name_cannot_steer_the_terminal_or_add_a_line(tree, tmp_path):
    spoil(tree, "train/bee/a\nb\x1b[2J.png")
    with pytest.raises(UserError, match=r"\n  train/bee/a\ufffdb\ufffd\[2J\.png: not an image"):
        prepared(tree, tmp_path / "out")


def test_up_to_max_bad_they_are_left_out_and_listed(tree, tmp_path):
    spoil(tree, "train/bee/3.png", "val/cat/0.png")
    dataset = prepared(tree, tmp_path / "out", max_bad=2)
    assert dataset.splits == {"train": (0, 23), "val": (23, 28)}
    assert len(dataset.all_images) == 28
    assert "train/bee/3.png" not in dataset.files("train")
    assert dataset.labels("val").tolist() == [0, 0, 1, 1, 2]
    assert [(bad["file"], bad["split"]) for bad in manifest_of(dataset)["skipped"]] == [
        ("train/bee/3.png", "train"),
        ("val/cat/0.png", "val"),
    ]
    assert "not an image" in manifest_of(dataset)["skipped"][0]["reason"]
    clean = prepared(tree, tmp_path / "again", max_bad=5)
    assert manifest_of(clean) == manifest_of(dataset)


def test_far_too_many_bad_files_stop_it_early(tmp_path):
    for name in ("ant", "bee"):
        (tmp_path / "p" / name).mkdir(parents=True)
        for i in range(40):
            (tmp_path / "p" / name / f"{i:02d}.jpg").write_text("not an image")
    with pytest.raises(UserError, match=r"at least 21 files cannot be read(.|\n)*  and 1 more"):
        prepared(tmp_path / "p", tmp_path / "out")


def test_a_class_that_is_empty_after_skipping_is_named(tree, tmp_path):
    spoil(tree, "val/cat/0.png", "val/cat/1.png")
    with pytest.raises(UserError, match="split val: every file of class cat is unreadable"):
        prepared(tree, tmp_path / "out", max_bad=9)
    assert list((tmp_path / "out").iterdir()) == []


def test_too_little_disk_space_is_reported_before_anything_is_written(tree, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=10_000))
    with pytest.raises(UserError, match=r"out: 1.42e-05 GB more disk space needed: 30 images at 16 x 16"):
        prepared(tree, tmp_path / "out")  # 30 * 16 * 16 * 3 * 1.05 = 24192 bytes
    with pytest.raises(UserError, match=r"out: 2.36e-05 GB more disk space needed: 30 images at 16 x 16"):
        prepared(tree, tmp_path / "out", thumbnails=(5,))  # and 30 * 5 * 5 * 3 * 4 * 1.05 = 9450
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    "name", ["images.npy", "thumbnails5.npy", "index.npz", "mean.npy", "parts.csv", "manifest.json"]
)
def test_a_disk_that_gets_full_leaves_no_manifest_and_no_half_file(tree, tmp_path, monkeypatch, name):
    replace = os.replace

    def full(source, target):
        if os.path.basename(target) == name:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UserError, match="the disk is full"):
        prepared(tree, tmp_path / "out", thumbnails=(5,))
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert "manifest.json" not in left
    assert left <= {*FILES, "thumbnails5.npy"}
    monkeypatch.undo()
    assert prepared(tree, tmp_path / "out").count == 30


def test_a_failed_run_leaves_an_earlier_result_whole(tree, tmp_path):
    before = manifest_of(prepared(tree, tmp_path / "out", thumbnails=(5,)))
    spoil(tree, "train/ant/1.png")
    with pytest.raises(UserError, match=r"ant/1.png"):
        prepared(tree, tmp_path / "out", thumbnails=(5,))
    after = PreparedSet(tmp_path / "out" / "manifest.json")
    assert manifest_of(after) == before
    assert artifacts.sha256(tmp_path / "out" / "images.npy") == before["sha256"]["images.npy"]
    assert artifacts.sha256(tmp_path / "out/thumbnails5.npy") == before["thumbnails"]["thumbnails5.npy"]


def test_what_a_killed_run_left_is_removed(tree, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".images.npy.4711.tmp").write_bytes(b"half")
    (tmp_path / "out" / ".thumbnails5.npy.4711.tmp").write_bytes(b"half")
    prepared(tree, tmp_path / "out")
    assert not list((tmp_path / "out").glob(".*"))


def test_a_split_without_a_class_is_refused(tmp_path, monkeypatch):
    lacking = SimpleNamespace(
        Spec=imagefolder.Spec, listing=lambda options: prepare.Listing(["a", "b"], {"all": [Item("0", 1)]})
    )
    monkeypatch.setattr(prepare, "_module", lambda spec: lacking)
    with pytest.raises(UserError, match="split all: no image of class a"):
        prepared(tmp_path, tmp_path / "out")


def test_options_are_checked_against_the_data_set(tmp_path):
    assert prepare.parse_options(spec(tmp_path)) == imagefolder.Spec(root=tmp_path)
    with pytest.raises(ValidationError, match="clases"):
        prepare.parse_options(spec(tmp_path, options={"root": str(tmp_path), "clases": 3}))
    with pytest.raises(ValidationError, match="root"):
        prepare.parse_options(spec(tmp_path, options={}))


@pytest.mark.parametrize(
    "wrong",
    [{"dataset": "mnist"}, {"size": 0}, {"max_bad": -1}, {"colour": 1}, {"thumbnails": [0]}, {"thumbnails": [17]}],
)
def test_wrong_settings_are_refused(tmp_path, wrong):
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        spec(tmp_path, **wrong)


def test_progress_is_one_json_line_now_and_then(tree, tmp_path, capsys, monkeypatch):
    prepared(tree, tmp_path / "seldom")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["done"], line["of"], line["skipped"]) for line in lines] == [(30, 30, 0)]
    monkeypatch.setattr(prepare, "REPORT_EVERY", 0.0)
    prepared(tree, tmp_path / "often")
    assert len(capsys.readouterr().out.splitlines()) == 30


@pytest.mark.parametrize("count", [0, 9, 1_281_167, 10**12])
def test_the_header_has_one_length_whatever_the_count(count):
    assert len(prepare._header(count, 256, "|u1")) == len(prepare._header(1, 256, "|u1"))


def broken(options, item):
    raise TypeError("a bug")


def test_a_bug_is_not_mistaken_for_a_bad_file():
    with pytest.raises(TypeError, match="a bug"):
        list(parallel.decode_all(broken, None, [Item("0", 0)], SIZE, workers=1))


def of_threads(options, item):
    """An image of as many grey levels as torch has threads."""
    import torch

    return DecodedImage(Image.new("RGB", (8, 8), (torch.get_num_threads(),) * 3))


def test_a_worker_computes_with_one_thread(monkeypatch):
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):  # as Snakemake sets them
        monkeypatch.setenv(name, "2")
    first, second = parallel.decode_all(of_threads, None, [Item("0", 0), Item("1", 0)], 8, workers=2, small_sizes=(4,))
    assert second.pixels.max() == 1  # of the threads after the first image was shrunk
    assert first.thumbnails[0].shape == (4, 4, 3)


def dying(options, item):
    os._exit(9)


def test_a_worker_that_dies_is_reported_and_not_waited_for():
    with pytest.raises(UserError, match="a worker process died"):
        list(parallel.decode_all(dying, None, [Item("0", 0)], SIZE, workers=2))


@pytest.fixture
def long_run(tmp_path):
    """The stage in a process group of its own, with two workers in the midst of many images"""
    for name in ("ant", "bee"):
        (tmp_path / "large" / name).mkdir(parents=True)
    first = tmp_path / "large" / "ant" / "0.jpg"
    Image.effect_noise((700, 700), 60).convert("RGB").save(first, quality=95)
    for i in range(1, 2000):
        os.link(first, tmp_path / "large" / ("ant", "bee")[i % 2] / f"{i}.jpg")
    code = f"""
import signal
from pathlib import Path
from zfrepro.datasets import parallel
from zfrepro.stages import prepare
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
prepare.REPORT_EVERY = 0.0
parallel.CHUNK = 4
spec = prepare.Spec(dataset="imagefolder", size=8, options={{"root": {str(tmp_path / "large")!r}}})
prepare.run(spec, Path({str(tmp_path / "out")!r}), workers=2)
"""
    running = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    assert json.loads(running.stdout.readline())["done"] == 1
    yield running
    running.stdout.close()
    if group_lives(running.pid):
        os.killpg(running.pid, signal.SIGKILL)
    running.wait()


def group_lives(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(("name", "whole_group"), [(signal.SIGTERM, True), (signal.SIGKILL, False)])
def test_a_signal_ends_the_stage_and_its_workers_at_once(long_run, tmp_path, name, whole_group):
    (os.killpg if whole_group else os.kill)(long_run.pid, name)
    assert long_run.wait(timeout=10) != 0
    patience = time.monotonic() + 5
    while group_lives(long_run.pid) and time.monotonic() < patience:
        time.sleep(0.05)
    assert not group_lives(long_run.pid)
    left = list((tmp_path / "out").iterdir())
    assert left == [] or name == signal.SIGKILL
    assert not (tmp_path / "out" / "manifest.json").exists()


@pytest.fixture
def signals():
    """Both as in a program of its own; what pytest does with them comes back."""
    before = {name: signal.getsignal(name) for name in (signal.SIGTERM, signal.SIGINT)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for name, handler in before.items():
        signal.signal(name, handler)


@pytest.mark.parametrize(
    ("name", "to_workers", "error"),
    [(signal.SIGTERM, False, SystemExit), (signal.SIGINT, True, KeyboardInterrupt)],
)
def test_a_signal_at_the_first_image_leaves_no_worker_and_no_file(
    tree, tmp_path, monkeypatch, signals, name, to_workers, error
):
    def interrupt(done, skipped):
        assert len(multiprocessing.active_children()) == 2
        for worker in multiprocessing.active_children() if to_workers else ():
            os.kill(worker.pid, name)
        os.kill(os.getpid(), name)

    monkeypatch.setattr(prepare, "_progress_reporter", lambda total: interrupt)
    monkeypatch.setattr(parallel, "CHUNK", 1)
    with pytest.raises(error):
        prepared(tree, tmp_path / "out", workers=2)
    assert multiprocessing.active_children() == []
    assert list((tmp_path / "out").iterdir()) == []


def test_importing_the_stage_imports_neither_torch_nor_a_data_set():
    code = """
import sys, zfrepro.stages.prepare, zfrepro.datasets.imagefolder
assert "torch" not in sys.modules and "torchvision" not in sys.modules
assert not {"zfrepro.datasets.imagenet", "zfrepro.datasets.scenes"} & set(sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_the_code_of_one_data_set_is_not_that_of_another():
    from zfrepro.storage.source_code import Package

    assert {name for name in Package().closure("stages.prepare") if name.startswith("datasets.")} == {
        "datasets.base",
        "datasets.contents",
        "datasets.decoding",
        "datasets.exif",
        "datasets.formats",
        "datasets.parallel",
        "datasets.walk",
    }
    assert "datasets.imagenet" not in Package().closure("stages.prepare", "datasets.caltech101")
