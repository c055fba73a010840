"""The Python of a document or notebook, run in order in one process; no jupyter is needed.

`python -m helpers.documented_code`, with tests/ on the PYTHONPATH, draws the pictures of docs/library/ again.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

from helpers.workspace import ROOT

LIBRARY = ROOT / "docs/library.md"


def blocks(document: Path) -> list[str]:
    """The code between ```python and ``` of a Markdown file, or of the code cells of a notebook."""
    text = document.read_text(encoding="utf-8")
    if document.suffix == ".ipynb":
        return ["".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def execute(document: Path) -> dict[str, Any]:
    """The names that are defined in the end; files are written to the current folder."""
    from zfrepro.models import torchvision_import

    torchvision_import.ensure()
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, block in enumerate(blocks(document)):
        exec(compile(block, f"{document.name}, block {number}", "exec"), names)
    return names


if __name__ == "__main__":
    import os
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        execute(LIBRARY)
        for picture in sorted(Path(folder).glob("*.png")):
            shutil.copy(picture, ROOT / "docs/library")
