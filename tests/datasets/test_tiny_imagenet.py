"""The reader of Tiny-ImageNet on a tree of its layout: names, boxes, subsets, and what is missing or malformed."""

import pytest
from PIL import Image

from zfrepro.datasets import tiny_imagenet
from zfrepro.errors import UserError

WORDS = {"n01": "crane", "n02": "crane, hoist", "n03": "lion, king of beasts, Panthera leo", "n99": "unlisted"}


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "tiny-imagenet-200"
    for name in ("n01", "n02", "n03"):
        folder = root / "train" / name / "images"
        folder.mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (64, 64), "teal").save(folder / f"{name}_{i}.JPEG")
        lines = [f"{name}_{i}.JPEG\t{i}\t2\t{10 + i}\t63\n" for i in range(3)]
        (root / "train" / name / f"{name}_boxes.txt").write_text("".join(lines))
    (root / "val" / "images").mkdir(parents=True)
    for i in range(4):
        Image.new("RGB", (64, 64), "teal").save(root / "val" / "images" / f"val_{i}.JPEG")
    rows = [f"val_{i}.JPEG\tn0{3 - i % 3}\t0\t{i}\t31\t31\n" for i in range(4)]
    (root / "val" / "val_annotations.txt").write_text("".join(rows))
    (root / "wnids.txt").write_text("n03\nn01\nn02\n")
    (root / "words.txt").write_text("".join(f"{name}\t{words}\n" for name, words in WORDS.items()))
    return root


def listed(root, **options):
    return tiny_imagenet.listing(tiny_imagenet.Spec(root=root, **options))


def test_names_are_the_first_synonym_made_unique(root):
    assert listed(root).classes == ["crane (n01)", "crane (n02)", "lion"]


def test_training_images_carry_their_box_with_its_last_pixel_inside(root):
    first = listed(root).splits["train"][1]
    assert (first.key, first.label, first.box) == ("train/n01/images/n01_1.JPEG", 0, (1, 2, 12, 64))


def test_validation_images_are_sorted_by_class(root):
    items = listed(root).splits["val"]
    assert [(item.key[-10:], item.label) for item in items] == [
        ("val_2.JPEG", 0),
        ("val_1.JPEG", 1),
        ("val_0.JPEG", 2),
        ("val_3.JPEG", 2),
    ]
    assert items[0].box == (0, 2, 32, 32)


def test_the_folder_around_it_will_do(root):
    assert listed(root.parent) == listed(root)


def test_subsets(root):
    listing = listed(root, classes=["lion"], train_per_class=2, val_per_class=1)
    assert listing.classes == ["lion"]
    assert [item.key for item in listing.splits["train"]] == [f"train/n03/images/n03_{i}.JPEG" for i in (0, 1)]
    assert [(item.key, item.label) for item in listing.splits["val"]] == [("val/images/val_0.JPEG", 0)]
    assert listed(root, classes=2).classes == ["crane (n01)", "crane (n02)"]


def test_an_image_is_loaded_with_its_box(root):
    spec = tiny_imagenet.Spec(root=root)
    decoded = tiny_imagenet.load(spec, listed(root).splits["train"][0])
    assert decoded.image.size == (64, 64)
    assert decoded.box == (0, 2, 11, 64)


@pytest.mark.parametrize(
    "missing", ["wnids.txt", "words.txt", "train/n02/n02_boxes.txt", "val/val_annotations.txt", "val/images", "train"]
)
def test_what_is_missing_is_named(root, missing):
    (root / missing).rename(root / "away")
    with pytest.raises(UserError, match=missing.split("/")[-1]):
        listed(root)


def test_a_folder_in_place_of_the_annotations(root):
    (root / "wnids.txt").unlink()
    (root / "wnids.txt").mkdir()
    with pytest.raises(UserError, match=r"wnids.txt: is a folder; .*expected: the list of classes"):
        listed(root)


def test_an_empty_class_is_named(root):
    for path in (root / "train" / "n02" / "images").iterdir():
        path.unlink()
    with pytest.raises(UserError, match=r"no image in class n02"):
        listed(root)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("val_9.JPEG\tn01\t0\t0\n", "line 5: 4 columns instead of 6"),
        ("val_9.JPEG\tn01\t0\t0\tx\t9\n", "line 5: the box 0 0 x 9 is not four numbers"),
        ("val_9.JPEG\tn77\t0\t0\t9\t9\n", "line 5: class n77 is not in wnids.txt"),
    ],
)
def test_a_malformed_line_is_named(root, line, message):
    with open(root / "val" / "val_annotations.txt", "a") as file:
        file.write(line)
    with pytest.raises(UserError, match=message):
        listed(root)


def test_texts_may_begin_with_a_byte_order_mark_and_are_utf8(root):
    expected = listed(root)
    for name in ("wnids.txt", "words.txt", "val/val_annotations.txt"):
        text = (root / name).read_text()
        (root / name).write_bytes(text.replace("\n", "\r\n").encode("utf-8-sig"))
        assert listed(root) == expected
        (root / name).write_bytes(text.encode("utf-16"))
        with pytest.raises(UserError, match=rf"{name.split('/')[-1]}: is in UTF-16 or UTF-32; save it in UTF-8"):
            listed(root)
        (root / name).write_bytes(text.encode() + b"\xe9\n")
        with pytest.raises(UserError, match=rf"{name.split('/')[-1]}, line \d+: not text in UTF-8 \(byte 0xe9\)"):
            listed(root)
        (root / name).write_text(text)


def test_the_set_s_own_text_files_are_not_left_out(root):
    assert listed(root).left_out == {}
    (root / "train/n01/images/notes.txt").touch()
    assert listed(root).left_out == {"not an image (.txt)": 1}
