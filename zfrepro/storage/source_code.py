"""The modules of this package as data: what each imports, defines and refers to; kept per file content.

`code_digest` and `computing_code` answer from it which code a stage can run, and which of it computes. Parsing a module takes
milliseconds and a run asks for hundreds, so what is found is kept in a file, under the sha256 of the module's bytes: it can be
deleted at any time and is never out of date.
"""

from __future__ import annotations

import ast
import hashlib
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

from zfrepro.storage import artifacts
from zfrepro.storage.store_folder import store_folder

ROOT = Path(__file__).parents[1]
PACKAGE = "zfrepro"
UNSTABLE = ("ctx", "kind", "type_comment", "type_ignores")  # of a syntax tree: they say nothing that the rest does not
# Functions and methods without effects, which a log line may call; none that would use up an iterator
PURE = {"round", "float", "int", "str", "len", "repr", "items", "monotonic", "dumps", "item"}
# Decorators that keep nothing of what they decorate: others run when the module is imported, and may enter it into a table
PURE_DECORATORS = {"dataclass", "property", "cached_property", "classmethod", "staticmethod", "contextmanager", "cache", "lru_cache",
                   "wraps", "no_grad", "inference_mode", "field_validator", "model_validator",
                   "explain_diverged_network", "records_not_measurable"}  # fmt: skip
COMPOUND = ast.If | ast.Try | ast.TryStar | ast.With | ast.For | ast.While | ast.Match  # statements that hold others

# Of a definition: text, and references to names as chains, `nets.build` -> ["nets", "build"]
Tokens = list[Any]
Bindings = dict[str, list[str]]  # name -> what imports bind to it, `zfrepro.core.nets.build`; several where it depends


@dataclass(frozen=True)
class Module:
    """What the digests need of one module. Names of modules are absolute, `zfrepro.core.nets`."""

    imports: list[str] = field(default_factory=list)  # every module that it could import, at any depth of its code
    code: str = ""  # digest of its code, without comments, formatting, docstrings
    data: list[str] = field(default_factory=list)  # patterns of its literal DATA_FILES, relative to the package
    bindings: Bindings = field(default_factory=dict)  # of the imports outside functions; "*": modules of star imports
    definitions: dict[str, Tokens] = field(default_factory=dict)  # name -> its function, class and assignments
    inner: dict[str, Bindings] = field(default_factory=dict)  # definition -> bindings of the imports inside
    effects: list[Tokens] = field(default_factory=list)  # statements that run when the module is imported


class Package:
    """The modules of a package as they are on disk when they are first asked for."""

    def __init__(self, root: Path | None = None, kept: Kept | None = None):
        self.root, self.kept = root or ROOT, kept or Kept.default()
        self._modules: dict[str, Module] = {}
        self._paths: dict[str, Path | None] = {}
        self.computing: dict[tuple[str, ...], Any] = {}  # answers of computing_code, by their roots

    def module(self, name: str) -> Module:
        """A module by its name relative to the package. Raises ModuleNotFoundError."""
        if name not in self._modules:
            path = self.path_of(name)
            if path is None:
                raise ModuleNotFoundError(f"no module {PACKAGE}.{name}")
            self._modules[name] = self.kept.analysed(name, path)
        return self._modules[name]

    def path_of(self, name: str) -> Path | None:
        """The file of a module given relative to the package, or None if there is no such module."""
        if name not in self._paths:
            base = self.root.joinpath(*name.split(".")) if name else self.root
            files = (base.with_suffix(".py"), base / "__init__.py")
            self._paths[name] = next((path for path in files if path.is_file()), None)
        return self._paths[name]

    def imports(self, name: str) -> Iterator[str]:
        """The modules of this package that a module can import, relative to it."""
        for candidate in self.module(name).imports:
            relative = candidate.removeprefix(f"{PACKAGE}.")
            if self.path_of(relative) is not None:
                yield relative

    def closure(self, *names: str) -> set[str]:
        """The given modules, all they import, directly or not, and their packages, relative to this package."""
        reached: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                waiting.extend(self.imports(name))
                waiting.extend([name.rpartition(".")[0]] if "." in name else [])
        return reached

    def data_files(self, name: str) -> list[Path]:
        """Files that a module reads at run time: its literal `DATA_FILES = ("folder/*.csv",)`."""
        return sorted(path for pattern in self.module(name).data for path in self.root.glob(pattern) if path.is_file())


