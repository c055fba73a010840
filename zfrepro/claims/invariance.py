"""Claims 23 to 26: how features move and what is still recognised when images are shifted, scaled and turned (Fig 5).

All four are about networks that were trained out: what they are invariant to they have learned.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from zfrepro.claims import margins, parts
from zfrepro.claims.base import Claim, Finding
from zfrepro.claims.margins import sized
from zfrepro.measurements import files as measured_files
from zfrepro.measurements import intervals
from zfrepro.measurements.estimate import Estimate, NotMeasured
from zfrepro.measurements.invariance import (
    EIGHTHS,
    PRINTED,
    QUARTERS,
    SMALL_STEP,
    SMALL_STEPS,
    TURNED,
    amounts,
    at,
    linearity,
    share_of_largest,
)
from zfrepro.storage import artifacts

STRAIGHT = ("shift", "scale")  # transformations with a small step and an end
EXPLAINED = 0.5  # R\u00b2: a straight line accounts for more than what it leaves
KEPT = 50  # percent of the untouched view's probability: what is stable keeps more, what is not keeps less
NAMES = {"shift": "translation", "scale": "scale", "turn": "rotation"}


def needs(config: Any) -> dict[str, str]:
    found = parts.gathered(config, {"curves": ("invariance", partial(measured_files.of_one_run, stage="invariance"))})
    return {label.removeprefix("curves/"): path for label, path in found.items()}


def _arrays(files: Mapping[str, Path]) -> dict[str, np.ndarray]:
    return parts.load_arrays(files["arrays"], "distance", "probability", "symmetric_")


def _of_layers(arrays: Mapping[str, np.ndarray], kind: str) -> tuple[np.ndarray, np.ndarray]:
    return arrays[f"distance1_{kind}"], arrays[f"distance7_{kind}"]


def _reaction(files: Mapping[str, Path]) -> Finding:
    arrays, measured, means = _arrays(files), {}, []
    for kind in STRAIGHT:
        small = SMALL_STEPS[kind]
        one, seven = (share_of_largest(curve, amounts(arrays, kind), small) for curve in _of_layers(arrays, kind))
        theirs, theirs_seven = SMALL_STEP[kind]
        measured[NAMES[kind]] = sized(_mean(one - seven), theirs - theirs_seven, "the paper's")
        means.append(f"{np.nanmean(one):.2f} and {np.nanmean(seven):.2f} ({NAMES[kind]})")
    return parts.add_sentence(margins.above(measured), f"Layers 1 and 7: {', '.join(means)}.")


def _straightness(files: Mapping[str, Path]) -> Finding:
    arrays, measured, means = _arrays(files), {}, []
    for kind in STRAIGHT:
        one, seven = (linearity(curve, amounts(arrays, kind)) for curve in _of_layers(arrays, kind))
        straighter, straight = _mean(seven - one), _mean(seven - EXPLAINED)
        first, last = float(np.nanmean(one)), float(np.nanmean(seven))
        measured[f"{NAMES[kind]}, layer 7 minus layer 1"] = sized(straighter, 1 - first, "the most possible")
        measured[f"{NAMES[kind]}, layer 7 minus {EXPLAINED:g}"] = sized(straight, 1 - EXPLAINED, "the most possible")
        means.append(f"{last:.2f} and {first:.2f} ({NAMES[kind]})")
    return parts.add_sentence(margins.above(measured), f"Mean R\u00b2 of layers 7 and 1: {', '.join(means)}.")


def _mean(values: np.ndarray) -> Estimate:
    if np.isnan(values).all():
        raise NotMeasured("The steps of `invariance` are too wide for a small one, or no feature moves.")
    return intervals.mean_of_images(values, digits=2)


def _stability(files: Mapping[str, Path]) -> Finding:
    arrays = _arrays(files)
    kept = {kind: 100 * arrays[f"probability_{kind}"].mean(axis=1) for kind in NAMES}
    half = KEPT * arrays["probability_turn"][:, 0]
    untouched = 100 * float(arrays["probability_turn"][:, 0].mean())  # all of it, the most that can be kept or lost
    most = {"all": (untouched, "the most possible"), "half": (untouched * KEPT / 100, "the most possible")}
    measured = {"rotation, half minus what is kept": sized(_points(half - kept["turn"]), *most["half"])}
    for kind in STRAIGHT:
        measured[f"{NAMES[kind]}, minus rotation"] = sized(_points(kept[kind] - kept["turn"]), *most["all"])
        measured[f"{NAMES[kind]}, what is kept minus half"] = sized(_points(kept[kind] - half), *most["half"])
    means = ", ".join(f"{kept[kind].mean():.1f} % under {name}" for kind, name in NAMES.items())
    return parts.add_sentence(margins.above(measured), f"Mean probability: {untouched:.1f} % untouched, {means}.")


def _points(values: np.ndarray) -> Estimate:
    return intervals.mean_of_images(values, unit="points")


def _symmetry(files: Mapping[str, Path]) -> Finding:
    arrays, about = _arrays(files), artifacts.load_json(files["about"])
    if "symmetric_probability_turn" not in arrays:
        raise NotMeasured("`invariance.symmetric` names no class whose objects look alike after a quarter turn.")
    others = ~np.isin([one["class"] for one in about["pictures"]], about["symmetric"])
    measured = {}
    for name, curve, sign in (("P(true class)", "probability_turn", 1), ("layer 7", "distance7_turn", -1)):
        round_, rest = (sign * _gain(one, arrays["turn"]) for one in (arrays[f"symmetric_{curve}"], arrays[curve]))
        printed = abs(TURNED[name][0] - TURNED[name][1])
        own = intervals.mean(round_, "images of symmetric objects")
        more = intervals.difference_of_means(round_, rest[others], "images")
        measured[name] = sized(own, printed, "the paper's")
        measured[f"{name}, more than others"] = sized(more, printed, "the paper's")
    kept, lost = 100 * arrays["symmetric_probability_turn"].mean(), 100 * arrays["probability_turn"][others].mean()
    return parts.add_sentence(
        margins.above(measured),
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
        "Distance at a small step (10 of 60 pixels, 0.2 of 0.8 in ratio) as a share of that at the largest, layer 1 minus layer 7: "
        "above 0",
        f"translation: {PRINTED['shift', 'small']}; scale: {PRINTED['scale', 'small']}; {READ}",
        parts.trained(_reaction, "arrays"),
    ),
    Claim(
        24,
        "Features of layer 7 move nearly in proportion to translation and scaling, those of layer 1 do not.",
        "Figure 5 (a), (b), section 4",
        "R\u00b2 of a straight line through the untouched view, picture by picture, layer 7 minus layer 1, and layer 7 minus "
        f"{EXPLAINED:g}: above 0",
        "",
        parts.trained(_straightness, "arrays"),
    ),
    Claim(
        25,
        "The output is stable under translation and scaling, not under rotation.",
        "Figure 5, section 4",
        "Probability of the true class, mean over the range of translation or scale: minus that over all rotations, and minus half of "
        "the untouched view's; half of that minus the mean over all rotations: all above 0",
        "",
        parts.trained(_stability, "arrays"),
    ),
    Claim(
        26,
        "Rotation is forgiven where the object looks alike after it.",
        "Figure 5 (c), section 4",
        "P(true class) at quarter turns minus that halfway between them, and the distance of layer 7 the other way round, for "
        "symmetric objects, and the same minus that of other objects (quarter turns alone have no black corners): all above 0",
        f"P(true class) {PRINTED['turn', 'at quarters']}, against {PRINTED['turn', 'at eighths']}; {PRINTED['turn', 'quarters']}",
        parts.trained(_symmetry, "arrays"),
    ),
)  # fmt: skip
