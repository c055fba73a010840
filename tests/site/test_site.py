"""The pages above all reports: what they tell, where they lead, that nothing of a report is taken for HTML."""

from __future__ import annotations

import json
import re
import types
from pathlib import Path
from typing import Any

import pytest
from helpers import toy_report
from helpers.pages_read import Page
from helpers.toy_report import claim
from PIL import Image

from zfrepro.claims.base import VERDICTS
from zfrepro.errors import UserError
from zfrepro.measurements.estimate import Estimate
from zfrepro.report import html, summary
from zfrepro.site import pages, summaries, thumbnails

YES, NO, NONE = "\u2713", "\u2717", "\u2013"  # signs of verdicts
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><script>alert(2)</script>",
    "{{ 7 * 7 }}{% raw %}",
    "`</code><b>`",
    "' onmouseover='alert(3)",
    "&lt;b&gt; & 'quotes'",
)


class SitePage(Page):
    """Every row of every table counts, and style sheets are no text."""

    within = "table"

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            super().handle_data(data)

    def text(self) -> str:
        return " ".join("".join(self.words).split())

    def row(self, first: str) -> list[str]:
        """The cells of the first row whose head begins so."""
        return next([" ".join(cell.split()) for cell in row] for row in self.rows if row[0].strip().startswith(first))


def site(folder: Path) -> dict[str, SitePage]:
    published = summaries.read_all(folder)
    folders = {summary.experiment: folder / summary.experiment for summary in published}
    return {name: SitePage(page) for name, page in pages.render(published, folders).items()}


@pytest.fixture
def reports(tmp_path: Path) -> Path:
    """Two published experiments that differ in claim 2, and have one claim, one number each that the other lacks."""
    toy_report.write(tmp_path / "alpha", "alpha")
    toy_report.write(
        tmp_path / "beta", "beta",
        claims=[claim(2, "inconclusive", 0.456), claim(7, "not attempted"), claim(30, "not reproduced", 3e7)],
        highlights=[{"label": "Top-5 error", "ours": "20 %", "paper": None}, {"label": "Straightness", "ours": "0.9"}],
        exhibits=[{"name": "fig9_nowhere", "title": "Not on the page"}],
    )  # fmt: skip
    return tmp_path


def test_pages_are_well_formed_html_and_load_nothing(reports: Path) -> None:
    for page in site(reports).values():
        assert page.open == []
        assert page.all("script") == page.all("iframe") == []
        assert all(image["src"].startswith("data:image/webp;base64,") for image in page.all("img"))
        assert page.all("link") == [{"rel": "icon", "href": "data:,"}]
        assert len(page.all("h1")) == 1
        ids = [attrs["id"] for _, attrs in page.elements if "id" in attrs]
        assert len(ids) == len(set(ids))
        assert {attrs["href"] for attrs in page.all("a") if ":" in attrs["href"]} == {"https://arxiv.org/abs/1311.2901"}
    assert not re.search(r"url\(|@import", html.inline("style.css") + html.inline("site.css"))


def test_every_link_has_a_target(reports: Path) -> None:
    for name, page in site(reports).items():
        ids_on_page = {attrs["id"] for _, attrs in page.elements if "id" in attrs}
        for link in {attrs["href"] for attrs in page.all("a")}:
            file, _, anchor = link.partition("#")
            if file in ("index.html", "compare.html") or link.startswith("https:"):
                continue
            if not file:
                assert anchor in ids_on_page, (name, link)
            elif file.endswith("/index.html"):
                assert not anchor or f'id="{anchor}"' in (reports / file).read_text(), (name, link)
            else:
                assert file.rpartition("/")[2] in (
                    "report.pdf",
                    "provenance.json",
                    "ro-crate-metadata.json",
                    "SHA256SUMS",
                )


def test_index_shows_each_scoreboard(reports: Path) -> None:
    page = site(reports)["index.html"]
    text = page.text()
    assert text.index("The alpha experiment") < text.index("The beta experiment")
    counts = re.findall(
        r"(\d+)\S(reproduced, small|reproduced|not reproduced|inconclusive|not attempted) in The (\w+)", text
    )
    assert counts == [
        ("1", "reproduced", "alpha"), ("0", "reproduced, small", "alpha"), ("0", "not reproduced", "alpha"),
        ("0", "inconclusive", "alpha"), ("1", "not attempted", "alpha"),
        ("0", "reproduced", "beta"), ("0", "reproduced, small", "beta"), ("1", "not reproduced", "beta"),
        ("1", "inconclusive", "beta"), ("1", "not attempted", "beta"),
    ]  # fmt: skip
    assert "Report made on Abacus, 2 cores; the jobs took 4 min 10 s in all" in text
    assert "Networks see 64 pixels" in text
    assert "paper: 16.5 %" in text
    assert "compare.html" in {attrs["href"] for attrs in page.all("a")}