class Kept:
    """What was found in modules before, by the sha256 of their bytes; in a file, or only in memory (None)."""

    def __init__(self, folder: Path | None):
        self.path = folder / f"code-{sys.version_info[0]}.{sys.version_info[1]}.json" if folder else None
        self.added = False

    @classmethod
    def default(cls) -> Kept:
        """In the folder of the result store."""
        return cls(store_folder())

    @cached_property
    def _entries(self) -> dict[str, Any]:
        """Empty for a file that another version of this module has written, or that is damaged."""
        with suppress(OSError, ValueError):
            head, _, text = self.path.read_text(encoding="utf-8").partition("\n") if self.path else ("", "", "")
            if head == _head(text):
                modules: dict[str, Any] = json.loads(text)
                return modules
        return {}

    def analysed(self, name: str, path: Path) -> Module:
        content = path.read_bytes()
        key = f"{name} {path.name == '__init__.py'} {hashlib.sha256(content).hexdigest()}"
        if key not in self._entries:
            self._entries[key], self.added = vars(analyse(name, content, path)), True
        return Module(**self._entries[key])

    def save(self, most: int = 600) -> None:
        """Write what is new; where that is impossible, it is found again next time."""
        if not (self.path and self.added):
            return
        modules = dict(itertools.islice(reversed(self._entries.items()), most))
        text = json.dumps(modules)
        with suppress(OSError):
            artifacts.save_text(self.path, f"{_head(text)}\n{text}")
        self.added = False


def _head(text: str) -> str:
    """First line of the file: digest of the text, and of this module, since what another version of it found is of no use."""
    return hashlib.sha256(_own_source() + text.encode()).hexdigest()


@cache
def _own_source() -> bytes:
    return Path(__file__).read_bytes()


@lru_cache(maxsize=1000)
def analyse(name: str, content: bytes, path: Path) -> Module:
    """name: relative to the package. Raises SyntaxError. Kept in memory too: one process may ask as several packages."""
    tree = ast.parse(content, str(path))
    tree.body = [kept for node in tree.body for kept in _running(node)]
    base = ".".join([PACKAGE, name]) if path.name == "__init__.py" else ".".join([PACKAGE, name]).rpartition(".")[0]
    module = Module(
        imports=sorted(_imported_modules(tree, base)),
        code=hashlib.sha256(text(tree).encode()).hexdigest(),
        data=_data_patterns(tree),
    )
    for node in _without_docstring(tree):
        _add(module, node, base)
    return module


def _running(node: ast.stmt) -> list[ast.stmt]:
    """The statement itself; of `if TYPE_CHECKING:` only what stands in its `else`."""
    if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        return node.orelse
    return [node]


def _imported_modules(tree: ast.Module, base: str) -> set[str]:
    bound = {target for _, target in _all_bindings(tree.body, base)}
    whole = {alias.name for node in _statements(tree.body) if isinstance(node, ast.Import) for alias in node.names}
    parents = {target.rpartition(".")[0] for target in bound}
    return {module for module in bound | whole | parents if module.startswith(f"{PACKAGE}.")}


def _all_bindings(body: Sequence[ast.AST], base: str) -> Iterator[tuple[str, str]]:
    """Name, and the module, or the name in a module, that an import statement at any depth binds to it."""
    for node in _statements(body):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                yield (alias.asname, alias.name) if alias.asname else (top, top)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node, base)
            for alias in node.names:
                yield alias.asname or alias.name, module if alias.name == "*" else f"{module}.{alias.name}"


def merge(*bindings: Bindings) -> Bindings:
    """All that any of them binds to a name."""
    merged: Bindings = {}
    for name, targets in itertools.chain.from_iterable(each.items() for each in bindings):
        merged[name] = list(dict.fromkeys([*merged.get(name, []), *targets]))
    return merged


def _absolute(node: ast.ImportFrom, base: str) -> str:
    """base: the package that relative imports start from."""
    if not node.level:
        return node.module or ""
    parts = base.split(".")
    return ".".join([*parts[: len(parts) - node.level + 1], *([node.module] if node.module else [])])


