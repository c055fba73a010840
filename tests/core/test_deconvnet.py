"""The deconvnet against a case worked out by hand, autograd with a rectifying backward of ReLU, and its whole-image definition."""

from collections import OrderedDict

import pytest
import torch
from helpers.random_networks import CHAINS, random_case
from helpers.whole_image_deconvnet import project, project_onto_images, trace
from torch import nn
from torch.nn import functional

from zfrepro.core import deconvnet
from zfrepro.core.architecture import Network
from zfrepro.core.deconvnet import disjoint_every, unpool
from zfrepro.core.nets import CeilConv2d, build
from zfrepro.core.normalisation import CrossMapNorm


class RectifyBothWays(torch.autograd.Function):
    @staticmethod
    def forward(ctx, maps):
        return maps.clamp(min=0)

    @staticmethod
    def backward(ctx, grad):
        return grad.clamp(min=0)


class NormUpOnly(torch.autograd.Function):
    @staticmethod
    def forward(ctx, maps, norm):
        with torch.no_grad():
            return norm(maps)

    @staticmethod
    def backward(ctx, grad):
        return grad, None


def through_autograd(net, picture, name, unit):
    """The same projection by back-propagating one activation, weighted by itself: (3, H, W)."""
    maps = picture = picture[None].clone().requires_grad_()
    for child_name, child in net.named_children():
        if isinstance(child, nn.ReLU):
            maps = RectifyBothWays.apply(maps)
        elif isinstance(child, CrossMapNorm | nn.LocalResponseNorm):
            maps = NormUpOnly.apply(maps, child)
        else:
            maps = child(maps)
        if child_name == name:
            break
    activation = maps[(0, *unit)]
    activation.backward(activation.detach())
    return picture.grad[0]


def assert_same(ours, expected):
    assert (ours - expected).norm() <= 1e-10 * expected.norm()
    assert expected.norm() > 0


BASES = [
    (base, layer, size)
    for base in ("baseline", "improved")
    for layer, size in [(1, 68), (2, 75), (3, 83), (4, 90), (5, 97), (5, 112)]
]


@pytest.mark.parametrize(("base", "layer", "size"), BASES)
def test_paper_networks_equal_autograd(base, layer, size):
    net = build(Network(base=base), size, classes=5, width=1 / 12)
    net, pictures, units = random_case(net, size, f"relu{layer}", seed=size + layer)
    ours = project_onto_images(net, pictures, f"relu{layer}", units)
    for row, (picture, *unit) in enumerate(units.tolist()):
        assert_same(ours[row], through_autograd(net, pictures[picture], f"relu{layer}", unit))


@pytest.mark.parametrize("chain", range(len(CHAINS)))
@pytest.mark.parametrize("size", [23, 26])
def test_other_chains_equal_autograd(chain, size):
    net = nn.Sequential(*CHAINS[chain])
    last = str(len(net) - 1)
    net, pictures, units = random_case(net, size, last, seed=chain)
    ours = project_onto_images(net, pictures, last, units)
    for row, (picture, *unit) in enumerate(units.tolist()):
        assert_same(ours[row], through_autograd(net, pictures[picture], last, unit))


POOLS = [  # at the border of the image or of a map; the last three windows that begin beyond it do not exist
    nn.MaxPool2d(3, 2, 1),
    nn.MaxPool2d(3, 2, ceil_mode=True),
    nn.MaxPool2d(4, 3, 2, ceil_mode=True),
    nn.MaxPool2d(3, 2, 1, dilation=2, ceil_mode=True),
    nn.MaxPool2d((2, 3), (3, 2), (1, 0), ceil_mode=True),
    nn.MaxPool2d(2, 3, ceil_mode=True),
    nn.MaxPool2d(1, 4, ceil_mode=True),
]
FIRST = [[], [nn.ReLU()], [nn.Conv2d(3, 3, 3, padding=1), nn.ReLU()]]


@pytest.mark.parametrize("first", range(len(FIRST)), ids=["first", "after ReLU", "after conv"])
@pytest.mark.parametrize("pool", POOLS, ids=str)
@pytest.mark.parametrize("size", [9, 12])
def test_every_unit_above_a_pooling_equals_autograd(pool, first, size):
    net = nn.Sequential(*FIRST[first], pool, nn.Conv2d(3, 4, 2, padding=1))
    assert_every_unit_equals_autograd(net, size)


