"""Does covering the object hurt? Numbers of one occlusion map against the object's box, and against what a projection shows.

All maps are (P, P) over positions of the square; boxes are x0, y0, x1, y1 in pixels of the network's input.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Box = tuple[float, float, float, float]
SCORES = (
    "clean", "touching", "elsewhere", "inside", "outside", "energy", "pointing", "area", "kept", "kept_inside",
    "kept_outside", "projection", "map_top", "map_left", "map_fall", "map_rival", "true_top", "true_left", "true_fall",
    "true_rival",
)  # fmt: skip


@dataclass(frozen=True)
class Minimum:
    """The position at which a map is lowest, and how clearly."""

    top: int  # of the square, pixels of the network's input
    left: int
    fall: float  # below the map's median, as a share of it; NaN where the median is not above 0
    rival: float  # the largest fall further from it than the square's side, as a share of `fall`; 0: no other position falls


def scores(
    probability: np.ndarray,
    clean: float,
    activation: np.ndarray,
    projection: np.ndarray,
    kept: np.ndarray,
    box: Box,
    square: int,
    stride: int,
) -> dict[str, float]:
    """One image's numbers.

    probability (P, P) of the true class, `clean` uncovered; activation (P, P) of the strongest map; projection (S, S): that
    map's projection, squared and summed over colours; kept (P, P): the label stays.

    touching, elsewhere   mean probability where the square touches the box, and where not
    inside, outside       the same where the square's middle lies in the box; `area` is the share of such positions
    energy, pointing      see energy_share, points_inside
    kept                  share of positions; kept_inside, kept_outside: of those with the square's middle in the box, or not
    projection            see weighted_ratio: the map's activation where the square covers what its projection shows
    map_..., true_...     the `Minimum` of the map and of the probability: top, left, fall, rival
    """
    geometry = (projection.shape[0], square, stride)
    inside, touches = centred_in(*geometry, box), touching(*geometry, box)
    lowest = {"map": minimum(activation, square, stride), "true": minimum(probability, square, stride)}
    return {
        "clean": clean,
        "touching": mean_where(probability, touches),
        "elsewhere": mean_where(probability, ~touches),
        "inside": mean_where(probability, inside),
        "outside": mean_where(probability, ~inside),
        "energy": energy_share(probability, clean, inside),
        "pointing": float(points_inside(probability, inside)),
        "area": float(inside.mean()),
        "kept": float(kept.mean()),
        "kept_inside": mean_where(kept, inside),
        "kept_outside": mean_where(kept, ~inside),
        "projection": weighted_ratio(activation, covered_energy(projection, square, stride)),
        **{
            f"{name}_{key}": value
            for name, lowest_position in lowest.items()
            for key, value in vars(lowest_position).items()
        },
    }


def leaves_room(size: int, square: int, stride: int, box: Box) -> bool:
    """Whether some positions of the square lie on the box and some beside it, by its middle and by whether it touches it."""
    inside, touches = centred_in(size, square, stride, box), touching(size, square, stride, box)
    return bool(inside.any() and not inside.all() and not touches.all())


def touching(size: int, square: int, stride: int, box: Box) -> np.ndarray:
    """bool (P, P): the square covers part of the box."""
    first = np.arange(0, size - square + 1, stride)
    x0, y0, x1, y1 = box
    rows, columns = (first < y1) & (first + square > y0), (first < x1) & (first + square > x0)
    return rows[:, None] & columns[None, :]


def centres(size: int, square: int, stride: int) -> np.ndarray:
    """float (P,): where the square's middle lies at each position, along one axis, in pixels."""
    return np.arange(0, size - square + 1, stride) + square / 2


def centred_in(size: int, square: int, stride: int, box: Box) -> np.ndarray:
    """bool (P, P): the square's middle lies in the box."""
    middle = centres(size, square, stride)
    x0, y0, x1, y1 = box
    return ((middle >= y0) & (middle < y1))[:, None] & ((middle >= x0) & (middle < x1))[None, :]


def energy_share(probability: np.ndarray, clean: float, inside: np.ndarray) -> float:
    """Of all that the true class's probability falls below `clean`, the share at positions `inside`; NaN if it never falls."""
    fall = np.clip(clean - probability, 0, None)
    return float(fall[inside].sum() / fall.sum()) if fall.sum() > 0 else float("nan")


def points_inside(probability: np.ndarray, inside: np.ndarray) -> bool:
    """Pointing game: the position that lowers the probability most is one of those `inside`."""
    return bool(inside.flat[probability.argmin()])


def mean_where(values: np.ndarray, mask: np.ndarray) -> float:
    """NaN where there is no such position."""
    return float(values[mask].mean()) if mask.any() else float("nan")


def covered_energy(energy: np.ndarray, square: int, stride: int) -> np.ndarray:
    """(P, P): how much of `energy` (S, S), a sum over pixels, the square covers at each position."""
    table = np.pad(energy, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    first = np.arange(0, energy.shape[0] - square + 1, stride)
    last = first + square
    rows = table[last] - table[first]
    covered: np.ndarray = rows[:, last] - rows[:, first]
    return covered


def weighted_ratio(values: np.ndarray, weights: np.ndarray) -> float:
    """Mean of `values` where `weights` are, over their plain mean; below 1 = lower there. NaN where either mean is 0."""
    if weights.sum() <= 0 or values.mean() == 0:
        return float("nan")
    return float((values * weights).sum() / weights.sum() / values.mean())


def minimum(values: np.ndarray, square: int, stride: int) -> Minimum:
    """Of several equal positions the first. Raises ValueError where a value is not finite."""
    if not np.isfinite(values).all():
        raise ValueError("a map holds a value that is not finite")
    row, column = np.unravel_index(values.argmin(), values.shape)
    rows, columns = np.indices(values.shape)
    falls = np.median(values) - values
    away = falls[stride * np.hypot(rows - row, columns - column) > square]
    fall, rival = float(falls[row, column]), float(max(0.0, away.max())) if away.size else 0.0
    middle = float(np.median(values))
    return Minimum(
        int(row * stride),
        int(column * stride),
        fall / middle if middle > 0 else float("nan"),
        rival / fall if fall > 0 else float("nan"),
    )
