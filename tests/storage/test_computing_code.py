"""Of an edit of code that a stage reaches, its digest changes exactly where the edit can change a result."""

import ast
from pathlib import Path

import pytest

import zfrepro
from zfrepro.stages import prepare
from zfrepro.storage import computing_code, source_code
from zfrepro.storage.source_code import Kept, Package

STAGES = [path.stem for path in (source_code.ROOT / "stages").glob("[a-z]*.py") if path.stem != "report"]
TOY = {
    "__init__.py": "",
    "errors.py": "class UserError(Exception):\n    pass\n",
    "stage.py": '''
"""Doc."""
from __future__ import annotations

import time

import numpy as np

from zfrepro import deep, kinds, table, tools
from zfrepro.deep.inner import deepest as last
from zfrepro.errors import UserError
from zfrepro.fast import quick
from zfrepro.table import look_up

LIMIT = 3
SCALE: float = 2.0
UNUSED = 1


class Base:
    offset = 1

    def shift(self, x):
        return x + self.offset


class Model(Base):
    """Doc."""

    rate: "kinds.Rate" = 1

    def apply(self, x: int) -> int:
        """Doc."""
        return self.shift(x) * self.rate


def twice(function):
    return lambda x: function(function(x))


@twice
def decorated(x):
    return x + 1


def run(spec: Spec, step: int = 4) -> int:
    """Doc."""
    from .tools import helper

    if step > LIMIT:
        raise UserError(f"{step} is too large")
    if step < 0:
        raise ValueError("negative")
    print("working", step, flush=True)
    _log(step=step, seconds=round(time.monotonic()))

    def nested(x):
        return x - 5

    total = sum(map(lambda x: x * 6, range(step)))
    value = Model().apply(helper(step)) + decorated(nested(step)) + total * SCALE
    return getattr(tools, spec.name)(value) + last(value) + deep.shown(value) + quick(value) + look_up("a") + np.sum(value)


def unused():
    return 7


def _log(**fields):
    print(fields, flush=True)
''',
    "tools.py": "def helper(x):\n    return same(x)\n\n\ndef same(x):\n    return x + 8\n\n\ndef by_name(x):\n    return x + 9\n",
    "other.py": "def same(x):\n    return x + 10\n\n\ndef more(x):\n    return same(x)\n",
    "deep/__init__.py": "from zfrepro.deep.inner import shown\nfrom zfrepro.other import more\n",
    "deep/inner.py": 'DATA_FILES = ("data/*.csv",)\n\n\ndef deepest(x):\n    return x + 11\n\n\n'
    "def shown(x):\n    return x + 12\n\n\ndef hidden(x):\n    return x + 13\n",
    "fast.py": "try:\n    from zfrepro.compiled import quick\nexcept ImportError:\n    from zfrepro.plain import quick\n",
    "compiled.py": "def quick(x):\n    return x + 14\n",
    "plain.py": "def quick(x):\n    return x + 15\n",
    "table.py": "from zfrepro import effects\n\nMAKERS = {}\n\n\ndef register(maker):\n    MAKERS[maker.__name__] = maker\n"
    '    return maker\n\n\n@register\ndef a(x: int):\n    return 16\n\n\ndef look_up(name):\n    return MAKERS[name](0)\n',
    "effects.py": "import numpy\n\nnumpy.seterr(all='ignore')\n",
    "kinds.py": "class Rate(int):\n    low = 17\n",
    "data/t.csv": "18\n",
    "data/t.txt": "19\n",
}  # fmt: skip


