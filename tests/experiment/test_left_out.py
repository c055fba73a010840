"""Exhibits whose data cannot be there are left out with a reason, before the first job; nothing is computed for them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from zfrepro.errors import UserError
from zfrepro.experiment import loading
from zfrepro.experiment.config import Config

ROOT = Path(__file__).parents[2]
DEMO = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
TRANSFER = ("table4_caltech101", "table5_caltech256", "table6_pascal2012", "table7_layers", "fig9_caltech256")
FOLDER = {"dataset": "imagefolder", "size": 108, "options": {"root": "/home/me/pictures"}}


def changed(**sections: Any) -> Config:
    """config.yaml with other sections; None leaves one out; prepare and folds are merged."""
    content = copy.deepcopy(DEMO)
    for name, value in sections.items():
        if value is None:
            del content[name]
        else:
            content[name] = {**content[name], **value} if name in ("prepare", "folds", "correspondence") else value
    return loading.parse(content, "my.yaml")


def stages(config: Config) -> set[str]:
    return {job[0] for job in config.graph.jobs()}


def test_the_default_experiment_leaves_nothing_out() -> None:
    assert changed().left_out == {}


def test_the_readme_s_recipe_leaves_out_what_needs_eyes_and_noses() -> None:
    config = changed(experiment="mine", prepare={"source": FOLDER})
    assert set(config.left_out) == {"table1_correspondence", "fig8_masked_parts"}
    assert config.left_out["fig8_masked_parts"] == (
        "the data set `imagefolder` has no positions of eyes and noses, and `correspondence.annotations` names no file of them "
        "(docs/annotations.md)"
    )
    assert "correspondence" not in stages(config)
    assert not [label for label in config.needs("claims") if label.startswith("correspondence/")]
    assert '"left_out": "the data set' in config.slice(("exhibits", "fig8_masked_parts"))
    assert "left_out" not in config.slice(("exhibits", "fig7_occlusion"))


def test_with_annotations_of_one_s_own_nothing_is_left_out() -> None:
    file = ROOT / "workflow/experiments/tiny-imagenet-faces.csv"
    correspondence = {"annotations": str(file), "classes": []}
    assert changed(prepare={"source": FOLDER}, correspondence=correspondence).left_out == {}


def test_voc_s_table_needs_images_with_several_classes() -> None:
    config = changed(prepare={"voc2012": FOLDER}, folds={"voc2012": {"per_class": [2]}})
    assert list(config.left_out) == ["table6_pascal2012"]
    assert config.left_out["table6_pascal2012"].startswith(
        "the images of `prepare.voc2012` (imagefolder) have one class each"
    )
    assert ("folds", "voc2012") not in config.graph.jobs()
    other = {"dataset": "scenes", "size": 90, "options": {"set": "caltech101", "size": 90, "seed": 1, "per_class": 50}}
    assert list(changed(prepare={"voc2012": other}, folds={"voc2012": {"per_class": [2]}}).left_out) == [
        "table6_pascal2012"
    ]


@pytest.mark.parametrize(
    ("sections", "reasons"),
    [
        ({"occlusion": None}, {"fig7_occlusion": "the section `occlusion`", "occlusion_score": "the section `occlusion`"}),
        ({"evolution": None}, {"fig4_evolution": "the section `evolution`"}),
        ({"invariance": {"runs": []}}, {"fig5_invariance": "a run in `invariance.runs`"}),
        ({"deconvnet": {"runs": ["improved"]}}, {"fig6_first_layers": "no baseline network with clipped filters"}),
        ({"folds": None, "scratch": {}},
         {"table4_caltech101": "`folds.caltech101`", "table5_caltech256": "`folds.caltech256`", "table6_pascal2012": "`folds.voc2012`",
          "table7_layers": "`folds.caltech101` or `folds.caltech256`", "overlap": "a set in `folds`",
          "fig9_caltech256": "`folds.caltech256`"}),
        ({"features": {"runs": []}, "scratch": {}}, dict.fromkeys(TRANSFER, "a run in `features.runs`")),
    ],
)  # fmt: skip
def test_a_section_that_is_left_out_leaves_out_its_exhibits(sections: dict[str, Any], reasons: dict[str, str]) -> None:
    config = changed(**sections)
    assert set(config.left_out) == set(reasons)
    assert [name for name, words in reasons.items() if words not in config.left_out[name]] == []


def test_a_report_of_nothing_is_refused() -> None:
    content = copy.deepcopy(DEMO) | {"report": {"exhibits": ["fig7_occlusion"]}}
    del content["occlusion"]
    with pytest.raises(
        UserError, match=r"my.yaml: report.exhibits: all of them are left out: .*the section `occlusion`"
    ):
        loading.parse(content, "my.yaml")
