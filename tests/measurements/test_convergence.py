"""Networks that did not converge, by histories and training errors worked by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
from helpers import networks_on_disk as disk

from zfrepro.errors import UserError
from zfrepro.measurements import convergence
from zfrepro.storage import artifacts

SHALLOW = "baseline-without-3-4-6-7"


def history(path: Path, errors: Sequence[float]) -> Path:
    lines = ["epoch,val_top1_error", *(f"{epoch},{error}" for epoch, error in enumerate(errors, 1))]
    artifacts.save_text(path, "\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize(
    ("epochs", "compared"),
    [(2, (1, 2)), (3, (2, 3)), (4, (3, 4)), (5, (4, 5)), (8, (6, 8)), (10, (8, 10)), (20, (16, 20))],
)
def test_the_row_at_four_fifths_stands_beside_the_last(epochs: int, compared: tuple[int, int], tmp_path: Path) -> None:
    fall = convergence.last_fall("a", history(tmp_path / "h.csv", range(100, 100 - epochs, -1)), 2000)
    assert fall.epochs == compared
    assert fall.errors == (101 - compared[0], 101 - compared[1])


def test_the_noise_is_that_of_two_shares(tmp_path: Path) -> None:
    """60 and 50 % of 2400 images: variances 1 and 1.0417 square points, so that 1.96 standard errors are 2.8 points."""
    path = history(tmp_path / "h.csv", [90, 80, 70, 60, 50])
    fall = convergence.last_fall("a", path, 2400)
    assert fall.noise == pytest.approx(1.959964 * math.sqrt(60 * 40 / 2400 + 50 * 50 / 2400))
    assert fall.noise == pytest.approx(2.8, abs=0.01)
    assert fall.clear
    assert fall.text() == "a: 60.0 % after epoch 4, 50.0 % after epoch 5, noise 2.8 points"
    assert not convergence.last_fall("a", history(path, [90, 80, 70, 52.7, 50]), 2400).clear
    assert convergence.last_fall("a", history(path, [90, 80, 70, 52.9, 50]), 2400).clear
    assert not convergence.last_fall("a", history(path, [90, 80, 70, 50, 60]), 2400).clear  # it rises


def networks(
    folder: Path, histories: dict[str, Sequence[float]], train: dict[str, float] | None = None
) -> dict[str, Path]:
    """Runs named by their row of Table 3, as `needs` labels their files."""
    files: dict[str, Path] = {}
    for row, errors in histories.items():
        trained = (train or {}).get(row, 30.0)
        files |= disk.write(folder, row, row, disk.ranks(errors[-1], 10), trained, history=errors)
    return files


def test_only_the_networks_that_a_claim_uses_count(tmp_path: Path) -> None:
    files = networks(tmp_path, {"baseline": [90, 80, 70, 60, 50], "improved": [50, 50, 50, 50, 50]})
    assert convergence.reason(files, ["improved"]) == ""
    assert convergence.reason(files, ["improved", "baseline"]) == (
        "the validation top-1 error of 1 of 2 networks still falls by more than its noise (baseline: 60.0 % after epoch 4, "
        "50.0 % after epoch 5, noise 3.1 points)"
    )
    assert "of the network still falls" in convergence.reason(files, ["baseline"])


def test_a_single_epoch_shows_no_end(tmp_path: Path) -> None:
    assert (
        convergence.reason(networks(tmp_path, {"improved": [50]}), ["improved"])
        == "improved was trained for a single epoch"
    )


def test_a_full_network_that_fits_worse_than_the_shallow_one(tmp_path: Path) -> None:
    flat = {"baseline": [50, 50, 50], SHALLOW: [60, 60, 60], "improved": [45, 45, 45]}
    worse = networks(tmp_path / "worse", flat, {"baseline": 45.1, SHALLOW: 40.2})
    assert convergence.reason(worse, ["improved"]) == (
        "the full network fits its training images worse than the one without layers 3, 4, 6, 7 (top-1 training error of the "
        "baseline 45.1 %, without them 40.2 %)"
    )
    assert (
        convergence.reason(networks(tmp_path / "better", flat, {"baseline": 40.2, SHALLOW: 45.1}), ["improved"]) == ""
    )
    files = networks(tmp_path / "diverged", flat, {"baseline": 45.1, SHALLOW: 40.2})
    disk.diverge(files, SHALLOW)
    assert convergence.reason(files, ["improved", SHALLOW]) == ""
    del flat[SHALLOW]
    assert convergence.reason(networks(tmp_path / "alone", flat, {"baseline": 99.0}), ["improved"]) == ""


def test_both_signs_of_short_training_are_reported(tmp_path: Path) -> None:
    files = networks(tmp_path, {"baseline": [90, 60, 50], SHALLOW: [60, 60, 60]}, {"baseline": 45.1, SHALLOW: 40.2})
    assert "still falls" in convergence.reason(files, ["baseline"])
    assert " and the full network fits" in convergence.reason(files, ["baseline"])


@pytest.mark.parametrize("text", ["epoch,val_top1_error\n", "epoch\n1\n", "", "epoch,val_top1_error\n1,50\n2,nan\n"])
def test_a_broken_history_is_named(text: str, tmp_path: Path) -> None:
    artifacts.save_text(tmp_path / "history.csv", text)
    with pytest.raises(UserError, match=r"history\.csv: .*delete it and run again"):
        convergence.last_fall("a", tmp_path / "history.csv", 100)
