"""Every exhibit builds from a toy tree, and its CSV is what it shows."""

from __future__ import annotations

import base64
import csv
import importlib
import io
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import latex_rows, toy_results
from helpers.toy_results import files_of
from PIL import Image

from zfrepro import paper
from zfrepro.errors import UserError
from zfrepro.exhibits.kit import draw, saving, texts
from zfrepro.exhibits.kit.base import Column, Exhibit, Row, difference, escape_formula, heading, make_row
from zfrepro.exhibits.kit.numbers import Number
from zfrepro.exhibits.kit.saving import Drawing
from zfrepro.measurements import runs
from zfrepro.measurements.networks import Networks
from zfrepro.stages import exhibits
from zfrepro.storage import artifacts


@pytest.fixture
def toy(toy_stages: Path) -> Path:
    return toy_stages


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize("name", toy_results.EXHIBITS)
def test_every_exhibit_builds_and_its_csv_is_what_it_shows(name: str, toy_with_settings) -> None:
    folder = toy_with_settings[0] / "exhibits" / name
    page = artifacts.load_json(folder / "exhibit.json")
    assert page["name"] == name
    assert page["title"]
    assert page["caption"]
    assert len(page["alt"]) > 40
    lines = rows_of((folder / f"{name}.csv").read_text())
    shown = [row for row in page["rows"] if row["kind"] != "heading"]
    assert len(lines) == len(shown) > 0
    keys = [column["key"] for column in page["columns"]]
    shown_names = {f"{key}{end}" for key in keys for end in ("", "_low", "_high", "_pm")}
    for line, row in zip(lines, shown, strict=True):
        expected = {key: _in_csv(cell) for key, cell in zip(keys, row["cells"], strict=True)}
        for key, cell in zip(keys, row["cells"], strict=True):
            expected |= {f"{key}_{part}": cell[part] for part in ("low", "high", "pm") if part in cell}
        assert {key: value for key, value in line.items() if value and key in shown_names} == {
            k: v for k, v in expected.items() if v
        }
    types, typeset = latex_rows.rows_of((folder / f"{name}.tex").read_text())
    heads = 1 + any(column["group"] for column in page["columns"])
    assert len(typeset) == heads + len(page["rows"])
    assert {len(row) for row in typeset} == {len(types)} == {len(page["columns"])}
    pictures = [(folder / f"{name}.png").read_bytes(), *(base64.b64decode(piece["png"]) for piece in page["pieces"])]
    for data in pictures:
        assert len(data) < 1_500_000
        assert np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).std() > 5
    assert all(len(piece["alt"]) > 30 for piece in page["pieces"])


def test_a_column_that_is_not_shown_is_in_the_csv() -> None:
    columns = (Column("a", "A", "label"), Column("b", "B", shown=False), Column("c", "C"))
    exhibit = Exhibit("", columns, (Row({"a": "x", "b": Number(1.0), "c": Number(2.0)}),), Drawing(b""), "")
    assert exhibit.csv().splitlines() == ["a,b,c", "x,1.0,2.0"]
    assert [column["key"] for column in exhibit.table()["columns"]] == ["a", "c"]
    assert [cell["text"] for cell in exhibit.table()["rows"][0]["cells"]] == ["x", "2.0"]
    broken = Exhibit("", columns, (Row({"a": "x", "b": Number(float("nan")), "c": None}),), Drawing(b""), "")
    with pytest.raises(FloatingPointError, match="row 'x', column b"):
        broken.table()


def _in_csv(cell: dict[str, str]) -> str:
    return escape_formula(cell["text"]) if cell["is"] == "text" else cell["text"]


