"""The exhibit of training histories: what its notes say of fading, and a network that diverged."""

from zfrepro.exhibits import training_curves
from zfrepro.exhibits.kit import texts
from zfrepro.storage import artifacts

HEADING = "epoch,learning_rate,train_loss,train_top1_error,val_loss,val_top1_error,val_top5_error\n"


def files(folder, **diverged):
    """Two networks of two epochs; a diverged one has no row."""
    paths = {}
    for place, run, faded in ((1, "baseline", 0.2), (2, "without-7", 0.25)):
        where = diverged.get(run.partition("-")[0])
        artifacts.save_json(folder / run / "network.json", {"faded_to": faded, "diverged": where})
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


def test_names_that_differ_at_their_ends_are_not_cut_in_the_legend():
    names = training_curves._curve_names([f"baseline-without-3-4-6-{i}" for i in range(9)], ())
    assert names[-2:] == ["baseline-without-3-4-6-5", "others"]
    columns = training_curves._legend_columns(names)
    room = training_curves.WIDE / columns - training_curves.SWATCH
    assert columns == 3
    assert [texts.shorten(name, room, training_curves.SIZE) for name in names] == names
    assert training_curves._legend_columns(["baseline", "improved"]) == training_curves.NAMES
    assert training_curves._legend_columns(["x" * 500]) == 1
