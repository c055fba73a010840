"""Digest the code that can change a stage's results: what its `run` reaches, definition by definition.

Left out are log lines, messages of `UserError`, docstrings, annotations of functions, code that nothing reaches, and the modules
that only move bytes. Where a definition stands does not count: a helper moved to another module leaves the digest as it is.

What a module does when it is imported counts, also where a decorator enters functions into a table. Names made at run time are not
seen: a module that is passed along or searched by `getattr` counts as a whole, and tests/storage/test_computing_code.py looks for
the rest in this package.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import sys
from collections.abc import Iterator, Sequence

from zfrepro.storage.source_code import PACKAGE, Bindings, Module, Package, Tokens, merge

# They write and read the bytes they are given, guard jobs or explain errors. If what `artifacts` writes for the same values changes,
# its FORMAT does too, which is part of every key.
OUTSIDE = ("errors", "storage.artifacts", "storage.code_digest", "storage.computing_code", "storage.diverged",
           "storage.guards", "storage.machine", "storage.source_code", "storage.store_folder")  # fmt: skip
DISTRIBUTIONS = {"PIL": "pillow", "pillow_heif": "pillow-heif", "sklearn": "scikit-learn", "yaml": "pyyaml"}
BESIDE = {
    "PIL": ("pillow_heif",),
    "sklearn": ("scipy",),
    "torchvision": ("torch",),
}  # libraries that compute for another
WHERE = ("__file__", "__name__", "__package__", "__path__", "__spec__")  # they say in which module a definition stands

Definition = tuple[str, str]  # module, name


def digest(roots: Sequence[str], package: Package | None = None) -> tuple[str, dict[str, str]]:
    """roots: `stages.train.run`, or a whole module, `datasets.scenes`. Returns the digest and the versions of the libraries
    that the code uses."""
    package = package or Package()
    key = tuple(roots)
    if key not in package.computing:
        reader = _Reader(package)
        for root in roots:
            reader.follow(f"{PACKAGE}.{root}")
        package.computing[key] = reader.finish(), {name: _version(name) for name in sorted(reader.libraries)}
    digest_and_versions: tuple[str, dict[str, str]] = package.computing[key]
    return digest_and_versions


class _Reader:
    """Numbers definitions in the order in which they are reached and writes each with numbers in place of names."""

    def __init__(self, package: Package):
        self.package = package
        self.numbers: dict[Definition, int] = {}
        self.written: list[str] = []
        self.whole_modules: set[str] = set()
        self.libraries: set[str] = {"numpy"}

    def follow(self, target: str) -> str:
        """What stands for a dotted name in the text: the number of a definition, or the name as it is."""
        module, name, rest = self._split(target)
        if module is None:
            self._note_library(target)
            return target
        if module in OUTSIDE:
            return target.rpartition(".")[2]
        if not name:
            self._follow_module(module)
            return f"<{module.rpartition('.')[2]}>"
        return ".".join([f"#{self._number(module, name)}", *rest])

    def _split(self, target: str) -> tuple[str | None, str, list[str]]:
        """(module relative to the package, name of a definition in it or "", attributes); imported names are followed."""
        parts = target.split(".")
        if parts[0] != PACKAGE:
            return None, "", []
        split = next(n for n in range(len(parts), 0, -1) if self.package.path_of(".".join(parts[1:n])) is not None)
        module, rest = ".".join(parts[1:split]), parts[split:]
        if not rest or module in OUTSIDE:
            return module, "", []
        module_code = self.package.module(module)
        if rest[0] in module_code.definitions:
            return module, rest[0], rest[1:]
        if len(targets := module_code.bindings.get(rest[0], [])) == 1:
            return self._split(".".join([*targets, *rest[1:]]))
        return module, "", []  # made at run time, or by one of several imports: all of the module counts

    def _note_library(self, target: str) -> None:
        name = target.partition(".")[0]
        if name not in sys.stdlib_module_names:
            self.libraries |= {name, *BESIDE.get(name, ())}

    def _follow_module(self, module: str) -> None:
        if module not in self.whole_modules:
            self.whole_modules.add(module)
            module_code = self.package.module(module)
            for name in module_code.definitions:
                self._number(module, name)
            for target in (target for targets in module_code.bindings.values() for target in targets):
                self.follow(target)

    def _number(self, module: str, name: str) -> int:
        key = (module, name)
        if key not in self.numbers:
            self.numbers[key] = len(self.numbers)
            module_code = self.package.module(module)
            bindings = merge(module_code.bindings, module_code.inner[name])
            self.written.append(
                f"#{self.numbers[key]} {self._text(module_code, module_code.definitions[name], bindings, module)}"
            )
        return self.numbers[key]

    def _text(self, module_code: Module, tokens: Tokens, bindings: Bindings, module: str) -> str:
        return "".join(
            token if isinstance(token, str) else self._refer(module_code, token, bindings, module) for token in tokens
        )

    def _refer(self, module_code: Module, chain: list[str], bindings: Bindings, module: str) -> str:
        """A name may also be a local one that hides the module's: then too much is followed, never too little."""
        first, *rest = chain
        parts = [self.follow(".".join([target, *rest])) for target in bindings.get(first, ())]
        if first in module_code.definitions:
            parts.append(".".join([f"#{self._number(module, first)}", *rest]))
        if not parts:
            parts = [self.follow(star) for star in bindings.get("*", ())] + [".".join(chain)]
            parts += [module] if first in WHERE else []
        return "|".join(parts)

    def finish(self) -> str:
        """The digest, after what runs when the modules that were reached import theirs, and the files that they read."""
        parts = hashlib.sha256()
        done: set[str] = set()
        while waiting := [module for module in self._imported_modules() if module not in done]:
            for module in waiting:
                done.add(module)
                parts.update("\n".join(self._effects(module)).encode())
        for module in self._reached():
            parts.update("\n".join(self._data(module)).encode())
        parts.update("\n".join(self.written).encode())
        return parts.hexdigest()[:32]

    def _reached(self) -> list[str]:
        return list(dict.fromkeys(module for module, _ in self.numbers))

    def _imported_modules(self) -> list[str]:
        """Those with effects, by what they do, so that where it is done does not count."""
        modules = self.package.closure(*self._reached()) - set(OUTSIDE)
        return sorted(modules, key=lambda module: repr(self.package.module(module).effects))

    def _effects(self, module: str) -> Iterator[str]:
        module_code = self.package.module(module)
        for tokens in module_code.effects:
            yield self._text(module_code, tokens, module_code.bindings, module)

    def _data(self, module: str) -> Iterator[str]:
        for file in self.package.data_files(module):
            yield f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}"


def _version(library: str) -> str:
    try:
        version = importlib.metadata.version(DISTRIBUTIONS.get(library, library))
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
    return f"{version}, libjpeg {_libjpeg()}" if library == "PIL" else version


def _libjpeg() -> str:
    """Pixels differ by 1 or 2 between decoders, and Pillow comes with several."""
    from PIL import features

    return f"{features.version('jpg')} {features.version('libjpeg_turbo') or ''}".strip()
