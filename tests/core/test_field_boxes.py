"""Boxes of receptive fields: against shape arithmetic on chains, and against what gradients reach in torchvision's networks."""

import warnings

import pytest
import torch
from helpers.random_networks import CHAINS
from helpers.random_torchvision import models, random_model
from torch import nn
from torch.nn import functional

from zfrepro.core import layers
from zfrepro.core.architecture import Network
from zfrepro.core.field_boxes import field_boxes
from zfrepro.core.nets import build
from zfrepro.core.receptive_field import receptive_field


def boxes_of(model, name, size):
    images = torch.zeros(1, 3, *size, dtype=next(model.parameters()).dtype)
    layer = layers.find_layer(model, name)
    call = layers.count_calls(model, images, layer)
    return field_boxes(model, layers.Layer(name, layer.module, call), images)


def test_worked_out_by_hand():
    # 3 pixels, then two of the maps with one position of border: 4 pixels, from -1, -3, ... on
    model = nn.Sequential(nn.Conv2d(3, 2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, 2))
    boxes = boxes_of(model, "2", (6, 8))
    assert boxes.shape == (3, 4, 4)
    assert boxes[0, 0].tolist() == [0, 3, 0, 3]
    assert boxes[1, 2].tolist() == [1, 5, 3, 7]
    assert boxes[2, 3].tolist() == [3, 6, 5, 8]


@pytest.mark.parametrize("chain", range(len(CHAINS)))
def test_chains_with_square_windows_equal_shape_arithmetic(chain):
    net, size = (
        nn.Sequential(*CHAINS[chain]),
        40 if chain == 1 else 41,
    )  # of 41 pixels its first layer would leave the last unread
    names = [name for name, child in net.named_children() if chain != 3 or int(name) < 1]
    for name in names:
        boxes, field = boxes_of(net, name, (size, size)), receptive_field(net, name)
        for row in range(boxes.shape[0]):
            first, end = field.start + row * field.jump, field.start + row * field.jump + field.size
            assert boxes[row, 0, :2].tolist() == [max(0, first), min(size, end)]


@pytest.mark.parametrize(("base", "layer", "size"), [("baseline", "pool5", 163), ("improved", "relu5", 139)])
def test_the_paper_s_networks(base, layer, size):
    net = build(Network(base=base), size, 5, 1 / 12)
    boxes, field = boxes_of(net, layer, (size, size)), receptive_field(net, layer)
    sides = boxes[..., 1] - boxes[..., 0]
    assert int(sides.max()) == min(field.size, size)
    assert boxes[1, 2].tolist() == [
        *(max(0, field.start + field.jump), min(size, field.start + field.jump + field.size)),
        *(max(0, field.start + 2 * field.jump), min(size, field.start + 2 * field.jump + field.size)),
    ]


MODELS = [
    ("squeezenet1_1", "features.4", 64),
    ("googlenet", "inception3a", 64),
    ("resnet18", "layer2.0.relu", 64),
    ("shufflenet_v2_x0_5", "stage2.1", 64),
]


