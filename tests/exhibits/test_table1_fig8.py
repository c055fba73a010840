"""Table 1 and Fig 8 from a toy tree: the numbers shown are the stage's and the paper's, the squares lie where they should."""

from __future__ import annotations

import csv
import io
import types
from pathlib import Path

import numpy as np
import pytest
from helpers import toy_correspondence, toy_results
from PIL import Image

from zfrepro.exhibits import fig8_masked_parts, table1_correspondence
from zfrepro.stages import exhibits
from zfrepro.storage import artifacts

MODULES = (table1_correspondence, fig8_masked_parts)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("toy")
    toy_correspondence.write(results, toy_results.CLASSES, np.random.default_rng(0))
    return results


def files_of(module: types.ModuleType, results: Path) -> dict[str, Path]:
    network = types.SimpleNamespace(model_dump=lambda: {"base": "improved"})
    config = types.SimpleNamespace(
        correspondence=types.SimpleNamespace(runs=("improved",)),
        training=lambda name: types.SimpleNamespace(network=network, seed=0),
    )
    return {label: results / path for label, path in module.needs(config).items()}


def lines_of(built: exhibits.Exhibit) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(built.csv())))


@pytest.mark.parametrize("module", MODULES)
def test_both_build_and_repeat_their_bytes(module: types.ModuleType, toy: Path, tmp_path: Path) -> None:
    name = module.__name__.rpartition(".")[2]
    for attempt in ("a", "b"):
        exhibits.run(exhibits.Spec(name=name, files=files_of(module, toy)), tmp_path / attempt)
    for file in ("exhibit.json", f"{name}.csv", f"{name}.png"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_table1_shows_ours_the_papers_and_their_difference(toy: Path) -> None:
    lines = lines_of(table1_correspondence.build(files_of(table1_correspondence, toy)))
    assert [line["row"] for line in lines] == ["Right Eye", "Left Eye", "Nose", "Random"] * 2
    assert [line["section"] for line in lines[::4]] == ["As in the paper: 5 images, 10 pairs", "8 images, 28 pairs"]
    nose, random = lines[2], lines[7]
    assert (nose["layer5_paper"], nose["layer5_paper_pm"], nose["layer7_paper"]) == ("0.079", "0.017", "0.069")
    assert (nose["layer5_ours"], nose["layer5_ours_pm"], nose["layer5_ours_low"]) == ("0.240", "0.050", "")
    assert (nose["layer5_diff"], nose["layer5_opposite"], nose["layer5_unchanged"]) == ("+0.161", "25.0", "50.0")
    assert (random["layer7_ours"], random["layer7_ours_low"], random["layer7_ours_high"]) == ("0.320", "0.290", "0.350")
    assert (random["layer7_ours_pm"], random["layer7_paper"], random["layer7_diff"]) == ("", "0.073", "+0.247")


def test_table1_leads_with_how_far_parts_are_below_random(toy: Path) -> None:
    table = table1_correspondence.build(files_of(table1_correspondence, toy))
    eye, random = lines_of(table)[4], lines_of(table)[7]
    assert eye["layer5_effect_paper"] == "+37.4"  # 1 - 0.067 / 0.107
    assert [eye[f"layer5_effect_{end}"] for end in ("ours", "ours_low", "ours_high")] == [
        "+27.6",
        "0.0",
        "40.0",
    ]  # 0.21 / 0.29
    assert (eye["layer7_effect_paper"], eye["layer7_effect_ours"], eye["layer7_effect_diff"]) == (
        "+5.5",
        "+6.2",
        "+0.7",
    )
    assert (random["layer5_effect_paper"], random["layer5_effect_ours"], random["layer5_effect_ours_low"]) == (
        "0.0",
        "0.0",
        "",
    )
    shown = [column["key"] for column in table.table()["columns"]]
    assert shown[1:5] == [f"layer{layer}_effect_{who}" for layer in (5, 7) for who in ("paper", "ours")]
    assert not [key for key in shown if key.endswith("_diff")]


def test_table1_where_random_squares_change_nothing(toy: Path, tmp_path: Path) -> None:
    about = artifacts.load_json(files_of(table1_correspondence, toy)["about"])
    for sample in about["samples"].values():
        sample["layers"]["7"]["part_below_random"]["nose"] = {"value": None, "low": None, "high": None}
    artifacts.save_json(tmp_path / "about.json", about)
    built = table1_correspondence.build({"about": tmp_path / "about.json"})
    nose = lines_of(built)[2]
    assert (nose["layer7_effect_ours"], nose["layer7_effect_paper"]) == ("", "+5.5")
    assert "layer 7, nose" not in built.alt


def test_table1_shows_what_masks_change_and_the_first_page_the_means(toy: Path) -> None:
    built = table1_correspondence.build(files_of(table1_correspondence, toy))
    assert "changes 36, 37, 40 % of the units of layer 5 (random: 34 %)" in built.notes[3]
    assert "20 % (layer 5) and 20 % (layer 7)" in built.notes[3]
    highlight = built.highlights[0]
    assert (highlight.ours, highlight.paper) == (
        "0.223, random 0.290",
        "0.072, random 0.107",
    )  # (0.067 + 0.069 + 0.079) / 3


def test_few_marked_photographs_are_one_sample_without_intervals(toy: Path, tmp_path: Path) -> None:
    files = files_of(table1_correspondence, toy)
    about = artifacts.load_json(files["about"])
    about["marked_by_hand"], about["samples"]["all"] = True, about["samples"]["shown"]
    about["pictures"] = [{"file": f"{i}.jpg", "class": None} for i in range(5)]
    for mask in about["samples"]["shown"]["layers"]["5"]["masks"].values():
        mask["opposite"] = mask["opposite_low"] = mask["opposite_high"] = mask["by_chance"] = None
    artifacts.save_json(tmp_path / "about.json", about)
    built = table1_correspondence.build({"about": tmp_path / "about.json"})
    lines = lines_of(built)
    assert len(lines) == 4
    assert "layer5_ours_low" not in lines[0]
    assert (lines[0]["layer5_opposite"], lines[0]["layer7_opposite"]) == ("", "30.0")
    assert "photographs marked by hand" in built.caption
    assert "[ ]" not in built.notes[1]
    shown = fig8_masked_parts.build({**files_of(fig8_masked_parts, toy), "about": tmp_path / "about.json"})
    assert lines_of(shown)[3]["picture"] == "3.jpg"


def test_fig8_covers_each_part_where_the_stage_did(toy: Path) -> None:
    files = files_of(fig8_masked_parts, toy)
    arrays = artifacts.load_arrays(files["arrays"])
    image = np.asarray(Image.open(io.BytesIO(fig8_masked_parts.build(files).png)).convert("RGB")).astype(int)
    gap = fig8_masked_parts.GAP
    step = (fig8_masked_parts.WIDTH + gap) // 7
    side = step - gap
    head = image.shape[0] - (4 * step + side)
    assert image.shape[1] == 6 * step + side  # the original, three parts, three random places
    for row in range(5):
        for column in range(7):
            tile = image[head + row * step :, column * step :][:side, :side]
            for mask, (top, left) in enumerate(arrays["places"][row].tolist()[:6]):
                y, x = (round((corner + 5) * side / 64) for corner in (top, left))
                grey = abs(tile[y - 3 : y + 3, x - 3 : x + 3] - 124).max() <= 2
                if column == mask + 1:
                    assert grey
                elif column == 0 and mask < 3:
                    assert not grey


def test_fig8_shows_how_much_each_square_changes(toy: Path) -> None:
    files = files_of(fig8_masked_parts, toy)
    unchanged = artifacts.load_arrays(files["arrays"])["unchanged_5"]
    line = lines_of(fig8_masked_parts.build(files))[1]
    assert float(line["layer5_nose"]) == pytest.approx(100 * (1 - unchanged[2, 1, 1]), abs=0.051)
    assert float(line["layer5_random"]) == pytest.approx(100 * (1 - unchanged[3:, 1, 1].mean()), abs=0.051)
