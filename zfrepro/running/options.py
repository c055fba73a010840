"""Where the project lies, and the command-line option that all commands on an experiment share."""

from __future__ import annotations

import argparse
from pathlib import Path

from zfrepro.storage import paths

ROOT = Path(__file__).resolve().parents[2]  # contains Snakefile, workflow/, config.yaml


def experiment_parser(verb: str, description: str | None) -> argparse.ArgumentParser:
    """A parser with the option `--config`."""
    parser = argparse.ArgumentParser(f"zfrepro {verb}", description=description)
    default = ROOT / "config.yaml"
    parser.add_argument(
        "--config", type=paths.resolve, default=default, metavar="FILE", help="experiment file; default: config.yaml"
    )
    return parser
