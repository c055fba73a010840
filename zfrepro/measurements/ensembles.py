"""What averaging the probabilities of networks changes: an ensemble against its members, and one that another kind joins."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from zfrepro.measurements import network_errors
from zfrepro.measurements.estimate import Estimate, NotMeasured
from zfrepro.measurements.networks import Networks
from zfrepro.measurements.runs import Run

IMPROVED, WIDE = "improved", "improved-wide"
THESE_NETWORKS = (
    "validation images, of these networks only"  # which seeds they were trained from is not in the interval
)
ADDED_NETWORK = "validation images, with the seed of the added network"


def fall_in_ensemble(networks: Networks, k: int) -> Estimate:
    """Mean top-k error of the improved network's seeds minus that of their averaged probabilities, in points.

    For these networks: another seed changes their mean and their ensemble by the same share, which cancels.
    """
    members = _members(networks, IMPROVED)
    single = networks.misclassified(IMPROVED, k, networks.views)
    return _fall(networks, k, single, networks.ensemble(members, k, networks.views))


def fall_by_joining(networks: Networks, k: int) -> Estimate:
    """Top-k error of the improved network's ensemble minus that of the same with the network of more maps, in points.

    Another seed of an added network changes the error by its share of the members; the original members' seeds cancel.
    """
    networks.require_same_recipe({IMPROVED: 1, WIDE: 1})
    members, wide = _members(networks, IMPROVED), networks.row(WIDE)
    first, second = (networks.ensemble(group, k, networks.views) for group in (members, [*members, *wide]))
    share = len(wide) / (len(members) + len(wide))
    return _fall(networks, k, first, second, (share, len(wide)))


def _members(networks: Networks, row: str) -> Sequence[Run]:
    members = networks.row(row)
    if len(members) < 2:
        raise NotMeasured(
            f"The improved network was trained from one seed; an ensemble needs two.{networks.left_out([row])}"
        )
    return members


def _fall(
    networks: Networks, k: int, first: np.ndarray, second: np.ndarray, joining: tuple[float, int] | None = None
) -> Estimate:
    """joining: the share in the second ensemble of networks that are not in the first, and how many they are."""
    spread = networks.spread_of_error(k, networks.views) if joining else None
    fall = network_errors.ensemble_difference(first, second, spread, joining or (0.0, 1))
    return dataclasses.replace(
        networks.with_trainings(fall, spread) if joining else fall, counted=ADDED_NETWORK if spread else THESE_NETWORKS
    )
