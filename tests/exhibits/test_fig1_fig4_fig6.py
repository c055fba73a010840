"""The figures of the deconvnet itself (1), of training (4), of the first layers (6), from toy results."""

from __future__ import annotations

import csv
import io
import types
from pathlib import Path

import numpy as np
import pytest
from helpers import toy_evolution, toy_first_layers, toy_results
from PIL import Image

from zfrepro.core.architecture import Network
from zfrepro.exhibits import fig1_deconvnet, fig2_features, fig4_evolution, fig6_first_layers
from zfrepro.exhibits.kit import saving
from zfrepro.measurements import first_layers
from zfrepro.storage import artifacts

NETWORKS = {"baseline": ("baseline", 0.1), "improved": ("improved", 0.1), "unclipped": ("improved", None)}


def config(runs=("baseline", "improved", "unclipped")):
    return types.SimpleNamespace(
        runs=lambda: dict.fromkeys(NETWORKS, "train"),
        training=lambda name: types.SimpleNamespace(
            network=Network(base=NETWORKS[name][0]), seed=0, filter_rms=NETWORKS[name][1]
        ),
        deconvnet=types.SimpleNamespace(runs=runs),
        evolution=types.SimpleNamespace(runs=("improved",)),
    )


def files_of(module, results: Path, asked=None) -> dict[str, Path]:
    return {label: results / path for label, path in module.needs(asked or config()).items()}


def rows_of(built) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(built.csv())))


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> Path:
    results = tmp_path_factory.mktemp("figures")
    for toy in (toy_evolution, toy_first_layers):
        toy.write(results, ["owl", "pony"], np.random.default_rng(1))
    return results


@pytest.fixture(scope="module")
def fig4(toy):
    return fig4_evolution.build(files_of(fig4_evolution, toy))


def test_fig4_has_a_row_a_layer_and_epoch(fig4):
    lines = rows_of(fig4)
    assert len(lines) == 5 * 8
    assert [line["epoch"] for line in lines[:8]] == ["0.10", "0.20", "0.50", "1.00", "2.00", "3.00", "4.00", "7.00"]
    assert (lines[8]["layer"], lines[8]["responses"], lines[8]["filters"]) == ("2", "0.05", "0.950")
    assert lines[7]["training"] == "87.5"


def test_fig4_says_when_layers_have_settled(fig4):
    assert "layer 1 from 22 %, layer 2 from 34 %" in fig4.alt  # 0.9 * (1 + layer) of 8 epochs
    assert any("cosine of 0.95 or more" in note for note in fig4.notes)
    assert [piece.name for piece in fig4.pieces] == ["layer1", "layer2", "layer3", "layer4", "layer5", "likeness"]


def test_fig4_puts_epochs_in_columns_and_maps_in_rows():
    """Six tiles, all zero but the last, whose equal values lie four fifths of the way to white."""
    projections = np.zeros((3, 2, 8, 8, 3), np.float32)
    projections[2, 1] = 1
    block = np.asarray(fig4_evolution._block(projections, [1, 2, 3], fig4_evolution.WIDTH))
    side = (fig4_evolution.WIDTH + 3) // 3 - 3
    top = block.shape[0] - 2 * side - 3
    tiles = [[block[top + m * (side + 3) + 9, e * (side + 3) + 9, 0] for e in range(3)] for m in range(2)]
    assert tiles == [[128, 128, 128], [128, 128, 229]]


@pytest.mark.parametrize(
    ("epochs", "labels"),
    [
        ([1, 2, 5, 10, 20, 30, 40, 64], ["1", "2", "5", "10", "20", "30", "40", "64"]),
        ([1 / 70, 2 / 70, 64 / 70], ["0.014", "0.029", "0.91"]),
        ([0.501, 0.502, 100], ["0.501", "0.502", "100"]),
        ([0.1234567, 0.1234568], ["0.123457", "0.123457"]),  # as far as the snapshots' names go
    ],
)
def test_fig4_heads_its_columns_with_as_many_digits_as_tell_epochs_apart(epochs, labels):
    assert fig4_evolution._epoch_labels(epochs) == labels


