"""The sections of an experiment file, besides `prepare` and `folds`: the settings of a stage and the runs or sets it is for."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt

from zfrepro.spec import Base
from zfrepro.stages import correspondence as correspondence_stage
from zfrepro.stages import deconvnet as deconvnet_stage
from zfrepro.stages import evolution as evolution_stage
from zfrepro.stages import features as features_stage
from zfrepro.stages import invariance as invariance_stage
from zfrepro.stages import occlusion as occlusion_stage
from zfrepro.stages import probes as probes_stage
from zfrepro.stages import scratch as scratch_stage

# Features beside those of the runs: kinds of stages/features.py
BASELINES: tuple[Literal["random", "hog"], ...] = ("random", "hog")
Runs = dict[str, dict[str, Any]]
Numbers = Annotated[tuple[PositiveInt, ...], Field(min_length=1)]
RunNames = Annotated[tuple[str, ...], Field(description="names of the runs to analyse")]


class Analysis(Base):
    """The settings of a stage that analyses trained networks, and the networks."""

    runs: RunNames = ()

    def of_job(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude={"runs"})


class Training(Base):
    recipe: dict[str, Any] = Field({}, description="settings of stages/train.py shared by all runs")
    runs: Runs = Field(
        min_length=1,
        description="run name -> settings that differ: base, remove, maps, units, and any key of the recipe",
    )


class Variants(Base):
    runs: Runs = Field({}, description="as train.runs; trained with train.recipe")


class Deconvnet(Analysis, deconvnet_stage.Spec):
    pass


class Evolution(Analysis, evolution_stage.Spec):
    pass


class Occlusion(Analysis, occlusion_stage.Spec):
    pass


class Invariance(Analysis, invariance_stage.Spec):
    pass


class Correspondence(Analysis, correspondence_stage.Spec):
    pass


class Features(features_stage.Settings):
    runs: tuple[str, ...] = Field(
        (), description="runs whose layers are transferred; the first is the network of Tables 4 to 6 and Fig 9"
    )
    baselines: tuple[Literal["random", "hog"], ...] = Field(
        BASELINES, description="random: the first run's network with random weights; hog: hand-crafted features"
    )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all features that are computed for every target."""
        return (*self.runs, *self.baselines) if self.runs else ()

    def of_job(self, name: str) -> dict[str, Any]:
        """The named features: of a run, or one of BASELINES, which need no layers."""
        unused = {"runs", "baselines", *(("layers",) if name in BASELINES else ())}
        return {**self.model_dump(mode="json", exclude=unused), "kind": name if name in BASELINES else "network"}


class Probes(probes_stage.Settings):
    def of_job(self, curve: bool) -> dict[str, Any]:
        return {**self.model_dump(mode="json"), "curve": curve}


class Scratch(scratch_stage.Settings):
    run: str | None = Field(
        None, description="run whose network and settings are used; default: the first of features.runs"
    )
    sets: dict[str, Numbers | None] = Field(
        {}, description="sets of `folds` to train on -> training images per class; null: those of the paper's tables"
    )

    def of_job(self, target: str) -> dict[str, Any]:
        per_class = self.sets[target]
        return self.model_dump(mode="json", exclude={"run", "sets"}) | ({"per_class": per_class} if per_class else {})


class Report(Base):
    exhibits: tuple[str, ...] = Field(min_length=1, description="names of modules in zfrepro/exhibits, in order")