def test_an_exhibit_records_its_files_by_paths_inside_the_experiment(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(toy, tmp_path / "results/toy")
    monkeypatch.chdir(tmp_path)
    files = files_of("table4_caltech101", Path("results/toy"))
    files["folds"] = toy / "folds/caltech101/folds.json"  # of another folder
    out = tmp_path / "results/toy/exhibits/table4_caltech101"
    exhibits.run(exhibits.Spec(name="table4_caltech101", files=files), out)
    paths = artifacts.load_json(out / "exhibit.json")["files"]
    assert paths["pretrained"] == "probes/caltech101/improved.json"
    assert paths["folds"] == str(files["folds"])
    assert paths.keys() == files.keys()


@pytest.mark.parametrize("name", ["table3_ablations", "fig7_occlusion"])
def test_same_input_same_bytes(name: str, toy_with_settings, tmp_path: Path) -> None:
    first, second = toy_with_settings[0], tmp_path / "exhibits" / name
    exhibits.run(exhibits.Spec(name=name, files=files_of(name, first)), second)
    for suffix in ("png", "csv", "tex"):
        file = f"{name}.{suffix}"
        assert (second / file).read_bytes() == (first / "exhibits" / name / file).read_bytes(), file
    pages = [artifacts.load_json(folder / "exhibit.json") for folder in (first / "exhibits" / name, second)]
    assert [page.pop("files").keys() for page in pages] == [files_of(name, first).keys()] * 2
    assert pages[0] == pages[1]


@pytest.mark.parametrize("ruin", [lambda path: path.unlink(), lambda path: path.write_bytes(b"")])
def test_a_missing_or_empty_input_is_named(ruin, toy_stages: Path, tmp_path: Path) -> None:
    shutil.copytree(toy_stages, tmp_path, dirs_exist_ok=True)
    wanted = files_of("table4_caltech101", tmp_path)
    ruin(wanted["scratch"])
    with pytest.raises(UserError, match=r"scratch/caltech101\.json.*table4_caltech101"):
        exhibits.run(exhibits.Spec(name="table4_caltech101", files=wanted), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_table3_finds_each_network_by_what_it_is(toy: Path) -> None:
    networks = runs.load(files_of("table3_ablations", toy))
    matched = {row: [run.name for run in runs.select_row(networks, row)] for row in paper.VARIANTS}
    assert matched["baseline"] == ["baseline"]
    assert matched["baseline-without-3-4-6-7"] == ["no-3467"]
    assert matched["improved"] == ["improved", "improved-1", "improved-2"]
    assert matched["improved-8192"] == matched["improved-wide-8192"] == []


def test_a_network_trained_in_an_unusual_way_does_not_count_as_a_seed() -> None:
    def run(name: str, seed: int, rms: float | None) -> runs.Run:
        return runs.Run(name, toy_results.spec_of("improved") | {"seed": seed, "filter_rms": rms}, {}, 0)

    trained = [run("unclipped", 0, None), run("one", 1, 0.1), run("two", 2, 0.1)]
    assert [selected.name for selected in runs.select_row(trained, "improved")] == ["one", "two"]


def test_table3_shows_ours_the_papers_and_their_difference(toy: Path) -> None:
    module = importlib.import_module("zfrepro.exhibits.table3_ablations")
    lines = rows_of(module.build(files_of("table3_ablations", toy)).csv())
    errors = artifacts.load_json(toy / "evaluate/no-67/errors.json")
    line = lines[3]
    assert line["section"].startswith("Baseline")
    assert (line["row"], line["val_top1_paper"]) == ("Removed layers 6,7", "44.8")
    assert float(line["val_top1_ours"]) == round(errors["views"]["10"]["top1"], 1)
    assert float(line["val_top1_diff"]) == pytest.approx(float(line["val_top1_ours"]) - 44.8)
    assert float(line["val_top1_ours_low"]) < float(line["val_top1_ours"]) < float(line["val_top1_ours_high"])
    assert lines[5]["val_top1_ours"] == "not run"
    improved = next(line for line in lines if line["row"] == "The improved network of Fig. 3")
    assert "val_top1_ours_pm" not in improved
    width = [float(line["val_top1_ours_high"]) - float(line["val_top1_ours_low"]) for line in (improved, lines[0])]
    assert width[0] > 0.57 * width[1]  # three seeds against one: at most the square root of 3 surer, not four times


def test_diverged_networks_are_named_and_sink_no_exhibit(toy_stages: Path, tmp_path: Path) -> None:
    shutil.copytree(toy_stages, tmp_path, dirs_exist_ok=True)
    for name in ("no-34", "wide", "improved-1"):
        toy_results.diverge(tmp_path, name)
    built = {}
    for name in ("table2_imagenet", "table3_ablations", "training_curves", "claims", "fig3_architecture"):
        built[name] = importlib.import_module(f"zfrepro.exhibits.{name}").build(files_of(name, tmp_path))
    note = "wide diverged in epoch 3 (the training loss is NaN)"
    for name in ("table2_imagenet", "table3_ablations", "training_curves"):
        assert [item for item in built[name].notes if item.startswith(note)], name
    second = {line["row"]: line for line in rows_of(built["table2_imagenet"].csv())}
    assert (
        second["1 convnet as per Fig. 3 but with layers 3,4,5: 512,1024,512 maps - (b)"]["val_top1_ours"] == "diverged"
    )
    assert second["6 convnets, (a) & (b) combined"]["val_top5_ours"] == "diverged"
    assert second["5 convnets as per Fig. 3 - (a)"]["networks"] == "2"
    third = rows_of(built["table3_ablations"].csv())
    assert third[1]["val_top1_ours"] == third[1]["train_top1_ours"] == "diverged"
    assert next(item for item in third if item["row"] == "The improved network of Fig. 3")["runs"] == "2"
    verdicts = {item["number"]: item for item in built["claims"].data["claims"]}
    assert "no-34 diverged in epoch 3" in verdicts[10]["reason"]
    assert {verdicts[number]["verdict"] for number in (5, 6, 10, 11)} == {"not attempted"}
    assert "Left out: improved-1 diverged in epoch 3" in verdicts[2]["reason"]
    assert "no-34 diverged" in built["training_curves"].alt


def test_an_ensemble_averages_probabilities(tmp_path: Path) -> None:
    first = np.array([[0.6, 0.4, 0.0], [0.1, 0.2, 0.7]])
    two = np.array([[0.1, 0.9, 0.0], [0.1, 0.8, 0.1]])
    members = []
    for name, probabilities in (("one", first), ("two", two)):
        artifacts.save_arrays(tmp_path / f"{name}.npz", labels=np.array([1, 1]), probabilities_1=probabilities)
        members.append(runs.Run(name, toy_results.spec_of("improved"), {"views": {"1": {"top1": 50.0}}}, 0))
    networks = Networks(tuple(members), {name: tmp_path / f"{name}.npz" for name in ("one", "two")})
    assert networks.ensemble(members[:1], 1, 1).tolist() == [[True, True]]
    assert networks.ensemble(members, 1, 1).tolist() == [[False, False]]
    assert networks.ensemble(members[:1], 2, 1).tolist() == [[False, False]]


def test_table2_ensembles_hold_the_seeds_that_were_trained(toy: Path) -> None:
    lines = rows_of(
        importlib.import_module("zfrepro.exhibits.table2_imagenet").build(files_of("table2_imagenet", toy)).csv()
    )
    by_row = {line["row"]: line for line in lines}
    assert by_row["5 convnets as per Fig. 3 - (a)"]["networks"] == "3"
    assert by_row["6 convnets, (a) & (b) combined"]["networks"] == "4"
    single = [
        artifacts.load_json(toy / f"evaluate/{name}/errors.json")["views"]["10"]["top1"]
        for name in ("improved", "improved-1", "improved-2")
    ]
    assert float(by_row["1 convnet as per Fig. 3"]["val_top1_ours"]) == pytest.approx(np.mean(single), abs=0.051)


def test_table4_means_and_spreads_are_those_of_the_folds(toy: Path) -> None:
    lines = rows_of(
        importlib.import_module("zfrepro.exhibits.table4_caltech101").build(files_of("table4_caltech101", toy)).csv()
    )
    pretrained, published = (
        next(line for line in lines if line["row"].startswith(start)) for start in ("Pretrained", "Bo")
    )
    assert (pretrained["acc30_ours"], pretrained["acc30_ours_pm"], pretrained["acc30_paper"]) == ("78.2", "0.8", "86.5")
    assert published["acc30_paper_pm"] == "0.33"


def test_fig3_repeats_the_sizes_printed_in_the_paper(toy: Path) -> None:
    built = importlib.import_module("zfrepro.exhibits.fig3_architecture").build(files_of("fig3_architecture", toy))
    lines = rows_of(built.csv())
    printed = [line for line in lines if line["size_paper"]]
    assert [int(line["size_paper"]) for line in printed] == [110, 55, 26, 13, 13, 13, 13, 6]
    assert all(line["size_paper"] == line["size_full"] and line["maps_paper"] == line["maps_full"] for line in printed)
    assert "62,357,608" in built.caption


def test_projections_are_grey_where_they_are_zero() -> None:
    values = np.zeros((9, 8, 8, 3), np.float32)
    assert set(np.unique(draw.grey_zero(values))) <= {127, 128}
    values[0, 0, 0] = 2
    values[1, 0, 0] = -2
    shown = draw.grey_zero(values)
    assert (shown[0, 0, 0, 0], shown[1, 0, 0, 0], shown[2, 0, 0, 0]) == (255, 0, 128)


def test_projections_are_neither_clipped_nor_grey() -> None:
    """A strong and a weak tile look alike; of 100 values the 98th percentile lies four fifths of the way to white, larger ones beyond."""
    values = np.zeros((3, 10, 10, 3), np.float32)
    values[0] = np.arange(1.0, 101.0).reshape(10, 10, 1)
    values[1] = -values[0] / 1000
    shown = draw.show_projections(values)
    assert shown[0, 9, 7, 0] == 229  # 98: 127.5 + 127.5 / cbrt(2)
    assert shown[0, 9, 8, 0] < 255
    assert shown[0, 9, 9, 0] == 230
    assert (shown[0].astype(int) + shown[1] == 255).all()
    assert set(np.unique(shown[2])) == {128}  # of an inactive map
    assert len(np.unique(shown[0])) > 60


def test_a_rare_value_is_seen_and_not_clipped() -> None:
    """One pixel of 400: the percentile is 0, so its largest value is the scale."""
    values = np.zeros((1, 20, 20, 3), np.float32)
    values[0, 3, 4] = 7
    shown = draw.show_projections(values)
    assert shown[0, 3, 4, 0] == 229
    assert np.count_nonzero(shown != 128) == 3


def test_a_patch_is_seen_where_its_projection_is_strong() -> None:
    patches = np.full((1, 40, 40, 3), 10, np.uint8)
    projections = np.zeros((1, 40, 40, 3), np.float32)
    projections[0, :20, :20] = -3.0
    seen = draw.see_through(patches, projections)
    assert (seen[0, 2:15, 2:15] == 10).all()
    assert (seen[0, 28:] == 128).all()
    assert (draw.see_through(patches, np.zeros_like(projections)) == 128).all()


def test_tiles_lie_row_by_row() -> None:
    tiles = [np.full((2, 2, 3), value, np.uint8) for value in (10, 20, 30)]
    block = np.asarray(draw.block(tiles, 2, 2, 1))[..., 0]
    white = 255
    assert block.tolist() == [
        [10, 10, white, 20, 20],
        [10, 10, white, 20, 20],
        [white] * 5,
        [30, 30, white, white, white],
        [30, 30, white, white, white],
    ]


def test_a_large_picture_is_made_small_enough() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8))
    data = saving.encode(noise, 90_000)
    assert len(data) <= 90_000
    assert Image.open(io.BytesIO(data)).width > 100


