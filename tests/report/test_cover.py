"""The pictures of the cover: the upper part of a piece, and where in that part its images lie."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from PIL import Image

from zfrepro.report import cover


def png(width: int, height: int) -> str:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "navy").save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")


def piece(**more: Any) -> dict[str, Any]:
    return {"png": png(100, 200), "alt": "A blue picture", "plot": False, "images": (), **more}


def test_images_of_a_cut_picture_lie_in_its_upper_part() -> None:
    """Cut at half its width, a quarter of its height is left: one image ends inside, one is cut, one lies below."""
    boxes = [(0.0, 0.0, 0.5, 0.125), (0.5, 0.125, 0.5, 0.5), (0.0, 0.5, 1.0, 0.5)]
    assert cover._cut_boxes(piece(images=boxes), 0.5) == [[0.0, 0.0, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5]]
    assert cover._cut_boxes(piece(images=boxes), 9.0) == [list(box) for box in boxes]


def test_plots_are_named_and_exhibits_without_pictures_left_out() -> None:
    exhibits = [
        {"name": "fig2_features", "paper": "Figure 2", "pieces": [piece()]},
        {"name": "fig7_occlusion", "paper": "Figure 7", "pieces": []},
        {"name": "table3_ablations", "paper": "Table 3", "pieces": [piece(plot=True)]},
    ]
    pictures = cover.pictures(exhibits)
    assert [(picture["exhibit"], picture["plot"]) for picture in pictures] == [
        ("fig2_features", False),
        ("table3_ablations", True),
    ]
    width, height = Image.open(io.BytesIO(base64.b64decode(pictures[0]["png"]))).size
    assert height / width == pytest.approx(0.52)
