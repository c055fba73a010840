"""The reader of PASCAL VOC 2012 on a small tree of its layout, and what it says of trees that are not."""

import json
import tarfile
import time

import pytest
from PIL import Image

from zfrepro.datasets import archives, voc2012
from zfrepro.errors import UserError
from zfrepro.stages import prepare
from zfrepro.storage.prepared_set import PreparedSet

AEROPLANE, CAR, CAT, DOG, PERSON = (
    voc2012.CLASSES.index(name) for name in ("aeroplane", "car", "cat", "dog", "person")
)
PICTURES = {
    # name: (class, difficult, box as VOC writes it: first and last pixel, from 1)
    "2008_000001": [("dog", 0, (1, 1, 10, 10)), ("cat", 0, (1, 1, 20, 20)), ("cat", 1, (1, 1, 40, 40))],
    "2008_000002": [("person", 0, (2, 3, 2, 3)), ("car", 1, (1, 1, 40, 30))],
    "2008_000003": [("dog", 1, (5, 5, 9, 9)), ("aeroplane", 1, (5, 5, 8, 8))],
    "2009_000001": [("cat", 0, (1, 1, 8.5, 4)), ("cat", 0, (11, 1, 20, 4))],
}
SPLITS = {"train": ["2008_000001", "2008_000002", "2008_000003"], "val": ["2009_000001"]}


def annotation(objects):
    return "<annotation><filename>x.jpg</filename>" + "".join(map(as_xml, objects)) + "</annotation>"


