"""Which maps and which images the stages choose."""

import numpy as np

from zfrepro.core.choice import choose_maps
from zfrepro.stages.occlusion import choose_images

LIVE = np.array([1, 0, 1, 1, 0, 1, 0, 1], dtype=bool)


def test_live_maps_come_first():
    for seed in range(20):
        assert LIVE[choose_maps(LIVE, 5, seed, layer=2)].all()
        six = choose_maps(LIVE, 6, seed, layer=2)
        assert LIVE[six].sum() == 5
        assert LIVE[six[:5]].all()
    assert sorted(choose_maps(LIVE, 99, 0, 2)) == list(range(8))


def test_maps_follow_from_seed_and_layer():
    live = np.ones(100, dtype=bool)
    draws = {tuple(choose_maps(live, 9, seed, layer)) for seed in (0, 1) for layer in (2, 3) for _ in range(2)}
    assert len(draws) == 4


def test_pictures_are_sure_correct_and_of_different_classes():
    rng = np.random.default_rng(0)
    labels, of_true, correct = rng.integers(0, 5, 200), rng.random(200), rng.random(200) < 0.6
    draws = [choose_images(of_true, correct, labels, 4, seed) for seed in range(10)]
    for chosen in draws:
        assert len(set(labels[chosen])) == 4
        assert correct[chosen].all()
        assert (of_true[chosen] >= np.median(of_true[correct])).all()
    assert len({tuple(chosen) for chosen in draws}) > 1
    np.testing.assert_array_equal(draws[3], choose_images(of_true, correct, labels, 4, 3))


def test_too_few_correct_pictures_are_filled_up_by_probability():
    of_true = np.array([0.1, 0.4, 0.3, 0.2, 0.05])
    labels = np.array([0, 1, 1, 2, 2])
    none, single = np.zeros(5, dtype=bool), np.array([0, 0, 0, 1, 0], dtype=bool)
    assert choose_images(of_true, none, labels, 3, 0).tolist() == [1, 2, 3]
    assert choose_images(of_true, single, labels, 3, 0).tolist() == [3, 1, 2]
    assert choose_images(of_true, single, labels, (4, 0), 0).tolist() == [4, 0]
