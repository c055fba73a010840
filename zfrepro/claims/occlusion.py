"""Claims 27 to 29: what covering a part of the image does to the true class, to the strongest map, to the label (Fig 7).

Claims 27 and 29 are about networks that were trained out: what they go by is what they have learned. Claim 28 only says what
need not be, and asks besides that the network goes by places at all.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zfrepro.claims import margins, parts
from zfrepro.claims.base import Claim, Effect, Finding
from zfrepro.claims.margins import Part
from zfrepro.measurements import files as measured_files
from zfrepro.measurements import intervals
from zfrepro.measurements.estimate import Estimate, NotMeasured
from zfrepro.measurements.occlusion_scores import FALL, RIVAL, Scores, unrelated

MOST = 50  # percent
SOME = (
    5  # percent of images, one in twenty; fewer would be the odd exception, while the paper has it in two rows of three
)
SOME_MARGIN = 2.5  # points: half of that
PRINTED_APART = 100 * 2 / 3  # percent of the paper's three images
LEAST = 10  # images with clear minima
RESAMPLES = 2000
POSITIONS, KEPT = 900, (879, 129, 762)  # in the paper's three images: all, and those that keep the label
PARTS = {"scores": ("occlusion", measured_files.occlusion_scores)}
EASY = "images, the half with the highest P(true class)"


def needs(config: Any) -> dict[str, str]:
    return parts.gathered(config, PARTS)


def _scores(files: Mapping[str, Path]) -> Scores:
    scores = Scores.load(parts.select_part(files, "scores", "`occlusion.runs` names no network."))
    if not len(scores):
        raise NotMeasured("No image with a known box that leaves room for the square is classified correctly.")
    return scores


def _localises(files: Mapping[str, Path]) -> Finding:
    of = _scores(files).values
    pairs = {"middle of the square on it": ("inside", "outside"), "square touches it": ("touching", "elsewhere")}
    measured = {}
    for name, (on, off) in pairs.items():
        fall, high = _fall(of[on], of[off])
        effect = Effect(fall, 100, "the most possible", "% of P(true class)", high=high)
        measured[name] = Part(intervals.share(of[on] < of[off], "images"), effect, margins.SHARE)
    less = float((of["inside"] - of["outside"]).mean())
    return parts.add_sentence(
        margins.above(measured, MOST), f"On average P(true class) is {-less:.3f} lower on the object."
    )


def _fall(on: np.ndarray, off: np.ndarray) -> tuple[float, float]:
    """Percent by which the mean of `on` lies below that of `off`, both (N,), and its upper end; bootstrap over images."""
    drawn = np.random.default_rng(0).integers(len(on), size=(RESAMPLES, len(on)))
    falls = 100 * (1 - on[drawn].mean(axis=1) / off[drawn].mean(axis=1))
    return 100 * float(1 - on.mean() / off.mean()), float(np.percentile(falls, 97.5))


def _minima(files: Mapping[str, Path]) -> Finding:
    scores = _scores(files)
    apart = scores.minima_apart()
    if len(apart) < LEAST:
        raise NotMeasured(
            f"Both minima are clear in {len(apart)} of {len(scores)} images; {LEAST} are needed to compare them."
        )
    own, below = intervals.share(np.diag(apart), "images with clear minima"), _below_unrelated(apart)
    effect = Effect(own.value, PRINTED_APART, "the paper's", "%", high=own.high)
    finding = margins.above({"": Part(own, effect, SOME_MARGIN)}, SOME)
    finding = dataclasses.replace(finding, parts={"apart": own, "unrelated minima, minus that": below})
    told = (
        f"{len(apart)} of {len(scores)} images have clear minima. Unrelated minima lie as far apart in "
        f"{unrelated(apart):.1f} %, {below.text()} more."
    )
    if below.low <= 0:
        finding = dataclasses.replace(
            finding,
            verdict="inconclusive",
            reason="The two minima lie as far apart as unrelated ones: nothing shows that this network goes by places.",
        )
    return parts.add_sentence(finding, told)


def _below_unrelated(apart: np.ndarray) -> Estimate:
    """Share of unrelated minima that are apart minus the observed share, in points; bootstrap over images.

    An image that is drawn several times is no pair of different images with itself; a draw of one image alone is left out.
    """
    count = len(apart)
    again = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    counts = np.vstack([np.ones(count, int), again[again.max(axis=1) < count]])
    own, pairs = counts @ np.diag(apart) / count, apart * ~np.eye(count, dtype=bool)
    unrelated = ((counts @ pairs) * counts).sum(axis=1) / (count**2 - (counts**2).sum(axis=1))
    value, *drawn = 100 * (unrelated - own)
    low, high = np.percentile(drawn, (2.5, 97.5)).tolist()
    return Estimate(float(value), low, high, count, "images with clear minima", unit="points")


def _label(files: Mapping[str, Path]) -> Finding:
    scores = _scores(files)
    of = scores.values
    kept = intervals.mean_of_images(100 * of["kept"][scores.surer], EASY, unit="%")
    changed = intervals.mean_of_images(100 * (of["kept_outside"] - of["kept_inside"]), "images", unit="points")
    positions = {
        f"label kept, minus {MOST}": margins.sized(_minus(kept, MOST), 100 - MOST, "the most possible"),
        "changed on the object": margins.sized(changed, _all_on_object(of), "the most possible"),
    }
    return parts.add_sentence(margins.above(positions), f"The label is kept at {kept.text()} of the positions.")


def _minus(one: Estimate, threshold: float) -> Estimate:
    """So that parts with different thresholds stand beside each other."""
    low, high = (None if end is None else end - threshold for end in (one.low, one.high))
    return Estimate(one.value - threshold, low, high, one.n, one.counted, one.digits, "points")


def _all_on_object(of: Mapping[str, np.ndarray]) -> float:
    """The same in points, mean over images, if all the positions that change the label were on the object."""
    return 100 * float(np.minimum(1, (1 - of["kept"]) / of["area"]).mean())


CLAIMS = (
    Claim(
        27,
        "The network goes by the object: the true class becomes less probable when the object is covered.",
        "Figure 7 (d), section 4.2",
        "Correctly classified images whose true class is less probable with the square on the object than elsewhere: above "
        f"{MOST} % by more than {margins.SHARE:g} points; effect: the fall, as a share of P(true class) elsewhere",
        "",
        parts.trained(_localises, "scores/scores"),
    ),
    Claim(
        28,
        "The strongest map of layer 5 need not be what the class depends on.",
        "Figure 7 (b), (d), rows 2 and 3",
        f"Of the images in which both minima are clear (a fall of {100 * FALL:.0f} % or more, no other place further away than the "
        f"square's side falling by more than {100 * RIVAL:.0f} % of it), the share in which that map and the true class are lowest "
        f"further apart than the square's side: above {SOME} % by more than {SOME_MARGIN:g} points, fewer being the odd exception; "
        "inconclusive unless it is below the share of unrelated minima, that map's in one image against the class's in another",
        f"in two of its three images ({PRINTED_APART:.0f} %)",
        _minima,
    ),
    Claim(
        29,
        "In an easy image most places of the square leave the label as it is, and it changes where the object is covered.",
        "Figure 7 (e)",
        f"Positions that keep the label in the half of the images with the highest P(true class), above {MOST} %; and positions that "
        "change it, of those on the object minus of those beside it, above 0; each by a twentieth of what is possible",
        f"{' / '.join(f'{100 * one / POSITIONS:.1f}' for one in KEPT)} % of the positions of its three images keep the label",
        parts.trained(_label, "scores/scores"),
    ),
)  # fmt: skip
