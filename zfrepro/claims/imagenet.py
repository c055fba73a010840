"""Claims 1 to 7: errors of single networks and of ensembles (Table 2)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from zfrepro import paper
from zfrepro.claims import base
from zfrepro.claims.base import AboutNetworks, Claim, Finding
from zfrepro.claims.deciding import for_networks, judge_above_zero, make_effect
from zfrepro.measurements import convergence, ensembles, network_errors, runs
from zfrepro.measurements.estimate import Estimate, NotMeasured
from zfrepro.measurements.networks import Networks
from zfrepro.paper.printed import Sum
from zfrepro.storage import artifacts

MATCH = 1.0  # points; well below the 1.6 that separate the paper's two networks
BASELINE, IMPROVED, WIDE = "baseline", "improved", "improved-wide"
BETTER, WIDER = {BASELINE: 1, IMPROVED: -1}, {IMPROVED: 1, WIDE: -1}
FULL_IMAGES = 1_200_000  # training images; ImageNet 2012 has slightly more
FULL = {"width": 1.0, "input_size": 224, "epochs": 70}
REDUCED = {"width": "{:g} of the maps", "input_size": "{} pixels", "epochs": "{} epochs"}


def needs(config: Any) -> dict[str, str]:
    return runs.needs(config, scores=True) | convergence.needs(config) | {"source": "prepare/source/manifest.json"}


def _replication(files: Mapping[str, Path]) -> Finding:
    """Only at full size, by the paper's own recipe: here a network that did not converge counts against the claim."""
    networks, source = Networks.load(files), artifacts.load_json(files["source"])
    spec = networks.row(BASELINE)[0].spec
    reduced = _list_reductions(spec, source)
    if reduced:
        raise NotMeasured(
            f"The published error is that of the full network on ImageNet; this experiment has {', '.join(reduced)}."
        )
    measured = {f"top-{k}": _above_published(networks, k) for k in (5, 1)}
    finding = base.judge_inside(measured, MATCH)
    printed = _printed("baseline", _key(finding.part)) - _printed("krizhevsky-1", _key(finding.part))
    return dataclasses.replace(
        finding,
        effect=make_effect(measured[finding.part], printed),
        reason=finding.reason + networks.left_out([BASELINE]),
        remark=networks.single_trainings([BASELINE]),
    )


def _list_reductions(spec: Mapping[str, Any], source: Mapping[str, Any]) -> list[str]:
    """What is smaller here than in the paper; empty at full size."""
    classes, count = len(source["classes"]), source["splits"]["train"][1] - source["splits"]["train"][0]
    differences = [] if source["dataset"] == "imagenet" else [f"images of {source['dataset']}"]
    differences += [] if classes == 1000 else [f"{classes} classes"]
    differences += [] if count >= FULL_IMAGES else [f"{count:,} training images"]
    return differences + [REDUCED[key].format(spec[key]) for key, full in FULL.items() if spec[key] < full]


def _above_published(networks: Networks, k: int) -> Estimate:
    """The replication's error minus the published one."""
    wrong = networks.misclassified(BASELINE, k, networks.views)
    spread = networks.spread_of_error(k, networks.views)
    ours = networks.with_trainings(network_errors.sum_of_errors([(1.0, wrong)], spread), spread)
    shift = _printed("krizhevsky-1", f"top{k}")
    low, high = (None if end is None else end - shift for end in (ours.low, ours.high))
    return dataclasses.replace(ours, value=ours.value - shift, low=low, high=high)


def _falls(rows: Sum, first: str, second: str) -> Callable[[Networks], Finding]:
    """The sum of errors above 0; `first` and `second` are the rows of Table 2 whose errors the paper prints for it."""
    return lambda networks: judge_above_zero(networks.errors(rows), _fall_printed(first, second))


def _ensemble(networks: Networks) -> Finding:
    falls = {name: ensembles.fall_in_ensemble(networks, k) for name, k in networks.tops().items()}
    return judge_above_zero(falls, _fall_printed("improved", "improved-ensemble"))


def _wide_joins(networks: Networks) -> Finding:
    networks.require_same_recipe({IMPROVED: 1, WIDE: 1})
    falls = {name: ensembles.fall_by_joining(networks, k) for name, k in networks.tops().items()}
    return judge_above_zero(falls, _fall_printed("improved-ensemble", "improved-and-wide-ensemble"))


def _test_set(files: Mapping[str, Path]) -> Finding:
    raise NotMeasured("The labels of ImageNet's test images are not public, and no other set stands in for them here.")


