"""Inspect your own photographs with a trained network: its prediction, the features it finds, the effect of a grey square."""

from __future__ import annotations

import argparse
import errno
import os
import sys
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
STOPPED = 130  # exit code after Ctrl-C, as shells have it
ALREADY_KNOWN = {
    "classes": "the names of their classes",
    "size": "the size of their input",
    "mean": "their mean image",
    "std": "their mean image, and divide by nothing",
}


def main(arguments: list[str]) -> None:
    options = _parser().parse_args(arguments)
    try:
        _look(options)
    except KeyboardInterrupt:
        print("zfrepro: stopped; no page was written", file=sys.stderr)
        sys.exit(STOPPED)


def _look(options: argparse.Namespace) -> None:
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
    parser.add_argument("--out", type=paths.resolve, required=True, metavar="DIR", help="folder to write index.html to")
    _add_network(parser.add_argument_group("network"))
    _add_inspection(parser.add_argument_group("what is shown"))
    parser.add_argument(
        "--device",
        default="auto",
        help="auto, cpu, cuda or cuda:1; default: auto, a GPU if there is one",
    )
    parser.add_argument(
        "--threads",
        type=_positive,
        default=machine.cores(),
        metavar="N",
        help="CPU threads; default: all that this process may use",
    )
    return parser


def _add_network(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--weights", type=paths.resolve, metavar="FILE", help="weights of the trained network")
    group.add_argument(
        "--network",
        default=ZFREPRO,
        metavar="NAME",
        help="network that the weights belong to: zfrepro (default), or a classifier of torchvision: alexnet, resnet50, ...",
    )
    group.add_argument(
        "--model",
        metavar="MODULE:FUNCTION",
        help="instead: a function of yours without arguments that returns a torch.nn.Module with its weights, in evaluation mode",
    )
    group.add_argument(
        "--classes",
        type=paths.resolve,
        metavar="FILE",
        help="class names, one per line, of a network that is not zfrepro's; default: ImageNet's, if it has 1000 classes",
    )
    group.add_argument(
        "--size", type=_positive, metavar="N", help="side of the network's input in pixels; default: 224"
    )
    for name in ("mean", "std"):
        group.add_argument(
            f"--{name}",
            type=float,
            nargs=3,
            metavar=("R", "G", "B"),
            help=f"{name} of the pixels, 0 to 1, for the network's inputs; default: ImageNet's",
        )


def _add_inspection(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--layers",
        type=_names,
        metavar="NAME,...",
        help="modules whose maps are shown, for example features.3,layer2.0.relu; default: the last rectified ones before each "
        "change of resolution, at most five",
    )
    group.add_argument(
        "--rectifier",
        choices=("error", "pass"),
        default="error",
        help="pass: also show layers without a deconvnet (SiLU, GELU, attention), by their derivatives; default: error",
    )
    group.add_argument(
        "--maps",
        type=_positive,
        default=4,
        metavar="N",
        help="maps with the highest activation per layer; default: 4",
    )
    group.add_argument(
        "--square",
        type=_positive,
        metavar="N",
        help="side of the grey square in pixels; default: 50 at an input of 224",
    )
    group.add_argument(
        "--stride", type=_positive, metavar="N", help="step of the grey square in pixels; default: 6 at an input of 224"
    )
    group.add_argument(
        "--no-occlusion", action="store_true", help="skip the grey square, the slowest part, and Grad-CAM"
    )


def _names(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    if "" in names:
        raise ValueError(text)
    return names


_names.__name__ = "list of layers"  # so argparse says: invalid list of layers value


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

    if options.network == ZFREPRO and not options.model:
        return _open_trained(options)
    _check_std(options.std)
    device = devices.choose(options.device, options.threads)
    choices = photo_network.Choices(
        None if options.classes is None else _class_names(options.classes),
        options.layers,
        options.rectifier,
        options.size,
        options.mean,
        options.std,
    )
    if not options.model:
        return photo_network.open_torchvision(options.network, options.weights, choices, device)
    if options.network != ZFREPRO or options.weights:
        other = "--weights" if options.weights else "--network"
        raise UserError(f"--model and {other} exclude each other; the function of --model loads its weights itself")
    return photo_network.open_own(options.model, choices, device)


def _open_trained(options: argparse.Namespace) -> PhotoNetwork:
    from zfrepro.look import photo_network

    for name, what in ALREADY_KNOWN.items():
        if getattr(options, name) is not None:
            raise UserError(f"--{name}: zfrepro's own weights contain {what}; leave the option out")
    if options.weights is None:
        raise UserError(
            "pass --weights FILE, the model.safetensors that a run writes to results/NAME/train/NETWORK/; or --network or --model"
        )
    device = devices.choose(options.device, options.threads)
    return photo_network.open_trained(options.weights, device, options.layers)


def _check_std(std: list[float] | None) -> None:
    if std and not all(value > 0 for value in std):
        raise UserError(f"--std {' '.join(map(str, std))}: give three numbers above 0")


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
