"""Broken and odd inputs from a seed: images, experiment files, annotations, weights and archives, each given to what reads it.

An input ends as `refused` (one UserError), `accepted`, `traceback` (any other error) or `silent`. Silent acceptance: the input is
damaged in a way that its format can show (cut short, a checksum that does not fit, bytes that are no text, a key that stands twice,
a value of another kind), and yet it is taken without a message and with another result than the undamaged one. Damage that a format
cannot show (other pixels in a BMP, another number in a CSV) is no such case.

    PYTHONPATH=.:tests python tests/helpers/fuzz.py --seed 1 --count 1000
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import io
import itertools
import json
import os
import random
import shutil
import struct
import sys
import tarfile
import tempfile
import traceback
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from zfrepro.errors import UserError

SMOKE = Path(__file__).parents[1] / "smoke.yaml"
DAMAGED, SAME, OPEN = "damaged", "same", "open"  # must be refused or harmless; must give the same result; either


@dataclass(frozen=True)
class Case:
    """An input: bytes, what was done to them, and what may come of it."""

    kind: str
    change: str
    content: bytes
    expected: str
    name: str  # of its file


@dataclass
class Report:
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def run(seed: int, count: int, folder: Path) -> Report:
    """`count` inputs, the kinds in turn."""
    rng, report = random.Random(seed), Report()
    for number, kind in zip(range(count), itertools.cycle(KINDS), strict=False):
        make, read = KINDS[kind]
        case = make(rng)
        place = folder / f"{number}"
        place.mkdir()
        outcome, detail = _outcome(case, read, place)
        report.counts.setdefault(kind, Counter())[outcome] += 1
        if outcome in ("traceback", "silent"):
            report.faults.append(f"{number} {kind}, {case.change}: {outcome} {detail}")
        else:
            shutil.rmtree(place)
    return report


def _outcome(case: Case, read: Callable[[bytes, str, Path], Any], place: Path) -> tuple[str, str]:
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            result = read(case.content, case.name, place)
    except UserError as error:
        if case.expected == SAME:
            return "silent", f"refused though harmless: {error}"
        is_named = case.name.split(".")[0] in str(error)
        return ("refused", "") if is_named else ("traceback", f"a message that does not name the file: {error}")
    except Exception:
        return "traceback", traceback.format_exc(limit=-3)
    same = _equal(result, _undamaged(case.kind, case.name))
    if case.expected != OPEN and not same:
        return "silent", f"accepted with another result, {place}"
    return "accepted", ""


@cache
def _undamaged(kind: str, name: str) -> Any:
    with tempfile.TemporaryDirectory() as place, contextlib.redirect_stdout(io.StringIO()):
        return KINDS[kind][1](ORIGINALS[kind](name), name, Path(place))


def _equal(first: Any, second: Any) -> bool:
    return np.array_equal(first, second) if isinstance(first, np.ndarray) else first == second


# Damage that suits every kind


def _cut(rng: random.Random, content: bytes) -> bytes:
    return content[: int(len(content) * rng.uniform(0, 0.9))]


def _flip(rng: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _overwrite(rng: random.Random, content: bytes) -> bytes:
    start, size = rng.randrange(len(content)), rng.choice((1, 4, 16, 64))
    return content[:start] + rng.randbytes(size) + content[start + size :]


# Images

FORMATS = {
    "a.jpg": "JPEG", "a.png": "PNG", "a.webp": "WEBP", "a.gif": "GIF", "a.bmp": "BMP", "a.tif": "TIFF", "a.ppm": "PPM",
    "a.jp2": "JPEG2000", "a.avif": "AVIF",
}  # fmt: skip
WITH_EXIF = ("a.jpg", "a.png", "a.webp")
TAGS = (0x010F, 0x011A, 0x011B, 0x0128, 0x0131, 0x0132, 0x8298, 0x8769, 0x8825, 0x927C, 0xA005, 0xB000)


@cache
def _image(name: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    raw = io.BytesIO()
    Image.fromarray(pixels).save(raw, FORMATS[name], **({"lossless": True} if name == "a.webp" else {}))
    return raw.getvalue()


def _odd_exif(rng: random.Random, name: str) -> bytes:
    """The image with one tag of any type and value."""
    kind, count = rng.randrange(0, 20), rng.choice((0, 1, 2, 3, 7, 2**31, 2**32 - 1))
    entry = struct.pack("<HHL", rng.choice(TAGS), kind, count) + rng.randbytes(4)
    block = (
        b"Exif\0\0II*\0"
        + struct.pack("<LH", 8, 1)
        + entry
        + struct.pack("<L", rng.choice((0, 8, 2**31)))
        + rng.randbytes(40)
    )
    content = _image(name)
    if name == "a.jpg":
        return content[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + content[2:]
    if name == "a.png":
        chunk = b"eXIf" + block.removeprefix(b"Exif\0\0")
        return (
            content[:33]
            + struct.pack(">L", len(chunk) - 4)
            + chunk
            + struct.pack(">L", zlib.crc32(chunk))
            + content[33:]
        )
    raw = io.BytesIO()
    with Image.open(io.BytesIO(content)) as image:
        image.save(raw, FORMATS[name], exif=block, lossless=True)
    return raw.getvalue()


def _image_case(rng: random.Random) -> Case:
    name, change = (
        rng.choice(list(FORMATS)),
        rng.choice(("cut", "flip", "overwrite", "junk", "empty", "exif", "trailing")),
    )
    content, expected = _image(name), OPEN
    if change == "exif":
        name = rng.choice(WITH_EXIF)
        return Case("image", f"odd EXIF in {name}", _odd_exif(rng, name), SAME, name)
    if change == "cut":
        content, expected = _cut(rng, content), DAMAGED
    elif change in ("junk", "empty"):
        content, expected = rng.randbytes(rng.randrange(400)) if change == "junk" else b"", DAMAGED
    elif change == "trailing":
        content, expected = content + rng.randbytes(rng.randrange(1, 400)), SAME if name != "a.avif" else OPEN
    else:
        content = (_flip if change == "flip" else _overwrite)(rng, content)
        expected = DAMAGED if name == "a.png" else OPEN  # the one format here with checksums
    return Case("image", f"{change} {name}", content, expected, name)


def _read_image(content: bytes, name: str, place: Path) -> np.ndarray:
    from zfrepro.datasets.decoding import decode

    (place / name).write_bytes(content)
    return np.asarray(decode(place / name).image)


# Experiment files

ODD_VALUES = (
    None,
    [],
    {},
    "",
    "x",
    -1,
    0,
    True,
    1.5,
    10**400,
    float("nan"),
    float("inf"),
    ["x"],
    {"x": 1},
    "\ud83d\ude00",
    [[]],
    2**63,
)


@cache
def _experiment() -> bytes:
    return SMOKE.read_bytes()


def _leaves(content: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Locations of all values."""
    if above:
        yield above
    pairs = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in pairs:
        yield from _leaves(value, (*above, key))


