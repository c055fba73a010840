"""How fast a GPU trains, reads images, covers and projects at the paper's size; writes gpu.json beside this file and a table.

python benchmarks/gpu.py [PART ...]     parts: see PARTS; all by default. With --cpu on a CPU, tiny, to try the program itself.

The improved network at full width, 224 pixels, 1000 classes, mini-batches of 128, bfloat16 in training and float32 in analyses; images
of 256 pixels, noise. Several minutes and 7 GB of disk in $TMPDIR.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from loading import drop
from torch.nn import functional

from zfrepro.core import crops, deconvnet, evaluation, loading, nets, staging
from zfrepro.core.architecture import Network
from zfrepro.core.nets import layer_outputs
from zfrepro.core.occlusion import Occluder, corners, make_occluder
from zfrepro.core.recipe import Recipe
from zfrepro.core.training import Training, TrainingImages
from zfrepro.models import devices
from zfrepro.storage import artifacts, machine
from zfrepro.storage.stored_images import OpenFile, StoredImages

HERE = Path(__file__).parent
CPU = "--cpu" in sys.argv
DEVICE = devices.choose("cpu" if CPU else "cuda")
WIDTH, SIZE, STORED, BATCH, CLASSES = (0.1, 64, 72, 16, 10) if CPU else (1.0, 224, 256, 128, 1000)
IMAGES = 512 if CPU else 32768  # in the file
SECONDS, STEPS = (1.0, 3) if CPU else (12.0, 30)  # of a measurement by the clock; of a timed block
ROUNDS = 5
SQUARE, STRIDE = (16, 8) if CPU else (50, 6)
NETWORKS = {
    "improved": Network(base="improved"),
    "baseline": Network(base="baseline"),
    "improved-wide-8192": Network(base="improved", maps=(512, 1024, 512), units=8192),
}


def ceilings() -> dict[str, float]:
    """What the hardware gives: a large product in bfloat16, a large copy on the device and to it."""
    many = 2**22 if CPU else 2**30
    left, side = torch.empty(many, dtype=torch.uint8, device=DEVICE), 256 if CPU else 8192
    right, host = torch.empty_like(left), torch.empty(many // 4, dtype=torch.uint8, pin_memory=not CPU)
    factor = torch.randn(side, side, device=DEVICE, dtype=torch.bfloat16)
    return {
        "product_tflops": 2 * side**3 / _seconds(lambda: factor @ factor) / 1e12,
        "copy_tb_per_second": 2 * many / _seconds(lambda: right.copy_(left)) / 1e12,
        "upload_gb_per_second": len(host) / _seconds(lambda: right[: len(host)].copy_(host, non_blocking=True)) / 1e9,
    }


def steps() -> dict[str, Any]:
    """Images per second of training steps whose mini-batch is on the device already: what the loader has to keep up with."""
    found: dict[str, Any] = {}
    for name, network in NETWORKS.items():
        for chosen in (False, True) if name == "improved" else (False,):
            torch.backends.cudnn.benchmark = chosen
            key = f"{name}{', cudnn.benchmark' if chosen else ''}"
            found[key] = _guarded(lambda network=network: _rate(_fixed_training(network)))
        torch.backends.cudnn.benchmark = False
    return found


def graph() -> dict[str, Any]:
    """The same step, recorded once as a CUDA graph and replayed: what launching costs."""
    if CPU:
        return {}
    training = _fixed_training(NETWORKS["improved"])
    inputs, labels = _fixed_batch()
    net = training.net.train()

    def step() -> None:
        with torch.autocast("cuda", torch.bfloat16):
            scores = nets.scores(net, inputs)
        torch.autograd.backward(functional.cross_entropy(scores.float(), labels))
        for group in training.groups:
            group.update(0.01, 0.9)
        nets.clip_filters(net, 0.1)

    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    recorded = torch.cuda.CUDAGraph()
    with torch.cuda.graph(recorded):
        step()
    return {"images_per_second": BATCH / _seconds(recorded.replay, STEPS)}


def parts() -> dict[str, float]:
    """Milliseconds of a step's parts, each alone and waited for."""
    training = _fixed_training(NETWORKS["improved"])
    inputs, labels = _fixed_batch()
    net = training.net.train()
    images = np.random.default_rng(0).integers(0, 256, (BATCH, STORED, STORED, 3), dtype=np.uint8)
    pixels = torch.from_numpy(images).to(DEVICE)
    views = torch.from_numpy(crops.training_views("ten", BATCH, STORED, SIZE, 0, 0)).to(DEVICE)

    def forward() -> torch.Tensor:
        with torch.autocast(DEVICE.type, torch.bfloat16):
            return nets.scores(net, inputs)

    def both() -> None:
        torch.autograd.backward(functional.cross_entropy(forward().float(), labels))

    def update() -> None:
        for group in training.groups:
            group.update(0.0, 0.9)

    def whole() -> None:
        both()
        update()

    found = {
        "crop and mean": lambda: training.subtract.from_stored(pixels, views, SIZE, torch.bfloat16),
        "forward": forward,
        "forward and backward": both,
        "forward, backward, update": whole,
        "clip filters": lambda: nets.clip_filters(net, 0.1),
        "state for a checkpoint": lambda: staging.copy_to_host(training.state()),
    }
    found = {name: 1000 * _seconds(work, 1 if "state" in name else STEPS) for name, work in found.items()}
    maps = inputs
    for name, child in net.named_children():
        below = maps.detach()
        with torch.no_grad(), torch.autocast(DEVICE.type, torch.bfloat16):
            maps = child(below)
        found[f"both of {name}"] = 1000 * _seconds(lambda child=child, below=below: _both(child, below), STEPS)
    return found


