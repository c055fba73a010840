"""The HTML page from exhibits written by hand: whole, self-contained, escaped, in order for readers and for screen readers."""

from __future__ import annotations

import base64
import hashlib
import html
import importlib
import io
import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jinja2
import numpy as np
import pytest
from helpers import toy_results
from matplotlib.transforms import Bbox
from PIL import Image

from zfrepro.claims.base import VERDICTS
from zfrepro.exhibits import fig7_occlusion
from zfrepro.report import html as report_html

VOID = {"meta", "link", "img", "source", "input", "br", "hr"}
HOSTILE = (
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "' onmouseover='alert(3)",
    "</style><script>alert(4)</script>",
    "<!--<script>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(5)",
    "]]></title><svg onload=alert(6)>",
    "&lt;b&gt; & `code <i>`",
    "\u202eesrever \u2028",
)
ALL = " ".join(HOSTILE)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page(HTMLParser):
    """Elements with the tags open around each, and the text of the page without its styles and scripts."""

    def __init__(self, text: str):
        super().__init__()
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.elements: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.words: list[str] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), [name for name, _ in self.open]))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        if tag not in VOID:
            self.open.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        where = self.open[-1][0] if self.open else ""
        if where == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        elif where != "style":
            self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs, _ in self.elements if name == tag]

    def of_class(self, name: str) -> list[dict[str, str | None]]:
        return [attrs for _, attrs, _ in self.elements if name in (attrs.get("class") or "").split()]

    def text(self) -> str:
        return " ".join("".join(self.words).split())


def picture(kind: str = "PNG", size: tuple[int, int] = (4, 4)) -> str:
    file = io.BytesIO()
    Image.new("RGB", size, "#336699").save(file, kind)
    return base64.b64encode(file.getvalue()).decode()


def piece(text: str, **more: Any) -> dict[str, Any]:
    record = {
        "name": "one",
        "png": picture(),
        "alt": f"A blue square. {text}",
        "title": text,
        "share": "full",
        "least": 600,
    }
    return {
        **record, "label": "", "faces": [], "grids": [], "plot": False, "narrow": None, "interaction": None, **more
    }  # fmt: skip


def exhibit(name: str, text: str = "", kind: str = "table", **more: Any) -> dict[str, Any]:
    columns = [
        {"key": "row", "label": f"Row {text}", "role": "label", "group": ""},
        {"key": "ours", "label": "ours", "role": "ours", "group": f"Error {text}"},
    ]
    rows = [("b", "-1.5"), ("a", "12345"), ("c", "not run"), ("d", "2.25")]
    record = {
        "name": name, "kind": kind, "title": f"Title of {name} {text}", "paper": "Table 1", "caption": f"Caption {text}",
        "alt": "A picture of it all.", "notes": [f"Note {text}"], "rows_title": "In numbers", "columns": columns,
        "links": [["PNG", f"figures/{name}.png"]],
        "highlights": [{"label": f"Highlight {text}", "ours": "-1.5", "paper": "2.0"}], "data": {},
        "groups": [("", 1, "label"), (f"Error {text}", 1, "ours")],
        "rows": [{"kind": "heading", "cells": [{"is": "text", "text": f"Part {text}"}]}, *map(_row, rows)],
    }  # fmt: skip
    return {**record, "pieces": [piece(text or "square")], "links": [("PDF", f"figures/{name}.pdf")], **more}


def _row(cells: tuple[str, str]) -> dict[str, Any]:
    kind = "text" if cells[1] == "not run" else "number"
    return {"kind": "", "cells": [{"is": "text", "text": cells[0]}, {"is": kind, "text": cells[1]}]}