def test_differences_are_of_the_numbers_as_shown() -> None:
    assert difference(Number(38.449), Number(38.35)).texts()["text"] == "0.0"
    assert difference(Number(40.0), Number(38.4)).texts()["text"] == "+1.6"
    assert difference(None, Number(1.0)) is None


def test_csv_keeps_formulas_from_spreadsheets_but_not_from_numbers() -> None:
    columns = (Column("a", "A", "label"), Column("b", "B"))
    table = Exhibit("", columns, (heading("@sum", columns), Row({"a": "=1+1", "b": Number(-1.5)})), Drawing(b""), "")
    assert table.csv().splitlines() == ["section,a,b", "'@sum,'=1+1,-1.5"]


def test_cells_are_found_by_column_and_a_wrong_key_is_named() -> None:
    columns = (Column("run", "Run", "label"), Column("top1", "Top-1"), Column("top5", "Top-5"))
    row = make_row(columns, {"top5": "not run", "run": "ours", "top1": Number(38.449)})
    assert (row.label, row.text("top1"), row["top5"], row.number("top5")) == ("ours", "38.4", "not run", None)
    assert list(row.cells) == ["run", "top1", "top5"]
    with pytest.raises(KeyError, match="no column 'top3'; the row has run, top1, top5"):
        row["top3"]
    with pytest.raises(KeyError, match="no column top3; the columns are run, top1, top5"):
        make_row(columns, {"run": "ours", "top3": None}, partial=True)
    with pytest.raises(KeyError, match="no cell for column top5"):
        make_row(columns, {"run": "ours", "top1": None})
    with pytest.raises(KeyError, match="no cell for column top1, top5"):
        Exhibit("", columns, (Row({"run": "ours"}),), Drawing(b""), "")
    assert make_row(columns, {"run": "ours"}, partial=True).cells == {"run": "ours", "top1": None, "top5": None}


