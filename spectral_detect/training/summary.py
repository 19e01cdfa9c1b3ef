"""Summarise the training images in a model's file, so that `explain` can show another image beside them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from spectral_detect.detector.content.numbers import LONGEST_NAME
from spectral_detect.detector.experience import FeatureCloud, mean_of_tiles
from spectral_detect.detector.memory.summary import MAX_POSITIONS, TrainingSummary
from spectral_detect.extraction.one_file import Extraction
from spectral_detect.records import FAKE, REAL
from spectral_detect.text import cut_in_the_middle
from spectral_detect.training.dataset import Dataset

DISAGREEMENT_QUANTILE = 0.99
FEW = 50  # held-out images, of which no such quantile is taken


def summarise_training(
    dataset: Dataset, cloud: FeatureCloud | None, tile_deviations: np.ndarray
) -> TrainingSummary | None:
    """Return what the images of a data set are like that were not edited; None unless both classes are labelled.

    Parameters
    ----------
    dataset : Dataset
        The training images.
    cloud : FeatureCloud or None
        Where their features lie; without it no positions are kept.
    tile_deviations : (n,) array
        Of images held out in cross-validation, the deviation of the decision values of their tiles; NaN of few.
    """
    chosen = [k for k, sample in enumerate(dataset.samples) if sample.edit is None] or range(len(dataset.samples))
    at = np.array(chosen)
    y = dataset.y[at]
    if set(y.tolist()) != {REAL, FAKE}:
        return None
    features = np.stack([mean_of_tiles(dataset.features[k]) for k in at])
    profiles = _profiles([dataset.samples[k] for k in at])
    kept = np.unique(np.linspace(0, len(at) - 1, min(len(at), MAX_POSITIONS)).astype(int)) if cloud else at[:0]
    names = [cut_in_the_middle(dataset.source_of(k), LONGEST_NAME) for k in at[kept]]
    sources = tuple(sorted(set(names)))
    number = {name: k for k, name in enumerate(sources)}
    positions = [cloud.position(features[k]) for k in kept] if cloud else []
    return TrainingSummary(
        *_by_class(features, y),
        *_by_class(profiles, y),
        positions=_rounded(np.array(positions), np.float16) if cloud else np.empty((0, 0)),
        labels=y[kept].astype(int),
        sources=sources,
        source_of=np.array([number[name] for name in names], dtype=int),
        tile_disagreement=_limit(tile_deviations),
    )


def _profiles(samples: Sequence[Extraction]) -> np.ndarray:
    """Return (n, n_bins); no bins if a sample has no profile."""
    found = [sample.profile for sample in samples if sample.profile is not None]
    return np.stack(found) if len(found) == len(samples) else np.empty((len(samples), 0))


def _by_class(values: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    means = np.stack([values[y == label].mean(axis=0) for label in (REAL, FAKE)])
    deviations = np.stack([values[y == label].std(axis=0) for label in (REAL, FAKE)])
    return _rounded(means, np.float32), _rounded(deviations, np.float32)


def _rounded(values: np.ndarray, kind: type[np.floating]) -> np.ndarray:
    """Return numbers that a file holds exactly in this precision."""
    largest = float(np.finfo(kind).max)
    return np.asarray(np.clip(values, -largest, largest).astype(kind), dtype=np.float64)


def _limit(tile_deviations: np.ndarray) -> float | None:
    known = tile_deviations[~np.isnan(tile_deviations)]
    return float(np.quantile(known, DISAGREEMENT_QUANTILE)) if len(known) >= FEW else None
