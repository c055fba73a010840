"""An experiment derived from another: what changes, what does not, and that comments are kept."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import pytest
import yaml

from zfrepro.__main__ import main
from zfrepro.errors import UserError
from zfrepro.experiment import loading
from zfrepro.experiment.variation import Changes, vary

ROOT = Path(__file__).parents[2]
FILES = [ROOT / "config.yaml", ROOT / "tests/smoke.yaml", *sorted((ROOT / "workflow/experiments").glob("*.yaml"))]
SMALL = """\
experiment: small # a name
title: Small
prepare:
  source: {dataset: scenes, size: 64, options: {set: source, size: 64}} # its seed is the default, 0
train:
  runs: # two networks
    baseline: {base: baseline, seed: 4, input_size: 64, precision: float32}
    improved:
      base: improved
      input_size: 64
report: {exhibits: [table2_imagenet]}
"""
TRANSFER = """\
folds:
  caltech101: {per_class: [2], test_per_class: 2}
features: {runs: [improved]}
"""


def derived(text: str, **changes: Any) -> str:
    return vary(text, Changes(**{"name": "other", **changes}), "my.yaml")


def with_transfer() -> str:
    sets = "  caltech101: {dataset: scenes, size: 64, options: {set: caltech101, size: 64, seed: 7}}\ntrain:"
    return SMALL.replace("train:", sets, 1) + TRANSFER


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """`train.recipe.epochs` -> value"""
    if not isinstance(value, dict) or not value:
        return {path: value}
    return {key: leaf for name, part in value.items() for key, leaf in flat(part, f"{path}.{name}".strip(".")).items()}


def changed(before: str, after: str) -> dict[str, Any]:
    """Key -> new value, of the checked experiments, defaults included: all that any job can see."""
    old, new = (flat(loading.parse(yaml.safe_load(text), "x").model_dump(mode="json")) for text in (before, after))
    return {key: new.get(key) for key in {**old, **new} if old.get(key) != new.get(key)}


def test_a_new_name_changes_nothing_else() -> None:
    assert derived(SMALL) == SMALL.replace("experiment: small #", "experiment: other #")


def test_the_seed_is_added_to_every_networks_seed() -> None:
    text = derived(SMALL, seed=100)
    assert changed(SMALL, text) == {
        "experiment": "other",
        "train.recipe.seed": 100,
        "train.recipe": None,
        "train.runs.baseline.seed": 104,
    }
    config = loading.parse(yaml.safe_load(text), "x")
    assert [config.training(run).seed for run in ("baseline", "improved")] == [104, 100]  # 4 + 100, 0 + 100


def test_the_seed_is_added_to_splits_and_choices_but_not_to_images() -> None:
    before = with_transfer()
    text = derived(before, seed=10)
    changes = changed(before, text)
    assert {key: changes[key] for key in ("folds.caltech101.seed", "features.seed", "probes.seed")} == {
        "folds.caltech101.seed": 10, "features.seed": 10, "probes.seed": 10,
    }  # fmt: skip
    assert not [key for key in changes if key.startswith("prepare")]
    assert text.endswith("\nprobes: {seed: 10}\n")  # the section was left out


def test_the_seed_of_images_changes_only_with_data_seed() -> None:
    before = with_transfer()
    assert changed(before, derived(before, data_seed=2)) == {
        "experiment": "other", "prepare.source.options.seed": 2, "prepare.caltech101.options.seed": 9,  # 0 + 2, 7 + 2
    }  # fmt: skip


def test_the_precision_is_that_of_training_and_evaluation() -> None:
    changes = changed(SMALL, derived(SMALL, precision="bfloat16"))
    assert changes == {
        "experiment": "other", "train.recipe.precision": "bfloat16", "train.recipe": None,
        "train.runs.baseline.precision": "bfloat16", "evaluate.precision": "bfloat16",
    }  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_comments_and_all_other_lines_are_kept(path: Path) -> None:
    before = path.read_text(encoding="utf-8")
    after = derived(before, seed=100, precision="float32")
    lines = list(difflib.ndiff(before.splitlines(), after.splitlines()))
    removed, added = ([line[2:] for line in lines if line.startswith(sign)] for sign in ("- ", "+ "))
    assert all("seed" in line or "precision" in line or "other" in line or not line for line in added)
    comments = [line.partition("#")[2] for line in removed if "#" in line]
    assert all(any(comment in line for line in added) for comment in comments)
    config = loading.parse(yaml.safe_load(after), str(path))
    assert {config.training(run).precision for run in config.runs()} == {config.evaluate.precision} == {"float32"}
    old = loading.load(path)
    assert all(config.training(run).seed == old.training(run).seed + 100 for run in old.runs())
    for stage in ("deconvnet", "evolution", "occlusion", "invariance", "correspondence"):
        if getattr(old, stage) and hasattr(getattr(old, stage), "seed"):
            assert getattr(config, stage).seed == getattr(old, stage).seed + 100
    assert all(config.folds[target].seed == spec.seed + 100 for target, spec in old.folds.items())


def test_a_file_that_cannot_be_edited_in_place_is_written_without_comments() -> None:
    shared = (
        SMALL.replace("train:\n", "train: &all\n", 1).replace("experiment: small # a name", "experiment: small")
        + "...\n"
    )
    text = derived(shared, precision="float32")  # `evaluate` cannot be added behind the end of the document
    assert "#" not in text
    assert yaml.safe_load(text)["evaluate"] == {"precision": "float32"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "Demo 1"}, "--name Demo 1: a name consists of at most 61 lower-case letters, digits and hyphens"),
        ({"name": "../demo"}, "--name ../demo: a name consists of"),
        ({"name": "x\nevil: 1"}, "a name consists of"),
        ({"name": "small"}, "--name small: my.yaml already has this name, and both would write to results/small"),
        ({"seed": 4}, r"--seed 4: my.yaml uses the seeds 0 to 4, .* choose 0 or at least 5"),
    ],
)
def test_invalid_changes_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        derived(SMALL, **changes)
    assert derived(SMALL, seed=5)  # seeds 5 and 9: shared with none of 0 and 4


def test_a_data_seed_needs_a_drawn_set() -> None:
    paper = (ROOT / "workflow/experiments/paper.yaml").read_text(encoding="utf-8")
    with pytest.raises(UserError, match=r"--data-seed 1: no data set of my\.yaml has a seed"):
        derived(paper, data_seed=1)


def test_the_command_writes_a_new_file_and_overwrites_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    source, out = str(tmp_path / "small.yaml"), tmp_path / "new.yaml"
    arguments = ["vary", "--config", source, "--name", "small-100", "--seed", "100"]
    main(arguments)
    printed = capsys.readouterr().out
    assert printed.splitlines()[0] == f"# Derived by: zfrepro vary --config {source} --name small-100 --seed 100"
    assert loading.parse(yaml.safe_load(printed), "x").experiment == "small-100"
    main([*arguments, "--out", str(out)])
    assert f"run it with: zfrepro run --config {out}" in capsys.readouterr().out
    assert out.read_text().splitlines()[1:] == printed.splitlines()[1:]
    with pytest.raises(SystemExit, match="2"):
        main([*arguments, "--out", str(out)])
    assert f"{out}: already exists; delete it or name another file with --out" in capsys.readouterr().err


@pytest.mark.parametrize("seed", ["-1", "1.5", "x"])
def test_a_seed_is_a_whole_number(seed: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["vary", "--name", "x", f"--seed={seed}"])
    assert f"{seed} is not a whole number of at least 0" in capsys.readouterr().err
