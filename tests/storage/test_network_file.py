"""A weights file that is whole but says odd things of itself is one message, naming file and key, for `look` and every stage."""

import json
import struct

import numpy as np
import pytest
import torch

from zfrepro.core.architecture import Network, parameter_count
from zfrepro.core.nets import build
from zfrepro.errors import UserError
from zfrepro.storage import artifacts, network_file

SIZE, CLASSES = 64, ("cat", "dog")
NETWORK = Network(base="improved", remove=(3, 4, 6, 7))


@pytest.fixture(scope="module")
def parts():
    """Tensors and description of a small network as its file holds them."""
    tensors = build(NETWORK, SIZE, len(CLASSES), width=1 / 48).state_dict()
    description = network_file.Description(NETWORK, 1 / 48, SIZE, CLASSES)
    mean = torch.full((SIZE + 8, SIZE + 8, 3), 100.0)
    return {**tensors, network_file.MEAN: mean}, json.loads(description.metadata()[network_file.FORMAT])


@pytest.fixture
def save(tmp_path, parts):
    """A function that writes the file with some changes and a valid digest."""

    def write(text=None, tensors=None, **changes):
        stored = {key: value for key, value in ({**parts[1], **changes}).items() if value != "REMOVED"}
        metadata = {network_file.FORMAT: json.dumps(stored) if text is None else text}
        artifacts.save_weights(tmp_path / "w.safetensors", {**parts[0], **(tensors or {})}, metadata)
        return tmp_path / "w.safetensors"

    return write


def test_an_unchanged_file_is_read(save, parts):
    net, mean, description = network_file.load(save())
    assert mean.shape == (72, 72, 3)
    assert description.classes == CLASSES
    assert sum(tensor.numel() for tensor in net.state_dict().values()) == parameter_count(description.rows())
    assert torch.equal(net.state_dict()["conv1.weight"], parts[0]["conv1.weight"])


ODD = [
    ({"width": None}, "key `width` of its description: Input should be a valid number (got None)"),
    ({"width": "0.02"}, "key `width`"),
    ({"width": True}, "key `width`"),
    ({"width": -1}, "key `width` of its description: Input should be greater than 0"),
    ({"width": 1e300}, "key `width`"),
    ({"width": "REMOVED"}, "key `width` of its description: Field required"),
    ({"width": 50}, "its tensors contain"),  # memory for a network of that width is never taken
    ({"input_size": 64.5}, "key `input_size`"),
    ({"input_size": [64]}, "key `input_size`"),
    ({"input_size": 10}, "layer"),
    (
        {"input_size": 73},
        "its tensor `mean image` is 72 x 72 x 3 of float32; it must be square, at least the input_size of 73",
    ),
    ({"classes": {}}, "key `classes`"),
    ({"classes": []}, "key `classes` of its description: Tuple should have at least 1 item"),
    ({"classes": "cat"}, "key `classes`"),
    ({"classes": ["cat", 2]}, "key `classes.1`"),
    ({"classes": ["cat", "dog", "owl"]}, "its tensors contain"),
    ({"network": []}, "key `network`"),
    ({"network": {"base": "best"}}, "key `network.base`"),
    ({"network": {"base": "improved", "remove": "3"}}, "key `network.remove`"),
    ({"network": None}, "key `network`"),
    ({"diverged": 3}, "key `diverged`"),
    ({"colour": 1}, "key `colour` of its description: Extra inputs are not permitted"),
]


@pytest.mark.parametrize(("changes", "expected"), ODD)
def test_odd_metadata_are_named_with_file_and_key(save, changes, expected):
    path = save(**changes)
    with pytest.raises(UserError) as raised:
        network_file.load(path)
    assert str(raised.value).startswith(f"{path}: not a weights file of zfrepro (")
    assert expected in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "text", ["", "words", "[]", "null", "3", '{"width": 1, "width": 2}', '{"width": NaN}', "[" * 10_000, "\ud83d"]
)
def test_a_description_that_is_no_mapping_is_refused(save, text):
    try:
        path = save(text)
    except UnicodeEncodeError:
        return  # no file can hold it
    with pytest.raises(UserError, match=r"w\.safetensors: not a weights file of zfrepro \("):
        network_file.load(path)


@pytest.mark.parametrize(
    ("name", "tensor", "expected"),
    [
        ("mean image", torch.zeros(8, 8, 3), "`mean image` is 8 x 8 x 3 of float32"),
        ("mean image", torch.zeros(3, 72, 72), "`mean image` is 3 x 72 x 72"),
        ("mean image", torch.zeros(72, 80, 3), "`mean image` is 72 x 80 x 3"),
        ("mean image", torch.tensor(1.0), "`mean image` is one number"),
        ("mean image", torch.zeros(72, 72, 3, dtype=torch.uint8), "`mean image` is 72 x 72 x 3 of uint8"),
        ("conv1.weight", torch.zeros(8, 3, 7, 7, dtype=torch.int64), "`conv1.weight` holds no floating-point numbers"),
        ("conv1.weight", torch.zeros(7, 7, 3, 8), "size mismatch|Error"),
        ("extra", torch.zeros(4), "its tensors contain"),
    ],
)
def test_odd_tensors_are_named(save, name, tensor, expected):
    with pytest.raises(UserError, match=r"w\.safetensors: not a weights file of zfrepro .*" + f"({expected})"):
        network_file.load(save(tensors={name: tensor}))


def test_look_says_the_same(save, tmp_path, capsys):
    from zfrepro.__main__ import main

    path = save(width=None)
    with pytest.raises(SystemExit) as stopped:
        main(
            ["look", str(tmp_path / "a.png"), "--weights", str(path), "--out", str(tmp_path / "out"), "--device", "cpu"]
        )
    assert stopped.value.code == 2
    assert "key `width` of its description" in capsys.readouterr().err


def test_a_digest_file_that_is_no_text_is_a_damaged_file(save):
    path = save()
    (path.parent / "w.safetensors.sha256").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"damaged, its sha256 is not the one in w\.safetensors\.sha256"):
        network_file.load(path)


def test_a_header_with_odd_types_is_named(tmp_path):
    header = json.dumps({"a": {"dtype": "F6_E3M2", "shape": [4], "data_offsets": [0, 3]}}).encode()
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(3))
    (tmp_path / "w.safetensors.sha256").write_text(artifacts.sha256(path))
    with pytest.raises(UserError, match=r"w\.safetensors: not a (safetensors )?weights file"):
        network_file.load(path)


def test_half_precision_is_read(save, parts):
    halved = {name: tensor.bfloat16() for name, tensor in parts[0].items()}
    net, mean, _ = network_file.load(save(tensors=halved))
    assert mean.dtype == np.float32
    assert net.state_dict()["conv1.weight"].dtype == torch.float32
