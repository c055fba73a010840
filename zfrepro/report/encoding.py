"""The pictures of an exhibit, encoded by other threads: for the page, for print, and as the figure's file."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from zfrepro.errors import UserError
from zfrepro.report import html, images
from zfrepro.report.pdf import Picture

Exhibit = dict[str, Any]
Result = TypeVar("Result")


@dataclass(frozen=True)
class EncodedPiece:
    page: images.Coded
    print: images.Coded
    file: bytes  # empty where the figure's file holds another picture


@dataclass(frozen=True)
class EncodedExhibit:
    """An exhibit whose pictures are being encoded; what is asked for waits for them, but for print."""

    exhibit: Exhibit
    pieces: list[Future[EncodedPiece]]
    faces: list[list[Future[images.Coded]]]  # of each piece
    narrow: list[Future[images.Coded] | None]  # of each piece
    figure: Future[bytes] | None  # None where a piece is the figure's file

    def for_page(self) -> Exhibit:
        """Each piece and face with its PNG or WebP as base64, and its `mime`."""
        pieces = [
            {
                **_with_png(piece, coded.result().page),
                "faces": list(map(_with_png, piece["faces"], _results(faces))),
                "narrow": narrow and _with_png(piece["narrow"], narrow.result()),
            }
            for piece, coded, faces, narrow in zip(
                self.exhibit["pieces"], self.pieces, self.faces, self.narrow, strict=True
            )
        ]
        return {**self.exhibit, "pieces": pieces}

    def for_print(self) -> Exhibit:
        """Each piece with the address of its picture, without faces."""
        pieces = [
            {**piece, "source": f"picture:{self._id(i)}", "faces": []} for i, piece in enumerate(self.exhibit["pieces"])
        ]
        return {**self.exhibit, "pieces": pieces}

    def pictures(self) -> Iterator[tuple[str, Picture]]:
        """Address in print -> the picture there, PNG or JPEG."""
        for i, (piece, coded) in enumerate(zip(self.exhibit["pieces"], self.pieces, strict=True)):
            yield f"picture:{self._id(i)}", Picture(self._id(i), *html.extent(piece["png"]), _print_of(coded))

    def _id(self, i: int) -> str:
        return f"{self.exhibit['name']}-{i}"

    def file(self) -> bytes:
        """The figure's PNG."""
        return (
            self.figure.result() if self.figure else next(piece.file for piece in _results(self.pieces) if piece.file)
        )


def encode(exhibit: Exhibit, figure: Path, pool: Executor) -> EncodedExhibit:
    """Start to encode. figure: the exhibit's whole picture, a PNG. Waiting raises UserError for a damaged one."""
    name, pieces = exhibit["name"], exhibit["pieces"]
    content = base64.b64encode(figure.read_bytes()).decode("ascii")
    card = is_in_files([piece["saved"] for piece in pieces])
    position = next((i for i, piece in enumerate(pieces) if piece["png"] == content), None)
    return EncodedExhibit(
        exhibit,
        [pool.submit(_piece, name, piece["png"], i == position, card) for i, piece in enumerate(pieces)],
        [[pool.submit(_encode_face, name, face["png"]) for face in piece["faces"]] for piece in pieces],
        [piece["narrow"] and pool.submit(_encode_face, name, piece["narrow"]["png"]) for piece in pieces],
        pool.submit(_figure, figure, card) if position is None else None,
    )


def _piece(name: str, png: str, is_figure: bool, card: bool) -> EncodedPiece:
    image = _open(name, png)
    file = _file(image, card) if is_figure else b""
    return EncodedPiece(images.for_page(image), images.for_print(image), file)


def _encode_face(name: str, png: str) -> images.Coded:
    return images.for_page(_open(name, png))


def _open(name: str, png: str) -> images.SourceImage:
    try:
        return images.open_png(base64.b64decode(png))
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"exhibits/{name}/exhibit.json: damaged picture; delete the file and run again") from error


def is_in_files(saved: Sequence[Mapping[str, str]]) -> bool:
    """Whether all of a figure is in other files than its PNG, those of its pieces or large images; that PNG then is a card."""
    return all(saved) and (len(saved) > 1 or "pdf" not in saved[0])


def _file(image: images.SourceImage, card: bool) -> bytes:
    return images.for_card(image) if card else images.for_file(image)


def _figure(path: Path, card: bool) -> bytes:
    try:
        return _file(images.open_png(path.read_bytes()), card)
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{path}: damaged picture; delete the file and run again") from error


def _with_png(picture: dict[str, Any], coded: images.Coded) -> dict[str, Any]:
    """A piece or face with another file as its picture."""
    return {**picture, "png": coded.text(), "mime": coded.mime}


def _print_of(piece: Future[EncodedPiece]) -> Callable[[], images.Coded]:
    return lambda: piece.result().print


def _results(futures: Sequence[Future[Result]]) -> list[Result]:
    return [future.result() for future in futures]
