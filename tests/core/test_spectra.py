"""Spectra of images whose frequencies are known beforehand."""

import numpy as np
import pytest

from zfrepro.core import spectra


def grating(side, row=0.0, column=0.0):
    """(side, side): cycles per pixel along rows and columns"""
    y, x = np.mgrid[:side, :side]
    return np.cos(2 * np.pi * (row * y + column * x))


def images(*planes):
    """The same in all three colours: (N, side, side, 3)"""
    return np.stack(planes)[..., None] * np.ones(3)


def test_a_grating_of_period_4_has_all_its_energy_at_a_quarter():
    power = spectra.power(images(grating(64, column=1 / 4)))
    assert spectra.peaks(power) == 1 / 4
    assert power[0, 0, 16] + power[0, 0, -16] == pytest.approx(3 * 64**2 / 2)
    assert spectra.shares(power)[0] == pytest.approx([0, 0, 1])  # an edge belongs to the band above
    assert spectra.share_in(power, spectra.lattice(4)) == pytest.approx(1)
    assert spectra.share_in(power, spectra.lattice(2)) == pytest.approx(0)


def test_a_constant_is_frequency_0_and_on_no_lattice():
    power = spectra.power(images(np.ones((64, 64))))
    assert spectra.peaks(power) == 0
    assert spectra.shares(power)[0] == pytest.approx([1, 0, 0])
    assert spectra.share_in(power, spectra.lattice(4)) == pytest.approx(0)


def test_a_single_pixel_is_flat():
    pixel = np.zeros((7, 7))
    pixel[2, 3] = 5
    power = spectra.power(images(pixel))
    assert power == pytest.approx(3 * 25 / 64**2)
    area = spectra.shares(power)[0]
    assert area == pytest.approx([np.pi / 64, np.pi * 3 / 64, 1 - np.pi / 16], abs=0.005)  # rings in the unit square
    assert spectra.contrast(power, 4) == pytest.approx(1)


@pytest.mark.parametrize("side", [7, 11, 51, 64])
def test_energies_add_up_to_the_squared_pixels_whatever_is_added_around(side):
    pixels = np.random.default_rng(side).normal(size=(4, side, side, 3))
    assert spectra.power(pixels).sum(axis=(1, 2)) == pytest.approx((pixels**2).sum(axis=(1, 2, 3)))


@pytest.mark.parametrize("side", [11, 7])
def test_one_grating_has_its_peak_at_one_place_in_filters_of_two_sizes(side):
    power = spectra.power(images(grating(side, row=3 / 16, column=4 / 16)))
    assert spectra.peaks(power) == pytest.approx(5 / 16, abs=0.02)  # 3, 4, 5


def test_shares_are_of_each_image_and_0_of_nothing():
    power = spectra.power(images(grating(64, row=1 / 16), 9 * grating(64, row=3 / 16), np.zeros((64, 64))))
    assert spectra.shares(power) == pytest.approx(np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0]]))
    assert spectra.share_in(power, spectra.radii() >= 1 / 8) == pytest.approx([0, 1, 0])


def test_the_lattice_of_period_4_holds_its_multiples_along_rows_and_columns_but_0():
    centres = np.argwhere(spectra.lattice(4, outer=0))
    assert {tuple(centre) for centre in centres} == {(16, 0), (32, 0), (48, 0), (0, 16), (0, 32), (0, 48)}
    assert spectra.lattice(4).sum() == 6 * 9
    assert np.argwhere(spectra.lattice(2, outer=0)).tolist() == [[0, 32], [32, 0]]
    assert not (spectra.lattice(4) & spectra.lattice(4, inner=4 / 64, outer=7 / 64)).any()


def test_changes_are_to_the_right_and_below_and_fade():
    plane = np.array([[1.0, 3, 3], [1, 1, 0], [9, 9, 9]])
    fading = 0.75**2  # Hann's window over two pixels: 3/4 each
    changes = spectra.changes(plane[None, :, :, None])[0, ..., 0]
    assert changes == pytest.approx(fading * np.array([[4 + 0, 0 + 4], [0 + 64, 1 + 64]]))


@pytest.mark.parametrize("period", [2, 4])
def test_lines_stand_out_of_the_spectrum_and_squares_out_of_that_of_the_changes(period):
    def contrasts(images):
        return [spectra.contrast(spectra.power(stack), period) for stack in (images, spectra.changes(images))]

    noise = np.random.default_rng(0).normal(size=(60, 48, 48, 3))
    squares = np.kron(noise[:, : 48 // period, : 48 // period], np.ones((1, period, period, 1)))
    lines = noise.copy()
    lines[:, ::period] += 1
    lines[:, :, ::period] += 1
    assert contrasts(noise) == pytest.approx([1, 1], abs=0.15)
    assert contrasts(lines)[0] > 4
    assert contrasts(squares)[0] < 0.1
    assert contrasts(squares)[1] > 10
    assert np.isnan(contrasts(0 * noise)).all()


def test_the_profile_along_the_axes_has_the_gratings_frequencies():
    power = spectra.power(images(grating(64, row=1 / 4), grating(64, column=1 / 8)))
    profile = spectra.along_axes(power)
    assert len(profile) == 33
    # each image: half its energy at the positive frequency; half the axes
    assert profile[[16, 8]] == pytest.approx([1 / 8, 1 / 8])
    assert profile[4] == pytest.approx(0)


def test_large_tiles_get_a_larger_spectrum():
    assert [spectra.side_for(np.zeros((1, side, side, 3))) for side in (27, 64, 65, 139)] == [64, 64, 128, 192]
