"""Correlation of small copies: against numpy.corrcoef, and on copies that were changed in a known way."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from zfrepro.core import overlap
from zfrepro.core.overlap import find, windows
from zfrepro.core.shrinking import thumbnails


def pictures(count, side, seed):
    """Smooth random colour pictures: a coarse grid, enlarged."""
    coarse = np.random.default_rng(seed).integers(20, 200, (count, 9, 9, 3)).astype(np.uint8)
    return np.stack(
        [np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BICUBIC)) for image in coarse]
    )


def compressed(picture, quality):
    held = io.BytesIO()
    Image.fromarray(picture).save(held, "JPEG", quality=quality)
    return np.asarray(Image.open(held))


def test_equals_corrcoef():
    target, source = pictures(7, 48, 0), pictures(11, 48, 1)
    small = [images.reshape(-1, 16, 3, 16, 3, 3).mean((2, 4)) for images in (target, source)]
    freed = [(images - images.mean((1, 2), keepdims=True)).reshape(len(images), -1) for images in small]
    expected = np.corrcoef(*freed)[:7, 7:]
    best, index = find(target, source)
    np.testing.assert_allclose(best, expected.max(1), atol=1e-6)
    assert index.tolist() == expected.argmax(1).tolist()
    assert (best.dtype, index.dtype) == (np.float32, np.int64)


def test_copies_are_found_brighter_fainter_or_compressed():
    source, others = pictures(30, 60, 2), pictures(20, 60, 3)
    dimmer = (source[5] * 0.5 + 40).astype(np.uint8)
    target = np.stack([source[17], dimmer, compressed(source[9], 20), *others])
    best, index = find(target, source)
    assert index[:3].tolist() == [17, 5, 9]
    assert best[0] == pytest.approx(1, abs=1e-6)
    assert best[1] > 0.9999  # rounded to whole grey levels
    assert 0.95 < best[2] < 1
    assert best[3:].max() < 0.6


def test_stored_sizes_may_differ():
    source = pictures(12, 96, 4)
    smaller = np.asarray(Image.fromarray(source[8]).resize((50, 50), Image.Resampling.BICUBIC))
    best, index = find(smaller[None], source)
    assert (index[0], best[0] > 0.99) == (8, True)


def test_a_mirrored_copy_only_when_asked():
    source = pictures(12, 40, 5)
    target = source[3:4, :, ::-1]
    assert find(target, source)[0][0] < 0.6
    best, index = find(target, source, mirrored=True)
    assert (index[0], best[0]) == (3, pytest.approx(1, abs=1e-5))
    assert find(source[3:4], source, mirrored=True)[1][0] == 3  # unmirrored ones still


def test_a_flat_picture_correlates_0_not_nan():
    flat = np.full((2, 37, 37, 3), 77, np.uint8)  # 37 / 16 is not whole: sums are rounded
    source = np.concatenate([pictures(3, 37, 6), flat])
    best, _ = find(flat, source)
    assert best.tolist() == [0, 0]
    assert np.isfinite(find(source, source)[0]).all()


def test_a_common_colour_is_no_likeness():
    first, second = (np.clip(picture * 0.1 + [10, 60, 200], 0, 255).astype(np.uint8) for picture in pictures(2, 48, 9))
    plain = np.corrcoef(*(thumbnails(picture[None], 16).numpy().ravel() for picture in (first, second)))[0, 1]
    assert plain > 0.98  # two skies
    assert find(first[None], second[None])[0][0] < 0.5


@pytest.mark.parametrize("block", [1, 3, 7, 100])
def test_the_block_does_not_matter(block):
    target, source = pictures(5, 30, 7), pictures(10, 45, 8)
    target[2] = source[6, :30, :30]
    best, index = find(target, source, block=1024, mirrored=True)
    again, where = find(target, source, block=block, mirrored=True)
    np.testing.assert_allclose(again, best, atol=1e-6)
    assert where.tolist() == index.tolist()


def test_what_cannot_be_compared_is_refused():
    images = pictures(2, 20, 10)
    with pytest.raises(ValueError, match="no source image"):
        find(images, images[:0])
    with pytest.raises(ValueError, match="20 pixels cannot be reduced to 32"):
        find(images, images, size=32)
    assert find(images[:0], images)[0].shape == (0,)


def enlarge(picture, side=60):
    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC))


def frame(picture, width, colour):
    framed = np.full((60 + 2 * width, 60 + 2 * width, 3), colour, np.uint8)
    framed[width : width + 60, width : width + 60] = picture
    return enlarge(framed)


CHANGED = {
    "5 % cut at one corner": lambda picture: enlarge(picture[3:, 3:]),
    "10 % cut all round": lambda picture: enlarge(picture[3:-3, 3:-3]),
    "10 % cut at one side, mirrored": lambda picture: enlarge(picture[3:-3, :-6][:, ::-1]),
    "white frame of 5 %": lambda picture: frame(picture, 2, 255),
    "black frame of 10 %": lambda picture: frame(picture, 3, 0),
}


@pytest.mark.parametrize("change", list(CHANGED))
def test_a_cropped_or_framed_copy_is_found_where_parts_are_compared(change):
    source = pictures(40, 60, 11)
    copy = CHANGED[change](source[23])[None]
    correlation, _ = find(copy, source, mirrored=True)
    best, index = find(copy, source, mirrored=True, crops=True)
    assert correlation[0] < best[0]
    assert (index[0], best[0] > 0.97) == (23, True)


def test_unrelated_pictures_stay_apart_where_parts_are_compared():
    target, source = pictures(20, 60, 12), pictures(60, 60, 13)
    best, _ = find(target, source, mirrored=True, crops=True)
    assert best.max() < 0.8
    assert (best >= find(target, source, mirrored=True)[0] - 1e-6).all()


def test_windows_by_hand():
    assert windows()[0] == (0, 0, 1)
    assert {(round(y, 3), round(x, 3)) for y, x, side in windows() if side == 0.8} == {
        (y, x) for y in (0, 0.1, 0.2) for x in (0, 0.1, 0.2)
    }


def test_parts_of_few_small_or_no_pictures():
    assert find(pictures(1, 16, 14), pictures(1, 17, 15), crops=True)[0].shape == (1,)
    assert find(pictures(3, 20, 14)[:0], pictures(1, 20, 15), crops=True)[0].shape == (0,)
    flat = np.full((2, 30, 30, 3), 9, np.uint8)
    assert find(flat, flat, crops=True)[0].tolist() == [0, 0]


@pytest.mark.parametrize("block", [1, 7, 100])
def test_the_block_does_not_matter_for_parts(block):
    target, source = pictures(5, 40, 16), pictures(10, 45, 17)
    best, index = find(target, source, mirrored=True, crops=True)
    again, position = find(target, source, block=block, mirrored=True, crops=True)
    np.testing.assert_allclose(again, best, atol=1e-6)
    assert position.tolist() == index.tolist()


def find_as_before(target, source, sizes, count):
    """Ranks as they were computed from the images themselves, 1,024 at a time, 64 of them shrunk at once."""
    copies = overlap._reduced(thumbnails(target, sizes[0]), sizes)
    views = [[overlap._unit_vectors(copy), overlap._unit_vectors(copy.flip(2))] for copy in copies]
    ranked = [(torch.full((len(target), 0), -torch.inf), torch.zeros((len(target), 0), dtype=torch.int64))] * len(sizes)
    for start in range(0, len(source), 1024):
        against = overlap._reduced(thumbnails(source[start : start + 1024], sizes[0]), sizes)
        for k in range(len(sizes)):
            ranked[k] = overlap._merge(*ranked[k], overlap._correlate(views[k], against[k]), start, count)
    return ranked


@pytest.mark.parametrize("side", [24, 37, 64, 72, 90])
@pytest.mark.parametrize("count", [5, 1100])
def test_thumbnails_made_one_by_one_change_no_bit(side, count):
    noise = np.random.default_rng(side).integers(0, 256, (count + 9, side, side, 3)).astype(np.uint8)
    target, source = noise[:9], noise[9:]
    small = np.concatenate([thumbnails(source[i : i + 1], 16).numpy() for i in range(count)])
    [(best, index)] = find_as_before(target, source, (16,), 1)
    correlation, match = find(target, source, mirrored=True, small_source=small)
    assert np.array_equal(correlation, best[:, 0].clamp(-1, 1).numpy())
    assert np.array_equal(match, index[:, 0].numpy())
    ranked = overlap._rank(target, overlap._blocks(small, 1024), (16, 8), 3, True, "cpu")
    for (best, index), (as_before, where) in zip(ranked, find_as_before(target, source, (16, 8), 3), strict=True):
        assert torch.equal(best, as_before)
        assert torch.equal(index, where)


def test_parts_are_compared_in_the_images_of_the_candidates_alone():
    """With thumbnails, no other image of the source is read."""
    target, source = pictures(2, 40, 21), pictures(50, 40, 22)
    small = thumbnails(source, 16).numpy()
    expected = find(target, source, mirrored=True, crops=True)

    class Watched:
        shape, read = source.shape, []

        def __len__(self):
            return len(source)

        def __getitem__(self, where):
            self.read.extend(where.tolist())
            return source[where]

    watched = Watched()
    for before, now in zip(expected, find(target, watched, mirrored=True, crops=True, small_source=small), strict=True):
        assert np.array_equal(before, now)
    assert 3 <= len(watched.read) <= 12  # three candidates of two images at two sizes