def claims(text: str = "", links: tuple[str, ...] = ("table1", "fig7", "gone", "fig7", "table1")) -> dict[str, Any]:
    """Five claims, one of each verdict."""
    records = [
        {
            "number": i + 1, "topic": f"Topic {i % 2} {text}", "says": f"Sentence {i + 1} {text}", "where": f"Section {i} {text}",
            "quantity": f"Quantity {text}", "paper": f"top-5 -0.{i} {text}", "verdict": verdict, "symbol": "", "reason": f"Because {text}",
            "contradicted": f"Table 9 {text}" if i == 2 else "", "part": text if i == 3 else "",
            "remark": f"Section 9 names another {text}" if i == 0 else "", "effect": f"effect -0.1 {text}" if i == 1 else "",
            "compared": f"the paper's -2.{i} {text}", "estimate": "" if i == 4 else "-2.1 points [-3.0, -1.2]",
            "value": None if i == 4 else -2.1, "low": None, "high": None, "n": None if i == 4 else 1200, "of": f"pictures {text}",
            "unit": "points", "parts": [{"name": f"layer 1 {text}", "estimate": "-1.0"}] if i == 3 else [], "link": links[i],
        }
        for i, verdict in enumerate(VERDICTS)
    ]  # fmt: skip
    data = {"claims": records, "counts": dict.fromkeys(sorted(VERDICTS), 1)}
    return exhibit("claims", text, data=data, pieces=[], highlights=[])


def figure(text: str = "") -> dict[str, Any]:
    """Faces to switch between, grids to point at, tiles that open whole images, and a development."""
    faces = [{"label": f"other {text}", "png": picture(), "mime": "image/png", "alt": f"The other face. {text}"}]
    cells = [[f"cell {row} {column}{text}" for column in range(3)] for row in range(3)]
    grids = [{"left": 0.1, "top": 0.1, "width": 0.3, "height": 0.8, "cells": cells}] * 2
    narrow = {"png": picture(size=(2, 8)), "mime": "image/png", "grids": [{**grid, "cells": []} for grid in grids]}
    pieces = [
        piece(f"Switched {text}", label="first", faces=faces),
        piece(f"Probed {text}", grids=grids, narrow=narrow, interaction=ranking(text)),
        piece(f"Tiles {text}", interaction=tiles(text)),
        piece(f"Times {text}", interaction=frames(text)),
    ]
    sprite = {"image": picture(size=(8, 4)), "mime": "image/png", "columns": 2, "rows": 1}
    return exhibit("fig7", text, "picture", pieces=pieces, data={"sprite": sprite})


def ranking(text: str) -> dict[str, Any]:
    """At row 1, column 2 of the square, class 1 has 12 percent."""
    covered = [[[[1, 1000 * row + 100 * column], [0, 50]] for column in range(3)] for row in range(3)]
    names = [f"owl {text}", f"oak {text}"]
    return {
        "names": names,
        "true": 0,
        "uncovered": [[0, 9999], [1, 3]],
        "covered": covered,
        "drawn": [2, 0],
        "beneath": picture(),
    }


def tiles(text: str) -> dict[str, Any]:
    """A map with four tiles in two columns, once at the left and once at the right."""
    units = [
        {"image": rank % 2, "box": [0, 0, 0.5, 0.5], "label": f"owl {rank}{text}", "activation": f"{9 - rank}.00", "file": text}
        for rank in range(4)
    ]  # fmt: skip
    blocks = [[[[0, 0, 0.5, 1], [0.5, 0, 0.5, 1]]]]
    return {"columns": 2, "maps": [f"map 5{text}"], "tiles": [units], "blocks": blocks, "narrow": None}


def frames(text: str) -> dict[str, Any]:
    texts = [f"far {text}", f"near {text}"]
    return {"labels": ["0.5", "2"], "texts": texts, "first": [0, 0, 0.4, 0.4], "step": [0.5, 0.5], "rows": 2}


def origin(text: str = "") -> dict[str, Any]:
    trail = {"summary": [["Command", f"`snakemake {text}`"]], "config": {"train": {"note": text}}}
    network = {
        "spec": {"network": {"base": text}, "input_size": 64, "epochs": 2, "seed": 0}, "parameters": 12345, "images": 960,
        "device": "cpu", "precision": text, "seconds": 75.0,
    }  # fmt: skip
    data = {
        "dataset": text, "classes": [text], "splits": {"train": [0, 9]}, "size": 72, "sha256": {"images.npy": "0" * 64},
        "skipped": [{"file": text, "reason": text}],
    }  # fmt: skip
    return {
        "made": "2023-11-14T22:13:20Z", "git": {"commit": "a" * 40, "dirty": True}, "config": {},
        "hardware": {"cpu": text, "cores": 2, "memory_gib": 8.0, "gpus": []}, "versions": {"numpy": text},
        "networks": {f"run {text}": network}, "data": {f"set {text}": data}, "exhibits": {"table1": trail},
        "artifacts": {text: "0" * 64}, "time": {"train": {"jobs": 1, "seconds": 75.0, "memory_mb": 600.0}},
    }  # fmt: skip


