"""The parts that Table 1 covers, and how far their sign change is below that of random positions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zfrepro import paper
from zfrepro.measurements import intervals
from zfrepro.measurements.estimate import Estimate

MASKS = ("right eye", "left eye", "nose", "random")  # rows of the paper's table, and keys of correspondence.json
PARTS = [mask for mask in MASKS if mask != "random"]


def below_random(sample: Mapping[str, Any], layer: int, part: str) -> Estimate | None:
    """Random's sign change minus the part's, in percent of random's; None where random squares change nothing.

    sample: of correspondence.json.
    """
    share, count = sample["layers"][str(layer)]["part_below_random"][part], sample["pictures"]
    value, low, high = (None if share[key] is None else 100 * share[key] for key in ("value", "low", "high"))
    if value is None:
        return None
    return intervals.from_ends(value, low, high, count, "images", unit="%", freedom=count - 1)


def printed_below_random(layer: int, part: str) -> float:
    """The same by the paper's Table 1."""
    printed = paper.table("table1_correspondence").set_index("name")[f"layer{layer}_mean_feature_sign_change"]
    return 100 * (1 - float(printed[part]) / float(printed["random"]))
