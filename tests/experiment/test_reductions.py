"""What an experiment has otherwise than the paper is said in a sentence each; no setting of any stage is forgotten."""

import copy
import importlib
from pathlib import Path

import pytest
import yaml

from zfrepro.experiment import loading, paper_settings, sections
from zfrepro.experiment.paper_settings import STAGES, NotCompared, Printed

ROOT = Path(__file__).parents[2]
FIRST = {"base": "improved", "snapshots": [1]}
RUNS = {"improved-0": FIRST, **{f"improved-{seed}": {"base": "improved", "seed": seed} for seed in range(1, 5)}}
PAPER = {
    "experiment": "paper",
    "title": "As in the paper",
    "prepare": {
        name: {"dataset": dataset, "size": 256, "options": {"root": "x"}}
        for name, dataset in (("source", "imagenet"), ("caltech101", "caltech101"), ("caltech256", "caltech256"), ("voc2012", "voc2012"))
    },
    "train": {"runs": {"baseline": {"base": "baseline"}, **RUNS, "unclipped": {"base": "improved", "filter_rms": None}}},
    "deconvnet": {"runs": ["improved-0"]},
    "evolution": {"runs": ["improved-0"]},
    "occlusion": {"runs": ["improved-0"]},
    "invariance": {"runs": ["improved-0"]},
    "correspondence": {"runs": ["improved-0"], "classes": ["dog"]},
    "folds": {
        "caltech101": {},
        "caltech256": {"per_class": [1, 2, 3, 4, 5, 6, 7, 10, 15, 30, 45, 60]},
        "voc2012": {},
    },
    "features": {"runs": ["improved-0"]},
    "scratch": {"sets": {"caltech101": [15, 30], "caltech256": None}},
    "report": {"exhibits": ["overlap"]},
}  # fmt: skip


def reductions(**changes):
    """Of the paper's experiment with some keys set: `train__recipe={...}`."""
    content = copy.deepcopy(PAPER)
    for path, value in changes.items():
        *parents, last = path.split("__")
        section = content
        for key in parents:
            section = section.setdefault(key, {})
        section[last] = value
    return loading.parse(content, "a").reductions()


def test_the_papers_own_experiment_reduces_nothing():
    assert reductions() == []


@pytest.mark.parametrize("stage", list(STAGES))
def test_every_setting_has_the_papers_value_or_a_reason(stage):
    fields = importlib.import_module(f"zfrepro.stages.{stage}").Spec.model_fields
    assert set(STAGES[stage]) == set(fields)
    for name, setting in STAGES[stage].items():
        assert setting.reason if isinstance(setting, NotCompared) else "{}" in setting.sentence, name


def test_every_section_of_an_experiment_is_compared():
    stages = {name for name in sections.__dict__ if name.endswith("_stage")}
    stages |= {"prepare_stage", "train_stage", "evaluate_stage", "folds_stage"}  # sections that are a stage's Spec
    assert {f"{name}_stage" for name in STAGES} == stages


OTHER = {  # a value that is not the paper's, where one more or one half is none
    "init": "he", "crops": "random", "schedule": "cosine", "fade": 0.3, "warmup": 2.0, "layers": (1, 7),
    "maps": {1: 9, 5: 3}, "split": "other",
}  # fmt: skip
COMPARED = [
    (stage, name) for stage, table in STAGES.items() for name, setting in table.items() if isinstance(setting, Printed)
]


@pytest.mark.parametrize(("stage", "name"), COMPARED)
def test_a_setting_that_differs_gives_a_sentence(stage, name):
    setting = STAGES[stage][name]
    value = OTHER[name] if name in OTHER and (stage, name) != ("evolution", "maps") else _other(setting.value)
    path = {"train": f"train__recipe__{name}", "prepare": f"prepare__source__{name}"}.get(stage, f"{stage}__{name}")
    more = {"train__recipe__schedule": "cosine"} if name == "fade" else {}
    sentences = reductions(**{path: value}, **more)
    start = setting.sentence.partition("{}")[0]
    assert [sentence for sentence in sentences if sentence.startswith(start)], sentences
    assert len(sentences) == 1 + len(more)


