"""Claims 17 to 22 on hand-made files: each verdict in its direction, and the measures against second routes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import networks_on_disk as disk

from zfrepro.claims import visualisation
from zfrepro.claims.base import Finding
from zfrepro.core import spectra
from zfrepro.measurements import occlusion_scores, settling, similarity
from zfrepro.measurements.estimate import NotMeasured
from zfrepro.storage import artifacts

DECIDE = {claim.number: claim.decide for claim in visualisation.CLAIMS}
RNG = np.random.default_rng(0)


def first(folder: Path, label: str, clip: float | None = 0.1, **arrays: np.ndarray) -> dict[str, Path]:
    """One network's files as `deconvnet` leaves them; what is not given is unremarkable."""
    count = len(arrays.get("rms_1", arrays.get("peaks_1", np.zeros(20))))
    plain = {
        "filters_1": np.full((count, 3, 3, 3), 0.01),
        "rms_1": np.full(count, 0.01),
        "peaks_1": np.full(count, 0.2),
    }
    arrays = {**plain, "silent_1": np.zeros(count, bool), **arrays}
    about = {"stride": 4 if label == "baseline" else 2, "bands": [0.125, 0.25]}
    if "projections_2" in arrays:
        arrays["lines_2"], arrays["squares_2"] = spectra.grids(arrays["projections_2"], about["stride"])
    artifacts.save_arrays(folder / f"{label}.npz", **arrays)
    artifacts.save_json(folder / f"{label}.json", about)
    artifacts.save_json(folder / f"{label}-network.json", {"spec": {"filter_rms": clip, "input_scale": 1.0}})
    names = {"arrays": f"{label}.npz", "about": f"{label}.json", "network": f"{label}-network.json"}
    return {f"first/{kind}/{label}": folder / name for kind, name in names.items()}


def decide_pair(folder: Path, number: int, baseline: dict, improved: dict) -> Finding:
    files = first(folder, "baseline", **baseline) | first(folder, "improved", **improved)
    return DECIDE[number](files | seeds(folder))


def seeds(folder: Path) -> dict[str, Path]:
    """Three trainings of some network, without which networks are not compared."""
    return disk.repeats(folder / "seeds", 1.0, pictures=100, classes=10)


def smooth(count: int, seed: int) -> np.ndarray:
    """(count, 9, 28, 28, 3) of noise: no grid at all."""
    return np.random.default_rng(seed).normal(size=(count, 9, 28, 28, 3))


