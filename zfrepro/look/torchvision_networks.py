"""torchvision's alexnet and vgg16 with the user's own weights file, as one flat chain with the paper's layer names.

Inputs as torchvision's own: shorter side to 256, centre 224, values 0 ... 1 minus ImageNet's mean over its deviation.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from zfrepro.errors import UserError
from zfrepro.models import torchvision_import

if TYPE_CHECKING:
    import torch
    from torch import nn
    from torchvision.models import VGG, AlexNet

RESIZED, SIZE = 256, 224  # pixels
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LAST = "classifier.6.weight"  # (classes, 4096) in both networks
CHILDREN = {  # names of features, pooling and flattening, classifier; one a child
    "alexnet": "conv1 relu1 pool1 conv2 relu2 pool2 conv3 relu3 conv4 relu4 conv5 relu5 pool5 average flatten "
    "dropout6 full6 relu6 dropout7 full7 relu7 full8",
    "vgg16": "conv1_1 relu1_1 conv1_2 relu1_2 pool1 conv2_1 relu2_1 conv2_2 relu2_2 pool2 "
    "conv3_1 relu3_1 conv3_2 relu3_2 conv3_3 relu3_3 pool3 conv4_1 relu4_1 conv4_2 relu4_2 conv4_3 relu4_3 pool4 "
    "conv5_1 relu5_1 conv5_2 relu5_2 conv5_3 relu5_3 pool5 average flatten "
    "full6 relu6 dropout6 full7 relu7 dropout7 full8",
}
LAYERS = {  # the paper's layers 1 to 5: the last rectified maps before each pooling, and in alexnet those of every layer
    "alexnet": {n: f"relu{n}" for n in range(1, 6)},
    "vgg16": {n: f"relu{n}_{2 if n < 3 else 3}" for n in range(1, 6)},
}


def load(network: str, weights: Path) -> tuple[nn.Sequential, int]:
    """The network in evaluation mode, and its number of classes. Raises UserError for weights that are not its own."""
    tensors = _tensors(weights)
    classes = len(tensors[LAST]) if LAST in tensors and tensors[LAST].ndim else 1000
    model = _model(network, classes)
    if fault := _misfit(model.state_dict(), tensors):
        raise UserError(f"{weights}: not the weights of torchvision's {network}: {fault}")
    net = flat(model, network)
    model.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, assign=True)
    return net.eval(), classes


def flat(model: AlexNet | VGG, network: str) -> nn.Sequential:
    """features, pooling, classifier in one chain; ReLU not in place, so that maps asked for are kept.

    The adaptive average pooling is left out where it is the identity: averages of one value each.
    """
    from torch import nn

    children = [*model.features, model.avgpool, nn.Flatten(), *model.classifier]
    layers = OrderedDict(zip(CHILDREN[network].split(), children, strict=True))
    for name, child in layers.items():
        if isinstance(child, nn.ReLU):
            layers[name] = nn.ReLU()
    if _averages_single_values(model):
        del layers["average"]
    return nn.Sequential(layers)


def pixels(image: Image.Image) -> np.ndarray:
    """uint8 (224, 224, 3) of an RGB picture: torchvision's resize and centre crop, as one resampling.

    Both at once, since the resized picture as a whole may be huge: a strip of 1 x 30000 pixels would become 256 x 7680000.
    """
    short = min(image.size)
    sides = [RESIZED * side // short for side in image.size]
    corner = [round((side - SIZE) / 2) for side in sides]
    left, top, right, bottom = (
        (start + far) * original / side
        for far in (0, SIZE)
        for start, original, side in zip(corner, image.size, sides, strict=True)
    )
    box = (left, top, right, bottom)
    return np.array(image.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=box), dtype=np.uint8)


def normalise(crops: np.ndarray) -> torch.Tensor:
    """uint8 (B, s, s, 3) -> float32 (B, 3, s, s), channels last"""
    import torch

    values = torch.from_numpy(crops).float() / 255
    return ((values - torch.tensor(MEAN)) / torch.tensor(DEVIATION)).permute(0, 3, 1, 2)


def imagenet_classes() -> tuple[str, ...]:
    """The 1000 names in the order of torchvision's own weights."""
    torchvision_import.ensure()
    from torchvision import models

    return tuple(models.get_model_weights("alexnet").DEFAULT.meta["categories"])


def _model(network: str, classes: int) -> nn.Module:
    """torchvision's network without values: its tensors are on the device `meta`, to be replaced by the loaded ones."""
    torchvision_import.ensure()
    import torch
    from torchvision import models

    with torch.device("meta"):
        return {"alexnet": models.alexnet, "vgg16": models.vgg16}[network](num_classes=classes)


def _tensors(path: Path) -> Mapping[str, torch.Tensor]:
    """A state_dict of torch.save or of safetensors; nothing in the file is executed."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise UserError(f"{path}: no such weights file")
    try:
        safe = path.suffix == ".safetensors"
        loaded = load_file(path) if safe else torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, OSError, RuntimeError, EOFError, KeyError, ValueError) as error:
        raise UserError(
            f"{path}: cannot be read as weights; give a state_dict saved as .pth or .safetensors"
        ) from error
    if not isinstance(loaded, Mapping) or not all(isinstance(tensor, torch.Tensor) for tensor in loaded.values()):
        raise UserError(f"{path}: contains more than weights; save only the network's state_dict")
    return loaded


def _misfit(expected: Mapping[str, Any], loaded: Mapping[str, Any]) -> str:
    """What is missing, unknown or of another shape; empty if nothing."""
    shapes = [
        f"{name} is {'x'.join(map(str, loaded[name].shape))} and not {'x'.join(map(str, tensor.shape))}"
        for name, tensor in expected.items()
        if name in loaded and loaded[name].shape != tensor.shape
    ]
    missing = [f"{name} is missing" for name in expected if name not in loaded]
    unknown = [f"{name} is unknown" for name in loaded if name not in expected]
    faults = [*missing, *shapes, *unknown]
    return "; ".join(faults[:3]) + (f"; and {len(faults) - 3} more" if len(faults) > 3 else "")


def _averages_single_values(model: AlexNet | VGG) -> bool:
    """Whether the average pooling's output has the size of its input, at the networks' own 224 pixels."""
    import torch

    weight = next(model.features.parameters())
    with torch.no_grad():
        maps = model.features(torch.zeros(1, 3, SIZE, SIZE, dtype=weight.dtype, device=weight.device))
    return tuple(maps.shape[2:]) == tuple(model.avgpool.output_size)
