"""Digest all code that a stage can import, without comments and formatting.

The digest is in the params of a Snakemake rule: an edit to a module reruns exactly the rules whose stage imports it. What stands
in `if TYPE_CHECKING:` never runs and does not count. Whether a job that reruns computes anything is another question: see
computing_code.
"""

from __future__ import annotations

import hashlib

from zfrepro.storage.source_code import Package


def digest(*modules: str, package: Package | None = None) -> str:
    """Hex digest of the code and data files of the given modules (`stages.train`) and of all their imports."""
    package = package or Package()
    parts = hashlib.sha256()
    for name in sorted(package.closure(*modules)):
        parts.update(f"{name}\n{package.module(name).code}\n".encode())
        for file in package.data_files(name):
            parts.update(f"{file.name}\n".encode() + file.read_bytes())
    return parts.hexdigest()[:16]
