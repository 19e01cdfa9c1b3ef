"""Gather the contributions to a decision value by feature group and by frequency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from spectral_detect.detector.model import Model
from spectral_detect.explain.contributions import METHODS, contributions
from spectral_detect.explain.feature_layout import FeatureGroup, feature_layout
from spectral_detect.features.spectrum import MAX_FREQUENCY
from spectral_detect.text import short_repr

N_BANDS = 24  # frequencies of a chart
STEPS = 60  # of a search for the boundary, each of which halves what is left


@dataclass(frozen=True, eq=False)
class GroupEvidence:
    """What one feature group adds to the decision value.

    Attributes
    ----------
    group : FeatureGroup
        The group.
    contribution : float
        Positive speaks for fake.
    features : (n,) array
        That of each feature; they sum to it.
    """

    group: FeatureGroup
    contribution: float
    features: np.ndarray
    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "group": self.group.name,
            "scale_px": self.group.scale_px,
            "title": self.group.title,
            "contribution": self.contribution,
            "frequencies": None if self.group.frequencies is None else self.group.frequencies.tolist(),
            "features": self.features.tolist(),
        }


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the decision value of an image is made of: the start and the groups sum to it.

    Attributes
    ----------
    decision_value : float
        In double precision; that of a scan is rounded to the precision of the features.
    boundary : float
        The decision value whose score is the threshold.
    undecided : (float, float) or None
        The decision values between whose scores the model decides nothing.
    start : float
        That of the mean training vector, 0 for k-means (see `explain.contributions`).
    groups : tuple of GroupEvidence
        In the order of the features.
    method : str
        How a group's contribution was split among its features.
    """

    decision_value: float
    boundary: float
    start: float
    groups: tuple[GroupEvidence, ...]
    method: str
    undecided: tuple[float, float] | None = None
    __repr__ = short_repr

    @property
    def kinds(self) -> list[tuple[str, float]]:
        """Title and contribution of each kind of trace, at all scales together; the largest of either sign first."""
        sums: dict[str, float] = {}
        for part in self.groups:
            title = part.group.kind
            sums[title] = sums.get(title, 0.0) + part.contribution
        return sorted(sums.items(), key=lambda kind: -abs(kind[1]))

    def parts_of(self, kind: str) -> list[int]:
        """Return the places in `groups` of the parts of a kind of trace: one for each scale."""
        return [k for k, part in enumerate(self.groups) if part.group.kind == kind]

    @property
    def start_title(self) -> str:
        """What the start is, in words."""
        if self.method == METHODS["kmeans"]:
            return "0, where both centres are equally far"
        return "the decision value of the mean training vector"

    @property
    def has_bands(self) -> bool:
        """Tell whether any of the features has a frequency."""
        return any(part.group.frequencies is not None for part in self.groups)

    @property
    def bands(self) -> tuple[np.ndarray, np.ndarray]:
        """The (N_BANDS + 1,) edges of frequency bands, and the (N_BANDS,) sums of contributions in each.

        Groups without frequencies, and those of an image reduced further than the first, are left out.
        """
        edges = np.linspace(0, MAX_FREQUENCY, N_BANDS + 1)
        first = self.groups[0].group.scale_px
        sums = np.zeros(N_BANDS)
        for part in self.groups:
            frequencies = part.group.frequencies
            if frequencies is not None and part.group.scale_px == first:
                at = np.minimum((frequencies / MAX_FREQUENCY * N_BANDS).astype(int), N_BANDS - 1)
                sums += np.bincount(at, part.features, N_BANDS)
        return edges, sums

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        edges, sums = self.bands
        return {
            "decision_value": self.decision_value,
            "kinds": [{"title": title, "contribution": contribution} for title, contribution in self.kinds],
            "boundary": self.boundary,
            "undecided": self.undecided,
            "start": self.start,
            "groups": [group.to_dict() for group in self.groups],
            "bands": {"edges": edges.tolist(), "contributions": sums.tolist()},
            "method": self.method,
        }


def evidence_of(
    model: Model, features: np.ndarray, threshold: float, undecided: tuple[float, float] | None = None
) -> Evidence:
    """Return what the decision value of an image is made of; threshold and undecided range are scores."""
    start, parts = contributions(model, features)
    groups = tuple(
        GroupEvidence(group, float(parts[group.start : group.end].sum()), parts[group.start : group.end])
        for group in feature_layout(model.spec, len(parts), [part.name for part in model.parts])
    )
    return Evidence(
        decision_value=start + float(parts.sum()),
        boundary=boundary_of(model, threshold),
        start=start,
        groups=groups,
        method=METHODS[model.classifier.kind],
        undecided=None if undecided is None else (boundary_of(model, undecided[0]), boundary_of(model, undecided[1])),
    )


def boundary_of(model: Model, threshold: float) -> float:
    """Return the decision value whose score is the threshold; scores rise with decision values."""
    slope = model.calibration.slope
    low, high = float(model.calibration.values[0]) - 50 / slope, float(model.calibration.values[-1]) + 50 / slope
    for _ in range(STEPS):
        middle = (low + high) / 2
        below = float(model.calibration.scores(np.array([middle]))[0]) < threshold
        low, high = (middle, high) if below else (low, middle)
    return (low + high) / 2
