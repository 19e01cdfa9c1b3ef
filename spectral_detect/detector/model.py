"""A trained detector: everything that turns features into a score and a verdict."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from spectral_detect.detector.calibration import Calibration
from spectral_detect.detector.classifiers import Classifier, Fitted
from spectral_detect.detector.experience import Experience
from spectral_detect.features.spec import FeatureSpec


@dataclass(frozen=True, eq=False)
class Model:
    """A trained detector: everything that turns features into a score and a verdict.

    Attributes
    ----------
    spec : the features it was trained on, the only ones that it may be given.
    mean, scale : (n_features,) standardisation, X -> (X - mean) / scale.
    calibration : what turns a decision value into the score.
    threshold : a score at or above it is fake.
    training : what it was trained on (counts, groups, hash of the file hashes, settings).
    metrics : the cross-validated estimate made at training.
    experience : what images it has seen; None where there were too few groups to tell.
    reference : (n, n_features) a few training vectors; the file stores their scores, and loading checks them.
    name, sha256 : of the file it was loaded from; empty before it is saved.
    """

    spec: FeatureSpec
    classifier: Classifier
    mean: np.ndarray
    scale: np.ndarray
    calibration: Calibration
    threshold: float
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    experience: Experience | None = None
    reference: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    card: str = ""
    created: str = ""
    libraries: dict[str, str] = field(default_factory=dict)
    name: str = ""
    sha256: str = ""

    @property
    def is_guess(self) -> bool:
        """Trained without labels: which of its two clusters is called fake is a guess."""
        return bool(self.training.get("n_unlabelled"))

    def decision_values(self, features: Iterable[np.ndarray]) -> np.ndarray:
        """(n_samples,) raw margins of images, each given as `extract_features` returns it."""
        return Fitted(self.mean, self.scale, self.classifier).decision_values(features)

    def distance(self, features: np.ndarray) -> float:
        """How far an image lies from the training images: the mean square of its standardised features.

        Of an image cut into tiles, of the mean of its tiles' features.
        """
        return Fitted(self.mean, self.scale, self.classifier).distance(features)

    def scores(self, features: Iterable[np.ndarray]) -> np.ndarray:
        """(n_samples,) in [0, 1], higher is more fake; of images, each given as `extract_features` returns it."""
        return self.calibration.scores(self.decision_values(features))
