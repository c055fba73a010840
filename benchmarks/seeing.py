"""Occlusion maps and projections, ours and captum's: the same network, weights and pictures, at the paper's size.

The improved network at full width, 224 pixels, 1000 classes; untrained weights, since time does not depend on them. Called as a
program, `python benchmarks/seeing.py occlusion ours` does one piece of work and prints the GiB that it took at its peak.
"""

from __future__ import annotations

import functools
import itertools
import json
import statistics
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

SIZE, SQUARE, STRIDE, CLASSES = 224, 50, 6, 1000
POSITIONS = 30**2
TRIED = (8, 16, 32, 64)  # captum's perturbations_per_eval, the fastest counts
UNITS = {2: 16, 3: 12, 4: 12, 5: 12}  # projections of each layer; Fig 2 has 144, 108, 90 and 90
FIG2 = {2: 144, 3: 108, 4: 90, 5: 90}
ROUNDS = 3
FULL_BATCHES = (16, 32, 64, 128)  # covered images in one full pass of resnet18, the fastest counts
FULL_STRIDE, RESNET_STRIDE = 16, 12  # 121 positions by full passes, 225 by windows
FLOOR_BATCH = 16
PRODUCT_ROWS = 512  # of the matrices whose products the floor counts


def occlusion() -> dict[str, Any]:
    """Milliseconds a position of one picture's 30 x 30 occlusion map."""
    import torch

    work, (net, picture) = _occlusions(), _network(1)
    best = _fastest_of_captum(work["peer"])
    times = _alternate({"ours": work["ours"], "bfloat16": work["bfloat16"], "peer": lambda: work["peer"](best)})
    ms = {name: 1000 * statistics.median(seconds) / POSITIONS for name, seconds in times.items()}
    floor = _floor(net, picture)
    exact = _plain_probabilities(net.double(), picture.double())
    plain = _plain_probabilities(net.float(), picture)
    return {
        "ours": ms["ours"], "peer": ms["peer"], "peer_name": f"captum Occlusion, {best} perturbations at once", "unit": "ms/position",
        "ratio": ms["peer"] / ms["ours"], "relative_error": _error(work["ours"](), exact),
        "relative_error_of_plain_float32": _error(torch.diag_embed(plain.T).permute(1, 2, 0), exact), "memory_gib": _memories("occlusion"),
        "bfloat16": {"ms": round(ms["bfloat16"], 2), "relative_error": _error(work["bfloat16"](), exact)},
        "floor": {"ms": round(floor, 2), "ratio": round(ms["peer"] / floor, 2)},
    }  # fmt: skip


def occlusion_resnet18() -> dict[str, Any]:
    """Milliseconds per position of torchvision's resnet18 with random weights, by windows and by full passes at their best batch."""
    import torch

    from zfrepro.core.occlusion import FullPasses, Occluder, Prediction

    net, picture = _resnet18()
    grey = torch.zeros_like(picture[0])
    occluder = Occluder(net, None, SQUARE, RESNET_STRIDE, 64)

    def full(batch: int) -> Any:
        def predict(images: Any) -> Prediction:
            inputs = images.contiguous(memory_format=torch.channels_last)
            return Prediction(net(inputs).softmax(1), images.new_zeros(len(images), 0))

        return FullPasses(predict, SQUARE, FULL_STRIDE, batch)(picture[0], grey)

    tried = _alternate({batch: functools.partial(full, batch) for batch in FULL_BATCHES}, rounds=1)
    best = min(FULL_BATCHES, key=lambda batch: min(tried[batch]))
    times = _alternate({"ours": lambda: occluder(picture[0], grey), "peer": lambda: full(best)})
    positions = {"ours": _positions(RESNET_STRIDE), "peer": _positions(FULL_STRIDE)}
    ms = {name: 1000 * statistics.median(seconds) / positions[name] for name, seconds in times.items()}
    ours, plain = occluder(picture[0], grey).probabilities, _plain_probabilities(net, picture, RESNET_STRIDE)
    exact = _plain_probabilities(net.double(), picture.double(), RESNET_STRIDE)
    return {
        "ours": ms["ours"], "peer": ms["peer"], "peer_name": f"full passes of {best} covered images", "unit": "ms/position",
        "ratio": ms["peer"] / ms["ours"], "relative_error": _error(ours, exact),
        "relative_error_of_plain_float32": _error(torch.diag_embed(plain.T).permute(1, 2, 0), exact),
    }  # fmt: skip


def _positions(stride: int) -> int:
    from zfrepro.core.occlusion import corners

    return len(corners(SIZE, SQUARE, stride)) ** 2


def _resnet18() -> tuple[Any, Any]:
    """He's weights; batch normalisations with random scales and statistics, and scores of about 1, so that no class is certain."""
    import torch

    from zfrepro.models import torchvision_import
    from zfrepro.storage import machine

    torchvision_import.ensure()
    from torchvision.models import resnet18

    torch.set_num_threads(machine.cores())
    torch.manual_seed(0)
    net = resnet18(weights=None).eval().to(memory_format=torch.channels_last)
    picture = torch.randn(1, 3, SIZE, SIZE).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1)
                module.running_mean.uniform_(-0.2, 0.2)
                module.running_var.uniform_(0.5, 1.5)
        net.fc.weight.div_(net(picture).std())
    return net, picture