def _odd_value(rng: random.Random) -> bytes:
    content = yaml.safe_load(_experiment())
    *parents, last = rng.choice(list(_leaves(content)))
    section = content
    for key in parents:
        section = section[key]
    section[last] = copy.deepcopy(rng.choice(ODD_VALUES))
    return yaml.safe_dump(content, allow_unicode=True).encode()


def _key_twice(rng: random.Random) -> bytes:
    """A line that holds a key and its whole value stands twice."""
    lines = _experiment().decode().splitlines(keepends=True)
    candidates = [
        i
        for i, line in enumerate(lines)
        if ": " in line and not line.lstrip().startswith(("#", "- ")) and yaml_line(line)
    ]
    i = rng.choice(candidates)
    return "".join([*lines[: i + 1], lines[i], *lines[i + 1 :]]).encode()


def yaml_line(line: str) -> bool:
    try:
        return isinstance(yaml.safe_load(line), dict)
    except yaml.YAMLError:
        return False


def _experiment_case(rng: random.Random) -> Case:
    text = _experiment()
    changes: dict[str, tuple[Callable[[], bytes], str]] = {
        "key twice": (lambda: _key_twice(rng), DAMAGED),
        "UTF-16": (lambda: text.decode().encode(rng.choice(("utf-16", "utf-16-le", "utf-32"))), DAMAGED),
        "Latin-1": (lambda: text + "# k\u00e4fer\n".encode("latin-1"), DAMAGED),
        "byte order mark": (lambda: b"\xef\xbb\xbf" + text, SAME),
        "Windows lines": (lambda: text.replace(b"\n", b"\r\n"), SAME),
        "unknown key": (lambda: text + b"colour: blue\n", DAMAGED),
        "odd value": (lambda: _odd_value(rng), OPEN),
        "cut": (lambda: _cut(rng, text), OPEN),
        "flip": (lambda: _flip(rng, text), OPEN),
        "overwrite": (lambda: _overwrite(rng, text), OPEN),
        "nested": (lambda: b"a: " + b"[" * rng.randrange(2000, 9000), DAMAGED),
        "alias": (lambda: text.replace(b"title:", b"x: &x [*x]\ntitle:"), DAMAGED),
        "control": (lambda: text + bytes([rng.choice((0, 1, 7, 27))]), DAMAGED),
        "two": (lambda: text + b"---\n" + text, DAMAGED),
    }
    change = rng.choice(list(changes))
    make, expected = changes[change]
    return Case("experiment", change, make(), expected, "mine.yaml")


