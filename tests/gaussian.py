"""A data set of Gaussian vectors, whose classes lie as far apart as a test wants."""

from __future__ import annotations

import numpy as np

from spectral_detect import FAKE, REAL, FeatureSpec
from spectral_detect.extraction.one_file import Extraction
from spectral_detect.sources.location import Location
from spectral_detect.training.dataset import Dataset

SPEC = FeatureSpec.preset("azimuthal", n_bins=12)


def gaussian_data(n: int = 60, shift: float = 1.0, *, labelled: bool = True, seed: int = 0) -> Dataset:
    rng = np.random.default_rng(seed)
    y = np.repeat([REAL, FAKE], n // 2)
    X = rng.normal(size=(n, 12)) * np.arange(1, 13) + 5
    X[:, 8:] += shift * y[:, None] * np.arange(9, 13)
    samples = tuple(Extraction(Location(str(k)), sha256=f"{k:064d}") for k in range(n))
    return Dataset(X, y if labelled else np.full(n, -1), np.arange(n), samples, ())