def _both(child: torch.nn.Module, below: torch.Tensor) -> None:
    """Forward and backward of one layer."""
    below = below.detach().requires_grad_(below.is_floating_point() and below.shape[1] != 3)
    with torch.autocast(DEVICE.type, torch.bfloat16):
        out = child(below)
    if out.requires_grad:
        out.backward(torch.ones_like(out))
    for parameter in child.parameters():
        parameter.grad = None


def first_convolution() -> dict[str, float]:
    """Milliseconds of layer 1, forward and backward, on 3 channels and on inputs padded to 4 and 8, which tensor cores like better."""
    convolution, inputs, found = _net(NETWORKS["improved"]).get_submodule("conv1"), _fixed_batch()[0], {}
    for channels in (3, 4, 8):
        padding = (0, 0, 0, 0, 0, channels - 3)
        padded = functional.pad(inputs, padding).contiguous(memory_format=torch.channels_last)
        weight = functional.pad(convolution.weight.detach(), padding).requires_grad_()

        def both(padded: torch.Tensor = padded, weight: torch.Tensor = weight) -> None:
            with torch.autocast(DEVICE.type, torch.bfloat16):
                maps = functional.conv2d(padded, weight, convolution.bias, convolution.stride, convolution.padding)
            maps.backward(torch.ones_like(maps))

        found[f"{channels} channels"] = 1000 * _seconds(both, STEPS)
    return found


def readers() -> dict[str, Any]:
    """Images per second of whole training from memory, by the number of threads that read."""
    found, few, most = {}, dict(loading.FEW), dict(loading.READERS)
    with _file() as path:
        loop = _training(NETWORKS["improved"], StoredImages(OpenFile(path), 0, IMAGES, STORED))
        for threads in (16, 4, 2, 1):
            loading.FEW[DEVICE.type] = loading.READERS[DEVICE.type] = threads
            loop._batches = None
            _run(loop, SECONDS / 12)
            found[f"{threads}"] = _run(loop, SECONDS / 4)
    loading.FEW, loading.READERS = few, most
    return found


def training() -> dict[str, Any]:
    """Images per second of whole training from a file, loader and all: its pages in memory, and after they have been dropped."""
    with _file() as path:
        images = StoredImages(OpenFile(path), 0, IMAGES, STORED)
        loop = _training(NETWORKS["improved"], images)
        _run(loop, SECONDS / 4)
        warm = _run(loop, SECONDS)
        with _busy() as busy:
            _run(loop, SECONDS / 4)
        state = _elapsed(loop.state)
        drop(path)
        cold = _run(loop, SECONDS / 2)
        alone = _read_speed(images)
        view = [crops.centre_view(STORED, SIZE)]
        count = min(IMAGES, 64 * BATCH)
        validation = _elapsed(
            lambda: evaluation.probabilities(
                loop.net, images.part(slice(0, count)), loop.subtract, SIZE, view, dtype=torch.bfloat16
            )
        )
        drop(path)
        cold_alone = _read_speed(images)
    return {
        "warm": warm, "cold": cold, "gpu_busy_percent": busy[0] if busy else None, "state_seconds": state, "validation": count / validation,
        "loader_alone_warm": alone, "loader_alone_cold": cold_alone,
    }  # fmt: skip