def test_fig4_draws_a_layer_that_never_fires(toy, tmp_path):
    files = files_of(fig4_evolution, toy)
    about = artifacts.load_json(files["about"])
    dead = about["layers"]["5"]
    for key in ("responses", "same_picture"):
        dead[key] = [None] * 8
    dead["settled"]["responses"] = None
    artifacts.save_json(tmp_path / "about.json", about)
    built = fig4_evolution.build({**files, "about": tmp_path / "about.json"})
    assert rows_of(built)[-1]["responses"] == ""
    assert "none of its maps is active" in built.pieces[4].alt


@pytest.fixture(scope="module")
def fig6(toy):
    return fig6_first_layers.build(files_of(fig6_first_layers, toy))


def test_fig6_finds_its_networks_by_what_they_are():
    files = fig6_first_layers.needs(config(("unclipped", "improved", "baseline")))
    assert files["arrays/unclipped"] == "deconvnet/unclipped/features.npz"
    assert files["network/baseline"] == "train/baseline/network.json"
    assert "arrays/unclipped" not in fig6_first_layers.needs(config(("improved", "baseline")))
    with pytest.raises(LookupError, match="no baseline network"):
        fig6_first_layers.needs(config(("improved", "unclipped")))


def test_fig6_states_trained_sizes_and_dead_filters(fig6):
    """Weights of RMS 0.02 for inputs of scale 1 are 0.04 for inputs halved in training; the silent filter is dead."""
    unclipped, baseline, improved = rows_of(fig6)
    assert (improved["rms_median"], improved["rms_ratio"], improved["dead"]) == ("0.0400", "1.00", "1")
    assert (unclipped["rms_max"], unclipped["rms_ratio"]) == ("2.0000", "50.00")
    peaks = [int(baseline[f"peak_{band}"]) for band in ("low", "middle", "high")]
    assert peaks == [29, 50, 21]  # of 24 peaks from 0.05 to 0.3, 7 below 1/8 and 5 from 1/4 on
    assert baseline["high"] == "30"


def test_fig6_gives_grids_in_decibels_as_claim_17_does(toy, fig6):
    """Mean over the maps; 10 log10(2) is 3.0 dB, 10 log10(4) 6.0, and a map without energy is missing."""
    lines = artifacts.load_arrays(toy / "deconvnet/baseline/features.npz")["lines_2"]
    assert rows_of(fig6)[1]["lines"] == f"{np.nanmean(10 * np.log10(lines)):.1f}"
    layers = first_layers.Layers({"lines_2": np.array([2.0, 4, 0, np.nan])}, {}, np.ones(4), None)
    assert layers.grids("lines") == pytest.approx([3.0103, 6.0206, np.nan, np.nan], nan_ok=True, abs=1e-4)
    assert layers.grid("lines") == pytest.approx(4.5154, abs=1e-4)
    assert layers.grid("squares") is None


def test_fig6_shows_unclipped_filters_on_one_scale(fig6):
    """One filter outgrows the others: its tile has colours, theirs are grey."""
    pieces = {piece.name: pixels(piece.png) for piece in fig6.pieces}
    side = (fig6_first_layers.WIDTH + 3) // 6 - 3
    tiles = [pieces["a"][:side, i * (side + 3) : i * (side + 3) + side].astype(int) for i in range(6)]
    away = [abs(tile - 128).max() for tile in tiles]
    assert away[2] > 120
    assert max(away[:2] + away[3:]) < 8
    assert set(pieces) == {"a", "sizes", "b", "c", "d", "e", "spectra"}
    assert [piece.pair for piece in fig6.pieces] == ["a", "a", "b", "b", "d", "d", ""]


def test_fig6_is_built_without_an_unclipped_network(toy):
    built = fig6_first_layers.build(files_of(fig6_first_layers, toy, config(("improved", "baseline"))))
    assert len(rows_of(built)) == 2
    assert (
        "(a) is missing: no network of this experiment was trained without clipping its filters. The sizes"
        in built.caption
    )
    assert built.pieces[-2].title.startswith("Sizes of the filters, in place of (a): no network")
    assert "a" not in [piece.name for piece in built.pieces]


def test_fig6_notes_that_clipping_never_acted(toy, fig6):
    files = files_of(fig6_first_layers, toy)
    same = {**files, "arrays/unclipped": files["arrays/improved"]}
    assert any("Clipping had no effect" in note for note in fig6_first_layers.build(same).notes)
    assert not any("Clipping had no effect" in note for note in fig6.notes)


