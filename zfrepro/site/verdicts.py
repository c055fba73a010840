"""Read the verdicts of one run: from its results folder, its report folder or a summary.json."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from zfrepro.errors import UserError
from zfrepro.graph import TRAINING
from zfrepro.report import training_setup
from zfrepro.site.summaries import Claim, Training, load
from zfrepro.storage import artifacts

EXHIBIT, SUMMARIES = "exhibits/claims/exhibit.json", ("report/summary.json", "summary.json")
ADVICE = "run that experiment again: zfrepro run"


@dataclass(frozen=True)
class RunVerdicts:
    """The claims of one run. experiment: its name, or that of the folder; training: None if the run does not record it."""

    path: Path
    experiment: str
    claims: tuple[Claim, ...]
    training: Training | None

    def setup(self) -> Iterator[str]:
        """`seeds 0-2`, then `bfloat16, cpu`"""
        if self.training is None:
            yield "training not recorded"
            return
        seeds = self.training.seeds
        yield f"seed{'s' if len(seeds) > 1 else ''} {ranges(seeds)}"
        yield f"{'+'.join(self.training.precisions)}, {'+'.join(self.training.devices)}"


def read(path: Path) -> RunVerdicts:
    """Raises UserError, one message that names the file, if `path` is not a run or is damaged."""
    if not path.is_dir():
        if not path.exists():
            raise UserError(f"{path}: does not exist; name a results folder, a report folder or a summary.json")
        return _from_summary(path, path)
    if (path / EXHIBIT).is_file():
        return _from_results(path)
    for name in SUMMARIES:
        if (path / name).is_file():
            return _from_summary(path, path / name)
    raise UserError(
        f"{path}: contains no verdicts (neither {EXHIBIT} nor {' nor '.join(SUMMARIES)}); finish that experiment with "
        "zfrepro run, or name the folder of another run"
    )


def _from_summary(path: Path, file: Path) -> RunVerdicts:
    summary = load(file, ADVICE)
    return RunVerdicts(path, summary.experiment, _not_empty(summary.claims, file), summary.training)


def _from_results(folder: Path) -> RunVerdicts:
    """From the claims exhibit and the networks that it depends on; the folder may lack a report."""
    file = folder / EXHIBIT
    content = artifacts.load_json(file)
    try:
        claims = tuple(Claim.model_validate(claim) for claim in content["data"]["claims"])
        files = list(content.get("files", {}).values())
    except ValidationError as error:
        fault = error.errors()[0]
        location = ".".join(str(part) for part in fault["loc"])
        raise UserError(f"{file}: claims: {location}: {fault['msg']}; {ADVICE}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{file}: is not the exhibit of the claims; {ADVICE}") from error
    return RunVerdicts(folder, folder.resolve().name, _not_empty(claims, file), _read_training(folder, files))


def _read_training(folder: Path, files: Sequence[str]) -> Training | None:
    """files: those that the claims depend on, relative to the folder, `evaluate/improved/errors.json`."""
    names = {part for file in files for part in PurePosixPath(file).parts[1:2]}
    paths = [folder / stage / name / "network.json" for stage in TRAINING for name in sorted(names)]
    networks = {str(path): artifacts.load_json(path) for path in paths if path.is_file()}
    try:
        return Training(**training_setup.facts(networks)) if networks else None
    except (KeyError, TypeError, ValidationError) as error:
        raise UserError(f"{folder}: a network.json in train/ or ablate/ is incomplete ({error}); {ADVICE}") from error


def _not_empty(claims: tuple[Claim, ...], file: Path) -> tuple[Claim, ...]:
    if not claims:
        raise UserError(
            f"{file}: contains no claims; add `claims` to report.exhibits of its experiment and run it again"
        )
    return claims


def ranges(numbers: Sequence[int]) -> str:
    """`0-2, 7` of 0, 1, 2, 7"""
    groups: list[list[int]] = []
    for number in sorted(numbers):
        if groups and number == groups[-1][-1] + 1:
            groups[-1].append(number)
        else:
            groups.append([number])
    return ", ".join(str(group[0]) if len(group) == 1 else f"{group[0]}-{group[-1]}" for group in groups)
