"""The monitor: measures of samples against camera images."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from spectral_detect.regularize.gan.monitor import Monitor, detector_auroc, frechet_distance


def test_frechet_distance_of_normal_distributions(rng: np.random.Generator) -> None:
    X, Y = rng.normal(size=(300, 5)) @ rng.normal(size=(5, 5)), 2 + rng.normal(size=(200, 5))
    cov_x, cov_y = np.cov(X.T), np.cov(Y.T)
    root = scipy.linalg.sqrtm(cov_x @ cov_y).real
    expected = np.square(X.mean(0) - Y.mean(0)).sum() + np.trace(cov_x + cov_y - 2 * root)
    assert frechet_distance(X, Y) == pytest.approx(expected)
    assert frechet_distance(X, X + 3) == pytest.approx(5 * 9)
    few = rng.normal(size=(4, 5))  # fewer samples than features
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-9)


def test_the_detector_separates_what_is_separable(rng: np.random.Generator) -> None:
    X = rng.normal(size=(100, 20))
    assert detector_auroc(X, X + 3) > 0.99
    assert 0.3 < detector_auroc(X, rng.normal(size=(100, 20))) < 0.7


def test_measures_of_reals_of_doubled_pixels_and_of_a_collapse() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (200, 32, 32, 3), dtype=np.uint8)
    monitor = Monitor(images[:100], inception=lambda x: x.mean(axis=(1, 2)))
    same, other = monitor.measure(images[:100]), monitor.measure(images[100:])
    doubled = monitor.measure(np.repeat(np.repeat(images[100:, ::2, ::2], 2, axis=1), 2, axis=2))
    assert same.spectral_distance == 0
    assert same.fid == pytest.approx(0, abs=1e-6)
    assert other.spectral_distance < 0.1
    assert 0.3 < other.detector_auroc < 0.7
    assert doubled.high_frequency_distance > doubled.spectral_distance > 10 * other.spectral_distance
    assert doubled.detector_auroc > 0.99
    assert doubled.spectral_frechet > 10 * other.spectral_frechet
    assert other.fid is not None
    assert not doubled.warnings
    assert monitor.measure(np.repeat(images[:1], 100, axis=0)).warnings == [
        "collapse: samples vary 0.00 times as much as camera images do; usual in the first hundreds of steps: if it "
        "stays, take a smaller `batch_size`, as an epoch then has more steps, a lower `learning_rate`, or more images"
    ]
