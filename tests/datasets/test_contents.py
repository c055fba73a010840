"""With times, the listing of a data set's folders changes with every file in them, however well the change is hidden."""

import os

import pytest

from zfrepro.datasets import caltech101, caltech256, contents, counting, imagefolder, voc2012


@pytest.fixture
def folders(tmp_path):
    for name in ("train/cat/1.jpg", "train/dog/1.jpg", "elsewhere/bird/1.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True)
        path.write_text("image")
    (tmp_path / "train/bird").symlink_to(tmp_path / "elsewhere/bird")
    (tmp_path / "val").mkdir()
    return [tmp_path / "train", tmp_path / "val"]


def digest(folders):
    return contents.of_folders(folders, times=True).digest


def replace(path):
    """As `cp -p` or rsync does: another file of the same size and time."""
    about = path.stat()
    path.write_text("other")
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))


@pytest.mark.parametrize(
    "change",
    [
        lambda root: replace(root / "train/cat/1.jpg"),
        lambda root: replace(root / "elsewhere/bird/1.jpg"),
        lambda root: (root / "elsewhere/bird/2.jpg").write_text("image"),
        lambda root: (root / "train/cat/1.jpg").unlink(),
        lambda root: (root / "train/cat").rename(root / "train/lion"),
        lambda root: (root / "train/cat").rename(root / "val/cat"),
        lambda root: os.utime(root / "train/cat/1.jpg", (1, 1)),
    ],
)
def test_a_change_is_seen(folders, change):
    before = digest(folders)
    change(folders[0].parent)
    assert digest(folders) != before


def test_files_that_move_from_one_folder_to_another_are_seen_without_times(folders):
    before = contents.of_folders(folders).digest
    for path in list(folders[0].iterdir()):
        path.rename(folders[1] / path.name)
    assert contents.of_folders(folders).digest != before


def test_nothing_else_is(folders):
    before = digest(folders)
    (folders[0].parent / "notes.txt").write_text("1")
    (folders[0] / ".hidden").write_text("1")
    assert digest(folders) == before
    assert digest([folders[0].parent / "missing"]) == digest([folders[0].parent / "none"])


SETS = {  # data set -> its folder in one that holds several
    caltech101: "caltech101/101_ObjectCategories",
    caltech256: "caltech256/256_ObjectCategories",
    voc2012: "VOCdevkit/VOC2012",
}


@pytest.fixture
def shared(tmp_path):
    """data/ of paper.yaml: several sets side by side."""
    for folder in (*SETS.values(), "imagenet/train/n01440764", "VOCdevkit/VOC2012/Annotations"):
        (tmp_path / folder).mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize(("dataset", "folder"), SETS.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_of_a_folder_of_several_sets_only_the_set_s_own_part_counts(shared, dataset, folder):
    assert contents.roots(dataset.Spec(root=shared)) == [shared / folder]
    assert contents.roots(dataset.Spec(root=shared / folder)) == [shared / folder]


def test_before_it_is_unpacked_the_whole_folder_and_the_archive_count(tmp_path):
    spec = caltech256.Spec(root=tmp_path, archive=tmp_path / "256_ObjectCategories.tar")
    assert contents.roots(spec) == [tmp_path, tmp_path / "256_ObjectCategories.tar"]
    assert contents.roots(imagefolder.Spec(root=tmp_path, train="mine")) == [tmp_path]


def test_a_set_beside_a_large_one_is_counted(shared, monkeypatch):
    counting.forget_listings()
    for i in range(8):
        (shared / f"imagenet/train/n01440764/{i}.JPEG").touch()
    (shared / SETS[caltech101] / "ant").mkdir()
    (shared / SETS[caltech101] / "ant/image_0001.jpg").touch()
    monkeypatch.setattr(counting, "MAX_ENTRIES", 4)
    assert counting.count_in_folder("caltech101", caltech101.Spec(root=shared)).images == 1