def test_the_provenance_says_what_a_gpu_does_not_repeat() -> None:
    template = report_html.environment().from_string('{% from "parts.html" import origins %}{{ origins(origin) }}')
    on_cpu, on_gpu = origin(), origin()
    on_gpu["networks"]["another"] = {**on_gpu["networks"]["run "], "device": "cuda"}
    assert "end with slightly different weights" in template.render(origin=on_gpu)
    assert "slightly different weights" not in template.render(origin=on_cpu)


def render(exhibits: list[dict[str, Any]], text: str = "", **more: Any) -> str:
    spec = SimpleNamespace(
        experiment=text or "toy",
        title=f"A title {text}",
        subtitle=text,
        authors=(f"An author {text}",),
        reductions=(f"Reduced {text}",),
    )
    guesses = [SimpleNamespace(what=text, where=text, choice=text, reason=text)]
    board = [claim for exhibit in exhibits if exhibit["name"] == "claims" for claim in exhibit["data"]["claims"]]
    detail = {"exhibit": "fig7", "paper": "Figure 7", "text": f"A detail {text}", "png": picture(), "mime": "image/png"}
    detail |= {"plot": False, "images": []}
    context = {
        "findings": [claim for claim in board if claim["estimate"]],
        "extent": f"The networks saw little. {text}",
        "cover": [detail],
        "date": "14 November 2023",
        "training": {"text": f"Trained in bfloat16 on a CPU. {text}"},
        "spec": spec,
        "guesses": guesses,
        "origin": origin(text),
        "config": f"note: {text}",
        "long": 3,
        "most": 600,
    }
    return report_html.environment().get_template("page.html").render(exhibits=exhibits, **{**context, **more})


@pytest.fixture(scope="module")
def source() -> str:
    return render([claims(), exhibit("table1"), figure()])


@pytest.fixture(scope="module")
def page(source: str) -> Page:
    return Page(source)


def test_the_page_is_whole(page: Page) -> None:
    assert page.open == []
    ids = [attrs["id"] for _, attrs, _ in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = {attrs["href"] for attrs in page.all("a")}
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)
    described = {attrs["aria-labelledby"] for _, attrs, _ in page.elements if "aria-labelledby" in attrs}
    assert described <= set(ids)


