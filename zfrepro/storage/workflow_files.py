"""Where the workflow lies (Snakefile, config.yaml, workflow/) and which experiments come with it.

In a repository it stands beside this package; a wheel holds it inside the package (hatch_build.py). Nothing is written there.
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
PACKED = PACKAGE / "_workflow"
ROOT = PACKED if PACKED.is_dir() else PACKAGE.parent  # contains Snakefile, workflow/, config.yaml
DEFAULT = "demo"  # the experiment of ROOT/config.yaml


def is_packed() -> bool:
    """Whether this is a package that was installed from a wheel, not a repository."""
    return ROOT == PACKED


def experiments() -> dict[str, Path]:
    """Name -> file of every experiment that comes with the program, the default first."""
    others = sorted((ROOT / "workflow/experiments").glob("*.yaml"))
    return {DEFAULT: ROOT / "config.yaml", **{path.stem: path for path in others}}


def beside_experiments(path: Path) -> Path:
    """The file of the workflow that a relative path names, `workflow/experiments/FACES.csv`, where the current folder has none."""
    packed = ROOT / path
    return packed if path.parts[:1] == ("workflow",) and not path.exists() and packed.is_file() else path