def as_xml(object_):
    name, difficult, box = object_
    edges = "".join(f"<{e}>{v}</{e}>" for e, v in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
    head = "<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>"
    return f"<object><name>{name}</name><bndbox>{edges}</bndbox><difficult>{difficult}</difficult>{head}</object>"


@pytest.fixture
def root(tmp_path):
    fill(tmp_path / "set" / "VOCdevkit")
    return tmp_path / "set"


def fill(devkit):
    home = devkit / "VOC2012"
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (home / folder).mkdir(parents=True)
    for name, objects in PICTURES.items():
        Image.new("RGB", (40, 30), (9, 99, 199)).save(home / "JPEGImages" / f"{name}.jpg")
        (home / "Annotations" / f"{name}.xml").write_text(annotation(objects))
    for split, names in SPLITS.items():
        (home / "ImageSets/Main" / f"{split}.txt").write_text("".join(f"{name}\n" for name in names))


def listed(root, **options):
    return voc2012.listing(voc2012.Spec(root=root, **options))


def test_twenty_classes_in_vocs_order():
    classes = voc2012.CLASSES
    assert len(classes) == len(set(classes)) == 20
    assert classes == sorted(classes)


def test_a_box_turns_with_an_image_that_exif_turns(root):
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise: the stored top becomes the right side
    Image.new("RGB", (40, 30)).save(root / "VOCdevkit/VOC2012/JPEGImages/2009_000001.jpg", exif=exif)
    (item,) = listed(root).splits["val"]
    decoded = voc2012.load(voc2012.Spec(root=root), item)
    assert (item.box, decoded.image.size, decoded.box) == ((10, 0, 20, 4), (30, 40), (26, 10, 30, 20))


def test_labels_by_hand(root):
    """The largest object that counts gives the label; a class seen only in difficult objects is neither yes nor no."""
    train = listed(root).splits["train"]
    assert [item.key for item in train] == [f"JPEGImages/{name}.jpg" for name in SPLITS["train"]]
    assert [item.label for item in train] == [CAT, PERSON, DOG]
    assert [item.present for item in train] == [(CAT, DOG), (PERSON,), ()]
    assert [item.difficult for item in train] == [(), (CAR,), (AEROPLANE, DOG)]
    assert [item.box for item in train] == [(0, 0, 20, 20), (1, 2, 2, 3), (4, 4, 9, 9)]
    (val,) = listed(root).splits["val"]
    assert (val.label, val.present, val.difficult, val.box) == (CAT, (CAT,), (), (10, 0, 20, 4))  # 10 x 4 > 8.5 x 4


def test_an_image_comes_with_the_box_of_its_label(root):
    item = listed(root).splits["train"][0]
    decoded = voc2012.load(voc2012.Spec(root=root), item)
    assert (decoded.image.size, decoded.image.mode, decoded.box) == ((40, 30), "RGB", (0, 0, 20, 20))


def test_some_of_the_classes(root):
    listing = listed(root, classes=["dog", "person"])
    assert listing.classes == ["dog", "person"]
    assert [(item.label, item.present, item.difficult) for item in listing.splits["train"]] == [
        (0, (0,), ()),
        (1, (1,), ()),
        (0, (), (0,)),
    ]
    assert listing.splits["val"] == []  # which the stage then refuses by name
    with pytest.raises(UserError, match="no class unicorn"):
        listed(root, classes=["unicorn"])


def test_limits_are_by_label(root):
    add(root, "2008_000004", [("cat", 0, (1, 1, 5, 5))])
    labels = [item.label for item in listed(root, train_per_class=1).splits["train"]]
    assert labels == [CAT, PERSON, DOG]


@pytest.mark.parametrize("inside", ["VOCdevkit", "VOCdevkit/VOC2012"])
def test_root_may_be_any_folder_on_the_way(root, inside):
    assert listed(root / inside) == listed(root)


def home(root):
    return root / "VOCdevkit" / "VOC2012"


def add(root, name, objects, split="train"):
    Image.new("RGB", (40, 30)).save(home(root) / "JPEGImages" / f"{name}.jpg")
    (home(root) / "Annotations" / f"{name}.xml").write_text(annotation(objects))
    listing(root, split).write_text(listing(root, split).read_text() + f"{name}\n")


def listing(root, split):
    return home(root) / "ImageSets" / "Main" / f"{split}.txt"


def annotated(root, text):
    path = home(root) / "Annotations" / "2008_000002.xml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


BOMB = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {name} "{f"&{below};" * 50}">' for below, name in zip("abcdefgh", "bcdefghi", strict=True)
)
BOMB += "]><annotation><object><name>&i;</name></object></annotation>"
OUTSIDE = (
    '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><annotation><object><name>&x;</name></object></annotation>'
)
GOOD = annotation(PICTURES["2008_000002"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD[:80], "no element found"),
        ("", "no element found"),
        (b"\xff\xd8\xff\xe0 a JPEG", "decode"),
        (BOMB, "declares a document type"),
        (BOMB.encode("utf-16"), "decode"),
        (BOMB.encode("utf-16-le"), "not text in UTF-8"),
        (OUTSIDE, "declares a document type"),
        (GOOD.replace("person", "unicorn"), "unknown class 'unicorn'; the classes are aeroplane, "),
        (GOOD.replace("<name>person</name>", ""), "unknown class ''"),
        (GOOD.replace("<difficult>1", "<difficult>maybe"), "`difficult` of a car is 'maybe' instead of 0 or 1"),
        (GOOD.replace("xmax", "max"), "of a person is not four numbers"),
        (GOOD.replace(">40<", ">0<"), "of a car is empty"),
        (GOOD.replace(">40<", ">nan<"), "of a car is empty"),
        (GOOD.replace(">40<", ">inf<"), "of a car is empty"),
        (annotation([]), r"contains no object; remove its image from ImageSets/Main"),
        ("<html></html>", "contains no object"),
    ],
)
def test_a_bad_annotation_is_named_at_once(root, text, message):
    annotated(root, text)
    started = time.monotonic()
    with pytest.raises(UserError, match=message) as stopped:
        listed(root)
    assert str(stopped.value).startswith(str(home(root) / "Annotations" / "2008_000002.xml: "))
    assert "\n" not in str(stopped.value)
    assert time.monotonic() - started < 1


def test_an_object_without_the_mark_is_not_difficult(root):
    annotated(root, GOOD.replace("<difficult>1</difficult>", ""))
    assert listed(root).splits["train"][1].label == CAR


def test_a_missing_annotation_or_image_is_named(root):
    (home(root) / "Annotations" / "2008_000001.xml").unlink()
    with pytest.raises(UserError, match=r"2008_000001.xml: no such file; .*expected: the annotation of a listed image"):
        listed(root)
    (home(root) / "JPEGImages" / "2008_000003.jpg").unlink()
    with pytest.raises(UserError, match=r"2008_000003.jpg: no such file, but train.txt lists it \(1 such images\)"):
        listed(root)


