"""Describe a model's training images, so that another image can be shown beside them or known for one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spectral_detect.detector.naming.plain import numbers_of
from spectral_detect.errors import ModelFileError
from spectral_detect.records import LABELS
from spectral_detect.text import short_repr

MAX_POSITIONS = 12_000  # images; their positions take 200 kB
ARRAYS = (
    "feature_means", "feature_deviations", "profile_means", "profile_deviations", "positions", "labels", "source_of"
)  # fmt: skip


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
        return len(self.labels) > 0 and bool(are_same(self.positions, position).any())


def are_same(held: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Tell whether a position is that which a file holds, (..., n_directions), in half precision; (...,) booleans."""
    step = np.spacing(np.abs(held).astype(np.float16)).astype(np.float64)
    return np.asarray((np.abs(held - position) <= step).all(axis=-1))


def plain_summary(summary: TrainingSummary) -> dict[str, Any]:
    """Return all of a summary but its arrays, for the header of a model file."""
    return {"sources": list(summary.sources), "tile_disagreement": summary.tile_disagreement}


def summary_arrays(summary: TrainingSummary) -> dict[str, np.ndarray]:
    """Return the arrays by their names in a model file."""
    return {f"summary_{name}": getattr(summary, name) for name in ARRAYS}


def summary_from_plain(values: Mapping[str, Any] | None, arrays: Mapping[str, np.ndarray]) -> TrainingSummary | None:
    """Return the summary of a header and arrays; None if a model has none. `ModelFileError` if it is not valid."""
    if values is None:
        return None
    found = {name: arrays[f"summary_{name}"] for name in ARRAYS}
    limit = values["tile_disagreement"]
    summary = TrainingSummary(
        **{**found, "labels": found["labels"].astype(int), "source_of": found["source_of"].astype(int)},
        sources=tuple(map(str, values["sources"])),
        tile_disagreement=None if limit is None else numbers_of([limit])[0],
    )
    n_images = len(summary.labels)
    n_bins, n_directions = summary.profile_means.shape[1], arrays.get("cloud_directions", np.empty((0, 0))).shape[0]
    fits = summary.feature_means.shape == summary.feature_deviations.shape == (2, *arrays["mean"].shape)
    fits &= summary.profile_means.shape == summary.profile_deviations.shape == (2, n_bins)
    fits &= summary.positions.shape == (n_images, n_directions) and n_images <= MAX_POSITIONS
    fits &= summary.labels.shape == summary.source_of.shape and set(summary.labels.tolist()) <= set(LABELS.values())
    fits &= all(0 <= k < len(summary.sources) for k in summary.source_of.tolist())
    if not fits or min(summary.feature_deviations.min(), summary.profile_deviations.min(initial=0.0)) < 0:
        raise ModelFileError("damaged: what it holds of its training images does not fit", remedy="train it again")
    return summary