def test_experiments_stand_side_by_side(reports: Path) -> None:
    page = site(reports)["compare.html"]
    assert page.rows[0] == ["Claim", "Paper", "alpha", "beta"]
    assert page.row("2 ") == [
        "2 Sentence 2.",
        "",
        f"{YES}reproduced\u22122.1 points[\u22123.0, \u22121.2]",
        "?inconclusive0.46",
    ]
    assert page.row("7 ")[2:] == [f"{NONE}not attempted"] * 2
    assert page.row("30")[2:] == ["not in this report", f"{NO}not reproduced3e+07"]
    assert page.row("Reproduced")[1:] == ["", "1 of 1 attempted", "0 of 2 attempted"]
    assert page.row("Top-5")[1:] == ["16.5 %", "\u221212.5 %", "20 %"]
    assert page.row("Straightness")[1:] == ["", "not measured", "0.9"]
    links = {attrs["href"] for attrs in page.all("a")}
    assert {"alpha/index.html#claim-2", "alpha/index.html#table2_imagenet", "beta/index.html#claims"} <= links
    assert [attrs["id"] for attrs in page.all("tr") if attrs.get("class") == "differ"] == ["row-2"]
    assert "Not on the page" not in page.text()


def test_both_pages_say_how_networks_were_trained_and_which_claims_flip(tmp_path: Path) -> None:
    training = {"precisions": ["float32"], "devices": ["cpu"], "seeds": [0], "text": "Trained in float32 on a CPU."}
    verdicts = {
        "alpha": ("reproduced", "reproduced, small", "inconclusive"),
        "beta": ("inconclusive", "not reproduced", "inconclusive"),
    }
    for name, ones in verdicts.items():
        judged = [claim(number, verdict) for number, verdict in enumerate(ones, 1)]
        toy_report.write(tmp_path / name, name, claims=judged, **({"training": training} if name == "alpha" else {}))
    pages = site(tmp_path)
    assert all(page.text().count("Trained in float32 on a CPU.") == 1 for page in pages.values())
    assert (
        "different verdicts: 1, 2. Reproduced in one and not reproduced in another: 2." in pages["compare.html"].text()
    )


def test_small_effects_count_as_reproduced(tmp_path: Path) -> None:
    verdicts = ("reproduced", "reproduced, small", "reproduced, small", "not reproduced")
    toy_report.write(tmp_path / "alpha", "alpha", claims=[claim(i, verdict) for i, verdict in enumerate(verdicts, 1)])
    pages = site(tmp_path)
    assert pages["compare.html"].row("Reproduced")[2] == "3 of 4 attempted, 2 of them small"
    assert pages["compare.html"].row("2 ")[2] == "+reproduced, small"
    assert "count reproduced-small" in {attrs.get("class") for attrs in pages["index.html"].all("a")}


def test_hostile_reports_stay_text(tmp_path: Path) -> None:
    for i, text in enumerate(HOSTILE):
        toy_report.write(
            tmp_path / f"x{i}", f"x{i}", title=text, subtitle=text, made=text, reductions=[text, f"`{text}`"],
            claims=[claim(1, "reproduced", 1.0, says=text, unit=text)], hardware={"cpu": text, "gpus": [text]},
            highlights=[{"label": text, "ours": text, "paper": text, "exhibit": text}],
            exhibits=[{"name": "table2_imagenet", "title": text, "paper": text}],
        )  # fmt: skip
    for page in site(tmp_path).values():
        assert page.open == []
        assert page.all("script") == []
        assert all(set(image) <= {"src", "alt", "class"} for image in page.all("img"))
        assert not [name for _, attrs in page.elements for name in attrs if name.startswith("on")]
        assert all(text.replace("`", "") in page.text() for text in HOSTILE)
        assert "49" not in page.text()


def test_unknown_facts_are_left_out(tmp_path: Path) -> None:
    folder = toy_report.write(tmp_path / "bare", "bare")
    (folder / "summary.json").write_text(json.dumps({"experiment": "bare", "title": "Bare"}))
    text = site(tmp_path)["index.html"].text()
    assert "Bare" in text
    assert not [word for word in ("claims of the paper", "Report made on", "At a glance", "None") if word in text]


def test_an_empty_site_is_stated(tmp_path: Path) -> None:
    pages = site(tmp_path / "none")
    assert "No report has been published yet." in pages["index.html"].text()
    assert "compare.html" not in {attrs["href"] for attrs in pages["index.html"].all("a")}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"bad/summary\.json: is not the summary of a report \(Expecting"),
        ("[1]", r"bad/summary\.json: is not the summary of a report"),
        (toy_report.summary("bad", title=""), r"bad/summary\.json: title: String should have"),
        (toy_report.summary("bad", claims=[claim(1, "maybe")]), r"claims\.0\.verdict: Input should be 'reproduced'"),
        (toy_report.summary("bad", claims=[claim(1, "reproduced", float("nan"))]), r"claims\.0\.value: .*finite"),
        (toy_report.summary("bad", exhibits=[{"name": "a b", "title": "x"}, {}]), r"exhibits\.0\.name: .* \(and 2 more\)"),
        (toy_report.summary("other"), r"belongs to the experiment other, not to bad"),
        (toy_report.summary("../bad"), r"experiment: String should match"),
    ],
)  # fmt: skip
def test_a_broken_summary_is_one_message(tmp_path: Path, content: Any, message: str) -> None:
    folder = toy_report.write(tmp_path / "bad", "bad")
    (folder / "summary.json").write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(UserError, match=message) as raised:
        summaries.read(folder)
    assert len(str(raised.value).splitlines()) == 1
    (folder / "summary.json").unlink()
    with pytest.raises(UserError, match=r"summary\.json: cannot be read \(No such file"):
        summaries.read(folder)


