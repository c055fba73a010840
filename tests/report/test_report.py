"""The report from a toy tree: whole, self-contained, escaped, the same bytes twice; a missing exhibit stops it."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import pytest
from helpers import small_pictures, toy_results
from helpers.injections import INJECTIONS
from helpers.pages_read import Page
from helpers.toy_results import files_of
from PIL import Image

from zfrepro.claims.base import VERDICTS
from zfrepro.errors import UserError
from zfrepro.exhibits.kit import draw, saving
from zfrepro.paper.guesses import GUESSES
from zfrepro.report import html, pdf, provenance, summary
from zfrepro.stages import exhibits, report
from zfrepro.storage import artifacts, machine
from zfrepro.storage.source_code import Package


@pytest.fixture(scope="module", autouse=True)
def _pdf_in_this_process() -> Iterator[None]:
    """So that WeasyPrint is loaded once; test_pdf.py runs it in a process of its own, with the same bytes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "isolated_pdf", pdf.pdf)
        yield


@pytest.fixture(scope="module")
def report_run(toy_with_settings, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, Any]]:
    """The experiment's folder, with small pictures, its report, and the settings."""
    toy_results_folder, settings = toy_with_settings
    folder = tmp_path_factory.mktemp("experiment")
    results, out = folder / "results/toy", folder / "report"
    shutil.copytree(toy_results_folder, results)
    small_pictures.shrink(results)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "1700000000")
        report.run(report.Spec(**settings), results, out)
    return results, out, settings


@pytest.fixture(scope="module")
def page(report_run: tuple[Path, Path, dict[str, Any]]) -> Page:
    return Page((report_run[1] / "index.html").read_text(encoding="utf-8"))


def test_all_files_are_there_and_nothing_unfinished(report_run) -> None:
    names = sorted(str(path.relative_to(report_run[1])) for path in report_run[1].rglob("*") if path.is_file())
    expected = [f"{kind}/{name}.{suffix}" for name in toy_results.EXHIBITS for kind, suffix in report.KINDS]
    expected += [file for name in toy_results.EXHIBITS for file in saved_files(report_run[0], name)]
    assert names == sorted({*expected, "index.html", "report.pdf", "provenance.json", "summary.json"})


def saved_files(results: Path, name: str) -> list[str]:
    """Files of an exhibit and its pieces; a piece that has the exhibit's name is its only picture."""
    stored = artifacts.load_json(results / f"exhibits/{name}/exhibit.json")
    pieces = {f"{name}-{piece['name']}": piece["saved"] for piece in stored["pieces"]}
    stems = {name: stored["saved"] or pieces.pop(f"{name}-{name}", {}), **pieces}
    return [f"figures/{stem}.{ending}" for stem, saved in stems.items() for ending in saved]


def test_every_picture_can_be_saved_and_the_page_links_it(page: Page, report_run) -> None:
    """Plots as PDF, images as JPEG or PNG; each layer of Figs 2 and 4 by itself."""
    links = [attrs["href"] for attrs in page.all("a") if attrs["href"].startswith("figures/")]
    files = sorted(path.relative_to(report_run[1]).as_posix() for path in (report_run[1] / "figures").iterdir())
    cards = {f"figures/{name}.png" for name in toy_results.EXHIBITS} - set(
        links
    )  # small pictures for the cards of a site
    assert sorted({*links, *cards}) == files
    with_pieces = {name for name in toy_results.EXHIBITS if re.match("fig[1-8]|overlap", name)}
    assert cards == {f"figures/{name}.png" for name in with_pieces}
    layers = {f"figures/{name}-layer{n}" for name in ("fig2_features", "fig4_evolution") for n in range(1, 6)}
    assert layers <= {link.rpartition(".")[0] for link in links}
    assert {"figures/training_curves.pdf", "figures/claims.pdf", "figures/fig6_first_layers-spectra.pdf"} <= set(links)
    for link in links:
        start = {"pdf": b"%PDF-", "png": b"\x89PNG", "jpg": b"\xff\xd8\xff"}[link.rpartition(".")[2]]
        assert (report_run[1] / link).read_bytes().startswith(start), link


