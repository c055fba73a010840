"""Build one table or figure of the report from the results of the stages."""

from __future__ import annotations

import base64
import importlib
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from zfrepro.core.finite import require_finite_arrays, require_finite_record
from zfrepro.core.localisation import SCORES
from zfrepro.errors import UserError
from zfrepro.exhibits.kit import latex
from zfrepro.exhibits.kit.texts import missing_letters
from zfrepro.spec import Base
from zfrepro.storage import artifacts, not_measured
from zfrepro.storage.diverged import explain_not_finite

if TYPE_CHECKING:
    from zfrepro.exhibits.kit.base import Exhibit, Piece


# Arrays in which NaN means "none": no position of the square on the object, or beside it; no energy in a map's projections
MISSING = frozenset({*SCORES, "lines_2", "squares_2"} - {"clean", "area", "kept", "pointing"})
CLAIMS = "claims"  # the exhibit that shows every claim
ADVICE = "run the stages it depends on again, or leave it out of `report.exhibits`"


class Spec(Base):
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$", description="module in zfrepro/exhibits")
    files: dict[str, Path] = Field(description="label -> file that the exhibit reads")
    left_out: str = Field("", description="why the data of the exhibit cannot be there; empty: it is built")


def inputs(spec: Spec, digest: Callable[..., str]) -> dict[str, str]:
    """Label -> digest of a file that the exhibit reads. All of the file counts: a caption may name any of it."""
    return {label: digest(path, whole=True) for label, path in spec.files.items()}


def run(spec: Spec, out: Path) -> None:
    """Write out/<name>.csv, .png and .tex, and last out/exhibit.json with everything that the page shows."""
    for label, path in spec.files.items():
        _check(spec.name, label, path)
    module = importlib.import_module(f"zfrepro.exhibits.{spec.name}")
    with explain_not_finite(f"exhibit {spec.name}", ADVICE):
        built = _build(spec, module)
        page = _page(spec, module, built)
        require_finite_record(page)
    _note_missing_letters(spec.name, f"{built.csv()}{built.alt}")
    artifacts.save_text(out / f"{spec.name}.csv", built.csv())
    with artifacts.atomic(out / f"{spec.name}.png") as temporary:
        temporary.write_bytes(built.png)
    files = {label: _within(out.parent.parent, path) for label, path in spec.files.items()}
    artifacts.save_text(out / f"{spec.name}.tex", latex.table(page))
    artifacts.save_json(out / "exhibit.json", {**page, "files": files})


def _note_missing_letters(name: str, text: str) -> None:
    if missing := missing_letters(text):
        shown = f"{', '.join(missing[:8])}{', ...' if len(missing) > 8 else ''}"
        note = f"{name}: the font of the figures lacks {shown}; the figures have U+... in their place, the page and the CSV the letters"
        print(json.dumps({"note": note}, ensure_ascii=False), flush=True)


def _build(spec: Spec, module: Any) -> Exhibit:
    """The exhibit, or in its place why it is left out: as the settings say, as a stage has recorded, or as its numbers show."""
    from zfrepro.exhibits.kit.left_out import NotMeasured, leave_out

    judges = spec.name == CLAIMS  # each claim for itself
    recorded = () if judges else filter(None, map(not_measured.read_reason, spec.files.values()))
    if reason := spec.left_out or next(iter(recorded), ""):
        return leave_out(module.TITLE, reason)
    try:
        return module.build(spec.files)
    except NotMeasured as error:
        return leave_out(module.TITLE, str(error))


def _check(name: str, label: str, path: Path) -> None:
    """Raises UserError for a file that is missing or empty, or holds a number that is NaN or infinite."""
    if not path.is_file():
        raise UserError(f"{path}: missing, but {name} needs it ({label}); run the stage that creates it")
    if path.stat().st_size == 0:
        raise UserError(f"{path}: empty, but {name} needs it ({label}); delete it and run again")
    with explain_not_finite(path, "delete it and run again"):
        if path.suffix == ".npz":
            require_finite_arrays(artifacts.load_arrays(path), MISSING)
        elif path.suffix == ".json":
            artifacts.load_json(path)


def _within(experiment: Path, path: Path) -> str:
    """Relative to the experiment's folder; as it was given where it lies elsewhere."""
    absolute, root = path.absolute(), experiment.absolute()
    return (absolute.relative_to(root) if absolute.is_relative_to(root) else path).as_posix()


def _page(spec: Spec, module: Any, built: Exhibit) -> dict[str, Any]:
    """What the page shows, as plain values; the pieces' pictures are inside, so that no file can go astray."""
    return {
        "name": spec.name,
        "kind": built.kind,
        "title": module.TITLE,
        "paper": module.PAPER,
        "caption": built.caption,
        "alt": built.alt,
        "notes": list(built.notes),
        "highlights": [vars(highlight) for highlight in built.highlights],
        "rows_title": getattr(built, "rows_title", ""),
        **built.table(),
        "data": dict(built.data),
        "saved": _plain(dict(built.drawing.saved)),
        "pieces": [_plain_piece(piece) for piece in built.pieces],
    }


def _plain_piece(piece: Piece) -> dict[str, Any]:
    """With `png` and `saved` of its drawing."""
    record = asdict(piece)
    return {**_plain(record.pop("drawing")), **_plain(record)}


def _plain(value: Any) -> Any:
    """The same with pictures as base64."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else value
