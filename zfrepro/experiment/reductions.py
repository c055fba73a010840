"""What an experiment makes smaller than the paper did, in sentences for the report's first page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from zfrepro.stages import prepare, train

PAPER_SETTINGS = (  # field of stages/train.py, the paper's value, sentence where a run has another
    ("width", 1.0, "Every layer has {} of the paper's maps and units."),
    ("input_size", 224, "Networks see {} pixels instead of 224."),
    ("epochs", 70, "Training lasts {} epochs instead of 70."),
    ("batch", 128, "Mini-batches hold {} images instead of 128."),
    ("learning_rate", 0.01, "The learning rate starts at {} instead of 0.01."),
    (
        "fade",
        None,
        "A higher weight decay shrinks the initial weights to {} of their size by the end of training; the paper's 70 epochs "
        "leave almost none.",
    ),
    ("warmup", 0.0, "The learning rate rises over the first {} epochs."),
    ("init", "gaussian", "Weights start as `{}` instead of Gaussian with standard deviation 0.01."),
    ("dropout", 0.5, "Dropout in layers 6 and 7 is {} instead of 0.5."),
    ("input_scale", 1.0, "In training, inputs are multiplied by {}."),
    ("crops", "ten", "Training crops are `{}` instead of the paper's ten."),
    ("schedule", "stall", "The learning rate follows `{}` instead of falling when validation stalls."),
)


def list_reductions(source: prepare.Spec, targets: Mapping[str, prepare.Spec], runs: Sequence[train.Spec]) -> list[str]:
    """source: the set that networks are trained on; targets: role -> its set; runs: the trainings of `train`."""
    return [*_source_reductions(source), *_stand_ins(targets), *_training_reductions(runs)]


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


def _training_reductions(runs: Sequence[train.Spec]) -> Iterator[str]:
    for field, paper, sentence in PAPER_SETTINGS:
        values = sorted({getattr(run, field) for run in runs} - {paper})
        if values:
            yield sentence.format(" or ".join(_short(value) for value in values))


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _limits(options: Mapping[str, Any]) -> str:
    """How a data set's options limit it: `48 classes, 200 training images per class`; empty if they do not."""
    classes = options.get("classes")
    limits = {
        "classes": len(classes) if isinstance(classes, list) else classes,
        "training images per class": options.get("train_per_class"),
        "validation images per class": options.get("val_per_class"),
    }
    return ", ".join(f"{number} {noun}" for noun, number in limits.items() if number)