def _other(value):
    return 17 if value is None else value + 1 if isinstance(value, int) else 0.75 * value


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"train__recipe__epochs": 1}, "Training lasts 1 epoch instead of 70."),
        ({"train__recipe__epochs": 2}, "Training lasts 2 epochs instead of 70."),
        ({"train__recipe__momentum": 0}, "Momentum is 0 instead of 0.9."),
        ({"train__recipe__weight_decay": 0}, "The weight decay is 0 instead of Krizhevsky's 0.0005; the paper does not mention its own."),
        (
            {"train__recipe__filter_rms": None},
            "Filters of convolution layers are not clipped in training; the paper clips them to an RMS of 0.1.",
        ),
        ({"train__recipe__filter_rms": 0.2}, "Filters of convolution layers are clipped to an RMS of 0.2 instead of 0.1."),
        ({"train__recipe__batch": 1}, "Mini-batches hold 1 image instead of 128."),
        ({"train__runs": {"short": {"base": "improved", "epochs": 3}, **RUNS}}, "Training lasts 3 epochs instead of 70."),
        (
            {"train__runs": {"improved-0": FIRST}},
            "The paper's network is trained once instead of 5 times, for the ensemble of Table 2.",
        ),
        ({"ablate__runs": {"wide": {"base": "improved", "maps": [512, 1024, 512], "epochs": 9}}}, "Training lasts 9 epochs instead of 70."),
        (
            {"evaluate__views": [1]},
            "Networks are tested on the centre view only; the paper, it seems, averages ten views.",
        ),
        ({"occlusion__pictures": [4, 9]}, "Fig 7 shows 2 images instead of 3."),
        ({"occlusion__stride": 1}, "The square of Fig 7 moves in steps of 1 pixel instead of 6."),
        ({"correspondence__classes": []}, "Table 1 compares images of any class whose parts are known, the paper images of dogs."),
        ({"folds__caltech101": {"folds": 1}}, "caltech101: 1 random split instead of 5."),
        ({"folds__caltech101": {"test_per_class": 20}}, "caltech101: up to 20 test images per class instead of 50."),
        ({"folds__caltech101": {"per_class": [15]}}, "caltech101: training images per class: 15 instead of 15, 30."),
        (
            {"scratch__sets": {"caltech101": [15]}},
            "caltech101: training images for a network from scratch, per class: 15 instead of 15, 30.",
        ),
        ({"scratch__folds": 1}, "Networks are trained from scratch on 1 split of a target instead of 5."),
        (
            {"prepare__source__options": {"root": "x", "classes": ["n01440764", "n01443537"], "train_per_class": 1}},
            "Only a part of `imagenet` is used: 2 classes, 1 training image per class.",
        ),
        ({"prepare__caltech101__options": {"root": "x", "per_class": 40}}, "Only a part of `caltech101` is used: 40 images per class."),
    ],
)  # fmt: skip
def test_a_reduction_is_one_sentence(changes, sentence):
    assert reductions(**changes) == [sentence]


def test_runs_of_several_lengths_are_one_sentence():
    runs = {**RUNS, "improved-0": FIRST | {"epochs": 9}, "improved-1": {"base": "improved", "seed": 1, "epochs": 10}}
    assert reductions(train__runs=runs) == ["Training lasts 9 or 10 epochs instead of 70."]


def test_a_fade_takes_the_place_of_the_weight_decay():
    recipe = {"fade": 0.3, "schedule": "cosine", "weight_decay": 0}
    assert not any("weight decay is" in sentence for sentence in reductions(train__recipe=recipe))


@pytest.mark.parametrize("path", ["config.yaml", "tests/smoke.yaml"])
def test_experiments_of_this_repository_name_their_stand_ins(path):
    text = "\n".join(loading.parse(yaml.safe_load((ROOT / path).read_text()), path).reductions())
    assert "drawn by the program itself" in text
    assert "pixels instead of 224" in text
    assert "`scenes` stands in for caltech101." in text
    assert " 1 epochs" not in text


def test_the_papers_numbers_are_those_of_the_stages():
    assert paper_settings.TRAIN["momentum"] == Printed(0.9, "Momentum is {} instead of 0.9.")
