"""The exhibit of training histories: what its notes say of fading, and a network that diverged."""

import pytest

from zfrepro.exhibits import training_curves
from zfrepro.exhibits.kit import saving
from zfrepro.storage import artifacts

HEADING = "epoch,learning_rate,train_loss,train_top1_error,val_loss,val_top1_error,val_top5_error\n"


def files(folder, **diverged):
    """Two networks of two epochs; a diverged one has no row."""
    paths = {}
    for place, run, faded in ((1, "baseline", 0.2), (2, "without-7", 0.25)):
        where = diverged.get(run.partition("-")[0])
        removed = [7] if run == "without-7" else []
        spec = {"network": {"base": "baseline", "remove": removed}}
        artifacts.save_json(folder / run / "network.json", {"faded_to": faded, "diverged": where, "spec": spec})
        rows = "" if where else "1,0.01,2.5,80,2.4,75,40\n2,0.001,2.0,70,2.2,65,30\n"
        artifacts.save_text(folder / run / "history.csv", HEADING + rows)
        paths |= {f"{place} {run}": folder / run / "history.csv", f"network/{run}": folder / run / "network.json"}
    return paths


def test_how_far_first_weights_faded_is_noted(tmp_path):
    shown = training_curves.build(files(tmp_path))
    assert "20 to 25 % of the initial weights are left at the end" in shown.notes[0]
    assert len(shown.rows) == 4


def test_weights_that_have_hardly_faded_are_100_percent():
    note = training_curves._initial_weights_left({"a": {"faded_to": 0.994}, "b": {"faded_to": 0.99999}})
    assert note.startswith("99 to 100 % of the initial weights")


def test_a_network_that_diverged_is_named(tmp_path):
    where = {"epoch": 1, "step": 3, "what": "the training loss is NaN"}
    shown = training_curves.build(files(tmp_path, without=where))
    assert [row.label for row in shown.rows] == ["baseline", "baseline"]
    assert shown.notes[0] == "without-7 diverged in epoch 1 (the training loss is NaN)."
    assert "without-7 diverged" in shown.alt


def test_each_base_has_a_hue_and_its_variants_a_lighter_one(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(training_curves, "_plot", lambda curves: drawn.extend(curves) or saving.Drawing(b""))
    shown = training_curves.build(files(tmp_path))
    assert [(curve.label, curve.variant) for curve in drawn] == [("baseline", False), ("without-7", True)]
    assert [curve.colour for curve in drawn] == list(training_curves.HUES["baseline"])
    assert shown.caption.endswith("Red: baseline; light and thin: variants of these.")


def test_bases_are_named_first_and_the_caption_counts_the_names(tmp_path):
    curve = training_curves._Curve
    curves = [curve(f"v{i}", None, "improved", True, False) for i in range(40)]
    curves.append(curve("improved", None, "improved", False, False))
    assert training_curves._ordered(curves)[0].run == "improved"
    assert training_curves._explain_colours(curves).endswith(f"; names of {training_curves.NAMED} of the 41.")


@pytest.mark.parametrize(
    ("heights", "places"),
    [
        ([0.9, 0.1], [0.9, 0.1]),  # far from each other: as they are
        ([0.5, 0.5, 0.5], [0.4, 0.5, 0.6]),  # equal: around their place
        ([0.52, 0.5], [0.56, 0.46]),  # in their order
        ([0.0, 0.02], [0.0, 0.1]),  # not below the panel
        ([1.0, 1.0, 0.2], [0.9, 1.0, 0.2]),  # nor above it
    ],
)
def test_names_move_as_little_as_they_need(heights, places):
    assert training_curves.spread_out(heights, 0.1) == pytest.approx(places)


def test_names_stand_at_the_ends_of_their_lines(tmp_path, monkeypatch):
    """In the last panel, beside the last error; a line joins the two."""
    texts = []
    monkeypatch.setattr(
        saving, "save", lambda figure, *rest: texts.extend(figure.axes[-1].texts) or saving.Drawing(b"")
    )
    training_curves.build(files(tmp_path))
    assert [(text.get_text(), text.xy) for text in texts] == [("baseline", (2.0, 65.0)), ("without-7", (2.0, 65.0))]
    low, high = (text.get_position()[1] for text in texts)
    assert high - low == pytest.approx(training_curves.APART)