OUTSIDE = [  # windows that lie in the border alone
    [nn.Conv2d(3, 4, 2, padding=3), nn.ReLU()],
    [nn.Conv2d(3, 4, 2, 3, padding=(0, 5)), nn.ReLU(), nn.Conv2d(4, 3, 1)],
    [nn.MaxPool2d(2), nn.Conv2d(3, 4, 3, padding=4), nn.ReLU(), nn.Conv2d(4, 4, 1, padding=2)],
    [CeilConv2d(3, 4, 2, 5), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)],
    [CeilConv2d(3, 4, 3, 3, dilation=2), nn.ReLU()],
]


@pytest.mark.parametrize("chain", range(len(OUTSIDE)))
@pytest.mark.parametrize("size", [7, 11])
def test_fields_outside_the_image_project_nothing(chain, size):
    assert_every_unit_equals_autograd(nn.Sequential(*OUTSIDE[chain]), size)


def assert_every_unit_equals_autograd(net, size):
    """Every unit of one map, at the border and inside it."""
    torch.manual_seed(size)
    net, image, name = net.double().eval(), torch.randn(1, 3, size, size, dtype=torch.float64) - 2, str(len(net) - 1)
    units = net(image)[:, :1].isfinite().nonzero()
    for ours, (_, *unit) in zip(project_onto_images(net, image, name, units), units.tolist(), strict=True):
        torch.testing.assert_close(ours, through_autograd(net, image[0], name, unit), rtol=1e-10, atol=1e-12)


def test_a_padded_pooling_of_negative_pixels_worked_out_by_hand():
    # the four windows of a 2x2 image see one pixel each, and three places outside that are no pixels: no 0 there wins
    net = nn.Sequential(nn.MaxPool2d(2, 2, 1))
    image = torch.tensor([[[[-1.0, -2.0], [-3.0, -4.0]]]])
    units = torch.tensor([[0, 0, row, column] for row in range(2) for column in range(2)])
    pixels = project_onto_images(net, image, "0", units)
    assert [projection.flatten().tolist() for projection in pixels] == [
        [-1, 0, 0, 0],
        [0, -2, 0, 0],
        [0, 0, -3, 0],
        [0, 0, 0, -4],
    ]


def by_hand():
    """Picture 4x4 -> conv 2x2 -> 3x3 -> pool 2x2 stride 1 -> 2x2 -> conv 2x2 -> one unit."""
    net = nn.Sequential(nn.Conv2d(1, 1, 2), nn.ReLU(), nn.MaxPool2d(2, 1), nn.Conv2d(1, 1, 2), nn.ReLU())
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[[[1.0, 2], [0, -1]]]]))
        net[3].weight.copy_(torch.tensor([[[[1.0, -2], [3, 1]]]]))
        net[0].bias.zero_()
        net[3].bias.fill_(10)
    return net, torch.tensor([[[[1.0, 2, 0, 1], [0, 3, 1, 0], [2, 0, 1, 4], [0, 1, 0, 2]]]])


def test_four_by_four_worked_out_by_hand():
    # up: rectified [[2,1,2],[6,4,0],[1,2,7]], pooled [[6,4],[6,7]] from (1,0) (1,1) (1,0) (2,2), unit 6-8+18+7 + bias 10
    # down: 33 times the filter = [[33,-66],[99,33]]; (1,0) gets 33+99, (1,1) gets -66 and is rectified away, (2,2) gets 33
    net, picture = by_hand()
    passed = trace(net, picture, ["1", "2", "4"])
    assert passed.outputs["1"][0, 0].tolist() == [[2, 1, 2], [6, 4, 0], [1, 2, 7]]
    assert passed.steps["2"].switches[0, 0].tolist() == [[3, 4], [3, 8]]
    assert passed.outputs["4"].tolist() == [[[[33]]]]
    unit = torch.tensor([[0, 0, 0, 0]])
    for pixels in (project_onto_images(net, picture, "4", unit), project(passed, "4", unit)):
        assert pixels[0, 0].tolist() == [[0, 0, 0, 0], [132, 264, 0, 0], [0, -132, 33, 66], [0, 0, 0, -33]]


def test_only_the_chosen_activation_is_projected():
    net, picture = by_hand()
    pixels = project_onto_images(net, picture, "1", torch.tensor([[0, 0, 2, 1]]))  # activation 2 times the filter
    assert pixels[0, 0].tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [0, 2, 4, 0], [0, 0, -2, 0]]


