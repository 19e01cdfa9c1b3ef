"""Turn what a model remembers of its training images into plain values and arrays, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spectral_detect.detector.content.numbers import name_of, number
from spectral_detect.detector.memory.files import MARK_DIGITS, MAX_MARKS
from spectral_detect.detector.memory.summary import MAX_POSITIONS, TrainingSummary
from spectral_detect.errors import ModelFileError
from spectral_detect.records import LABELS

MARKS = "file_marks"
SUMMARY_ARRAYS = (
    "feature_means", "feature_deviations", "profile_means", "profile_deviations", "positions", "labels", "source_of"
)  # fmt: skip


def plain_summary(summary: TrainingSummary) -> dict[str, Any]:
    """Return all of a summary but its arrays, for the header of a model file."""
    return {"sources": list(summary.sources), "tile_disagreement": summary.tile_disagreement}


def summary_arrays(summary: TrainingSummary) -> dict[str, np.ndarray]:
    """Return the arrays by their names in a model file."""
    return {f"summary_{name}": getattr(summary, name) for name in SUMMARY_ARRAYS}


def summary_from_plain(values: Mapping[str, Any] | None, arrays: Mapping[str, np.ndarray]) -> TrainingSummary | None:
    """Return the summary of a header and arrays; None if a model has none. `ModelFileError` if it is not valid."""
    if values is None:
        return None
    found = {name: arrays[f"summary_{name}"] for name in SUMMARY_ARRAYS}
    limit = values["tile_disagreement"]
    summary = TrainingSummary(
        **{**found, "labels": found["labels"].astype(int), "source_of": found["source_of"].astype(int)},
        sources=tuple(map(name_of, values["sources"])),
        tile_disagreement=None if limit is None else number(limit),
    )
    n_images = len(summary.labels)
    n_bins, n_directions = summary.profile_means.shape[1], arrays.get("cloud_directions", np.empty((0, 0))).shape[0]
    fits = summary.feature_means.shape == summary.feature_deviations.shape == (2, *arrays["mean"].shape)
    fits &= summary.profile_means.shape == summary.profile_deviations.shape == (2, n_bins)
    fits &= summary.positions.shape == (n_images, n_directions) and n_images <= MAX_POSITIONS
    fits &= summary.labels.shape == summary.source_of.shape and bool(np.isin(summary.labels, [*LABELS.values()]).all())
    fits &= bool(((summary.source_of >= 0) & (summary.source_of < len(summary.sources))).all())
    if not fits or min(summary.feature_deviations.min(), summary.profile_deviations.min(initial=0.0)) < 0:
        raise ModelFileError("damaged: what it holds of its training images does not fit", remedy="train it again")
    return summary


def marks_from_plain(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the marks among the arrays of a model file, none of an older one; `ModelFileError` if they are none."""
    marks = arrays.get(MARKS, np.empty(0))
    is_sound = marks.ndim == 1 and len(marks) <= MAX_MARKS and bool((np.diff(marks) > 0).all())
    if not is_sound or not bool(((marks >= 0) & (marks < 16**MARK_DIGITS) & (marks % 1 == 0)).all()):
        raise ModelFileError("damaged: what it knows of its training files is not valid", remedy="train it again")
    return marks
