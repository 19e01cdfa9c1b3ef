"""Statistics of neighbouring pixels, against what mathematics says of simple images."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest

from spectral_detect.features.natural_statistics import (
    chroma_cooccurrence,
    colour_cooccurrence,
    cooccurrence,
    normalised_luma,
    square_chroma_cooccurrence,
    square_colour_cooccurrence,
    square_cooccurrence,
)
from spectral_detect.features.spec import FEATURE_GROUP_SIZES


def noise(sigma: float, shape: tuple[int, int] = (240, 320), seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.clip(np.rint(rng.normal(128, sigma, shape)), 0, 255).astype(np.uint8)


def test_shares_of_triples_add_up_to_one_in_each_step_and_residual() -> None:
    found = cooccurrence(noise(3))
    assert found.shape == (FEATURE_GROUP_SIZES["cooccurrence"],)
    np.testing.assert_allclose(np.square(found).reshape(6, 39).sum(axis=1), 1, rtol=1e-9)


def test_a_constant_image_has_one_triple_alone() -> None:
    found = cooccurrence(np.full((40, 50), 7, np.uint8)).reshape(6, 39)
    np.testing.assert_allclose(np.sort(found, axis=1)[:, :-1], 0)
    np.testing.assert_allclose(found.max(axis=1), 1)


def test_first_differences_are_counted_by_the_definition() -> None:
    """The first 39 shares, of differences along rows and columns in steps of 1, by a slow loop."""
    luma = noise(1, (12, 15))
    f = luma.astype(int)
    counts: dict[tuple[int, ...], int] = {}
    for plane in (np.diff(f, axis=1), np.diff(f, axis=0)):
        levels = np.clip(plane, -2, 2)
        for lines in (levels, levels.T):
            for line in lines.tolist():
                for triple in itertools.pairwise(itertools.pairwise(line)):
                    (a, b), (_, c) = triple
                    key = min((a, b, c), (c, b, a), (-a, -b, -c), (-c, -b, -a))
                    counts[key] = counts.get(key, 0) + 1
    expected = np.sqrt(np.sort(list(counts.values())) / sum(counts.values()))
    found = np.sort(cooccurrence(luma)[:39])
    np.testing.assert_allclose(found[found > 0], expected, rtol=1e-9)


def test_mirrored_negative_and_turned_images_have_the_same_triples() -> None:
    luma = noise(4)
    for same in (luma[:, ::-1], luma[::-1], 255 - luma):
        np.testing.assert_allclose(cooccurrence(np.ascontiguousarray(same)), cooccurrence(luma), atol=1e-9)


def test_triples_of_the_channels_are_counted_by_the_definition() -> None:
    """The first 63 shares, of differences along rows and columns in steps of 1, by a slow loop."""
    rgb = noise(1, (12, 15, 3))
    f = rgb.astype(int)
    counts: dict[tuple[int, ...], int] = {}
    for differences in (np.diff(f, axis=1), np.diff(f, axis=0)):
        for a, b, c in np.clip(differences, -2, 2).reshape(-1, 3).tolist():
            key = min((a, b, c), (-a, -b, -c))
            counts[key] = counts.get(key, 0) + 1
    expected = np.sqrt(np.sort(list(counts.values())) / sum(counts.values()))
    found = colour_cooccurrence(rgb)
    assert found.shape == (FEATURE_GROUP_SIZES["colour_cooccurrence"],)
    np.testing.assert_allclose(np.sort(found[:63])[-len(expected) :], expected, rtol=1e-9)
    np.testing.assert_allclose(np.square(found).reshape(6, 63).sum(axis=1), 1, rtol=1e-9)


def test_the_channels_of_a_gray_image_go_together() -> None:
    """So only the triples (0, 0, 0), (1, 1, 1) and (2, 2, 2) occur, each as one with its negative."""
    gray, colour = np.repeat(noise(4)[..., None], 3, axis=2), noise(4, (240, 320, 3))
    assert (np.count_nonzero(colour_cooccurrence(gray).reshape(6, 63), axis=1) <= 3).all()
    assert (np.count_nonzero(colour_cooccurrence(colour).reshape(6, 63), axis=1) == 63).all()
    np.testing.assert_allclose(colour_cooccurrence(255 - colour), colour_cooccurrence(colour), atol=1e-9)


def test_residuals_of_a_square_alone_are_those_among_the_others() -> None:
    rgb, luma = noise(4, (60, 80, 3)), noise(4)
    for alone, among, of in (
        (square_cooccurrence, cooccurrence, luma),
        (square_colour_cooccurrence, colour_cooccurrence, rgb),
        (square_chroma_cooccurrence, chroma_cooccurrence, rgb),
    ):
        found, every = alone(of), among(of)
        assert found.shape == (FEATURE_GROUP_SIZES[alone.__name__],) == (len(every) // 6,)
        np.testing.assert_array_equal(found, every[-2 * len(found) : -len(found)])


def test_normalised_noise_is_nearly_normal() -> None:
    found = normalised_luma(noise(20))
    assert found.shape == (FEATURE_GROUP_SIZES["normalised_luma"],)
    magnitude, deviation, log_kurtosis = found[:3]
    assert magnitude / deviation == pytest.approx(np.sqrt(2 / np.pi), abs=0.05)  # of a normal distribution
    assert 2 < np.exp(log_kurtosis) < 3  # below the 3 of a normal one, as the pixel is part of its own deviation
    assert found[3] == pytest.approx(np.log(20), abs=0.15)  # the local deviation
    means_of_products = found[5:23:3]
    assert np.abs(means_of_products[:4]).max() < 0.2


def test_blur_ties_neighbours_together() -> None:
    sharp, soft = noise(20), np.asarray(cv2.GaussianBlur(noise(40), (0, 0), 1.0))
    assert normalised_luma(soft)[5] > normalised_luma(sharp)[5] + 0.1


def test_constant_and_tiny_images_give_numbers() -> None:
    for luma in (np.full((64, 64), 3, np.uint8), noise(5, (64, 8)), noise(5, (8, 8))):
        assert np.isfinite(normalised_luma(luma)).all()
        assert np.isfinite(cooccurrence(luma)).all()
        assert np.isfinite(colour_cooccurrence(np.stack([luma] * 3, axis=-1))).all()
