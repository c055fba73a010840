"""What an experiment makes smaller than the paper did, in sentences for the report's first pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zfrepro.stages import prepare, train


def list_reductions(source: prepare.Spec, targets: Mapping[str, prepare.Spec], runs: Sequence[train.Spec]) -> list[str]:
    """source: what the networks are trained on; targets: role -> set that plays it; runs: the trainings of `train`."""
    told = []
    if source.dataset == "scenes":
        told.append(
            "The networks are trained on pictures drawn by the program itself (`scenes`), not on ImageNet 2012."
        )
    elif source.dataset != "imagenet":
        told.append(f"The networks are trained on pictures of the set `{source.dataset}`, not on ImageNet 2012.")
    if source.dataset != "scenes" and (part := _part(source.options)):
        told.append(f"Of `{source.dataset}` only a part is taken: {part}.")
    for target, stand_in in sorted(targets.items()):
        if target != stand_in.dataset:
            told.append(f"The part of {target} is played by `{stand_in.dataset}`.")
    checks = (
        ("width", 1.0, "Every layer has {} of the paper's maps and units."),
        ("input_size", 224, "Networks see {} pixels instead of 224."),
        ("epochs", 70, "Training lasts {} epochs instead of 70."),
        ("batch", 128, "Mini-batches hold {} pictures instead of 128."),
        ("learning_rate", 0.01, "The learning rate starts at {} instead of 0.01."),
        (
            "fade",
            None,
            "The weights that training begins with fade to {} of their size by its end, by a higher weight decay; the "
            "paper's 70 epochs leave nothing of them.",
        ),
        ("warmup", 0.0, "The learning rate rises over the first {} epochs."),
        ("init", "gaussian", "Weights start as `{}` instead of Gaussian with standard deviation 0.01."),
        ("dropout", 0.5, "Dropout in layers 6 and 7 is {} instead of 0.5."),
        ("input_scale", 1.0, "In training, inputs are multiplied by {}."),
        ("crops", "ten", "Training crops are `{}` instead of the paper's ten."),
        ("schedule", "stall", "The learning rate follows `{}` instead of falling when validation stalls."),
    )
    for field, paper, sentence in checks:
        values = sorted({getattr(run, field) for run in runs} - {paper})
        if values:
            told.append(
                sentence.format(
                    " or ".join(f"{value:g}" if isinstance(value, float) else str(value) for value in values)
                )
            )
    return told


def _part(options: Mapping[str, Any]) -> str:
    """What a data set's options leave of it: `48 classes, 200 training pictures a class`; empty if all."""
    classes = options.get("classes")
    limits = {
        "classes": len(classes) if isinstance(classes, list) else classes,
        "training pictures a class": options.get("train_per_class"),
        "validation pictures a class": options.get("val_per_class"),
    }
    return ", ".join(f"{many} {what}" for what, many in limits.items() if many)