@pytest.mark.parametrize(("name", "layer", "size"), MODELS)
def test_branches_are_joined(name, layer, size):
    """All weights positive, no running means, pooling by averages: then every pixel of the field has a positive derivative."""
    model = random_model(name)
    boxes = boxes_of(model, layer, (size, size + 8))
    for module in model.modules():
        if isinstance(module, nn.MaxPool2d):
            module.forward = averaging(module)
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.zero_()
    for weight in model.parameters():
        weight.data.abs_()
    pixels = torch.rand(1, 3, size, size + 8, dtype=torch.float64, requires_grad=True)
    outputs = {}
    model.get_submodule(layer).register_forward_hook(lambda module, inputs, output: outputs.update(last=output.clone()))
    model(pixels)
    rows, columns = boxes.shape[:2]
    assert outputs["last"].shape[2:] == (rows, columns)
    for row, column in [(0, 0), (rows // 2, columns // 2), (rows - 1, 1)]:
        (reached,) = torch.autograd.grad(outputs["last"][0, :, row, column].sum(), pixels, retain_graph=True)
        seen = reached[0].abs().sum(0) > 0
        lines, positions = seen.any(1).nonzero(), seen.any(0).nonzero()
        expected = [int(lines.min()), int(lines.max()) + 1, int(positions.min()), int(positions.max()) + 1]
        assert boxes[row, column].tolist() == expected


def averaging(pool):
    return lambda maps: functional.avg_pool2d(maps, pool.kernel_size, pool.stride, pool.padding, pool.ceil_mode)


def test_full_layers_and_gates_see_the_whole_image():
    class Gate(nn.Module):
        def forward(self, maps):
            return maps * maps.mean((2, 3), keepdim=True).sigmoid()

    net = nn.Sequential(nn.Conv2d(3, 4, 3), Gate(), nn.Flatten(), nn.Linear(4 * 7 * 5, 2))
    assert boxes_of(net, "0", (9, 7))[3, 2].tolist() == [3, 6, 2, 5]
    assert (boxes_of(net, "1", (9, 7)) == torch.tensor([0, 9, 0, 7])).all()
    assert boxes_of(net, "3", (9, 7)).tolist() == [[[0, 9, 0, 7]]]


def test_compiled_code_sees_the_whole_image():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        compiled = torch.jit.trace(nn.Conv2d(4, 2, 1).eval(), torch.randn(1, 4, 7, 5))
    net = nn.Sequential(nn.Conv2d(3, 4, 3), compiled, nn.ReLU())
    assert (boxes_of(net, "2", (9, 7)) == torch.tensor([0, 9, 0, 7])).all()


def test_attention_in_windows_sees_the_whole_image():
    """The windows of all images are one batch, in which the four numbers are mixed."""
    sizes = {
        "patch_size": [4, 4],
        "embed_dim": 12,
        "depths": [2],
        "num_heads": [2],
        "window_size": [4, 4],
        "num_classes": 2,
    }
    model = models.swin_transformer.SwinTransformer(
        **sizes, block=models.swin_transformer.SwinTransformerBlockV2
    ).eval()
    assert (boxes_of(model, "features.1.0", (32, 32)).view(-1, 4) == torch.tensor([0, 32, 0, 32])).all()
    assert boxes_of(model, "features.0.0", (32, 32))[1, 2].tolist() == [4, 8, 8, 12]


def test_what_is_not_known_to_see_less_sees_the_whole_image():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ConvTranspose2d(4, 2, 2))
    assert (boxes_of(net, "1", (9, 7)) == torch.tensor([0, 9, 0, 7])).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_numbers_stay_exact_in_half_precision(dtype):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4)).to(dtype)
    assert boxes_of(net, "0", (1003, 5))[999, 2].tolist() == [999, 1002, 2, 5]
    assert (boxes_of(net, "1", (1003, 5)) == torch.tensor([0, 1003, 0, 5])).all()


def test_writing_into_an_empty_tensor():
    class Written(nn.Module):
        def forward(self, maps):
            result = torch.zeros_like(maps)
            result[:, 1:] = maps[:, 1:]
            return result

    net = nn.Sequential(nn.Conv2d(3, 4, 3), Written())
    boxes = boxes_of(net, "1", (9, 7))
    assert (boxes[..., 0] <= boxes_of(net, "0", (9, 7))[..., 0]).all()
    assert (boxes[..., 1] >= boxes_of(net, "0", (9, 7))[..., 1]).all()


def test_units_that_see_the_border_alone_have_empty_boxes():
    boxes = boxes_of(nn.Sequential(nn.Conv2d(3, 2, 2, padding=3)), "0", (7, 7))
    assert boxes[3, 5].tolist() == [0, 2, 2, 4]
    for row in (0, 1, -1):
        top, bottom, left, right = boxes[row, 5].tolist()
        assert (bottom - top) * (right - left) == 0


def test_layer_scales_and_other_constants_do_not_count():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.full((4, 1, 1), -7.0))  # as many maps as there are numbers followed

        def forward(self, maps):
            maps = maps * self.scale
            maps += 1
            return maps - torch.zeros(4, 1, 1, 1).sum()

    net = nn.Sequential(nn.Conv2d(3, 4, 3), Scaled())
    assert boxes_of(net, "1", (9, 7)).equal(boxes_of(net, "0", (9, 7)))