@pytest.mark.parametrize(
    ("name", "plot"), [("fig8_masked_parts", False), ("fig9_caltech256", True), ("table2_imagenet", True)]
)
def test_a_dark_page_inverts_plots_and_not_photographs(name: str, plot: bool, report_run) -> None:
    """Also of exhibits that are one picture: a plot is one that can be saved as a PDF."""
    loaded = report._load_exhibit(report_run[0] / "exhibits" / name, name)
    assert [piece["plot"] for piece in loaded["pieces"]] == [plot]


def test_the_page_is_well_formed_html(page: Page) -> None:
    assert page.open == []
    ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = [attrs["href"] for attrs in page.all("a") if attrs["href"].startswith("#")]
    assert {link[1:] for link in links} <= set(ids)
    assert len(page.all("h1")) == 1
    assert page.all("html") == [{"lang": "en"}]


def test_every_image_has_an_alt_text_and_is_inside(page: Page) -> None:
    images = page.all("img")
    assert len(images) >= len(toy_results.EXHIBITS)
    assert all(len(image["alt"]) > 30 and re.match(r"data:image/(png|webp);base64,", image["src"]) for image in images)


def test_nothing_is_loaded_from_elsewhere(page: Page, report_run) -> None:
    loading = [attrs.get("src") or attrs.get("data") or "" for tag, attrs in page.elements if tag not in ("a", "link")]
    loading += [attrs["href"] for attrs in page.all("link")]
    assert all(address in ("", "data:,") or address.startswith("data:image/") for address in loading)
    assert not any("src" in script for script in page.all("script"))
    outward = {attrs["href"] for attrs in page.all("a") if ":" in attrs["href"]}
    assert outward == {"https://arxiv.org/abs/1311.2901"}
    for style in ("style.css", "print.css"):
        assert not re.search(r"url\(|@import", (html.TEMPLATES / style).read_text(encoding="utf-8"))
    beside = {attrs["href"] for attrs in page.all("a")} - outward
    assert all((report_run[1] / link).is_file() for link in beside if not link.startswith("#"))


@pytest.mark.parametrize("name", toy_results.EXHIBITS)
def test_the_numbers_of_the_page_are_those_of_the_csv(name: str, report_run) -> None:
    text = (report_run[1] / "index.html").read_text(encoding="utf-8")
    section = text[text.index(f'id="{name}"') :]
    shown = Page("<section>" + section[section.index(">") + 1 : section.index("</section>") + len("</section>")])
    lines = list(csv.reader(io.StringIO((report_run[1] / f"tables/{name}.csv").read_text())))
    compared = _columns_on_the_page(lines[0], artifacts.load_json(report_run[0] / f"exhibits/{name}/exhibit.json"))
    rows = [row for row in shown.rows if len(row) > 1]
    assert [_all_numbers(row[1:]) for row in rows] == [_all_numbers([line[i] for i in compared]) for line in lines[1:]]
    assert sum(map(len, map(_all_numbers, rows))) > 4


def _columns_on_the_page(names: list[str], exhibit: dict) -> list[int]:
    """Of the CSV, without each row's name and section, and without the columns that only the CSV has."""
    keys = [column["key"] for column in exhibit["columns"]][1:]
    parts = {f"{key}{part}" for key in keys for part in ("", "_low", "_high", "_pm")}
    return [i for i, name in enumerate(names) if name in parts]


def _all_numbers(cells: list[str]) -> list[float]:
    return sorted(number for cell in cells for number in _numbers(cell.replace("\u2212", "-").replace(",", "")))


def _numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"(?<![\w.])[+-]?\d+(?:\.\d+)?(?![\w./])", text)]


def test_the_first_page_says_what_is_reduced_and_guesses_are_printed(page: Page) -> None:
    words = " ".join(" ".join(page.words).split())
    assert "This is a reduced experiment" in words
    assert words.index("Networks see 64 pixels instead of 224.") < words.index("Details the paper leaves open, and our")
    for guess in GUESSES:
        assert guess.what.split("`")[0] in words
        assert guess.reason.split("`")[0].rstrip() in words


