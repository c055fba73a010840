"""Refuse a network whose training diverged: one message that names its file, the layer, and what to try."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec

from zfrepro.core.finite import require_finite
from zfrepro.errors import UserError

if TYPE_CHECKING:
    import torch

ADVICE = (
    "the network has diverged: lower `train.recipe.learning_rate`, or the run's own `learning_rate`, and train again"
)

Parameters = ParamSpec("Parameters")


@contextmanager
def explain_not_finite(source: Path | str, advice: str = ADVICE) -> Iterator[None]:
    """Turn a value that is not finite into the user's message: source, what was found, advice."""
    try:
        yield
    except FloatingPointError as error:
        raise UserError(f"{source}: {error}; {advice}") from error


def explain_diverged_network(run: Callable[Parameters, None]) -> Callable[Parameters, None]:
    """A stage's `run` that names its `weights` where one of the network's numbers is not finite."""
    signature = inspect.signature(run)

    @functools.wraps(run)
    def report_weights_file(*args: Parameters.args, **kwargs: Parameters.kwargs) -> None:
        with explain_not_finite(signature.bind(*args, **kwargs).arguments["weights"]):
            run(*args, **kwargs)

    return report_weights_file


def check_weights(tensors: Mapping[str, torch.Tensor]) -> None:
    """Raise NotFiniteError naming the first tensor that is not finite."""
    for name, tensor in tensors.items():
        require_finite(tensor, "weights", name)
