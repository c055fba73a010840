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


# What is written for a value is part of every key in the result store

RAISE = "artifacts.py writes other bytes for the same values: raise its FORMAT, and put the new digest here"
LOADS = "artifacts.py reads other values from the same bytes: raise its FORMAT"
GOLDEN = {
    "a.npz": "22507bec3a74856955cc33864414d255a00212fa4d7ed7b5c6f4f3f32d4bd9fc",
    "j.json": "df4e89138c1db3c0cd5924b7ea95ec273c26d8b4e25265c492a487e3cb0d2104",
    "t.txt": "53fcf6bbaa3b6d7a4cebf8799f44574d49cc8c454ad6dbc2fab690b0bc2d542f",
    "w.safetensors": "7eae90d8ada49109322415f371e9073e0c30683d5be11b8120f9b329730a5efc",
    "w.safetensors.sha256": "cbedc1e725c40f177b3f42f97338e356a7bec1b6141be05af5c5698c35cd6ac9",
}
ARRAYS = {"labels": np.arange(3), "boxes": np.array([[0.5, np.nan]], np.float32), "files": np.array(["a", "bc"])}
TENSORS = {"conv1.weight": torch.arange(6.0).reshape(2, 3), "bias": torch.tensor([0.5, -1.0]).half()}
VALUE = {"b": [1, 2.5, None, True], "a": {"é": "x"}, "c": 1e-7}


def write_golden(folder):
    artifacts.save_text(folder / "t.txt", "Zeiler & Fergus\nlayer 5, ±0.5 °\n")
    artifacts.save_json(folder / "j.json", VALUE)
    artifacts.save_arrays(folder / "a.npz", **ARRAYS)
    artifacts.save_weights(folder / "w.safetensors", TENSORS, {"zfrepro 1": "{}"})


def test_the_bytes_of_fixed_values_are_those_of_this_format(tmp_path):
    write_golden(tmp_path)
    assert artifacts.FORMAT == 1
    assert {path.name: artifacts.sha256(path) for path in sorted(tmp_path.iterdir())} == GOLDEN, RAISE


def test_what_is_read_is_what_was_written_to_the_type(tmp_path):
    write_golden(tmp_path)
    assert artifacts.load_json(tmp_path / "j.json") == VALUE, LOADS
    arrays = artifacts.load_arrays(tmp_path / "a.npz")
    assert arrays.keys() == ARRAYS.keys(), LOADS
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype, LOADS
        np.testing.assert_array_equal(arrays[name], array, LOADS)
    tensors, metadata = artifacts.load_weights(tmp_path / "w.safetensors")
    assert metadata == {"zfrepro 1": "{}"}, LOADS
    assert all(
        torch.equal(tensors[name], tensor) and tensors[name].dtype == tensor.dtype for name, tensor in TENSORS.items()
    ), LOADS


def test_two_processes_of_the_same_number_have_temporary_files_of_their_own(tmp_path):
    with artifacts.atomic(tmp_path / "a") as one, artifacts.atomic(tmp_path / "a") as other:
        assert one != other
        one.write_text("1")
        other.write_text("2")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