def _floor(net: Any, picture: Any) -> float:
    """Milliseconds per position if nothing but the windows' products were computed, at the speed that they have in large batches."""
    import torch

    from zfrepro.core.full_convolution import FullConvolution
    from zfrepro.core.heads import as_convolutions
    from zfrepro.core.incremental import split
    from zfrepro.core.occlusion import HEAD_BATCH, corners
    from zfrepro.core.receptive_field import axes

    body, head = split(net)
    maps, seconds = picture.expand(FLOOR_BATCH, -1, -1, -1).contiguous(memory_format=torch.channels_last), 0.0
    spans = [(start, start + SQUARE) for start in corners(SIZE, SQUARE, STRIDE)]  # the same for rows and columns
    with torch.inference_mode():
        for child in body:
            below, maps, spans_below = maps, child(maps), spans
            if isinstance(child, torch.nn.Conv2d | torch.nn.MaxPool2d):
                spans = [axes(child)[0].reached(*span, maps.shape[2]) for span in spans]
            if isinstance(child, torch.nn.Conv2d):
                of_position = _fastest(functools.partial(child, below)) / FLOOR_BATCH / maps.shape[2] ** 2
                seconds += _window_seconds(FullConvolution(child), spans_below, spans, of_position)
        features = maps[:1].expand(HEAD_BATCH, -1, -1, -1).contiguous(memory_format=torch.channels_last)
        quick = as_convolutions(head, tuple(features.shape[1:]))
        seconds += _fastest(lambda: quick(features)) / HEAD_BATCH
    return 1000 * seconds


def _window_seconds(full: Any, below: list[tuple[int, int]], above: list[tuple[int, int]], of_position: float) -> float:
    """Mean seconds of a window: the matrix products of Winograd's algorithm, or its positions above at `of_position` seconds each."""
    import torch

    @functools.cache
    def of_value(winograd: Any) -> float:
        count, inputs, _ = winograd.filters_shape
        values = torch.randn(count, PRODUCT_ROWS, inputs)
        return _fastest(lambda: torch.bmm(values, winograd.filters)) / count / PRODUCT_ROWS

    seconds = []
    sides = [(last - first, end - start) for (first, last), (start, end) in zip(below, above, strict=True)]
    for (rows, high), (columns, wide) in itertools.product(sides, repeat=2):
        winograd = full.fastest(rows, columns)
        direct = high * wide * of_position
        seconds.append(direct if winograd is None else winograd.count_values(rows, columns) * of_value(winograd))
    return statistics.mean(seconds)


def _fastest(work: Callable[[], Any]) -> float:
    return min(min(times) for times in _alternate({"": work}, rounds=ROUNDS).values())


def projection() -> dict[str, Any]:
    """Milliseconds a projection, over layers 2 to 5 in the shares of Fig 2, one batch after another as in a run."""
    times = _alternate(_projections(), before=1)
    shares = {layer: count / sum(FIG2.values()) for layer, count in FIG2.items()}
    ms = {key: 1000 * statistics.median(seconds) / UNITS[key[1]] for key, seconds in times.items()}
    peer = {layer: min(ms["one", layer], ms["together", layer]) for layer in UNITS}
    ours, theirs = (
        sum(shares[layer] * of[layer] for layer in UNITS) for of in ({n: ms["ours", n] for n in UNITS}, peer)
    )
    return {
        "ours": ours, "peer": theirs, "peer_name": "captum NeuronDeconvolution, one by one or together", "unit": "ms/projection",
        "ratio": theirs / ours, "memory_gib": _memories("projection"),
        "layers": {str(n): {"ours": round(ms["ours", n], 2), "peer": round(peer[n], 2)} for n in UNITS},
    }  # fmt: skip


