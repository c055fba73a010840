"""Claims 23 to 26: how features and predictions change when images are shifted, scaled and rotated (Fig 5).

All four are about networks that converged: invariance is learned.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from zfrepro.claims import margins, parts
from zfrepro.claims.base import Claim, Finding
from zfrepro.claims.margins import make_part
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

SMALL = {
    kind: step for kind, step in SMALL_STEPS.items() if step is not None
}  # of shift and scale, which have a small step
EXPLAINED = 0.5  # R\u00b2: a straight line explains at least half of the variance
STABLE = 50  # percent of the original image's probability: a stable output keeps more, an unstable one less
NAMES = {"shift": "translation", "scale": "scale", "turn": "rotation"}


def needs(config: Any) -> dict[str, str]:
    of_run = partial(measured_files.files_of_run, stage="invariance")
    return parts.gather_files(config, {"": ("invariance", of_run)})


def _arrays(files: Mapping[str, Path]) -> dict[str, np.ndarray]:
    return parts.load_arrays(files["arrays"], "distance", "probability", "symmetric_")


def _layers_1_and_7(arrays: Mapping[str, np.ndarray], kind: str) -> tuple[np.ndarray, np.ndarray]:
    return arrays[f"distance1_{kind}"], arrays[f"distance7_{kind}"]


def _reaction(files: Mapping[str, Path]) -> Finding:
    arrays, measured, means = _arrays(files), {}, []
    for kind, small in SMALL.items():
        first, last = (share_of_largest(curve, amounts(arrays, kind), small) for curve in _layers_1_and_7(arrays, kind))
        printed_first, printed_last = SMALL_STEP[kind]
        measured[NAMES[kind]] = make_part(_mean(first - last), printed_first - printed_last, "the paper's")
        means.append(f"{np.nanmean(first):.2f} and {np.nanmean(last):.2f} ({NAMES[kind]})")
    return parts.add_sentence(margins.judge_above(measured), f"Layers 1 and 7: {', '.join(means)}.")


def _straightness(files: Mapping[str, Path]) -> Finding:
    arrays, measured, means = _arrays(files), {}, []
    for kind in SMALL:
        first, last = (linearity(curve, amounts(arrays, kind)) for curve in _layers_1_and_7(arrays, kind))
        difference, excess = _mean(last - first), _mean(last - EXPLAINED)
        mean_first, mean_last = float(np.nanmean(first)), float(np.nanmean(last))
        measured[f"{NAMES[kind]}, layer 7 minus layer 1"] = make_part(difference, 1 - mean_first, "the most possible")
        measured[f"{NAMES[kind]}, layer 7 minus {EXPLAINED:g}"] = make_part(excess, 1 - EXPLAINED, "the most possible")
        means.append(f"{mean_last:.2f} and {mean_first:.2f} ({NAMES[kind]})")
    return parts.add_sentence(margins.judge_above(measured), f"Mean R\u00b2 of layers 7 and 1: {', '.join(means)}.")


def _mean(values: np.ndarray) -> Estimate:
    if np.isnan(values).all():
        raise NotMeasured("The steps of `invariance` are too large, or no feature changes.")
    return intervals.mean_of_images(values, digits=2)


def _stability(files: Mapping[str, Path]) -> Finding:
    arrays = _arrays(files)
    probabilities = {kind: 100 * arrays[f"probability_{kind}"].mean(axis=1) for kind in NAMES}
    half = STABLE * arrays["probability_turn"][:, 0]
    original = 100 * float(arrays["probability_turn"][:, 0].mean())  # the most that can be kept or lost
    largest = {"all": original, "half": original * STABLE / 100}
    measured = {
        "half minus rotation": make_part(_points(half - probabilities["turn"]), largest["half"], "the most possible")
    }
    for kind in SMALL:
        against_rotation, against_half = (
            _points(probabilities[kind] - probabilities["turn"]),
            _points(probabilities[kind] - half),
        )
        measured[f"{NAMES[kind]} minus rotation"] = make_part(against_rotation, largest["all"], "the most possible")
        measured[f"{NAMES[kind]} minus half"] = make_part(against_half, largest["half"], "the most possible")
    means = ", ".join(f"{probabilities[kind].mean():.1f} % under {name}" for kind, name in NAMES.items())
    return parts.add_sentence(
        margins.judge_above(measured), f"Mean probability: {original:.1f} % on the original image, {means}."
    )


def _points(values: np.ndarray) -> Estimate:
    return intervals.mean_of_images(values, unit="points")


def _symmetry(files: Mapping[str, Path]) -> Finding:
    arrays, about = _arrays(files), artifacts.load_json(files["about"])
    if "symmetric_probability_turn" not in arrays:
        raise NotMeasured("`invariance.symmetric` names no class whose objects look the same after a quarter turn.")
    others = ~np.isin([image["class"] for image in about["pictures"]], about["symmetric"])
    measured = {}
    for name, curve, sign in (("P(true class)", "probability_turn", 1), ("layer 7", "distance7_turn", -1)):
        curves = (arrays[f"symmetric_{curve}"], arrays[curve])
        symmetric_gains, other_gains = (sign * _gain(values, arrays["turn"]) for values in curves)
        printed = abs(TURNED[name][0] - TURNED[name][1])
        gain = intervals.mean(symmetric_gains, "images of symmetric objects")
        excess = intervals.difference_of_means(symmetric_gains, other_gains[others], "images")
        measured[name] = make_part(gain, printed, "the paper's")
        measured[f"{name}, minus other objects"] = make_part(excess, printed, "the paper's")
    symmetric_mean, other_mean = (
        100 * arrays["symmetric_probability_turn"].mean(),
        100 * arrays["probability_turn"][others].mean(),
    )
    return parts.add_sentence(
        margins.judge_above(measured),
        f"P(true class) over all rotations: {symmetric_mean:.1f} % ({', '.join(about['symmetric'])}), {other_mean:.1f} % (other objects).",
    )


def _gain(curve: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    """(N,): mean at 90, 180 and 270 degrees minus that at 45, 135, 225 and 315."""
    return at(curve, degrees, QUARTERS) - at(curve, degrees, EIGHTHS)


READ = "read from the figure's five images"
CLAIMS = (
    Claim(
        23,
        "A small translation or scaling changes the first layer's features much and those of layer 7 little.",
        "Figure 5 (a), (b), section 4",
        "Distance at a small step (10 of 60 pixels, 0.2 of 0.8 in ratio) as a share of that at the largest, layer 1 minus layer 7: "
        "above 0",
        f"translation: {PRINTED['shift', 'small']}; scale: {PRINTED['scale', 'small']}; {READ}",
        parts.for_trained_networks(_reaction, "arrays"),
    ),
    Claim(
        24,
        "Features of layer 7 change almost linearly with translation and scaling; those of layer 1 do not.",
        "Figure 5 (a), (b), section 4",
        "R\u00b2 of a straight line through the original image, image by image: layer 7 minus layer 1, and layer 7 minus "
        f"{EXPLAINED:g}, above 0",
        "",
        parts.for_trained_networks(_straightness, "arrays"),
    ),
    Claim(
        25,
        "The output is stable under translation and scaling, not under rotation.",
        "Figure 5, section 4",
        "Probability of the true class, mean over the range of translation or scale: minus the mean over all rotations, and minus half "
        "of the original image's; half of the original image's minus the mean over all rotations: all above 0",
        "",
        parts.for_trained_networks(_stability, "arrays"),
    ),
    Claim(
        26,
        "The output is invariant to rotations after which the object looks the same.",
        "Figure 5 (c), section 4",
        "P(true class) at quarter turns minus that halfway between them, and the distance of layer 7 the other way round, for "
        "symmetric objects, and the same minus that of other objects (only quarter turns have no black corners): all above 0",
        f"P(true class) {PRINTED['turn', 'at quarters']}, against {PRINTED['turn', 'at eighths']}; {PRINTED['turn', 'quarters']}",
        parts.for_trained_networks(_symmetry, "arrays"),
    ),
)  # fmt: skip
