"""What we claim about speed: ours and a peer, alternating in one run; writes results.json beside this file and a table.

python benchmarks/bench.py [NAME ...]     all by default; default_run trains everything anew and takes minutes
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import seeing
import transferring
from plain_loop import steps as plain_steps

from zfrepro import artifacts

HERE = Path(__file__).parent
ROOT = HERE.parent
SIZE, STORED, CLASSES, BATCH = 112, 128, 24, 128  # pixels, pixels, classes, pictures
REPEAT = 8  # times that the 512 pictures are seen in one epoch, so that no epoch ends while the clock runs
WARM_UP, BLOCK, ROUNDS = 2, 4, 7  # mini-batches before timing, in one timed block, blocks each


def training_throughput() -> dict[str, Any]:
    """Pictures a second of one network training on all cores: improved, width 1/4, 112 px."""
    import numpy as np
    import torch

    torch.set_num_threads(os.cpu_count() or 1)
    with tempfile.TemporaryDirectory() as folder:
        images, labels = _pictures(Path(folder))
        images, labels = np.tile(images, (REPEAT, 1, 1, 1)), np.tile(labels, REPEAT)
        peer = plain_steps(Path(folder), REPEAT, SIZE, CLASSES, _features(), BATCH)
        found = _alternate({"ours": _our_steps(images, labels), "peer": peer})
    speeds = {name: statistics.median(BLOCK * BATCH / seconds for seconds in times) for name, times in found.items()}
    return _result(
        speeds["ours"],
        speeds["peer"],
        "plain PyTorch loop (benchmarks/plain_loop.py)",
        "pictures/s",
        speeds["ours"] / speeds["peer"],
    )


def huge_pages() -> dict[str, Any]:
    """Pictures a second of the default experiment's improved network, with the environment of a run's jobs and without."""
    from zfrepro import manager

    code = "import pathlib, zfrepro.experiments as e, zfrepro.throughput as t; "
    code += "print(t.measure(e.load(pathlib.Path('config.yaml')), 'improved', 'cpu').images_per_second)"
    plain = {name: value for name, value in os.environ.items() if name not in manager.JOBS}
    speeds: dict[str, list[float]] = {"ours": [], "peer": []}
    for _ in range(3):
        for name, more in (("ours", manager.JOBS), ("peer", {})):
            said = subprocess.run(
                [sys.executable, "-c", code], cwd=ROOT, check=True, stdout=subprocess.PIPE, env=plain | more
            )
            speeds[name].append(float(said.stdout))
    ours, peer = (statistics.median(speeds[name]) for name in ("ours", "peer"))
    return _result(ours, peer, "the same in pages of 4 KiB", "pictures/s", ours / peer)


def noop_run() -> dict[str, Any]:
    """Seconds of a finished run given again, and of plain `snakemake` on the same workflow."""
    with tempfile.TemporaryDirectory() as folder:
        work = _copy(Path(folder))
        run = [sys.executable, "-m", "zfrepro", "run", "--config", "tests/smoke.yaml"]
        _call(run, work)
        plain = [sys.executable, "-m", "snakemake", "--configfile", "tests/smoke.yaml", "--cores", "2"]
        times: dict[str, list[float]] = {"ours": [], "peer": []}
        for _ in range(ROUNDS):
            times["ours"].append(_call(run, work))
            times["peer"].append(_call(plain, work))
    ours, peer = (statistics.median(times[name]) for name in ("ours", "peer"))
    return _result(ours, peer, "plain snakemake, nothing to do", "s", peer / ours)


def default_run() -> dict[str, Any]:
    """Seconds of the default experiment from nothing on two cores, against the ten minutes we promise."""
    with tempfile.TemporaryDirectory() as folder:
        seconds = _call([sys.executable, "-m", "zfrepro", "run", "--cores", "2"], _copy(Path(folder)))
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20  # GiB, largest single process
    return _result(seconds, 600.0, "the ten minutes promised", "s", 600 / seconds) | {
        "largest_process_gib": round(memory, 2)
    }


def occlusion() -> dict[str, Any]:
    """Milliseconds a position of an occlusion map at the paper's geometry, against captum."""
    return _rounded(seeing.occlusion())


def projection() -> dict[str, Any]:
    """Milliseconds a projection of the units of Fig 2 at the paper's size, against captum."""
    return _rounded(seeing.projection())