def test_importing_exhibits_and_report_needs_no_torch() -> None:
    names = [f"zfrepro.exhibits.{name}" for name in toy_results.EXHIBITS] + [
        "zfrepro.stages.exhibits",
        "zfrepro.stages.report",
    ]
    program = (
        f"import sys, importlib\nfor name in {names}: importlib.import_module(name)\nsys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_table3_warns_when_the_full_network_is_not_trained_to_its_end(tmp_path) -> None:
    from zfrepro.exhibits import table3_ablations

    def run(row: str, train: float) -> runs.Run:
        spec = {"network": runs.full_description(paper.VARIANTS[row]), "seed": 0, "epochs": 6}
        return runs.Run(row, spec, {"train_top1": train}, 0)

    assert table3_ablations._warn_unfinished([run("baseline", 10.0), run("baseline-without-3-4-6-7", 40.0)]) == []
    assert table3_ablations._warn_unfinished([run("baseline", 10.0)]) == []
    assert (
        "After 6 epochs"
        in table3_ablations._warn_unfinished([run("baseline", 40.0), run("baseline-without-3-4-6-7", 10.0)])[0]
    )


def test_letters_that_the_font_lacks_become_their_codes() -> None:
    assert texts.writable("owl 中文") == "owl U+4E2D U+6587"
    assert texts.writable("Käfer, собака, قط ✓") == "Käfer, собака, قط ✓"
    assert texts.missing_letters("中文 owl\n中") == "中文"
    assert texts.width_of("中 owl", 8) == texts.width_of(
        "U+4E2D  owl", 8
    )  # measured as it is written, without a warning


def test_a_figure_holds_no_empty_boxes() -> None:
    """matplotlib warns of each missing letter, and a warning is an error here."""
    with draw.figure(3, 2) as figure:
        ax = figure.subplots()
        ax.set_title("中文")
        ax.set_yticks([0, 1], ["owl", "文"])
        ax.plot([0, 1], [0, 1], label="中")
        ax.legend()
        draw.save(figure)
        assert [label.get_text() for label in ax.get_yticklabels()] == ["owl", "U+6587"]
