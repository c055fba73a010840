"""What the data cannot give is known before the first job: splits, images, classes, and room on the disk."""

from __future__ import annotations

import copy
import json
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers import photographs

from zfrepro.commands import plan
from zfrepro.datasets import counting
from zfrepro.errors import UserError
from zfrepro.experiment import data_checks, loading, space_check
from zfrepro.experiment.config import Config
from zfrepro.running import finished

ROOT = Path(__file__).parents[2]
SMOKE = yaml.safe_load((ROOT / "tests/smoke.yaml").read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    counting.forget_listings()


def changed(**settings: Any) -> Config:
    """The smoke test's experiment; `occlusion__split="test"` changes a key of a section."""
    content = copy.deepcopy(SMOKE)
    for name, value in settings.items():
        section, _, key = name.partition("__")
        content[section][key] = value
    return loading.parse(content, "my.yaml")


def folder(root: Path, **options: Any) -> dict[str, Any]:
    return {"dataset": "imagefolder", "size": 72, "options": {"root": str(root), **options}}


def lines(config: Config) -> list[str]:
    return list(data_checks.check_data(config, "my.yaml"))


def fault(config: Config) -> str:
    with pytest.raises(UserError) as raised:
        lines(config)
    return str(raised.value)


def prepared(config: Config, label: str, **manifest: Any) -> None:
    """A manifest as `prepare` would leave it for these settings."""
    spec = config.prepare[label]
    options = data_checks.prepare.parse_options(spec).model_dump(mode="json")
    path = config.results() / "prepare" / label / "manifest.json"
    path.parent.mkdir(parents=True)
    path.write_text(
        json.dumps({"dataset": spec.dataset, "size": spec.size, "options": options, **manifest}), encoding="utf-8"
    )


def test_no_message_where_nothing_is_missing() -> None:
    assert lines(changed()) == []


def test_networks_need_train_and_val(tmp_path: Path) -> None:
    root = photographs.write(tmp_path / "pictures")
    shutil.rmtree(root / "val")
    (root / "val").mkdir()
    assert "val" in fault(changed(prepare__source=folder(root)))


def test_the_splits_of_a_set_that_is_prepared_count() -> None:
    config = changed(prepare__source=folder(Path("gone")))
    prepared(config, "source", classes=["a"], splits={"all": [0, 9]}, counts={"all": {"a": 9}})
    assert fault(config).splitlines()[0] == (
        "my.yaml: prepare.source: networks need images of the split train and val, and prepare.source has all"
    )


def test_a_manifest_of_other_settings_does_not_count() -> None:
    config = changed()
    prepared(config, "source", classes=["a"], splits={"all": [0, 9]})
    path = config.results() / "prepare/source/manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), "size": 1}), encoding="utf-8")
    contents = data_checks.contents(config, "source")
    assert contents is not None
    assert contents.splits == {"train": 144, "val": 72}  # 24 classes, 6 and 3 images


@pytest.mark.parametrize("section", ["occlusion", "invariance", "correspondence", "deconvnet", "evolution"])
def test_a_split_that_is_not_there_is_named(section: str) -> None:
    assert fault(changed(**{f"{section}__split": "test"})) == (
        f"my.yaml: {section}.split: there is no split test: prepare.source has train, val"
    )


def test_classes_too_small_for_the_folds_are_named(tmp_path: Path) -> None:
    root = photographs.write(tmp_path / "pictures", train=4, val=1) / "train"
    config = changed(prepare__caltech101=folder(root), folds__caltech101={"per_class": [2, 4]}, scratch__sets={})
    assert fault(config) == (
        "my.yaml: folds.caltech101: these classes have fewer than 4 training images and one test image: bark (4), sky (4); "
        "lower `per_class`, or set `small: drop`"
    )
    drop = {"per_class": [2, 4], "small": "drop"}
    assert lines(changed(prepare__caltech101=folder(root), folds__caltech101=drop, scratch__sets={})) == []


def test_more_images_than_there_are_leave_an_analysis_out(tmp_path: Path) -> None:
    root = photographs.write(tmp_path / "pictures", val=1)
    found = lines(changed(prepare__source=folder(root), correspondence__runs=[]))
    assert [line for line in found if "asks for" in line] == [
        "left out: deconvnet: deconvnet.top asks for 9 images, and split val of prepare.source has 2",
        "left out: occlusion: occlusion.pictures asks for 4 images, and split val of prepare.source has 2",
        "left out: invariance: invariance.pictures asks for 3 images, and split val of prepare.source has 2",
    ]


def test_classes_of_the_copied_experiment_are_named() -> None:
    assert lines(changed(invariance__symmetric=["clock", "sundial"], correspondence__classes=["dog", "wolf"])) == [
        "left out: invariance.symmetric: prepare.source has no class sundial",
        "left out: correspondence.classes: prepare.source has no class wolf",
    ]


def test_a_set_whose_size_is_not_known_is_left_to_the_stages() -> None:
    source = {"dataset": "imagenette", "size": 72, "options": {"root": "gone"}}
    assert all("table1" in line or "fig8" in line for line in lines(changed(prepare__source=source)))
    assert data_checks.contents(changed(prepare__source=folder(Path("gone"))), "source") is None


def test_a_plan_prints_what_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    (tmp_path / "my.yaml").write_text(yaml.safe_dump({**SMOKE, "evolution": None}), encoding="utf-8")
    monkeypatch.setattr(finished, "report_of", lambda config: Path("report"))
    plan.main(["--config", "my.yaml"])
    assert capsys.readouterr().out.startswith(
        "left out: fig4_evolution: the experiment does not have what it needs: the section `evolution`\n"
    )


Usage = namedtuple("Usage", "total used free")


def _free(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, count))


