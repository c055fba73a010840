"""Pack the workflow into the wheel: Snakefile, config.yaml and workflow/ stand once, at the top of the repository.

An editable installation packs nothing: there the package finds them beside itself (zfrepro/storage/workflow_files.py).
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKED = ("Snakefile", "config.yaml", "workflow")
TARGET = "zfrepro/_workflow"
LEFT_OUT = ("workflow/envs/system-packages.sh",)  # belongs to the Makefile


class PackWorkflow(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """version: `standard` or `editable`; build_data: of hatchling."""
        if version == "standard":
            build_data["force_include"] |= {str(path): f"{TARGET}/{path}" for path in self._files()}

    def _files(self) -> list[Path]:
        """Relative to the repository."""
        root = Path(self.root)
        found = [path for name in PACKED for path in (root / name, *sorted((root / name).rglob("*"))) if path.is_file()]
        relative = [path.relative_to(root) for path in found]
        return [path for path in relative if str(path) not in LEFT_OUT and not _is_hidden(path)]


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") or part == "__pycache__" for part in path.parts)
