"""The environment of our commands and of the jobs they start: texts in UTF-8, caches where they can be written."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Mapping
from pathlib import Path

ENCODING = {"PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8:backslashreplace"}


def adopt_utf8() -> None:
    """Start this command again in Python's UTF-8 mode, unless files and names are read as UTF-8 already.

    Otherwise one path of an experiment file would lead to two folders, and a log or a page could not be written, by the locale.
    The terminal keeps the locale's encoding.
    """
    if sys.flags.utf8_mode or "utf" in sys.getfilesystemencoding():
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        return
    terminal = os.environ.get("PYTHONIOENCODING") or f"{sys.stdout.encoding}:backslashreplace"
    environment = {**os.environ, "PYTHONUTF8": "1", "PYTHONIOENCODING": terminal}
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)


def job_variables(environment: Mapping[str, str], caches: Path) -> dict[str, str]:
    """What a job's environment needs besides `environment`: UTF-8; the folder `caches` for those that cannot be written; a name
    for a user that the system does not know, as in a container started with a number."""
    variables = dict(ENCODING)
    if not _has_user_name(environment):
        variables["LOGNAME"] = f"user{os.getuid()}"  # Snakemake asks for it
    home = _home(environment)
    cache = environment.get("XDG_CACHE_HOME") or f"{home}/.cache"  # Snakemake's and fontconfig's
    if not can_write(Path(cache)):
        variables["XDG_CACHE_HOME"] = str(caches.absolute())
    settings = environment.get("XDG_CONFIG_HOME") or f"{home}/.config"
    if "MPLCONFIGDIR" not in environment and not (can_write(Path(settings)) and can_write(Path(cache))):
        variables["MPLCONFIGDIR"] = str(caches.absolute() / "matplotlib")
    return variables


def can_write(folder: Path) -> bool:
    """Whether files can be made in a folder, which may have to be made first."""
    existing = next((path for path in (folder, *folder.parents) if path.exists()), None)
    return existing is not None and existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)


def _has_user_name(environment: Mapping[str, str]) -> bool:
    """As getpass.getuser finds it."""
    if any(environment.get(name) for name in ("LOGNAME", "USER", "LNAME", "USERNAME")):
        return True
    try:
        return bool(pwd.getpwuid(os.getuid()).pw_name)
    except KeyError:
        return False


def _home(environment: Mapping[str, str]) -> str:
    return environment.get("HOME") or os.path.expanduser("~")