def test_headings_come_in_order(page: Page) -> None:
    levels = [int(tag[1]) for tag, _, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert 3 in levels


def test_screen_readers_get_labels(page: Page) -> None:
    assert page.all("html") == [{"lang": "en"}]
    assert all(image["alt"].strip() for image in page.all("img"))
    assert all(head.get("scope") for head in page.all("th"))
    assert all(nav.get("aria-label") for nav in page.all("nav"))
    assert len(page.all("main")) == 1
    scrolling = [attrs for attrs in page.of_class("wide") if "tabindex" in attrs]
    assert scrolling
    assert all(attrs["aria-label"] and attrs["role"] == "group" for attrs in scrolling)
    assert all("label" in around for tag, _, around in page.elements if tag == "input")


def test_the_scoreboard_comes_first(page: Page) -> None:
    sections = [attrs["id"] for attrs in page.all("section")]
    assert sections[:2] == ["findings", "claims"]
    text = page.text()
    for verdict, sign in zip(VERDICTS, "\u2713+\u2717?\u2013", strict=True):
        assert f"1{sign}{verdict}" in text
    assert (
        text.index("1\u2713reproduced")
        < text.index("This is a reduced experiment")
        < text.index("Title of table1", 2000)
    )
    boxes = [attrs["data-verdict"] for attrs in page.of_class("count")]
    assert boxes == list(VERDICTS)


def test_the_first_lines_say_what_was_found_with_numbers_and_how_far_training_went(source: str) -> None:
    first = source[source.index('<section class="first"') :].partition("</section>")[0] + "</section>"
    text = " ".join(Page(first).text().split())
    assert "Of 5 claims of the paper: \u27131 reproduced" in text
    assert "Not reproduced: Sentence 3" in text
    assert "Here \u22122.1 points [\u22123.0, \u22121.2]" in text
    assert "the paper's \u22122.2" in text
    assert text.index("Sentence 1") < text.index("The networks saw little.")
    assert 'href="#claim-3"' in first
    assert '<a href="#fig7"><img' in first


def test_claims_are_folded_by_topic_under_a_line_that_sums_up(source: str) -> None:
    folded = source.split('<details class="topic">')[1:]
    assert [re.findall(r'id="claim-(\d)"', part) for part in folded] == [["1", "3", "5"], ["2", "4"]]
    line = Page(folded[1].partition("</summary>")[0].partition("<summary>")[2]).text()
    assert "Topic 1" in line
    assert "1 reproduced, small" in line
    assert "1 inconclusive" in line
    assert "not attempted" not in line


def test_each_claim_says_what_was_found_and_where_it_is_shown(source: str) -> None:
    texts = {
        int(text[0]): text.partition("</details>\n</li>")[0]
        for text in re.split(r'<li class="claim [a-z-]+" id="claim-', source)[1:]
    }
    assert sorted(texts) == [1, 2, 3, 4, 5]
    assert all(f"Sentence {n}" in text and "Quantity" in text and "Because" in text for n, text in texts.items())
    assert "<b>\u22122.1 points [\u22123.0, \u22121.2]</b>" in texts[1]
    assert "n = 1,200 pictures" in texts[1]
    assert "paper top-5 \u22120.0" in texts[1]
    assert 'href="#table1"' in texts[1]
    assert 'href="#fig7"' in texts[2]
    assert "href" not in texts[3]  # no such exhibit on this page
    assert "contradict" in texts[3]
    assert not [n for n in (1, 2, 4, 5) if "contradict" in texts[n]]
    assert "Note: Section 9 names another" in texts[1]
    assert "effect \u22120.1" in texts[2]
    assert "layer 1 : \u22121.0" in texts[4]
    assert "here <b>" not in texts[5]


def test_an_exhibit_links_back_to_its_claims(source: str) -> None:
    section = source[source.index('<section class="exhibit table" id="table1"') :]
    section = section[: section.index("</section>")]
    assert re.findall(r'href="#claim-(\d)"', section) == ["1", "5"]
    for file in ("tables/table1.csv", "tables/table1.tex", "figures/table1.pdf"):
        assert f'href="{file}"' in section
    assert "How this was made" in section
    assert "<code>snakemake </code>" in section


def test_contents_name_every_section(page: Page) -> None:
    inside = [attrs["href"] for tag, attrs, around in page.elements if tag == "a" and "nav" in around]
    assert inside == [
        "#findings",
        "#claims",
        "#reduced",
        "#glance",
        "#table1",
        "#fig7",
        "#guesses",
        "#networks",
        "#provenance",
    ]


def test_without_claims_the_page_stands(page: Page) -> None:
    bare = Page(render([exhibit("table1"), figure()]))
    assert bare.open == []
    assert not bare.of_class("board")
    assert "Claims decided here" not in bare.text()
    assert next(attrs["id"] for attrs in bare.all("section")) == "reduced"


def test_without_trails_the_page_stands() -> None:
    untold = {key: value for key, value in origin().items() if key != "exhibits"}
    assert "How this was made" not in Page(render([exhibit("table1")], origin=untold)).text()


def test_nothing_is_loaded_from_elsewhere(page: Page) -> None:
    loading = ("src", "srcset", "data", "poster", "action", "formaction", "background", "ping")
    addresses = [attrs[name] for _, attrs, _ in page.elements for name in loading if name in attrs]
    assert addresses
    assert all(re.match(r"data:image/(png|webp);base64,[\w+/=]+$", address) for address in addresses)
    assert [attrs["href"] for attrs in page.all("link")] == ["data:,"]
    assert {attrs["href"] for attrs in page.all("a") if ":" in attrs["href"]} == {"https://arxiv.org/abs/1311.2901"}
    style = (report_html.TEMPLATES / "style.css").read_text(encoding="utf-8")
    assert not re.search(r"url\(|@import|@font-face", style)


def test_the_policy_lets_only_our_script_run(page: Page) -> None:
    policy = next(meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy")
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["img-src"] == "data:"
    (script,) = [text for attrs, text in page.scripts if "type" not in attrs]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert rules["script-src"] == f"'sha256-{digest}'"


def test_the_script_writes_text_only_and_fetches_nothing() -> None:
    script = (report_html.TEMPLATES / "report.js").read_text(encoding="utf-8")
    for word in (
        "</script",
        "<!--",
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "Function(",
    ):
        assert word not in script
    for word in ("fetch(", "XMLHttpRequest", "import(", "http:", "https:", "WebSocket", "sendBeacon"):
        assert word not in script


@pytest.mark.parametrize("text", [*HOSTILE, ALL])
def test_hostile_texts_stay_texts(text: str) -> None:
    page = Page(render([claims(text), exhibit("table1", text), figure(text)], text))
    assert page.open == []
    assert _elements(page) == _elements(Page(render([claims("x"), exhibit("table1", "x"), figure("x")], "x")))
    assert not any(name.startswith("on") for _, attrs, _ in page.elements for name in attrs)
    assert not any(
        "javascript:" in (attrs.get(name) or "") for _, attrs, _ in page.elements for name in ("href", "src")
    )
    assert "49" not in re.findall(r"Caption (\S+)", page.text())


def _elements(page: Page) -> list[str]:
    """Without those that backticks make."""
    return [name for name, _, _ in page.elements if name != "code"]


def test_what_scripts_read_is_whole_and_cannot_end_their_element() -> None:
    page = Page(render([figure(ALL)], ALL))
    islands = [(attrs, text) for attrs, text in page.scripts if "type" in attrs]
    assert [attrs["type"] for attrs, _ in islands] == 4 * ["application/json"]
    probed, opened, times, sprite = (json.loads(text) for _, text in islands)
    assert probed["grids"][0]["cells"][2][1] == f"cell 2 1{ALL}"
    assert probed["interaction"]["names"] == [f"owl {ALL}", f"oak {ALL}"]
    assert opened["interaction"]["tiles"][0][3]["label"] == f"owl 3{ALL}"
    assert times["interaction"]["texts"] == [f"far {ALL}", f"near {ALL}"]
    assert sprite["src"].startswith("data:image/png;base64,")
    assert not re.search(r"[<>&']", islands[0][1])


def test_without_a_script_everything_can_be_seen(page: Page) -> None:
    hidden = [attrs.get("class") for _, attrs, _ in page.elements if "hidden" in attrs]
    assert sorted(hidden) == ["filter", "theme"]  # which do nothing without it
    folded = [attrs["class"] for tag, attrs, around in page.elements if tag == "img" and "details" in around]
    assert folded == ["face"]


def test_pieces_may_be_of_another_type() -> None:
    webp = picture("WEBP", (6, 4))
    (image,) = Page(render([exhibit("table1", pieces=[piece("square", png=webp, mime="image/webp")])])).all("img")
    assert image["src"] == f"data:image/webp;base64,{webp}"
    assert (image["width"], image["height"]) == ("6", "4")  # room is kept, so that what an address names stays in place
    with pytest.raises(ValueError, match="text/html: not a type of picture"):
        report_html.data_uri("PGI+", "text/html")


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError):
        render([{"name": "table1"}])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("-1.5", "\u22121.5"),
        ("62357608", "62,357,608"),
        ("-2.1 points [-3.0, -1.2]", "\u22122.1 points [\u22123.0, \u22121.2]"),
        ("top-5 1-2", "top-5 1-2"),
    ],
)
def test_numbers_are_set_for_reading(text: str, shown: str) -> None:
    assert report_html.typeset(text) == shown


