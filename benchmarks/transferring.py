"""Features and linear classifiers for transfer, ours and the usual way with torchvision and scikit-learn, on drawn pictures.

The improved network at the default experiment's size, untrained; 24 classes of 50 pictures, 30 of each to train on.
"""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

SIZE, STORED, WIDTH, CLASSES = 80, 90, 0.25, 24
PER_CLASS, TEST, EACH = 30, 20, 50  # pictures a class
LAYERS = (1, 2, 3, 4, 5, 7)
TIMED = (1, 5, 7)  # layers whose classifiers are fitted
INNER, ROUNDS = 3, 3


def features() -> dict[str, Any]:
    """Milliseconds a picture for the features of all six layers: one pass, and torchvision's extractor layer by layer."""
    import torch

    from zfrepro.core import crops, loading
    from zfrepro.core.features import batches, children
    from zfrepro.models import torchvision_import

    torchvision_import.ensure()
    from torchvision.models.feature_extraction import create_feature_extractor

    net, images, _ = _network(), *_pictures()
    subtract = crops.MeanSubtraction(np.full((STORED, STORED, 3), 120, np.float32), torch.device("cpu"))
    view = crops.centre_view(STORED, SIZE)
    leaves = {
        "leaf_modules": sorted({type(child) for child in net.children()}, key=str)
    }  # their padding cannot be traced
    extractors = [create_feature_extractor(net, [name], tracer_kwargs=leaves) for name in children(net, LAYERS)]

    def ours() -> None:
        for _ in batches(net, images, subtract, SIZE, LAYERS):
            pass

    def peer() -> None:
        with torch.inference_mode():
            for extractor in extractors:
                for _, inputs in loading.fixed_view_batches(images, subtract, view, SIZE, 128):
                    for maps in extractor(inputs).values():
                        maps.flatten(1).float().numpy()

    times = _alternate({"ours": ours, "peer": peer})
    ms = {name: 1000 * statistics.median(seconds) / len(images) for name, seconds in times.items()}
    return _result(ms, "ms/picture", "torchvision's feature extractor, one pass a layer")


def probes() -> dict[str, Any]:
    """Seconds of both classifiers on one fold of one layer, strengths chosen on three inner folds: by inner products, and by
    scikit-learn's grid search on the features themselves. Mean over layers 1, 5 and 7."""
    import torch

    from zfrepro.core import crops
    from zfrepro.core.features import batches
    from zfrepro.core.folds import folds
    from zfrepro.core.strengths import STRENGTHS

    net, images, labels = _network(), *_pictures()
    subtract = crops.MeanSubtraction(np.full((STORED, STORED, 3), 120, np.float32), torch.device("cpu"))
    parts = [found for _, found in batches(net, images, subtract, SIZE, TIMED)]
    stored = {layer: np.concatenate([part[layer] for part in parts]) for layer in TIMED}
    fold = folds(labels, PER_CLASS, TEST, 1, 0)[0]
    strengths = {kind: STRENGTHS[kind] for kind in ("softmax", "svm")}
    ours, theirs, agree = {}, {}, {}
    for layer, of_layer in stored.items():
        work = functools.partial(_ours, of_layer, labels, fold, strengths)
        peer = functools.partial(_peer, of_layer, labels, fold, strengths)
        times = _alternate({"ours": work, "peer": peer}, rounds=1 if layer == 1 else ROUNDS)
        ours[layer], theirs[layer] = (statistics.median(times[name]) for name in ("ours", "peer"))
        agree[layer] = _agreement(of_layer, labels, fold, peer())
    seconds = {"ours": statistics.fmean(ours.values()), "peer": statistics.fmean(theirs.values())}
    layers = {
        str(layer): {"ours": round(ours[layer], 2), "peer": round(theirs[layer], 2), "same_answers": agree[layer]}
        for layer in TIMED
    }
    return _result(seconds, "s/layer/fold", "scikit-learn's grid search on the features") | {"layers": layers}


def _ours(
    stored: np.ndarray, labels: np.ndarray, fold: Any, strengths: dict[str, tuple[float, ...]]
) -> list[np.ndarray]:
    from zfrepro.core.gram import gram
    from zfrepro.core.probes import classify, task

    ready = task(gram(stored), labels, fold.train, fold.test, INNER)
    return [classify(ready, kind, tried).predicted for kind, tried in strengths.items()]


def _agreement(
    stored: np.ndarray, labels: np.ndarray, fold: Any, theirs: dict[str, tuple[float, np.ndarray]]
) -> dict[str, float]:
    """Share of equal answers at the strength that the peer chose; where accuracies nearly tie the choice itself may differ."""
    from zfrepro.core.gram import gram
    from zfrepro.core.probes import classify, task

    ready = task(gram(stored), labels, fold.train, fold.test, INNER)
    return {
        kind: round(float(np.mean(classify(ready, kind, (strength,)).predicted == predicted)), 4)
        for kind, (strength, predicted) in theirs.items()
    }


def _peer(
    stored: np.ndarray, labels: np.ndarray, fold: Any, strengths: dict[str, tuple[float, ...]]
) -> dict[str, tuple[float, np.ndarray]]:
    """Classifier -> the strength chosen, and what it says of the test pictures."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.svm import LinearSVC

    train, test = stored[fold.train], stored[fold.test]
    mean = train.mean(0)
    scale = np.sqrt(((train - mean) ** 2).sum(1).mean())
    train, test = (train - mean) / scale, (test - mean) / scale
    inner = StratifiedKFold(INNER, shuffle=True, random_state=0)
    models = {"softmax": LogisticRegression(max_iter=5000), "svm": LinearSVC(max_iter=5000)}
    grids = {kind: GridSearchCV(models[kind], {"C": sorted(tried)}, cv=inner) for kind, tried in strengths.items()}
    fitted = {kind: grid.fit(train, labels[fold.train]) for kind, grid in grids.items()}
    return {kind: (float(grid.best_params_["C"]), grid.predict(test)) for kind, grid in fitted.items()}


def _network() -> Any:
    import torch

    from zfrepro.core.architecture import Network
    from zfrepro.core.nets import build, initialise
    from zfrepro.storage import machine

    torch.set_num_threads(machine.cores())
    net = build(Network(base="improved"), SIZE, CLASSES, WIDTH).to(memory_format=torch.channels_last).eval()
    initialise(net, "he", 0)
    return net


@functools.cache
def _pictures() -> tuple[np.ndarray, np.ndarray]:
    """uint8 (N, S, S, 3) and labels."""
    from zfrepro.datasets import scenes

    spec = scenes.Spec(set="caltech101", size=STORED, per_class=EACH)
    listed = scenes.listing(spec).splits["all"]
    drawn = [np.asarray(scenes.load(spec, item).image) for item in listed]
    return np.stack(drawn), np.array([item.label for item in listed])


def _alternate(work: dict[str, Callable[[], Any]], rounds: int = ROUNDS) -> dict[str, list[float]]:
    """Seconds of every call, taking turns; one call of each before the clock runs, unless there is one round."""
    times: dict[str, list[float]] = {name: [] for name in work}
    for number in range(rounds + (rounds > 1)):
        for name, call in work.items():
            start = time.perf_counter()
            call()
            if rounds == 1 or number:
                times[name].append(time.perf_counter() - start)
    return times


def _result(measured: dict[str, float], unit: str, peer_name: str) -> dict[str, Any]:
    ours, peer = measured["ours"], measured["peer"]
    return {"ours": ours, "peer": peer, "peer_name": peer_name, "unit": unit, "ratio": peer / ours}
