"""Better than chance, by the interval of the top-1 error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers import networks_on_disk as disk
from helpers import targets_on_disk as targets

from zfrepro.measurements import chance
from zfrepro.measurements.networks import Networks
from zfrepro.measurements.transfers import Target
from zfrepro.storage import artifacts


def described(folder: Path, error: float, classes: int, pictures: int = 2000) -> str:
    files = disk.write(folder, "improved", "improved", disk.ranks(error, 0, pictures=pictures), classes=classes)
    return chance.describe(Networks.load(files), ["improved"])


@pytest.mark.parametrize(
    ("error", "classes"),
    [(99.9, 1000), (99.8, 1000), (50, 2), (48, 2), (100, 10), (0, 1)],  # 48 % of 2000: [45.8, 50.2]
)
def test_a_network_at_chance(error: float, classes: int, tmp_path: Path) -> None:
    text = described(tmp_path, error, classes)
    assert text.startswith(f"improved is not better than chance: top-1 error {error:.1f} % [")
    assert text.endswith(f"of 2,000 validation images, chance {100 * (1 - 1 / classes):.1f} %")


@pytest.mark.parametrize(("error", "classes"), [(99.2, 1000), (47, 2), (60, 10), (0, 2)])
def test_a_network_above_chance(error: float, classes: int, tmp_path: Path) -> None:
    """99.2 % of 2000: [98.7, 99.5], below 99.9; 47 %: [44.8, 49.2]."""
    assert described(tmp_path, error, classes) == ""


def test_two_images_show_nothing(tmp_path: Path) -> None:
    assert "top-1 error 0.0 % of 2 validation images" in described(tmp_path, 0, 2, pictures=2)


def relabel(files: dict[str, Path], labels: np.ndarray, predicted: int) -> None:
    """The network names one class for every image."""
    probabilities = np.full((len(labels), 10), 0.01, np.float32)
    probabilities[:, predicted] = 0.91
    artifacts.save_arrays(files["scores/improved"], labels=labels, probabilities_1=probabilities)


def test_naming_the_most_frequent_class_is_chance(tmp_path: Path) -> None:
    """Of 10 classes one has 60 % of the images: an error of 40 % is far below 90 %, and says nothing."""
    files = disk.write(tmp_path, "improved", "improved", disk.ranks(0, 0, pictures=1000), classes=10)
    relabel(files, np.r_[np.zeros(600, int), np.arange(400) % 9 + 1], predicted=0)
    assert chance.describe(Networks.load(files), ["improved"]).endswith("of 1,000 validation images, chance 40.0 %")


def test_a_class_without_images_does_not_raise_it(tmp_path: Path) -> None:
    """Ten classes, of which five have images: naming one of them is right in a fifth of them."""
    files = disk.write(tmp_path, "improved", "improved", disk.ranks(0, 0, pictures=1000), classes=10)
    relabel(files, np.arange(1000) % 5, predicted=3)
    assert "top-1 error 80.0 % [77.4, 82.4] of 1,000 validation images, chance 80.0 %" in chance.describe(
        Networks.load(files), ["improved"]
    )


def test_other_and_diverged_networks_are_not_asked(tmp_path: Path) -> None:
    files = disk.write(tmp_path, "improved", "improved", disk.ranks(99.9, 0), classes=1000)
    files |= disk.write(tmp_path, "broken", "baseline", disk.ranks(99.9, 0), classes=1000)
    disk.diverge(files, "broken")
    networks = Networks.load(files)
    assert chance.describe(networks, ["broken", "missing"]) == ""
    assert chance.describe(networks, ["broken", "improved"]).startswith("improved is not")


@pytest.mark.parametrize(("accuracy", "better"), [(10.0, False), (12.0, False), (14.0, True)])
def test_accuracies_on_a_target(accuracy: float, better: bool, tmp_path: Path) -> None:
    """Of 480 test images in 10 classes: 12 % [9.4, 15.2], 14 % [11.2, 17.4]."""
    files = targets.folds(tmp_path, "caltech101", (30,), test_pictures={"30": 480})
    files |= targets.measured(tmp_path, "caltech101", "scratch", {30: accuracy})
    text = chance.describe_accuracy(Target.load(files, "caltech101"), [accuracy], 30)
    assert (text == "") == better
    if not better:
        assert text.startswith(f"{accuracy:.1f} % of 480 test images [")
        assert text.endswith("], chance 10.0 %")