def _printed(row: str, top: str, which: str = "val") -> float:
    errors = paper.table("table2_imagenet_error").set_index("name")[f"{which}_{top}_err_pct"]
    return float(errors[row])


def _key(part: str) -> str:
    """`top5` of `top-5`"""
    return part.replace("-", "")


def _fall_printed(first: str, second: str) -> dict[str, float]:
    """`top-5`, `top-1` -> the fall of validation error by Table 2, in points."""
    return {top: _printed(first, _key(top)) - _printed(second, _key(top)) for top in ("top-5", "top-1")}


def _fall_text(first: str, second: str) -> str:
    """`1.2 points of top-5 error (16.5 to 15.3), 1.7 of top-1`, by Table 2."""
    top5, top1 = ([_printed(row, top) for row in (first, second)] for top in ("top5", "top1"))
    return f"{top5[0] - top5[1]:.1f} points of top-5 error ({top5[0]} to {top5[1]}), {top1[0] - top1[1]:.1f} of top-1"


def _both_sets() -> str:
    table = paper.table("table2_imagenet_error")
    pairs = zip(table["val_top5_err_pct"], table["test_top5_err_pct"], strict=True)
    errors = [f"{val} and {test}" for val, test in pairs if val == val and test == test]
    return f"top-5 error on validation and test images: {', '.join(errors)}"


CLAIMS = (
    Claim(
        1,
        "The authors' replication of Krizhevsky's network has the same error as the published one.",
        "Table 2, section 5.1",
        f"Top-5 and top-1 error of the baseline minus the published ones, between -{MATCH:g} and {MATCH:g} points; at full size only",
        f"top-5 {_printed('baseline', 'top5') - _printed('krizhevsky-1', 'top5'):+.1f} points, "
        f"top-1 {_printed('baseline', 'top1') - _printed('krizhevsky-1', 'top1'):+.1f}",
        AboutNetworks(_replication, lambda files: Networks.load(files).names([BASELINE])),
    ),
    Claim(
        2,
        "The improved network has a lower error than the replication of Krizhevsky's.",
        "Tables 2 and 3, section 5.1",
        "Fall of top-5 and top-1 error from baseline to improved, above 0",
        f"{_fall_text('baseline', 'improved')}; the 1.7 that the text calls test error is {_printed('krizhevsky-1', 'top5')} minus "
        f"{_printed('improved', 'top5')}, the published network's validation error minus the improved one's",
        for_networks((BASELINE, IMPROVED), _falls(BETTER, "baseline", "improved")),
    ),
    Claim(
        3,
        "It is the smaller filters and stride of the first layers that improve the network.",
        "Section 4.1, Table 2, Fig 6",
        "Fall of top-5 and top-1 error from baseline to improved, above 0; here both are dense and differ only in layers 1 and 2 "
        "(filter, stride, order of pooling and normalisation), which the paper does not say of its replication",
        _fall_text("baseline", "improved"),
        for_networks((BASELINE, IMPROVED), _falls(BETTER, "baseline", "improved")),
    ),
    Claim(
        4,
        "An ensemble of networks has a lower error than its members.",
        "Table 2, section 5.1",
        "Mean top-5 and top-1 error of the improved network's seeds minus that of their averaged probabilities, above 0",
        f"{_fall_text('improved', 'improved-ensemble')}, five networks",
        for_networks((IMPROVED,), _ensemble, compares=False),
    ),
    Claim(
        5,
        "More maps in layers 3, 4 and 5 improve a single network.",
        "Tables 2 and 3, section 5.1",
        "Fall of top-5 and top-1 error from the improved network to that with 512, 1024, 512 maps, above 0",
        _fall_text("improved", "improved-wide"),
        for_networks((IMPROVED, WIDE), _falls(WIDER, "improved", "improved-wide")),
    ),
    Claim(
        6,
        "A network of another kind helps the ensemble.",
        "Table 2, section 5.1",
        "Fall of top-5 and top-1 error when the network with 512, 1024, 512 maps is added to the improved network's seeds, above 0",
        f"{_fall_text('improved-ensemble', 'improved-and-wide-ensemble')}, five networks and one",
        for_networks((IMPROVED, WIDE), _wide_joins),
    ),
    Claim(
        7,
        "Validation and test error agree.",
        "Table 2",
        "Top-5 error on validation images minus that on test images, between -0.1 and 0.1 points",
        _both_sets(),
        _test_set,
    ),
)