def _statements(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """All statements, at any depth; expressions, most of a tree, hold none."""
    for node in body:
        yield node
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            if isinstance(inner := getattr(node, part, None), list):
                yield from _statements(inner)


def _data_patterns(tree: ast.Module) -> list[str]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "DATA_FILES" for t in node.targets):
            return list(ast.literal_eval(node.value))
    return []


def _add(module: Module, node: ast.stmt, base: str) -> None:
    """Sort one statement of a module: an import, definitions, or something that runs when the module is imported."""
    if isinstance(node, ast.Pass):
        return
    inside = merge(*({name: [target]} for name, target in _all_bindings([node], base)))
    names, registers = _defined(node), _registers(node, module)
    if isinstance(node, ast.Import | ast.ImportFrom | COMPOUND):
        module.bindings.update(merge(module.bindings, inside))
    if isinstance(node, ast.Import | ast.ImportFrom):
        return
    tokens = list(_tokens(_Computing().visit(node)))
    if isinstance(node, COMPOUND):
        tokens += [[name] for name in inside]  # imports have no text
    for name in names:
        module.definitions[name] = [*module.definitions.get(name, []), *tokens]
        module.inner[name] = merge(module.inner.get(name, {}), inside)
    if not names or registers or isinstance(node, COMPOUND):
        module.effects.append(tokens)


def _registers(node: ast.stmt, module: Module) -> bool:
    """Whether a definition may do more than define a name: it is decorated, or the value of a call of this package's code."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return not all(map(_is_pure_decorator, node.decorator_list))
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value:
        calls = (part.func for part in ast.walk(node.value) if isinstance(part, ast.Call))
        return any(_is_ours((_chain(function) or [""])[0], module) for function in calls)
    return False


def _is_pure_decorator(decorator: ast.expr) -> bool:
    chain = _chain(decorator.func if isinstance(decorator, ast.Call) else decorator)
    return chain is not None and chain[-1] in PURE_DECORATORS


def _is_ours(name: str, module: Module) -> bool:
    targets = module.bindings.get(name, [])
    return name in module.definitions or any(target.startswith(f"{PACKAGE}.") for target in targets)


def _defined(node: ast.stmt) -> list[str]:
    """Names that a statement of a module gives a value."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if any(isinstance(part, ast.Attribute | ast.Subscript) for target in targets for part in ast.walk(target)):
            return []
        return [part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]
    if isinstance(node, COMPOUND):
        return [name for below in _statements([node]) if below is not node for name in _defined(below)]  # type: ignore[arg-type]
    return []


def text(node: object) -> str:
    """A syntax tree as text, the same in every version of Python: without places, docstrings and whatever is empty."""
    return "".join(_flat(part) for part in _write(node, chains=False))


def _flat(part: str | list[str]) -> str:
    return part if isinstance(part, str) else ".".join(part)


def _tokens(node: ast.AST) -> Iterator[str | list[str]]:
    """The same with references apart, and text between them in one piece."""
    for is_text, group in itertools.groupby(_write(node, chains=True), lambda part: isinstance(part, str)):
        parts = list(group)
        yield from ["".join(map(_flat, parts))] if is_text else parts


def _write(node: object, chains: bool) -> Iterator[str | list[str]]:
    if isinstance(node, ast.AST):
        if chains and (chain := _chain(node)):
            yield chain
            return
        yield f"{type(node).__name__}("
        for name, value in _fields(node):
            yield f"{name}="
            yield from _write(value, chains)
            yield ", "
        yield ")"
    elif isinstance(node, list):
        yield "["
        for item in node:
            yield from _write(item, chains)
            yield ", "
        yield "]"
    else:
        yield ascii(node)


def _fields(node: ast.AST) -> Iterator[tuple[str, object]]:
    for name, value in ast.iter_fields(node):
        if isinstance(node, ast.JoinedStr) and name == "values":
            value = _joined(node.values)
        elif name == "body" and isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            value = _without_docstring(node)
        if name not in UNSTABLE and value not in (None, []):
            yield name, value


