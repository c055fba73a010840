"""Texts in UTF-8 whatever the locale, caches where they can be written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from zfrepro.storage import surroundings

ROOT = Path(__file__).parents[2]
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
SCRIPT = "from zfrepro.storage import surroundings; surroundings.adopt_utf8(); import sys; {}"


def _run(code: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHON"))}
    return subprocess.run(
        [sys.executable, "-c", SCRIPT.format(code), *arguments],
        env={**plain, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        check=True,
    )


@pytest.fixture(scope="module")
def latin(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a locale in ISO-8859-1."""
    folder = tmp_path_factory.mktemp("locales")
    command = ["localedef", "-i", "en_US", "-f", "ISO-8859-1", str(folder / "latin")]
    try:
        subprocess.run(command, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("localedef is not installed")
    if not (folder / "latin").is_dir():
        pytest.skip("the locale ISO-8859-1 cannot be made here")
    return {"LOCPATH": str(folder), "LC_ALL": "latin"}


def test_names_and_files_are_utf8_in_an_ascii_locale(tmp_path: Path) -> None:
    code = "open(sys.argv[1], 'w').write('caf\\u00e9'); print(sys.getfilesystemencoding())"
    done = _run(code, str(tmp_path / "café"), **ASCII)
    assert done.stdout == b"utf-8\n"
    assert (tmp_path / "café").read_bytes() == "café".encode()


def test_names_and_files_are_utf8_in_a_latin_locale(tmp_path: Path, latin: dict[str, str]) -> None:
    code = "print(sys.getfilesystemencoding(), sys.stdout.encoding, ascii(sys.argv[1]))"
    name = "utf-8 ISO-8859-1" if sys.version_info < (3, 11) else "utf-8 iso8859-1"
    assert _run(code, "café", **latin).stdout.decode("ascii").lower() == f"{name.lower()} 'caf\\xe9'\n"


def test_what_the_terminal_lacks_is_escaped(latin: dict[str, str]) -> None:
    assert _run("print('\\u2713 caf\\u00e9')", **latin).stdout == b"\\u2713 caf\xe9\n"
    assert _run("print('\\u2713')", **ASCII).stdout == b"\\u2713\n"


def test_jobs_write_their_logs_in_utf8() -> None:
    environment = surroundings.job_variables({"HOME": "/", "PYTHONIOENCODING": "latin-1"}, Path("caches"))
    assert environment["PYTHONUTF8"] == "1"
    assert environment["PYTHONIOENCODING"] == "utf-8:backslashreplace"


def test_caches_move_where_home_cannot_be_written(tmp_path: Path) -> None:
    caches = tmp_path / "caches"
    moved = surroundings.job_variables({"HOME": "/dev/null/home"}, caches)
    assert (moved["XDG_CACHE_HOME"], moved["MPLCONFIGDIR"]) == (str(caches), str(caches / "matplotlib"))
    variables = surroundings.job_variables({"HOME": str(tmp_path)}, caches)
    assert not {"XDG_CACHE_HOME", "MPLCONFIGDIR"} & variables.keys()


def test_a_cache_that_the_user_names_is_kept_if_it_can_be_written(tmp_path: Path) -> None:
    home = {"HOME": "/dev/null/home", "MPLCONFIGDIR": "/else"}
    assert "XDG_CACHE_HOME" not in surroundings.job_variables({**home, "XDG_CACHE_HOME": str(tmp_path)}, tmp_path)
    moved = surroundings.job_variables({**home, "XDG_CACHE_HOME": "/dev/null/cache"}, tmp_path)
    assert moved["XDG_CACHE_HOME"] == str(tmp_path)
    assert "MPLCONFIGDIR" not in moved


def test_a_home_that_is_no_folder_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert surroundings.can_write(tmp_path / "new" / "folder")
    assert not surroundings.can_write(tmp_path / "file" / "folder")
    assert not surroundings.can_write(Path("/proc/version/cache"))


def test_a_user_that_the_system_does_not_know_gets_a_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As in `docker run --user 12345`: Snakemake would end in a traceback."""
    home = {"HOME": str(tmp_path)}
    assert "LOGNAME" not in surroundings.job_variables(home, tmp_path)

    def unknown(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr(surroundings.pwd, "getpwuid", unknown)
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    assert surroundings.job_variables(home, tmp_path)["LOGNAME"] == "user12345"
    assert "LOGNAME" not in surroundings.job_variables({**home, "USER": "me"}, tmp_path)
