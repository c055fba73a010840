"""Every setting of every stage beside the paper's value, or the reason why it is no reduction. A test walks all fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Printed:
    """The paper's value; the sentence where an experiment has another, `{}` for its values. unit: singular|plural after them."""

    value: Any
    sentence: str
    unit: str = ""


@dataclass(frozen=True)
class NotCompared:
    """Why a setting is not listed among the reductions."""

    reason: str


Setting = Printed | NotCompared
OPEN = NotCompared("the paper does not say; our choice is among the guesses that the report prints")
SEED = NotCompared("selects at random; the paper does not say what it drew")
BATCH = NotCompared("how many are computed together; changes no number")
PRECISION = NotCompared("the report's first page names the precision; the paper does not say its own")
SPLIT = NotCompared("the labels of the paper's test images are not public; the exhibit names the split")
OURS = NotCompared("belongs to a measurement of our own, which the paper does not have")
ELSEWHERE = NotCompared("has a rule of its own in reductions.py")

TRAIN: Mapping[str, Setting] = {
    "network": NotCompared("the paper trains many; the tables mark the rows that were not run"),
    "width": Printed(1.0, "Every layer has {} of the paper's maps and units."),
    "input_size": Printed(224, "Networks see {} pixels instead of 224."),
    "epochs": Printed(70, "Training lasts {} instead of 70.", "epoch|epochs"),
    "batch": Printed(128, "Mini-batches hold {} instead of 128.", "image|images"),
    "learning_rate": Printed(0.01, "The learning rate starts at {} instead of 0.01."),
    "momentum": Printed(0.9, "Momentum is {} instead of 0.9."),
    "weight_decay": Printed(
        5e-4, "The weight decay is {} instead of Krizhevsky's 0.0005; the paper does not mention its own."
    ),
    "fade": Printed(
        None,
        "A higher weight decay shrinks the initial weights to {} of their size by the end of training; the paper's 70 epochs "
        "leave nothing of them.",
    ),
    "warmup": Printed(0.0, "The learning rate rises over the first {}.", "epoch|epochs"),
    "init": Printed("gaussian", "Weights start as `{}` instead of Gaussian with standard deviation 0.01."),
    "dropout": Printed(0.5, "Dropout in layers 6 and 7 is {} instead of 0.5."),
    "input_scale": Printed(1.0, "In training, inputs are multiplied by {}."),
    "filter_rms": ELSEWHERE,  # the paper itself trained one network without clipping, for Fig 6
    "crops": Printed("ten", "Training crops are `{}` instead of the paper's ten."),
    "schedule": Printed("stall", "The learning rate follows `{}` instead of falling when validation stalls."),
    "patience": OPEN,
    "factor": OPEN,
    "precision": PRECISION,
    "snapshots": NotCompared("Fig 4 prints its epochs; they follow from `epochs`"),
    "seed": ELSEWHERE,  # how many there are
}

PREPARE: Mapping[str, Setting] = {
    "dataset": ELSEWHERE,
    "size": Printed(256, "Images are stored with {} a side instead of 256.", "pixel|pixels"),
    "max_bad": NotCompared("the report lists the files that were left out"),
    "options": ELSEWHERE,
    "thumbnails": NotCompared("follows from `folds`"),
}

EVALUATE: Mapping[str, Setting] = {
    "views": ELSEWHERE,
    "train_images": NotCompared(
        "the paper does not say on which images it measures the training error; Table 3 prints ours"
    ),
    "batch": BATCH,
    "precision": PRECISION,
}

FOLDS: Mapping[str, Setting] = {
    "per_class": ELSEWHERE,  # differs by set
    "test_per_class": ELSEWHERE,
    "folds": ELSEWHERE,
    "seed": SEED,
    "small": NotCompared("the tables count the classes that were dropped"),
    "duplicates": NotCompared("the tables count the copies that were dropped"),
    "overlap": OPEN,
    "overlap_size": OPEN,
    "mirrored": OPEN,
    "crops": OPEN,
}

FEATURES: Mapping[str, Setting] = {
    "kind": NotCompared("follows from the name of the features"),
    "layers": Printed((1, 2, 3, 4, 5, 7), "Table 7 compares layers {} instead of 1, 2, 3, 4, 5, 7."),
    "seed": OURS,
    "batch": BATCH,
}

