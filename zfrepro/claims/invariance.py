"""Claims 23 to 26: how features move and what is still recognised when pictures are shifted, scaled and turned (Fig 5)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zfrepro import artifacts
from zfrepro.claims import base, intervals, parts, samples
from zfrepro.claims.base import Claim, Estimate, Finding, Unattempted
from zfrepro.exhibits import fig5_invariance
from zfrepro.exhibits.fig5_invariance import EIGHTHS, KINDS, PRINTED, QUARTERS, at, linearity, share_of_largest

STRAIGHT = ("shift", "scale")  # transformations with a small step and an end
EXPLAINED = 0.5  # R\u00b2: a straight line accounts for more than what it leaves
KEPT = 50  # percent of the untouched view's probability: what is stable keeps more, what is not keeps less
NAMES = {"shift": "translation", "scale": "scale", "turn": "rotation"}


def needs(config: Any) -> dict[str, str]:
    found = parts.gathered(config, {"curves": ("invariance", fig5_invariance.needs)})
    return {label.removeprefix("curves/"): path for label, path in found.items()}


def _amounts(arrays: Mapping[str, np.ndarray], kind: str) -> np.ndarray:
    """(T,): how far from the untouched view."""
    return np.abs(arrays[kind] - KINDS[kind][2])


def _of_layers(arrays: Mapping[str, np.ndarray], kind: str) -> tuple[np.ndarray, np.ndarray]:
    return arrays[f"distance1_{kind}"], arrays[f"distance7_{kind}"]


def _reaction(files: Mapping[str, Path]) -> Finding:
    arrays, measured, means = artifacts.load_arrays(files["arrays"]), {}, []
    for kind in STRAIGHT:
        small = KINDS[kind][3]
        one, seven = (share_of_largest(curve, _amounts(arrays, kind), small) for curve in _of_layers(arrays, kind))
        measured[NAMES[kind]] = _mean(one - seven)
        means.append(f"{np.nanmean(one):.2f} and {np.nanmean(seven):.2f} ({NAMES[kind]})")
    return parts.told(base.above(measured), f"Layers 1 and 7: {', '.join(means)}.")


def _straightness(files: Mapping[str, Path]) -> Finding:
    arrays, measured, means = artifacts.load_arrays(files["arrays"]), {}, []
    for kind in STRAIGHT:
        one, seven = (_finite(linearity(curve, _amounts(arrays, kind))) for curve in _of_layers(arrays, kind))
        measured[f"{NAMES[kind]}, layer 7 less layer 1"] = _mean(seven - one)
        measured[f"{NAMES[kind]}, layer 7 less {EXPLAINED:g}"] = _mean(seven - EXPLAINED)
        means.append(f"{np.nanmedian(seven):.2f} and {np.nanmedian(one):.2f} ({NAMES[kind]})")
    return parts.told(base.above(measured), f"Median R\u00b2 of layers 7 and 1: {', '.join(means)}.")


def _mean(values: np.ndarray) -> Estimate:
    if not np.isfinite(values).any():
        raise Unattempted("The steps of `invariance` are too wide for a small one, or no feature moves.")
    return intervals.of_pictures(values, digits=2)


def _finite(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan)


def _stability(files: Mapping[str, Path]) -> Finding:
    arrays = artifacts.load_arrays(files["arrays"])
    kept = {kind: 100 * arrays[f"probability_{kind}"].mean(axis=1) for kind in NAMES}
    half = KEPT * arrays["probability_turn"][:, 0]
    measured = {"rotation, half less what is kept": _points(half - kept["turn"])}
    for kind in STRAIGHT:
        measured[f"{NAMES[kind]}, less rotation"] = _points(kept[kind] - kept["turn"])
        measured[f"{NAMES[kind]}, what is kept less half"] = _points(kept[kind] - half)
    untouched = 100 * arrays["probability_turn"][:, 0].mean()
    means = ", ".join(f"{kept[kind].mean():.1f} % under {name}" for kind, name in NAMES.items())
    return parts.told(base.above(measured), f"Mean probability: {untouched:.1f} % untouched, {means}.")


def _points(values: np.ndarray) -> Estimate:
    return intervals.of_pictures(values, unit="points")


def _symmetry(files: Mapping[str, Path]) -> Finding:
    arrays, about = artifacts.load_arrays(files["arrays"]), artifacts.load_json(files["about"])
    if "symmetric_probability_turn" not in arrays:
        raise Unattempted("`invariance.symmetric` names no class whose objects look alike after a quarter turn.")
    others = ~np.isin([one["class"] for one in about["pictures"]], about["symmetric"])
    measured = {}
    for name, curve, sign in (("P(true class)", "probability_turn", 1), ("layer 7", "distance7_turn", -1)):
        round_, rest = (sign * _gain(one, arrays["turn"]) for one in (arrays[f"symmetric_{curve}"], arrays[curve]))
        measured[name] = samples.mean(round_, "pictures of symmetric objects")
        measured[f"{name}, more than others"] = samples.difference(round_, rest[others], "pictures")
    kept, lost = 100 * arrays["symmetric_probability_turn"].mean(), 100 * arrays["probability_turn"][others].mean()
    return parts.told(
        base.above(measured),
        f"P(true class) over all turns: {kept:.1f} % ({', '.join(about['symmetric'])}), {lost:.1f} % (others).",
    )


def _gain(curve: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """(N,): mean at 90, 180 and 270 degrees less that at 45, 135, 225 and 315."""
    return at(curve, degrees, QUARTERS) - at(curve, degrees, EIGHTHS)


READ = "read from the figure's five pictures"
CLAIMS = (
    Claim(
        23,
        "A small translation or scaling changes the first layer's features much, those of layer 7 little.",
        "Figure 5 (a), (b), section 4",
        "Distance at a small step (10 of 60 pixels, 0.2 of 0.8 in ratio) as a share of that at the largest, layer 1 less layer 7: "
        "above 0",
        f"translation: {PRINTED['shift', 'small']}; scale: {PRINTED['scale', 'small']}; {READ}",
        _reaction,
    ),
    Claim(
        24,
        "Features of layer 7 move nearly in proportion to translation and scaling, those of layer 1 do not.",
        "Figure 5 (a), (b), section 4",
        "R\u00b2 of a straight line through the untouched view, picture by picture, layer 7 less layer 1, and layer 7 less "
        f"{EXPLAINED:g}: above 0",
        "",
        _straightness,
    ),
    Claim(
        25,
        "The output is stable under translation and scaling, not under rotation.",
        "Figure 5, section 4",
        "Probability of the true class, mean over the range of translation or scale: less that over all rotations, and less half of "
        "the untouched view's; half of that less the mean over all rotations: all above 0",
        "",
        _stability,
    ),
    Claim(
        26,
        "Rotation is forgiven where the object looks alike after it.",
        "Figure 5 (c), section 4",
        "P(true class) at quarter turns less that halfway between them, and the distance of layer 7 the other way round, for "
        "symmetric objects, and the same less that of other objects (quarter turns alone have no black corners): all above 0",
        f"P(true class) {PRINTED['turn', 'at quarters']}, against {PRINTED['turn', 'at eighths']}; {PRINTED['turn', 'quarters']}",
        _symmetry,
    ),
)  # fmt: skip