def _read_experiment(content: bytes, name: str, place: Path) -> dict[str, Any]:
    from zfrepro.experiment import loading

    (place / name).write_bytes(content)
    config = loading.load(place / name)
    for stage, names in (("prepare", config.prepare), ("train", config.train.runs), ("folds", config.folds)):
        for experiment in names:
            config.slice((stage, experiment))
    config.reductions()
    return config.model_dump(mode="json")


# Annotations of parts

ROWS = ["image,part,x0,y0,x1,y1"] + [
    f"{image},{part},{x},8,{x + 3},12"
    for image in ("one.png", "two.png")
    for part, x in (("right eye", 9), ("left eye", 15), ("nose", 12))
]


@cache
def _annotations() -> bytes:
    return "\n".join([*ROWS, ""]).encode()


def _annotation_case(rng: random.Random) -> Case:
    text, row, cell = _annotations().decode(), rng.randrange(1, len(ROWS)), rng.randrange(6)

    def cells(value: str) -> bytes:
        rows = [line.split(",") for line in ROWS]
        rows[row][cell] = value
        return "\n".join(map(",".join, rows)).encode()

    odd = rng.choice(("", "nan", "inf", "-1e9", "1e400", "x", "0x10", "9 9", '"', "\0", "../one.png", "/", "."))
    changes: dict[str, tuple[Callable[[], bytes], str]] = {
        "odd cell": (lambda: cells(odd), DAMAGED),
        "byte order mark": (lambda: b"\xef\xbb\xbf" + text.encode(), SAME),
        "Windows lines": (lambda: text.replace("\n", "\r\n").encode(), SAME),
        "UTF-16": (lambda: text.encode(rng.choice(("utf-16", "utf-16-le", "utf-16-be"))), DAMAGED),
        "Latin-1": (lambda: text.replace("two", "zw\u00f6lf").encode("latin-1"), DAMAGED),
        "semicolons": (lambda: text.replace(",", ";").encode(), DAMAGED),
        "row twice": (lambda: (text + ROWS[row] + "\n").encode(), DAMAGED),
        "row missing": (lambda: "\n".join(ROWS[:row] + ROWS[row + 1 :]).encode(), DAMAGED),
        "column missing": (lambda: "\n".join(line.rpartition(",")[0] for line in ROWS).encode(), DAMAGED),
        "quote": (lambda: text.replace("two", '"two', 1).encode(), DAMAGED),
        "cut": (lambda: _cut(rng, text.encode()), DAMAGED),
        "flip": (lambda: _flip(rng, text.encode()), OPEN),
        "overwrite": (lambda: _overwrite(rng, text.encode()), OPEN),
    }
    change = rng.choice(list(changes))
    make, expected = changes[change]
    return Case("annotations", f"{change} ({odd!r})" if change == "odd cell" else change, make(), expected, "parts.csv")


