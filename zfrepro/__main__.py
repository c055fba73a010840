"""The command `zfrepro`: init, run, plan, publish, vary, compare, look, and every stage by its name."""

from __future__ import annotations

import atexit
import errno
import gc
import importlib
import os
import pkgutil
import select
import sys
from types import ModuleType

from zfrepro import commands, stages
from zfrepro.errors import UserError
from zfrepro.storage import code_stamp, surroundings

READER_GONE = 141  # 128 + SIGPIPE, as shells say


def main(arguments: list[str] | None = None) -> None:
    """Exit code 2 for bad input (one message), 1 for anything else that fails, 143 when stopped, 141 when nobody reads the output."""
    if arguments is None:
        surroundings.adopt_utf8()
        _collect_garbage_rarely()
    try:
        try:
            _call(*(sys.argv[1:] if arguments is None else arguments) or ["--help"])
        finally:
            _flush()
    except UserError as error:
        sys.exit(_fail(str(error)))
    except BrokenPipeError:
        if not _reader_is_gone():
            raise
        _drop_output()
        sys.exit(READER_GONE)
    except OSError as error:
        message = _explain(error)
        if message is None:
            raise
        sys.exit(_fail(message, 1))


def _call(verb: str, *rest: str) -> None:
    """A command or a stage, by its name."""
    verbs = {module.name: commands for module in pkgutil.iter_modules(commands.__path__)}
    names = {module.name: stages for module in pkgutil.iter_modules(stages.__path__)}
    if verb in ("-h", "--help"):
        print(_usage(verbs, names))
    elif verb == "--version":
        print(f"zfrepro {_version()}")
    elif (package := {**names, **verbs}.get(verb)) is None:
        raise UserError(f"unknown command {verb!r}; choose from {', '.join([*verbs, *names])}")
    else:
        _dispatch(verb, package, list(rest))


def _flush() -> None:
    if sys.stdout is not None:  # as it is where the shell has closed it
        sys.stdout.flush()


def _reader_is_gone() -> bool:
    """Whether the reader of the output has ended, as `head` does when it has enough."""
    try:
        descriptor = sys.stdout.fileno()
    except (AttributeError, OSError):  # there is no output, or it is kept in memory
        return False
    output = select.poll()
    output.register(descriptor, 0)  # errors are reported in any case
    return bool(output.poll(0))


def _drop_output() -> None:
    """So that what is left of the output is no error at the exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _version() -> str:
    from importlib import metadata

    return metadata.version("zfrepro")


def _explain(error: OSError) -> str | None:
    """What a user can do about a full disk, or about a file or folder without the right to use it; None for other errors."""
    from zfrepro.storage import guards

    if guards.is_disk_full(error):
        return f"the disk is full ({error.filename or 'while writing'}); free some space and run again"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) and error.filename:
        return f"{error.filename}: {error.strerror}; change its permissions, or choose a folder that you may write to"
    return None


def _collect_garbage_rarely() -> None:
    """Search for reference cycles 70 times less often than Python does by default, and not at exit.

    Importing torch creates a million objects that stay alive: by default Python searches them again and again, and once more at
    exit. This saves a third of the 1.8 s of CPU time that `import torch` and the exit after it take.
    """
    gc.set_threshold(50_000, 20, 20)
    atexit.register(gc.freeze)


def _dispatch(verb: str, package: ModuleType, rest: list[str]) -> None:
    if package is stages:
        code_stamp.at_start()
    module = importlib.import_module(f"{package.__name__}.{verb}")
    if package is commands:
        module.main(rest)
    else:
        from zfrepro.running import stage_cli

        stage_cli.run_stage(verb, module, rest)


def _fail(message: str, code: int = 2) -> int:
    print("\n".join(f"zfrepro: {line}" for line in message.splitlines()), file=sys.stderr)
    return code


def _usage(verbs: dict[str, ModuleType], names: dict[str, ModuleType]) -> str:
    def line(package: ModuleType, name: str) -> str:
        doc = importlib.import_module(f"{package.__name__}.{name}").__doc__ or ""
        return f"  {name:<15} {doc.strip().splitlines()[0]}"

    lines = [
        "usage: zfrepro COMMAND [options]; for details: zfrepro COMMAND --help; zfrepro --version",
        "",
        "commands:",
    ]
    lines += [line(package, name) for name, package in verbs.items()]
    lines += ["", "stages, one at a time (the commands that Snakemake prints can be pasted):"]
    lines += [line(package, name) for name, package in names.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
