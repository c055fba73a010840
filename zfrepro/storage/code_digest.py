"""Find the modules of this package that a module can import, and digest their code without comments and formatting.

The digest is in the params of a Snakemake rule: an edit to a module reruns exactly the rules whose stage imports it. What stands
in `if TYPE_CHECKING:` never runs and does not count.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = "zfrepro"
UNSTABLE = ("ctx", "kind", "type_comment", "type_ignores")  # of a syntax tree: they say nothing that the rest does not


def digest(*modules: str) -> str:
    """Hex digest of the code and data files of the given modules (`stages.train`) and of all their imports."""
    parts = hashlib.sha256()
    for name in sorted(closure(*modules)):
        parts.update(f"{name}\n{_code(name)}\n".encode())
        for file in _data_files(name):
            parts.update(f"{file.name}\n".encode() + file.read_bytes())
    return parts.hexdigest()[:16]


def closure(*modules: str) -> set[str]:
    """Names, relative to the package, of the given modules, of all they import, directly or not, and of their packages."""
    names: set[str] = set()
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in names:
            names.add(name)
            waiting.extend(_imports(name))
            waiting.extend([name.rpartition(".")[0]] if "." in name else [])
    return names


def path_of(name: str) -> Path | None:
    """The file of a module given relative to the package, or None if there is no such module."""
    base = ROOT.joinpath(*name.split(".")) if name else ROOT
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


@functools.cache
def _tree(name: str) -> ast.Module:
    path = path_of(name)
    if path is None:
        raise ModuleNotFoundError(f"no module {PACKAGE}.{name}")
    tree = ast.parse(path.read_bytes(), str(path))
    tree.body = [statement for node in tree.body for statement in _running(node)]
    return tree


def _running(node: ast.stmt) -> list[ast.stmt]:
    """The statement itself; of `if TYPE_CHECKING:` only what stands in its `else`."""
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        return node.orelse
    return [node]


@functools.cache
def _code(name: str) -> str:
    return _text(_tree(name))


@functools.cache
def _imports(name: str) -> frozenset[str]:
    names: set[str] = set()
    for node in _statements(_tree(name).body):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(name, node)
            names.add(base)
            names.update(f"{base}.{alias.name}" for alias in node.names)
    relative = {item.removeprefix(f"{PACKAGE}.") for item in names if item.startswith(f"{PACKAGE}.")}
    return frozenset(item for item in relative if path_of(item) is not None)


def _statements(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """All statements, at any depth; expressions, most of a tree, hold none."""
    for node in body:
        yield node
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            if isinstance(inner := getattr(node, field, None), list):
                yield from _statements(inner)


def _absolute(name: str, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = [PACKAGE, *name.split(".")][: -node.level]
    return ".".join([*package, *([node.module] if node.module else [])])


def _data_files(name: str) -> list[Path]:
    """Files that a module reads at run time: its literal `DATA_FILES = ("folder/*.csv",)`, relative to the package."""
    for node in _tree(name).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "DATA_FILES" for t in node.targets):
            patterns = ast.literal_eval(node.value)
            return sorted(path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file())
    return []


def _text(node: object) -> str:
    """A syntax tree as text, the same in every version of Python: without positions, docstrings and whatever is empty."""
    if isinstance(node, ast.AST):
        fields: dict[str, object] = dict(ast.iter_fields(node))
        if isinstance(node, ast.JoinedStr):
            fields["values"] = _merge_texts(node.values)
        elif isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            fields["body"] = _without_docstring(node)
        stable = {name: value for name, value in fields.items() if name not in UNSTABLE and value not in (None, [])}
        texts = (f"{name}={_text(value)}" for name, value in stable.items())
        return f"{type(node).__name__}({', '.join(texts)})"
    if isinstance(node, list):
        return f"[{', '.join(map(_text, node))}]"
    return ascii(node)


def _without_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.stmt]:
    """Its body."""
    return node.body if ast.get_docstring(node, clean=False) is None else node.body[1:] or [ast.Pass()]


def _merge_texts(parts: list[ast.expr]) -> list[ast.expr]:
    """The parts of an f-string, which versions of Python cut differently: neighbouring texts as one, empty ones left out."""
    merged: list[ast.expr] = []
    for is_text, group in itertools.groupby(parts, lambda part: isinstance(part, ast.Constant)):
        texts = list(group)
        if not is_text:
            merged += texts
        elif text := "".join(str(part.value) for part in texts if isinstance(part, ast.Constant)):
            merged.append(ast.Constant(text))
    return merged
