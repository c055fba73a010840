"""Does covering the object hurt? Numbers of one occlusion map against the object's box, and against what a projection shows.

All maps are (P, P) over positions of the square; boxes are x0, y0, x1, y1 in pixels of the network's input.
"""

from __future__ import annotations

import numpy as np

Box = tuple[float, float, float, float]
SCORES = (
    "clean", "touching", "elsewhere", "inside", "outside", "energy", "pointing", "area", "kept", "kept_inside",
    "kept_outside", "projection", "minima",
)  # fmt: skip


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
    """One picture's numbers.

    probability (P, P) of the true class, `clean` uncovered; activation (P, P) of the strongest map; projection (S, S): that
    map's projection, squared and summed over colours; kept (P, P): the label stays.

    touching, elsewhere   mean probability where the square touches the box, and where not
    inside, outside       the same where the square's middle lies in the box; `area` is the share of such positions
    energy, pointing      see energy_share, points_inside
    kept                  share of positions; kept_inside, kept_outside: of those with the square's middle in the box, or not
    projection            see weighted_ratio: the map's activation where the square covers what its projection shows
    minima                pixels between the lowest places of the map and of the probability
    """
    geometry = (projection.shape[0], square, stride)
    inside, near = centred_in(*geometry, box), touching(*geometry, box)
    return {
        "clean": clean,
        "touching": mean_where(probability, near),
        "elsewhere": mean_where(probability, ~near),
        "inside": mean_where(probability, inside),
        "outside": mean_where(probability, ~inside),
        "energy": energy_share(probability, clean, inside),
        "pointing": float(points_inside(probability, inside)),
        "area": float(inside.mean()),
        "kept": float(kept.mean()),
        "kept_inside": mean_where(kept, inside),
        "kept_outside": mean_where(kept, ~inside),
        "projection": weighted_ratio(activation, covered_energy(projection, square, stride)),
        "minima": distance_of_minima(activation, probability, stride),
    }


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


def mean_where(values: np.ndarray, there: np.ndarray) -> float:
    """NaN where there is no such position."""
    return float(values[there].mean()) if there.any() else float("nan")


def covered_energy(energy: np.ndarray, square: int, stride: int) -> np.ndarray:
    """(P, P): how much of `energy` (S, S), a sum over pixels, the square covers at each position."""
    table = np.pad(energy, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    first = np.arange(0, energy.shape[0] - square + 1, stride)
    last = first + square
    rows = table[last] - table[first]
    return rows[:, last] - rows[:, first]


def weighted_ratio(values: np.ndarray, weights: np.ndarray) -> float:
    """Mean of `values` where `weights` are, over their plain mean; below 1 = lower there. NaN where either mean is 0."""
    if weights.sum() <= 0 or values.mean() == 0:
        return float("nan")
    return float((values * weights).sum() / weights.sum() / values.mean())


def distance_of_minima(one: np.ndarray, other: np.ndarray, stride: int) -> float:
    """Pixels between the positions at which two maps are lowest."""
    places = [np.array(np.unravel_index(values.argmin(), values.shape)) for values in (one, other)]
    return float(np.linalg.norm((places[0] - places[1]) * stride))
