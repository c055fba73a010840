"""The command line as a user types it."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from zfrepro.__main__ import main

STAGES = sorted(path.stem for path in (Path(__file__).parents[2] / "zfrepro/stages").glob("[a-z]*.py"))


def call(capsys, *arguments):
    """Exit code and all output."""
    with pytest.raises(SystemExit) as exit_:
        main(list(arguments))
    out, err = capsys.readouterr()
    return exit_.value.code, out + err


def test_help_lists_every_command(capsys):
    main(["--help"])
    out = capsys.readouterr().out
    assert [name for name in [*STAGES, "run", "plan", "publish", "compare", "vary"] if f"\n  {name} " not in out] == []


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_has_help(capsys, stage):
    code, text = call(capsys, stage, "--help")
    assert code == 0
    assert "--spec JSON" in text
    assert "--out PATH" in text
    assert "settings (--spec):" in text


@pytest.mark.parametrize("command", ["run", "plan", "publish", "vary"])
def test_a_command_has_help(capsys, command):
    code, text = call(capsys, command, "--help")
    assert code == 0
    assert "--config EXPERIMENT" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "zfrepro: unknown command 'trian'; choose from "),
        (["evaluate", "--spec", '{"views": [3]}', "--weights", "w", "--network", "n", "--images", "i", "--out", "o"], "--spec: views.0"),
        (["evaluate", "--spec", '{"vews": 1}', "--weights", "w", "--network", "n", "--images", "i", "--out", "o"], "--spec: vews"),
        (["evaluate", "--spec", "none.json", "--weights", "w", "--network", "n", "--images", "i", "--out", "o"], "none.json: is neither"),
        (["evaluate", "--spec", "{}", "--weights", "none.safetensors", "--network", "n", "--images", "i", "--out", "o"],
         "none.safetensors: no such weights file"),
        (["plan", "--config", "none.yaml"], "none.yaml: cannot be read"),
        (["run", "--config", "none.yaml"], "none.yaml: cannot be read"),
        (["vary", "--config", "none.yaml", "--name", "x"], "none.yaml: cannot be read"),
        (["compare", "none", "none"], "none: does not exist"),
    ],
)  # fmt: skip
def test_bad_input_is_one_message_and_exit_code_2(capsys, arguments, message):
    code, text = call(capsys, *arguments)
    assert code == 2
    assert message in text
    assert "Traceback" not in text


def test_the_spec_may_be_a_file(capsys, tmp_path):
    (tmp_path / "spec.json").write_text('{"views": []}')
    code, text = call(
        capsys,
        "evaluate",
        "--spec",
        str(tmp_path / "spec.json"),
        "--weights",
        "w",
        "--network",
        "n",
        "--images",
        "i",
        "--out",
        "o",
    )
    assert (code, "--spec: views" in text) == (2, True)


def test_a_full_disk_is_reported(capsys, monkeypatch):
    from zfrepro.stages import evaluate

    def full(**_):
        raise OSError(28, "No space left on device", "results/x")

    monkeypatch.setattr(evaluate, "run", full)
    monkeypatch.setattr("zfrepro.running.stage_cli.run_stage", lambda *_: full())
    code, text = call(capsys, "evaluate")
    assert code == 1
    assert "the disk is full (results/x)" in text


def test_the_installed_command_works():
    command = Path(sys.executable).parent / "zfrepro"
    assert "\ncommands:\n" in subprocess.run([command], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("arguments", "unbuffered"),
    [
        ("--help", ""),
        ("plan --help", ""),
        ("occlusion --help", ""),
        ("plan --config demo", ""),
        ("--help", "1"),
        ("plan --config demo", "1"),
    ],
)
def test_an_output_that_nobody_reads_ends_it_quietly(arguments, unbuffered, tmp_path):
    """As `zfrepro plan | head -1` does."""
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [sys.executable, "-m", "zfrepro", *arguments.split()],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        cwd=tmp_path,
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
    )
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (141, "")


def test_a_closed_output_is_no_error(tmp_path):
    command = f"{sys.executable} -m zfrepro --version >&-"
    ended = subprocess.run(command, shell=True, stderr=subprocess.PIPE, text=True, check=False, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_another_broken_pipe_is_not_hidden(monkeypatch):
    def broken(*_):
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr("zfrepro.__main__._dispatch", broken)
    with pytest.raises(BrokenPipeError):
        main(["plan"])


def test_a_missing_pango_is_reported_before_anything_runs(capsys, monkeypatch):
    import ctypes
    import ctypes.util

    def missing(*_):
        raise OSError("cannot load library")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    code, text = call(capsys, "run", "--config", "none.yaml")
    assert code == 2
    assert "the PDF needs the system libraries libpango-1.0-0, libpangoft2-1.0-0 and a font" in text
    assert "apt-get install libpango-1.0-0 libpangoft2-1.0-0 fonts-dejavu-core" in text


def test_a_missing_font_is_reported_before_anything_runs(capsys, monkeypatch):
    from zfrepro.report import system_libraries

    monkeypatch.setattr(system_libraries, "has_font", lambda: False)
    code, text = call(capsys, "run", "--config", "none.yaml")
    assert code == 2
    assert text == (
        "zfrepro: the PDF needs a font (fontconfig finds no TrueType or OpenType font); install with: apt-get install "
        "fonts-dejavu-core\n"
    )
    code, text = call(capsys, "run", "--config", "none.yaml", "results/x/train/a/model.safetensors")
    assert "font" not in text  # what is asked for needs no PDF


@pytest.mark.parametrize(("number", "name"), [("EACCES", "Permission denied"), ("EROFS", "Read-only file system")])
def test_a_place_that_cannot_be_written_is_one_message(capsys, monkeypatch, number, name):
    from zfrepro.commands import plan

    def refuse(_):
        raise OSError(getattr(errno, number), os.strerror(getattr(errno, number)), "/data/results")

    monkeypatch.setattr(plan, "main", refuse)
    code, text = call(capsys, "plan")
    assert code == 1
    assert text == f"zfrepro: /data/results: {name}; change its permissions, or choose a folder that you may write to\n"


def test_a_command_collects_garbage_rarely_and_not_at_exit():
    """Each job imports torch again: searching a million objects that stay alive would take a third of the start."""
    code = (
        "import atexit, gc, sys; atexit.register(lambda: print(gc.get_threshold()[0], gc.get_freeze_count() > 0)); "
        "sys.argv = ['zfrepro', '--help']; from zfrepro.__main__ import main; main()"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.endswith("\n50000 True\n")  # what is registered first runs last
