"""Table 4: accuracy on Caltech-101, pretrained features compared with training from scratch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zfrepro.exhibits.kit import accuracy_table
from zfrepro.exhibits.kit.base import Table

TITLE = "Transfer to Caltech-101"
PAPER = "Table 4"


def needs(config: Any) -> dict[str, str]:
    return accuracy_table.needs(config, "caltech101")


def build(files: Mapping[str, Path]) -> Table:
    return accuracy_table.build(files, "table4_caltech101", "Caltech-101")
