"""The PDF: tagged, whole, in pages that hold together, the same bytes twice; nothing is fetched."""

from __future__ import annotations

import base64
import builtins
import io
import re
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.injections import INJECTIONS
from PIL import Image, ImageFile

from zfrepro.claims.base import VERDICTS
from zfrepro.errors import UserError
from zfrepro.report import html, images, page_fill, pdf
from zfrepro.report.boxes import inside as boxes
from zfrepro.stages import report

NETWORK = {
    "spec": {"network": {"base": "improved"}, "input_size": 64, "epochs": 8, "seed": 0}, "precision": "bfloat16", "device": "cpu",
    "hardware": "AMD EPYC", "torch": "2.13.0", "images": 960, "parameters": 5, "seconds": 42.0,
}  # fmt: skip
DATA = {
    "dataset": "scenes", "classes": ["cat", "dog"], "splits": {"train": [0, 9]}, "size": 64, "skipped": [],
    "sha256": {"images.npy": "0123456789abcdef"},
}  # fmt: skip
LONG_TITLE = (
    "Title of a figure that takes more room than the margin has beside the name of the whole report, in one line"
)
HOSTILE = '"><img src=x onerror=alert(1)><script>alert(1)</script>{{ 7 * 7 }}' + "a" * 300


def picture(colours: int = 4, wide: int = 200, high: int = 160, seed: int = 0) -> str:
    """Base64 of a PNG of coloured squares."""
    rng = np.random.default_rng(seed)
    squares = rng.integers(0, 255, (colours, 3), dtype=np.uint8)[rng.integers(0, colours, (high // 8, wide // 8))]
    file = io.BytesIO()
    Image.fromarray(squares.repeat(8, axis=0).repeat(8, axis=1)).save(file, format="PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")


def piece(name: str, share: str, high: int = 160) -> dict[str, Any]:
    record = {"name": name, "alt": f"picture {name}", "title": f"Piece {name}", "share": share}
    return {**record, "source": f"data:image/png;base64,{picture(high=high)}"}


def exhibit(
    name: str, kind: str, pieces: list[dict[str, Any]], rows: int = 3, numbers: int = 1, **more: Any
) -> dict[str, Any]:
    """numbers: columns beside that of the labels."""
    columns = [
        {"key": "a", "label": "Run", "role": "label", "group": ""},
        *({"key": f"b{i}", "label": "Error", "role": "ours", "group": ""} for i in range(numbers)),
    ]
    interval = {"low": "12.34", "high": "56.78"} if numbers > 1 else {}
    cells = [
        [{"is": "text", "text": f"run {i}"}, *[{"is": "number", "text": str(i), **interval}] * numbers]
        for i in range(rows)
    ]
    return {
        "name": name, "kind": kind, "title": f"Title of {name}", "paper": "Table 9", "caption": f"Caption of {name}. " * 6,
        "notes": [f"Note of {name}."], "highlights": [{"label": "Top-1 error", "ours": "34.0 %", "paper": "38.4 %"}],
        "rows_title": "Numbers", "columns": columns, "groups": [], "rows": [{"kind": "", "cells": row} for row in cells],
        "pieces": pieces, "data": {}, **more,
    }  # fmt: skip


def claim(number: int) -> dict[str, Any]:
    verdict = VERDICTS[number % 5]
    measured = (
        {"n": None, "of": None, "estimate": "", "part": ""}
        if number % 5 == 4
        else {"n": 1200, "of": "pictures", "estimate": "1.9 points [0.1, 3.7]", "part": ""}
    )
    return {
        "number": number, "says": f"Sentence {number} of the paper.", "where": "Table 2", "quantity": "Fall of error, above 0",
        "paper": "1.6 points", "verdict": verdict, "reason": "Because.", "contradicted": "Not so." if number == 8 else "",
        "effect": "effect 1.9 points; the paper's 2.1" if number == 5 else "", "compared": "the paper's 2.1",
        "remark": "By the way." if number == 9 else "", **measured,
    }  # fmt: skip


def everything(title: str = "Toy report") -> dict[str, Any]:
    """Arguments of report.render."""
    counts = {verdict: sum(VERDICTS[n % 5] == verdict for n in range(1, 43)) for verdict in VERDICTS}
    shown = (
        exhibit("claims", "table", [piece("board", "full")], data={"claims": [claim(n) for n in range(1, 43)], "counts": counts}),
        exhibit("table9", "table", [piece("dots", "full")], numbers=13),
        exhibit("fig1", "picture", [piece(f"half{i}", "half", 320) for i in range(5)], rows=30),
        exhibit("fig2", "picture", [piece("tall", "full", 1600), piece("wide", "full", 80)]),
        exhibit("table8", "table", [piece("plot", "full", 120)], rows=60, title=LONG_TITLE),
    )  # fmt: skip
    origin = {
        "made": "2023-11-14T22:13:20Z", "git": None, "networks": {"improved": NETWORK}, "data": {"source": DATA}, "time": {},
        "artifacts": {}, "versions": {"python": "3"},
        "hardware": {"cpu": "cpu", "cores": 2, "memory_gib": 4.0, "gpus": []},
        "exhibits": {"fig1": {"summary": [["Command", "`zfrepro run --force`"], ["Code", "x" * 500]]}},
    }  # fmt: skip
    spec = report.Spec(
        experiment="toy",
        title=title,
        authors=("A. Uthor",),
        exhibits=("a",),
        config={"note": title},
        reductions=("Networks see 64 pixels instead of 224.",),
    )
    return {"template": "print.html", "spec": spec, "exhibits": shown, "origin": origin}


@pytest.fixture(scope="module")
def page() -> str:
    return report.render(**everything())


@pytest.fixture(scope="module")
def document(page: str) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "1700000000")
        return pdf.lay_out(page)


@pytest.fixture(scope="module")
def laid_out(document: Any) -> list[Any]:
    """The boxes of each page."""
    return [page._page_box for page in document.pages]


@pytest.fixture(scope="module")
def file(document: Any) -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "1700000000")
        return document.write_pdf(**pdf.VARIANT)


def text_of(box: Any) -> str:
    return " ".join(inner.text for inner in boxes(box) if hasattr(inner, "text"))


def pages_saying(laid_out: list[Any], words: str) -> list[int]:
    """From 1."""
    return [i for i, box in enumerate(laid_out, 1) if words in text_of(box)]


def images_of(page_box: Any) -> dict[str, Any]:
    """Alt text -> box."""
    return {box.element.get("alt"): box for box in boxes(page_box) if getattr(box, "element_tag", "") == "img"}


def page_of(laid_out: list[Any], alt: str) -> list[int]:
    return [i for i, page_box in enumerate(laid_out, 1) if alt in images_of(page_box)]


def inflate(file: bytes) -> bytes:
    """The file, and what stands in its compressed streams."""
    streams = [match.end() for match in re.finditer(rb"/FlateDecode[^\n]*>>\s*stream\n", file)]
    return file + b"".join(zlib.decompressobj().decompress(file[start:]) for start in streams)


def test_it_is_tagged_and_says_what_it_is(file: bytes, laid_out: list[Any]) -> None:
    content = inflate(file)
    assert file.startswith(b"%PDF-")
    for part in (
        b"/Lang (en)",
        b"/Title (Toy report)",
        b"/Author (A. Uthor)",
        b"/StructTreeRoot",
        b"/Marked true",
        b"pdfuaid:part",
    ):
        assert part in content, part
    assert re.search(rb"/Keywords \([^)]*deconvnet", content)
    assert b"(D:20231114221320" in content
    assert {b"Figure", b"Table", b"TH", b"H1", b"H2"} <= set(re.findall(rb"/S ?/(\w+)", content))
    assert content.count(b"/Alt (picture half") == 5
    assert len(re.findall(rb"/Type /Page\b", content)) == len(laid_out)


def test_the_same_page_gives_the_same_bytes(file: bytes, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert pdf.pdf(page) == file


def test_the_first_page_has_title_scoreboard_date_and_reductions(laid_out: list[Any]) -> None:
    first = " ".join(text_of(laid_out[0]).split())
    for words in (
        "Toy report",
        "toy",
        "14 November 2023",
        "42 claims of the paper",
        "Networks see 64 pixels instead of 224.",
    ):
        assert words in first
    assert re.search(
        r"8 ✓ reproduced 9 \+ reproduced, small 9 ✗ not reproduced 8 \? inconclusive 8 \S not attempted", first
    )


def test_the_first_page_says_precision_and_device(laid_out: list[Any]) -> None:
    first = " ".join(text_of(laid_out[0]).split())
    sentence = "Trained in bfloat16 on a CPU (AMD EPYC), PyTorch 2.13.0."
    assert first.index("14 November 2023") < first.index(sentence) < first.index("42 claims of the paper")


def test_the_contents_give_the_page_of_every_part(laid_out: list[Any]) -> None:
    contents = " ".join(text_of(laid_out[1]).split())
    for title in ("Title of claims", "Title of table9", "Title of fig1", "Title of fig2", "Provenance"):
        number = re.search(rf"{title}[ .]+(\d+)", contents)
        page = " ".join(text_of(laid_out[int(number[1]) - 1]).split())
        assert page.count(title) > page.count(f"{title} .")  # besides its line in the contents


def test_pages_are_numbered_and_name_their_section(laid_out: list[Any]) -> None:
    for i, box in enumerate(laid_out, 1):
        margins = [" ".join(text_of(margin).split()) for margin in box.children if "MarginBox" in type(margin).__name__]
        assert f"{i} / {len(laid_out)}" in margins
        assert ("Toy report" in margins) == (i > 1)
    last = [" ".join(text_of(margin).split()) for margin in laid_out[-1].children]
    assert {"Appendix B: Files and commands", "Appendix C: Full configuration"} & set(last)


def test_running_heads_are_whole(laid_out: list[Any]) -> None:
    """A long title takes two lines in the margin instead of being cut."""
    heads = [
        (page, box)
        for page in laid_out
        for box in page.children
        if "MarginBox" in type(box).__name__ and " ".join(text_of(box).split()) == LONG_TITLE
    ]
    assert heads
    for page, head in heads:
        lines = [box for box in boxes(head) if hasattr(box, "text")]
        assert all(line.width <= head.width + 1 for line in lines)
        assert sum(line.height for line in lines) <= page.margin_top


def test_digests_and_commands_stand_in_the_appendix(laid_out: list[Any]) -> None:
    everywhere = " ".join(" ".join(text_of(box) for box in laid_out).split())
    appendix = everywhere.rindex("Appendix A: Provenance")
    for words in ("zfrepro run --force", "0123456789abcdef", "note: Toy report"):
        assert everywhere.count(words) == 1
        assert everywhere.index(words) > appendix
    assert re.search(r"tables/fig1\.csv ; how it was made on page \d+", everywhere[:appendix])


def test_tables_of_numbers_go_across_the_page(laid_out: list[Any]) -> None:
    tables = [(page, box) for page in laid_out for box in boxes(page) if getattr(box, "element_tag", "") == "table"]
    numbers = [(page, box) for page, box in tables if box.element.get("class") == "numbers"]
    assert numbers
    assert all(box.width == pytest.approx(page.width, abs=1) for page, box in numbers)


def test_nothing_lies_beyond_the_edge_of_its_page(laid_out: list[Any]) -> None:
    """The table of 13 numbers and their intervals is set smaller."""
    texts = ((page, box) for page in laid_out for box in boxes(page.children[0]) if hasattr(box, "text"))
    assert max(box.position_x + box.width - page.content_box_x() - page.width for page, box in texts) < 0.5


def test_long_tables_begin_on_the_page_before_and_no_page_is_a_third_empty(laid_out: list[Any]) -> None:
    ends = [(page_fill.content_end(page) - page.content_box_y()) / page.height for page in laid_out]
    assert min(ends[2:-1]) > 2 / 3
    assert len(pages_saying(laid_out, "run 7")) == 1


def test_captions_stay_with_their_pictures(laid_out: list[Any]) -> None:
    for name, alt in (("table9", "picture dots"), ("fig1", "picture half0"), ("fig2", "picture tall")):
        assert pages_saying(laid_out, f"Caption of {name}.") == page_of(laid_out, alt)
        assert pages_saying(laid_out[2:], f"Title of {name}")[0] + 2 == page_of(laid_out, alt)[0]
    for i in range(5):
        assert pages_saying(laid_out, f"Piece half{i}") == page_of(laid_out, f"picture half{i}")


def test_no_picture_is_cut_or_left_out(laid_out: list[Any]) -> None:
    for alt in ("dots", "tall", "wide", *(f"half{i}" for i in range(5))):
        assert len(page_of(laid_out, f"picture {alt}")) == 1
    for box in laid_out:
        for image in images_of(box).values():
            assert image.position_y + image.height <= box.margin_height() - box.margin_bottom + 1
            assert image.position_x + image.width <= box.margin_width() - box.margin_right + 1


def test_halves_stand_side_by_side(laid_out: list[Any]) -> None:
    places = {alt: (image.position_x, image.position_y) for box in laid_out for alt, image in images_of(box).items()}
    (left, top), (right, beside) = places["picture half0"], places["picture half1"]
    assert right > left + 200
    assert top == beside


def test_claims_have_their_verdict_in_words_and_signs(laid_out: list[Any], page: str) -> None:
    everywhere = " ".join(" ".join(text_of(box) for box in laid_out).split())
    assert all(f"Sentence {n} of the paper." in everywhere for n in range(1, 43))
    assert everywhere.count("✗ not reproduced") >= 9
    assert everywhere.count("numbers contradict this") == 1
    assert "contradict this: Not so." in everywhere
    assert "Note: By the way." in everywhere
    assert "effect 1.9 points; the paper's 2.1" in everywhere
    assert "1.9 points [0.1, 3.7]" in everywhere
    assert "30 rows, in" in everywhere  # a long table is left to its file
    assert "x" * 500 not in page  # as are long parts of the provenance


@pytest.mark.parametrize("text", [HOSTILE, " ".join(INJECTIONS)], ids=["markup", "names"])
@pytest.mark.filterwarnings("ignore:report.pdf. table-:UserWarning")  # words without end
def test_hostile_text_stays_text(text: str) -> None:
    """As title, setting and reduction, in captions and notes, on pictures and in cells."""
    shown = {**piece("dots", "full"), "alt": text, "title": text}
    rows = [{"kind": "", "cells": [{"is": "text", "text": text}] * 2}]
    context = everything(text)
    context["exhibits"] = [exhibit("table9", "table", [shown]) | {"caption": text, "notes": [text], "rows": rows}]
    page = report.render(**context)
    assert "<script>" not in page
    assert "<img src=x" not in page
    file = inflate(pdf.pdf(page))
    assert b"EmbeddedFile" not in file
    assert b"/JavaScript" not in file


def test_nothing_is_fetched(tmp_path) -> None:
    from weasyprint.urls import FatalURLFetchingError

    secret = tmp_path / "secret.png"
    secret.write_bytes(b"secret")
    with pytest.raises(FatalURLFetchingError):
        pdf.pdf(f'<title>x</title><img alt="" src="{secret.as_uri()}">')


def shown(pngs: dict[str, str]) -> bytes:
    """A PDF of pictures, given by name as base64."""
    sizes = {name: html.extent(png) for name, png in pngs.items()}
    files = {name: images.Coded(base64.b64decode(png), "image/png") for name, png in pngs.items()}
    pictures = {f"picture:{name}": pdf.Picture(name, *sizes[name], lambda name=name: files[name]) for name in pngs}
    return pdf.pdf(
        '<html lang="en"><title>x</title>' + "".join(f'<img alt="a" src="{name}">' for name in pictures), pictures
    )


def pixels_of(file: bytes) -> list[bytes]:
    """RGB of every picture with a palette."""
    matches = re.findall(rb"/Indexed /DeviceRGB (\d+) <([0-9a-f]+)>\].*?stream\n(.*?)\nendstream", file, re.S)
    palettes = [np.frombuffer(bytes.fromhex(colours.decode()), np.uint8).reshape(-1, 3) for _, colours, _ in matches]
    assert [int(last) + 1 for last, _, _ in matches] == [len(palette) for palette in palettes]
    return [
        palette[list(zlib.decompress(data))].tobytes() for palette, (_, _, data) in zip(palettes, matches, strict=True)
    ]


def with_palette(png: str) -> str:
    file = io.BytesIO()
    images.with_palette(Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")).save(file, format="PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")


@pytest.mark.parametrize("colours", [2, 5, 256])
def test_pictures_with_a_palette_keep_it(colours: int) -> None:
    original = picture(colours, 256, 256)
    (pixels,) = pixels_of(shown({"a": with_palette(original)}))
    assert pixels == Image.open(io.BytesIO(base64.b64decode(original))).convert("RGB").tobytes()


def test_each_picture_is_in_the_file_once() -> None:
    originals = {f"p{colours}": picture(colours, 64, 64) for colours in (3, 200, 7)}
    pixels = pixels_of(shown({name: with_palette(png) for name, png in originals.items()}))
    expected = [Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB").tobytes() for png in originals.values()]
    assert sorted(pixels) == sorted(expected)


def test_pictures_without_a_palette_stay_in_full_colour() -> None:
    file = shown({"a": picture(900, 800, 800)})
    assert b"/Indexed" not in file
    assert b"/ColorSpace /DeviceRGB" in file


def test_a_picture_is_encoded_only_when_the_file_is_written() -> None:
    """The layout needs its size only."""

    def encode() -> images.Coded:
        raise UserError("damaged")

    box = pdf.Picture("a", 30, 20, encode)
    assert box.get_intrinsic_size(1.0, 1.0) == (30, 20, 1.5)
    with pytest.raises(UserError, match="damaged"):
        pdf.pdf('<html lang="en"><title>x</title><img alt="a" src="picture:a">', {"picture:a": box})


def test_broken_pictures_stay_an_error_elsewhere() -> None:
    pdf.pdf("<title>x</title><p>x")
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


def test_a_missing_library_is_reported_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def fake(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("weasyprint"):
            raise OSError("cannot load library 'libpango-1.0-0'")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", fake)
    with pytest.raises(UserError, match=r"libpango.*apt-get install"):
        pdf.pdf("<p>x")


def test_another_process_makes_the_same_pdf_and_asks_for_its_pictures() -> None:
    """The second page shows one picture twice: it is encoded once."""
    asked = []

    def encode() -> images.Coded:
        asked.append(1)
        return images.Coded(base64.b64decode(picture()), images.PNG)

    page = '<html lang="en"><title>x</title><img alt="a" src="picture:a"><img alt="b" src="picture:a">'
    pictures = {"picture:a": pdf.Picture("a", 200, 160, encode)}
    assert pdf.isolated_pdf(page, pictures) == pdf.pdf(page, pictures)
    assert len(asked) == 2  # one for each process


@pytest.mark.parametrize(
    ("code", "words"),
    [("os.kill(os.getpid(), 11)", "SIGSEGV"), ("os.kill(os.getpid(), 9)", "SIGKILL"), ("1 / 0", "WeasyPrint failed")],
)
def test_a_crash_of_weasyprint_is_a_message(
    code: str, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    folder = tmp_path / "weasyprint"
    folder.mkdir()
    (folder / "__init__.py").write_text(f"import os\n{code}\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))  # which the other process inherits
    with pytest.raises(UserError, match=f"report.pdf cannot be made: .*{words}.*index.html is complete"):
        pdf.isolated_pdf("<p>x", {})


def test_a_process_that_ends_before_it_reads_a_large_page_is_a_message(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A program without its `if __name__ == "__main__"`, or one that the system stops for want of memory."""
    main = tmp_path / "program.py"
    main.write_text("import os; os._exit(3)")
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", None, raising=False)
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(main), raising=False)
    with pytest.raises(UserError, match="cannot be made"):
        pdf.isolated_pdf("<p>" + "x" * 10_000_000, {})


def test_a_damaged_picture_is_named_and_the_other_process_ends() -> None:
    def damaged() -> images.Coded:
        raise UserError("exhibits/fig2/exhibit.json: damaged picture")

    pictures = {"picture:a": pdf.Picture("a", 8, 8, damaged)}
    with pytest.raises(UserError, match="damaged picture"):
        pdf.isolated_pdf('<html lang="en"><title>x</title><img alt="a" src="picture:a">', pictures)


def test_without_a_font_no_other_process_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf.system_libraries, "has_font", lambda: False)
    monkeypatch.setattr(pdf, "SPAWN", None)
    with pytest.raises(UserError, match="apt-get install fonts-dejavu-core"):
        pdf.isolated_pdf("<p>x", {})
