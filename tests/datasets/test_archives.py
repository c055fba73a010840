"""Unpacking of archives from elsewhere: hostile members are refused, damage is named, and nothing half-made stays."""

import hashlib
import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from zfrepro.datasets import archives
from zfrepro.errors import UserError
from zfrepro.models import torchvision_import
from zfrepro.storage import guards

FILES = {"set/a/1.jpg": b"one", "set/b/2.jpg": b"two" * 1000}


def make_tar(path, files=FILES, extra=(), mode="w"):
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o4755
            archive.addfile(entry, io.BytesIO(content))
        for entry in extra:
            archive.addfile(entry)
    return path


def make_zip(path, files=FILES, modes=()):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)
            entry.external_attr = dict(modes).get(name, 0) << 16
            archive.writestr(entry, content)
    return path


def special(name, kind, target=""):
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


def held(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(archive, tmp_path, message, **options):
    """The one message, with nothing written beside the archive."""
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError, match=message) as stopped:
        archives.unpack(archive, tmp_path / "out" / "target", **options)
    assert str(stopped.value).startswith(str(archive))
    (tmp_path / "out").is_dir() and (tmp_path / "out").rmdir()  # raises if anything is in it
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_becomes_the_target(tmp_path, mode):
    archives.unpack(make_tar(tmp_path / "a.tar", mode=mode), tmp_path / "deep" / "target")
    assert held(tmp_path / "deep" / "target") == FILES
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["target"]


def test_a_zip_becomes_the_target(tmp_path):
    archives.unpack(make_zip(tmp_path / "a.zip", FILES | {"set/empty/": b""}), tmp_path / "target")
    assert held(tmp_path / "target") == FILES
    assert (tmp_path / "target" / "set" / "empty").is_dir()


def test_a_folder_of_the_archive_becomes_the_target(tmp_path):
    archive = make_tar(tmp_path / "a.tar")
    archives.unpack(archive, tmp_path / "target", inside="set")
    assert held(tmp_path / "target") == {"a/1.jpg": b"one", "b/2.jpg": b"two" * 1000}
    refused(archive, tmp_path, "contains no folder other", inside="other")


def test_modes_of_the_archive_are_not_taken_over(tmp_path):
    archives.unpack(make_tar(tmp_path / "a.tar"), tmp_path / "target")
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE((tmp_path / "target" / "set/a/1.jpg").stat().st_mode) == 0o666 & ~umask
    assert stat.S_IMODE((tmp_path / "target").stat().st_mode) == 0o777 & ~umask


def test_the_digest_is_checked_and_printed(tmp_path, capsys):
    archive = make_tar(tmp_path / "a.tar")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    refused(archive, tmp_path, f"its sha256 is {digest}, not 00", sha256="00" * 32)
    archives.unpack(archive, tmp_path / "target", digest.upper())
    assert digest in capsys.readouterr().out


OUTSIDE = [
    "../evil",
    "set/../../evil",
    "/evil",
    "..",
    "..\\evil",
    "set\\..\\..\\evil",
    "C:\\evil",
    "C:evil",
    "\\\\host\\s\\e",
]


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_a_path_outside_the_target_is_refused(tmp_path, make, name):
    refused(make(tmp_path / "archive", FILES | {name: b"!"}), tmp_path, "would be written outside")


@pytest.mark.parametrize(
    ("entry", "what"),
    [
        (special("set/a/out", tarfile.SYMTYPE, "/etc"), "link"),
        (special("set/a/out", tarfile.SYMTYPE, "../../.."), "link"),
        (special("set/a/in", tarfile.SYMTYPE, "1.jpg"), "link"),
        (special("set/a/hard", tarfile.LNKTYPE, "/etc/passwd"), "link"),
        (special("set/pipe", tarfile.FIFOTYPE), "device"),
        (special("set/null", tarfile.CHRTYPE), "device"),
        (special("set/disk", tarfile.BLKTYPE), "device"),
    ],
)
def test_links_and_devices_in_a_tar_are_refused(tmp_path, entry, what):
    refused(make_tar(tmp_path / "a.tar", extra=[entry]), tmp_path, f"'{entry.name}' is a {what}")


@pytest.mark.parametrize(("mode", "what"), [(stat.S_IFLNK | 0o777, "link"), (stat.S_IFIFO, "device")])
def test_links_and_devices_in_a_zip_are_refused(tmp_path, mode, what):
    archive = make_zip(tmp_path / "a.zip", FILES | {"set/x": b"../../.."}, {"set/x": mode})
    refused(archive, tmp_path, f"'set/x' is a {what}")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice_is_refused(tmp_path):
    again = tarfile.TarInfo("set/./a/1.jpg")
    refused(make_tar(tmp_path / "a.tar", extra=[again]), tmp_path, "twice")
    with zipfile.ZipFile(make_zip(tmp_path / "a.zip"), "a") as archive:
        archive.writestr("set/a/1.jpg", b"other")
    refused(tmp_path / "a.zip", tmp_path, "contains 'set/a/1.jpg' twice")
    refused(make_tar(tmp_path / "b.tar", {"set": b"file", "set/a": b"below it"}), tmp_path, "twice")