def test_colours_of_texts_have_contrast_enough_in_both_themes() -> None:
    style = (report_html.TEMPLATES / "style.css").read_text(encoding="utf-8")
    pairs = dict(re.findall(r"--([\w-]+): light-dark\((#\w+, #\w+)\)", style))
    plain = dict(re.findall(r"--([\w-]+): (#\w{6});", style))
    for theme in (0, 1):
        colours = {name: pair.split(", ")[theme] for name, pair in pairs.items()}
        for ground in ("ground", "raised", "notice"):
            for text in ("ink", "soft", "ours", "paper", "link", "yes", "no", "open", "none"):
                assert _contrast(colours[text], colours[ground]) >= 4.5, (theme, text, ground)
        assert _contrast(colours["edge"], colours["ground"]) >= 3
    assert plain == {name: pair.split(", ")[0] for name, pair in pairs.items()}


def _contrast(first: str, second: str) -> float:
    """By WCAG 2.1."""
    light = sorted(map(_luminance, (first, second)))
    return (light[1] + 0.05) / (light[0] + 0.05)


def _luminance(colour: str) -> float:
    shares = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.fixture
def toy(toy_stages: Path) -> Path:
    return toy_stages


def built(name: str, results: Path) -> Any:
    module = importlib.import_module(f"zfrepro.exhibits.{name}")
    return module.build({label: results / path for label, path in module.needs(toy_results.config()).items()})