def _chain(node: ast.AST) -> list[str] | None:
    """`nets.build` -> ["nets", "build"]; None for anything but a name that is read, and attributes of one."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        return [node.id]
    if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and (inner := _chain(node.value)):
        return [*inner, node.attr]
    return None


def _without_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.stmt]:
    """Its body."""
    return node.body if ast.get_docstring(node, clean=False) is None else node.body[1:] or [ast.Pass()]


def _joined(parts: list[ast.expr]) -> list[ast.expr]:
    """The parts of an f-string, which versions of Python cut differently: neighbouring texts as one, empty ones left out."""
    joined: list[ast.expr] = []
    for is_text, group in itertools.groupby(parts, lambda part: isinstance(part, ast.Constant)):
        texts = list(group)
        if not is_text:
            joined += texts
        elif string := "".join(str(part.value) for part in texts if isinstance(part, ast.Constant)):
            joined.append(ast.Constant(string))
    return joined


class _Computing(ast.NodeTransformer):
    """Takes out what cannot change a result: log lines, messages of errors, annotations, imports, descriptions of settings."""

    def __init__(self) -> None:
        self.in_class = False

    def generic_visit(self, node: ast.AST) -> ast.AST:
        node = super().generic_visit(node)
        if isinstance(getattr(node, "body", None), list) and not node.body:  # type: ignore[attr-defined]
            node.body = [ast.Pass()]  # type: ignore[attr-defined]
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.body = _without_docstring(node)
        outer, self.in_class = self.in_class, True
        node = self.generic_visit(node)  # type: ignore[assignment]
        self.in_class = outer
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.body = _without_docstring(node)
        if all(map(_is_pure_decorator, node.decorator_list)):  # others may read the annotations
            node.returns = None
            for part in ast.walk(node.args):
                if isinstance(part, ast.arg):
                    part.annotation = None
        outer, self.in_class = self.in_class, False
        node = self.generic_visit(node)  # type: ignore[assignment]
        self.in_class = outer
        return node

    visit_AsyncFunctionDef = visit_FunctionDef  # type: ignore[assignment]

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        if self.in_class:  # a field of a model or dataclass, whose type may convert its value
            if isinstance(node.annotation, ast.Constant) and isinstance(node.annotation.value, str):
                node.annotation = ast.parse(node.annotation.value, mode="eval").body
            return self.generic_visit(node)
        return self.visit(ast.Assign([node.target], node.value)) if node.value else None

    def visit_Import(self, node: ast.Import) -> None:
        return None

    visit_ImportFrom = visit_Import  # type: ignore[assignment]

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if is_log_line(node) else self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        """`raise UserError(...)` -> `raise UserError`: it ends the job. What other errors say may stand in a result: why a training
        diverged, why an image was left out, why a claim was not decided."""
        if isinstance(node.exc, ast.Call) and isinstance(node.exc.func, ast.Name) and node.exc.func.id == "UserError":
            node.exc, node.cause = node.exc.func, None
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id == "Field":
            node.keywords = [keyword for keyword in node.keywords if keyword.arg != "description"]
        return self.generic_visit(node)


def is_log_line(node: ast.stmt) -> bool:
    """Whether the statement prints or logs values and does nothing else: by convention, `log` and `_log_...` do only that."""
    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and isinstance(node.value.func, ast.Name)):
        return False
    name = node.value.func.id.lstrip("_")
    return (name in ("print", "log") or name.startswith("log_")) and _has_pure_arguments(node.value)


def _has_pure_arguments(call: ast.Call) -> bool:
    files = [keyword.value for keyword in call.keywords if keyword.arg == "file"]
    if any(_chain(file) not in (["sys", "stderr"], ["sys", "stdout"]) for file in files):
        return False
    return all(map(_is_pure, [*call.args, *(keyword.value for keyword in call.keywords)]))


def _is_pure(value: ast.expr) -> bool:
    """Whether evaluating it changes nothing and uses up no iterator, as far as can be seen from its text."""
    for part in ast.walk(value):
        if isinstance(part, ast.NamedExpr | ast.Await | ast.Yield | ast.YieldFrom | ast.Starred):
            return False
        if isinstance(part, ast.comprehension) and not isinstance(part.iter, ast.Call | ast.Subscript):
            return False
        if isinstance(part, ast.Call):
            function = part.func.id if isinstance(part.func, ast.Name) else getattr(part.func, "attr", "")
            if function not in PURE:
                return False
    return True
