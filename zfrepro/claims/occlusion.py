"""Claims 27 to 29: how covering a part of the image changes P(true class), the strongest map and the label (Fig 7).

Claims 27 and 29 are about networks that converged: what they depend on is learned. Claim 28 states only that a dependence
is not necessary, and also requires that the network depends on positions at all.
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
from zfrepro.measurements.networks import lower_end
from zfrepro.measurements.occlusion_scores import FALL, RIVAL, Scores, share_by_chance

MAJORITY = 50  # percent
SHARE_LIMIT = 5  # percent of images, one in twenty; fewer would be rare exceptions, while the paper shows it in two images of three
SHARE_MARGIN = 2.5  # points: half of that
PRINTED_APART = 100 * 2 / 3  # percent of the paper's three images
MIN_IMAGES = 10  # images with clear minima
POSITIONS, LABEL_KEPT = 900, (879, 129, 762)  # in the paper's three images: all, and those that keep the label
PARTS = {"scores": ("occlusion", measured_files.occlusion_scores)}
EASY = "images, the half with the highest P(true class)"


def needs(config: Any) -> dict[str, str]:
    return parts.gather_files(config, PARTS)


def _scores(files: Mapping[str, Path]) -> Scores:
    scores = Scores.load(parts.select_part(files, "scores", "`occlusion.runs` names no network."))
    if not len(scores):
        raise NotMeasured("No image with a known box that leaves room for the square is classified correctly.")
    return scores


def _localises(files: Mapping[str, Path]) -> Finding:
    values = _scores(files).values
    pairs = {
        "centre of the square on the object": ("inside", "outside"),
        "square touches the object": ("touching", "elsewhere"),
    }
    measured = {}
    for name, (on, off) in pairs.items():
        fall = _fall(values[on], values[off])
        unit = "% of P(true class)"
        effect = Effect(fall.value, 100, "the most possible", unit, high=fall.high, interval=fall.interval)
        measured[name] = Part(intervals.share(values[on] < values[off], "images"), effect, margins.SHARE)
    change = float((values["inside"] - values["outside"]).mean())
    return parts.add_sentence(
        margins.judge_above(measured, MAJORITY), f"On average P(true class) is {-change:.3f} lower on the object."
    )


def _fall(on: np.ndarray, off: np.ndarray) -> Estimate:
    """Percent by which the mean of `on` lies below that of `off`, both (N,); bootstrap over images.

    Raises NotMeasured where `off` is 0 in all images.
    """
    if not off.any():
        raise NotMeasured("The true class has probability 0 wherever the square is off the object.")
    resamples = np.random.default_rng(0).integers(len(on), size=(intervals.RESAMPLES, len(on)))
    means_off = off[resamples].mean(axis=1)
    parts = np.divide(on[resamples].mean(axis=1), means_off, out=np.full(len(resamples), np.nan), where=means_off > 0)
    fall = 100 * float(1 - on.mean() / off.mean())
    return intervals.resampled(fall, 100 * (1 - parts), len(on), "images")


def _minima(files: Mapping[str, Path]) -> Finding:
    scores = _scores(files)
    distant = scores.distant_minima()
    if len(distant) < MIN_IMAGES:
        raise NotMeasured(
            f"Both minima are clear in {len(distant)} of {len(scores)} images; {MIN_IMAGES} are needed to compare them."
        )
    share, difference = (
        intervals.share(np.diag(distant), "images with clear minima"),
        _unrelated_minus_observed(distant),
    )
    effect = Effect(share.value, PRINTED_APART, "the paper's", "%", high=share.high, interval=share.interval)
    finding = margins.judge_above({"": Part(share, effect, SHARE_MARGIN)}, SHARE_LIMIT)
    finding = dataclasses.replace(finding, parts={"apart": share, "unrelated minima minus observed": difference})
    sentence = (
        f"{len(distant)} of {len(scores)} images have clear minima. Minima of different images are as far apart in "
        f"{share_by_chance(distant):.1f} %, {difference.text()} more."
    )
    if lower_end(difference) <= 0 or not difference.has_interval:
        finding = dataclasses.replace(
            finding,
            verdict="inconclusive",
            reason="The two minima are as far apart as minima of different images: nothing shows that this network depends on positions.",
        )
    return parts.add_sentence(finding, sentence)


def _unrelated_minus_observed(distant: np.ndarray) -> Estimate:
    """Share of unrelated minima that are apart minus the observed share, in points; bootstrap over images.

    An image resamples several times forms no pair with itself; a draw of a single image is left out.
    """
    count = len(distant)
    resamples = intervals.resampled_counts(count)
    counts = np.vstack([np.ones(count, int), resamples[resamples.max(axis=1) < count]])
    observed, pairs = counts @ np.diag(distant) / count, distant * ~np.eye(count, dtype=bool)
    chance = ((counts @ pairs) * counts).sum(axis=1) / (count**2 - (counts**2).sum(axis=1))
    value, *resamples = 100 * (chance - observed)
    return intervals.resampled(float(value), np.array(resamples), count, "images with clear minima", unit="points")


def _label(files: Mapping[str, Path]) -> Finding:
    scores = _scores(files)
    values = scores.values
    label_kept = intervals.mean_of_images(100 * values["kept"][scores.surer], EASY, unit="%", within=(0, 100))
    changed = intervals.mean_of_images(100 * (values["kept_outside"] - values["kept_inside"]), "images", unit="points")
    positions = {
        f"label kept, minus {MAJORITY}": margins.make_part(
            _subtract(label_kept, MAJORITY), 100 - MAJORITY, "the most possible"
        ),
        "changed on the object": margins.make_part(changed, _all_on_object(values), "the most possible"),
    }
    return parts.add_sentence(
        margins.judge_above(positions), f"The label is kept at {label_kept.text()} of the positions."
    )


def _subtract(estimate: Estimate, threshold: float) -> Estimate:
    """So that parts with different thresholds can be judged together."""
    low, high = (None if end is None else end - threshold for end in (estimate.low, estimate.high))
    return dataclasses.replace(estimate, value=estimate.value - threshold, low=low, high=high, unit="points")


def _all_on_object(values: Mapping[str, np.ndarray]) -> float:
    """In points, mean over images: the difference if all the positions that change the label were on the object."""
    return 100 * float(np.minimum(1, (1 - values["kept"]) / values["area"]).mean())


CLAIMS = (
    Claim(
        27,
        "The network depends on the object: the true class becomes less probable when the object is covered.",
        "Figure 7 (d), section 4.2",
        "Correctly classified images whose true class is less probable with the square on the object than elsewhere: above "
        f"{MAJORITY} % by more than {margins.SHARE:g} points; effect: the fall, as a share of P(true class) elsewhere",
        "",
        parts.for_trained_networks(_localises, "scores/scores"),
    ),
    Claim(
        28,
        "The class does not always depend on the strongest map of layer 5.",
        "Figure 7 (b), (d), rows 2 and 3",
        f"Of the images in which both minima are clear (a fall of {100 * FALL:.0f} % or more, and no position further away than the "
        f"square's side falls by more than {100 * RIVAL:.0f} % of it), the share in which the minima of that map and of the true class "
        f"are further apart than the square's side: above {SHARE_LIMIT} % by more than {SHARE_MARGIN:g} points, "
        "as fewer would be rare exceptions; inconclusive unless it is below the share "
        "expected by chance, of the map's minimum in one image and the class's in another",
        f"in two of its three images ({PRINTED_APART:.0f} %)",
        parts.about_networks(_minima, "scores/scores"),
    ),
    Claim(
        29,
        "In an easy image most positions of the square do not change the label; it changes where the object is covered.",
        "Figure 7 (e)",
        f"Positions that keep the label in the half of the images with the highest P(true class), above {MAJORITY} %; and positions that "
        "change it, of those on the object minus of those off it, above 0; each by more than a twentieth of the largest possible value",
        f"{' / '.join(f'{100 * count / POSITIONS:.1f}' for count in LABEL_KEPT)} % of the positions of its three images keep the label",
        parts.for_trained_networks(_label, "scores/scores"),
    ),
)  # fmt: skip
