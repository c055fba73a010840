"""VOC's average precision: by hand, against a transcription of VOC's formula and against scikit-learn's."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from zfrepro.core.average_precision import average_precision, mean, of_classes


def ranked(presence):
    """Scores that rank the pictures in the order given."""
    return -np.arange(len(presence), dtype=float), np.array(presence)


def by_voc_s_formula(scores, presence):
    """The envelope over (recall, precision) points with 0 and 1 put at the ends, summed where the recall changes."""
    order = np.argsort(-scores, kind="stable")
    true, false = np.cumsum(presence[order] == 1), np.cumsum(presence[order] == 0)
    recall = np.concatenate([[0], true / (presence == 1).sum(), [1]])
    precision = np.concatenate([[0], true / np.maximum(true + false, 1), [0]])
    for i in range(len(precision) - 2, -1, -1):
        precision[i] = max(precision[i], precision[i + 1])
    steps = np.flatnonzero(recall[1:] != recall[:-1]) + 1
    return ((recall[steps] - recall[steps - 1]) * precision[steps]).sum()


def test_by_hand_where_the_envelope_lifts_a_precision():
    # precisions at the three hits: 1/2, 2/3, 3/4; each is lifted to 3/4 by the later ones
    scores, presence = ranked([0, 1, 1, 1, 0])
    assert average_precision(scores, presence) == pytest.approx(3 / 4)
    assert average_precision_score(presence, scores) == pytest.approx((1 / 2 + 2 / 3 + 3 / 4) / 3)


def test_by_hand_where_precision_only_falls_scikit_learn_agrees():
    # hits at 1, 2, 4, 8: precisions 1, 1, 3/4, 1/2, nothing to lift
    scores, presence = ranked([1, 1, 0, 1, 0, 0, 0, 1, 0])
    assert average_precision(scores, presence) == pytest.approx((1 + 1 + 3 / 4 + 1 / 2) / 4)
    assert average_precision(scores, presence) == pytest.approx(average_precision_score(presence, scores))


def test_eleven_points_by_hand():
    # hits at 1 and 4: envelope 1 up to recall 0.5 (6 points), 1/2 beyond (5 points)
    scores, presence = ranked([1, 0, 0, 1])
    assert average_precision(scores, presence, eleven_points=True) == pytest.approx((6 * 1 + 5 * 0.5) / 11)
    assert average_precision(scores, presence) == pytest.approx(0.75)


def test_a_recall_of_three_tenths_reaches_the_point_at_0_3():
    # hits at 1, 2, 3, then none for 7 places, then 7 more: points 0, .1, .2, .3 see precision 1, the others 10/17
    scores, presence = ranked([1] * 3 + [0] * 7 + [1] * 7)
    assert average_precision(scores, presence, eleven_points=True) == pytest.approx((4 + 7 * 10 / 17) / 11)


@pytest.mark.parametrize("seed", range(20))
def test_equals_voc_s_formula_and_is_not_below_scikit_learn_s(seed):
    generator = np.random.default_rng(seed)
    presence = generator.choice([1, 0, -1], 60, p=[0.25, 0.6, 0.15])
    scores = generator.normal(size=60) + presence
    ours, counted = average_precision(scores, presence), presence >= 0
    assert ours == pytest.approx(by_voc_s_formula(scores, presence), abs=1e-12)
    assert ours >= average_precision_score(presence[counted], scores[counted]) - 1e-12


def test_difficult_pictures_do_not_count():
    scores, presence = ranked([-1, 1, -1, 0, 1, -1])
    assert average_precision(scores, presence) == average_precision(*ranked([1, 0, 1]))


def test_equal_scores_keep_their_order():
    scores = np.zeros(3)
    assert average_precision(scores, np.array([1, 0, 0])) == 1
    assert average_precision(scores, np.array([0, 0, 1])) == pytest.approx(1 / 3)


def test_a_class_that_no_picture_shows_is_left_out_of_the_mean():
    scores = np.array([[3.0, 1, 2], [2, 2, 1], [1, 3, 3]])
    presence = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]])
    precisions = of_classes(scores, presence)
    np.testing.assert_allclose(precisions, [1, np.nan, 1 / 3])
    assert mean(precisions) == pytest.approx(2 / 3)
    assert np.isnan(mean(precisions[1:2]))
    assert np.isnan(average_precision(np.array([1.0]), np.array([-1])))


def test_a_score_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="not a number"):
        average_precision(np.array([1.0, np.nan]), np.array([1, 0]))