def _network(pictures: int) -> tuple[Any, Any]:
    import torch

    from zfrepro.core.architecture import Network
    from zfrepro.core.nets import build, initialise
    from zfrepro.storage import machine

    torch.set_num_threads(machine.cores())
    net = build(Network(base="improved"), SIZE, CLASSES).to(memory_format=torch.channels_last).eval()
    initialise(net, "he", 0)
    shown = 40 * torch.randn(pictures, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    return net, shown.contiguous(memory_format=torch.channels_last)


def _occlusions() -> dict[str, Callable[..., Any]]:
    import torch
    from captum.attr import Occlusion

    from zfrepro.core.occlusion import Occluder

    net, picture = _network(1)
    grey = torch.zeros_like(picture[0])

    def occluded(dtype: Any) -> Any:
        return ready(dtype)(picture[0], grey).probabilities

    @functools.cache
    def ready(dtype: Any) -> Occluder:
        return Occluder(net, "relu5", SQUARE, STRIDE, 64, dtype)

    def peer(at_once: int, stride: int = STRIDE) -> Any:
        window = {"sliding_window_shapes": (3, SQUARE, SQUARE), "strides": (3, stride, stride), "baselines": 0}
        captums = Occlusion(lambda inputs: net(inputs).softmax(1))
        return captums.attribute(picture, **window, target=0, perturbations_per_eval=at_once)

    return {"ours": lambda: occluded(None), "bfloat16": lambda: occluded(torch.bfloat16), "peer": peer}


def _fastest_of_captum(work: Callable[..., Any]) -> int:
    """Tried on every ninth position."""
    times = _alternate({at_once: functools.partial(work, at_once, 3 * STRIDE) for at_once in TRIED})
    return min(TRIED, key=lambda at_once: min(times[at_once]))


def _plain_probabilities(net: Any, picture: Any, stride: int = STRIDE) -> Any:
    """One forward pass a position, along the diagonal: (30, classes) with the paper's stride."""
    import torch

    from zfrepro.core.occlusion import corners

    found = []
    with torch.no_grad():
        for place in corners(SIZE, SQUARE, stride):
            covered = picture.clone()
            covered[..., place : place + SQUARE, place : place + SQUARE] = 0
            found.append(net(covered).softmax(1)[0])
    return torch.stack(found)


def _error(ours: Any, exact: Any) -> float:
    """Largest error of a probability, as a share of the largest probability."""
    import torch

    diagonal = torch.stack([ours[i, i] for i in range(len(exact))]).double()
    return float(f"{(diagonal - exact).abs().max() / exact.max():.2g}")


def _projections() -> dict[Any, Callable[[], Any]]:
    import torch
    from captum.attr import NeuronDeconvolution

    from zfrepro.core import deconvnet
    from zfrepro.core.nets import layer_outputs

    net, pictures = _network(max(UNITS.values()))
    work: dict[Any, Callable[[], Any]] = {}
    for layer, count in UNITS.items():
        with torch.no_grad():
            found = layer_outputs(net, pictures[:count], {f"relu{layer}": layer})[layer]
        maps, columns, rows = torch.arange(count), found.shape[3], torch.arange(count)
        at = found[rows, maps].flatten(1).argmax(1)
        places = torch.stack([at // columns, at % columns], dim=1)
        captums = NeuronDeconvolution(net, net.get_submodule(f"relu{layer}"))

        def ours(layer=layer, count=count, maps=maps, places=places):
            return deconvnet.project(net, f"relu{layer}", pictures[:count], maps, places)

        def one(captums=captums, count=count, maps=maps, places=places):
            units = zip(maps.tolist(), places.tolist(), strict=True)
            return [captums.attribute(pictures[i : i + 1], (one, *place)) for i, (one, place) in enumerate(units)]

        def together(captums=captums, count=count, maps=maps, places=places, rows=rows):
            return captums.attribute(pictures[:count], lambda maps_of: maps_of[rows, maps, places[:, 0], places[:, 1]])

        work |= {("ours", layer): ours, ("one", layer): one, ("together", layer): together}
    return work


def _alternate(work: dict[Any, Callable[[], Any]], rounds: int = ROUNDS, before: int = 0) -> dict[Any, list[float]]:
    """Seconds of every piece of work, in turns; the first turn warms up and does not count, nor do `before` runs in every turn."""
    times: dict[Any, list[float]] = {name: [] for name in work}
    for turn in range(rounds + 1):
        for name, piece in work.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # captum says each time that it sets backward hooks
                for _ in range(before):
                    piece()
                start = time.perf_counter()
                piece()
            if turn:
                times[name].append(time.perf_counter() - start)
    return times


def _memories(kind: str) -> dict[str, float]:
    """GiB that one piece of work takes at its peak, beyond the network that is loaded already; each in its own process."""
    return {who: json.loads(_said(kind, who)) for who in ("ours", "peer")}


def _said(*arguments: str) -> str:
    return subprocess.run(
        [sys.executable, Path(__file__), *arguments], capture_output=True, text=True, check=True
    ).stdout


def main(kind: str, who: str) -> None:
    warnings.simplefilter("ignore")
    if kind == "occlusion":
        work = _occlusions()
        pieces = [work["ours"] if who == "ours" else functools.partial(work["peer"], 16)]
    else:
        name = {"ours": "ours", "peer": "together"}[who]
        pieces = [piece for (kind_of, _), piece in _projections().items() if kind_of == name]
    before, peak, done = _resident(), [0], threading.Event()
    watching = threading.Thread(target=_watch, args=(peak, done))
    watching.start()
    for piece in pieces:
        piece()
    done.set()
    watching.join()
    print(round((peak[0] - before) / 2**30, 2))


def _resident() -> int:
    """Bytes in memory now."""
    return psutil.Process().memory_info().rss


def _watch(peak: list[int], done: threading.Event) -> None:
    while not done.wait(0.005):
        peak[0] = max(peak[0], _resident())


if __name__ == "__main__":
    main(*sys.argv[1:])
