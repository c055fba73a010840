"""Claims 27 to 29: what covering a part of the picture does to the true class, to the strongest map, to the label (Fig 7)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zfrepro import artifacts
from zfrepro.claims import base, intervals, parts, samples
from zfrepro.claims.base import Claim, Finding, Unattempted
from zfrepro.exhibits import fig7_occlusion, occlusion_score

MOST = 50  # percent
SOME = 10  # percent of pictures; fewer would be the odd exception, while the paper has it in two rows of three
POSITIONS, KEPT = 900, (879, 129, 762)  # in the paper's three pictures: all, and those that keep the label
PARTS = {"scores": ("occlusion", occlusion_score.needs), "maps": ("occlusion", fig7_occlusion.needs)}
EASY = "pictures, the surer half"


def needs(config: Any) -> dict[str, str]:
    return parts.gathered(config, PARTS)


def _scores(files: Mapping[str, Path]) -> dict[str, np.ndarray]:
    scores = artifacts.load_arrays(parts.of(files, "scores", "`occlusion.runs` names no network.")["scores"])
    if not len(scores["picture"]):
        raise Unattempted("No picture with a known box is classified correctly.")
    return scores


def _localises(files: Mapping[str, Path]) -> Finding:
    scores = _scores(files)
    pairs = {"middle of the square on it": ("inside", "outside"), "square touches it": ("touching", "elsewhere")}
    measured = {name: samples.share(*_lower(scores, *pair)) for name, pair in pairs.items()}
    fall = np.nanmean(scores["outside"] - scores["inside"])
    return parts.told(base.above(measured, MOST), f"On average P(true class) is {fall:.3f} lower on the object.")


def _lower(scores: Mapping[str, np.ndarray], on: str, off: str) -> tuple[np.ndarray, str]:
    """bool (N,), of the pictures whose object leaves room for both."""
    both = np.isfinite(scores[on]) & np.isfinite(scores[off])
    if not both.any():
        raise Unattempted("In no picture does the object's box leave positions of the square beside it.")
    return scores[on][both] < scores[off][both], "pictures"


def _minima(files: Mapping[str, Path]) -> Finding:
    scores, about = _scores(files), artifacts.load_json(parts.of(files, "scores", "")["about"])
    mattering = scores["kept"] < 1
    if not mattering.any():
        raise Unattempted("The square changes the label of no picture, so nothing shows what the label depends on.")
    far = scores["minima"][mattering] > about["square"]
    return base.above({"": samples.share(far, "pictures whose label the square can change")}, SOME)


def _label(files: Mapping[str, Path]) -> Finding:
    scores = _scores(files)
    easy = scores["clean"] >= np.median(scores["clean"])
    kept = intervals.of_pictures(100 * scores["kept"][easy], EASY, unit="%")
    changed = samples.mean(_changed_on_object(files, scores), "pictures", 1, "points")
    positions = {"label kept, less 50": _less(kept, MOST), "changed on the object": changed}
    return parts.told(base.above(positions), f"The label is kept at {kept.said()} of the positions.")


def _less(one: base.Estimate, threshold: float) -> base.Estimate:
    """So that parts with different thresholds stand beside each other."""
    low, high = (None if end is None else end - threshold for end in (one.low, one.high))
    return base.Estimate(one.value - threshold, low, high, one.n, one.of, one.digits, "points")


def _changed_on_object(files: Mapping[str, Path], scores: Mapping[str, np.ndarray]) -> np.ndarray:
    """(N,), in points: positions that change the label, of those on the object less of those beside it; NaN where one is none.

    Of all scored pictures where the stage kept that, else of those whose maps are shown.
    """
    if "kept_inside" in scores:
        return 100 * (scores["kept_outside"] - scores["kept_inside"])
    found = parts.of(files, "maps", "")
    arrays, about = artifacts.load_arrays(found["arrays"]), artifacts.load_json(found["about"])
    return np.array([_of_map(arrays, about, one) for one in range(len(about["pictures"]))])


def _of_map(arrays: Mapping[str, np.ndarray], about: Mapping[str, Any], one: int) -> float:
    box = about["pictures"][one].get("box")
    on = np.zeros(arrays["label"][one].shape, bool) if box is None else _on_object(box, about)
    if on.all() or not on.any():
        return float("nan")
    changed = arrays["label"][one] != arrays["clean_label"][one]
    return 100 * float(changed[on].mean() - changed[~on].mean())


def _on_object(box: list[float], about: Mapping[str, Any]) -> np.ndarray:
    """bool (P, P): the square's middle lies in the box x0, y0, x1, y1, pixels of the input."""
    middle = np.arange(about["positions"]) * about["stride"] + about["square"] / 2
    x0, y0, x1, y1 = box
    return np.outer((middle >= y0) & (middle < y1), (middle >= x0) & (middle < x1))


CLAIMS = (
    Claim(
        27,
        "The network goes by the object: the true class becomes less probable when the object is covered.",
        "Figure 7 (d), section 4.2",
        f"Correctly classified pictures whose true class is less probable with the square on the object than elsewhere: above {MOST} %",
        "",
        _localises,
    ),
    Claim(
        28,
        "The strongest map of layer 5 need not be what the class depends on.",
        "Figure 7 (b), (d), rows 2 and 3",
        "Pictures in which the places that lower that map most and the true class most lie further apart than the square's side: "
        f"above {SOME} %, fewer being the odd exception",
        "in two of its three pictures",
        _minima,
    ),
    Claim(
        29,
        "In an easy picture most places of the square leave the label as it is, and it changes where the object is covered.",
        "Figure 7 (e)",
        f"Positions that keep the label in the surer half of the pictures, above {MOST} %; and positions that change it, of those on "
        "the object less of those beside it, above 0",
        f"{' / '.join(f'{100 * one / POSITIONS:.1f}' for one in KEPT)} % of the positions of its three pictures keep the label",
        _label,
    ),
)  # fmt: skip
