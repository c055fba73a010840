"""What a run prints: lines in a file, bars on a terminal, the end of a failed job's log."""

import io

import pytest

from zfrepro.running.progress import Display, latest_progress
from zfrepro.running.snakemake_log import Reader, explain_reason

OUTPUT = """\
Job stats:
job      count
-----  -------
all          1
train        2
total        3

[Sun Nov 22 20:31:14 2026]
rule train:
    input: results/x/manifest.json
    output: results/x/train/a/model.safetensors, results/x/train/a/history.csv
    log: {log}
    jobid: 2
    reason: Missing output files: results/x/train/a/model.safetensors
    wildcards: run=a
    resources: tmpdir=/tmp, gpu=1
Shell command: python -m zfrepro train --spec '{{}}'
[Sun Nov 22 20:31:14 2026]
rule train:
    log: {log}
    jobid: 3
    reason: Updated input files: results/x/manifest.json
    wildcards: run=b
    resources: tmpdir=/tmp, gpu=1
[Sun Nov 22 20:31:20 2026]
Finished jobid: 2 (Rule: train)
1 of 3 steps (33%) done
[Sun Nov 22 20:31:21 2026]
Error in rule train:
    message: None
    jobid: 3
    log: {log} (check log file(s) for error details)
    shell:
        python -m zfrepro train
        (command exited with non-zero exit code)
Complete log(s): x
"""


@pytest.fixture
def lines(tmp_path):
    log = tmp_path / "train.log"
    log.write_text('{"run": "b", "epoch": 3, "of": 16, "loss": 1.23456, "images_per_second": 900}\n')
    return OUTPUT.format(log=log).splitlines()


def test_events_are_read(lines):
    events = list(Reader().events(lines))
    assert [(event.kind, event.job.label if event.job else event.count) for event in events] == [
        ("total", 2),  # the rule `all` is none of the jobs that were asked for
        ("start", "train a"),
        ("start", "train b"),
        ("finish", "train a"),
        ("error", "train b"),
    ]
    assert [explain_reason(event.job) for event in events[1:3]] == [
        "its output is missing",
        "newer input: results/x/manifest.json",
    ]


def test_a_file_gets_one_line_per_job(lines):
    stream = io.StringIO()
    with Display(stream) as display:
        for event in Reader().events(lines):
            display.show(event)
        display.show(None)
    printed = stream.getvalue().splitlines()
    assert printed[0].endswith("1/2  train a  0 s")
    assert printed[1].endswith("FAILED  train b  after 0 s")
    assert printed[2].strip().endswith("train.log:")
    assert '"loss": 1.23456' in printed[3]
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ("'code 1a'", "'code 2b'", "its code changed"),
        ('\'{"epochs": 1, "seed": 0}\'', '\'{"epochs": 2, "seed": 0}\'', "its settings changed (epochs)"),
        ("'code 1', '{\"a\": 1}'", "'code 2', '{\"a\": 2}'", "its code changed and its settings changed (a)"),
        ("'results/x'", "", "its rule changed"),
    ],
)
def test_changed_code_and_settings_are_distinguished(before, now, expected):
    from zfrepro.running.snakemake_log import Job

    reason = f"Params have changed since last execution: Union of exclusive params: before: {before} now: {now} "
    assert explain_reason(Job("train", fields={"reason": reason})) == expected


def test_latest_progress(tmp_path):
    log = tmp_path / "log"
    assert latest_progress(log) == ""
    log.write_text('{"run": "b", "epoch": 3, "of": 16, "loss": 1.23456}\n')
    assert latest_progress(log) == "epoch 3, of 16, loss 1.235"
    log.write_text("Traceback\n")
    assert latest_progress(log) == ""


TARGET_ONLY = """\
Job stats:
job        count
-------  -------
prepare        1
total          1

rule prepare:
    log: none.log
    jobid: 0
    wildcards: set=source
Finished jobid: 0 (Rule: prepare)
"""


def test_the_total_counts_what_was_asked_for():
    """`zfrepro run results/x/prepare/source/manifest.json` has no job of the rule `all`."""
    stream = io.StringIO()
    with Display(stream) as display:
        for event in Reader().events(TARGET_ONLY.splitlines()):
            display.show(event)
    assert stream.getvalue().strip().endswith("1/1  prepare source  0 s")
    assert (display.done, display.started, display.total) == (1, 1, 1)


def test_a_rule_whose_name_ends_in_all_is_counted():
    lines = ["Job stats:", "job      count", "install  3", "overall   2", "all      1", "total    6", ""]
    assert [event.count for event in Reader().events(lines)] == [5]


def test_a_target_beside_the_report_is_counted():
    both = [line.replace("total          1", "all            1\ntotal          2") for line in TARGET_ONLY.splitlines()]
    assert next(Reader().events("\n".join(both).splitlines())).count == 1


CLUSTER = """\
rule train:
    log: {log}
    jobid: 3
    wildcards: run=b
Error in rule train:
    message: SLURM sbatch failed. The error message was 'sbatch: error: invalid partition specified: nope
sbatch: error: Invalid partition name specified'.
    sbatch call:
        sbatch --parsable
For further error details see the cluster/cloud log and the log files of the involved rule(s).
    jobid: 3
    log: {log}, {slurm} (check log file(s) for error details)
Logfile {log}: empty file
Logfile {slurm}:
================================================================================
SNAKEMAKE
=========
Job stats:
total  9
rule train:
    jobid: 0
Error in rule train:
    message: None
    jobid: 0
================================================================================
Trying to restart job 3.
rule train:
    log: {log}
    jobid: 3
    wildcards: run=b
Finished jobid: 3 (Rule: train)
"""


def test_of_a_job_that_failed_on_a_cluster_message_and_log_are_shown_and_that_it_is_tried_again(tmp_path):
    """Its own log is empty: it never began."""
    log, slurm, stream = tmp_path / "train.log", tmp_path / "7.log", io.StringIO()
    log.touch()
    slurm.write_text("srun: fatal: no such device\n")
    with Display(stream) as display:
        for event in Reader().events(CLUSTER.format(log=log, slurm=slurm).splitlines()):
            display.show(event)
    lines = [line.partition("  ")[2] if line[0].isdigit() else line for line in stream.getvalue().splitlines()]
    assert lines == [
        "FAILED  train b  after 0 s",
        "    SLURM sbatch failed. The error message was 'sbatch: error: invalid partition specified: nope",
        "    sbatch: error: Invalid partition name specified'.",
        f"    {slurm}:",
        "    srun: fatal: no such device",
        "again   train b",
        "1/0  train b  0 s",
    ]
    assert display.done == 1
