"""Make `import torchvision` work beside a torch that its compiled operators were not built for.

A CPU-only torch with PyPI's torchvision (which is linked against CUDA) fails on import with "operator torchvision::nms
does not exist": the compiled operators do not load, yet torchvision's Python code registers details of two of them.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import warnings
from pathlib import Path

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_EXPECTED = ("torchvision::nms", "torchvision::qnms")


def ensure() -> None:
    """Import torchvision, declaring first the two operators its import needs where its own do not load.

    Declared operators have a schema and no code: data sets, transforms and networks work, detection operators do not,
    and Pillow decodes images. Where torchvision's operators load, this is a plain import.
    """
    if "torchvision" in sys.modules:
        return
    if not _operators_load():
        _declare()
    with warnings.catch_warnings():
        # the compiled image reader lacks the same libraries; Pillow stands in for it
        warnings.filterwarnings("ignore", message="Failed to load .*(image|_C)", module="torchvision")
        importlib.import_module("torchvision")


def _operators_load() -> bool:
    """Load torchvision's compiled operators as its own import does, to learn whether they can be."""
    import torch

    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("torchvision is not installed", name="torchvision")
    libraries = sorted(Path(spec.origin).parent.glob("_C*.so")) + sorted(Path(spec.origin).parent.glob("_C*.pyd"))
    try:
        torch.ops.load_library(libraries[0])
    except (IndexError, OSError):  # no compiled operators at all, or a library they need is missing
        return False
    return True


def _declare() -> None:
    import torch

    for name in _EXPECTED:
        torch.library.define(name, _SCHEMA)