def validation_batches() -> dict[str, float]:
    """Images per second through the network in float32, without TF32, as the stages on trained networks compute."""
    net = _net(NETWORKS["improved"]).eval()
    inputs = _fixed_batch()[0].float()
    with torch.inference_mode():
        return {"float32": BATCH / _seconds(lambda: net(inputs), STEPS)}


def occlusion() -> dict[str, float]:
    """Milliseconds a position of one image's 30 x 30 occlusion map, float32, as the stage computes it and by windows; and of images
    that wait on the device. The windows' time in gpu.json is older and without the head."""
    net = _net(NETWORKS["improved"]).eval()
    picture, grey = _fixed_batch()[0][0].float(), torch.zeros(3, SIZE, SIZE, device=DEVICE)
    geometry = ("relu5", SQUARE, STRIDE, 64, torch.float32)
    positions = len(corners(SIZE, SQUARE, STRIDE)) ** 2
    many = picture.expand(BATCH, -1, -1, -1).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        plain = _seconds(lambda: net(many), STEPS) / BATCH
    ours, windows = (
        _seconds(functools.partial(cover, picture, grey), 2) / positions
        for cover in (make_occluder(net, *geometry), Occluder(net, *geometry))
    )
    return {"ours_ms": 1000 * ours, "windows_ms": 1000 * windows, "images_ms": 1000 * plain}


