"""A small part of the fuzz at every test; the whole of it: PYTHONPATH=.:tests python tests/helpers/fuzz.py --count 1000."""

import random

import pytest
from helpers import fuzz

from zfrepro.errors import UserError


def refuse(message):
    raise UserError(message)


@pytest.mark.parametrize("seed", [0, 7])
def test_no_input_ends_in_a_traceback_or_is_accepted_in_silence(tmp_path, seed):
    report = fuzz.run(seed, 60, tmp_path)
    assert {kind: sum(counts.values()) for kind, counts in report.counts.items()} == dict.fromkeys(fuzz.KINDS, 12)
    assert report.faults == []
    assert sum(counts["refused"] for counts in report.counts.values()) > 30


@pytest.mark.parametrize("kind", sorted(fuzz.KINDS))
def test_the_undamaged_input_is_accepted(kind):
    name = fuzz.KINDS[kind][0](random.Random(0)).name.removeprefix("digest.")
    name = "w.safetensors" if kind == "weights" else name
    assert fuzz._undamaged(kind, name) is not None


@pytest.mark.parametrize(
    ("read", "outcome"),
    [
        (lambda content, name, place: content, "silent"),  # takes whatever it gets
        (lambda content, name, place: {}["x"], "traceback"),
        (lambda content, name, place: refuse("it cannot be read"), "traceback"),  # names no file
        (lambda content, name, place: refuse(f"{name}: it cannot be read"), "refused"),
    ],
)
def test_a_reader_that_is_at_fault_is_noticed(tmp_path, read, outcome):
    case = fuzz.Case("annotations", "cut", b"", fuzz.DAMAGED, "parts.csv")
    assert fuzz._outcome(case, read, tmp_path)[0] == outcome


def test_the_same_seed_gives_the_same_inputs():
    for kind, (make, _) in fuzz.KINDS.items():
        assert make(random.Random(5)) == make(random.Random(5)), kind
