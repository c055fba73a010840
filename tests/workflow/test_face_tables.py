"""The tables of faces that come with the experiments: no wrong row, swapped eye or mark at another scale.

No photographs are needed: blank images of their size take their place.
"""

import math
import re
from dataclasses import dataclass

import numpy as np
import pytest
from helpers.workspace import ROOT
from PIL import Image

from zfrepro.core.correspondence import free_positions
from zfrepro.datasets import part_annotations
from zfrepro.datasets.part_annotations import PARTS
from zfrepro.stages.correspondence import Spec


@dataclass(frozen=True)
class Table:
    name: str
    number: int  # of images
    paths: str
    photograph: int  # sides in pixels: of the photographs, the stored images, the network's input, the grey square
    stored: int
    size: int
    square: int
    apart: float  # least distance of the eyes, in sides of the square
    turned: float  # most distance of the nose from the middle of the eyes, along their line, in distances of the eyes


TABLES = [
    Table("tiny-imagenet", 46, r"val/images/val_\d+\.JPEG", 64, 128, 112, 16, apart=1, turned=0.25),
    Table(
        "imagenette", 68, r"val/n02102040/\w+\.JPEG", 224, 256, 224, Spec.model_fields["square"].default, apart=0.7, turned=0.45
    ),
]  # fmt: skip


@pytest.fixture(scope="module", params=TABLES, ids=lambda table: table.name)
def faces(request, tmp_path_factory):
    """A table and its images as the network sees them; a missing part or one outside the view would raise."""
    table = request.param
    file, root = ROOT / f"workflow/experiments/{table.name}-faces.csv", tmp_path_factory.mktemp(table.name)
    for path in part_annotations.missing_photographs(file, root):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (table.photograph, table.photograph)).save(path)
    first, end = (table.stored - table.size) // 2, (table.stored + table.size) // 2
    view = (first, first, end, end)
    return table, [image.cut(view) for image in part_annotations.read_csv(file, root, table.stored, view)]


def centre(box):
    return np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])


def outliers(images, is_right):
    """Names of the images whose right eye, left eye and nose are not right."""
    return [image.file for image in images if not is_right(*(image.parts[part] for part in PARTS))]


def test_every_face_is_of_a_validation_image_and_has_the_animals_box(faces):
    table, images = faces
    assert len(images) == table.number
    assert [image.file for image in images if not re.fullmatch(table.paths, image.file)] == []
    assert [image.file for image in images if image.object is None] == []


def test_eyes_and_nose_lie_on_the_animal(faces):
    _, images = faces

    def lie_on(animal, boxes):
        return (boxes[:, :2] >= animal[:2]).all() and (boxes[:, 2:] <= animal[2:]).all()

    boxes = [np.array([image.parts[part] for part in PARTS]) for image in images]
    assert [image.file for image, parts in zip(images, boxes, strict=True) if not lie_on(image.object, parts)] == []


def test_faces_look_at_the_camera(faces):
    """The animal's right is at the viewer's left; the nose is below the line through the eyes, near its middle."""
    table, images = faces

    def is_frontal(right, left, nose):
        eyes, snout = centre(left) - centre(right), centre(nose) - (centre(left) + centre(right)) / 2
        below = eyes[0] * snout[1] - eyes[1] * snout[0]
        return eyes[0] > 0 and below > 0 and abs(snout @ eyes) < table.turned * (eyes @ eyes)

    assert outliers(images, is_frontal) == []


def test_boxes_have_the_size_of_eyes_and_noses(faces):
    _, images = faces

    def is_plausible(right, left, nose):
        distance = math.dist(centre(right), centre(left))
        widths = [(box[2] - box[0]) / distance for box in (right, left, nose)]
        return all(0.15 < width < 0.7 for width in widths[:2]) and 0.2 < widths[2] < 1

    assert outliers(images, is_plausible) == []


def test_the_square_over_one_eye_does_not_cover_the_other(faces):
    table, images = faces

    def are_apart(right, left, nose):
        return math.dist(centre(right), centre(left)) > table.apart * table.square

    assert outliers(images, are_apart) == []


def test_a_random_square_fits_on_every_animal_beside_the_parts(faces):
    table, images = faces

    def positions(image):
        return free_positions(image.object, [image.parts[part] for part in PARTS], table.square, table.size)

    assert [image.file for image in images if not len(positions(image))] == []
