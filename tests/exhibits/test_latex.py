"""An exhibit's table as LaTeX: what stands where, and that no text can become a command."""

from __future__ import annotations

import re
from typing import Any

import pytest
from helpers.latex_rows import rows_of

from zfrepro.exhibits.kit import latex
from zfrepro.exhibits.kit.base import Cell, Column, Exhibit, Row, heading, make_row
from zfrepro.exhibits.kit.numbers import Number

COLUMNS = (
    Column("row", "Network", "label"),
    Column("paper", "paper", "paper", "Top-1"),
    Column("ours", "ours", "ours", "Top-1"),
    Column("diff", "diff.", "difference", "Top-1"),
    Column("size", "Parameters", "plain"),
)
HOSTILE = (
    "\\input{/etc/passwd}", "\\end{tabular}", "}\\def\\x{", "100% & $x_1^2$ #1 {a} ~b", "a\\\\[2in]b", "[3ex] first", "*",
    "^^5cinput x", "$\\frac{1}{", "line\nnew\r\n\n\npar\u2028end", "nul\x00\x1b\x07", "`quoted' \"x\" | <b>", "%", "\\", "{", "}",
)  # fmt: skip


def page(*rows: Row, columns: tuple[Column, ...] = COLUMNS, **texts: str) -> dict[str, Any]:
    about = {"paper": "Table 3", "title": "Ablations", "caption": "Errors."} | texts
    return about | Exhibit("", columns, rows, b"", "").table()


def row(*cells: Cell, columns: tuple[Column, ...] = COLUMNS, kind: str = "") -> Row:
    return make_row(columns, dict(zip((column.key for column in columns), cells, strict=True)), kind)


def test_a_table_by_hand() -> None:
    rows = (
        heading("Baseline & more", COLUMNS),
        row("Layers 3,4", Number(45.4), Number(73.8, low=71.3, high=76.2), Number(28.4, signed=True), Number(62357608, 0)),
        row("Layer 7_b", None, Number(-0.5, spread=0.25, spread_digits=2), None, "not run", kind="unrun"),
        heading("Improved", COLUMNS),
    )  # fmt: skip
    assert latex.table(page(*rows, caption="Error\nin %.")).splitlines() == [
        r"% Table 3: Ablations",
        r"% Error in %.",
        r"% \usepackage{booktabs}",
        r"\begin{tabular}{lrrrr}",
        r"\toprule",
        r" & \multicolumn{3}{c}{Top-1} &  \\",
        r"\cmidrule(lr){2-4}",
        r"Network & paper & ours & diff. & Parameters \\",
        r"\midrule",
        r"\multicolumn{5}{l}{\textbf{Baseline \& more}} \\",
        r"Layers 3,4 & 45.4 & 73.8 {\footnotesize [71.3, 76.2]} & +28.4 & 62,357,608 \\",
        r"Layer 7\_b &  & $-$0.5 $\pm$ 0.25 &  & not run \\",
        r"\addlinespace",
        r"\multicolumn{5}{l}{\textbf{Improved}} \\",
        r"\bottomrule",
        r"\end{tabular}",
    ]


def test_a_long_table_repeats_its_head_on_every_page() -> None:
    rows = [row(f"epoch {i}", Number(i, 0), None, None, None) for i in range(latex.LONG + 1)]
    text = latex.table(page(*rows))
    order = [text.index(part) for part in ("{longtable}{lrlll}", "Network &", "\\endhead", "\\endfoot", "epoch 0 &")]
    assert order == sorted(order)
    assert "\\usepackage{longtable}" in text
    assert "longtable" not in latex.table(page(*rows[:-1]))
    assert len(rows_of(text)[1]) == len(rows) + 2


def test_long_texts_break_and_only_columns_of_numbers_stand_right() -> None:
    columns = (Column("a", "A", "label"), Column("b", "B"), Column("c", "C"), Column("d", "D", "label"))
    text = latex.table(page(row("x" * 49, "none", Number(1), Number(2), columns=columns), columns=columns))
    assert rows_of(text)[0] == "plrl"
    assert r"{p{0.35\linewidth}lrl}" in text
    text = latex.table(page(row(*["x" * 49] * 4, columns=columns), columns=columns))
    assert rows_of(text)[0] == "pppp"
    assert text.count(r"p{0.175\linewidth}") == 4


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("a & b", r"a \& b"),
        ("50 % of $3", r"50 \% of \$3"),
        ("#1_{x}", r"\#1\_\{x\}"),
        ("~^\\", r"\textasciitilde{}\textasciicircum{}\textbackslash{}"),
        ("<a|b>", r"\textless{}a\textbar{}b\textgreater{}"),
        ("[1]*", "{[}1{]}{*}"),
        ("a--b,,c", "a-{}-b,{},c"),
        ("caf\u00e9 \u00b1 R\u00b2 \u732b", "caf\u00e9 \u00b1 R\u00b2 \u732b"),
        (" two\n\nlines\u2028end\t", "two lines end"),
        ("\u202eesrever\x00\x7f", "esrever"),
    ],
)
def test_every_character_is_printed_as_it_is(text: str, printed: str) -> None:
    assert latex.escape(text) == printed


@pytest.mark.parametrize("many", [1, 5])
def test_hostile_names_stay_text(many: int) -> None:
    def cells(name: str) -> tuple[Cell, ...]:
        return name, Number(1.5), name, None, Number(-2, low=-3, high=-1)

    columns = tuple(Column(c.key, HOSTILE[i], c.role, HOSTILE[3] if c.group else "") for i, c in enumerate(COLUMNS))
    rows = [row(*cells(name)) for name in HOSTILE * many] + [heading(name, columns) for name in HOSTILE]
    text = latex.table(page(*rows, columns=columns, title="a\n\\b", caption="\n".join(HOSTILE), paper="x\r\\y"))
    printed = rows_of(text)[1]
    assert {len(row) for row in printed} == {len(COLUMNS)}
    assert len(printed) == len(rows) + 2
    assert not [line for line in text.splitlines() if line.startswith(("[", "*"))]
    commands = set(re.findall(r"\\([a-zA-Z]+)", "\n".join(text.splitlines()[3:])))
    assert not commands & {"input", "def", "frac", "x", "b", "y"}
    assert [line[:2] for line in text.splitlines()[:4]] == ["% ", "% ", "% ", "\\b"]