@pytest.fixture
def package(tmp_path):
    for name, text in TOY.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def digest(folder):
    return computing_code.digest(["stage.run"], Package(folder, Kept(None)))[0]


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        pytest.param("tools.py", "x + 8", "x + 80", id="a helper of a helper"),
        pytest.param("stage.py", "step: int = 4", "step: int = 5", id="a default argument"),
        pytest.param("stage.py", "LIMIT = 3", "LIMIT = 2", id="a constant"),
        pytest.param("stage.py", "SCALE: float = 2.0", "SCALE: float = 2.5", id="an annotated constant"),
        pytest.param("stage.py", "SCALE: float = 2.0", "SCALE = 2.0\nSCALE += 1", id="a constant that changes"),
        pytest.param("stage.py", "@twice\n", "", id="a decorator"),
        pytest.param("stage.py", "function(function(x))", "function(x)", id="the code of a decorator"),
        pytest.param("stage.py", "offset = 1", "offset = 2", id="an attribute of a base class"),
        pytest.param("stage.py", "return x + self.offset", "return x", id="a method of a base class"),
        pytest.param("stage.py", "class Model(Base)", "class Model(Base, int)", id="a base class"),
        pytest.param("stage.py", '"kinds.Rate" = 1', '"kinds.Rate" = 2', id="the default of a field"),
        pytest.param("kinds.py", "17", "170", id="the type of a field, written as text"),
        pytest.param("stage.py", "return x - 5", "return x - 6", id="a nested function"),
        pytest.param("stage.py", "lambda x: x * 6", "lambda x: x * 7", id="a lambda"),
        pytest.param("tools.py", "x + 9", "x + 90", id="a function found by getattr"),
        pytest.param("deep/inner.py", "x + 12", "x + 120", id="a function shown by a package"),
        pytest.param("deep/inner.py", "x + 11", "x + 110", id="a function under another name"),
        pytest.param("stage.py", "import deepest as last", "import hidden as last", id="another function, the same name"),
        pytest.param("deep/__init__.py", "import shown", "import hidden as shown", id="a package shows another function"),
        pytest.param("deep/__init__.py", "inner import shown", "inner import *", id="all is shown"),
        pytest.param("compiled.py", "x + 14", "x + 140", id="the first of two imports"),
        pytest.param("plain.py", "x + 15", "x + 150", id="the second of two imports"),
        pytest.param("table.py", "return 16", "return 160", id="a function that a decorator enters into a table"),
        pytest.param("table.py", "x: int", "x: float", id="an annotation that a decorator can see"),
        pytest.param("effects.py", "ignore", "raise", id="what an import does, in a module that nothing else is used of"),
        pytest.param("data/t.csv", "18", "180", id="a data file"),
        pytest.param("stage.py", 'ValueError("negative")', 'ValueError("below 0")', id="the text of an error that may be kept"),
        pytest.param("stage.py", '"working", step', '"working", next(spec)', id="a log line that changes something"),
        pytest.param("stage.py", '"working", step', '"working", *spec', id="a log line that uses up an iterator"),
        pytest.param("stage.py", '"working", step', '"working", [x for x in spec]', id="a log line that counts one through"),
        pytest.param("stage.py", '"working", step', '"working", file=spec', id="a line printed into a file"),
        pytest.param("stage.py", "        raise UserError", "        step = 0\n        raise UserError", id="beside an error"),
    ],
)  # fmt: skip
def test_what_can_change_a_result_changes_it(package, file, old, new):
    before = digest(package)
    edit(package / file, old, new)
    assert digest(package) != before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        pytest.param("stage.py", '"""Doc."""', '"""Another."""', id="docstrings"),
        pytest.param("stage.py", "LIMIT = 3", "LIMIT = 3  # why", id="a comment"),
        pytest.param("stage.py", "x: int) -> int", "x: float) -> float", id="annotations of a method"),
        pytest.param("stage.py", "step: int = 4) -> int", "step: float = 4) -> float", id="annotations of a function"),
        pytest.param("stage.py", "SCALE: float = 2.0", "SCALE = 2.0", id="an annotation of a constant"),
        pytest.param("stage.py", '    print("working", step, flush=True)\n', "", id="no log line"),
        pytest.param("stage.py", "seconds=round(time.monotonic())", "steps=[round(x) for x in d.items()]", id="a log line"),
        pytest.param("stage.py", "    print(fields, flush=True)", "    print(fields)", id="how a log line is printed"),
        pytest.param("stage.py", "is too large", "exceeds the limit", id="the message of an error"),
        pytest.param("stage.py", "return 7", "return 8", id="a function that is not used"),
        pytest.param("stage.py", "UNUSED = 1", "UNUSED = 2", id="a constant that is not used"),
        pytest.param("deep/inner.py", "x + 13", "x + 130", id="a function that is not used, in a module that is"),
        pytest.param("other.py", "x + 10", "x + 100", id="a function of a module that a package shows in vain"),
        pytest.param("errors.py", "pass", "code = 2", id="errors"),
        pytest.param("data/t.txt", "19", "190", id="a file that no pattern names"),
    ],
)  # fmt: skip
def test_what_cannot_change_a_result_does_not(package, file, old, new):
    before = digest(package)
    edit(package / file, old, new)
    assert digest(package) == before