def test_reads_what_the_report_writes(tmp_path: Path) -> None:
    """The report stage's own summary, not a copy of its form."""
    nothing = dict.fromkeys(("value", "low", "high", "unit", "n", "of"))
    judged = {"number": 2, "says": "So.", "verdict": VERDICTS[0], **nothing, "estimate": "", "part": "", "effect": ""}
    estimate = Estimate(-1.25, -2.0, 0.5, 9, "folds", 2, "%")
    numbers = {"value": -1.25, "low": -2.0, "high": 0.5, "unit": "%", "estimate": estimate.text(), "part": "top-5"}
    numbers |= {"effect": "effect -1.25 %; the paper's 5.00", "n": 1200, "of": "folds"}
    judged["paper"] = "2.1 points"
    board = {"counts": {VERDICTS[0]: 1}, "claims": [{**judged, **numbers}, {**judged, "number": 3}]}
    shown = {
        "name": "claims",
        "title": "Claims",
        "paper": "",
        "data": board,
        "highlights": [],
        "pieces": [{"plot": True}],
    }
    table = {
        "name": "table2_imagenet",
        "title": "T",
        "paper": "Table 2",
        "data": {},
        "pieces": [{"plot": True}, {"plot": False}],
        "highlights": [{"label": "E", "ours": "1", "paper": ""}],
    }
    spec = types.SimpleNamespace(experiment="toy", title="T", subtitle="", reductions=("R.",))
    written = summary.build_summary(spec, [shown, table], toy_report.provenance(), {"index.html": 1})
    folder = toy_report.write(tmp_path / "toy")
    (folder / "summary.json").write_text(json.dumps(written))
    read = summaries.read(folder)
    assert list(read.counts().values()) == [2, 0, 0, 0, 0]
    assert list(pages.format_measurement(read.claims[0])) == [
        "\u22121.25 %", "[\u22122.00, 0.50]", "top-5", "n = 1,200 folds", "the paper's 5.00",
    ]  # fmt: skip
    assert read.plots() == {"claims"}
    assert list(pages.format_measurement(read.claims[1])) == []
    assert read.link(read.highlights[0].exhibit) == "toy/index.html#table2_imagenet"
    assert read.machine() == "Abacus, 2 cores, Slide rule"
    assert read.seconds == 250.1


def test_figures_stand_side_by_side_as_thumbnails_and_one_on_each_card(reports: Path) -> None:
    pages_by_name = site(reports)
    (beside,) = pages_by_name["compare.html"].all("img")  # beta has no figure that is on its page
    assert beside["alt"] == "ImageNet errors in alpha"
    assert [image["alt"] for image in pages_by_name["index.html"].all("img")] == [""]


def test_a_thumbnail_is_of_the_last_part_where_the_figure_is_only_an_overview(tmp_path: Path) -> None:
    colours = {"fig2_features.png": "red", "fig2_features-layer1.jpg": "green", "fig2_features-layer5.jpg": "blue"}
    for name, colour in colours.items():
        Image.new("RGB", (160 if name == "fig2_features.png" else 800, 300), colour).save(tmp_path / name)
    (tmp_path / "fig2_features-layer5.pdf").write_bytes(b"%PDF")
    assert thumbnails._file(tmp_path, "fig2_features").name == "fig2_features-layer5.jpg"
    Image.new("RGB", (thumbnails.WIDTH, 300)).save(tmp_path / "fig2_features.png")
    assert thumbnails._file(tmp_path, "fig2_features").name == "fig2_features.png"


def test_plots_are_marked_for_dark_pages(tmp_path: Path) -> None:
    shown = {"name": "table2_imagenet", "title": "Errors", "plot": True}
    toy_report.write(tmp_path / "alpha", "alpha", exhibits=[shown])
    compare, index = (site(tmp_path)[name] for name in ("compare.html", "index.html"))
    assert [cell["class"] for cell in compare.all("td") if cell.get("class") == "plot"] == ["plot"]
    assert "shown plot" in {attrs.get("class") for attrs in index.all("a")}


def test_no_rule_of_a_reports_page_places_the_pictures_of_cards() -> None:
    """The site uses the report's style sheet, where .card is a panel at the edge of the window."""
    report, own = (set(re.findall(r"\.([a-z][\w-]*)", html.inline(name))) for name in ("style.css", "site.css"))
    assert "shown" in own - report


def test_a_damaged_figure_is_named(reports: Path) -> None:
    figure = reports / "alpha/figures/table2_imagenet.png"
    figure.write_bytes(b"PNG")
    with pytest.raises(
        UserError, match=r"alpha/figures/table2_imagenet\.png: not a picture .*publish that report again"
    ):
        site(reports)
    figure.unlink()
    assert site(reports)["compare.html"].all("img") == []
