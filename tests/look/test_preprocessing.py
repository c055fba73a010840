"""From photographs to inputs: as torchvision's own transforms."""

import numpy as np
import pytest
import torch
from PIL import Image

from zfrepro.look.preprocessing import Preprocessing
from zfrepro.models import torchvision_import

torchvision_import.ensure()
SIZES = [
    (256, 256),
    (300, 249),
    (249, 300),
    (500, 375),
    (1000, 333),
    (64, 64),
    (37, 53),
    (2, 3),
    (1, 1),
    (1, 40),
    (257, 255),
]


@pytest.mark.parametrize("size", SIZES)
def test_pixels_are_torchvisions_resize_and_crop(size):
    from torchvision.transforms import functional

    image = Image.fromarray(np.random.default_rng(3).integers(0, 256, (*size[::-1], 3), dtype=np.uint8))
    expected = np.asarray(functional.center_crop(functional.resize(image, 256), 224)).astype(int)
    assert (
        np.abs(Preprocessing().pixels(image).astype(int) - expected).max() <= 1
    )  # Pillow rounds between rows and columns


def test_a_strip_needs_little_memory():
    assert (Preprocessing().pixels(Image.new("RGB", (1, 30_000), "red")) == [255, 0, 0]).all()


def test_inputs_are_torchvisions():
    from torchvision.transforms._presets import ImageClassification

    image = Image.fromarray(np.random.default_rng(4).integers(0, 256, (256, 256, 3), dtype=np.uint8))
    inputs = Preprocessing().normalise(Preprocessing().pixels(image)[None])
    torch.testing.assert_close(inputs[0], ImageClassification(crop_size=224)(image), rtol=1e-6, atol=1e-6)
    assert inputs.is_contiguous(memory_format=torch.channels_last)


def test_a_chosen_size_keeps_the_share_that_is_seen():
    assert Preprocessing().changed(112, None, (1, 1, 1)) == Preprocessing(112, 128, deviation=(1, 1, 1))
    assert Preprocessing(384, 384).changed(None, (0, 0, 0), None) == Preprocessing(384, 384, mean=(0, 0, 0))
    grey = Preprocessing(2, 2, (0.5, 0.5, 0.5), (0.5, 0.5, 0.25)).normalise(np.full((1, 1, 1, 3), 255, np.uint8))
    assert grey.flatten().tolist() == [1, 1, 2]