def gridded(count: int, side: int, seed: int) -> np.ndarray:
    """Noise in squares of one value, with every first line of a square brighter."""
    small = np.random.default_rng(seed).normal(size=(count, 9, 28 // side, 28 // side, 3))
    tiles = np.kron(small, np.ones((1, 1, side, side, 1)))
    tiles[:, :, ::side] += 2
    tiles[:, :, :, ::side] += 2
    return tiles


def test_the_grids_are_those_of_fig_6() -> None:
    tiles = gridded(1, 4, 3)[0] + 0.3 * smooth(1, 4)[0]
    for measured, images in zip(spectra.grids(tiles[None], 4), (tiles, spectra.changes(tiles)), strict=True):
        assert 10 * np.log10(measured[0]) == pytest.approx(10 * np.log10(spectra.contrast(spectra.power(images), 4)))
    assert 10 * np.log10(spectra.grids(tiles[None], 4)[0][0]) > 5
    assert np.isnan(spectra.grids(np.zeros((1, 2, 8, 8, 3)), 4)[0][0])


def test_aliasing(tmp_path: Path) -> None:
    grid, none = {"projections_2": gridded(8, 4, 1)}, {"projections_2": smooth(8, 2)}
    finding = decide_pair(tmp_path, 17, grid, none)
    assert finding.verdict == "reproduced"
    assert set(finding.parts) == {"lines", "squares"}
    assert finding.estimate.n == 16
    backwards = {"projections_2": smooth(8, 1)}, {"projections_2": gridded(8, 2, 2)}
    assert decide_pair(tmp_path, 17, *backwards).verdict == "not reproduced"
    smooth_pair = {"projections_2": smooth(3, 1)}, {"projections_2": smooth(3, 2)}
    assert decide_pair(tmp_path, 17, *smooth_pair).verdict == "inconclusive"
    with pytest.raises(NotMeasured, match=r"deconvnet\.maps"):
        decide_pair(tmp_path, 17, {}, {})


def test_frequencies_and_dead_filters(tmp_path: Path) -> None:
    few = {"peaks_1": np.where(np.arange(40) < 4, 0.2, 0.05), "silent_1": np.arange(40) < 12}
    many = {"peaks_1": np.where(np.arange(40) < 32, 0.2, 0.4), "silent_1": np.zeros(40, bool)}
    finding = decide_pair(tmp_path, 18, few, many)
    assert finding.verdict == "reproduced"
    assert (finding.parts["middle band"].value, finding.parts["dead"].value) == (70, 30)
    assert "12 of 40 and 0 of 40" in finding.reason
    assert decide_pair(tmp_path, 18, many, few).verdict == "not reproduced"
    assert decide_pair(tmp_path, 18, many, many).verdict == "inconclusive"


def test_dominance(tmp_path: Path) -> None:
    even, grown = np.linspace(0.01, 0.02, 40), np.linspace(0.01, 0.02, 40)
    grown[:5] = 1
    clipped = first(tmp_path, "improved", rms_1=even) | seeds(tmp_path)
    assert DECIDE[19](
        clipped | first(tmp_path, "unclipped", None, rms_1=grown, filters_1=np.ones((40, 3, 3, 3)))
    ).verdict == ("reproduced")
    free = first(tmp_path, "unclipped", None, rms_1=even[::-1].copy(), filters_1=np.ones((40, 3, 3, 3)))
    assert DECIDE[19](clipped | free).verdict == "inconclusive"
    same = DECIDE[19](clipped | first(tmp_path, "unclipped", None, rms_1=even))
    assert (same.verdict, same.estimate.value, same.estimate.low) == ("inconclusive", 1, None)
    assert "No filter reached an RMS of 0.1" in same.reason
    with pytest.raises(NotMeasured, match="filter_rms: null"):
        DECIDE[19](clipped)


def test_networks_of_one_seed_are_not_compared(tmp_path: Path) -> None:
    few = {"peaks_1": np.where(np.arange(40) < 4, 0.2, 0.05), "silent_1": np.arange(40) < 12}
    many = {"peaks_1": np.where(np.arange(40) < 32, 0.2, 0.4), "silent_1": np.zeros(40, bool)}
    once = disk.write(tmp_path / "once", "other", "baseline", disk.ranks(30, 15, pictures=100), classes=10)
    finding = DECIDE[18](first(tmp_path, "baseline", **few) | first(tmp_path, "improved", **many) | once)
    assert (finding.verdict, finding.parts["dead"].value) == ("inconclusive", 30)  # the numbers stay
    assert finding.reason.startswith("No network was trained with a second seed, so nothing shows how much another")


def test_filters_of_0_are_no_yardstick(tmp_path: Path) -> None:
    clipped = first(tmp_path, "improved", rms_1=np.linspace(0.01, 0.02, 40)) | seeds(tmp_path)
    dead = np.where(np.arange(40) < 21, 0, 0.5)
    free = first(tmp_path, "unclipped", None, rms_1=dead, filters_1=np.ones((40, 3, 3, 3)))
    with pytest.raises(NotMeasured, match="Half of the filters"):
        DECIDE[19](clipped | free)
    mostly = np.where(np.arange(40) < 19, 0, 0.5)  # in some resamples more than half are 0
    free = first(tmp_path, "unclipped", None, rms_1=mostly, filters_1=np.ones((40, 3, 3, 3)))
    assert DECIDE[19](clipped | free).estimate.value == pytest.approx(1 / (0.02 / 0.015))


def patterned(maps: int, noise: float, seed: int) -> np.ndarray:
    """(maps, 9, 16, 16, 3): a pattern of each map's own, and noise."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(maps, 1, 16, 16, 3)) + noise * rng.normal(size=(maps, 9, 16, 16, 3))


def features(folder: Path, projections: float, patches: dict[int, float]) -> dict[str, Path]:
    """Noise of the projections, and of the patches by layer; patches as bytes, as they are stored."""
    arrays = {}
    for layer, noise in patches.items():
        arrays[f"projections_{layer}"] = patterned(8, projections, layer).astype(np.float32)
        arrays[f"patches_{layer}"] = np.clip(
            128 + 25 * patterned(8, noise, layer + 10) / np.hypot(1, noise), 0, 255
        ).astype(np.uint8)
    artifacts.save_arrays(folder / "features.npz", **arrays)
    return {"features/arrays": folder / "features.npz"}


def test_grouping(tmp_path: Path) -> None:
    finding = DECIDE[20](features(tmp_path, 0.5, {1: 0.8, 2: 2, 3: 4}))
    assert finding.verdict == "reproduced"
    assert list(finding.parts) == ["layer 2", "layer 3", "variety with depth"]
    assert finding.parts["variety with depth"].n == 24
    assert DECIDE[20](features(tmp_path, 3, {1: 0.8, 2: 1, 3: 2})).verdict == "not reproduced"
    assert DECIDE[20](features(tmp_path, 0.5, {1: 2, 2: 2, 3: 2})).verdict == "inconclusive"
    with pytest.raises(NotMeasured, match="above the first"):
        DECIDE[20](features(tmp_path, 0.5, {1: 1}))
    with pytest.raises(NotMeasured, match=r"deconvnet\.runs"):
        DECIDE[20]({})


def test_smooth_patches_do_not_correlate_by_smoothness(tmp_path: Path) -> None:
    """A map's patches share how bright they are on the left, and nothing fine; its projections share fine lines."""
    files = features(tmp_path, 1.5, {1: 0.8, 2: 2})
    arrays = artifacts.load_arrays(files["features/arrays"])
    rng, ramp = np.random.default_rng(6), np.linspace(-60, 60, 16)[:, None]
    patches = 128 + rng.permuted([-1, 1] * 4)[:, None, None, None, None] * ramp + rng.normal(0, 10, (8, 9, 16, 16, 3))
    fine = np.diff(arrays["projections_2"], axis=3, append=0)  # no slow change from left to right
    arrays |= {"patches_2": np.clip(patches, 0, 255).astype(np.uint8), "projections_2": fine}
    artifacts.save_arrays(tmp_path / "features.npz", **arrays)
    finding = DECIDE[20](files)
    assert finding.parts["layer 2"].low > 0
    assert "are at least as similar as projections in 1 of 1 layers" in finding.reason


def test_correlations_within_a_map_and_beyond_chance() -> None:
    first, second = np.array([[1.0, -1], [0, 0]]), np.array([[0, 0], [1.0, -1]])
    tiles = np.stack([[first, first, second], [second, second, second]])[..., None]
    assert similarity.within_maps(tiles) == pytest.approx([1 / 3, 1])
    assert similarity.beyond_chance(tiles) == pytest.approx([0, 1 - 1 / 3])  # of 9 pairs across, 3 are alike
    assert np.isnan(similarity.within_maps(np.zeros((1, 2, 2, 2, 1)))).all()


def test_matched_patches_have_the_spectrum_of_the_projections() -> None:
    x = np.arange(16) + np.zeros((16, 1))
    wave = np.cos(2 * np.pi * x / 4)[None, None, ..., None] * np.ones((2, 3, 1, 1, 1))
    matched = similarity.match_spectrum(RNG.normal(size=(2, 3, 16, 16, 1)), wave)
    energy = (np.abs(np.fft.fft2(matched, axes=(2, 3))) ** 2).mean(axis=(0, 1, 4))
    assert energy[0, [4, 12]].sum() == pytest.approx(energy.sum())


def evolution(folder: Path, likeness: dict[str, np.ndarray], **more: np.ndarray) -> dict[str, Path]:
    layers = {layer: {"settled": {"responses": float(layer)}} for layer in "1234"}
    about = {"epochs": [1, 2, 4], "training": 8, "settled": 0.9, "layers": layers}
    artifacts.save_arrays(folder / "evolution.npz", **{f"likeness_{k}": v for k, v in likeness.items()}, **more)
    artifacts.save_json(folder / "evolution.json", about)
    return {"evolution/arrays": folder / "evolution.npz", "evolution/about": folder / "evolution.json"}


def test_a_map_settles_where_its_likeness_stays_above_the_threshold() -> None:
    about = {"epochs": [1, 2, 4], "training": 8, "settled": 0.9}
    likeness = np.array([[0.5, 0.8, 1.0], [0.95, 0.99, 1.0], [0.95, 0.5, 0.85]]).T
    assert settling.epochs(likeness, about) == pytest.approx([3, 1, 4 + 4 / 3])


def test_settling(tmp_path: Path) -> None:
    jitter = 0.01 * RNG.random((3, 6))
    early, late = (
        0.95 + jitter - 0.06 * (np.arange(6) == np.array([[0], [9], [9]])),
        np.array([[0.1], [0.3], [0.5]]) + jitter,
    )
    finding = DECIDE[21](evolution(tmp_path, {"1": early, "2": early, "3": late, "4": late}))
    assert finding.verdict == "reproduced"
    assert finding.parts["upper later than lower"].n == 24
    assert finding.parts["lower before half of training"].value == pytest.approx(50 - 100 / 8, abs=1)
    assert 0 < finding.parts["upper after half of training"].value < 50
    assert finding.reason.endswith("settle after 12, 25, 38 and 50 % of training.")
    assert DECIDE[21](evolution(tmp_path, {"1": late, "2": late, "3": early, "4": early})).verdict == "not reproduced"
    latest = np.array([[0.1], [0.1], [0.1]]) + jitter
    alllate = DECIDE[21](evolution(tmp_path, {"1": late, "2": late, "3": latest, "4": latest}))
    assert (alllate.verdict, alllate.part) == ("not reproduced", "lower before half of training")
    mixed = np.hstack([early[:, :3], late[:, :3]])
    assert DECIDE[21](evolution(tmp_path, dict.fromkeys("1234", mixed))).verdict == "inconclusive"


def test_settling_from_what_is_shown(tmp_path: Path) -> None:
    """The projection of maps of the upper layers changes in the last snapshot, of the lower ones never."""
    still = np.repeat(RNG.normal(size=(1, 5, 6, 6, 3)), 3, axis=0)
    moving = np.concatenate([RNG.normal(size=(2, 5, 6, 6, 3)), still[:1]])
    shown = {"projections_1": still, "projections_2": still, "projections_3": moving, "projections_4": moving}
    finding = DECIDE[21](evolution(tmp_path, {}, **shown))
    assert (finding.verdict, finding.part) == ("not reproduced", "upper after half of training")
    assert 100 * (2 - 1) / 8 < finding.parts["upper later than lower"].value < 100 * (4 - 1) / 8


def test_projections_drive_their_map(tmp_path: Path) -> None:
    def decide(ratios: list[float]) -> Finding:
        plain = dict.fromkeys(("clean", *occlusion_scores.NEEDED), np.full(len(ratios), 0.5))
        artifacts.save_arrays(tmp_path / "scores.npz", **plain | {"projection": np.array(ratios)})
        artifacts.save_json(tmp_path / "occlusion.json", {"square": 4})
        return DECIDE[22]({"covered/scores": tmp_path / "scores.npz", "covered/about": tmp_path / "occlusion.json"})

    finding = decide([0.8] * 45 + [1.1] * 5 + [float("nan")])
    assert (finding.verdict, finding.estimate.value, finding.estimate.n) == ("reproduced", 90, 50)
    assert finding.effect.value == pytest.approx(17)  # 1 - (45 * 0.8 + 5 * 1.1) / 50, in percent of all of it
    small = decide([0.98] * 45 + [1.0] * 5)  # 1.8 %
    assert (small.verdict, small.effect.value) == ("reproduced, small", pytest.approx(1.8))
    assert decide([1.0] * 40 + [0.9] * 5).verdict == "not reproduced"
    assert decide([0.9, 1.1] * 20).verdict == "inconclusive"
    with pytest.raises(NotMeasured):
        decide([])


def test_needs_leave_out_what_the_experiment_leaves_out() -> None:
    nothing = dict.fromkeys(("deconvnet", "evolution", "occlusion"), None)
    with pytest.raises(LookupError, match="deconvnet, evolution, occlusion"):
        visualisation.needs(SimpleNamespace(**nothing))
    network = {"remove": [], "maps": [384, 384, 256], "units": 4096, "base": "improved"}
    training = SimpleNamespace(
        seed=0, network=SimpleNamespace(base="improved", model_dump=lambda: network), filter_rms=0.1
    )
    section = SimpleNamespace(runs=("improved",))
    config = SimpleNamespace(
        **{**nothing, "deconvnet": section, "evolution": section},
        training=lambda name: training,
        runs=lambda: {"improved": "train"},
    )
    assert sorted(visualisation.needs(config)) == [  # no baseline, so nothing of Fig 6
        "evolution/about", "evolution/arrays", "features/about", "features/arrays",
        "trained/errors/improved", "trained/history/improved", "trained/network/improved",
    ]  # fmt: skip


def test_the_papers_numbers() -> None:
    printed = {claim.number: claim.paper for claim in visualisation.CLAIMS}
    assert "40 to 50 of 70 epochs (57 to 71 %)" in printed[21]
    assert [number for number, paper in printed.items() if paper] == [19, 21]


def test_a_uniform_tile_leaves_the_other_maps_their_numbers() -> None:
    """A black patch correlates with nothing; it takes its own map out, not the layer."""
    tiles = np.random.default_rng(0).normal(size=(3, 4, 5, 5, 3))
    without = similarity.beyond_chance(tiles[:2])
    tiles[2] = 7.0
    correlations = similarity.beyond_chance(tiles)
    assert np.isnan(correlations[2])
    assert correlations[:2] == pytest.approx(without)
