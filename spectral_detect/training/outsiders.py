"""Learn to tell images of other kinds, such as drawings, from those that a model is made for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spectral_detect.detector.experience import OutsiderCheck, mean_of_tiles
from spectral_detect.errors import DatasetError
from spectral_detect.extraction.many_files import require_one_length
from spectral_detect.training.dataset import Dataset
from spectral_detect.training.fit import fit_ridge

MOST_REFUSED = 0.01  # of the images that the model is made for, each group counting alike
N_FOLDS = 5
MIN_GROUPS = 10  # of outsiders


@dataclass(frozen=True, eq=False)
class Outsiders:
    """Images of other kinds, whatever their labels, and what they are, for people."""

    images: Dataset
    kinds: str


def fit_outsiders(insiders: Dataset, others: Outsiders, mean: np.ndarray, scale: np.ndarray) -> OutsiderCheck:
    """Fit a check that at most `MOST_REFUSED` of the insiders fail, as measured on groups that it was not fitted on.

    Parameters
    ----------
    insiders : Dataset
        Images that the model is made for, whatever their class.
    others : Outsiders
        Features of the same spec.
    mean, scale : (n_features,) array
        The model's standardisation.

    Raises
    ------
    DatasetError
        There are too few groups of outsiders, or they were read for another spec.
    """
    outsiders = others.images
    if insiders.extractor is not None and insiders.extractor.spec is not None:
        outsiders.require_features(insiders.extractor.spec)
    if outsiders.n_groups < MIN_GROUPS:
        raise DatasetError(f"{outsiders.n_groups} groups of images of other kinds; {MIN_GROUPS} are the least")
    if both := set(insiders.files) & set(outsiders.files):
        path = next(s.path for s, file in zip(outsiders.samples, outsiders.files, strict=True) if file in both)
        raise DatasetError(f"{path!r} is a training image and an outsider too", remedy="name it as one of them")
    require_one_length([*insiders.features, *outsiders.features])
    features = np.stack([mean_of_tiles(image) for image in (*insiders.features, *outsiders.features)])
    Z = (features - mean) / scale
    is_outsider = np.repeat([0, 1], [len(insiders.y), len(outsiders.y)])
    groups = np.concatenate([insiders.groups, insiders.groups.max() + 1 + outsiders.groups])
    weights = _weights(is_outsider, groups)
    fold = np.random.default_rng(0).permutation(groups.max() + 1)[groups] % N_FOLDS
    values = np.zeros(len(Z))
    for k in range(N_FOLDS):
        rest, held_out = fold != k, fold == k
        values[held_out] = fit_ridge(Z[rest], is_outsider[rest], weights[rest]).decision_values(Z[held_out])
    inside, outside = is_outsider == 0, is_outsider == 1
    order = np.argsort(-values[inside])
    refused = np.cumsum(weights[inside][order]) / weights[inside].sum()
    threshold = float(values[inside][order][np.searchsorted(refused, MOST_REFUSED)])
    found = float(np.average(values[outside] > threshold, weights=weights[outside]))
    ridge = fit_ridge(Z, is_outsider, weights)
    return OutsiderCheck(others.kinds, ridge.weights, mean, scale, ridge.intercept, ridge.limit, threshold, found)


def _weights(is_outsider: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return (n,), on average 1: groups count alike, and insiders as much as outsiders."""
    _, of_image, counts = np.unique(groups, return_inverse=True, return_counts=True)
    weights = 1 / counts[of_image]
    for side in (0, 1):
        weights[is_outsider == side] /= weights[is_outsider == side].sum()
    return np.asarray(weights * len(weights) / 2)