def projection() -> dict[str, float]:
    """Milliseconds a projection, 64 units of a layer at once, float32."""
    net, inputs = _net(NETWORKS["improved"]).eval(), _fixed_batch()[0].float()
    found, count = {}, min(64, BATCH)
    for layer in (2, 3, 4, 5):
        with torch.no_grad():
            maps_of = layer_outputs(net, inputs[:count], {f"relu{layer}": layer})[layer]
        maps = torch.arange(count, device=DEVICE) % maps_of.shape[1]
        at = maps_of[torch.arange(count, device=DEVICE), maps].flatten(1).argmax(1)
        places = torch.stack([at // maps_of.shape[3], at % maps_of.shape[3]], dim=1)
        work = functools.partial(deconvnet.project, net, f"relu{layer}", inputs[:count], maps, places)
        found[f"layer {layer}"] = 1000 * _seconds(work, 2) / count
    return found


def profile() -> dict[str, float]:
    """Milliseconds on the device of a step's kernels, the largest."""
    if CPU:
        return {}
    training = _fixed_training(NETWORKS["improved"])
    for _ in range(5):
        training.step()
    kinds = [torch.profiler.ProfilerActivity.CUDA, torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(activities=kinds) as found:
        for _ in range(10):
            training.step()
        torch.cuda.synchronize()
    rows = sorted(found.key_averages(), key=lambda row: -row.self_device_time_total)
    return {row.key[:90]: row.self_device_time_total / 10_000 for row in rows[:30]}


PARTS: dict[str, Callable[[], Any]] = {
    part.__name__: part
    for part in (
        ceilings,
        steps,
        graph,
        parts,
        first_convolution,
        training,
        readers,
        validation_batches,
        occlusion,
        projection,
        profile,
    )
}


def _net(network: Network) -> torch.nn.Sequential:
    net = nets.build(network, SIZE, CLASSES, WIDTH)
    nets.initialise(net, "he", 0)
    return nets.to_device(net, DEVICE)


def _training(network: Network, images: StoredImages | np.ndarray) -> Training:
    mean = np.full((STORED, STORED, 3), 128, np.float32)
    data = TrainingImages(images, np.arange(len(images)) % CLASSES, mean)
    recipe = Recipe(input_size=SIZE, batch=BATCH, input_scale=1 / 32, learning_rate=1e-4)
    return Training(_net(network), data, recipe, DEVICE, torch.bfloat16)


def _fixed_training(network: Network) -> Training:
    """Whose mini-batch is always the same, on the device."""
    training, batch = _training(network, np.zeros((2**20, 1, 1, 0), np.uint8)), _fixed_batch()
    training._batches = iter(lambda: batch, None)
    return training


def _fixed_batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    pixels = 40 * torch.randn(BATCH, 3, SIZE, SIZE, generator=generator)
    inputs = pixels.div_(32).to(DEVICE, torch.bfloat16).contiguous(memory_format=torch.channels_last)
    return inputs, torch.arange(BATCH, device=DEVICE) % CLASSES


def _rate(training: Training) -> float:
    return BATCH / _seconds(training.step, STEPS)


def _seconds(work: Callable[[], Any], times: int = 10) -> float:
    """Of one call: the median of some blocks; one block warms up. The device is waited for after a block."""
    found = []
    for turn in range(ROUNDS + 1):
        _wait()
        started = time.perf_counter()
        for _ in range(times):
            work()
        _wait()
        if turn:
            found.append((time.perf_counter() - started) / times)
    return statistics.median(found)


def _elapsed(work: Callable[[], Any]) -> float:
    """Seconds of one call, the second."""
    work()
    _wait()
    started = time.perf_counter()
    work()
    _wait()
    return time.perf_counter() - started


def _wait() -> None:
    if not CPU:
        torch.cuda.synchronize()


def _run(training: Training, seconds: float) -> float:
    """Images per second, epochs' ends inside."""
    _wait()
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        if training.epoch_done:
            training.end_epoch(0.0)
        training.step()
        count += BATCH
    _wait()
    return count / (time.perf_counter() - started)


def _read_speed(images: StoredImages) -> float:
    """Images per second through the loader onto the device, nothing computed."""
    order, started, count = np.random.default_rng(1).permutation(len(images)), time.perf_counter(), 0
    for where, _ in loading.read_ahead(images, order, BATCH, DEVICE):
        count += where.stop - where.start
        if time.perf_counter() - started > SECONDS / 3:
            break
    _wait()
    return count / (time.perf_counter() - started)


@contextmanager
def _file() -> Iterator[Path]:
    """Noise; a block of it again and again, so that writing does not take long."""
    block = np.random.default_rng(0).integers(0, 256, 128 * STORED**2 * 3, dtype=np.uint8).tobytes()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "images"
        with open(path, "wb") as file:
            for _ in range(IMAGES // 128):
                file.write(block)
            file.flush()
            os.fsync(file.fileno())
        yield path


@contextmanager
def _busy() -> Iterator[list[float]]:
    """Mean share of time with a kernel on the device, as the driver counts it, in percent; one number in the end."""
    found: list[float] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            found.append(float(_ask_driver("utilization.gpu")))

    watching = threading.Thread(target=watch)
    if not CPU:
        watching.start()
    yield found
    done.set()
    if not CPU:
        watching.join()
        found[:] = [statistics.mean(found[2:] or found)]


def _ask_driver(what: str) -> str:
    command = ["nvidia-smi", f"--query-gpu={what}", "--format=csv,noheader,nounits", "--id=0"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _guarded(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except Exception as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0][:300]}"


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def _about() -> dict[str, Any]:
    return {
        "hardware": devices.hardware(DEVICE),
        "driver": "" if CPU else _ask_driver("driver_version"),
        "torch": torch.__version__,
        "cudnn": torch.backends.cudnn.version(),
        "cores": machine.cores(),
        "batch": BATCH,
        "input_size": SIZE,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--out", type=Path, default=HERE / "gpu.json")
    options = parser.parse_args()
    found: dict[str, Any] = {"about": _about()}
    for name in options.names or PARTS:
        started = time.perf_counter()
        found[name] = _rounded(_guarded(PARTS[name]))
        print(f"{name}  ({time.perf_counter() - started:.0f} s)  {json.dumps(found[name])}", flush=True)
        artifacts.save_json(options.out, found)


if __name__ == "__main__":
    main()
