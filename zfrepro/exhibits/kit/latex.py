"""The table of an exhibit as LaTeX: booktabs rules, a `tabular`, or a `longtable` where it would not fit a page.

Not by pandas' `Styler.to_latex`: it leaves `[` and `*` after a line's end, `--`, line breaks and bidirectional marks unescaped, has
no heading rows or rules below groups, and needs pandas imported for every figure.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

LONG = 40  # rows that fit a page
WIDE = 48  # characters; a column with a longer text wraps its lines
BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"  # they change the order in which an editor shows a line
PRINTED = str.maketrans({
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "`": r"\textasciigrave{}", '"': r"\symbol{34}",
    "[": "{[}", "]": "{]}", "*": "{*}",  # at the start of a row, TeX would read them as arguments of the \\ before
})  # fmt: skip

Page = Mapping[str, Any]  # an exhibit.json: title, paper, caption, columns, rows


def table(page: Page) -> str:
    """The whole file. Title and caption are comments above the table, so that it can be put into any float."""
    columns, rows = page["columns"], page["rows"]
    kind = "longtable" if len(rows) > LONG else "tabular"
    head = [*_groups(columns), _line(escape(column["label"]) for column in columns), r"\midrule"]
    body = [line for i, row in enumerate(rows) for line in _row(row, len(columns), first=i == 0)]
    if kind == "longtable":  # the lines before \endhead and \endfoot are repeated on every page
        inside = [r"\toprule", *head, r"\endhead", r"\bottomrule", r"\endfoot", *body]
    else:
        inside = [r"\toprule", *head, *body, r"\bottomrule"]
    begin = f"\\begin{{{kind}}}{{{''.join(_alignments(columns, rows))}}}"
    return "\n".join([*_comments(page, kind), begin, *inside, f"\\end{{{kind}}}"]) + "\n"


def escape(text: str) -> str:
    """Text that LaTeX prints unchanged, on one line; control characters are removed."""
    return re.sub(r"([-,'])(?=\1)", r"\1{}", _one_line(text).translate(PRINTED))  # "--" would become a dash


def _one_line(text: str) -> str:
    printable = (char for char in text if char.isspace() or (unicodedata.category(char) != "Cc" and char not in BIDI))
    return " ".join("".join(printable).split())


def _comments(page: Page, kind: str) -> Iterator[str]:
    needed = r"\usepackage{booktabs}" + (r"\usepackage{longtable}" if kind == "longtable" else "")
    yield f"% {_one_line(page['paper'])}: {_one_line(page['title'])}"
    yield f"% {_one_line(page['caption'])}"
    yield f"% {needed}"


def _alignments(columns: Sequence[Mapping[str, str]], rows: Sequence[Page]) -> list[str]:
    """Numbers to the right, text to the left; columns of long text share 0.7 of the line width and wrap."""
    types = [_alignment(column, i, rows) for i, column in enumerate(columns)]
    share = 0.7 / max(2, types.count("p"))
    return [f"p{{{share:.3g}\\linewidth}}" if kind == "p" else kind for kind in types]


def _alignment(column: Mapping[str, str], i: int, rows: Sequence[Page]) -> str:
    cells = [row["cells"][i] for row in rows if row["kind"] != "heading" and i < len(row["cells"])]
    if column["role"] != "label" and any(cell["is"] == "number" for cell in cells):
        return "r"
    return "p" if any(len(cell["text"]) > WIDE for cell in cells) else "l"


def _groups(columns: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """The line of headings above neighbouring columns, and the rules below them; nothing if no column has one."""
    if not any(column["group"] for column in columns):
        return
    cells, rules, start = [], [], 1
    for group, below in itertools.groupby(columns, key=lambda column: column["group"]):
        width = len(list(below))
        cells.extend([f"\\multicolumn{{{width}}}{{c}}{{{escape(group)}}}"] if group else [""] * width)
        rules.extend([f"\\cmidrule(lr){{{start}-{start + width - 1}}}"] if group else [])
        start += width
    yield _line(cells)
    yield " ".join(rules)


def _row(row: Page, columns: int, first: bool) -> Iterator[str]:
    if row["kind"] == "heading":
        yield from () if first else (r"\addlinespace",)
        yield _line([f"\\multicolumn{{{columns}}}{{l}}{{\\textbf{{{escape(row['cells'][0]['text'])}}}}}"])
    else:
        cells = [_number(cell) if cell["is"] == "number" else escape(cell["text"]) for cell in row["cells"]]
        yield _line(cells + [""] * (columns - len(cells)))


def _number(cell: Mapping[str, str]) -> str:
    """As on the page: 12.3 ± 0.4, or 12.3 [11.0, 13.5]."""
    spread = f" $\\pm$ {_digits(cell['pm'])}" if "pm" in cell else ""
    interval = f" {{\\footnotesize [{_digits(cell['low'])}, {_digits(cell['high'])}]}}" if "low" in cell else ""
    return f"{_digits(cell['text'])}{spread}{interval}"


def _digits(text: str) -> str:
    """With a minus sign instead of a hyphen, and commas between thousands."""
    return f"{int(text):,}" if re.fullmatch(r"\d{4,}", text) else escape(text).replace("-", "$-$")


def _line(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"
