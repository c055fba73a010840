"""torchvision imports in a process of its own, with warnings as errors, whether or not its operators load."""

import subprocess
import sys

import pytest
import torch

from zfrepro.models import torchvision_import


def python(code: str, **environment: str) -> str:
    import os

    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_torchvision_imports_and_its_folder_reader_works(tmp_path):
    (tmp_path / "one").mkdir()
    out = python(
        "from zfrepro.models import torchvision_import as t; t.ensure(); t.ensure()\n"
        f"from torchvision.datasets.folder import find_classes; print(find_classes({str(tmp_path)!r})[0])\n"
    )
    assert out == "['one']"


def test_the_warnings_that_torchvision_can_be_asked_for_do_not_stop_it():
    asked = {"TORCHVISION_WARN_WHEN_EXTENSION_LOADING_FAILS": "1"}
    assert python("from zfrepro.models import torchvision_import as t; t.ensure(); print('in')", **asked) == "in"


def test_it_still_helps_after_a_plain_import_failed():
    code = """
try:
    import torchvision
except RuntimeError:
    pass
from zfrepro.models import torchvision_import
torchvision_import.ensure()
import torchvision.transforms
print(torchvision.ops.nms.__name__)
"""
    assert python(code) == "nms"


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
