"""Claims 27 to 29 on hand-made scores and maps: each verdict in its direction."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from zfrepro import artifacts
from zfrepro.claims import occlusion
from zfrepro.claims.base import Finding, Unattempted

DECIDE = {claim.number: claim.decide for claim in occlusion.CLAIMS}
COUNT, SQUARE, STRIDE, POSITIONS = 40, 4, 2, 9  # an input of 20 pixels
NOWHERE = float("nan")


def spread(value: float, by: float = 0.01) -> np.ndarray:
    return value + by * np.linspace(-1, 1, COUNT)


def write(folder: Path, **scores: np.ndarray) -> dict[str, Path]:
    plain = {"inside": spread(0.5), "outside": spread(0.8), "touching": spread(0.6), "elsewhere": spread(0.8)}
    more = {"picture": np.arange(COUNT), "clean": spread(0.7, 0.3), "kept": spread(0.9), "minima": np.zeros(COUNT)}
    artifacts.save_arrays(folder / "scores.npz", **(plain | more | scores))
    artifacts.save_json(
        folder / "occlusion.json", {"square": SQUARE, "stride": STRIDE, "positions": POSITIONS, "pictures": []}
    )
    return {"scores/scores": folder / "scores.npz", "scores/about": folder / "occlusion.json"}


def decide(number: int, folder: Path, **scores: np.ndarray) -> Finding:
    return DECIDE[number](write(folder, **scores))


def test_the_object_matters(tmp_path: Path) -> None:
    found = decide(27, tmp_path, outside=np.append(NOWHERE, spread(0.8)[1:]))
    assert found.verdict == "reproduced"
    assert [one.n for one in found.parts.values()] == [COUNT - 1, COUNT]
    assert found.estimate.value == 100
    assert found.estimate.low < 100  # Wilson's: 40 of 40 is not certainty
    assert decide(27, tmp_path, inside=spread(0.9)).verdict == "not reproduced"
    half = np.where(np.arange(COUNT) % 2, 0.5, 0.9)
    assert decide(27, tmp_path, inside=half).verdict == "inconclusive"
    assert decide(27, tmp_path, touching=spread(0.9)).verdict == "not reproduced"  # both ways of covering must hold
    with pytest.raises(Unattempted, match="leave positions"):
        decide(27, tmp_path, outside=np.full(COUNT, NOWHERE))


def test_where_map_and_class_are_lowest(tmp_path: Path) -> None:
    apart = np.where(np.arange(COUNT) < 20, SQUARE + 0.1, SQUARE)
    found = decide(28, tmp_path, minima=apart, kept=np.append(spread(0.9)[1:], 1.0))
    assert (found.verdict, found.estimate.n) == ("reproduced", COUNT - 1)
    assert found.estimate.value == pytest.approx(100 * 20 / 39)
    assert decide(28, tmp_path).verdict == "not reproduced"
    assert decide(28, tmp_path, minima=np.where(np.arange(COUNT) < 6, 9.0, 0.0)).verdict == "inconclusive"
    with pytest.raises(Unattempted, match="changes the label of no picture"):
        decide(28, tmp_path, kept=np.ones(COUNT))


def test_the_label_stays_but_on_the_object(tmp_path: Path) -> None:
    places = {"kept_inside": spread(0.6), "kept_outside": spread(0.95, 0.02)}
    found = decide(29, tmp_path, **places)
    assert found.verdict == "reproduced"
    assert found.parts["label kept, less 50"].n == COUNT / 2  # the surer half
    assert found.parts["changed on the object"].value == pytest.approx(35)
    assert "90.5 %" in found.reason
    assert decide(29, tmp_path, kept=spread(0.3), **places).verdict == "not reproduced"
    swapped = {"kept_inside": places["kept_outside"], "kept_outside": places["kept_inside"]}
    assert decide(29, tmp_path, **swapped).verdict == "not reproduced"


def test_the_label_maps_that_are_shown(tmp_path: Path) -> None:
    """The square's middle lies in the box at rows and columns 2 to 4 of 9: all of those change, nothing else."""
    label = np.zeros((4, POSITIONS, POSITIONS), int)
    label[:, 2:5, 2:5] = 1
    label[1, 2, 2] = 0
    boxes = [[5.5, 5.5, 10.5, 10.5]] * 2 + [[0, 0, 20, 20], None]  # the third leaves no place beside it
    files = write(tmp_path)
    artifacts.save_arrays(tmp_path / "maps.npz", label=label, clean_label=np.zeros(4, int))
    told = {"square": SQUARE, "stride": STRIDE, "positions": POSITIONS, "pictures": [{"box": box} for box in boxes]}
    artifacts.save_json(tmp_path / "occlusion.json", told)
    found = DECIDE[29](files | {"maps/arrays": tmp_path / "maps.npz", "maps/about": tmp_path / "occlusion.json"})
    part = found.parts["changed on the object"]
    assert (part.value, part.n) == (pytest.approx(100 * (1 + 8 / 9) / 2), 2)
    assert found.verdict == "reproduced"


def test_pictures_without_boxes_decide_nothing(tmp_path: Path) -> None:
    for number in DECIDE:
        with pytest.raises(Unattempted, match="known box"):
            decide(number, tmp_path, picture=np.zeros(0))


def test_needs_and_the_papers_numbers() -> None:
    with pytest.raises(LookupError, match="occlusion"):
        occlusion.needs(SimpleNamespace(occlusion=None))
    told = {claim.number: claim.paper for claim in occlusion.CLAIMS}
    assert "97.7 / 14.3 / 84.7 %" in told[29]  # 879, 129 and 762 of 900 (figures.md, Fig 7)
