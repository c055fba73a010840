"""Open a trained network whose weights are all finite."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from zfrepro.core.finite import require_finite
from zfrepro.storage import network_file
from zfrepro.storage.diverged import check_weights, named

if TYPE_CHECKING:
    import numpy as np
    import torch


def load(weights: Path, device: torch.device | str) -> tuple[torch.nn.Sequential, np.ndarray, network_file.Description]:
    """As trained.load. Raises UserError also for weights or a mean image that are not finite."""
    net, mean, description = network_file.load(weights, device)
    with named(weights):
        check_weights(net.state_dict())
        require_finite(mean, "values", "mean image")
    return net, mean, description
