"""NaN and infinity stop a job instead of passing as a value, a rank, a prediction or a mean.

Comparisons with NaN are false, so a NaN score outranks nothing and nothing outranks it; the argmax of a row that holds NaN is
where the first one stands; max(0, NaN) is 0; ReLU turns -infinity into 0. So a number is checked where it is computed, before
anything compares it. NaN that means "missing" is allowed only in the arrays that `require_finite_arrays` is given by name.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    import torch

    Values = TypeVar("Values", np.ndarray, torch.Tensor)


class NotFiniteError(FloatingPointError):
    """Some values are NaN or infinite. The message says how many of what, and where they were computed."""


def require_finite(values: Values, name: str, where: str = "") -> Values:
    """The same array or tensor of any shape. Raises NotFiniteError: `layer 5: 12 of 400 activations are not finite`.

    One pass without a copy: a finite sum has finite terms. Only a sum that is not finite, which large finite values can have as
    well, needs a second look.
    """
    if _is_float(values) and not _sum_is_finite(values) and (bad := _count_not_finite(values)):
        count = values.size if isinstance(values, np.ndarray) else values.numel()
        prefix = f"{where}: " if where else ""
        raise NotFiniteError(f"{prefix}{bad} of {count} {name} {'is' if count == 1 else 'are'} not finite")
    return values


def require_finite_arrays(arrays: Mapping[str, np.ndarray], missing: Collection[str] = ()) -> None:
    """Check arrays that are about to be written, by name; those in `missing` may hold NaN, which there means "none"."""
    for name, array in arrays.items():
        values = array[~np.isnan(array)] if name in missing and _is_float(array) else array
        require_finite(values, "values", name)


def require_finite_record(record: Any, where: str = "") -> None:
    """Check the numbers in nested dicts and lists, as JSON holds them. Raises NotFiniteError: `layers.5.mean: nan is not finite`."""
    if isinstance(record, float) and not math.isfinite(record):
        raise NotFiniteError(f"{where}: {record} is not finite")
    parts: Iterable[tuple[Any, Any]] = ()
    if isinstance(record, Mapping):
        parts = record.items()
    elif isinstance(record, list | tuple):
        parts = enumerate(record)
    for key, value in parts:
        require_finite_record(value, f"{where}.{key}" if where else str(key))


def _is_float(values: np.ndarray | torch.Tensor) -> bool:
    return values.dtype.kind == "f" if isinstance(values, np.ndarray) else values.is_floating_point()


def _sum_is_finite(values: np.ndarray | torch.Tensor) -> bool:
    if isinstance(values, np.ndarray):
        with np.errstate(over="ignore", invalid="ignore"):
            return bool(np.isfinite(values.sum()))
    return bool(values.detach().sum().isfinite())


def _count_not_finite(values: np.ndarray | torch.Tensor) -> int:
    if isinstance(values, np.ndarray):
        return int(values.size - np.count_nonzero(np.isfinite(values)))
    return values.numel() - int(values.detach().isfinite().sum())