def assert_same_as_whole_image(net, images, name, units):
    full = project(trace(net, images, [name]), name, units)
    for ours, expected in zip(project_onto_images(net, images, name, units), full, strict=True):
        assert (ours - expected).norm() <= 1e-12 * expected.norm()
        assert expected.norm() > 0


@pytest.mark.parametrize("base", ["baseline", "improved"])
@pytest.mark.parametrize(("layer", "size"), [(1, 68), (2, 75), (3, 83), (4, 90), (5, 97), (5, 150)])
def test_paper_networks_equal_the_whole_image(base, layer, size):
    net = build(Network(base=base), size, classes=5, width=1 / 12)
    case = random_case(net, size, f"relu{layer}", seed=size + layer, units=40)
    assert_same_as_whole_image(*case[:2], f"relu{layer}", case[2])


@pytest.mark.parametrize("name", ["pool1", "norm1", "conv2", "pool2", "conv5", "pool5"])
def test_any_child_equals_the_whole_image(name):
    net, images, units = random_case(build(Network(base="improved"), 97, 5, 1 / 12), 97, name, seed=7, units=40)
    assert_same_as_whole_image(net, images, name, units)


@pytest.mark.parametrize("chain", range(len(CHAINS)))
@pytest.mark.parametrize("size", [23, 26])
def test_other_chains_equal_the_whole_image(chain, size):
    net, images, units = random_case(nn.Sequential(*CHAINS[chain]), size, last_of(chain), seed=chain, units=9)
    assert_same_as_whole_image(net, images, last_of(chain), units)


def last_of(chain):
    return str(len(CHAINS[chain]) - 1)


def test_one_by_one_or_together_and_twice_the_same_bits():
    net, images, units = random_case(build(Network(base="improved"), 97, 5, 1 / 12), 97, "relu4", seed=1, units=8)
    first, second = (project_onto_images(net, images, "relu4", units) for _ in range(2))
    assert torch.equal(first, second)
    for row, unit in enumerate(units):
        (single,) = project_onto_images(net, images, "relu4", unit[None])
        torch.testing.assert_close(single, first[row], rtol=1e-12, atol=1e-12 * single.abs().max().item())


@pytest.mark.parametrize("alone", [0, torch.inf], ids=["as many groups as there are windows", "one group"])
@pytest.mark.parametrize(("base", "layer", "size"), [("improved", 2, 75), ("improved", 5, 150), ("baseline", 4, 90)])
def test_units_in_groups_equal_the_whole_image(monkeypatch, base, layer, size, alone):
    monkeypatch.setattr(deconvnet, "ALONE", alone)
    net = build(Network(base=base), size, classes=5, width=1 / 12)
    case = random_case(net, size, f"relu{layer}", seed=layer, units=20)
    assert_same_as_whole_image(*case[:2], f"relu{layer}", case[2])


def test_no_units_have_no_projections():
    none = torch.empty(0, dtype=torch.int64)
    pixels, starts = deconvnet.project(
        nn.Sequential(nn.Conv2d(3, 2, 3)), "0", torch.empty(0, 3, 9, 9), none, none.view(0, 2)
    )
    assert pixels.shape == (0, 3, 3, 3)
    assert starts.shape == (0, 2)


def test_the_images_stay_as_they_were():
    net = nn.Sequential(nn.ReLU(), nn.Conv2d(3, 2, 3), nn.ReLU()).double()
    images = torch.randn(2, 3, 9, 9, dtype=torch.float64)
    before = images.clone()
    deconvnet.project(net, "2", images, torch.tensor([0, 1]), torch.tensor([[0, 0], [3, 6]]))
    assert images.equal(before)


@pytest.mark.parametrize("base", ["baseline", "improved"])
def test_strongest_unit_is_the_same_before_and_after_pooling(base):
    net, pictures, _ = random_case(build(Network(base=base), 83, 5, 1 / 12), 83, "relu2", seed=3)
    for layer in (2, 5):
        rectified, pooled = f"relu{layer}", f"pool{layer}"
        bare = nn.Sequential(
            OrderedDict((n, c) for n, c in net.named_children() if n != f"norm{layer}")
        )  # norm would move maxima
        passed = trace(bare, pictures, [rectified, pooled])
        strongest = int(passed.outputs[rectified][0].amax((1, 2)).argmax())
        units = [
            (passed.outputs[name][0, strongest] == passed.outputs[name][0, strongest].max()).nonzero()
            for name in (rectified, pooled)
        ]
        before, after = (torch.tensor([[0, strongest, *places[0].tolist()]]) for places in units)
        assert_same(*(project_onto_images(bare, pictures, *unit) for unit in ((rectified, before), (pooled, after))))