def test_a_helper_may_move(package):
    before = digest(package)
    edit(package / "tools.py", "def same(x):\n    return x + 8\n", "from zfrepro.kinds import same\n")
    edit(package / "kinds.py", "low = 17\n", "low = 17\n\n\ndef same(x):\n    return x + 8\n")
    assert digest(package) == before


def test_the_order_of_definitions_does_not_count(package):
    before = digest(package)
    helper = "def helper(x):\n    return same(x)\n\n\n"
    edit(package / "tools.py", helper, "")
    (package / "tools.py").write_text((package / "tools.py").read_text() + "\n\n" + helper)
    assert digest(package) == before


def test_two_helpers_of_the_same_name_are_told_apart(package):
    edit(package / "stage.py", "deep.shown(value)", "deep.more(value)")
    before = digest(package)
    for file, old, new in (("tools.py", "x + 8", "x + 10"), ("other.py", "x + 10", "x + 8")):
        edit(package / file, old, new)
    assert digest(package) != before


def test_a_module_that_is_passed_along_counts_as_a_whole(package):
    edit(package / "stage.py", "deep.shown(value)", "spec.use(deep)")
    before = digest(package)
    edit(package / "other.py", "x + 10", "x + 100")
    assert digest(package) != before


def test_a_function_that_is_replaced_counts_with_what_replaces_it(package):
    (package / "tools.py").write_text((package / "tools.py").read_text() + "\n\nsame = by_name(same)\n")
    before = digest(package)
    edit(package / "tools.py", "x + 8", "x + 80")
    assert digest(package) != before


def test_code_that_asks_for_its_place_cannot_move(package):
    edit(package / "tools.py", "x + 8", "x + len(__file__)")
    before = digest(package)
    edit(package / "tools.py", "def same(x):\n    return x + len(__file__)\n", "from zfrepro.kinds import same\n")
    edit(package / "kinds.py", "low = 17\n", "low = 17\n\n\ndef same(x):\n    return x + len(__file__)\n")
    assert digest(package) != before


def test_libraries_count_by_their_versions():
    versions = {stage: computing_code.digest([f"stages.{stage}.run"])[1] for stage in ("train", "probes", "prepare")}
    assert set(versions["train"]) == {"numpy", "pandas", "pydantic", "torch"}
    assert {"scipy", "sklearn", "torch"} <= set(versions["probes"])
    assert "unknown" not in {version for name, version in versions["train"].items()}
    assert "libjpeg" in versions["prepare"]["PIL"]


# What was found in modules is kept


def test_what_is_kept_is_used_and_damage_to_it_is_not(package, tmp_path, monkeypatch):
    store = tmp_path / "store"
    store.mkdir()
    first = Package(package, Kept(store))
    before = computing_code.digest(["stage.run"], first)
    first.kept.save()
    analysed = []
    monkeypatch.setattr(
        source_code, "analyse", lambda *given, real=source_code.analyse: analysed.append(given) or real(*given)
    )
    assert computing_code.digest(["stage.run"], Package(package, Kept(store))) == before
    assert analysed == []
    (path,) = store.glob("code-*.json")
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole.replace(b"Mult", b"Subt", 1), b"[]", b"", b"\xff" + whole, b"\n[]"):
        path.write_bytes(damaged)
        analysed.clear()
        assert computing_code.digest(["stage.run"], Package(package, Kept(store))) == before
        assert analysed != []


# This package


@pytest.fixture(scope="module")
def reached():
    """Stage -> (module, name) of every definition that it reaches, with all data sets and exhibits."""
    package = Package(kept=Kept(None))
    found = {}
    for stage in STAGES:
        reader = computing_code._Reader(package)
        for root in roots(stage):
            reader.follow(f"zfrepro.{root}")
        reader.finish()
        found[stage] = set(reader.numbers)
    return found


def roots(stage):
    yield from (f"stages.{stage}.run", f"stages.{stage}.Spec")
    if stage == "prepare":
        names = prepare.Spec.model_fields["dataset"].annotation.__args__
        yield from (f"datasets.{name}.{part}" for name in names for part in ("Spec", "listing", "load"))
    if stage == "exhibits":
        names = [path.stem for path in (source_code.ROOT / "exhibits").glob("[a-z]*.py")]
        yield from (f"exhibits.{name}.{part}" for name in names for part in ("TITLE", "PAPER", "build"))


def trees():
    """Path below the package, syntax tree."""
    for path in sorted(source_code.ROOT.rglob("*.py")):
        yield path.relative_to(source_code.ROOT).as_posix(), ast.parse(path.read_text())


