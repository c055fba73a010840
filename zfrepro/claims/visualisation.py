"""Claims 17 to 22: what the first layers look like, what activates each map, when layers converge (Figs 2, 4, 6, 7).

All six are about networks that converged: filters need many epochs to change from their initial weights, to outgrow the
others (19) and to converge (21), and what activates a map (20, 22) is learned.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from zfrepro.claims import margins, parts
from zfrepro.claims.base import Claim, Effect, Finding
from zfrepro.claims.margins import Part, make_part
from zfrepro.measurements import files as measured_files
from zfrepro.measurements import first_layers, intervals, settling, similarity
from zfrepro.measurements.estimate import Estimate, NotMeasured
from zfrepro.measurements.first_layers import Layers
from zfrepro.measurements.occlusion_scores import Scores
from zfrepro.storage import artifacts

MAJORITY = 50  # percent
ENDS = 2  # layers that count as lower, and as upper
EPOCHS, LATE, EARLY = (
    70,
    (40, 50),
    (5, 10),
)  # of the paper's training; when its upper and lower layers look converged in Fig 4
HALF = 50  # percent of training: between the paper's lower layers, a few epochs of 70, and its upper layers
DECIBEL = 1.0  # margin for another training: a quarter of the energy
PRINTED_RATIO = 10.0  # times the median, at least: in Fig 6 (a), on the scale of one filter the others are nearly black
PARTS: dict[str, tuple[str, parts.Needs]] = {
    "first": ("deconvnet", measured_files.first_layers),
    "features": ("deconvnet", partial(measured_files.files_of_run, stage="deconvnet")),
    "evolution": ("evolution", partial(measured_files.files_of_run, stage="evolution")),
    "covered": ("occlusion", measured_files.occlusion_scores),
}
NO_PAIR = "`deconvnet.runs` does not name both a baseline and an improved network whose filters are clipped."


def needs(config: Any) -> dict[str, str]:
    return parts.gather_files(config, PARTS)


def _layers(files: Mapping[str, Path], *labels: str) -> list[Layers]:
    part = parts.select_part(files, "first", NO_PAIR)
    return [first_layers.load(part, label) for label in labels]


def _aliasing(files: Mapping[str, Path]) -> Finding:
    baseline, improved = _layers(files, "baseline", "improved")
    if any("lines_2" not in layers.arrays for layers in (baseline, improved)):
        raise NotMeasured("Layer 2 is not among the layers of `deconvnet.maps`.")
    measured, means = {}, []
    for name in ("lines", "squares"):
        first, second = baseline.grids(name), improved.grids(name)
        difference = intervals.difference_of_means(first, second, "maps of layer 2", 1, "dB")
        largest = float(np.nanmean(first))  # all of the baseline's is gone
        measured[name] = make_part(difference, largest, "the most possible", DECIBEL)
        means.append(f"{name} {largest:.1f} and {float(np.nanmean(second)):.1f} dB")
    return parts.add_sentence(margins.judge_above(measured), f"Baseline and improved: {'; '.join(means)}.")


def _frequencies(files: Mapping[str, Path]) -> Finding:
    baseline, improved = _layers(files, "baseline", "improved")
    middle, dead = _middle_band(improved), _dead_filters(baseline)
    outside, dead_share = (
        100 * float(np.mean(~_middle_band(baseline))),
        100 * float(np.mean(dead)),
    )  # of the baseline's filters
    more_in_band = intervals.difference_of_shares(middle, _middle_band(baseline), "filters")
    fewer_dead = intervals.difference_of_shares(dead, _dead_filters(improved), "filters")
    measured = {
        "middle band": make_part(more_in_band, outside, "the most possible"),
        "dead": make_part(fewer_dead, dead_share, "the most possible"),
    }
    counts = f"Dead: {baseline.dead} of {len(baseline.rms)} and {improved.dead} of {len(improved.rms)}."
    return parts.add_sentence(margins.judge_above(measured), counts)


def _middle_band(layers: Layers) -> np.ndarray:
    """bool (F,): filters of layer 1 that peak in the middle band."""
    return np.digitize(layers.arrays["peaks_1"], layers.about["bands"]) == 1


def _dead_filters(layers: Layers) -> np.ndarray:
    """bool (F,): as many as are dead; how many, not which."""
    return np.arange(len(layers.rms)) < layers.dead


def _dominance(files: Mapping[str, Path]) -> Finding:
    if "arrays/unclipped" not in parts.select_part(files, "first", NO_PAIR):
        raise NotMeasured("No network of `deconvnet.runs` is trained without clipping (`filter_rms: null`).")
    unclipped, clipped = _layers(files, "unclipped", "improved")
    if not all(np.median(layers.rms) > 0 for layers in (unclipped, clipped)):
        raise NotMeasured("Half of the filters of a network are 0, so nothing can be compared with their median.")
    if np.array_equal(unclipped.filters, clipped.filters):
        return _never_clipped(unclipped, clipped)
    value = unclipped.ratio / clipped.ratio
    resamples = _ratios(unclipped.rms, 0) / _ratios(clipped.rms, 1)
    low, high = intervals.percentile_ends(resamples[np.isfinite(resamples)])
    n, counted = min(len(unclipped.rms), len(clipped.rms)), "filters of one network each"
    estimate = intervals.from_ends(value, min(low, value), max(high, value), n, counted, 2)
    ends = (min(low, value) - 1, max(high, value) - 1)
    effect = Effect(value - 1, PRINTED_RATIO - 1, "the paper's", digits=2, high=ends[1], interval=ends)
    return parts.add_sentence(
        margins.judge_above({"": Part(estimate, effect)}, 1),
        "The bootstrap interval of a maximum is inaccurate, and it does not cover other trainings.",
    )


def _never_clipped(unclipped: Layers, clipped: Layers) -> Finding:
    return Finding(
        "inconclusive",
        f"No filter reached an RMS of {clipped.clip:g}, where clipping begins, so both networks are identical. The largest "
        f"filter has {unclipped.ratio:.1f} times the median RMS.",
        Estimate(1.0, None, None, len(unclipped.rms), "filters", 2),
    )


def _ratios(rms: np.ndarray, seed: int) -> np.ndarray:
    """(RESAMPLES,): largest over median RMS of resampled filters; NaN where that median is 0."""
    resamples = np.random.default_rng(seed).choice(rms, (intervals.RESAMPLES, len(rms)))
    middle = np.median(resamples, axis=1)
    ratios: np.ndarray = np.divide(resamples.max(axis=1), middle, out=np.full(len(resamples), np.nan), where=middle > 0)
    return ratios


def _grouping(files: Mapping[str, Path]) -> Finding:
    arrays = artifacts.load_arrays(parts.select_part(files, "features", "`deconvnet.runs` names no network.")["arrays"])
    layers = sorted(int(name.removeprefix("patches_")) for name in arrays if name.startswith("patches_"))
    upper = [layer for layer in layers if layer > 1 and len(arrays[f"patches_{layer}"]) > 1]
    if not upper:
        raise NotMeasured("No layer above the first is shown with two maps or more (`deconvnet.maps`).")
    measured, unfiltered = {}, []
    for layer in upper:
        projections, patches = arrays[f"projections_{layer}"], arrays[f"patches_{layer}"]
        similar = similarity.beyond_chance(projections)
        filtered = similarity.beyond_chance(similarity.match_spectrum(patches, projections))
        excess, largest = intervals.mean(similar - filtered, "maps", 3), 1 - intervals.mean(filtered, "maps").value
        measured[f"layer {layer}"] = make_part(excess, largest, "the most possible")
        unfiltered.append(np.nanmean(similar - similarity.beyond_chance(patches)) <= 0)
    if len(layers) > 1:
        variety = _variety([arrays[f"patches_{layer}"] for layer in layers], layers)
        measured["variety with depth"] = make_part(variety, 1, "the most possible")
    layers_against = f"{sum(unfiltered)} of {len(unfiltered)} layers"
    finding = margins.judge_above(measured)
    if finding.verdict.startswith("reproduced") and any(unfiltered):  # the verdict must not depend on the filter
        reason = "Above 0, but only with filtered patches."
        finding = dataclasses.replace(finding, verdict="inconclusive", reason=reason)
    return parts.add_sentence(
        finding, f"Unfiltered patches, which are smoother, are at least as similar as projections in {layers_against}."
    )


def _variety(patches: Sequence[np.ndarray], layers: Sequence[int]) -> Estimate:
    variety = [1 - similarity.within_maps(tiles) for tiles in patches]
    return intervals.rank_correlation(
        np.repeat(layers, [len(values) for values in variety]), np.concatenate(variety), "maps"
    )


def _convergence(files: Mapping[str, Path]) -> Finding:
    part = parts.select_part(files, "evolution", "`evolution.runs` names no network.")
    arrays, about = artifacts.load_arrays(part["arrays"]), artifacts.load_json(part["about"])
    layers = sorted(about["layers"])
    if len(layers) < 2 * ENDS:
        raise NotMeasured(
            f"The network has {len(layers)} convolution layers, too few to compare lower with upper layers."
        )
    shares = {
        layer: 100 * settling.epochs(settling.likeness(arrays, layer), about) / about["training"] for layer in layers
    }
    lower, upper = (np.concatenate([shares[layer] for layer in group]) for group in (layers[:ENDS], layers[-ENDS:]))
    late, early = (100 * sum(epochs) / len(epochs) / EPOCHS for epochs in (LATE, EARLY))
    maps = ("maps of one network", 1, "points")
    measured = {
        "upper later than lower": make_part(
            intervals.difference_of_means(upper, lower, *maps), late - early, "the paper's"
        ),
        "lower before half of training": make_part(intervals.mean(HALF - lower, *maps), HALF - early, "the paper's"),
        "upper after half of training": make_part(intervals.mean(upper - HALF, *maps), late - HALF, "the paper's"),
    }
    return parts.add_sentence(margins.judge_above(measured), settling.layer_by_layer(about, layers))


def _projections_show_object(files: Mapping[str, Path]) -> Finding:
    scores = Scores.load(parts.select_part(files, "covered", "`occlusion.runs` names no network."))
    if not len(scores):
        raise NotMeasured("No image with a known box that leaves room for the square is classified correctly.")
    ratio = scores.values["projection"]
    fall = intervals.mean_of_images(100 * (1 - ratio), within=(-math.inf, 100))
    effect = Effect(fall.value, 100, "the most possible", "% of the activation", high=fall.high, interval=fall.interval)
    measured = {"": Part(intervals.share(ratio < 1, "images"), effect, margins.SHARE)}
    mean = f"On average the activation there is {ratio.mean():.3f} times that over all positions."
    return parts.add_sentence(margins.judge_above(measured, MAJORITY), mean)


CLAIMS = (
    Claim(
        17,
        "The large stride of the baseline's first layer leaves aliasing in layer 2; the improved network has none.",
        "Figure 6 (d), (e), section 4.1",
        "How far energy at the multiples of 1 / stride exceeds the energy around it, in each map's layer-2 projections "
        f"(lines) and in their changes from pixel to pixel (squares): baseline minus improved, above 0 by more than {DECIBEL:g} dB",
        "",
        parts.for_trained_networks(_aliasing, "first/arrays/baseline", "first/arrays/improved", compares=True),
    ),
    Claim(
        18,
        "First-layer filters of the baseline have very high and very low frequencies with few between, and some are dead; "
        "smaller filters at a smaller stride cover the middle and leave fewer dead.",
        "Figure 6 (b), (c), section 4.1",
        "Filters that peak in the middle band, improved minus baseline, and dead filters, baseline minus improved: both above 0",
        "",
        parts.for_trained_networks(_frequencies, "first/arrays/baseline", "first/arrays/improved", compares=True),
    ),
    Claim(
        19,
        "Unless filters are clipped to a fixed RMS, a few filters of the first layer dominate.",
        "Figure 6 (a), section 3",
        "Largest over median RMS of the first-layer filters, without clipping divided by that with clipping: above 1",
        f"read from the figure: about {PRINTED_RATIO:g} times the median or more, as all other filters are nearly black on one's scale",
        parts.for_trained_networks(_dominance, "first/arrays/unclipped", "first/arrays/improved", compares=True),
    ),
    Claim(
        20,
        "What activates a map is similar in its nine images, while the images themselves vary, more so in higher layers.",
        "Figure 2, section 4",
        "Correlation of a map's projections with each other minus that of its patches, each beyond that with other maps, patches "
        "filtered to the projections' mean spectrum; and rank correlation of the patches' variety with the layer: all above 0; "
        "inconclusive where unfiltered patches show the opposite",
        "",
        parts.for_trained_networks(_grouping, "features/arrays"),
    ),
    Claim(
        21,
        "Lower layers converge within a few epochs, upper layers only late in training.",
        "Figure 4, section 4",
        f"Share of training after which a map no longer changes: that of the upper {ENDS} layers minus that of the lower {ENDS}, "
        f"{HALF} % minus that of the lower, and that of the upper minus {HALF} %: all above 0",
        f"upper layers after {LATE[0]} to {LATE[1]} of {EPOCHS} epochs ({100 * LATE[0] / EPOCHS:.0f} to "
        f"{100 * LATE[1] / EPOCHS:.0f} %), lower layers after a few (in the figure {EARLY[0]} to {EARLY[1]})",
        parts.for_trained_networks(_convergence, "evolution/arrays"),
    ),
    Claim(
        22,
        "A projection shows what activates its map: the activation falls when just that is covered.",
        "Figure 7 (b), (c), section 4.2",
        f"Images whose strongest map is weaker than on average where the square covers its projection: above {MAJORITY} % by more than "
        f"{margins.SHARE:g} points; effect: the fall there, as a share of that average",
        "",
        parts.for_trained_networks(_projections_show_object, "covered/scores"),
    ),
)  # fmt: skip
