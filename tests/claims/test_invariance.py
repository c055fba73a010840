"""Claims 23 to 26 on hand-made curves: each verdict in its direction."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from zfrepro.claims import invariance
from zfrepro.measurements.estimate import NotMeasured
from zfrepro.storage import artifacts

DECIDE = {claim.number: claim.decide for claim in invariance.CLAIMS}
COUNT = 30
SHIFT, SCALE, TURN = np.arange(-60.0, 61, 10), np.linspace(1, 1.8, 5), np.arange(0.0, 361, 45)
AMOUNTS = {"shift": np.abs(SHIFT) / 60, "scale": (SCALE - 1) / 0.8, "turn": np.ones(len(TURN))}  # 1 at the end


def curves(shape, spread: float = 0.1, seed: int = 0, jitter: float = 0.0) -> dict[str, np.ndarray]:
    """(COUNT, T) of a function of the amount, every image on a scale of its own; jitter: of each number, as a share of it."""
    rng = np.random.default_rng(seed)
    size = 1 + spread * rng.normal(size=(COUNT, 1))
    return {
        kind: size * shape(amount) * (1 + jitter * rng.normal(size=(COUNT, len(amount))))
        for kind, amount in AMOUNTS.items()
    }


def saturating(amount: np.ndarray) -> np.ndarray:
    return 5 * (1 - np.exp(-20 * amount))


def straight(amount: np.ndarray) -> np.ndarray:
    return 0.7 * amount


def write(
    folder: Path, layer1, layer7, probability: dict[str, float] | None = None, **more: np.ndarray
) -> dict[str, Path]:
    """Distances of layers 1 and 7 by kind, mean probability by kind; `more` are arrays."""
    arrays = {"shift": SHIFT, "scale": SCALE, "turn": TURN, **more}
    for kind, amount in AMOUNTS.items():
        arrays[f"distance1_{kind}"], arrays[f"distance7_{kind}"] = layer1[kind], layer7[kind]
        level = np.random.default_rng(1).normal((probability or {}).get(kind, 0.5), 0.05, (COUNT, 1))
        arrays.setdefault(f"probability_{kind}", level + np.zeros(len(amount)))
    artifacts.save_arrays(folder / "invariance.npz", **arrays)
    about = {"symmetric": ["clock"], "pictures": [{"class": "clock" if i < 5 else "dog"} for i in range(COUNT)]}
    artifacts.save_json(folder / "invariance.json", about)
    return {"arrays": folder / "invariance.npz", "about": folder / "invariance.json"}


@pytest.mark.parametrize("number", [23, 24])
def test_layer_1_saturates_and_layer_7_moves_in_a_straight_line(tmp_path: Path, number: int) -> None:
    first, last = curves(saturating, jitter=0.01), curves(straight, jitter=0.01)
    finding = DECIDE[number](write(tmp_path, first, last))
    assert finding.verdict == "reproduced"
    assert {name.split(",")[0] for name in finding.parts} == {"translation", "scale"}
    assert finding.estimate.n == COUNT
    assert DECIDE[number](write(tmp_path, last, first)).verdict == "not reproduced"
    noise = np.random.default_rng(3).normal(size=(COUNT, 1))

    def mixed(sign: int) -> dict[str, np.ndarray]:
        return {kind: np.where(sign * noise > 0, first[kind], last[kind]) for kind in AMOUNTS}

    assert (
        DECIDE[number](write(tmp_path, mixed(1), mixed(-1))).verdict
        == {
            23: "inconclusive",
            24: "not reproduced",  # half of the images saturate in layer 7 as well, which is not nearly straight
        }[number]
    )


def test_nearly_straight_asks_for_more_than_straighter(tmp_path: Path) -> None:
    """R\u00b2 of layer 7 is 0.3 higher than that of layer 1, and still a line leaves more than it explains."""
    amount = AMOUNTS["shift"]
    noise = {name: size * np.resize([1.0, -1.0], len(amount)) for name, size in (("one", 4.0), ("seven", 0.5))}
    bent = {name: curves(straight) for name in noise}
    for name, jagged in noise.items():
        bent[name]["shift"] = bent[name]["shift"] + jagged
    finding = DECIDE[24](write(tmp_path, bent["one"], bent["seven"]))
    assert finding.parts["translation, layer 7 minus layer 1"].low > 0
    assert (finding.verdict, finding.part) == ("not reproduced", "translation, layer 7 minus 0.5")


def test_the_small_step_is_the_papers(tmp_path: Path) -> None:
    """At 10 of 60 pixels and 0.2 of 0.8 in ratio, a straight line has gone 1/6 and 1/4 of its way."""
    finding = DECIDE[23](write(tmp_path, curves(lambda amount: np.minimum(2 * amount, 1)), curves(straight)))
    assert finding.parts["translation"].value == pytest.approx(1 / 6)
    assert finding.parts["scale"].value == pytest.approx(1 / 4)


def test_features_that_never_move_decide_nothing(tmp_path: Path) -> None:
    still = curves(lambda amount: 0 * amount)
    for number in (23, 24):
        with pytest.raises(NotMeasured, match="no feature changes"):
            DECIDE[number](write(tmp_path, still, still))


def test_stability(tmp_path: Path) -> None:
    def decide(shift: float, scale: float, turn: float):
        """The untouched view has probability 0.7."""
        moved, jitter = curves(straight), np.random.default_rng(4).normal(0, 0.02, (COUNT, 1))
        turned = np.where(np.arange(len(TURN)) == 0, 0.7, turn) + jitter
        mean = {"shift": shift, "scale": scale}
        return DECIDE[25](write(tmp_path, moved, moved, mean, probability_turn=turned))

    finding = decide(0.6, 0.5, 0.2)
    assert finding.verdict == "reproduced"
    over_turns = (70 + 8 * 20) / 9
    assert finding.parts["translation minus rotation"].value == pytest.approx(60 - over_turns, abs=2)
    assert finding.parts["half minus rotation"].value == pytest.approx(35 - over_turns, abs=2)
    assert finding.estimate == finding.parts["half minus rotation"]
    assert decide(0.6, 0.1, 0.2).verdict == "not reproduced"
    unstable = decide(0.6, 0.3, 0.1)  # better than under rotation, and still lost
    assert (unstable.verdict, unstable.part) == ("not reproduced", "scale minus half")
    assert decide(0.65, 0.6, 0.5).part == "half minus rotation"


def symmetric(quarter: float, eighth: float, near: float, far: float) -> dict[str, np.ndarray]:
    """Of 12 symmetric images: probability and distance of layer 7 at quarter turns and halfway between them."""
    at_quarter = TURN % 90 == 0
    jitter = 0.02 * np.random.default_rng(5).normal(size=(12, 1)) * np.where(at_quarter, 1, -1)
    return {
        "symmetric_probability_turn": np.where(at_quarter, quarter, eighth) + jitter,
        "symmetric_distance7_turn": np.where(at_quarter, near, far) + jitter,
    }


def test_symmetric_objects(tmp_path: Path) -> None:
    moved = curves(straight)
    finding = DECIDE[26](write(tmp_path, moved, moved, **symmetric(0.8, 0.1, 0.5, 1.2)))
    assert finding.verdict == "reproduced"
    assert finding.parts["P(true class)"].value == pytest.approx(0.7, abs=0.02)
    assert finding.parts["layer 7, minus other objects"].n == 12 + 25  # the clocks among the others are left out
    assert DECIDE[26](write(tmp_path, moved, moved, **symmetric(0.1, 0.8, 1.2, 0.5))).verdict == "not reproduced"
    assert DECIDE[26](write(tmp_path, moved, moved, **symmetric(0.5, 0.5, 1, 1))).verdict == "inconclusive"
    with pytest.raises(NotMeasured, match=r"invariance\.symmetric"):
        DECIDE[26](write(tmp_path, moved, moved))


def test_quarter_turns_that_help_every_object_say_nothing_of_symmetry(tmp_path: Path) -> None:
    """As black corners do, which only the turns between them have."""
    at_quarter, moved = TURN % 90 == 0, curves(straight)
    equal = (
        np.tile(np.where(at_quarter, 0.8, 0.1), (COUNT, 1))
        + 0.05 * np.random.default_rng(2).normal(size=(COUNT, 1)) * at_quarter
    )
    finding = DECIDE[26](write(tmp_path, moved, moved, probability_turn=equal, **symmetric(0.8, 0.1, 0.5, 1.2)))
    assert finding.verdict == "inconclusive"
    assert finding.parts["P(true class), minus other objects"] == finding.estimate


def test_needs_and_the_papers_numbers() -> None:
    with pytest.raises(LookupError, match="invariance"):
        invariance.needs(SimpleNamespace(invariance=None))
    printed = {claim.number: claim.paper for claim in invariance.CLAIMS}
    assert "layer 1: 0.5 to 0.85, layer 7: 0.1 to 0.2" in printed[23]  # figures.md, Fig 5 (a)
    assert "0.75 to 0.85" in printed[26]
