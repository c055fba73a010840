"""The design's laws that no tool checks: one name everywhere, stages of one shape, safe commands and pinned versions.

Which room may import which is checked by import-linter: [tool.importlinter] in pyproject.toml.
"""

import ast
import inspect
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from zfrepro.experiment.config import Config

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "zfrepro"


def modules(folder):
    return sorted(path.stem for path in (PACKAGE / folder).glob("*.py") if path.stem != "__init__")


STAGES, EXHIBITS = modules("stages"), modules("exhibits")
RULES = sorted(path.stem for path in (ROOT / "workflow/rules").glob("*.smk"))


def test_stages_rules_and_config_sections_have_the_same_names():
    assert set(RULES) == set(STAGES) | {"ablate"}  # ablate trains: the same command as train
    assert set(Config.model_fields) - {"experiment", "title", "authors"} == set(RULES) - {"exhibits"}


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_is_docstring_spec_and_run(name):
    module = __import__(f"zfrepro.stages.{name}", fromlist=["Spec"])
    assert re.match(r"[A-Z].+\.$", module.__doc__.strip().splitlines()[0])
    assert "out" in inspect.signature(module.run).parameters
    assert module.Spec.model_config["frozen"]
    assert module.Spec.model_config["extra"] == "forbid"


@pytest.mark.parametrize("name", STAGES)
def test_every_setting_of_a_stage_is_explained(name):
    module = __import__(f"zfrepro.stages.{name}", fromlist=["Spec"])
    assert [field for field, info in module.Spec.model_fields.items() if not info.description] == []


@pytest.mark.parametrize("folder", ["core", "stages", "measurements", "exhibits", "claims"])
def test_a_module_is_imported_by_a_computed_name_only_where_the_rule_s_digest_names_it(folder):
    """A digest follows import statements alone: what a stage loads by name stands in its rule, `datasets.{dataset}`."""
    calling = {path.stem for path in (PACKAGE / folder).rglob("*.py") if "import_module" in path.read_text()}
    assert calling == ({"prepare", "exhibits"} if folder == "stages" else set())


def test_importing_stages_exhibits_and_config_loads_no_slow_library():
    names = (
        [f"stages.{name}" for name in STAGES]
        + [f"exhibits.{name}" for name in EXHIBITS]
        + ["experiment.loading", "__main__"]
    )
    code = (
        "; ".join(f"import zfrepro.{name}" for name in names)
        + "; import sys; print({'torch', 'sklearn', 'scipy'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


@pytest.mark.parametrize("path", sorted((ROOT / "workflow/rules").glob("*.smk")), ids=lambda path: path.stem)
def test_a_rules_file_opens_with_its_contract_and_quotes_what_it_passes(path):
    lines = path.read_text().splitlines()
    assert [line[:10] for line in lines[:3]] == ["# needs:  ", "# makes:  ", "# config: "]
    if lines[3].startswith("use rule "):  # with another rule's command
        return
    command = "\n".join(lines).partition("shell:")[2]
    assert "python -m zfrepro " in command
    inserted = re.findall(r"\{(\w+)[^}]*?(:q)?\}", command)
    assert [name for name, quoted in inserted if not quoted and name != "threads"] == []
    assert not {"script:", "run:"} & {line.strip() for line in lines}


def test_every_torch_load_is_weights_only():
    for path in PACKAGE.rglob("*.py"):
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            if ast.unparse(call.func) == "torch.load":
                assert "weights_only=True" in ast.unparse(call), path


def test_the_conda_environment_asks_for_what_the_package_asks_for():
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    environment = yaml.safe_load((ROOT / "workflow/envs/zfrepro.yaml").read_text())
    assert next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)) == asked


def test_the_lock_file_names_every_dependency_and_no_address():
    lock = (ROOT / "requirements.lock").read_text()
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = asked["dependencies"] + asked["optional-dependencies"]["test"]
    locked = {line.partition("==")[0].lower() for line in lock.splitlines() if "==" in line}
    assert {re.match(r"[\w-]+", name)[0].lower() for name in wanted} <= locked
    assert "://" not in lock
    assert " @ " not in lock


def _text_calls(path):
    """Calls that read or write text: `open`, `.open`, `read_text`, `write_text`, and processes with `text=True`."""
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    return [call for call in calls if _is_text(call)]


def _is_text(call):
    name = ast.unparse(call.func)
    if name == "open":
        mode = ast.unparse(call.args[1]) if len(call.args) > 1 else "'r'"
        return "b" not in mode
    if name.startswith("subprocess."):
        return any(keyword.arg in ("text", "universal_newlines") for keyword in call.keywords)
    return name.rpartition(".")[2] in ("read_text", "write_text") and not name.startswith(
        ("paths.", "zipfile.", "distribution.")
    )


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_texts_are_utf8_whatever_the_locale(path):
    without = [
        ast.unparse(call) for call in _text_calls(path) if "encoding" not in {word.arg for word in call.keywords}
    ]
    assert without == []


def test_what_was_never_tried_is_labelled_wherever_it_is_offered():
    for name in ("README.md", "workflow/envs/zfrepro.yaml", ".snakemake-workflow-catalog.yml"):
        assert re.search(r"conda", text := (ROOT / name).read_text(encoding="utf-8"))
        assert re.search(r"(?i:not) (been )?tried yet", text), name
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    not_tried = "Not tried yet: other cards, several GPUs, executors other than SLURM's, and the conda environment of the rules."
    assert not_tried in " ".join(readme.split())
