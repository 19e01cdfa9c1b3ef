"""The training images nearest to an image, and how far it lies from those of either class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spectral_detect.detector.experience import mean_of_tiles
from spectral_detect.detector.memory.summary import are_same
from spectral_detect.detector.model import Model
from spectral_detect.explain.feature_layout import FeatureGroup
from spectral_detect.records import CLASS_NAMES

N_NEAREST = 5
LEAST_DEVIATION = 1e-6


@dataclass(frozen=True)
class Neighbour:
    """A training image.

    Attributes
    ----------
    label : str
        "real" or "fake".
    source : str
        The folder or group that it came from.
    distance : float
        In deviations of the training images along their principal directions.
    is_same : bool
        Whether it is the image itself or a copy: the positions are equal in the precision in which a model holds them.
    """

    label: str
    source: str
    distance: float
    is_same: bool = False

    @property
    def has_own_source(self) -> bool:
        """Whether the name of the source says more than the label, as that of a folder `fake` or `0_real` does not."""
        return self.source.strip("0123456789_- ").casefold().removesuffix("s") != self.label


def nearest(model: Model, features: np.ndarray) -> tuple[Neighbour, ...]:
    """Return the training images nearest to an image, the nearest first; none if the model's file holds none."""
    summary = model.summary
    if summary is None or model.cloud is None or not len(summary.labels):
        return ()
    position = model.cloud.position(features)
    distances = np.linalg.norm(summary.positions - position, axis=1)
    return tuple(
        Neighbour(
            CLASS_NAMES[int(summary.labels[k])],
            summary.sources[int(summary.source_of[k])],
            float(distances[k]),
            bool(are_same(summary.positions[k], position)),
        )
        for k in np.argsort(distances, kind="stable")[:N_NEAREST]
    )


def distances_to_classes(model: Model, features: np.ndarray, group: FeatureGroup) -> tuple[float, float] | None:
    """Return how far a group's features lie from the mean real and the mean fake, in root mean square deviations.

    None if the model's file does not hold these.
    """
    if model.summary is None:
        return None
    part = slice(group.start, group.end)
    off = mean_of_tiles(features)[part] - model.summary.feature_means[:, part]
    deviations = np.maximum(model.summary.feature_deviations[:, part], LEAST_DEVIATION)
    to_real, to_fake = np.sqrt(np.square(off / deviations).mean(axis=1))
    return float(to_real), float(to_fake)
