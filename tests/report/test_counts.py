"""How many images a set has beside the paper's, from its manifest."""

import pytest

from zfrepro.report.counts import list_count_reductions


def manifest(classes, **splits):
    ends = [0]
    for count in splits.values():
        ends.append(ends[-1] + count)
    return {"classes": ["c"] * classes, "splits": {name: ends[i : i + 2] for i, name in enumerate(splits)}}


def test_the_papers_counts_are_no_reduction():
    sets = {"source": manifest(1000, train=1_281_167, val=50_000), "caltech101": manifest(102, all=9_144)}
    assert list_count_reductions(sets) == []
    assert list_count_reductions({}) == []


@pytest.mark.parametrize(
    ("sets", "sentences"),
    [
        (
            {"source": manifest(1000, train=1_000, val=50_000)},
            ["Networks are trained on 1,000 images of 1,000 classes instead of the paper's 1.3 million of 1,000."],
        ),
        (
            {"source": manifest(1, train=1, val=1)},
            [
                "Networks are trained on 1 image of 1 class instead of the paper's 1.3 million of 1,000.",
                "They are validated on 1 image instead of 50,000.",
            ],
        ),
        ({"caltech101": manifest(24, all=1_200)}, ["caltech101: 1,200 images of 24 classes instead of 9,144 images."]),
        (
            {"caltech256": manifest(257, all=30_606)},
            ["caltech256: 30,606 images of 257 classes instead of 30,607 images."],
        ),
        ({"voc2012": manifest(20, train=9, val=9)}, []),
    ],
)
def test_other_counts_are_reported(sets, sentences):
    assert list_count_reductions(sets) == sentences
