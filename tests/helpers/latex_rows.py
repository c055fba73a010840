"""Reads a LaTeX table back."""

from __future__ import annotations

import re


def rows_of(text: str) -> tuple[str, list[list[str]]]:
    """Column types, and the cells of all rows, each \\multicolumn as often as it is wide; fails on what TeX would not read."""
    bare = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    kind, spec = re.match(r"\\begin\{(tabular|longtable)\}\{([lr]|p\{.*?\})*\}\n", bare), bare.partition("\n")[0]
    assert kind
    assert bare.endswith(f"\\end{{{kind[1]}}}")
    assert re.findall(r"\\(?:begin|end)\{", bare) == ["\\begin{", "\\end{"]
    unescaped = re.sub(r"\\[\\&%$#_{}]", lambda match: "" if match[0] != "\\\\" else match[0], bare)
    assert unescaped.count("{") == unescaped.count("}")
    assert not re.search(r"[%#~^\x00-\x09\x0b-\x1f]", unescaped)
    types = re.sub(r"p\{.*?\}", "p", spec.split("}", 1)[1][1:-1])
    return types, [_cells(line[:-3]) for line in bare.splitlines() if line.endswith(r" \\")]


def _cells(line: str) -> list[str]:
    cells = []
    for cell in re.split(r"(?<!\\)&", f" {line} "):
        wide = re.fullmatch(r"\\multicolumn\{(\d+)\}\{[lc]\}\{(.*)\}", cell.strip())
        cells += [wide[2]] * int(wide[1]) if wide else [cell.strip()]
    return cells