PROBES: Mapping[str, Setting] = {
    "softmax": OPEN,
    "svm": OPEN,
    "sigmoids": OPEN,
    "inner": OPEN,
    "seed": SEED,
    "curve": NotCompared("follows from the name of the features"),
}

SCRATCH: Mapping[str, Setting] = {
    "steps": NotCompared("the paper does not say; the tables print ours and the training error"),
    "per_class": ELSEWHERE,  # differs by set
    "folds": Printed(5, "Networks are trained from scratch on {} of a target instead of 5.", "split|splits"),
}

DECONVNET: Mapping[str, Setting] = {
    "top": Printed(9, "Fig 2 shows {} per map instead of 9.", "activation|activations"),
    "maps": Printed(
        {1: 9, 2: 25, 3: 12, 4: 10, 5: 10},
        "Figs 2 and 6 show {} instead of 9, 25, 12, 10 and 10 of layers 1 to 5.",
        "map|maps",
    ),
    "split": Printed("val", "Fig 2 searches the split `{}` instead of the validation images."),
    "seed": SEED,
    "batch": BATCH,
}

EVOLUTION: Mapping[str, Setting] = {
    "maps": Printed(6, "Fig 4 shows {} per layer instead of 6.", "map|maps"),
    "split": Printed("train", "Fig 4 searches the split `{}` instead of the training images."),
    "pictures": Printed(None, "Fig 4 searches {} instead of all of training.", "image|images"),
    "compared": OURS,
    "settled": OURS,
    "seed": SEED,
    "batch": BATCH,
}

OCCLUSION: Mapping[str, Setting] = {
    "square": Printed(50, "The square of Fig 7 has {} a side instead of 50.", "pixel|pixels"),
    "stride": Printed(6, "The square of Fig 7 moves in steps of {} instead of 6.", "pixel|pixels"),
    "grey": Printed(124, "The square of Fig 7 has grey {} instead of 124."),
    "layer": Printed(5, "Fig 7 watches layer {} instead of layer 5."),
    "pictures": Printed(3, "Fig 7 shows {} instead of 3.", "image|images"),
    "split": SPLIT,
    "seed": SEED,
    "scored": OURS,
    "score_stride": OURS,
    "precision": PRECISION,
    "batch": BATCH,
}

INVARIANCE: Mapping[str, Setting] = {
    "shift": Printed(63, "Fig 5 shifts images by up to {} instead of about 63.", "pixel|pixels"),
    "shift_step": NotCompared("the paper does not say its step; its curves are dense"),
    "scale": Printed(2.0, "Fig 5 scales images up to {} times instead of about twice."),
    "scales": NotCompared("the paper does not say how many scales it takes; its curves are dense"),
    "turn_step": NotCompared("the paper does not say its step; its curves are dense"),
    "pictures": Printed(5, "Fig 5 shows {} instead of 5.", "image|images"),
    "average": OURS,
    "symmetric": OURS,
    "split": SPLIT,
    "seed": SEED,
    "batch": BATCH,
}

CORRESPONDENCE: Mapping[str, Setting] = {
    "square": OPEN,
    "grey": OPEN,
    "draws": OPEN,
    "pictures": Printed(5, "Table 1 compares {} instead of 5.", "image|images"),
    "average": OURS,
    "classes": ELSEWHERE,
    "split": SPLIT,
    "annotations": NotCompared("where the parts of the images are read"),
    "root": NotCompared("where the images are read"),
    "seed": SEED,
    "batch": BATCH,
}

STAGES: Mapping[str, Mapping[str, Setting]] = {
    "prepare": PREPARE, "train": TRAIN, "evaluate": EVALUATE, "folds": FOLDS, "features": FEATURES, "probes": PROBES,
    "scratch": SCRATCH, "deconvnet": DECONVNET, "evolution": EVOLUTION, "occlusion": OCCLUSION, "invariance": INVARIANCE,
    "correspondence": CORRESPONDENCE,
}  # fmt: skip

PER_CLASS = {"caltech101": (15, 30), "caltech256": (1, 2, 3, 4, 5, 6, 7, 10, 15, 30, 45, 60)}
SCRATCH_PER_CLASS = {"caltech101": (15, 30), "caltech256": (15, 30, 45, 60)}
SPLITS, TEST_PER_CLASS = {"caltech101": 5}, {"caltech101": 50}  # of Caltech-256 the paper says neither
ENSEMBLE = 5  # networks of one kind that Table 2 averages
