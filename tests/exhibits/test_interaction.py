"""What the page does under the pointer is where it is drawn: tiles, times and classes, checked against pixels and stage outputs."""

import base64
import importlib
import io

import numpy as np
import pytest
from helpers import toy_results
from PIL import Image

from zfrepro.exhibits import fig2_features, fig4_evolution
from zfrepro.exhibits.kit import draw
from zfrepro.exhibits.kit.interaction import arranged, ranks, within
from zfrepro.storage import artifacts


def built(name, toy):
    return importlib.import_module(f"zfrepro.exhibits.{name}").build(toy_results.files_of(name, toy))


def open_png(png):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(float)


def cut(pixels, box):
    """What lies in a box, given in shares."""
    left, top, width, height = box
    y, x = (round(share * side) for share, side in ((top, len(pixels)), (left, pixels.shape[1])))
    return pixels[y : y + round(height * len(pixels)), x : x + round(width * pixels.shape[1])]


def test_boxes_by_hand():
    """Three images of 4 x 2 pixels, 2 apart, in lines of two: a sheet of 10 x 6."""
    assert arranged(3, 2, (4, 2), 2) == [(0, 0, 0.4, 0.33333), (0.6, 0, 0.4, 0.33333), (0, 0.66667, 0.4, 0.33333)]
    assert arranged(1, 4, (4, 2), 2) == [(0, 0, 1, 1)]
    assert within((0.5, 0.2, 0.4, 0.8), (0.25, 0.5, 0.5, 0.5)) == (0.6, 0.6, 0.2, 0.4)


def test_boxes_are_where_images_are_arranged():
    images = [Image.new("RGB", (7, 5), (10 * i + 10, 0, 0)) for i in range(5)]
    pixels = np.asarray(draw.arrange(images, 2, 3)).astype(float)
    for i, box in enumerate(arranged(5, 2, (7, 5), 3)):
        assert cut(pixels, box).shape == (5, 7, 3)
        assert (cut(pixels, box) == (10 * i + 10, 0, 0)).all()


def test_only_certainty_has_all_parts_of_a_probability():
    assert ranks([7, 3, 5], [0.99999, 0.00004, 0.12345], {3: 0, 5: 1, 7: 2}) == ((2, 9999), (0, 0), (1, 1234))
    assert ranks([3], [1.0], {3: 0}) == ((0, 10_000),)


@pytest.fixture(scope="module")
def fig2(toy_stages):
    return built("fig2_features", toy_stages)


@pytest.fixture(scope="module")
def features(toy_stages):
    return artifacts.load_arrays(toy_stages / "deconvnet/improved/features.npz")


@pytest.mark.parametrize("layer", [1, 2, 5])
def test_fig2_finds_the_patch_that_is_drawn_under_the_pointer(fig2, features, layer):
    """In the drawing, in the face of patches and, of layer 1, in the drawing for a narrow screen."""
    piece = next(piece for piece in fig2.pieces if piece.name == f"layer{layer}")
    known, drawings = piece.interaction, [(piece.png, piece.interaction.blocks[0])]
    if layer == 1:
        drawings.append((piece.narrow.png, known.narrow))
    else:
        drawings.append((piece.faces[1].png, known.blocks[2]))
        assert known.narrow is None
    for png, blocks in drawings:
        pixels = open_png(png)
        for m, nine in enumerate(features[f"patches_{layer}"][: len(known.maps)]):
            block = cut(pixels, blocks[m][-1])
            side = len(block) // 3
            for rank in (0, 5, 8):
                row, column = divmod(rank, known.columns)
                drawn = block[row * (side + 1) :, column * (side + 1) :][:side, :side]
                assert drawn.mean(axis=(0, 1)) == pytest.approx(nine[rank].mean(axis=(0, 1)), abs=6)


def test_fig2_gives_each_tile_its_whole_image_and_its_field(fig2, features, toy_stages):
    about = artifacts.load_json(toy_stages / "deconvnet/improved/features.json")
    sprite = fig2.data["sprite"]
    sheet = Image.open(io.BytesIO(base64.b64decode(sprite["image"])))
    side = sheet.width // sprite["columns"]
    assert (sheet.height, side) == (side * sprite["rows"], toy_results.INPUT)  # which is less than WHOLE
    known = next(piece for piece in fig2.pieces if piece.name == "layer3").interaction
    numbers = features["whole_pictures"].tolist()
    for m, units in enumerate(known.tiles):
        for rank, tile in enumerate(units):
            row, column = divmod(tile.image, sprite["columns"])
            shown = np.asarray(sheet.convert("RGB"))[row * side : (row + 1) * side, column * side : (column + 1) * side]
            whole = features["whole"][numbers.index(features["pictures_3"][m, rank])]
            assert np.abs(shown.astype(float) - whole).mean() < 8
            top, left = features["corners_3"][m, rank]
            length = about["layers"]["3"]["tile"] / 64
            assert tile.box == pytest.approx((left / 64, top / 64, length, length), abs=1e-5)
            assert tile.activation == f"{features['values_3'][m, rank]:.2f}"
            assert (tile.label, tile.file) == tuple(about["layers"]["3"][key][m][rank] for key in ("classes", "files"))
    assert known.maps == tuple(f"map {number}" for number in about["layers"]["3"]["shown"])