def test_fig7_reads_out_the_value_drawn_at_a_position(toy: Path) -> None:
    arrays = dict(np.load(toy / "occlusion/improved/occlusion.npz"))
    for i, drawn in enumerate(built("fig7_occlusion", toy).pieces):
        picture = Image.open(io.BytesIO(drawn.png)).convert("RGB")
        _, activation, probability, labels = drawn.grids
        assert probability.cells[3][7] == f"P(true) {arrays['probability'][i][3, 7]:.3f}"
        assert activation.cells[5][2] == f"map {arrays['activation'][i][5, 2]:.1f}"
        colours: dict[str, set[tuple[int, ...]]] = {}
        for row, line in enumerate(labels.cells):
            for column, text in enumerate(line):
                colours.setdefault(text, set()).add(_pixel(picture, labels, row, column))
        assert len(colours) > 1
        assert all(len(values) == 1 for values in colours.values())
        assert len(set.union(*colours.values())) == len(colours)


def _pixel(picture: Image.Image, grid: Any, row: int, column: int) -> tuple[int, ...]:
    """Of the middle of a cell."""
    x = grid.left + (column + 0.5) * grid.width / len(grid.cells[row])
    y = grid.top + (row + 0.5) * grid.height / len(grid.cells)
    return picture.getpixel((int(x * picture.width), int(y * picture.height)))


def test_fig7_places_on_the_input_are_the_middles_of_the_square() -> None:
    about = {"square": 4, "stride": 2, "input_size": 10, "positions": 4, "classes": ["owl"]}
    arrays = {
        "activation": np.ones((1, 4, 4)),
        "probability": np.ones((1, 4, 4)),
        "top_labels": np.zeros((1, 4, 4, 1), int),
    }
    panels = [Bbox.from_bounds(0.2 * column, 0.3, 0.1, 0.5) for column in range(5)]
    place, activation, _, _ = fig7_occlusion._grids(0, arrays, about, panels)
    assert place.cells[1][3] == "square at x 8, y 4"
    assert (activation.left, activation.top, activation.width, activation.height) == pytest.approx((0.2, 0.2, 0.1, 0.5))
    assert place.left == pytest.approx(0.1 * activation.width, abs=1e-4)  # the first cell: pixels 1 to 3
    assert place.top == pytest.approx(0.2 + 0.1 * activation.height, abs=1e-4)
    assert place.width == pytest.approx(0.8 * activation.width, abs=1e-4)
    assert place.cover == pytest.approx((0.4 * activation.width, 0.4 * activation.height), abs=1e-4)  # 4 of 10 pixels
    assert activation.cover is None


