"""The strongest activations over sets of every kind, against sorting everything at once."""

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from zfrepro.analysis import top_activations
from zfrepro.core.field_boxes import field_boxes
from zfrepro.core.layers import find_layer


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.relu = (
            nn.Conv2d(3, 5, 3, 2, 1),
            nn.Conv2d(5, 5, 3, padding=1),
            nn.ReLU(inplace=True),
        )
        self.full = nn.Linear(5, 4)

    def forward(self, images):
        maps = self.relu(self.first(images))
        maps = self.relu(self.second(maps) + maps)
        return self.full(maps.mean((2, 3)))


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    return Residual().double().eval()


@pytest.fixture(scope="module")
def images():
    return torch.randn(11, 3, 12, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def residual_maps(net, images):
    with torch.no_grad():
        first = net.first(images).relu()
        return (net.second(first) + first).relu()


def test_equals_sorting_everything(net, images):
    top = top_activations(net, images, "relu", 4, batch=3)
    values, order = residual_maps(net, images).flatten(2).amax(2).T.sort(dim=1, descending=True, stable=True)
    torch.testing.assert_close(top.values, values[:, :4])
    assert torch.equal(top.images, order[:, :4])
    assert top.maps.tolist() == [0, 1, 2, 3, 4]


def test_patches_are_what_the_units_see(net, images):
    top = top_activations(net, images, "relu", 4, [3, 1], batch=4)
    layer = find_layer(net, "relu:2")
    boxes = field_boxes(net, layer, images[:1])
    assert top.patches.shape == (2, 4, 3, 7, 7)
    for row, number in enumerate([3, 1]):
        for rank in range(4):
            image, (y, x) = images[top.images[row, rank]], top.positions[row, rank].tolist()
            assert residual_maps(net, image[None])[0, number, y, x] == pytest.approx(top.values[row, rank].item())
            assert top.boxes[row, rank].tolist() == boxes[y, x].tolist()
            first, end, left, right = boxes[y, x].tolist()
            upper, west = top.corners[row, rank].tolist()
            assert torch.equal(top.patches[row, rank], image[:, upper : upper + 7, west : west + 7])
            assert upper <= first
            assert west <= left
            assert end <= upper + 7 <= 12
            assert right <= west + 7 <= 10


class Streamed(IterableDataset):
    def __init__(self, images):
        self.images = images

    def __iter__(self):
        return iter([(image, 0) for image in self.images])


def test_every_kind_of_set_gives_the_same(net, images):
    expected = top_activations(net, images, "relu:1", 3)
    labelled = TensorDataset(images, torch.zeros(11))
    kinds = [
        labelled,
        DataLoader(labelled, batch_size=4),
        Streamed(images),
        [images[:5], (images[5:], None)],
        iter([images]),
    ]
    for data in kinds:
        top = top_activations(net, data, "relu:1", 3, batch=5)
        assert torch.equal(top.images, expected.images)
        torch.testing.assert_close(top.values, expected.values)
        assert torch.equal(top.patches, expected.patches)


def test_units_of_a_full_layer_see_everything(net, images):
    top = top_activations(net, images, "full", 2)
    values, order = net(images).detach().T.sort(dim=1, descending=True)
    torch.testing.assert_close(top.values, values[:, :2])
    assert torch.equal(top.patches[1, 0], images[order[1, 0]])
    assert top.boxes.unique(dim=1).tolist() == [[[0, 12, 0, 10]]] * 4


def test_fewer_images_than_asked_for(net, images):
    top = top_activations(net, images[:2], "relu", 9)
    assert top.values.shape == (5, 2)
    assert top.patches.shape[:2] == (5, 2)


def test_the_network_is_left_as_it_was(net, images):
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    top_activations(net, images, "relu", 2)
    assert not any(module._forward_hooks for module in net.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert all(weight.requires_grad and weight.grad is None for weight in net.parameters())


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (torch.randn(3, 3, 12, 10).double(), {"k": 0}, "k: give a whole number of at least 1, not 0"),
        (torch.randn(3, 3, 12, 10).double(), {"maps": [5]}, r"maps: the layer has maps 0 to 4, not \[5\]"),
        (torch.randn(3, 3, 12, 10).double(), {"maps": 2}, "maps: give whole numbers, or None"),
        ([], {}, "data: there are no images"),
        (7, {}, "data: give a tensor, a Dataset or a DataLoader, not int"),
        (
            [torch.zeros(1, 3, 9, 9), torch.zeros(1, 3, 9, 8)],
            {},
            r"data: images of shape \(3, 9, 8\) after others of \(3, 9, 9\)",
        ),
        ([{"image": torch.zeros(1, 3, 9, 9)}], {}, r"data: give a tensor \(B, C, H, W\), not dict"),
        (torch.zeros(3, 12, 10), {}, r"data: give a tensor \(B, C, H, W\), not one of shape \(3, 12, 10\)"),
    ],
)
def test_bad_input(net, data, options, message):
    with pytest.raises(ValueError, match=message):
        top_activations(net, data, "relu", **options)