def test_fig2_embeds_an_image_once_however_often_it_is_shown(fig2, features):
    images = {tile.image for piece in fig2.pieces for units in piece.interaction.tiles for tile in units}
    shown = {
        number for layer, count in fig2_features.MAPS.items() for number in features[f"pictures_{layer}"][:count].flat
    }
    assert images == set(range(len(shown)))


def test_fig4_knows_where_the_tiles_of_an_epoch_are(toy_stages):
    piece = next(piece for piece in built("fig4_evolution", toy_stages).pieces if piece.name == "layer3")
    projections = artifacts.load_arrays(toy_stages / "evolution/improved/evolution.npz")["projections_3"]
    known, pixels = piece.interaction, open_png(piece.png)
    epochs, maps = projections.shape[:2]
    assert (len(known.labels), known.rows) == (epochs, maps)
    assert known.labels[2:4] == ("0.5", "1")
    assert known.texts[1] == "correlation with final responses: 0.05"  # 0.2 / (1 + 3)
    left, top, width, height = known.first
    for time, row in [(0, 0), (5, 1), (7, 0)]:
        drawn = cut(pixels, (left + time * known.step[0], top + row * known.step[1], width, height))
        side = len(drawn)
        expected = np.asarray(draw.resize(draw.show_projections(projections[:, row])[time], side)).astype(float)
        assert np.abs(drawn - expected).mean() < 8


def test_fig7_ranks_what_the_stage_recorded(toy_stages):
    arrays = artifacts.load_arrays(toy_stages / "occlusion/improved/occlusion.npz")
    for i, piece in enumerate(built("fig7_occlusion", toy_stages).pieces):
        known = piece.interaction
        assert known.names[known.true] == toy_results.CLASSES[arrays["true"][i]]
        ranking = known.covered[3][7]
        assert [known.names[number] for number, _ in ranking] == [
            toy_results.CLASSES[n] for n in arrays["top_labels"][i, 3, 7]
        ]
        assert [share / 1e4 for _, share in ranking] == pytest.approx(arrays["top_probabilities"][i, 3, 7], abs=1e-4)
        assert dict(known.uncovered)[known.true] == round(1e4 * arrays["clean_probability"][i])
        row, column = known.drawn
        assert arrays["probability"][i, row, column] == arrays["probability"][i].min()
        beneath = arrays["inputs"][i, 2 * row : 2 * row + 14, 2 * column : 2 * column + 14]  # stride 2, square 14
        np.testing.assert_array_equal(open_png(known.beneath), beneath)


def test_fig7_on_a_narrow_screen_has_its_maps_where_the_grids_are(toy_stages):
    """Two panels side by side: every label has one colour, wherever it is predicted."""
    for piece in built("fig7_occlusion", toy_stages).pieces:
        pixels = open_png(piece.narrow.png)
        assert len(pixels) > 1.5 * pixels.shape[1]
        places = piece.narrow.grids
        assert [grid.cells for grid in places] == 4 * [()]
        assert [grid.left < 0.5 for grid in places] == [True, False, False, True]
        colours = {}
        for row, line in enumerate(piece.grids[3].cells):
            for column, text in enumerate(line):
                y = places[3].top + (row + 0.5) * places[3].height / len(piece.grids[3].cells)
                x = places[3].left + (column + 0.5) * places[3].width / len(line)
                colours.setdefault(text, set()).add(tuple(pixels[int(y * len(pixels)), int(x * pixels.shape[1])]))
        assert all(len(values) == 1 for values in colours.values())
        assert len(set.union(*colours.values())) == len(colours) > 1


def test_a_layer_that_is_never_active_says_so(toy_stages):
    about = artifacts.load_json(toy_stages / "evolution/improved/evolution.json")
    record = {**about["layers"]["1"], "responses": [None] * len(about["epochs"])}
    known = fig4_evolution._frames(Image.new("RGB", (724, 200)), record, about)
    assert known.texts[0] == "no map is active at the end of training"


@pytest.mark.parametrize("name", ["fig5_invariance", "training_curves"])
def test_plots_of_many_panels_are_drawn_again_for_a_narrow_screen(toy_stages, name):
    """Taller than wide, where the drawing of the page is wider than high."""
    for piece in built(name, toy_stages).pieces:
        wide, narrow = (Image.open(io.BytesIO(png)).size for png in (piece.png, piece.narrow.png))
        assert wide[0] > 2 * wide[1]
        assert narrow[0] < narrow[1]
        assert narrow[0] > 640  # of a screen 390 wide, at two pixels for each that a page counts
