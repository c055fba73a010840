"""torchvision's classifiers with random weights in float64; alexnet and the vggs with an eighth of their maps and a small classifier."""

import torch
from torch import nn

from zfrepro.models import torchvision_import

torchvision_import.ensure()
from torchvision import models  # noqa: E402


def random_model(name, classes=5, seed=0):
    """In evaluation mode; He's standard deviations; batch normalisation with scales of both signs, biases and running statistics."""
    options = {"aux_logits": False, "init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with torch.device("meta"):
        model = getattr(models, name)(num_classes=classes, **options)
        if name.startswith(("alexnet", "vgg")):
            narrow(model, classes)
    return randomise(model.to_empty(device="cpu").to(torch.float64), seed).eval()


def narrow(model, classes, by=8):
    channels = 3
    for i, module in enumerate(model.features):
        if isinstance(module, nn.Conv2d):
            outputs = module.out_channels // by
            model.features[i] = nn.Conv2d(channels, outputs, module.kernel_size, module.stride, module.padding)
            channels = outputs
        elif isinstance(module, nn.BatchNorm2d):
            model.features[i] = nn.BatchNorm2d(channels)
    model.avgpool, model.classifier = nn.AdaptiveAvgPool2d(2), nn.Sequential(nn.Linear(4 * channels, classes))


@torch.no_grad()
def randomise(model, seed=0):
    torch.manual_seed(seed)
    for weight in model.parameters():
        if weight.dim() > 1:
            weight.uniform_(-1, 1).mul_((6 / weight[0].numel()) ** 0.5)
        else:
            weight.uniform_(-0.2, 0.2)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.weight.uniform_(0.5, 1.5).mul_(torch.where(torch.rand_like(module.weight) < 0.2, -1.0, 1.0))
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 1.5)
            module.num_batches_tracked.zero_()
    return model