def test_a_disk_without_room_is_refused_before_the_first_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """The prepared images of the smoke test are (216 + 192 + 144 + voc's) x 72 x 72 x 3 bytes, and thumbnails of 216 of them."""
    config = changed()
    needs = space_check.needed_bytes(config, space_check.unfinished_jobs(config))
    total = sum(needs.values())
    count = sum(data_checks.contents(config, label).splits[split] for label in config.prepare  # type: ignore[union-attr]
                for split in data_checks.contents(config, label).splits)  # type: ignore[union-attr]  # fmt: skip
    assert needs["prepared images"] == count * 72 * 72 * 3 + 216 * 16 * 16 * 3 * 4
    _free(monkeypatch, total - 10_000_000)
    with pytest.raises(
        UserError, match=r"results/smoke: 10.0 MB more disk space needed: prepared images \d+\.\d MB, .* are free"
    ):
        list(space_check.check_space(config))
    _free(monkeypatch, total)
    assert [line.partition(":")[2][:20] for line in space_check.check_space(config)] == [" disk space is tight"]
    _free(monkeypatch, 2 * total)
    assert list(space_check.check_space(config)) == []


def test_what_is_there_needs_no_more_room(monkeypatch: pytest.MonkeyPatch) -> None:
    config = changed()
    before = space_check.needed_bytes(config, space_check.unfinished_jobs(config))
    for name in config.graph.outputs(("prepare", "caltech101")).values():
        path = config.results() / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    path = config.results() / "prepare/caltech101/manifest.json"
    path.write_text(json.dumps({"classes": ["a"] * 24, "splits": {"all": [0, 192]}}), encoding="utf-8")
    after = space_check.needed_bytes(config, space_check.unfinished_jobs(config))
    assert before["prepared images"] - after["prepared images"] == 192 * 72 * 72 * 3
    assert before["weights and snapshots"] == after["weights and snapshots"]


def test_sets_of_unknown_size_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    _free(monkeypatch, 10**9)
    unknown = changed(prepare__source=folder(Path("gone")), correspondence__runs=[])
    assert list(space_check.check_space(unknown)) == []
