"""The digest changes with code, in whatever module it is reached, and with nothing else."""

import subprocess
import sys

import pytest

from zfrepro.storage import code_digest, source_code
from zfrepro.storage.source_code import Kept, Package


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package a -> b -> sub.c, with a data file read by b."""
    files = {
        "__init__.py": "",
        "a.py": "from zfrepro.b import f\n\nif TYPE_CHECKING:\n    from zfrepro import other\n",
        "b.py": '"""Doc."""\nDATA_FILES = ("data/*.csv",)\n\n\n'
        'def f(x):\n    """Doc."""\n    from .sub import c\n\n    return c.g(x)  # why\n',
        "sub/__init__.py": "",
        "sub/c.py": "def g(x):\n    return x + 1\n",
        "data/t.csv": "1\n",
        "other.py": "x = 1\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(source_code, "ROOT", tmp_path)
    return tmp_path


def digest(module="a"):
    return code_digest.digest(module, package=Package(kept=Kept(None)))


def test_a_module_is_parsed_once_however_many_packages_ask(package):
    source_code.analyse.cache_clear()
    assert digest() == digest("a")
    assert source_code.analyse.cache_info().misses == 4  # a, b, sub, sub.c
    (package / "sub/c.py").write_text("def g(x):\n    return x + 2\n")
    digest()
    assert source_code.analyse.cache_info().misses == 5


def test_closure_follows_absolute_relative_and_inner_imports(package):
    assert Package(kept=Kept(None)).closure("a") == {"a", "b", "sub", "sub.c"}


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("sub/c.py", "x + 1", "x + 2"),
        ("b.py", "return c.g(x)", "return c.g(x) * 1"),
        ("a.py", "import f", "import f as g"),
        ("data/t.csv", "1", "2"),
    ],
)
def test_a_change_of_code_or_data_changes_it(package, file, old, new):
    before = digest()
    path = package / file
    path.write_text(path.read_text().replace(old, new))
    assert digest() != before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("b.py", "# why", "# because"),
        ("b.py", '"""Doc."""', '"""Another."""'),
        ("sub/c.py", "x + 1", "(x  +  1)"),
        ("other.py", "1", "2"),
        ("a.py", "import other", "import other as another"),
    ],
)
def test_comments_docstrings_layout_and_strangers_do_not(package, file, old, new):
    before = digest()
    path = package / file
    path.write_text(path.read_text().replace(old, new))
    assert digest() == before


def test_the_text_is_free_of_what_differs_between_versions_of_python():
    import ast

    text = source_code.text(ast.parse('def f(x: int = 1):\n    """Doc."""\n    return f"{x}" "" f"a{x!r:>4}" "b" u"é"'))
    assert "type_params" not in text
    assert "ctx" not in text
    assert text.isascii()
    assert (
        "values=[FormattedValue(value=Name(id='x', ), conversion=-1, ), Constant(value='a', ), FormattedValue(" in text
    )
    assert text.endswith("Constant(value='b\\xe9', ), ], ), ), ], ), ], )")
    empty = source_code.text(ast.parse('def f():\n    """Doc."""'))
    assert empty == source_code.text(ast.parse("def f():\n    pass"))


def test_a_new_data_file_changes_it(package):
    before = digest()
    (package / "data/u.csv").write_text("")
    assert digest() != before


@pytest.mark.parametrize(
    "module", ["stages.train", "stages.probes", "stages.scratch", "stages.report", "exhibits.table3_ablations"]
)
def test_closure_holds_all_that_importing_really_loads(module):
    code = f"import sys, zfrepro.{module}; print(*(m for m in sys.modules if m.startswith('zfrepro.')))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {name.removeprefix("zfrepro.") for name in loaded} <= Package(kept=Kept(None)).closure(module)