def test_fig2_offers_projections_and_patches_alone_and_one_through_the_other(toy: Path) -> None:
    first, *others = built("fig2_features", toy).pieces
    assert first.faces == ()
    for drawn in others:
        assert drawn.label == "side by side"
        assert [face.label for face in drawn.faces] == ["projections", "patches", "patches through projections"]
        sizes = {Image.open(io.BytesIO(face.png)).size for face in drawn.faces}
        assert len(sizes) == 1  # a map stays in its place when the face is switched
        assert all(face.alt.startswith(drawn.title) for face in drawn.faces)


TRIED = """
const table = document.querySelector("#table1 table"), rows = () => [...table.tBodies[0].rows];
const names = () => rows().slice(1).map((row) => row.cells[0].textContent).join("");
const result = { before: names() };
const head = () => table.querySelector("thead tr:last-child th:last-child");
head().querySelector("button").click(); result.up = names(); result.order = head().getAttribute("aria-sort");
head().querySelector("button").click(); result.down = names();
head().querySelector("button").click(); result.again = names();
result.heading = rows()[0].className;
document.querySelector('.count[data-verdict="inconclusive"]').click();
result.claims = [...document.querySelectorAll(".claim")].filter((one) => one.checkVisibility()).map((one) => one.id);
const [switched, probed, tiled] = document.querySelectorAll("#fig7 figure");
const shown = () => [...switched.querySelectorAll("img")].filter((one) => !one.hidden).map((one) => one.alt.slice(0, 9));
result.first = shown(); switched.querySelectorAll(".faces button")[1].click(); result.second = shown();
const press = (element, ...keys) => {
  for (const key of keys) element.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
};
const ranks = (which) => [...probed.querySelectorAll(`.ranks div:nth-child(${which}) li`)].map((one) => one.textContent);
result.drawn = [probed.querySelector(".now h4").textContent, ...ranks(1)]; result.uncovered = ranks(2);
const layer = probed.querySelector(".probe"); layer.focus();
press(layer, "ArrowRight", "ArrowUp", "ArrowUp");
result.read = probed.querySelector(".readout").textContent; result.ranks = ranks(1);
const openers = tiled.querySelector(".probe"), card = tiled.querySelector(".card"); openers.focus();
result.tile = card.querySelector("p").textContent;
press(openers, "ArrowRight", "ArrowDown", "ArrowRight"); result.last = card.querySelector("p").textContent;
result.views = [...card.querySelectorAll("canvas")].map((one) => one.getAttribute("aria-label"));
press(openers, "Enter"); result.kept = !card.querySelector("button").hidden;
card.querySelector("button").focus(); card.querySelector("button").click();
result.clicked = card.hidden && document.activeElement === openers; press(openers, "Enter");
card.querySelector("button").focus(); press(card.querySelector("button"), "Escape");
result.closed = card.hidden && document.activeElement === openers;
const slider = document.querySelector(".times input"), [times] = [...document.querySelectorAll("#fig7 figure")].slice(-1);
const visible = () => [...times.querySelectorAll("img, canvas")].filter((one) => !one.hidden).map((one) => one.tagName);
result.all = visible(); slider.value = 0; slider.dispatchEvent(new Event("input"));
result.one = [...visible(), times.querySelector(".readout").textContent, document.querySelector(".times output").textContent];
document.querySelector(".times button").click(); result.back_to_all = visible();
const button = switched.querySelector(".enlarge"); button.focus(); button.click();
result.large = document.querySelector("dialog").open; document.querySelector("dialog").close();
result.back = document.activeElement === button;
document.querySelector(".theme").click(); result.theme = document.documentElement.dataset.theme;
const out = document.createElement("pre"); out.id = "result"; out.textContent = JSON.stringify(result); document.body.append(out);
"""


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_in_a_browser_it_sorts_filters_switches_and_reads_out(source: str, tmp_path: Path) -> None:
    free = re.sub(r"<meta http-equiv.*?>\n", "", source)
    waiting = f'<script>addEventListener("load", () => {{{TRIED}}});</script></body>'
    (tmp_path / "page.html").write_text(free.replace("</body>", waiting), encoding="utf-8")
    options = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom")
    address = (tmp_path / "page.html").as_uri()
    done = subprocess.run([CHROMIUM, *options, address], capture_output=True, text=True, timeout=60, check=True)
    report = json.loads(html.unescape(re.search(r'<pre id="result">(.*?)</pre>', done.stdout, re.S)[1]))
    assert report == {
        "before": "bacd", "up": "bdac", "order": "ascending", "down": "adbc", "again": "bacd", "heading": "heading",
        "claims": ["claim-4"], "first": ["A blue sq"], "second": ["The other"],
        "read": "cell 0 2 · cell 0 2", "ranks": ["oak 2.0 %", "owl  (true)0.5 %"],
        "drawn": ["With the square as drawn in (a)", "oak 20.0 %", "owl  (true)0.5 %"],
        "uncovered": ["owl  (true)> 99.9 %", "oak < 0.1 %"],
        "tile": "owl 0Tiles , map 5, 1 of 4: activation 9.00", "last": "owl 3Tiles , map 5, 4 of 4: activation 6.00",
        "views": ["projection", "patch", "whole image, its receptive field framed"], "kept": True, "clicked": True, "closed": True,
        "all": ["IMG"], "one": ["CANVAS", "far ", "epoch 0.5"], "back_to_all": ["IMG"],
        "large": True, "back": True, "theme": "light",
    }  # fmt: skip