@pytest.fixture(scope="module")
def fig1(toy):
    return fig1_deconvnet.build(files_of(fig1_deconvnet, toy))


def test_fig1_lists_every_step_both_ways(fig1):
    lines = rows_of(fig1)
    assert [line["step"] for line in lines] == ["conv1", "relu1", "pool1", "norm1"]
    assert lines[0]["up"] == "Convolution 7 x 7, stride 2"
    assert lines[2]["down"] == "Max unpooling"
    assert "skips it (norm1)" in fig1.notes[0]
    assert "Deconvnet pass: skipped, max unpooling, rectify, transposed filters." in fig1.alt


def test_fig1_draws_steps_in_the_order_of_the_network(toy):
    """The baseline normalises before it pools; what is skipped leaves the maps' name."""
    about = artifacts.load_json(toy / "deconvnet/baseline/features.json")
    layer = about["path"]
    assert "norm1" in [step["name"] for step in layer[:3]]
    assert fig1_deconvnet._describe_passes(layer).endswith(
        "Deconvnet pass: max unpooling, skipped, rectify, transposed filters."
    )
    names = [fig1_deconvnet._reconstruction(layer, level) for level in range(4)]
    assert names == ["Reconstruction", "Rectified unpooled maps", "Unpooled maps", "Unpooled maps"]
    assert fig1_deconvnet._reconstruction(layer[:3], 2) == "Reconstruction from the layer above"


def test_fig1_joins_pooling_and_unpooling_by_the_switches(toy, monkeypatch):
    """The arrow begins on the arrow of pooling, at a dot, and ends on that of unpooling."""
    layer = artifacts.load_json(toy / "deconvnet/improved/features.json")["path"]
    axes = []
    monkeypatch.setattr(saving, "save", lambda figure, *rest: axes.extend(figure.axes) or saving.Drawing(b""))
    fig1_deconvnet._paths(layer)
    arrows = [text for text in axes[0].texts if hasattr(text, "xyann") and text.arrow_patch]
    switches = next(arrow for arrow in arrows if arrow.xy[1] == arrow.xyann[1])
    upright = {(arrow.xy[0], *sorted((arrow.xy[1], arrow.xyann[1]))) for arrow in arrows if arrow is not switches}
    y = switches.xy[1]
    for x in (switches.xy[0], switches.xyann[0]):
        assert any(at == x and low < y < high for at, low, high in upright)
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes[0].lines] == [(switches.xyann[0], y)]
    assert switches.arrowprops["shrinkA"] == switches.arrowprops["shrinkB"] == 0


def test_fig2_shows_the_papers_number_of_maps_where_fig6_shows_more():
    shown = {
        name: fig2_features._first_maps(name, np.arange(25)) for name in ("maps_2", "patches_5", "filters_1", "rms_1")
    }
    assert {name: len(array) for name, array in shown.items()} == {
        "maps_2": 16, "patches_5": 10, "filters_1": 25, "rms_1": 25,
    }  # fmt: skip
    assert shown["maps_2"].tolist() == list(range(16))


def test_layers_are_saved_wider_than_the_page_shows_them(fig4, fig6):
    """Plots as PDF; images as JPEG or PNG, of half a page at least half as wide as a slide (a quarter of it in the tests)."""
    for piece in (*fig4.pieces, *fig6.pieces):
        (ending,) = piece.drawing.saved
        assert (ending == "pdf") == piece.plot
        if not piece.plot:
            assert pixels(piece.drawing.saved[ending]).shape[1] >= 0.97 * saving.WIDE / 2


def test_fig2_saves_layers_4_and_5_with_five_maps_in_a_line(toy_stages):
    """As wide as a slide and flat, while the page has two maps in a line."""
    built = fig2_features.build(toy_results.files_of("fig2_features", toy_stages))
    for piece in built.pieces[3:]:
        (content,) = piece.drawing.saved.values()
        (height, width, _), (shown_height, shown_width, _) = pixels(content).shape, pixels(piece.png).shape
        assert width / height > 2 * shown_width / shown_height


def test_the_same_input_gives_the_same_bytes(toy, fig1, fig4):
    for module, built in ((fig1_deconvnet, fig1), (fig4_evolution, fig4)):
        assert module.build(files_of(module, toy)).png == built.png
