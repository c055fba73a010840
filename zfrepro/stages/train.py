"""Train one network with the paper's recipe; a stopped training resumes from its last checkpoint."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from zfrepro.core.architecture import KINDS, Network, Row, describe, parameter_count
from zfrepro.errors import UserError
from zfrepro.spec import Base
from zfrepro.storage import artifacts, computing_code
from zfrepro.storage.checkpoints import BackgroundSaver, Every, Store, key, stop_signal
from zfrepro.storage.network_file import Description
from zfrepro.storage.prepared_set import PreparedSet

if TYPE_CHECKING:
    import torch

    from zfrepro.core.training import Diverged, Training

HISTORY = ["epoch", "learning_rate", "train_loss", "train_top1_error", "val_loss", "val_top1_error", "val_top5_error"]
LOG_EVERY = 5  # seconds between log lines
# Seconds between checkpoints, besides the one of a stop. A state of the paper's network is 500 MB; on a GPU it is soon out of date.
SAVE_EVERY = {"cpu": 60.0, "cuda": 300.0}


class Spec(Base):
    network: Network = Field(description="base network, layers removed, sizes")
    width: float = Field(1.0, gt=0, le=4, description="factor for maps and units; the paper: 1")
    input_size: int = Field(224, ge=32, description="pixels; the paper: 224")
    epochs: int = Field(70, ge=1, description="the paper: 70")
    batch: int = Field(128, ge=1, description="images; the paper: 128")
    learning_rate: float = Field(0.01, gt=0, description="the paper: 0.01")
    momentum: float = Field(0.9, ge=0, lt=1, description="the paper: 0.9")
    weight_decay: float = Field(5e-4, ge=0, description="the paper does not say; Krizhevsky: 5e-4")
    fade: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="share of the initial weights left at the end of training; replaces weight_decay. For trainings much shorter than "
        "the paper's, whose filters would otherwise stay close to their initial noise",
    )
    dropout: float = Field(0.5, ge=0, lt=1, description="in layers 6 and 7; the paper: 0.5")
    init: Literal["gaussian", "matched", "he"] = Field(
        "gaussian", description="initial weights; the paper: Gaussian 0.01"
    )
    input_scale: float = Field(
        1.0, gt=0, description="factor for the inputs in training, folded into layer 1 at the end; the paper: 1"
    )
    filter_rms: float | None = Field(0.1, gt=0, description="largest RMS of a convolution filter; null: no clipping")
    crops: Literal["ten", "random", "centre"] = Field(
        "ten", description="positions of training crops; the paper: ten sub-crops"
    )
    schedule: Literal["stall", "cosine", "constant"] = Field(
        "stall", description="how the learning rate is annealed; the paper: when the validation error stalls"
    )
    warmup: float = Field(0.0, ge=0, description="epochs in which the learning rate rises from 0; the paper: none")
    patience: int = Field(5, ge=1, description="epochs without progress before annealing (stall)")
    factor: float = Field(0.1, gt=0, lt=1, description="annealing factor (stall)")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 if the hardware supports it, else float32"
    )
    snapshots: tuple[float, ...] = Field(
        (), description="epochs, also fractions, after which the convolution layers are saved, for Fig 4"
    )
    seed: int = Field(0, ge=0, description="seed of initial weights, order, crops and dropout")

    @model_validator(mode="after")
    def _length_known(self) -> Spec:
        if self.fade is not None and self.schedule == "stall":
            raise ValueError(
                "fade: the learning rates of the schedule `stall` are not known in advance; set weight_decay, or use the schedule "
                "cosine or constant"
            )
        if self.warmup > self.epochs:
            raise ValueError(f"warmup: longer than the {self.epochs} epochs of training")
        return self

    @field_validator("snapshots")
    @classmethod
    def _within_training(cls, epochs: tuple[float, ...], info: ValidationInfo) -> tuple[float, ...]:
        last = info.data.get("epochs", math.inf)
        for epoch in epochs:
            if not 0 < epoch <= last:
                raise ValueError(f"epoch {epoch:g} does not exist; choose epochs above 0 and up to {last}")
        return tuple(sorted(set(epochs)))


def run(
    spec: Spec,
    images: Path,
    out: Path,
    name: str = "network",
    device: str = "auto",
    threads: int = 1,
    save_every: float | None = None,
    on_divergence: str = "fail",
) -> float:
    """images: manifest.json of the source set; out: folder to fill; checkpoints are saved in `.state` beside it every
    `save_every` seconds, by default 60 on a CPU and 300 on a GPU; on_divergence: fail, or record, which saves that training
    diverged and succeeds. Returns the seconds of training, those before a stop included."""
    import torch

    from zfrepro.core.training import Diverged
    from zfrepro.models import devices

    if on_divergence not in ("fail", "record"):
        raise UserError(f"--on-divergence {on_divergence}: must be fail or record")

    torch_device = devices.choose(device, threads)
    dtype = devices.precision(spec.precision, torch_device)
    source = PreparedSet(images)
    versions = (torch.__version__, *devices.describe(torch_device, spec.precision))
    store = Store(
        out.parent / ".state" / name,
        key(spec.model_dump_json(), computing_code.digest(["stages.train.run"])[0], source.digest, versions),
    )
    with store.only_writer():
        training = _training(spec, source, torch_device, dtype)
        memory = _resume(training, store, name)
        saving = Every(SAVE_EVERY.get(torch_device.type, SAVE_EVERY["cpu"]) if save_every is None else save_every)
        try:
            with stop_signal() as stop, BackgroundSaver(store) as saver:
                _train(spec, training, source, saver, stop, name, saving, memory)
            weights = training.weights()
        except Diverged as diverged:
            advice = _advice(spec, name, diverged)
            if on_divergence == "fail":
                raise UserError(advice) from None
            _log(run=name, note=advice)
            _write_diverged(spec, training, source, memory, out, name, diverged)
        else:
            _write(spec, training, source, memory, out, name, weights)
        store.delete_states()
    return round(memory["seconds"], 1)


def _advice(spec: Spec, name: str, diverged: Diverged) -> str:
    unclipped = "" if spec.filter_rms is not None else ", or clip the filters (filter_rms: 0.1)"
    return (
        f"{name}: training diverged in epoch {diverged.epoch}, step {diverged.step}: {diverged.reason}. "
        f"Lower learning_rate, now {spec.learning_rate:g}{unclipped}, and run again"
    )


def _training(spec: Spec, source: PreparedSet, device: torch.device, dtype: torch.dtype) -> Training:
    from zfrepro.core import nets
    from zfrepro.core.recipe import Recipe
    from zfrepro.core.training import Training, TrainingImages

    classes = len(source.classes)
    net = nets.build(spec.network, spec.input_size, classes, spec.width, spec.dropout)
    nets.initialise(net, spec.init, spec.seed, nets.fan_ins(describe(spec.network, classes=classes)))
    net = nets.to_device(net, device)
    shared = {field.name for field in dataclasses.fields(Recipe)} & set(Spec.model_fields)
    recipe = Recipe(**{field: getattr(spec, field) for field in shared})
    return Training(
        net, TrainingImages(source.reader("train"), source.labels("train"), source.mean()), recipe, device, dtype
    )


def _train(
    spec: Spec,
    training: Training,
    source: PreparedSet,
    saver: BackgroundSaver,
    stop: Any,
    name: str,
    saving: Every,
    memory: dict[str, Any],
) -> None:
    """Run the epochs that are left; `memory` is filled with what is kept besides the weights: history rows, snapshots, seconds."""
    logging, since = Every(LOG_EVERY), time.monotonic()
    snapshot_at = snapshot_steps(spec.snapshots, training.batches_per_epoch)

    def checkpoint() -> None:
        nonlocal since
        memory["seconds"] += time.monotonic() - since
        since = time.monotonic()
        kept = {**memory, "history": [*memory["history"]], "snapshots": {**memory["snapshots"]}}  # both grow meanwhile
        saver.start({"training": training.state(), "memory": kept})

    while training.epoch < spec.epochs:
        epoch_start, first = time.monotonic(), training.batch
        while not training.epoch_done:
            training.step()
            _keep_snapshots(snapshot_at, training, memory)
            if logging.due():
                _log_progress(training, spec, name, epoch_start, first)
            saver.check()
            if stop.is_set():
                checkpoint()
                saver.finish()
                _log(
                    run=name,
                    note="stopped; run the same command to resume",
                    epoch=training.epoch,
                    batch=training.batch,
                )
                sys.exit(143)
            if not saver.busy and saving.due():
                checkpoint()
        _end_epoch(spec, training, source, memory, time.monotonic() - epoch_start, first, name)
    memory["seconds"] += time.monotonic() - since


def snapshot_steps(epochs: tuple[float, ...], batches_per_epoch: int) -> dict[float, int]:
    """Epoch -> the update after which it is kept, counted from 1: the nearest one."""
    return {epoch: max(1, round(epoch * batches_per_epoch)) for epoch in epochs}


def _keep_snapshots(snapshot_at: dict[float, int], training: Training, memory: dict[str, Any]) -> None:
    """Before any checkpoint of the same step, so that a state holds all snapshots up to its step, and no later one."""
    steps = training.epoch * training.batches_per_epoch + training.batch
    for epoch, step in snapshot_at.items():
        if step == steps:
            tensors = {name: tensor for name, tensor in training.weights().items() if name.startswith("conv")}
            memory["snapshots"][epoch] = tensors


def _resume(training: Training, store: Store, name: str) -> dict[str, Any]:
    state = store.load_state()
    if state is None:
        return {"history": [], "snapshots": {}, "seconds": 0.0}
    training.restore(state["training"])
    _log(run=name, note="resumed", epoch=training.epoch, batch=training.batch)
    return state["memory"]


def _end_epoch(
    spec: Spec, training: Training, source: PreparedSet, memory: dict, seconds: float, first: int, name: str
) -> None:
    from zfrepro.core import crops, evaluation
    from zfrepro.core.ranking import top_error
    from zfrepro.core.training import Diverged

    view = crops.centre_view(source.size, spec.input_size)
    labels = source.labels("val")
    try:
        predicted = evaluation.probabilities(
            training.net, source.reader("val"), training.subtract, spec.input_size, [view], dtype=training.dtype
        )
    except FloatingPointError as error:
        raise Diverged(training.epoch + 1, training.batch, f"on the validation images {error}") from error
    errors = {k: top_error(predicted, labels, k) for k in (1, 5)}
    speed = (training.images_seen - first * spec.batch) / seconds
    row = {
        **training.end_epoch(errors[1]),
        "epoch": training.epoch,
        "val_loss": evaluation.cross_entropy(predicted, labels),
        "val_top1_error": errors[1],
        "val_top5_error": errors[5],
        "seconds": seconds,
        "images_per_second": speed,
    }
    memory["history"].append(row)
    _log(run=name, of=spec.epochs, **{field: round(value, 4) for field, value in row.items()})


def _write(
    spec: Spec,
    training: Training,
    source: PreparedSet,
    memory: dict,
    out: Path,
    name: str,
    weights: dict[str, Any],
) -> None:
    from zfrepro.storage import network_file

    description = Description(spec.network, spec.width, spec.input_size, tuple(source.classes))
    network_file.save(out / "model.safetensors", weights, source.mean(), description)
    snapshots = {f"epoch{epoch:g}.{k}": v for epoch, saved in memory["snapshots"].items() for k, v in saved.items()}
    artifacts.save_weights(out / "snapshots.safetensors", snapshots, description.metadata())
    artifacts.save_text(out / "history.csv", _history(memory))
    artifacts.save_json(out / "network.json", _summary(spec, training, source, memory, name, None))


def _write_diverged(
    spec: Spec, training: Training, source: PreparedSet, memory: dict, out: Path, name: str, diverged: Diverged
) -> None:
    """The same files without weights and snapshots; the history as far as it went."""
    divergence = {"epoch": diverged.epoch, "step": diverged.step, "what": diverged.reason}
    description = Description(spec.network, spec.width, spec.input_size, tuple(source.classes), str(diverged))
    for file in ("model.safetensors", "snapshots.safetensors"):
        artifacts.save_weights(out / file, {}, description.metadata())
    artifacts.save_text(out / "history.csv", _history(memory))
    artifacts.save_json(out / "network.json", _summary(spec, training, source, memory, name, divergence))


def _history(memory: dict) -> str:
    """CSV, a row per epoch, without its times: equal trainings give equal bytes."""
    import pandas as pd

    return pd.DataFrame(memory["history"], columns=HISTORY).to_csv(index=False)


def _summary(
    spec: Spec, training: Training, source: PreparedSet, memory: dict, name: str, diverged: dict[str, Any] | None
) -> dict[str, Any]:
    import torch

    from zfrepro.models import devices

    classes = len(source.classes)
    actual, full = describe(spec.network, spec.input_size, classes, spec.width), describe(spec.network)
    return {
        "run": name,
        "spec": spec.model_dump(mode="json"),
        "device": training.device.type,
        "hardware": devices.hardware(training.device),
        "torch": torch.__version__,
        "precision": str(training.dtype).removeprefix("torch."),
        "classes": classes,
        "images": len(training.labels),
        "rows": [_row(row) for row in actual],
        "parameters": parameter_count(actual),
        "full_size": {"rows": [_row(row) for row in full], "parameters": parameter_count(full)},
        "weight_decay": training.weight_decay,
        "faded_to": training.faded_to,
        "diverged": diverged,
    }


def _row(row: Row) -> dict[str, Any]:
    plain = {field.name: getattr(row, field.name) for field in dataclasses.fields(row) if field.name != "op"}
    window = {field: getattr(row.op, field, None) for field in ("kernel", "stride", "pad")}
    return {**plain, **window, "kind": KINDS[type(row.op)]}


def _log_progress(training: Training, spec: Spec, name: str, started: float, first: int) -> None:
    _log(
        run=name,
        epoch=training.epoch + 1,
        of=spec.epochs,
        batch=training.batch,
        batches=training.batches_per_epoch,
        loss=round(training.mean_loss, 4),
        images_per_second=round((training.images_seen - first * spec.batch) / (time.monotonic() - started)),
    )


def _log(**fields: Any) -> None:
    print(json.dumps(fields), flush=True)