def test_a_dark_page_inverts_what_is_around_images() -> None:
    """A clip with a hole for each image: the left half of the picture here. Pictures that are one image have none."""
    mixed, photograph = piece("Mixed", images=[[0.0, 0.0, 0.5, 1.0]]), piece("Photograph")
    page = Page(render([exhibit("fig7", kind="picture", pieces=[mixed, photograph])]))
    shades = [attrs.get("data-around") for attrs in page.all("img")]
    assert shades == [report_html.around([[0.0, 0.0, 0.5, 1.0]]), None]
    assert shades[0].startswith("polygon(evenodd, calc(0% - 9px) calc(0% - 9px), ")
    assert shades[0].endswith("0% 0%, 50% 0%, 50% 100%, 0% 100%, 0% 0%, calc(0% - 9px) calc(0% - 9px)) content-box")


@pytest.mark.parametrize(
    "name", ["fig2_features", "fig4_evolution", "fig5_invariance", "fig7_occlusion", "fig8_masked_parts"]
)
def test_images_lie_inside_their_pictures_and_around_them_it_is_white(name: str, toy: Path) -> None:
    """In the piece, its faces and its drawing for a narrow screen: what a dark page inverts is white ground and text."""
    for drawn in built(name, toy).pieces:
        pictures = [drawn, *drawn.faces, *([drawn.narrow] if drawn.narrow else [])]
        for shown in [] if drawn.plot else pictures:
            around = pixels_around(shown.png, shown.images)
            assert shown.images
            assert len(around) < 100 or (around > 250).all(axis=1).mean() > 0.7


def pixels_around(png: bytes, boxes: Sequence[tuple[float, float, float, float]]) -> np.ndarray:
    """(N, 3): those that are in none of the boxes, nor at their edges, which must lie in the picture."""
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))
    height, width = pixels.shape[:2]
    around = np.ones((height, width), dtype=bool)
    for left, top, wide, high in boxes:
        assert -1e-3 < left < left + wide < 1.001
        assert -1e-3 < top < top + high < 1.001
        lines, columns = (
            (first * size, (first + share) * size) for first, share, size in ((top, high, height), (left, wide, width))
        )
        around[max(0, int(lines[0]) - 1) : int(lines[1]) + 2, max(0, int(columns[0]) - 1) : int(columns[1]) + 2] = False
    return pixels[around]


def test_only_plots_are_inverted_on_a_dark_page() -> None:
    """Photographs and projections keep their colours."""
    plot, photograph = piece("Plot", plot=True), piece("Photograph")
    page = Page(render([exhibit("fig7", kind="picture", pieces=[plot, photograph])]))
    assert [attrs["data-title"] for attrs in page.of_class("plot")] == ["Plot"]
