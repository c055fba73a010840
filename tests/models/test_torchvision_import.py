"""torchvision imports in a process of its own, with warnings as errors, whether or not its operators load."""

import subprocess
import sys

import pytest
import torch

from zfrepro.models import torchvision_import


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


CASES = {
    "reader": """
from zfrepro.models import torchvision_import
torchvision_import.ensure(); torchvision_import.ensure()
from torchvision.datasets.folder import find_classes
print(find_classes(sys.argv[1] + "/folders")[0])
""",
    "imagenet": """
from pathlib import Path
from zfrepro.datasets import imagenet
root = Path(sys.argv[1]) / "imagenet"
for split in ("train", "val"):
    (root / split / "n1").mkdir(parents=True)
    (root / split / "n1" / "1.JPEG").touch()
torch.save(({"n1": ("tench", "Tinca tinca")}, ["n1"]), root / "meta.bin")
print(imagenet.listing(imagenet.Spec(root=root)).classes)
""",
    "warning": """
os.environ["TORCHVISION_WARN_WHEN_EXTENSION_LOADING_FAILS"] = "1"
from zfrepro.models import torchvision_import
torchvision_import.ensure()
print("in")
""",
    "after": """
try:
    import torchvision
except RuntimeError:
    pass
from zfrepro.models import torchvision_import
torchvision_import.ensure()
import torchvision.transforms
print(torchvision.ops.nms.__name__)
""",
}


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """What each of the cases prints; forks of one process, which imports torch, with the large part that torchvision needs, once."""
    folder = tmp_path_factory.mktemp("classes")
    (folder / "folders/one").mkdir(parents=True)
    program = f"""
import os, sys, torch._dynamo
for name, case in {CASES!r}.items():
    sys.stdout.flush()
    if not os.fork():
        print(name, end=": ")
        exec(case)
        sys.exit()
    assert os.wait()[1] == 0, name
"""
    command = [sys.executable, "-W", "error", "-c", program, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return dict(line.split(": ") for line in done.stdout.splitlines())


def test_torchvision_imports_and_its_folder_reader_works(outputs):
    assert outputs["reader"] == "['one']"


def test_an_unpacked_imagenet_is_listed_with_the_names_of_its_classes(outputs):
    assert outputs["imagenet"] == "['tench']"


def test_the_warnings_that_torchvision_can_be_asked_for_do_not_stop_it(outputs):
    assert outputs["warning"] == "in"


def test_it_still_helps_after_a_plain_import_failed(outputs):
    assert outputs["after"] == "nms"


def test_importing_the_module_imports_nothing_heavy():
    assert python("import sys; import zfrepro.models.torchvision_import; print('torch' in sys.modules)") == "False"


@pytest.fixture
def fresh(monkeypatch):
    """As before the first import of torchvision; what is declared and imported is noted, not done."""
    done = []
    monkeypatch.delitem(sys.modules, "torchvision", raising=False)
    monkeypatch.setattr(torch.library, "define", lambda name, schema: done.append(name))
    monkeypatch.setattr(torchvision_import.importlib, "import_module", lambda name: done.append(f"import {name}"))
    return done


def test_nothing_is_declared_where_the_operators_load(fresh, monkeypatch):
    monkeypatch.setattr(torch.ops, "load_library", lambda path: None)
    torchvision_import.ensure()
    assert fresh == ["import torchvision"]


def test_both_operators_are_declared_before_the_import_where_they_do_not(fresh, monkeypatch):
    def missing(path):
        raise OSError("libc10_cuda.so: cannot open shared object file")

    monkeypatch.setattr(torch.ops, "load_library", missing)
    torchvision_import.ensure()
    assert fresh == ["torchvision::nms", "torchvision::qnms", "import torchvision"]
