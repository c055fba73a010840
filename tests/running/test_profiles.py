"""The profile of a run: by name, by path, and what is wrong with one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from zfrepro.commands import run
from zfrepro.errors import UserError
from zfrepro.running import gpu_lease, profiles

SLURM = profiles.FOLDER / "slurm/config.yaml"
RULE = re.compile(r"^(?:use )?rule (?:\w+ as )?(\w+)", re.MULTILINE)
LOCAL_RULES = {"exhibits", "report"}


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setattr(profiles.shutil, "which", lambda name: name)


@pytest.mark.usefixtures("installed")
def test_a_name_is_a_folder_of_the_workflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert profiles.find("default") == profiles.Profile(profiles.FOLDER / "default", "local")
    assert profiles.find("slurm") == profiles.Profile(profiles.FOLDER / "slurm", "slurm")
    (tmp_path / "slurm").mkdir()  # without a profile in it
    monkeypatch.chdir(tmp_path)
    assert profiles.find("slurm").path == profiles.FOLDER / "slurm"


@pytest.mark.usefixtures("installed")
def test_a_path_is_a_profile_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.yaml").write_text("jobs: 2\n")
    assert profiles.find("mine") == profiles.Profile(folder, "local")
    (folder / "profile.v9+.yaml").write_text("executor: kubernetes\n")  # Snakemake takes the highest version
    assert profiles.find(str(folder)).executor == "kubernetes"
    assert profiles.find("mine/config.yaml") == profiles.Profile(folder / "config.yaml", "local")


def test_an_unknown_profile_is_a_message_with_those_that_exist(tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=r"--profile slrum: no such profile; choose one of default, slurm, or name a folder"
    ):
        profiles.find("slrum")
    with pytest.raises(UserError, match="no such profile"):
        profiles.find(str(tmp_path))


@pytest.mark.parametrize("content", ["a: [", "- a\n", ""])
def test_a_profile_that_cannot_be_read_is_a_message(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(UserError, match=r"config.yaml: (is not YAML|must hold `key: value` lines)"):
        profiles.find(str(tmp_path))


def test_an_executor_that_is_not_installed_is_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        UserError, match=r'its executor `slurm` is not installed; run: .*pip install "zfrepro\[cluster\]"'
    ):
        profiles.find("slurm")
    (tmp_path / "config.yaml").write_text("executor: cluster-generic\n")
    with pytest.raises(UserError, match="pip install snakemake-executor-plugin-cluster-generic"):
        profiles.find(str(tmp_path))


@pytest.mark.usefixtures("installed")
def test_a_computer_without_slurm_is_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profiles.shutil, "which", lambda name: None)
    with pytest.raises(UserError, match="--profile slurm: sbatch is not on the PATH"):
        profiles.find("slurm")


def test_every_rule_on_a_cluster_has_memory_run_time_and_cores() -> None:
    profile = yaml.safe_load(SLURM.read_text(encoding="utf-8"))
    files = (profiles.ROOT / "workflow/rules").glob("*.smk")
    rules = {name for file in files for name in RULE.findall(file.read_text(encoding="utf-8"))} - LOCAL_RULES
    assert len(rules) == 13
    assert set(profile["set-threads"]) == rules
    assert {rule for rule, needs in profile["set-resources"].items() if {"mem_mb", "runtime"} <= needs.keys()} == rules


def test_the_cluster_profile_keeps_what_the_default_profile_says_of_files() -> None:
    """Only what concerns this computer's cores and GPU is left out."""
    default = yaml.safe_load((profiles.FOLDER / "default/profile.yaml").read_text(encoding="utf-8"))
    slurm = yaml.safe_load(SLURM.read_text(encoding="utf-8"))
    assert {key for key in default if slurm.get(key) != default[key]} == {"cores", "resources"}


@pytest.mark.parametrize(
    ("arguments", "executor", "limits"),
    [
        ([], "local", ["--cores", "3", "--resources", "gpu=3"]),
        (["--cores", "2"], "local", ["--cores", "2", "--resources", "gpu=2"]),
        (["--profile", "slurm"], "slurm", []),  # the login computer's cores are not the jobs'
        (["--profile", "slurm", "--cores", "8"], "slurm", ["--cores", "8"]),
    ],
)
def test_a_clusters_limits_are_those_of_its_profile(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], executor: str, limits: list[str]
) -> None:
    monkeypatch.setattr(run.machine, "cores", lambda: 3)
    options = run._parser().parse_args(["--device", "cpu", *arguments])
    assert run._limits(options, profiles.Profile(Path("x"), executor), None) == limits


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("option", ["--gpus", "--jobs-per-gpu"])
def test_a_cluster_gives_its_jobs_their_gpus_itself(monkeypatch: pytest.MonkeyPatch, option: str) -> None:
    with pytest.raises(UserError, match="the cluster gives its jobs their GPUs; leave --gpus and --jobs-per-gpu out"):
        run.main(["--profile", "slurm", option, "2", "results/demo/report/index.html"])
    monkeypatch.setattr(run.os, "environ", {gpu_lease.GPUS: "GPU-of-the-login-computer", gpu_lease.JOBS_PER_GPU: "2"})
    assert run._choose_gpus(run._parser().parse_args([]), profiles.Profile(Path("x"), "slurm")) is None
    assert run.os.environ == {}
