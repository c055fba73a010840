"""The quantities that decide the claims on transfer, by the paper's Tables 4 to 6 and Fig 9."""

from __future__ import annotations

from collections.abc import Sequence

from zfrepro import paper
from zfrepro.measurements.transfers import NAMES

PRINTED = {  # set -> table, rows of the network from scratch and of the pretrained one
    "caltech101": ("table4_caltech101", "scratch", "pretrained"),
    "caltech256": ("table5_caltech256", "scratch", "pretrained"),
}


def value(name: str, row: str, per_class: int) -> float:
    return float(paper.table(PRINTED[name][0]).set_index("name")[f"acc{per_class}_pct"][row])


def sizes(name: str) -> list[int]:
    columns = paper.table(PRINTED[name][0]).columns
    return [int(name.removeprefix("acc").removesuffix("_pct")) for name in columns if name.endswith("_pct")]


def gains(name: str) -> str:
    texts = [f"{gain(name, k):+.1f} with {k}" for k in sizes(name)]
    return f"points: {', '.join(texts)} per class"


def nearest(name: str, per_class: int) -> int:
    """The number of training images per class of the paper's table that is nearest to ours; of two equally near the smaller."""
    return min(sizes(name), key=lambda size: (abs(size - per_class), size))


def gain(name: str, per_class: int) -> float:
    """Points that pretraining adds, at the nearest printed number of training images."""
    _, scratch, pretrained = PRINTED[name]
    k = nearest(name, per_class)
    return value(name, pretrained, k) - value(name, scratch, k)


def below_published(name: str, per_class: int) -> float:
    """Points by which the network from scratch is below the best published, at the nearest printed number."""
    k = nearest(name, per_class)
    return best_published(name, k) - value(name, PRINTED[name][1], k)


def best_published(name: str, per_class: int) -> float:
    """Of the rows above the paper's own."""
    table = paper.table(PRINTED[name][0])
    return float(table[table["group"] == "prior"][f"acc{per_class}_pct"].max())


def above_published(name: str) -> float:
    largest = sizes(name)[-1]
    return value(name, PRINTED[name][2], largest) - best_published(name, largest)


def scratch_below(names: Sequence[str]) -> str:
    texts = [f"{below_published(name, k):.1f} ({NAMES[name]}, {k})" for name in names for k in sizes(name)]
    return f"points below: {', '.join(texts)}"


def curve(per_class: int) -> float:
    table = paper.table("fig9_caltech256_curve_digitised")
    return float(table[(table["series"] == "Our Model") & (table["train_per_class"] == per_class)]["acc_pct"].iloc[0])


def precision(column: str) -> float:
    return float(paper.table("table6_pascal2012").set_index("name")[column]["mean"])
