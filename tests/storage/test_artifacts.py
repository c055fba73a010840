"""A file appears whole or not at all; a damaged or foreign one is refused by name."""

import numpy as np
import pytest
import torch

from zfrepro.errors import UserError
from zfrepro.storage import artifacts


def test_nothing_appears_when_writing_fails(tmp_path):
    path = tmp_path / "a.json"
    artifacts.save_json(path, {"kept": 1})

    def fail():
        with artifacts.atomic(path) as temporary:
            temporary.write_text("half of")
            assert path.read_text() == '{\n "kept": 1\n}\n'  # the old file stands while the new one is written
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        fail()
    assert artifacts.load_json(path) == {"kept": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_json_refuses_nan(tmp_path):
    with pytest.raises(UserError, match=r"a\.json: not written.*not JSON compliant"):
        artifacts.save_json(tmp_path / "a.json", {"error": float("nan")})
    assert not any(tmp_path.iterdir())


def test_json_refuses_objects(tmp_path):
    with pytest.raises(UserError, match=r"a\.json: not written.*PosixPath is not JSON serializable"):
        artifacts.save_json(tmp_path / "a.json", {"path": tmp_path})


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_json_with_a_value_that_is_not_finite_is_not_read(tmp_path, value):
    (tmp_path / "a.json").write_text(f'{{"error": {value}}}')
    with pytest.raises(UserError, match=rf"a\.json: .*it contains {value}, which is not a finite number"):
        artifacts.load_json(tmp_path / "a.json")


def test_arrays_come_back(tmp_path):
    artifacts.save_arrays(tmp_path / "a.npz", numbers=np.arange(3), names=np.array(["a", "ö"]))
    back = artifacts.load_arrays(tmp_path / "a.npz")
    assert back["numbers"].tolist() == [0, 1, 2]
    assert back["names"].tolist() == ["a", "ö"]


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 not a zip", b"{}"])
def test_damaged_arrays_are_named(tmp_path, damage):
    (tmp_path / "a.npz").write_bytes(damage)
    with pytest.raises(UserError, match=r"a\.npz"):
        artifacts.load_arrays(tmp_path / "a.npz")


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "model.safetensors"
    artifacts.save_weights(path, {"conv1.weight": torch.arange(6.0).reshape(2, 3)}, {"format": "zfrepro 1"})
    return path


def test_weights_come_back(weights):
    tensors, metadata = artifacts.load_weights(weights)
    assert tensors["conv1.weight"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert metadata == {"format": "zfrepro 1"}


def test_one_flipped_byte_is_refused(weights):
    damaged = bytearray(weights.read_bytes())
    damaged[-1] ^= 1
    weights.write_bytes(damaged)
    with pytest.raises(UserError, match=r"model\.safetensors: damaged"):
        artifacts.load_weights(weights)


def test_weights_without_digest_are_refused(weights):
    weights.with_name("model.safetensors.sha256").unlink()
    with pytest.raises(UserError, match="sha256sum"):
        artifacts.load_weights(weights)


def test_a_foreign_file_with_a_right_digest_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"pickle or whatever")
    (tmp_path / "model.safetensors.sha256").write_text(artifacts.sha256(path))
    with pytest.raises(UserError, match="not a safetensors"):
        artifacts.load_weights(path)


def test_a_safetensors_file_of_another_program_is_refused(weights):
    from zfrepro.storage import network_file

    with pytest.raises(UserError, match=r"model\.safetensors: not a weights file of zfrepro"):
        network_file.load(weights)


def test_a_full_disk_is_an_oserror_that_names_the_file(tmp_path, monkeypatch):
    import safetensors.torch

    def full(*_):
        raise safetensors.SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(OSError, match=r"model\.safetensors") as caught:
        artifacts.save_weights(tmp_path / "model.safetensors", {}, {})
    assert caught.value.errno == 28
    assert not any(tmp_path.iterdir())