def features() -> dict[str, Any]:
    """Milliseconds a picture for the features of six layers, against torchvision's extractor."""
    return _rounded(transferring.features())


def probes() -> dict[str, Any]:
    """Seconds of softmax and SVM on one layer and fold, strengths chosen, against scikit-learn on the features."""
    return _rounded(transferring.probes())


BENCHMARKS: dict[str, Callable[[], dict[str, Any]]] = {
    function.__name__: function
    for function in (training_throughput, huge_pages, occlusion, projection, features, probes, noop_run, default_run)
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    names = parser.parse_args().names or list(BENCHMARKS)
    if unknown := set(names) - set(BENCHMARKS):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; known are {', '.join(BENCHMARKS)}")
    path = HERE / "results.json"
    results = json.loads(path.read_text()) if path.is_file() else {}
    for name in names:
        results[name] = BENCHMARKS[name]()
        artifacts.save_json(path, results)
    for name, found in results.items():
        print(
            f"{name:<22} {found['ours']:>9} {found['unit']:<11} {found['peer']:>9}  x{found['ratio']:<6} {found['peer_name']}"
        )


def _pictures(folder: Path) -> tuple[Any, Any]:
    """512 pictures of `scenes`: as arrays (N, S, S, 3) and labels for us, as JPEG files for the peer."""
    import numpy as np

    from zfrepro.datasets import scenes

    spec = scenes.Spec(size=STORED, train_per_class=22, val_per_class=1)
    listed = scenes.listing(spec).splits["train"][:512]
    drawn = [scenes.load(spec, item).image for item in listed]
    for number, (item, image) in enumerate(zip(listed, drawn, strict=True)):
        image.save(folder / f"{item.label}-{number:04d}.jpg", quality=90)
    return np.stack([np.asarray(image) for image in drawn]), np.array([item.label for item in listed])


def _features() -> int:
    from zfrepro.core.architecture import Network, describe

    return next(row.inputs for row in describe(Network(base="improved"), SIZE, CLASSES, 0.25) if row.name == "full6")


def _our_steps(images: Any, labels: Any) -> Iterator[None]:
    import numpy as np
    import torch

    from zfrepro import devices
    from zfrepro.core import nets
    from zfrepro.core.architecture import Network
    from zfrepro.core.recipe import Recipe
    from zfrepro.core.training import Pictures, Training

    device = torch.device("cpu")
    net = nets.build(Network(base="improved"), SIZE, CLASSES, 0.25).to(memory_format=torch.channels_last)
    pictures = Pictures(images, labels, images.mean(0, dtype=np.float64).astype(np.float32))
    recipe = Recipe(input_size=SIZE, batch=BATCH, crops="random", schedule="constant", input_scale=1 / 64)
    work = Training(net, pictures, recipe, device, devices.precision("auto", device))
    while True:
        while not work.epoch_done:
            work.step()
            yield
        work.end_epoch(0.0)


def _alternate(loops: dict[str, Iterator[None]]) -> dict[str, list[float]]:
    """Seconds of every block of mini-batches, loops taking turns."""
    for loop in loops.values():
        for _ in range(WARM_UP):
            next(loop)
    times: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(ROUNDS):
        for name, loop in loops.items():
            start = time.perf_counter()
            for _ in range(BLOCK):
                next(loop)
            times[name].append(time.perf_counter() - start)
    return times


def _copy(folder: Path) -> Path:
    """The project without any result, to run in."""
    for name in ("Snakefile", "config.yaml", "workflow", "zfrepro", "tests"):
        source = ROOT / name
        shutil.copytree(source, folder / name) if source.is_dir() else shutil.copy(source, folder / name)
    return folder


def _call(command: list[str], folder: Path) -> float:
    start = time.perf_counter()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(
        command,
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PATH": path},
    )
    return time.perf_counter() - start


def _rounded(found: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, 2) if key in ("ours", "peer", "ratio") else value for key, value in found.items()}


def _result(ours: float, peer: float, peer_name: str, unit: str, ratio: float) -> dict[str, Any]:
    return {
        "ours": round(ours, 2),
        "peer": round(peer, 2),
        "peer_name": peer_name,
        "unit": unit,
        "ratio": round(ratio, 2),
    }


if __name__ == "__main__":
    main()
