"""The tables of dogs' faces that come with the experiments: no wrong row, swapped eye or mark at another scale.

No photographs are needed: blank images of their size take their place.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zfrepro.core.correspondence import squares
from zfrepro.datasets import part_annotations
from zfrepro.datasets.part_annotations import PARTS
from zfrepro.stages.correspondence import Spec

EXPERIMENTS = Path(__file__).parents[2] / "workflow/experiments"


@dataclass(frozen=True)
class Table:
    name: str
    number: int  # of images
    paths: str
    photograph: int  # sides in pixels: of the photographs, the stored images, the network's input, the grey square
    stored: int
    size: int
    square: int


TABLES = [
    Table("tiny-imagenet", 16, r"val/images/val_\d+\.JPEG", 64, 128, 112, 16),
    Table("imagenette", 68, r"val/n02102040/\w+\.JPEG", 224, 256, 224, Spec.model_fields["square"].default),
]


@pytest.fixture(scope="module", params=TABLES, ids=lambda table: table.name)
def faces(request, tmp_path_factory):
    """A table and its images as the network sees them; a missing part or one outside the view would raise."""
    table = request.param
    file, root = EXPERIMENTS / f"{table.name}-faces.csv", tmp_path_factory.mktemp(table.name)
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


def test_every_face_is_of_a_validation_image_and_has_the_dogs_box(faces):
    table, images = faces
    assert len(images) == table.number
    assert [image.file for image in images if not re.fullmatch(table.paths, image.file)] == []
    assert [image.file for image in images if image.object is None] == []


def test_eyes_and_nose_lie_on_the_dog(faces):
    _, images = faces

    def lie_on(dog, boxes):
        return all(dog[0] <= x0 and dog[1] <= y0 and x1 <= dog[2] and y1 <= dog[3] for x0, y0, x1, y1 in boxes)

    assert [image.file for image in images if not lie_on(image.object, image.parts.values())] == []


def test_the_right_eye_is_at_the_viewers_left_and_the_nose_below(faces):
    _, images = faces
    assert outliers(images, lambda right, left, nose: right[2] < left[0]) == []
    assert outliers(images, lambda right, left, nose: centre(nose)[1] > max(centre(right)[1], centre(left)[1])) == []


def test_faces_are_frontal(faces):
    """The nose is under the eyes' middle, or beside by less than half the distance of the eyes; no head lies on its side."""
    _, images = faces

    def is_frontal(right, left, nose):
        eyes, middle = centre(left) - centre(right), (centre(left) + centre(right)) / 2
        aside = abs((centre(nose) - middle) @ eyes) / (eyes @ eyes)
        return aside < 0.5 and abs(math.degrees(math.atan2(eyes[1], eyes[0]))) < 35

    assert outliers(images, is_frontal) == []


def test_boxes_have_the_size_of_eyes_and_noses(faces):
    _, images = faces

    def is_plausible(right, left, nose):
        distance = math.dist(centre(right), centre(left))
        eyes = [(box[2] - box[0]) / distance for box in (right, left)]
        return all(0.15 < eye < 0.7 for eye in eyes) and 0.3 < (nose[2] - nose[0]) / distance < 1

    assert outliers(images, is_plausible) == []


def test_a_random_square_fits_beside_the_parts_of_every_face(faces):
    table, images = faces

    def fits(image):
        parts = [image.parts[part] for part in PARTS]
        return squares(parts, image.object, table.square, table.size, 1, np.random.default_rng(0)) is not None

    assert [image.file for image in images if not fits(image)] == []


def test_the_first_five_are_large_and_their_eyes_fill_the_square_at_most(faces):
    """They are those of Figure 8. The boxes hold the lids too, so they may exceed the square a little."""
    table, images = faces
    shown = images[:5]
    assert outliers(shown, lambda right, left, nose: math.dist(centre(right), centre(left)) > 0.15 * table.size) == []
    eyes = [image.parts[part] for image in shown for part in ("right eye", "left eye")]
    assert max(max(x1 - x0, y1 - y0) for x0, y0, x1, y1 in eyes) <= 1.2 * table.square
