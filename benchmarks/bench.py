"""What we claim about speed: ours and a peer, alternating in one run; writes results.json beside this file and a table.

python benchmarks/bench.py [NAME ...]     all by default; default_run trains everything again and takes minutes
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

import loading
import seeing
import transferring
from plain_loop import steps as plain_steps

from zfrepro.storage import artifacts, machine

HERE = Path(__file__).parent
ROOT = HERE.parent
SIZE, STORED, CLASSES, BATCH = 112, 128, 24, 128  # pixels, pixels, classes, images
REPEAT = 8  # times that the 512 pictures are seen in one epoch, so that no epoch ends while the clock runs
BLOCK, ROUNDS = 4, 7  # mini-batches in one timed block, blocks each


def training_throughput() -> dict[str, Any]:
    """Images a second that two cores train on: the improved network, width 1/4, 112 px.

    Ours as a run trains: a network on each core, in the environment of a run's jobs. The peer in the better of two ways: one
    network on all cores with two workers that decode, or a network on each core. All are processes that take turns.
    """
    with tempfile.TemporaryDirectory() as folder:
        _images(Path(folder))
        ways = {"ours": ("ours", 2), "one": ("peer", 1), "two": ("peer", 2)}
        found = _take_turns(Path(folder), ways)
    speeds = {name: statistics.median(speeds) for name, speeds in found.items()}
    peer = max(speeds["one"], speeds["two"])
    return _result(
        speeds["ours"], peer, "plain PyTorch loop (benchmarks/plain_loop.py)", "images/s", speeds["ours"] / peer
    ) | {"peer_one_network": round(speeds["one"], 2), "peer_two_networks": round(speeds["two"], 2)}


def huge_pages() -> dict[str, Any]:
    """Pictures a second of the default experiment's improved network, with the environment of a run's jobs and without."""
    from zfrepro.running import manager

    code = "import pathlib, zfrepro.experiment.loading as e, zfrepro.experiment.throughput as t; "
    code += "print(t.measure(e.load(pathlib.Path('config.yaml')), 'improved', 'cpu').images_per_second)"
    plain = {name: value for name, value in os.environ.items() if name not in manager.JOB_ENVIRONMENT}
    speeds: dict[str, list[float]] = {"ours": [], "peer": []}
    for _ in range(3):
        for name, more in (("ours", manager.JOB_ENVIRONMENT), ("peer", {})):
            done = subprocess.run(
                [sys.executable, "-c", code], cwd=ROOT, check=True, stdout=subprocess.PIPE, env=plain | more
            )
            speeds[name].append(float(done.stdout))
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
    """Seconds of the default experiment from nothing on two cores, against the five minutes we promise with bfloat16."""
    with tempfile.TemporaryDirectory() as folder:
        seconds = _call([sys.executable, "-m", "zfrepro", "run", "--cores", "2"], _copy(Path(folder)))
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20  # GiB, largest single process
    return _result(seconds, 300.0, "the five minutes promised", "s", 300 / seconds) | {
        "largest_process_gib": round(memory, 2)
    }


def occlusion() -> dict[str, Any]:
    """Milliseconds a position of an occlusion map at the paper's geometry, against captum."""
    return _rounded(seeing.occlusion())


def occlusion_resnet18() -> dict[str, Any]:
    """Milliseconds a position of resnet18 with the paper's square, against full passes at their best batch."""
    return _rounded(seeing.occlusion_resnet18())


def projection() -> dict[str, Any]:
    """Milliseconds a projection of the units of Fig 2 at the paper's size, against captum."""
    return _rounded(seeing.projection())


def features() -> dict[str, Any]:
    """Milliseconds a picture for the features of six layers, against torchvision's extractor."""
    return _rounded(transferring.features())


def probes() -> dict[str, Any]:
    """Seconds of softmax and SVM on one layer and fold, strengths chosen, against scikit-learn on the features."""
    return _rounded(transferring.probes())


def loader() -> dict[str, Any]:
    """Images a second of one thread from stored images of 256 px, for crops of 224 px; also all threads, and from a cold disk."""
    return _rounded(loading.loader())