def test_overlapping_windows_add_where_max_unpool_overwrites():
    maps = torch.rand(2, 3, 9, 9, dtype=torch.float64, requires_grad=True)
    pool = nn.MaxPool2d(3, 2)
    pooled, switches = functional.max_pool2d(maps, 3, 2, return_indices=True)
    values = torch.rand_like(pooled)
    ours = unpool(values, switches, (9, 9), pool)
    assert len(switches[0, 0].unique()) < switches[0, 0].numel()
    (expected,) = torch.autograd.grad(pooled, maps, values)
    torch.testing.assert_close(ours, expected, rtol=1e-14, atol=0)
    torch.testing.assert_close(ours.sum(), values.sum())


@pytest.mark.parametrize(
    "pool", [nn.MaxPool2d(3, 2), nn.MaxPool2d((2, 3), (3, 1)), nn.MaxPool2d(2, 1, dilation=2)], ids=str
)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
def test_windows_are_unpooled_as_whole_maps_are(pool, layout):
    torch.manual_seed(0)
    maps = torch.rand(2, 3, 11, 11, dtype=torch.float64).contiguous(memory_format=layout)
    pooled, switches = functional.max_pool2d(
        maps, pool.kernel_size, pool.stride, dilation=pool.dilation, return_indices=True
    )
    values = torch.randn_like(pooled)
    ours = deconvnet._unpool_windows(values, switches, (11, 11), pool)
    torch.testing.assert_close(ours, unpool(values, switches, (11, 11), pool), rtol=1e-14, atol=1e-14)
    assert torch.equal(ours, deconvnet._unpool_windows(values, switches, (11, 11), pool))


@pytest.mark.parametrize(
    "conv",
    [nn.Conv2d(6, 4, 3, groups=2), nn.Conv2d(6, 4, 3, bias=False, padding=1), nn.Conv2d(6, 4, 2, dilation=2)],
    ids=str,
)
def test_every_last_convolution_equals_autograd(conv):
    assert_every_unit_equals_autograd(nn.Sequential(nn.Conv2d(3, 6, 3, 2, padding=1), nn.ReLU(), conv, nn.ReLU()), 12)


def test_windows_of_one_scatter_share_no_pixel():
    assert disjoint_every(nn.MaxPool2d(3, 2)) == (2, 2)
    assert disjoint_every(nn.MaxPool2d(2)) == (1, 1)
    assert disjoint_every(nn.MaxPool2d((3, 5), (1, 2))) == (3, 3)
    assert disjoint_every(nn.MaxPool2d(3, 2, dilation=2)) == (3, 3)


@pytest.mark.parametrize(
    ("child", "message"),
    [
        (nn.AvgPool2d(2), "layer second: AvgPool2d is not supported"),
        (nn.BatchNorm2d(2), "layer second: BatchNorm2d is not supported"),
        (nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect"), "layer second: Conv2d with padding 'reflect'"),
        (nn.Conv2d(2, 2, 3, padding="same"), "layer second: Conv2d with padding 'zeros', 'same'"),
    ],
)
def test_an_unsupported_child_is_named(child, message):
    net = nn.Sequential(OrderedDict(first=nn.Conv2d(3, 2, 1), second=child, third=nn.ReLU()))
    with pytest.raises(ValueError, match=message):
        deconvnet.project(net, "third", torch.zeros(1, 3, 4, 4), torch.tensor([0]), torch.tensor([[0, 0]]))
    pixels, _ = deconvnet.project(net, "first", torch.zeros(1, 3, 4, 4), torch.tensor([0]), torch.tensor([[0, 0]]))
    assert pixels.shape == (1, 3, 1, 1)


def test_a_missing_layer_is_named():
    with pytest.raises(ValueError, match="no layer relu9; it has 0, 1"):
        deconvnet.check(nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU()), ["relu9"])
