"""torchvision's networks, narrow enough for a test."""

import torch
from torch import nn

from zfrepro.look import torchvision_networks

REAL = torchvision_networks._model


def narrow(network, classes=7, size=224, by=16):
    """torchvision's model with a 16th of its maps and 24 units, random weights and biases."""
    model, maps, units = REAL(network, classes), 3, 0
    for i, child in enumerate(model.features):
        if isinstance(child, nn.Conv2d):
            out = child.out_channels // by
            model.features[i] = nn.Conv2d(maps, out, child.kernel_size, child.stride, child.padding)
            maps = out
    units = maps * model.avgpool.output_size[0] ** 2
    for i, child in enumerate(model.classifier):
        if isinstance(child, nn.Linear):
            out = 24 if i + 1 < len(model.classifier) else classes
            model.classifier[i], units = nn.Linear(units, out), out
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.1 if weight.dim() == 1 else (2 / weight[0].numel()) ** 0.5)
    return model.eval()
