"""Derive an experiment file from another: a new name, other seeds, another precision.

The demo with three base seeds in two precisions is six files, and six runs:

  for seed in 0 100 200; do for precision in float32 bfloat16; do
    name=demo-$seed-$precision
    zfrepro vary --name $name --seed $seed --precision $precision --out $name.yaml && zfrepro run --config $name.yaml
  done; done
  zfrepro compare results/demo-*

The seed is added to the seeds of every network's training, of the splits of `folds`, and of the stages' random choices
(images, maps, random weights). Drawn data sets keep their images unless --data-seed is given. Comments are kept.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from zfrepro.errors import UserError
from zfrepro.experiment import loading
from zfrepro.experiment.variation import Changes, vary
from zfrepro.running.options import experiment_parser
from zfrepro.storage import artifacts, paths


def main(arguments: list[str]) -> None:
    options = _parser().parse_args(arguments)
    loading.load(options.config)
    changes = Changes(options.name, options.seed, options.data_seed, options.precision)
    derived = vary(paths.read_text(options.config), changes, str(options.config))
    text = f"# Derived by: zfrepro vary {' '.join(shlex.join(arguments).split())}\n{derived}"
    if options.out is None:
        sys.stdout.write(text)
        return
    if options.out.exists():
        raise UserError(f"{options.out}: already exists; delete it or name another file with --out")
    artifacts.save_text(options.out, text)
    print(f"experiment: {options.out}  (run it with: zfrepro run --config {shlex.quote(str(options.out))})")


def _parser() -> argparse.ArgumentParser:
    parser = experiment_parser("vary", __doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--name", required=True, help="name of the new experiment, and of its folder in results/")
    parser.add_argument(
        "--seed", type=_seed, default=0, metavar="N", help="added to every seed except those of data sets; default: 0"
    )
    parser.add_argument(
        "--data-seed", type=_seed, default=0, metavar="N", help="added to the seeds of drawn data sets; default: 0"
    )
    parser.add_argument(
        "--precision", choices=("auto", "float32", "bfloat16"), help="of training and evaluation; default: unchanged"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="new file to write; default: print to the terminal")
    return parser


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least 0")
    return int(text)