def _read_annotations(content: bytes, name: str, place: Path) -> list[Any]:
    from zfrepro.datasets import part_annotations

    for image in ("one.png", "two.png"):
        (place / image).write_bytes(_image("a.png"))
    (place / name).write_bytes(content)
    images = part_annotations.read_csv(place / name, None, 16, (0, 0, 16, 16))
    return [(image.file, image.parts, image.object, image.pixels.tobytes()) for image in images]


# Weights


@cache
def _network() -> tuple[dict[str, Any], dict[str, Any]]:
    """Tensors, and the description as JSON holds it."""
    import torch

    from zfrepro.core.architecture import Network
    from zfrepro.core.nets import build
    from zfrepro.storage import network_file

    torch.manual_seed(0)
    network = Network(base="improved", remove=(3, 4, 6, 7))
    tensors = build(network, 64, 2, width=1 / 48).state_dict()
    stored = json.loads(network_file.Description(network, 1 / 48, 64, ("cat", "dog")).metadata()[network_file.FORMAT])
    return {**tensors, network_file.MEAN: torch.full((72, 72, 3), 100.0)}, stored


def _weights(description: str | None = None, tensors: dict[str, Any] | None = None) -> bytes:
    from safetensors.torch import save

    from zfrepro.storage.network_file import FORMAT

    original, stored = _network()
    return save(tensors or original, {FORMAT: json.dumps(stored) if description is None else description})


def _weights_case(rng: random.Random) -> Case:
    import torch

    content, (tensors, stored) = _weights(), _network()
    change, expected = rng.choice(("odd key", "odd text", "odd tensor", "cut", "flip", "overwrite", "digest")), DAMAGED
    if change == "odd key":
        *parents, last = rng.choice([leaf for leaf in _leaves(stored) if leaf[0] != "classes"])
        changed = copy.deepcopy(stored)
        section: Any = changed
        for key in parents:
            section = section[key]
        before, section[last] = section[last], copy.deepcopy(rng.choice(ODD_VALUES))
        expected = SAME if section[last] == before and type(section[last]) is type(before) else DAMAGED
        content = _weights(json.dumps(changed))
    elif change == "odd text":
        content = _weights(
            rng.choice(
                ("", "null", "[]", "3", "x" * 99, "{", json.dumps(stored)[:-9], json.dumps(stored).replace("{", "[", 1))
            )
        )
    elif change == "odd tensor":
        name = rng.choice(list(tensors))
        wrong = rng.choice(
            (
                torch.zeros(1),
                torch.zeros(0),
                tensors[name].long(),
                tensors[name][..., :-1].contiguous(),
                tensors[name] * float("nan"),
            )
        )
        content = _weights(tensors={**tensors, name: wrong})
    elif change == "cut":
        content = _cut(rng, content)
    elif change in ("flip", "overwrite"):  # with a digest that fits
        content, expected = (_flip if change == "flip" else _overwrite)(rng, content), OPEN
    return Case("weights", change, content, expected, "digest.safetensors" if change == "digest" else "w.safetensors")


def _read_weights(content: bytes, name: str, place: Path) -> tuple[Any, ...]:
    from zfrepro.models.trained_network import TrainedNetwork
    from zfrepro.storage import artifacts

    path = place / name
    path.write_bytes(content)
    digest = artifacts.sha256(path) if name != "digest.safetensors" else "0" * 64
    (place / f"{name}.sha256").write_text(f"{digest}  {name}\n")
    trained = TrainedNetwork(path, "cpu", threads=1)
    return (
        trained.description,
        {key: tensor.numpy().tobytes() for key, tensor in trained.net.state_dict().items()},
        trained.mean.tobytes(),
    )


