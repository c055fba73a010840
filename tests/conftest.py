"""For all tests: one thread a worker, no GPU, and what many files read made once for all workers."""

from __future__ import annotations

import gc
import json
import os

os.environ |= {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # before numpy looks: two workers have two cores

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from helpers import installed_wheel as wheel_helper
from helpers import opened_files, small_experiment, toy_results

gc.set_threshold(50_000, 20, 20)  # as zfrepro's own commands
if "TEST_ON_GPU" in os.environ:
    os.environ["ZFREPRO_DEVICE"] = "cpu"  # tests compare bits, which a GPU does not repeat; those for GPUs name theirs
else:
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # before torch looks, here and in every process that a test starts


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Whole workflows, which take longest, come first. Those on a cluster, which start daemons as root, are run if asked for by name."""
    if "cluster" not in config.option.markexpr:
        items[:] = [item for item in items if item.get_closest_marker("cluster") is None]
    items.sort(key=lambda item: item.get_closest_marker("workflow") is None)


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    """The same everywhere."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _unsynced_files():
    """No file of a test has to outlast a power cut, and thousands are written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda file: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _coarse_drawings():
    """A quarter of the report's dots per inch: places and colours are the same, and drawing takes half the time."""
    from zfrepro.exhibits.kit import saving

    saving.DPI //= 4
    saving.WIDE //= 4


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], None]], Path]:
    """made_once(name, fill): a folder that is filled by whichever worker needs it first."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "shared"
    shared.mkdir(exist_ok=True)

    def make(name: str, fill: Callable[[Path], None]) -> Path:
        folder, done = shared / name, shared / f"{name}.done"
        with FileLock(shared / f"{name}.lock"):
            if not done.exists():
                fill(folder)
                done.touch()
        return folder

    return make


@pytest.fixture(scope="session")
def installed_wheel(made_once) -> wheel_helper.InstalledWheel:
    """Built and installed once for all workers; needs hatchling."""
    return wheel_helper.InstalledWheel(made_once("wheel", wheel_helper.make))


@pytest.fixture(scope="session")
def small_results(made_once) -> Path:
    """A folder with results/small, every stage of helpers/small_experiment.py computed and stored, and opened.json: job -> the files
    that it read. To be read only."""

    def fill(folder: Path) -> None:
        (folder / "results").mkdir(parents=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            patch.delenv("ZFREPRO_STORE", raising=False)
            opened = small_experiment.run_all(small_experiment.config())
        (folder / "opened.json").write_text(json.dumps(opened))

    return made_once("small", fill)


@pytest.fixture(scope="session")
def toy_with_settings(made_once) -> tuple[Path, dict[str, Any]]:
    """results/toy with every exhibit built, and the report's settings. To be read only."""
    from zfrepro.stages import exhibits

    def fill(folder: Path) -> None:
        results = folder / "results/toy"
        settings = toy_results.write(results)
        for name in toy_results.EXHIBITS:
            files = toy_results.files_of(name, results)
            with opened_files.recorded(results) as opened:
                exhibits.run(exhibits.Spec(name=name, files=files), results / "exhibits" / name)
            others = opened - {path.relative_to(results) for path in files.values()}
            beside = {path for path in others if path.parts[0] != "exhibits"}
            assert not beside, f"{name} reads {beside}, which its key in the result store does not hold"
        (folder / "settings.json").write_text(json.dumps(settings))

    folder = made_once("toy", fill)
    return folder / "results/toy", json.loads((folder / "settings.json").read_text())


@pytest.fixture(scope="session")
def toy_stages(made_once) -> Path:
    """results/toy as the stages leave it, without exhibits. To be read only."""

    def fill(folder: Path) -> None:
        toy_results.write(folder / "results/toy")

    return made_once("toy-stages", fill) / "results/toy"
