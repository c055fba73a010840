"""Files beside an input are compared with the sha256 that it names, and read again only when they have changed."""

import os

import pytest

from zfrepro.errors import UserError
from zfrepro.storage import artifacts, input_check


@pytest.fixture
def manifest(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set/images.npy").write_bytes(b"images")
    digest = artifacts.sha256(tmp_path / "set/images.npy")
    artifacts.save_json(tmp_path / "set/manifest.json", {"sha256": {"images.npy": digest}})
    return tmp_path / "set/manifest.json"


def check(manifest):
    artifacts._sha256.cache_clear()
    input_check.require_whole([manifest], manifest.parents[1] / "memory")


def test_whole_files_pass_and_are_read_once(manifest, monkeypatch):
    read = []
    monkeypatch.setattr(artifacts, "sha256", lambda path, real=artifacts.sha256: read.append(path) or real(path))
    check(manifest)
    check(manifest)
    assert read == [manifest.with_name("images.npy")]


@pytest.mark.parametrize("checked_before", [False, True])
def test_a_byte_that_has_flipped_is_named_though_size_and_time_are_the_same(manifest, checked_before):
    if checked_before:
        check(manifest)
    images = manifest.with_name("images.npy")
    about = images.stat()
    images.write_bytes(b"imagez")
    os.utime(images, ns=(about.st_atime_ns, about.st_mtime_ns))
    with pytest.raises(
        UserError, match=r"images\.npy: damaged, its sha256 is not the one in manifest\.json; delete .*set and"
    ):
        check(manifest)


def test_a_missing_file_is_named(manifest):
    manifest.with_name("images.npy").unlink()
    with pytest.raises(UserError, match=r"images\.npy: damaged"):
        check(manifest)


def test_thumbnails_are_checked_too(manifest):
    manifest.with_name("thumbnails16.npy").write_bytes(b"small")
    digests = {"thumbnails16.npy": artifacts.sha256(manifest.with_name("thumbnails16.npy"))}
    artifacts.save_json(manifest, {**artifacts.load_json(manifest), "thumbnails": digests})
    check(manifest)
    manifest.with_name("thumbnails16.npy").write_bytes(b"other")
    with pytest.raises(UserError, match=r"thumbnails16\.npy: damaged, its sha256 is not the one in manifest\.json"):
        check(manifest)


def test_damage_to_the_memory_reads_the_file_again(manifest):
    check(manifest)
    (memory,) = (manifest.parents[1] / "memory").iterdir()
    for content in ("", "[]", "{}", '{"state": []}'):
        memory.write_text(content)
        check(manifest)


def test_layers_of_features_and_folds_are_found_by_their_names(tmp_path):
    (tmp_path / "layer7.npy").write_bytes(b"7")
    digest = artifacts.sha256(tmp_path / "layer7.npy")
    artifacts.save_json(tmp_path / "features.json", {"sha256": {"7": digest}})
    artifacts.save_json(tmp_path / "folds.json", {"sha256": {"folds.npz": digest}})
    artifacts.save_json(tmp_path / "network.json", {"sha256": {"none": digest}})
    input_check.require_whole([tmp_path / "features.json", tmp_path / "network.json"], tmp_path)
    with pytest.raises(UserError, match=r"folds\.npz: damaged"):
        input_check.require_whole([tmp_path / "folds.json"], tmp_path)


def test_a_memory_that_cannot_be_written_is_done_without(manifest, tmp_path):
    (tmp_path / "memory").write_text("a file")
    check(manifest)
