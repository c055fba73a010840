"""Tables 6 and 7 and the overlap, on hand-made results."""

import types

import numpy as np
import pytest
from helpers import toy_transfer

from zfrepro import paper
from zfrepro.datasets.voc2012 import CLASSES
from zfrepro.exhibits import overlap, table6_pascal2012, table7_layers
from zfrepro.exhibits.kit.numbers import Number
from zfrepro.storage import artifacts

TOY = [f"thing {i}" for i in range(6)]


@pytest.fixture
def place(tmp_path):
    toy_transfer.write(tmp_path, TOY)
    return tmp_path


def config(**changes):
    settings = {**toy_transfer.settings(), **changes}
    sections = {name: types.SimpleNamespace(**settings[name]) for name in ("features", "scratch")}
    return types.SimpleNamespace(folds=settings["folds"], **sections)


def built(exhibit, place, **changes):
    return exhibit.build({label: place / file for label, file in exhibit.needs(config(**changes)).items()})


def cells(exhibit, row):
    return next(dict(line.cells) for line in exhibit.rows if line.label == row)


def changed(path, change):
    record = artifacts.load_json(path)
    change(record)
    artifacts.save_json(path, record)


def as_voc(place, values, classes=CLASSES):
    """PASCAL VOC itself, with these average precisions for the softmax."""

    def change(record):
        record["class_names"] = list(classes)
        for entry in record["precisions"]:
            entry["classes"] = list(values)

    for name in ("improved", "random", "hog"):
        changed(place / f"probes/voc2012/{name}.json", change)
    changed(place / "folds/voc2012/folds.json", lambda record: record.update(target="voc2012", classes=list(classes)))


def test_every_class_of_voc_stands_in_the_paper_s_row(place):
    as_voc(place, range(20, 40))
    exhibit = built(table6_pascal2012, place)
    lines = paper.table("table6_pascal2012")
    for i, label in enumerate(lines["row_label"][:20]):
        row = cells(exhibit, label)
        assert row["here_softmax"].value == 20 + i  # VOC's order is the paper's
        assert row["ours"].value == lines["ours"][i]
        assert row["difference"].value == pytest.approx(20 + i - lines["ours"][i])
    assert exhibit.rows[0].label == "Mean"
    assert len(exhibit.rows) == 22


def test_classes_won_are_those_above_both_rivals(place):
    lines = paper.table("table6_pascal2012")[:20]
    best = lines[["A_sande2012", "B_yan2012"]].max(axis=1).to_numpy()
    values = best - 1
    values[[2, 5, 7]] += 2
    values[9] = best[9]  # a tie is not won
    as_voc(place, values)
    row = cells(built(table6_pascal2012, place), table6_pascal2012.WON)
    assert (row["here_softmax"].value, row["ours"].value, row["B_yan2012"].value) == (3, 5, 15)
    printed = (lines["ours"] > best).sum()
    assert printed == row["ours"].value  # the same rule gives the paper's own count


def test_a_stand_in_keeps_its_classes_apart_even_where_names_agree(place):
    changed(place / "probes/voc2012/improved.json", lambda record: record["class_names"].__setitem__(0, "bicycle"))
    for name in ("random", "hog"):
        changed(place / f"probes/voc2012/{name}.json", lambda record: record["class_names"].__setitem__(0, "bicycle"))
    exhibit = built(table6_pascal2012, place)
    assert cells(exhibit, "bicycle")["ours"] is None
    mean = cells(exhibit, "Mean")
    assert (mean["ours"].value, mean["here_softmax"].value) == (79.0, pytest.approx(62.0))
    assert mean["difference"].value == pytest.approx(-17.0)
    assert [row.label for row in exhibit.rows if row.kind == "heading"] == [
        "Mean over the classes", "Classes of this experiment; the figure shows the paper's",
    ]  # fmt: skip


def test_a_class_without_test_images_is_noted(place):
    as_voc(place, [None, *range(20, 39)])
    row = cells(built(table6_pascal2012, place), "Airplane")
    assert row["here_softmax"] == "in no test image"
    assert row["difference"] is None


def test_some_of_voc_s_classes(place):
    as_voc(place, [50, 60], ["tvmonitor", "dog"])
    exhibit = built(table6_pascal2012, place)
    assert cells(exhibit, "Tv")["here_softmax"].value == 50
    assert cells(exhibit, "Dog")["difference"].value == pytest.approx(60 - 87.8)
    assert cells(exhibit, "Cat")["here_softmax"] is None
    assert any(note.startswith("2 of the 20 classes") for note in exhibit.notes)


def test_baselines_that_were_not_run_have_no_column(place):
    features = {**toy_transfer.settings()["features"], "baselines": []}
    exhibit = built(table6_pascal2012, place, features=features)
    assert [column.key for column in exhibit.columns if column.key.startswith("here")] == [
        "here_softmax",
        "here_sigmoids",
    ]


