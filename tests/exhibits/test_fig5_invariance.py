"""Fig 5's numbers against cases worked out by hand, and the figure on toy curves."""

import io
import types

import numpy as np
import pytest
from helpers import toy_invariance
from PIL import Image

from zfrepro.core.architecture import Network
from zfrepro.exhibits import fig5_invariance as fig5
from zfrepro.exhibits.kit import saving
from zfrepro.storage import artifacts

CONFIG = types.SimpleNamespace(
    invariance=types.SimpleNamespace(runs=("improved",)),
    training=lambda name: types.SimpleNamespace(network=Network(base="improved"), seed=0),
)


def test_a_line_is_straight_and_a_step_is_not():
    amount = np.array([0.0, 1, 2, 3])
    line, step, flat = 0.5 * amount, np.array([0.0, 1, 1, 1]), np.array([0.0, 0, 0, 0])
    straight, bent, none = fig5.linearity(np.array([line, step, flat]), amount)
    assert straight == pytest.approx(1)
    # slope 6/14; residuals 0, 4/7, 1/7, -2/7: 21/49; about the mean of 3/4: 3/4
    assert bent == pytest.approx(1 - (21 / 49) / 0.75)
    assert np.isnan(none)


def test_share_at_a_small_step():
    curve = np.array([[2.0, 1.0, 0.0, 1.0, 4.0]])
    assert fig5.share_of_largest(curve, np.array([60.0, 10, 0, 10, 60]), 10 / 60) == pytest.approx(1 / 3)


def test_no_share_where_no_small_step_was_taken():
    """Steps of 30: the nearest to 10 would be the untouched view, 10 away, whose distance is 0."""
    curve = np.array([[4.0, 3.0, 0.0, 3.0, 4.0]])
    assert np.isnan(fig5.share_of_largest(curve, np.array([60.0, 30, 0, 30, 60]), 10 / 60)).all()


def test_mean_at_quarter_turns_and_between():
    degrees = np.arange(0.0, 361, 45)
    curve = np.array([[9.0, 4, 1, 4, 2, 4, 3, 8, 9]])
    assert fig5.at(curve, degrees, fig5.QUARTERS) == pytest.approx(2)
    assert fig5.at(curve, degrees, fig5.EIGHTHS) == pytest.approx(5)


def test_no_eighths_where_only_quarters_were_turned():
    degrees, curve = np.arange(0.0, 361, 90), np.array([[0.0, 1, 2, 3, 0]])
    assert fig5.at(curve, degrees, fig5.QUARTERS) == pytest.approx(2)
    assert np.isnan(fig5.at(curve, degrees, fig5.EIGHTHS)).all()


def test_the_figure_says_what_the_curves_are(tmp_path):
    toy_invariance.write(tmp_path, ["owl", "pony", "oak"], np.random.default_rng(0))
    built = fig5.build({label: tmp_path / path for label, path in fig5.needs(CONFIG).items()})
    fits = [row for row in built.rows if row.label.startswith("R")]
    straight = [(row["layer1"], row["layer7"]) for row in fits]
    assert len(straight) == 2
    for layer1, layer7 in straight:
        assert layer7.value == pytest.approx(1, abs=1e-4)
        assert layer1.value < 0.5
    differences = [row["difference"] for row in fits]
    for (layer1, layer7), difference in zip(straight, differences, strict=True):
        assert difference.value == pytest.approx(layer7.value - layer1.value)
    probabilities = [row["probability"].value for row in built.rows if row.label.endswith("whole range")]
    assert probabilities[2] < probabilities[0]
    assert probabilities[2] < probabilities[1]
    assert [piece.name for piece in built.pieces] == ["shift", "scale", "turn"]
    assert [list(piece.drawing.saved) for piece in built.pieces] == [["pdf"]] * 3
    assert built.highlights[0].ours.startswith("1.00 against ")


def test_long_names_stay_inside_the_figure(tmp_path):
    """No letter of the legend touches the left or right edge."""
    names = ["Yorkshire terrier of some length", "African crocodile, Nile crocodile", "entertainment centre at home"]
    toy_invariance.write(tmp_path, names, np.random.default_rng(0))
    files = {label: tmp_path / path for label, path in fig5.needs(CONFIG).items()}
    arrays, about = artifacts.load_arrays(files["arrays"]), artifacts.load_json(files["about"])
    picture = np.array(Image.open(io.BytesIO(fig5._draw(["shift"], arrays, about)[0].png)))
    legend = picture[: int(0.25 * saving.DPI)]
    assert legend[:, 20:-20].min() < 100
    assert legend[:, :5].min() == legend[:, -5:].min() == 255


def test_the_mean_is_over_correctly_classified_images(tmp_path, monkeypatch):
    """Of four images the first is misclassified; its probability of 0 would lower the mean from 0.8 to 0.6."""
    toy_invariance.write(tmp_path, ["owl", "pony", "oak"], np.random.default_rng(0))
    files = {label: tmp_path / path for label, path in fig5.needs(CONFIG).items()}
    arrays, about = artifacts.load_arrays(files["arrays"]), artifacts.load_json(files["about"])
    about["pictures"] = [{**about["pictures"][0], "correct": i > 0} for i in range(4)]
    about["shown"] = 0
    steps = len(arrays["shift"])
    for name in ("distance1_shift", "distance7_shift"):
        arrays[name] = arrays[name][:4]
    arrays["probability_shift"] = np.repeat([[0.0], [0.8], [0.7], [0.9]], steps, axis=1)
    lines = []
    monkeypatch.setattr(saving, "save", lambda figure, *rest: lines.extend(figure.axes[3].lines) or saving.Drawing(b""))
    fig5._draw(["shift"], arrays, about)
    assert lines[-1].get_ydata() == pytest.approx(np.full(steps, 0.8))
    assert 0.85 <= lines[-1].axes.get_ylim()[1] < 0.9  # the axis ends where the values do
    chosen = fig5._correct(about)
    assert fig5._describe_mean(chosen) == "mean over the 3 of 4 images that are classified correctly"
    rows = {row.label: row for row in fig5._rows("shift", arrays, chosen)}
    assert rows["P(true class) over the whole range"]["probability"].value == pytest.approx(0.6)
    assert rows["P(true class) over the whole range, classified correctly"]["probability"].value == pytest.approx(0.8)


def test_where_no_image_is_classified_correctly_the_mean_is_over_all():
    chosen = fig5._correct({"pictures": [{"correct": False}] * 3})
    assert fig5._describe_mean(chosen) == "mean over 3 images"
