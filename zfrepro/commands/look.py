"""Inspect your own photographs with a trained network: its prediction, the features it finds, the effect of a grey square."""

from __future__ import annotations

import argparse
import errno
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from zfrepro.errors import UserError
from zfrepro.look import photographs
from zfrepro.models import devices
from zfrepro.storage import artifacts, machine, paths
from zfrepro.storage.paths import printable

if TYPE_CHECKING:
    from zfrepro.look.inspect import Inspection
    from zfrepro.look.photo_network import PhotoNetwork

ZFREPRO = "zfrepro"


def main(arguments: list[str]) -> None:
    options = _parser().parse_args(arguments)
    page = options.out / "index.html"
    _check_target(options.out, page)
    network = _open_network(options)
    if options.square and options.square > network.size:
        raise UserError(
            f"--square {options.square}: the network's input is {network.size} pixels; choose a smaller square"
        )
    photos = photographs.load(options.photo, network.crop)
    results = [_inspect(options, network, photo, number) for number, photo in enumerate(photos, 1)]
    _save(page, options, network, photos, results)
    print(f"page: {printable(page)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("zfrepro look", description=__doc__)
    parser.add_argument("photo", type=paths.resolve, nargs="+", metavar="PHOTO", help="JPEG, PNG or WebP of any size")
    parser.add_argument(
        "--weights", type=paths.resolve, required=True, metavar="FILE", help="weights of the trained network"
    )
    parser.add_argument("--out", type=paths.resolve, required=True, metavar="DIR", help="folder to write index.html to")
    parser.add_argument(
        "--network",
        choices=(ZFREPRO, "alexnet", "vgg16"),
        default=ZFREPRO,
        help="network that the weights belong to: zfrepro (default), or torchvision's alexnet or vgg16",
    )
    parser.add_argument(
        "--classes",
        type=paths.resolve,
        metavar="FILE",
        help="class names of a torchvision network, one per line; default: ImageNet's",
    )
    parser.add_argument(
        "--maps",
        type=_positive,
        default=4,
        metavar="N",
        help="maps with the highest activation per layer; default: 4",
    )
    parser.add_argument(
        "--square",
        type=_positive,
        metavar="N",
        help="side of the grey square in pixels; default: 50 at an input of 224",
    )
    parser.add_argument(
        "--stride", type=_positive, metavar="N", help="step of the grey square in pixels; default: 6 at an input of 224"
    )
    parser.add_argument("--no-occlusion", action="store_true", help="skip the grey square, the slowest part")
    parser.add_argument(
        "--device",
        default="auto",
        help="auto, cpu, cuda or cuda:1 (no GPU was tried yet); default: auto, a GPU if there is one",
    )
    parser.add_argument(
        "--threads",
        type=_positive,
        default=machine.cores(),
        metavar="N",
        help="CPU threads; default: all that this process may use",
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


_positive.__name__ = "positive number"  # so argparse says: invalid positive number value


def _check_target(out: Path, page: Path) -> None:
    """Check the output folder before anything is computed."""
    from zfrepro.look import page as look_page

    existing = next(folder for folder in (out, *out.absolute().parents) if os.path.exists(folder))
    if not existing.is_dir():
        raise UserError(f"--out {printable(out)}: {printable(existing)} is a file; choose a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UserError(f"--out {printable(out)}: {printable(existing)} is not writable; choose another folder")
    if page.exists() and not look_page.is_look_page(page):
        raise UserError(f"{printable(page)}: exists and was not created by this command; choose another folder")


def _open_network(options: argparse.Namespace) -> PhotoNetwork:
    from zfrepro.look import photo_network

    device = devices.choose(options.device, options.threads)
    if options.network != ZFREPRO:
        names = None if options.classes is None else _class_names(options.classes)
        return photo_network.open_torchvision(options.network, options.weights, names, device)
    if options.classes is not None:
        raise UserError("--classes: zfrepro's own weights contain the names of their classes; leave the option out")
    return photo_network.open_trained(options.weights, device)


def _class_names(path: Path) -> tuple[str, ...]:
    try:
        return tuple(line.strip() for line in paths.read_text(path).rstrip().splitlines())
    except UserError as error:
        raise UserError(f"--classes {error}") from error


def _inspect(
    options: argparse.Namespace, network: PhotoNetwork, photo: photographs.Photograph, number: int
) -> Inspection:
    """Inspect one photograph and print its prediction; number: from 1, for the message."""
    from zfrepro.look import inspect
    from zfrepro.look import page as look_page

    started = time.monotonic()
    result = inspect.inspect(
        network, photo.crop, options.maps, options.square, options.stride, not options.no_occlusion
    )
    best, probability = result.top[0]
    prediction = f"{network.classes[best]}, {look_page.percent(probability)}"
    print(f"{number}/{len(options.photo)} {photo.name}: {prediction} ({time.monotonic() - started:.1f} s)", flush=True)
    return result


def _save(
    page: Path,
    options: argparse.Namespace,
    network: PhotoNetwork,
    photos: list[photographs.Photograph],
    results: list[Inspection],
) -> None:
    from zfrepro.look import page as look_page

    text = look_page.render(network, photos, results)
    try:
        artifacts.save_text(page, text)
    except OSError as error:
        if error.errno == errno.ENOSPC:  # the same message for every command, see zfrepro/__main__.py
            raise
        raise UserError(
            f"--out {printable(options.out)}: cannot be written to ({error.strerror}); choose another folder"
        ) from error