# Archives

MEMBERS = {"set/cat/1.jpg": b"one" * 700, "set/dog/2.jpg": bytes(range(256)) * 9, "set/list.txt": b"k\xc3\xa4fer\n"}
MODES = {"a.tar": "w", "a.tar.gz": "w:gz", "a.tar.bz2": "w:bz2", "a.tar.xz": "w:xz"}


@cache
def _archive(name: str) -> bytes:
    return _packed(name, [])


def _packed(name: str, extra: list[tarfile.TarInfo | str]) -> bytes:
    raw = io.BytesIO()
    if name == "a.zip":
        with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, content in MEMBERS.items():
                archive.writestr(zipfile.ZipInfo(member), content)
            for odd in extra:
                archive.writestr(zipfile.ZipInfo(odd if isinstance(odd, str) else odd.name), b"x")
        return raw.getvalue()
    with tarfile.open(fileobj=raw, mode=MODES[name]) as tar:
        for member, content in MEMBERS.items():
            entry = tarfile.TarInfo(member)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        for odd in extra:
            tar.addfile(tarfile.TarInfo(odd) if isinstance(odd, str) else odd)
    return raw.getvalue()


def _odd_member(rng: random.Random, name: str) -> bytes:
    hostile = ["../out", "/etc/x", "a/../../x", "C:\\x", "..\\x", "set/cat/1.jpg", "set/cat/1.jpg/below"]
    if name == "a.zip":
        return _packed(name, [rng.choice(hostile[:5])])
    link = tarfile.TarInfo("set/link")
    link.type, link.linkname = (
        rng.choice((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE)),
        "/etc/passwd",
    )
    return _packed(name, [rng.choice([link, os.fsdecode(b"set/caf\xe9"), *hostile])])


def _archive_case(rng: random.Random) -> Case:
    name, change = rng.choice((*MODES, "a.zip")), rng.choice(("cut", "flip", "overwrite", "member", "junk", "digest"))
    content, expected = _archive(name), DAMAGED
    if change == "cut":
        content = _cut(rng, content)
    elif change in ("flip", "overwrite"):
        content = (_flip if change == "flip" else _overwrite)(rng, content)
        expected = OPEN if name == "a.tar" else DAMAGED  # a plain tar has checksums of its headers alone
    elif change == "member":
        content = _odd_member(rng, name)
    elif change == "junk":
        content = rng.randbytes(rng.randrange(3000))
    else:
        name = f"digest.{name}"
    return Case("archive", f"{change} {name}", content, expected, name)


def _read_archive(content: bytes, name: str, place: Path) -> dict[str, bytes]:
    from zfrepro.datasets import archives

    (place / name).write_bytes(content)
    archives.unpack(place / name, place / "out", "0" * 64 if name.startswith("digest") else None)
    return {
        str(path.relative_to(place / "out")): path.read_bytes()
        for path in sorted((place / "out").rglob("*"))
        if path.is_file()
    }


KINDS: dict[str, tuple[Callable[[random.Random], Case], Callable[[bytes, str, Path], Any]]] = {
    "image": (_image_case, _read_image),
    "experiment": (_experiment_case, _read_experiment),
    "annotations": (_annotation_case, _read_annotations),
    "weights": (_weights_case, _read_weights),
    "archive": (_archive_case, _read_archive),
}
ORIGINALS: dict[str, Callable[[str], bytes]] = {
    "image": _image,
    "experiment": lambda name: _experiment(),
    "annotations": lambda name: _annotations(),
    "weights": lambda name: _weights(),
    "archive": _archive,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = run(options.seed, options.count, Path(folder))
    for kind, counts in report.counts.items():
        print(
            f"{kind:<12} {sum(counts.values()):>6}  "
            + "  ".join(f"{name} {counts[name]}" for name in ("refused", "accepted", "traceback", "silent"))
        )
    print(*report.faults, sep="\n")
    return bool(report.faults)


if __name__ == "__main__":
    sys.exit(main())
