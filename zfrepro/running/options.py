"""Command-line options: the one that all commands on an experiment share, and those on devices."""

from __future__ import annotations

import argparse
import re

from zfrepro.running.experiment_files import FILE, default_file, experiment_file
from zfrepro.storage import workflow_files

Wish = str | int | tuple[int, ...]  # of the option --gpus: `all`, how many, or their numbers


def experiment_parser(verb: str, description: str | None) -> argparse.ArgumentParser:
    """A parser with the option `--config`."""
    parser = argparse.ArgumentParser(f"zfrepro {verb}", description=description)
    parser.add_argument(
        "--config",
        type=experiment_file,
        default=default_file(),
        metavar="EXPERIMENT",
        help=f"experiment file, or the name of one that comes with zfrepro: {', '.join(workflow_files.experiments())}; "
        f"default: {FILE} in this folder, or else {workflow_files.DEFAULT}",
    )
    return parser


def parse_gpus(text: str) -> Wish:
    """`all`, `8` (the first eight), `0,3`: argparse turns the errors into messages."""
    if text == "all":
        return text
    if not re.fullmatch(r"\d+(,\d+)*", text):
        raise argparse.ArgumentTypeError(f"{text!r}: use all, how many GPUs (8), or their numbers (0,3)")
    numbers = tuple(int(word) for word in text.split(","))
    if len(numbers) == 1:
        return _at_least_one(numbers[0])
    if twice := sorted({number for number in numbers if numbers.count(number) > 1}):
        raise argparse.ArgumentTypeError(f"{text!r}: GPU {twice[0]} is there twice")
    return numbers


def _at_least_one(count: int) -> int:
    if count < 1:
        raise argparse.ArgumentTypeError("0: at least 1; to use no GPU: --device cpu")
    return count


def parse_count(text: str) -> int:
    """1, 2, ...; an error that argparse turns into a message."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: at least 1")
    return int(text)


def parse_device(text: str) -> str:
    """`auto`, `cpu`, `cuda`, `cuda:1`: argparse turns the error into a message."""
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", text):
        raise argparse.ArgumentTypeError(f"{text!r}: unknown device; use auto, cpu, cuda or cuda:1")
    return text