def module_of(file):
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def test_a_stage_reaches_what_it_computes_with(reached):
    assert {("core.training", "Training"), ("core.nets", "initialise"), ("core.crops", "MeanSubtraction")} <= reached[
        "train"
    ]
    assert {("storage.checkpoints", "Store"), ("spec", "Base")} <= reached["train"]
    assert {("core.probes", "classify"), ("core.folds", "mean_class_accuracy")} <= reached["probes"]
    assert {
        ("storage.paths", "is_utf8"),
        ("datasets.formats", "endings"),
        ("datasets.drawing.faces", "CAT"),
    } <= reached["prepare"]
    assert {("claims.layers", "CLAIMS"), ("exhibits.kit.draw", "STYLE")} <= reached["exhibits"]
    assert ("stages.train", "run") not in reached["scratch"]


def test_the_textures_of_the_drawn_images_are_entered_into_a_table_and_count(tmp_path):
    """Nothing names them: a decorator does it when the module is imported."""
    file = source_code.ROOT / "datasets/drawing/textures.py"
    makers = [node.name for node in ast.parse(file.read_text()).body if getattr(node, "decorator_list", [])]
    effects = str(Package(kept=Kept(None)).module("datasets.drawing.textures").effects)
    assert len(makers) > 20
    assert [name for name in makers if f"'{name}'" not in effects and name not in ("tiles", "film_grain")] == []


def test_names_made_at_run_time_are_known(reached):
    """They hide from the digest what is called: two modules import what the key names as roots, two import libraries by name."""
    hidden = {"globals", "locals", "eval", "exec", "__import__", "import_module"}
    modules = {module for definitions in reached.values() for module, _ in definitions}
    using = set()
    for file, tree in trees():
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & {"import_module"}
        if module_of(file) in modules and names & hidden:
            using.add(file)
    assert using == {"datasets/formats.py", "models/torchvision_import.py", "stages/exhibits.py", "stages/prepare.py"}


def test_no_class_enters_itself_or_is_found_by_its_base():
    words = {"__init_subclass__", "__subclasses__", "metaclass", "singledispatch", "__getattr__"}
    for file, tree in trees():
        names = {getattr(node, key, None) for node in ast.walk(tree) for key in ("id", "attr", "name", "arg")}
        assert words & names == ({"__getattr__"} if file == "__init__.py" else set()), file


def test_the_analyses_that_the_package_names_for_users_are_not_taken_from_there():
    """zfrepro/__init__.py finds them by name, which the digest would not follow."""
    for file, tree in trees():
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "zfrepro"]
        assert not {alias.name for node in imports for alias in node.names} & set(zfrepro.ANALYSES), file


def test_functions_that_are_taken_for_log_lines_only_print():
    logs = []
    for file, tree in trees():
        for node in ast.walk(tree):
            name = node.name.lstrip("_") if isinstance(node, ast.FunctionDef) else ""
            if (name == "log" or name.startswith("log_")) and not file.startswith("running/"):
                body = source_code._without_docstring(node)
                assert all(map(source_code.is_log_line, body)), (
                    f"{file}: {node.name} does more than print; call it otherwise"
                )
                logs.append(node.name)
    assert "_log_progress" in logs


def test_files_of_the_package_are_read_by_modules_that_say_so():
    """`DATA_FILES` are in the digest; whoever uses `__file__` in computing code has them, or only names a place."""
    having = {module_of(file) for file, tree in trees() if "'__file__'" in ast.dump(tree)}
    declared = {name for name in having if Package(kept=Kept(None)).module(name).data}
    assert having - declared == {
        "storage.workflow_files", "storage.source_code", "storage.computing_code", "storage.code_stamp",
    }  # fmt: skip


def test_modules_outside_hold_nothing_that_another_module_changes():
    """The digest leaves them out: what they keep must be theirs alone."""
    outside = {f"zfrepro.{name}" for name in computing_code.OUTSIDE}
    for file, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name):
                imported = {
                    alias.asname or alias.name
                    for part in ast.walk(tree)
                    if isinstance(part, ast.ImportFrom)
                    for alias in part.names
                    if f"{part.module}.{alias.name}" in outside
                }
                assert node.value.id not in imported, file


def test_a_package_of_another_folder_is_read_there(package):
    assert Package(package, Kept(None)).path_of("deep.inner") == Path(package / "deep/inner.py")