def test_an_image_listed_twice_is_named(root):
    listing(root, "train").write_text("2008_000001\n2008_000002\n\n2008_000001\n")
    with pytest.raises(UserError, match=r"train.txt: lists 2008_000001 2 times; remove all but one"):
        listed(root)


def test_an_image_in_both_splits_is_named(root):
    listing(root, "val").write_text("2009_000001\n2008_000002\n")
    with pytest.raises(UserError, match=r"2008_000002 is in train.txt and in val.txt \(1 such images\)"):
        listed(root)


@pytest.mark.parametrize("name", ["../../../secret", "/etc/passwd", "2008_000001  1", "a.b", "\ufffd"])
def test_a_name_that_is_a_path_or_more_is_refused(root, name):
    listing(root, "val").write_text(f"2009_000001\n{name}\n")
    with pytest.raises(UserError, match=r"val.txt: .* is not the name of an image"):
        listed(root)


def test_an_empty_or_missing_list_is_named(root):
    listing(root, "val").write_text("\n")
    with pytest.raises(UserError, match=r"val.txt: lists no image"):
        listed(root)
    listing(root, "val").unlink()
    with pytest.raises(UserError, match=r"val.txt: no such file; .*expected: the names of the val images"):
        listed(root)


def test_the_count_is_checked(root):
    assert listed(root, pictures=4) == listed(root)
    with pytest.raises(UserError, match="lists 4 images, but the option `pictures` is 11540"):
        listed(root, pictures=11540)


def test_a_wrong_layout_is_named(root):
    with pytest.raises(UserError, match="contains no folder VOCdevkit/VOC2012 with Annotations"):
        listed(home(root) / "JPEGImages")


def test_an_archive_is_unpacked(root, tmp_path):
    with tarfile.open(tmp_path / "official.tar", "w") as archive:
        archive.add(root / "VOCdevkit", "VOCdevkit")
    assert listed(tmp_path / "new", archive=tmp_path / "official.tar") == listed(root)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["VOCdevkit"]


def test_a_download_is_torchvisions_address_and_md5(root, tmp_path, monkeypatch):
    def fetch(url, md5, target, sha256, inside):
        assert (url.rpartition("/")[2], md5) == ("VOCtrainval_11-May-2012.tar", "6cd6e144f989b92b3379bac3b3de84fd")
        assert inside == "VOCdevkit"
        fill(target)

    monkeypatch.setattr(archives, "download", fetch)
    assert listed(tmp_path / "new", download=True) == listed(root)
    monkeypatch.setattr(archives, "download", None)
    assert listed(root, download=True) == listed(root)


def test_the_stage_stores_presence(root, tmp_path):
    """Classes cat and dog: the image with only difficult dogs has -1, that with neither is left out."""
    add(root, "2009_000002", [("dog", 0, (1, 1, 9, 9)), ("person", 0, (1, 1, 30, 30))], split="val")
    options = {"root": str(root), "classes": ["cat", "dog"]}
    prepare.run(prepare.Spec(dataset="voc2012", size=16, options=options), tmp_path / "out", workers=1)
    stored = PreparedSet(tmp_path / "out" / "manifest.json")
    assert stored.presence("train").tolist() == [[1, 1], [0, -1]]
    assert stored.presence("val").tolist() == [[1, 0], [0, 1]]
    assert stored.labels("train").tolist() == [0, 1]
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["counts"] == {"train": {"cat": 1, "dog": 1}, "val": {"cat": 1, "dog": 1}}


def test_lists_and_annotations_may_begin_with_a_byte_order_mark(root):
    expected = listed(root)
    devkit = home(root)
    for path in (*(devkit / "ImageSets/Main").glob("*.txt"), *(devkit / "Annotations").glob("*.xml")):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert listed(root) == expected
    path = devkit / "ImageSets/Main/train.txt"
    path.write_bytes(path.read_text(encoding="utf-8-sig").encode("utf-16"))
    with pytest.raises(UserError, match=r"train\.txt: is in UTF-16 or UTF-32; save it in UTF-8"):
        listed(root)
