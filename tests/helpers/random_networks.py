"""Chains of layers with random weights, and units that are active in them."""

import torch
from helpers.whole_image_deconvnet import trace
from torch import nn

from zfrepro.core.nets import CeilConv2d
from zfrepro.core.normalisation import CrossMapNorm

CHAINS = [
    [CeilConv2d(3, 6, 5, 3), nn.ReLU(), nn.MaxPool2d(3, 1), nn.Conv2d(6, 4, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(2)],
    [nn.Conv2d(3, 8, 4, 3), nn.ReLU(), nn.LocalResponseNorm(3), nn.MaxPool2d(3, 2, 1), nn.Conv2d(8, 8, 3, groups=2)],
    [nn.Conv2d(3, 6, 3, dilation=2), nn.ReLU(), nn.MaxPool2d(5, 2, ceil_mode=True), nn.Dropout(0.5), nn.Identity()],
    [
        CeilConv2d(3, 6, 7, 2, 1),
        nn.MaxPool2d((3, 2), (2, 1), (1, 0), ceil_mode=True),
        CeilConv2d(6, 5, 5, 4),
        nn.ReLU(),
    ],
    [nn.Conv2d(3, 6, 3), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, dilation=2), CrossMapNorm(6), nn.Conv2d(6, 4, 2, 3)],
]


def random_case(net, size, name, seed, units=6):
    """A net in float64 with random weights and biases, pictures (3, 3, size, size), units spread over them."""
    torch.manual_seed(seed)
    net = net.double().eval()
    with torch.no_grad():
        for weight in net.parameters():
            weight.normal_(std=0.3 if weight.dim() == 1 else weight[0].numel() ** -0.5)
    pictures = torch.randn(3, 3, size, size, dtype=torch.float64)
    maps = trace(net, pictures, [name]).outputs[name]
    active = (maps > 0).nonzero()
    assert len(active) > units
    return net, pictures, active[torch.randperm(len(active))[:units]]
