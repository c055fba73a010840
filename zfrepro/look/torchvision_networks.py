"""torchvision's classifiers with the user's own weights file; nothing is downloaded."""

from __future__ import annotations

import difflib
import pickle
import re
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zfrepro.errors import UserError
from zfrepro.look.preprocessing import Preprocessing
from zfrepro.models import torchvision_import

if TYPE_CHECKING:
    import torch
    from torch import nn

IMAGENET = 1000  # classes
AUXILIARY = re.compile(r"(aux1|aux2|AuxLogits)\.")  # classifiers that work in training only
DENSENET = re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.([12]\..*)")  # norm.1 in old files, norm1 today


def check_name(name: str) -> None:
    """Raises UserError for a classifier that torchvision does not have."""
    torchvision_import.ensure()
    from torchvision import models

    names = models.list_models(module=models)
    if name not in names:
        near = difflib.get_close_matches(name, names, n=5, cutoff=0.5) or ["alexnet", "resnet50", "vgg16"]
        raise UserError(f"--network {name}: torchvision has no such classifier; similar names: {', '.join(near)}")


def where_weights_are(name: str) -> str:
    """The address of torchvision's own weights."""
    from torchvision import models

    return str(models.get_model_weights(name).DEFAULT.url)


def preprocessing(name: str, weights: Path) -> Preprocessing:
    """That of torchvision's weights of the file's name; of another file that of the network's first ones."""
    from torchvision import models
    from torchvision.transforms import InterpolationMode

    published = list(models.get_model_weights(name))
    entry = next((entry for entry in published if entry.url.endswith(f"/{weights.name}")), published[0])
    preset = entry.transforms()
    bicubic = preset.interpolation == InterpolationMode.BICUBIC
    return Preprocessing(preset.crop_size[0], preset.resize_size[0], tuple(preset.mean), tuple(preset.std), bicubic)


def load(name: str, weights: Path, size: int = 224) -> nn.Module:
    """The network in evaluation mode. Raises UserError for weights that are not its own; size: pixels of its input."""
    loaded = _tensors(weights)
    tensors = _current_names(loaded)
    model = _model(name, IMAGENET, size)
    if (classes := _classes(model, tensors)) != IMAGENET:
        model = _model(name, classes, size)
    versions = getattr(loaded, "_metadata", model.state_dict()._metadata)  # type: ignore[attr-defined] # of the modules
    tensors._metadata = versions  # type: ignore[attr-defined]
    if fault := _misfit(model, tensors):
        raise UserError(f"{weights}: not the weights of torchvision's {name}: {fault}")
    return model.eval()


def imagenet_classes() -> tuple[str, ...]:
    """The 1000 names in the order of torchvision's own weights."""
    torchvision_import.ensure()
    from torchvision import models

    return tuple(models.get_model_weights("alexnet").DEFAULT.meta["categories"])


def _model(name: str, classes: int, size: int = 224) -> nn.Module:
    """torchvision's network without values: its tensors are on the device `meta`, to be replaced by the loaded ones."""
    torchvision_import.ensure()
    import torch
    from torchvision import models

    options: dict[str, Any] = {"num_classes": classes}
    if name in ("googlenet", "inception_v3"):  # as with torchvision's own weights
        options |= {"aux_logits": False, "init_weights": False, "transform_input": True}
    if name.startswith("vit_"):
        options["image_size"] = size
    try:
        with torch.device("meta"):
            return models.get_model(name, **options)
    except NotImplementedError:  # regnet computes widths with tensors
        return models.get_model(name, **options)


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


def _current_names(tensors: Mapping[str, torch.Tensor]) -> OrderedDict[str, torch.Tensor]:
    """Weights in float32, under the names of today's torchvision, without auxiliary classifiers."""
    return OrderedDict(
        (DENSENET.sub(r"\1\2", name), tensor.float() if tensor.is_floating_point() else tensor)
        for name, tensor in tensors.items()
        if not AUXILIARY.match(name)
    )


def _classes(model: nn.Module, tensors: Mapping[str, torch.Tensor]) -> int:
    """The rows of the first tensor that has another number of them than ImageNet's classes."""
    for name, expected in model.state_dict().items():
        given = tensors.get(name)
        if given is not None and given.shape != expected.shape and given.ndim and len(expected) == IMAGENET:
            return len(given)
    return IMAGENET


def _misfit(model: nn.Module, tensors: Mapping[str, torch.Tensor]) -> str:
    """Load the weights; what is missing, of another shape or unknown, empty if nothing."""
    expected = model.state_dict()
    shapes = [
        f"{name} is {'x'.join(map(str, tensors[name].shape))} and not {'x'.join(map(str, tensor.shape))}"
        for name, tensor in expected.items()
        if name in tensors and tensors[name].shape != tensor.shape
    ]
    missing = [name for name in expected if name not in tensors]
    unknown = [name for name in tensors if name not in expected]
    if not shapes:
        missing, unknown = model.load_state_dict(
            tensors, strict=False, assign=True
        )  # modules rename what older versions wrote
    faults = [*(f"{name} is missing" for name in missing), *shapes, *(f"{name} is unknown" for name in unknown)]
    return "; ".join(faults[:3]) + (f"; and {len(faults) - 3} more" if len(faults) > 3 else "")
