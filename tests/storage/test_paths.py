"""Where a path leads, and texts whose bytes are checked."""

import pytest

from zfrepro.errors import UserError
from zfrepro.storage import paths


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DATA", str(tmp_path / "data"))
    monkeypatch.delenv("NOT_SET", raising=False)
    return tmp_path


def test_home_and_variables_are_replaced(home):
    assert paths.resolve("~") == home
    assert paths.resolve("~/pictures") == home / "pictures"
    assert paths.resolve("$DATA/cats") == home / "data/cats"
    assert paths.resolve("${DATA}/cats") == home / "data/cats"
    assert paths.resolve("/a/~/b") == paths.resolve("/a/~/b/")
    assert str(paths.resolve("/a/~/b")) == "/a/~/b"


def test_a_literal_name_comes_first_and_unset_variables_stay(home, monkeypatch):
    monkeypatch.chdir(home)
    (home / "~").mkdir()
    (home / "$DATA").mkdir()
    assert str(paths.resolve("~")) == "~"
    assert str(paths.resolve("$DATA")) == "$DATA"
    assert str(paths.resolve("/x/$NOT_SET")) == "/x/$NOT_SET"


def test_a_missing_path_is_explained(home, monkeypatch):
    monkeypatch.chdir(home)
    assert paths.explain_missing("/x/${NOT_SET}") == "the environment variable NOT_SET is not set"
    assert paths.explain_missing("~nobody-of-that-name/x") == "the user nobody-of-that-name has no home folder"
    assert paths.explain_missing("~/x") == f"that is {home}/x"
    monkeypatch.setenv("PICTURES", "/pictures")
    assert paths.explain_missing("$PICTURES/x") == "that is /pictures/x"
    assert paths.explain_missing("x") == f"a relative path starts at the current folder, {home}"
    assert paths.explain_missing("/x") == ""


@pytest.mark.parametrize("content", ["k\u00e4fer\n1\n".encode(), "k\u00e4fer\r\n1\r\n".encode("utf-8-sig")])
def test_utf8_is_read_with_and_without_a_mark(tmp_path, content):
    (tmp_path / "a.txt").write_bytes(content)
    assert paths.read_text(tmp_path / "a.txt") == "k\u00e4fer\n1\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a\n".encode("utf-16"), r"a\.txt: is in UTF-16 or UTF-32; save it in UTF-8"),
        ("a\n".encode("utf-32"), r"a\.txt: is in UTF-16 or UTF-32"),
        ("ab\n".encode("utf-16-le"), r"a\.txt: contains the character NUL"),  # without a mark
        ("a\nk\u00e4fer".encode("latin-1"), r"a\.txt, line 2: not text in UTF-8 \(byte 0xe4\); save the file in UTF-8"),
        ("\u20ac".encode("cp1252"), r"a\.txt, line 1: not text in UTF-8 \(byte 0x80\)"),
    ],
)
def test_other_bytes_are_named(tmp_path, content, message):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(UserError, match=message):
        paths.read_text(tmp_path / "a.txt")


def test_what_cannot_be_read_is_named(tmp_path):
    for name, reason in (("none.txt", "No such file"), ("", "Is a directory"), ("a\0b", "embedded null byte")):
        with pytest.raises(UserError, match=f"cannot be read .{reason}"):
            paths.read_text(tmp_path / name)


def test_names_that_are_no_text(tmp_path):
    assert paths.is_utf8("k\u00e4fer.jpg")
    assert not paths.is_utf8("k\udce4fer.jpg")
    assert paths.escape("k\udce4fer.jpg") == r"k\xe4fer.jpg"
    assert paths.escape("k\u00e4fer.jpg") == r"k\xc3\xa4fer.jpg"


def test_names_are_made_printable():
    assert (
        paths.printable("Käse 猫 \u0645\u06cc\u200c\u062e 👩\u200d🚀.jpg")
        == "Käse 猫 \u0645\u06cc\u200c\u062e 👩\u200d🚀.jpg"
    )
    assert paths.printable("a\nb\x1b[31m\u202ec\udcffd\ud800") == "a\ufffdb\ufffd[31m\ufffdc\ufffdd\ufffd"
