"""Sentences on what an experiment makes smaller than the paper did, or does otherwise, for the report's first page.

How many images and classes a set has is known once it is prepared: see report/counts.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zfrepro.core.architecture import Network
from zfrepro.experiment import paper_settings as paper
from zfrepro.experiment.paper_settings import Printed
from zfrepro.spec import Base
from zfrepro.stages import prepare, train

FILTER_RMS = 0.1


@dataclass(frozen=True)
class Settings:
    """An experiment's settings, as far as they are compared with the paper's."""

    source: prepare.Spec
    targets: Mapping[str, prepare.Spec]  # role -> its set
    runs: Sequence[train.Spec]
    sections: Mapping[str, Base] = field(default_factory=dict)  # stage -> settings, of those that run
    folds: Mapping[str, Any] = field(default_factory=dict)  # target -> its stages.folds.Spec
    scratch: Mapping[str, tuple[int, ...] | None] = field(default_factory=dict)  # target -> training images per class


def list_reductions(settings: Settings) -> list[str]:
    """First which images, then how networks are trained, then stage by stage."""
    return [
        *_source_reductions(settings.source),
        *_stand_ins(settings.targets),
        *_differences(paper.PREPARE, [settings.source, *settings.targets.values()]),
        *_training_reductions(settings.runs),
        *(sentence for stage, section in settings.sections.items() for sentence in _section_reductions(stage, section)),
        *_transfer_reductions(settings),
    ]


def _source_reductions(source: prepare.Spec) -> Iterator[str]:
    if source.dataset == "scenes":
        yield "The networks are trained on images drawn by the program itself (`scenes`), not on ImageNet 2012."
        return
    if source.dataset != "imagenet":
        yield f"The networks are trained on images of the set `{source.dataset}`, not on ImageNet 2012."
    if limits := _limits(source.options):
        yield f"Only a part of `{source.dataset}` is used: {limits}."


def _stand_ins(targets: Mapping[str, prepare.Spec]) -> Iterator[str]:
    for role, spec in sorted(targets.items()):
        if role != spec.dataset:
            yield f"`{spec.dataset}` stands in for {role}."
        elif limits := _limits(spec.options):
            yield f"Only a part of `{role}` is used: {limits}."


def _training_reductions(runs: Sequence[train.Spec]) -> Iterator[str]:
    faded = {"weight_decay"} if all(run.fade is not None for run in runs) else set()  # `fade` takes its place
    yield from _differences({name: setting for name, setting in paper.TRAIN.items() if name not in faded}, runs)
    yield from _clipping(runs)
    copies = len({run.seed for run in runs if run.network == Network(base="improved") and run.filter_rms is not None})
    if 0 < copies < paper.ENSEMBLE:
        yield f"The paper's network is trained {_times(copies)} instead of {paper.ENSEMBLE} times, for the ensemble of Table 2."


def _clipping(runs: Sequence[train.Spec]) -> Iterator[str]:
    """The paper too trained a network without clipping, for Fig 6, beside the same one with clipping."""
    clipped = [run.network for run in runs if run.filter_rms is not None]
    if any(run.filter_rms is None and run.network not in clipped for run in runs):
        yield f"Filters of convolution layers are not clipped in training; the paper clips them to an RMS of {FILTER_RMS:g}."
    if others := sorted({run.filter_rms for run in runs if run.filter_rms is not None} - {FILTER_RMS}):
        yield f"Filters of convolution layers are clipped to an RMS of {_join(others)} instead of {FILTER_RMS:g}."


def _section_reductions(stage: str, section: Base) -> Iterator[str]:
    yield from _differences(paper.STAGES[stage], [section])
    if stage == "evaluate" and 10 not in section.views:  # type: ignore[attr-defined]
        yield "Networks are tested on the centre view only; the paper, it seems, averages ten views."
    if stage == "correspondence" and not section.classes:  # type: ignore[attr-defined]
        yield "Table 1 compares images of any class whose parts are known, the paper images of dogs."


def _transfer_reductions(settings: Settings) -> Iterator[str]:
    for target, split in sorted(settings.folds.items()):
        if target in paper.PER_CLASS and set(split.per_class) != set(paper.PER_CLASS[target]):
            yield _per_class(target, "training images", split.per_class, paper.PER_CLASS[target])
        if split.test_per_class != paper.TEST_PER_CLASS.get(target, split.test_per_class):
            count = _count(split.test_per_class, "test image|test images")
            yield f"{target}: up to {count} per class instead of {paper.TEST_PER_CLASS[target]}."
        if split.folds != paper.SPLITS.get(target, split.folds):
            yield f"{target}: {_count(split.folds, 'random split|random splits')} instead of {paper.SPLITS[target]}."
    for target, per_class in sorted(settings.scratch.items()):
        printed = paper.SCRATCH_PER_CLASS.get(target)
        if printed and per_class is not None and set(per_class) != set(printed):
            yield _per_class(target, "training images for a network from scratch,", per_class, printed)


def _per_class(target: str, what: str, ours: Iterable[int], printed: Iterable[int]) -> str:
    return f"{target}: {what} per class: {_list(ours)} instead of {_list(printed)}."


def _differences(table: Mapping[str, paper.Setting], specs: Sequence[Base]) -> Iterator[str]:
    """A sentence for each setting that one of the specs has otherwise than the paper."""
    for name, setting in table.items():
        if isinstance(setting, Printed):
            values = [_count_images(name, getattr(spec, name)) for spec in specs]
            others = sorted({_format(value) for value in values if value != setting.value}, key=_sort_key)
            if others:
                yield setting.sentence.format(_with_unit(others, setting.unit))


def _count_images(name: str, value: Any) -> Any:
    """Images may be given by their positions: then their number counts."""
    return len(value) if name == "pictures" and isinstance(value, tuple) else value


def _format(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{count} (layer {layer})" for layer, count in sorted(value.items()))
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _sort_key(text: str) -> tuple[float, str]:
    """Numbers by value, words by letter."""
    try:
        return float(text.replace(",", "")), text
    except ValueError:
        return float("inf"), text


def _with_unit(values: Sequence[str], unit: str) -> str:
    singular, _, plural = unit.partition("|")
    return f"{' or '.join(values)} {singular if list(values) == ['1'] else plural}".strip()


def _count(number: int, unit: str) -> str:
    return _with_unit([f"{number:,}"], unit)


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _join(values: Iterable[float]) -> str:
    return " or ".join(f"{value:g}" for value in values)


def _list(values: Iterable[int]) -> str:
    return ", ".join(str(value) for value in sorted(values))


def _limits(options: Mapping[str, Any]) -> str:
    """How a data set's options limit it: `48 classes, 200 training images per class`; empty if they do not."""
    classes = options.get("classes")
    limits = {
        "class|classes": len(classes) if isinstance(classes, list) else classes,
        "training image per class|training images per class": options.get("train_per_class"),
        "validation image per class|validation images per class": options.get("val_per_class"),
        "image per class|images per class": options.get("per_class"),
    }
    return ", ".join(_count(number, unit) for unit, number in limits.items() if number)
