"""Evaluate a model on several generators: a row for each, and the means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spectral_detect.detector.metric_values import Estimate
from spectral_detect.detector.model import Model
from spectral_detect.errors import DatasetError
from spectral_detect.evaluation.evaluate import evaluate_model
from spectral_detect.evaluation.results import Evaluation
from spectral_detect.records import LABELS
from spectral_detect.scanning.rules import Rules
from spectral_detect.training.dataset import Dataset


@dataclass(frozen=True)
class WangRow:
    """Average precision on the images of one generator, whole and on the centre 224 x 224 pixels."""

    generator: str
    n_real: int
    n_fake: int
    no_crop: Estimate
    crop_224: Estimate

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        values: dict[str, Any] = {"generator": self.generator, "n_real": self.n_real, "n_fake": self.n_fake}
        for images, estimate in (("no_crop", self.no_crop), ("crop_224", self.crop_224)):
            values[f"average_precision_{images}"] = estimate.value
            values[f"average_precision_ci_{images}"] = [estimate.low, estimate.high]
        return values


@dataclass(frozen=True)
class WangTable:
    """A row for each generator, and the means over them (mAP)."""

    generators: tuple[WangRow, ...]
    mean_no_crop: float
    mean_crop_224: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        mean = {
            "average_precision_no_crop": self.mean_no_crop,
            "average_precision_crop_224": self.mean_crop_224,
        }
        return {"generators": [row.to_dict() for row in self.generators], "mean": mean}


@dataclass(frozen=True)
class GeneratorRow:
    """The evaluation of a model on the images of one generator."""

    generator: str
    evaluation: Evaluation

    @property
    def shares(self) -> dict[str, float | None]:
        """Return the numbers whose mean over generators is of interest: metrics, refusals, PPV, fakes rightly named."""
        shares = {name: _value(estimate) for name, estimate in self.evaluation.metrics.estimates.items()}
        shares["inconclusive_rate"] = self.evaluation.inconclusive_rate
        if self.evaluation.at_prevalence is not None:
            shares["ppv"] = _value(self.evaluation.at_prevalence.ppv)
        if self.evaluation.named is not None:
            shares["named"] = self.evaluation.named["fake"].get(self.generator, 0) / self.evaluation.metrics.n_fake
        return shares

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        values = {"generator": self.generator, **self.evaluation.to_dict()}
        del values["n_failed"]  # that of all generators stands in the table
        return values | {name: self.shares[name] for name in ("ppv",) if name in self.shares}


def _value(estimate: Estimate | None) -> float | None:
    return None if estimate is None else estimate.value


@dataclass(frozen=True)
class GeneratorTable:
    """A row for each generator, and the means, in which each generator counts once.

    Attributes
    ----------
    mean : mapping of str to float or None
        Mean of each of `GeneratorRow.shares`; None if a generator lacks it.
    n_failed : int
        Files that could not be used.
    wang : WangTable or None
        None if it was not measured.
    """

    model: str
    generators: tuple[GeneratorRow, ...]
    mean: Mapping[str, float | None]
    n_failed: int = 0
    wang: WangTable | None = None

    @property
    def class_names(self) -> tuple[str, str]:
        """What the model calls real and fake."""
        return self.generators[0].evaluation.class_names

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        values: dict[str, Any] = {
            "model": self.model,
            "generators": [row.to_dict() for row in self.generators],
            "mean": dict(self.mean),
            "n_failed": self.n_failed,
        }
        return values if self.wang is None else values | {"wang": self.wang.to_dict()}


def evaluate_by_generator(
    model: Model, dataset: Dataset, members: Mapping[str, np.ndarray], rules: Rules | None = None, *, seed: int = 0
) -> GeneratorTable:
    """Call `evaluate_model` on each generator, and average, each generator counting once whatever its size.

    Parameters
    ----------
    model : Model
        The model to measure.
    dataset : Dataset
        The images of all generators, read with the model's spec.
    members : mapping of str to np.ndarray
        Generator -> indices of its images, fakes and reals; see `dataset.members_of`.
    rules : Rules, optional
        The rules of a scan.
    seed : int
        Seed of the bootstrap.

    Raises
    ------
    DatasetError
        A generator has no image of a class; or as `evaluate_model` does.
    """
    for name, at in members.items():
        if missing := [title for title, label in LABELS.items() if label not in dataset.y[at]]:
            raise DatasetError(f"{name!r} has no usable {missing[0]} image", remedy="leave it out, or mend its files")
    rows = tuple(
        GeneratorRow(name, evaluate_model(model, dataset.select(at), rules, seed=seed)) for name, at in members.items()
    )
    shares = [row.shares for row in rows]
    means = {name: _mean([s[name] for s in shares]) for name in shares[0]}
    return GeneratorTable(model.name, rows, means, n_failed=len(dataset.failures))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return None if len(known) < len(values) else float(np.mean(known))


def wang_protocol(
    model: Model,
    rows: Sequence[GeneratorRow],
    cropped: Dataset,
    members: Mapping[str, np.ndarray],
    *,
    seed: int = 0,
) -> WangTable:
    """Return the average precision of each generator without a crop and on the centre 224 x 224 pixels.

    Parameters
    ----------
    model : Model
        The model to measure.
    rows : sequence of GeneratorRow
        The rows of the whole images, of `evaluate_by_generator`.
    cropped, members : Dataset, mapping of str to np.ndarray
        The same files, read with `edits.CENTRE_224`, and the indices of each generator.
    seed : int
        Seed of the bootstrap.

    Notes
    -----
    As in the tables of Wang et al., CVPR 2020. Theirs pad images smaller than the crop; here they stay as they are.
    """
    centres = evaluate_by_generator(model, cropped, members, seed=seed).generators
    both = tuple(
        WangRow(
            whole.generator,
            whole.evaluation.metrics.n_real,
            whole.evaluation.metrics.n_fake,
            whole.evaluation.metrics.average_precision,
            centre.evaluation.metrics.average_precision,
        )
        for whole, centre in zip(rows, centres, strict=True)
    )
    no_crop, crop_224 = ([row.no_crop.value for row in both], [row.crop_224.value for row in both])
    return WangTable(both, float(np.mean(no_crop)), float(np.mean(crop_224)))