@pytest.mark.parametrize("make", [make_tar, make_zip])
def test_a_cut_or_wrong_file_is_named(tmp_path, make):
    archive = make(tmp_path / "archive", {"set/1.jpg": os.urandom(5000)})
    archive.write_bytes(archive.read_bytes()[:3000])
    refused(archive, tmp_path, "truncated|cannot be unpacked")
    archive.write_bytes(b"no archive")
    refused(archive, tmp_path, "neither a tar nor a zip")
    refused(tmp_path / "none.tar", tmp_path, "no such file")


def test_a_damaged_zip_is_named(tmp_path):
    archive = make_zip(tmp_path / "a.zip", {"set/1.jpg": os.urandom(5000)})
    content = bytearray(archive.read_bytes())
    content[1000] ^= 1
    archive.write_bytes(content)
    refused(archive, tmp_path, r"cannot be unpacked \(BadZipFile: Bad CRC")


def test_a_target_that_is_there_is_left_alone(tmp_path):
    (tmp_path / "target").mkdir()
    with pytest.raises(UserError, match="target: already exists"):
        archives.unpack(make_tar(tmp_path / "a.tar"), tmp_path / "target")
    assert list((tmp_path / "target").iterdir()) == []


def test_too_little_space_is_reported_before_writing(tmp_path, monkeypatch):
    monkeypatch.setattr(guards.shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(UserError, match=r"the files of a\.tar take 3e-06 GB"):
        archives.unpack(make_tar(tmp_path / "a.tar"), tmp_path / "target")
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]


@pytest.fixture
def fetched(monkeypatch):
    torchvision_import.ensure()
    from torchvision.datasets import utils

    return lambda function: monkeypatch.setattr(utils, "download_url", function)


def test_a_download_is_unpacked_and_the_archive_is_not_kept(tmp_path, fetched):
    asked = []

    def give(url, root, filename, md5):
        asked.append((url, md5))
        make_tar(Path(root) / filename)

    fetched(give)
    archives.download("https://a.b/c.tar", "0f", tmp_path / "target", inside="set")
    assert asked == [("https://a.b/c.tar", "0f")]
    assert [path.name for path in tmp_path.iterdir()] == ["target"]
    assert len(held(tmp_path / "target")) == 2


def test_a_failed_download_leaves_nothing(tmp_path, fetched):
    def fail(url, root, filename, md5):
        (Path(root) / filename).write_bytes(b"half")
        raise RuntimeError("File not found or corrupted.")

    fetched(fail)
    with pytest.raises(UserError, match=r"target: cannot be downloaded \(File not found or corrupted.\)"):
        archives.download("https://a.b/c.tar", "0f", tmp_path / "target")
    assert list(tmp_path.iterdir()) == []


def test_a_tar_cut_between_two_members_is_refused(tmp_path):
    """tarfile takes the end of the file, without the two empty blocks that end a tar, for its end."""
    content = make_tar(tmp_path / "whole.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(content[:1024])  # header and content of the first member
    refused(tmp_path / "a.tar", tmp_path, "damaged or cut after 1 members; download it again")


def test_a_damaged_header_does_not_end_a_tar(tmp_path):
    content = bytearray(make_tar(tmp_path / "whole.tar").read_bytes())
    content[1024] ^= 1  # first letter of the second member's name; the header's checksum no longer fits
    (tmp_path / "a.tar").write_bytes(content)
    refused(tmp_path / "a.tar", tmp_path, "damaged or cut after 1 members")


@pytest.mark.parametrize(("mode", "place"), [("w:gz", -8), ("w:bz2", 12), ("w:xz", -20)])
def test_the_checksum_of_a_compressed_tar_is_compared(tmp_path, mode, place):
    content = bytearray(make_tar(tmp_path / "whole.tar", mode=mode).read_bytes())
    content[place] ^= 1
    (tmp_path / "a.tar").write_bytes(content)
    refused(tmp_path / "a.tar", tmp_path, "cannot be unpacked|neither a tar nor a zip")


def test_a_member_whose_name_is_not_utf8_is_refused(tmp_path):
    archive = make_tar(tmp_path / "a.tar", {os.fsdecode(b"set/caf\xe9.jpg"): b"x"})
    refused(archive, tmp_path, r"the name of its member set/caf\\xe9\.jpg is not UTF-8; pack it with other names")
