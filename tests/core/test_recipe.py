"""Learning rates and fading by hand."""

import math

import pytest

from zfrepro.core import recipe
from zfrepro.core.recipe import Recipe, Stall


def test_a_cosine_by_hand():
    """Two epochs of two steps: cos 0, 45, 90 and 135 degrees."""
    short = Recipe(epochs=2, learning_rate=1.0, schedule="cosine")
    root = math.sqrt(0.5)
    expected = [1, 0.01 + 0.99 * (1 + root) / 2, 0.505, 0.01 + 0.99 * (1 - root) / 2]
    assert [recipe.rate_at(short, step, 2) for step in range(4)] == pytest.approx(expected)
    assert recipe.rate_sum(short, 2) == pytest.approx(sum(expected))


def test_a_warmup_rises_linearly():
    short = Recipe(epochs=2, learning_rate=1.0, schedule="constant", warmup=1)
    assert [recipe.rate_at(short, step, 4) for step in range(6)] == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1])


def test_how_far_first_weights_fade():
    """6,000 steps of a cosine from 0.01 at 5e-4 leave 86 %, 15,000 at 2e-3 leave 22 %, and the paper's 700,000 nothing."""
    for epochs, per_epoch, decay, left in ((8, 750, 5e-4, 0.859), (20, 750, 2e-3, 0.220), (70, 10_000, 5e-4, 0.0)):
        rates = recipe.rate_sum(Recipe(epochs=epochs, schedule="cosine"), per_epoch)
        assert rates == pytest.approx(0.00505 * epochs * per_epoch, rel=1e-3)
        assert recipe.faded_to(decay, 0.9, rates) == pytest.approx(left, abs=1e-3)


def test_a_fade_gives_the_weight_decay_that_reaches_it():
    asked = Recipe(epochs=20, schedule="cosine", fade=0.2)
    decay = recipe.weight_decay_of(asked, 750)
    assert decay == pytest.approx(-math.log(0.2) * 0.1 / (15_000 * 0.00505), rel=1e-3)  # 2.1e-3
    assert recipe.faded_to(decay, 0.9, recipe.rate_sum(asked, 750)) == pytest.approx(0.2)
    assert recipe.weight_decay_of(Recipe(), 750) == 5e-4


def test_a_stall_anneals_three_times_at_most():
    stall = Stall(0.1, patience=1)
    scales = []
    for error in (90, 80, 80, 80, 79.95, 80, 70, 70, 70, 70, 70, 70, 70):
        stall.end_epoch(error)
        scales.append(stall.scale)
    assert scales == pytest.approx([1, 1, 1, 0.1, 0.1, 0.01, 0.01, 0.01, 0.001, 0.001, 0.001, 0.001, 0.001])


def test_an_unknown_schedule_is_refused():
    with pytest.raises(ValueError, match="unknown schedule 'linear'"):
        recipe.rate_at(Recipe(schedule="linear"), 0, 1)
