"""Describe a model's training images, so that another image can be shown beside them or known for one of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spectral_detect.lazy import cached_property
from spectral_detect.text import short_repr

MAX_POSITIONS = 12_000  # images; their positions take 200 kB


@dataclass(frozen=True, eq=False)
class TrainingSummary:
    """Describe the training images that were not edited, so that another image can be shown beside them.

    Attributes
    ----------
    feature_means, feature_deviations : (2, n_features) array
        Of the reals and of the fakes; of tiles, the mean of each image counts.
    profile_means, profile_deviations : (2, n_bins) array
        The same of `features.common_profile`; no bins if the images were read without it.
    positions : (n_images, n_directions) array
        `FeatureCloud.position` of some of them (at most `MAX_POSITIONS`), in half precision.
    labels : (n_images,) int array
        REAL or FAKE.
    sources : tuple of str
        Names of the folders or groups that they came from; no paths.
    source_of : (n_images,) int array
        Index of each image's source.
    tile_disagreement : float or None
        The deviation of the decision values of an image's tiles that 99 % of held-out images do not exceed; None if the
        features are not of tiles, or hardly any image held out has `MIN_TILES`.
    """

    feature_means: np.ndarray
    feature_deviations: np.ndarray
    profile_means: np.ndarray
    profile_deviations: np.ndarray
    positions: np.ndarray
    labels: np.ndarray
    sources: tuple[str, ...]
    source_of: np.ndarray
    tile_disagreement: float | None = None
    __repr__ = short_repr

    def holds(self, position: np.ndarray) -> bool:
        """Tell whether an image at this position is one of those whose positions are held, or a copy of one."""
        if not position.size:
            return False
        held, step = self._along_first
        (near,) = np.nonzero(np.abs(held - position[:1]) <= step)  # a scan asks for every image
        return bool(are_same(self.positions[near], position).any())

    @cached_property
    def _along_first(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (n_images,) the positions along the first direction, and how far a rounded one may lie off."""
        held = np.ascontiguousarray(self.positions[:, 0])
        return held, _half_step(held)


def are_same(held: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Tell whether a position is that which a file holds, (..., n_directions), in half precision; (...,) booleans."""
    return np.asarray((np.abs(held - position) <= _half_step(held)).all(axis=-1))


def _half_step(held: np.ndarray) -> np.ndarray:
    """Return the distance from each number to the next in half precision."""
    return np.asarray(np.spacing(np.abs(held).astype(np.float16)).astype(np.float64))
