"""Fig 2: for a few maps of every layer, the nine strongest activations projected to pixels, beside their image patches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from zfrepro.exhibits.kit import draw, saving, whole_images
from zfrepro.exhibits.kit.base import Column, Face, Narrow, Picture, Piece, Row, make_row
from zfrepro.exhibits.kit.interaction import Blocks, Box, arranged, within
from zfrepro.exhibits.kit.numbers import Number
from zfrepro.exhibits.kit.saving import Drawing
from zfrepro.measurements import files as measured_files
from zfrepro.storage import artifacts

TITLE = "What activates the maps of each layer"
PAPER = "Figure 2"
MAPS = {1: 9, 2: 16, 3: 12, 4: 10, 5: 10}  # maps shown per layer, as in the paper; fewer where the layer has fewer
COLUMNS_OF = {1: 9, 2: 4, 3: 4, 4: 2, 5: 2}  # maps per line, as in the paper
COLUMNS_SAVED = {**COLUMNS_OF, 4: 5, 5: 5}  # in a layer's file, which is to fill a slide
COLUMNS_NARROW = {1: 3}  # on a narrow screen, where the other layers show one face
BY_MAP = ("maps", "pictures", "values", "places", "corners", "projections", "patches")  # arrays with a row per map
SHARE: dict[int, Literal["full", "half"]] = {4: "half", 5: "half"}
WIDTH = {"full": 1480, "half": 724}  # pixels of a piece; two halves and the space between them make a full one
GAP, INNER = 14, 3  # pixels between maps, and between the two blocks of a map
GROUND = "#9a9a9a"  # between projections
THROUGH = "patches through projections"
LARGEST = 54  # pixels: a tile of a face is drawn no larger than this, or than its own size
EXACT = 3_000_000  # bytes; a smaller piece keeps its exact colours
BLOCK = 3  # columns of a map's tiles
WHOLE_BOX: Box = (0, 0, 1, 1)
COLUMNS = (
    Column("layer", "Layer"),
    Column("map", "Map"),
    Column("rank", "Rank"),
    Column("activation", "Activation"),
    Column("class", "Class of the image", "label"),
    Column("file", "Image", "label"),
)


@dataclass(frozen=True)
class Drawn:
    """cells: where each map is drawn; blocks: where its tiles are."""

    image: Image.Image
    cells: tuple[Box, ...]
    blocks: Blocks


def needs(config: Any) -> dict[str, str]:
    return measured_files.files_of_run(config, "deconvnet")


def build(files: Mapping[str, Path]) -> Picture:
    about = artifacts.load_json(files["about"])
    arrays = {name: _first_maps(name, array) for name, array in artifacts.load_arrays(files["arrays"]).items()}
    layers = sorted(int(layer) for layer in about["layers"])
    pictures = {layer: _layer(layer, arrays, COLUMNS_OF, WIDTH[SHARE.get(layer, "full")]) for layer in layers}
    dead = "; ".join(
        f"layer {n}: {about['layers'][str(n)]['dead']} of {about['layers'][str(n)]['maps']}" for n in layers
    )
    return Picture(
        caption=f"Randomly chosen maps. Left block of each map: its {about['top']} strongest activations over {about['pictures']:,} "
        "images, each projected separately through the deconvnet; right block: the image patches "
        "that caused them, as large as the unit's receptive field. Layer 1: the filters themselves. "
        f"Input {about['input_size']} pixels. {draw.SCALE} Patches through projections: a patch where its projection is strong, grey "
        "where it is weak.",
        columns=COLUMNS,
        rows=tuple(_rows(layers, arrays, about)),
        drawing=Drawing(saving.encode(_sheet(pictures))),
        alt=f"Grids of deconvnet projections beside image patches for layers {layers[0]} to {layers[-1]}.",
        notes=(f"Maps that no image of the split activates: {dead}.",),
        pieces=tuple(_piece(layer, drawn, layers, arrays, about) for layer, drawn in pictures.items()),
        rows_title="The images and their activations",
        data={"sprite": whole_images.sprite(arrays, layers)},
    )


def _first_maps(name: str, array: np.ndarray) -> np.ndarray:
    """Of an array with a row per map, the maps shown; the first ones, as their order is random."""
    kind, _, layer = name.partition("_")
    return array[: MAPS.get(int(layer), 9)] if kind in BY_MAP else array


def _layer(layer: int, arrays: Mapping[str, np.ndarray], columns_of: Mapping[int, int], width: int) -> Drawn:
    """All maps of one layer in at most `width` pixels: pairs of blocks, projections and patches."""
    patches = arrays[f"patches_{layer}"]
    columns = columns_of.get(layer, 4)
    room = (width + GAP) // columns - GAP
    if layer == 1:
        return _first_layer(arrays, columns, room)
    side = (room - INNER - 4) // 6
    pairs = []
    for projections, patch in zip(arrays[f"projections_{layer}"], patches, strict=True):
        left = draw.block(list(draw.show_projections(projections)), BLOCK, side, 1, GROUND)
        pairs.append(draw.join_columns([left, draw.block(list(patch), BLOCK, side, 1)], INNER))
    share = left.width / pairs[0].width
    return _arrange(pairs, columns, GAP, ((0, 0, share, 1), (1 - share, 0, share, 1)))


def _arrange(images: list[Image.Image], columns: int, gap: int, blocks: tuple[Box, ...]) -> Drawn:
    """blocks: where the tiles are within each image."""
    cells = arranged(len(images), columns, images[0].size, gap)
    places = tuple(tuple(within(cell, block) for block in blocks) for cell in cells)
    return Drawn(draw.arrange(images, columns, gap), tuple(cells), places)


def _make_face(layer: int, tiles: np.ndarray, ground: str) -> Drawn:
    """One block per map, (maps, 9, f, f, 3) uint8, in the positions that the maps have in `_layer`, twice as large."""
    columns = COLUMNS_OF.get(layer, 4)
    room = ((WIDTH[SHARE.get(layer, "full")] + GAP) // columns - GAP - 2) // 3
    side = min(room, max(tiles.shape[2], LARGEST))
    blocks = [draw.block(list(nine), BLOCK, side, 1, ground) for nine in tiles]
    return _arrange(blocks, columns, round(GAP * side / room), (WHOLE_BOX,))


def _faces(layer: int, arrays: Mapping[str, np.ndarray]) -> dict[str, Drawn]:
    """Only the projections, only the patches, and these through those; none for layer 1, whose filters are already large."""
    if layer == 1:
        return {}
    projections, patches = arrays[f"projections_{layer}"], arrays[f"patches_{layer}"]
    contents = {
        "projections": (np.stack([draw.show_projections(nine) for nine in projections]), GROUND),
        "patches": (patches, "white"),
        THROUGH: (np.stack([draw.see_through(*nine) for nine in zip(patches, projections, strict=True)]), GROUND),
    }
    return {name: _make_face(layer, *content) for name, content in contents.items()}


def _first_layer(arrays: Mapping[str, np.ndarray], columns: int, room: int) -> Drawn:
    """Each filter, large, above the patches with the highest activation."""
    patches, maps = arrays["patches_1"], arrays["maps_1"]
    pairs = []
    for index, patch in zip(maps, patches, strict=True):
        best = draw.block(list(patch), BLOCK, (room - 2) // 3, 1)
        pairs.append(draw.join_rows([draw.resize(draw.stretch(arrays["filters_1"][index]), best.width), best], INNER))
    share = best.height / pairs[0].height
    return _arrange(pairs, columns, GAP, ((0, 1 - share, 1, share),))


def _sheet(pictures: Mapping[int, Drawn]) -> Image.Image:
    """All layers on one sheet; layers 4 and 5 side by side as in the paper."""
    titled = {n: draw.add_title(drawn.image, f"Layer {n}", 24) for n, drawn in pictures.items()}
    lines = [image for n, image in titled.items() if n not in SHARE]
    last = [image for n, image in titled.items() if n in SHARE]
    return draw.join_rows([*lines, *([draw.join_columns(last, WIDTH["full"] - 2 * WIDTH["half"])] if last else [])], 30)


def _piece(
    layer: int, drawn: Drawn, layers: list[int], arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]
) -> Piece:
    map_classes = about["layers"][str(layer)]["classes"][: len(arrays[f"maps_{layer}"])]
    classes = sorted({name for row in map_classes for name in row})
    content = "filters and the patches with the highest activation" if layer == 1 else "projections beside patches"
    maps, faces = f"Layer {layer}: {len(map_classes)} maps", _faces(layer, arrays)
    narrow = _layer(layer, arrays, COLUMNS_NARROW, WIDTH["half"]) if layer in COLUMNS_NARROW else None
    return Piece(
        f"layer{layer}",
        saving.save_images(drawn.image, _layer(layer, arrays, COLUMNS_SAVED, saving.WIDE).image, EXACT),
        f"{maps}, {content}, from images of {', '.join(classes[:12])}" + (" and others." if len(classes) > 12 else "."),
        f"Layer {layer}",
        SHARE.get(layer, "full"),
        560 if layer not in SHARE else 0,
        "" if layer == 1 else "side by side",
        tuple(
            Face(name, saving.encode(face.image, EXACT), f"{maps}, only the {name}.", face.cells)
            for name, face in faces.items()
        ),
        images=drawn.cells,
        narrow=Narrow(saving.encode(narrow.image, EXACT), images=narrow.cells) if narrow else None,
        interaction=whole_images.tiles(
            layer,
            layers,
            arrays,
            about,
            BLOCK,
            [face.blocks for face in (drawn, *faces.values())],
            narrow.blocks if narrow else None,
        ),
    )


def _rows(layers: list[int], arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> list[Row]:
    rows = []
    for layer in layers:
        record = about["layers"][str(layer)]
        for m, values in enumerate(arrays[f"values_{layer}"]):
            for rank, value in enumerate(values.tolist()):
                cells = {
                    "layer": Number(layer, 0),
                    "map": Number(int(arrays[f"maps_{layer}"][m]), 0),
                    "rank": Number(rank + 1, 0),
                    "activation": Number(value, 2),
                    "class": record["classes"][m][rank],
                    "file": record["files"][m][rank],
                }
                rows.append(make_row(COLUMNS, cells))
    return rows