def test_the_first_lines_say_precision_and_device(page: Page, report_run) -> None:
    """The toy's network.json name neither hardware nor version: the report's own are printed, as the report's."""
    words = " ".join(" ".join(page.words).split())
    record = json.loads((report_run[1] / "summary.json").read_text())["training"]
    torch = provenance.versions()["torch"]
    assert record["text"] == f"Trained in bfloat16 on a CPU. Report made on {machine.cpu()} with PyTorch {torch}."
    assert words.index(record["text"]) < words.index("This is a reduced experiment")
    assert (record["precisions"], record["devices"], record["seeds"]) == (["bfloat16"], ["cpu"], [0, 1, 2])


def test_a_full_experiment_does_not_call_itself_reduced(report_run) -> None:
    results, _, settings = report_run
    origin = provenance.gather(results, settings["config"], toy_results.EXHIBITS)
    for template in ("page.html", "print.html"):
        assert "This is a reduced" not in report.render(
            template, report.Spec(**settings | {"reductions": []}), (), origin
        )


def test_same_input_same_bytes(report_run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the claims, a table, and a figure with images, projections and colour maps."""
    results, expected, settings = report_run
    settings = settings | {"exhibits": ["claims", "table4_caltech101", "fig7_occlusion"]}
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    monkeypatch.setattr(provenance, "git", lambda root: artifacts.load_json(expected / "provenance.json")["git"])
    for out in ("first", "second"):
        report.run(report.Spec(**settings), results, tmp_path / out)
    for name in ("index.html", "report.pdf", "provenance.json", "summary.json", "figures/fig7_occlusion.png"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes(), name
    assert (tmp_path / "first/figures/fig7_occlusion.png").read_bytes() == (
        expected / "figures/fig7_occlusion.png"
    ).read_bytes()


def naming_classes(results: Path) -> list[str]:
    """The exhibits whose page names any class."""
    pages = {name: artifacts.load_json(results / "exhibits" / name / "exhibit.json") for name in toy_results.EXHIBITS}
    texts = {name: re.sub(r'"png": "[^"]*"', "", json.dumps(page)) for name, page in pages.items()}
    return [name for name, text in texts.items() if re.search(rf"\b({'|'.join(toy_results.CLASSES)})\b", text)]


def test_hostile_names_stay_text(report_run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the page and in the tables; test_pdf.py looks into a PDF."""
    names = naming_classes(report_run[0])
    assert {"table6_pascal2012", "fig2_features", "fig7_occlusion", "overlap"} <= set(names)
    results = tmp_path / "results/toy"
    blank = saving.Drawing(saving.encode(Image.new("RGB", (40, 30), "white")))
    monkeypatch.setattr(
        draw, "save", lambda figure, ending="pdf": blank
    )  # test_hostile_drawings.py looks into pictures
    settings = toy_results.write(results, classes=list(INJECTIONS), title=INJECTIONS[0]) | {"exhibits": names}
    for name in names:
        exhibits.run(exhibits.Spec(name=name, files=files_of(name, results)), results / "exhibits" / name)
    small_pictures.shrink(results)
    monkeypatch.setattr(report, "isolated_pdf", lambda page, pictures: b"%PDF-")
    settings["reductions"] = [f"Read from `{text}`." for text in INJECTIONS]
    settings["config"]["note"] = list(INJECTIONS)
    report.run(report.Spec(**settings), results, results / "report")
    hostile_page = Page((results / "report/index.html").read_text(encoding="utf-8"))
    assert hostile_page.open == []
    assert hostile_page.all("script")[0] == {}  # our own; what follows is data
    assert all(script["type"] == "application/json" for script in hostile_page.all("script")[1:])
    assert not any(name.startswith("on") for _, attrs in hostile_page.elements for name in attrs)
    assert len(hostile_page.all("link")) == 1
    assert all(re.match(r"data:image/(png|webp);base64,", image["src"]) for image in hostile_page.all("img"))
    words = "".join(hostile_page.words)
    assert INJECTIONS[0] in words
    assert "{{ 7 * 7 }}" in words
    for path in (results / "report/tables").glob("*.csv"):
        cells = [cell for line in csv.reader(io.StringIO(path.read_text(encoding="utf-8"))) for cell in line]
        assert not [cell for cell in cells if cell[:1] in "=@\t\r" and cell], path
        assert not [cell for cell in cells if cell[:1] in ("+", "-") and not _numbers(cell)], path


def test_a_missing_exhibit_stops_the_report(report_run, tmp_path: Path) -> None:
    results = tmp_path / "toy"
    shutil.copytree(report_run[0], results)
    (results / "exhibits/fig2_features/fig2_features.png").unlink()
    with pytest.raises(UserError, match=r"fig2_features\.png: missing"):
        report.run(report.Spec(**report_run[2]), results, results / "report")
    assert not (results / "report").exists()


def test_without_pango_the_page_is_still_written(report_run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "isolated_pdf", _no_pango)
    with pytest.raises(UserError, match="apt-get install libpango"):
        report.run(report.Spec(**report_run[2] | {"exhibits": ["table4_caltech101"]}), report_run[0], tmp_path)
    assert (tmp_path / "index.html").is_file()
    assert not (tmp_path / "report.pdf").exists()


def _no_pango(page: str, pictures: object) -> bytes:
    raise UserError("report.pdf cannot be made: install with: apt-get install libpango-1.0-0")


def test_an_unknown_name_in_a_template_is_an_error(report_run) -> None:
    with pytest.raises(jinja2.UndefinedError):
        report.render(
            "page.html",
            report.Spec(**report_run[2]),
            ({"name": "table1", "highlights": []},),
            provenance.gather(report_run[0], {}, ()),
        )


def test_files_of_removed_exhibits_are_deleted(report_run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for old in ("tables/old.csv", "tables/old.tex", "figures/old.png", "figures/table4_caltech101-old.pdf"):
        artifacts.save_text(tmp_path / old, "a\n")
    monkeypatch.setattr(report, "isolated_pdf", lambda page, pictures: b"%PDF-")
    report.run(report.Spec(**report_run[2] | {"exhibits": ["table4_caltech101"]}), report_run[0], tmp_path)
    assert {path.name for path in (tmp_path / "tables").iterdir()} == {"table4_caltech101.csv", "table4_caltech101.tex"}
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == [
        "table4_caltech101.pdf",
        "table4_caltech101.png",
    ]


def test_provenance_holds_what_is_needed_to_trust_a_number(report_run) -> None:
    record = json.loads((report_run[1] / "provenance.json").read_text())
    assert record["seeds"]["improved-2"] == 2
    assert record["made"] == "2023-11-14T22:13:20Z"
    assert record["config"] == report_run[2]["config"]
    assert len(record["data"]["source"]["sha256"]["images.npy"]) == 64
    assert record["artifacts"]["exhibits/table3_ablations/table3_ablations.csv"] == artifacts.sha256(
        report_run[0] / "exhibits/table3_ablations/table3_ablations.csv"
    )
    assert "train/improved/model.safetensors" in record["artifacts"]
    assert record["time"]["train"] == {"jobs": 5, "seconds": 210.0, "memory_mb": 612.5}
    assert record["versions"]["numpy"]
    assert record["hardware"]["cores"] >= 1


def test_only_the_jobs_of_the_experiment_count_that_were_measured(tmp_path: Path) -> None:
    for job in ("wide", "of-earlier-settings"):
        artifacts.save_text(tmp_path / f"benchmarks/train/{job}.tsv", "s\tmax_rss\n2.5\t-\n")
    assert provenance.stage_times(tmp_path, [("train", "wide"), ("train", "not-measured")]) == {
        "train": {"jobs": 1, "seconds": 2.5, "memory_mb": 0.0}
    }


def test_a_result_from_the_store_counts_with_the_seconds_of_its_computing(tmp_path: Path) -> None:
    artifacts.save_text(tmp_path / "benchmarks/train/wide.tsv", "s\tmax_rss\n2.5\t9\n")
    artifacts.save_json(tmp_path / "train/wide/.result.json", {"key": "k", "taken": True, "seconds": 900.0})
    assert provenance.stage_times(tmp_path, [("train", "wide")]) == {
        "train": {"jobs": 1, "seconds": 900.0, "memory_mb": 9.0}
    }


def test_the_summary_says_what_the_index_shows(report_run) -> None:
    record = json.loads((report_run[1] / "summary.json").read_text())
    assert {key: record[key] for key in ("experiment", "title", "subtitle", "made")} == {
        "experiment": "toy", "title": "Toy experiment", "subtitle": "", "made": "2023-11-14T22:13:20Z"
    }  # fmt: skip
    assert record["reductions"][:2] == report_run[2]["reductions"]
    assert record["reductions"][2].startswith(
        "Networks are trained on 960 images of 12 classes instead of the paper's 1.3 million"
    )
    assert record["seconds"] == sum(stage["seconds"] for stage in provenance_of(report_run)["time"].values()) > 0
    assert [entry["name"] for entry in record["exhibits"]] == list(toy_results.EXHIBITS)
    assert {entry["exhibit"] for entry in record["highlights"]} <= set(toy_results.EXHIBITS)
    assert [entry["number"] for entry in record["claims"]] == list(range(1, 43))
    verdicts = [entry["verdict"] for entry in record["claims"]]
    assert record["counts"] == {verdict: verdicts.count(verdict) for verdict in VERDICTS}
    assert record["files"] == {
        str(path.relative_to(report_run[1])): path.stat().st_size
        for path in sorted(report_run[1].rglob("*"))
        if path.is_file() and path.name != "summary.json"
    }


def provenance_of(report_run: tuple[Path, Path, dict[str, Any]]) -> dict[str, Any]:
    return artifacts.load_json(report_run[1] / "provenance.json")


def test_verdicts_stand_in_the_summary() -> None:
    claim = {
        "number": 4,
        "says": "a",
        "paper": "2.1",
        "verdict": "reproduced",
        "value": 1.2,
        "low": 0.6,
        "high": 1.9,
        "unit": "points",
    }
    record = {
        **claim,
        "n": 9,
        "part": "",
        "effect": "effect 1.2 points; the paper's 2.1",
        "of": "folds",
        "estimate": "1.2 points [0.6, 1.9]",
        "reason": "left out",
        "link": "t",
    }
    exhibit = {
        "name": "claims",
        "title": "t",
        "paper": "p",
        "highlights": [],
        "pieces": [{"plot": True}],
        "data": {"claims": [record], "counts": {"reproduced": 1}},
    }
    origin = {
        "made": "2023-11-14T22:13:20Z",
        "hardware": {"cpu": "c", "cores": 2, "gpus": [], "memory_gib": 1},
        "time": {},
    }
    spec = report.Spec(experiment="toy", title="t", exhibits=("claims",))
    built = summary.build_summary(spec, [exhibit], origin, {})
    assert claim.items() <= built["claims"][0].items()
    assert built["counts"] == {"reproduced": 1}
    assert summary.format_date(origin["made"]) == "14 November 2023"


def test_a_damaged_picture_is_named(report_run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "isolated_pdf", lambda page, pictures: b"%PDF-")
    results = tmp_path / "toy"
    shutil.copytree(report_run[0], results)
    path = results / "exhibits/fig2_features/fig2_features.png"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(UserError, match=r"fig2_features\.png: damaged picture"):
        report.run(report.Spec(**report_run[2] | {"exhibits": ["fig2_features"]}), results, results / "report")
    assert not (results / "report").exists()


def test_templates_count_in_the_reports_digest() -> None:
    names = {path.name for path in Package().data_files("stages.report")}
    assert {"print.html", "print.css"} <= names
    assert {"page.html", "parts.html", "style.css"} <= {path.name for path in Package().data_files("report.html")}


def test_numbers_and_times_are_set_for_reading() -> None:
    assert html.typeset("-1.5") == "\u22121.5"
    assert html.typeset("62357608") == "62,357,608"
    assert [html.duration(t) for t in (8.13, 250, 12300)] == ["8.1 s", "4 min 10 s", "3 h 25 min"]
    assert html.code("a `b<` c") == "a <code>b&lt;</code> c"
