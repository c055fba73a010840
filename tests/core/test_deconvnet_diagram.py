"""The sketch says what the deconvnet does: checked against the code that comes down, and by hand."""

import pytest
import torch
from helpers import whole_image_deconvnet

from zfrepro.core import deconvnet_diagram
from zfrepro.core.architecture import Network
from zfrepro.core.nets import build


@pytest.mark.parametrize("base", ["baseline", "improved"])
def test_the_path_is_what_the_deconvnet_does(base):
    net = build(Network(base=base), 64, 5, 0.08).eval()
    path = deconvnet_diagram.layers(net, 64)
    assert [step["name"] for step in path][-3:] == ["conv5", "relu5", "pool5"]
    assert [step["down"] for step in path if step["name"].startswith("norm")] == ["skipped"] * 2
    passed = whole_image_deconvnet.trace(net, torch.randn(1, 3, 64, 64), [step["name"] for step in path])
    for step in path:
        above = torch.randn_like(passed.outputs[step["name"]])
        below = whole_image_deconvnet.backward(passed.steps[step["name"]], above, torch.zeros(1, dtype=torch.int64))
        assert (above.shape[1:], below.shape[2]) == ((step["maps"], step["above"], step["above"]), step["below"])
        kinds = {
            "skipped": torch.equal(below, above) if below.shape == above.shape else False,
            "rectify": below.shape == above.shape and torch.equal(below, above.relu()),
            "max unpooling": below.shape[1] == above.shape[1] and below.shape[2] > above.shape[2],
            "transposed filters": below.shape[1] != above.shape[1] or step["kind"] == "conv",
        }
        assert [what for what, true in kinds.items() if true] == [step["down"]]


def test_zones_that_do_not_overlap():
    example = deconvnet_diagram.pooling(2, 2)
    assert example["pooled"] == [[3, 6], [5, 7]]
    assert example["switches"] == [[(1, 0), (0, 2)], [(2, 1), (3, 3)]]
    assert example["unpooled"] == [[0, 0, 3, 0], [2, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 4]]
    assert example["rectified"] == [[0, 0, 3, 0], [2, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 4]]


def test_two_zones_that_share_their_maximum_add_up():
    example = deconvnet_diagram.pooling(3, 2)
    assert example["pooled"] == [[6, 6], [5, 7]]
    assert example["switches"] == [[(0, 2), (0, 2)], [(2, 1), (3, 3)]]
    assert example["unpooled"] == [[0, 0, 2 + 3, 0], [0, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 4]]