BENCHMARKS: dict[str, Callable[[], dict[str, Any]]] = {
    function.__name__: function
    for function in (
        training_throughput,
        huge_pages,
        occlusion,
        occlusion_resnet18,
        projection,
        features,
        probes,
        loader,
        noop_run,
        default_run,
    )
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--steps", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.steps:
        loop, folder, threads = options.steps
        steps(loop, Path(folder), int(threads))
        return
    names = options.names or list(BENCHMARKS)
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


def _images(folder: Path) -> None:
    """512 images of `scenes`: as arrays (N, S, S, 3) and labels for us, as JPEG files for the peer."""
    import numpy as np

    from zfrepro.datasets import scenes

    spec = scenes.Spec(size=STORED, train_per_class=22, val_per_class=1)
    listed = scenes.listing(spec).splits["train"][:512]
    drawn = [scenes.load(spec, item).image for item in listed]
    for number, (item, image) in enumerate(zip(listed, drawn, strict=True)):
        image.save(folder / f"{item.label}-{number:04d}.jpg", quality=90)
    images, labels = np.stack([np.asarray(image) for image in drawn]), np.array([item.label for item in listed])
    np.savez(folder / "images.npz", images=np.tile(images, (REPEAT, 1, 1, 1)), labels=np.tile(labels, REPEAT))


def _features() -> int:
    from zfrepro.core.architecture import Network, describe

    return next(row.inputs for row in describe(Network(base="improved"), SIZE, CLASSES, 0.25) if row.name == "full6")


def _our_steps(images: Any, labels: Any) -> Iterator[None]:
    import numpy as np
    import torch

    from zfrepro.core import nets
    from zfrepro.core.architecture import Network
    from zfrepro.core.recipe import Recipe
    from zfrepro.core.training import Training, TrainingImages
    from zfrepro.models import devices

    device = torch.device("cpu")
    net = nets.build(Network(base="improved"), SIZE, CLASSES, 0.25).to(memory_format=torch.channels_last)
    pictures = TrainingImages(images, labels, images.mean(0, dtype=np.float64).astype(np.float32))
    recipe = Recipe(input_size=SIZE, batch=BATCH, crops="random", schedule="constant", input_scale=1 / 64)
    work = Training(net, pictures, recipe, device, devices.precision("auto", device))
    while True:
        while not work.epoch_done:
            work.step()
            yield
        work.end_epoch(0.0)


def _take_turns(folder: Path, ways: dict[str, tuple[str, int]]) -> dict[str, list[float]]:
    """Images a second of every block of every way; ways: name -> (whose loop, networks trained at once on all cores)."""
    from zfrepro.running import manager

    cores = machine.cores()
    started: dict[str, list[subprocess.Popen]] = {}
    for name, (loop, networks) in ways.items():
        environment = {key: value for key, value in os.environ.items() if key not in manager.JOB_ENVIRONMENT}
        environment |= manager.JOB_ENVIRONMENT if loop == "ours" else {}
        command = [sys.executable, __file__, "--steps", loop, str(folder), str(max(1, cores // networks))]
        started[name] = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
            for _ in range(networks)
        ]
    try:
        for name in ways:
            _block(started[name])  # warm-up
        speeds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name in ways:
                speeds[name].append(sum(BLOCK * BATCH / seconds for seconds in _block(started[name])))
        return speeds
    finally:
        for process in (one for several in started.values() for one in several):
            process.kill()
            process.wait()


def _block(processes: list[subprocess.Popen]) -> list[float]:
    """Seconds that each process takes for its next block, all at once."""
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    return [float(process.stdout.readline()) for process in processes]


def steps(loop: str, folder: Path, threads: int) -> None:
    """Take a block of mini-batches for every line on the standard input, and print its seconds."""
    import numpy as np
    import torch

    torch.set_num_threads(threads)
    if loop == "ours":
        stored = np.load(folder / "images.npz")
        taken = _our_steps(stored["images"], stored["labels"])
    else:
        taken = plain_steps(folder, REPEAT, SIZE, CLASSES, _features(), BATCH)
    for _ in sys.stdin:
        start = time.perf_counter()
        for _ in range(BLOCK):
            next(taken)
        print(time.perf_counter() - start, flush=True)


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
