"""The commit of the code: known, or not known for a reason."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from zfrepro.report import html, provenance


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository").resolve()
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    (folder / "file").write_text("one", encoding="utf-8")
    (folder / "inside").mkdir()
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "one"], check=True)
    return folder


def _shown(git: object) -> str:
    """As the page prints it."""
    template = html.environment().from_string('{% from "parts.html" import commit %}{{ commit(git) }}')
    return " ".join(template.render(git=git).split())


def _unknown(reason: str) -> dict[str, object]:
    return {"commit": None, "dirty": None, "reason": reason}


def test_a_commit_and_whether_the_tree_differs_from_it(repository: Path, tmp_path: Path) -> None:
    record = provenance.git(repository)
    assert (len(record["commit"]), record["dirty"], record["reason"]) == (40, False, "")
    assert _shown(record) == f"commit <code>{record['commit'][:12]}</code>"
    edited = tmp_path / "edited"
    shutil.copytree(repository, edited)
    (edited / "file").write_text("two", encoding="utf-8")
    assert provenance.git(edited) == {**record, "dirty": True}
    assert _shown(provenance.git(edited)).endswith("</code>, with uncommitted changes")
    (tmp_path / "link").symlink_to(repository)
    assert provenance.git(tmp_path / "link") == record


def test_a_missing_repository_is_reported(tmp_path: Path, repository: Path) -> None:
    assert provenance.git(tmp_path) == _unknown("not in a git repository")
    assert _shown(provenance.git(tmp_path)) == "commit not known: not in a git repository"
    assert provenance.git(repository / "inside")["reason"] == (
        f"not in a git repository of its own, but within that of {repository}"
    )


def test_a_clone_of_another_user_is_not_known(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # git's own switch for its tests
    assert provenance.git(repository) == _unknown(
        "git refuses to read the repository, which belongs to another user (see safe.directory in git's manual)"
    )


def test_without_git_nothing_is_known(repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.git(repository) == _unknown("git is not installed")


def test_a_repository_without_a_commit(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    assert provenance.git(tmp_path) == _unknown("the repository has no commit yet")


def test_a_damaged_repository_gives_git_s_own_words(repository: Path, tmp_path: Path) -> None:
    shutil.copytree(repository, tmp_path / "damaged")
    (tmp_path / "damaged/.git/config").write_text("[core\n", encoding="utf-8")
    assert provenance.git(tmp_path / "damaged")["reason"].startswith("git rev-parse fails: bad config line 1")


def _slow(folder: Path, verb: str) -> str:
    """A PATH whose git takes a minute for a verb."""
    path = folder / "git"
    real = shutil.which("git")
    path.write_text(f'#!/bin/sh\ncase "$*" in *{verb}*) exec sleep 60;; esac\nexec {real} "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def test_a_status_that_takes_too_long_leaves_it_open(
    repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", _slow(tmp_path, "status"))
    monkeypatch.setattr(provenance, "GIT_SECONDS", 1.0)
    record = provenance.git(repository)
    assert (len(record["commit"]), record["dirty"]) == (40, None)
    assert record["reason"] == "git status took longer than 1 s"
    assert _shown(record).endswith(
        "</code>, whether with uncommitted changes is not known: git status took longer than 1 s"
    )


def test_a_git_that_takes_too_long_leaves_all_open(
    repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", _slow(tmp_path, "rev-parse"))
    monkeypatch.setattr(provenance, "GIT_SECONDS", 0.5)
    assert provenance.git(repository) == _unknown("git rev-parse took longer than 0.5 s")


class Installed:
    """A package as pip's records describe it; direct_url: content of direct_url.json, None where there is none."""

    version = "0.2.0"

    def __init__(self, direct_url: str | None):
        self.direct_url = direct_url

    def read_text(self, name: str) -> str | None:
        return self.direct_url if name == "direct_url.json" else None


@pytest.mark.parametrize(
    "direct_url", [None, '{"url": "file:///tmp/zfrepro-0.2.0-py3-none-any.whl", "archive_info": {}}']
)
def test_an_installed_package_names_its_version(direct_url: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance.importlib.metadata, "distribution", lambda name: Installed(direct_url))
    assert provenance.installed_commit() == _unknown("installed as a package, zfrepro 0.2.0")
    assert _shown(provenance.installed_commit()) == "commit not known: installed as a package, zfrepro 0.2.0"


def test_pip_keeps_the_commit_of_a_package_from_a_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    direct_url = '{"url": "https://example.org/zfrepro", "vcs_info": {"vcs": "git", "commit_id": "0123456789abcdef"}}'
    monkeypatch.setattr(provenance.importlib.metadata, "distribution", lambda name: Installed(direct_url))
    assert provenance.installed_commit() == {"commit": "0123456789abcdef", "dirty": False, "reason": ""}


def test_reports_of_earlier_versions_say_nothing_that_is_not_known() -> None:
    assert _shown(None) == "commit not known"