def test_table_7_has_ours_beside_the_paper_s(place):
    exhibit = built(table7_layers, place)
    row = cells(exhibit, "SVM (5)")
    assert (row["caltech101_paper"].value, row["caltech256_paper"].value) == (86.2, 65.6)
    record = artifacts.load_json(place / "probes/caltech101/improved.json")["accuracies"]
    folds = next(entry["folds"] for entry in record if (entry["layer"], entry["classifier"]) == (5, "svm"))
    assert row["caltech101_improved"].value == pytest.approx(np.mean(folds))
    assert row["caltech101_improved"].spread == pytest.approx(np.std(folds, ddof=1))
    assert cells(exhibit, "Softmax (2)")["caltech101_paper"] is None
    assert isinstance(cells(exhibit, "Softmax (2)")["caltech256_baseline"], Number)
    assert len(exhibit.rows) == 14  # with HOG under its heading
    assert exhibit.highlights[0].paper == "+41.4 (layer 5)"
    single = built(table7_layers, place, folds={"caltech256": {}})
    assert single.highlights[0].paper == "+47.1 (layer 7)"


def test_table_7_shows_what_was_not_learned(place):
    for name, layer, folds in (("improved", 7, [70, 74, 72]), ("random", 7, [30, 31, 29]), ("hog", 0, [50, 52, 54])):
        entry = {"layer": layer, "classifier": "svm", "per_class": 30, "folds": folds}
        changed(place / f"probes/caltech101/{name}.json", lambda record, entry=entry: record.update(accuracies=[entry]))
    exhibit = built(table7_layers, place, folds={"caltech101": {}})
    assert cells(exhibit, "SVM (7)")["caltech101_unlearned"].value == pytest.approx(30)
    assert cells(exhibit, "SVM (7)")["caltech101_improved"].value == pytest.approx(72)
    assert cells(exhibit, "SVM (5)")["caltech101_unlearned"] is None
    assert cells(exhibit, "Softmax (7)")["caltech101_unlearned"] is None
    hog = cells(exhibit, "SVM (HOG)")
    assert (hog["caltech101_unlearned"].value, hog["caltech101_improved"], hog["caltech101_paper"]) == (52, None, None)
    # 40, 43 and 43 points: variance 3, less than the binomial (72 x 28 + 30 x 70) / 300 = 13.72; of 597 images 300 are tested:
    # 4.303 sqrt(13.72 (1/3 + 300/297)) = 18.5
    assert "by the SVM, in points: Caltech-101 +42.0 [23.5, 60.5]." in exhibit.notes[-1]
    assert "Caltech-101, random weights: 30.0; Caltech-101, HOG: 52.0" in exhibit.alt


def test_without_baselines_table_7_has_no_column_for_them(place):
    features = {**toy_transfer.settings()["features"], "baselines": []}
    exhibit = built(table7_layers, place, features=features)
    assert len(exhibit.rows) == 12
    assert not [column.key for column in exhibit.columns if column.key.endswith("unlearned")]
    assert "learned" not in " ".join(exhibit.notes)


def test_the_first_run_comes_first_whatever_its_name(place):
    features = {"runs": ["improved", "baseline"], "baselines": []}
    exhibit = built(table7_layers, place, features=features)
    assert [column.key for column in exhibit.columns][1:4] == [
        "caltech101_paper",
        "caltech101_improved",
        "caltech101_baseline",
    ]


def test_table_7_on_one_target_with_other_sizes(place):
    def fewer(record):
        record["test_pictures"] = {"10": 100}

    def at_ten(record):
        record["accuracies"] = [
            {**entry, "per_class": 10} for entry in record["accuracies"] if entry["per_class"] == 30
        ]

    changed(place / "folds/caltech101/folds.json", fewer)
    for name in ("improved", "baseline"):
        changed(place / f"probes/caltech101/{name}.json", at_ten)
    exhibit = built(table7_layers, place, folds={"caltech101": {}})
    assert {column.group for column in exhibit.columns if column.group} == {"Caltech-101, 10 per class"}
    assert exhibit.columns[1].label == "paper (30 per class)"
    assert isinstance(cells(exhibit, "SVM (1)")["caltech101_improved"], Number)


def test_table_7_needs_one_of_the_two(place):
    with pytest.raises(LookupError):
        table7_layers.needs(config(folds={"voc2012": {}}))


def test_a_layer_that_was_not_measured_is_noted(place):
    changed(
        place / "probes/caltech101/baseline.json",
        lambda record: record.update(accuracies=[entry for entry in record["accuracies"] if entry["layer"] != 4]),
    )
    assert cells(built(table7_layers, place), "SVM (4)")["caltech101_baseline"] == "not run"


def test_overlaps_are_counted_by_class(place):
    def edit(record):
        left_out = record["overlap"]["left_out"][0]
        record["overlap"]["left_out"] = [{**left_out, "class": name} for name in ("b", "a", "b", "c", "b", "a")]

    changed(place / "folds/caltech101/folds.json", edit)
    exhibit = built(overlap, place)
    row = cells(exhibit, "Caltech-101: scenes")
    assert (row["left_out"].value, row["most"].value, row["duplicates"].value) == (6, 3, 1)
    assert (row["paper_left_out"], row["paper_most"].value) == ("44 of 9,144", 10)
    start = [row.label for row in exhibit.rows].index("Left out of Caltech-101, by class")
    assert [(row.label, row["left_out"].value) for row in exhibit.rows[start + 1 : start + 4]] == [
        ("b", 3),
        ("a", 2),
        ("c", 1),
    ]
    assert cells(exhibit, "PASCAL VOC 2012: scenes")["paper_left_out"] is None


def test_overlap_needs_a_target():
    with pytest.raises(LookupError):
        overlap.needs(config(folds={}))
