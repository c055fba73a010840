"""Which files are read, and what is said of the others."""

import sys
import types

import numpy as np
import pytest
from PIL import Image, features

from zfrepro.datasets import formats
from zfrepro.datasets.decoding import UnreadableImageError, decode


@pytest.fixture(autouse=True)
def _fresh():
    """What the machine can read is asked for once: the tests change it."""
    cached = (formats.readable, formats.endings, formats.explain_ending)
    for function in cached:
        function.cache_clear()
    yield
    for function in cached:
        function.cache_clear()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.gif", {}),
        ("a.jfif", {}),
        ("a.jpe", {}),
        ("a.jp2", {}),
        ("a.j2k", {}),
        ("a.avif", {"quality": 100}),
        ("a.bmp", {}),
        ("a.pnm", {}),
        ("a.apng", {}),
    ],
)
def test_what_pillow_reads_is_read(tmp_path, name, options):
    Image.new("RGB", (16, 8), (200, 100, 50)).save(tmp_path / name, **options)
    assert f".{name.split('.')[1]}" in formats.endings()
    pixels = np.asarray(decode(tmp_path / name).image).astype(int)
    assert pixels.shape == (8, 16, 3)
    assert np.abs(pixels - (200, 100, 50)).max() <= 4


def test_an_ending_that_is_not_read_says_why():
    assert formats.explain_ending(".psd") == "format .psd not readable; save as JPEG or PNG"
    assert formats.explain_ending(".txt") == "not an image (.txt)"
    assert formats.explain_ending("") == "no file ending"


def test_a_format_that_this_pillow_lacks_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(features, "check", lambda feature: feature != "avif")
    assert ".avif" not in formats.endings()
    assert formats.explain_ending(".avif") == "format .avif not readable; install a Pillow with AVIF (11.3 or later)"
    Image.new("RGB", (16, 8)).save(tmp_path / "a.avif")
    with pytest.raises(UnreadableImageError, match=r"a\.avif: \.avif cannot be read here: install a Pillow with AVIF"):
        decode(tmp_path / "a.avif")


def test_heic_needs_its_plugin(tmp_path, monkeypatch):
    monkeypatch.setattr(
        formats, "_is_available", lambda name, real=formats._is_available: name != "HEIF" and real(name)
    )
    assert ".heic" not in formats.endings()
    assert formats.explain_ending(".heic") == "format .heic not readable; install pillow-heif"
    (tmp_path / "a.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(200))
    with pytest.raises(
        UnreadableImageError, match=r"\.HEIC cannot be read here: install pillow-heif, or save it as JPEG"
    ):
        decode(tmp_path / "a.HEIC")


def test_heic_is_read_where_the_plugin_is_there(monkeypatch):
    calls = []
    plugin = types.ModuleType("pillow_heif")
    plugin.register_heif_opener = lambda: calls.append("registered")
    monkeypatch.setitem(sys.modules, "pillow_heif", plugin)
    monkeypatch.setattr(formats, "_is_available", lambda name: True)
    assert "HEIF" in formats.readable()
    assert {".heic", ".heif"} <= formats.endings()
    assert calls == ["registered"]


def test_the_real_plugin_reads_heic(tmp_path):
    plugin = pytest.importorskip("pillow_heif")
    plugin.register_heif_opener()
    Image.new("RGB", (32, 64), (200, 100, 50)).save(tmp_path / "a.heic")
    image = decode(tmp_path / "a.heic").image
    assert image.size == (32, 64)
    assert np.abs(np.asarray(image).astype(int) - (200, 100, 50)).max() <= 4
