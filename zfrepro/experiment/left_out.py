"""Which exhibits are left out since their data cannot be there, and why: decided before the first job.

What is known only once the images are prepared is recorded by the stages instead (storage/not_measured.py).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from zfrepro.datasets.base import WITH_PARTS, WITH_SEVERAL_CLASSES
from zfrepro.graph import SOURCE

if TYPE_CHECKING:
    from zfrepro.experiment.config import Config

SEVERAL = "voc2012"  # the target whose images have several classes


def files_of_exhibit(config: Config, exhibit: str) -> dict[str, str]:
    """Label -> file that it reads, relative to the experiment's folder; empty for one that is left out."""
    return {} if reason(config, exhibit) else _needs(without_unmeasurable(config), exhibit)


def reason(config: Config, exhibit: str) -> str:
    """Why the exhibit is left out, one sentence; "" for one that is built. Raises ModuleNotFoundError for an unknown one."""
    try:
        _needs(without_unmeasurable(config), exhibit)
    except LookupError as error:
        return _explain(config, exhibit, str(error.args[0]))
    return ""


def unmeasurable(config: Config) -> dict[str, str]:
    """Section, or `folds.<set>` -> why nothing can be measured for it on these data."""
    reasons = {}
    source, correspondence = config.prepare[SOURCE].dataset, config.correspondence
    if correspondence and correspondence.runs and not correspondence.annotations and source not in WITH_PARTS:
        reasons["correspondence"] = (
            f"the data set `{source}` has no positions of eyes and noses, and `correspondence.annotations` names no file of them "
            "(docs/annotations.md)"
        )
    if SEVERAL in config.folds and not has_several_classes(config):
        reasons[f"folds.{SEVERAL}"] = (
            f"the images of `prepare.{SEVERAL}` ({config.prepare[SEVERAL].dataset}) have one class each, and PASCAL VOC's have several"
        )
    return reasons


def without_unmeasurable(config: Config) -> Config:
    """The experiment, without the sections of `unmeasurable`."""
    changes: dict[str, object] = {}
    for key in unmeasurable(config):
        section, _, name = key.partition(".")
        if name:
            changes[section] = {target: spec for target, spec in config.folds.items() if target != name}
        else:
            changes[section] = None
    return config.model_copy(update=changes) if changes else config


def has_several_classes(config: Config) -> bool:
    spec = config.prepare[SEVERAL]
    return spec.dataset in WITH_SEVERAL_CLASSES and spec.options.get("set", SEVERAL) == SEVERAL


def _needs(config: Config, exhibit: str) -> dict[str, str]:
    files: dict[str, str] = importlib.import_module(f"zfrepro.exhibits.{exhibit}").needs(config)
    return files


def _explain(config: Config, exhibit: str, missing: str) -> str:
    """missing: what the exhibit asked for."""
    for key, text in unmeasurable(config).items():
        if key in missing:
            return text
    return f"the experiment does not have what it needs: {missing}"
