"""The numbers of an evaluation as frozen dataclasses: estimates with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Confusion = Mapping[str, Mapping[str, int]]  # true class -> called class -> count

METRICS = (
    "accuracy",
    "balanced_accuracy",
    "real_accuracy",
    "fake_accuracy",
    "average_precision",
    "auroc",
    "eer",
    "tpr_at_fpr_5",
    "tpr_at_fpr_1",
    "ece",
    "brier",
    "cllr",
    "cllr_min",
    "oracle_accuracy",
)


@dataclass(frozen=True)
class Estimate:
    """A measured number and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Metrics:
    """All metrics of scored, labelled samples, see `metrics.evaluate_scores`.

    Attributes
    ----------
    n_fewest_groups : int
        Groups of the class that has fewer.
    threshold : float
        A score at or above it counts as fake.
    oracle_threshold : float
        The threshold that is best on these very samples, which nobody knows beforehand.
    confusion : Confusion
        True class -> called class -> count.
    accuracy, balanced_accuracy, real_accuracy, fake_accuracy : Estimate
        Shares of right answers at the threshold: of all, the mean of both classes, of each class.
    oracle_accuracy : Estimate
        Balanced accuracy at the oracle's threshold.
    tpr_at_fpr_5, tpr_at_fpr_1 : Estimate or None
        None if there are too few reals for such a rate, see `metrics.REALS_NEEDED`.
    ece, brier, cllr, cllr_min : Estimate
        They judge the score as the probability of fake where both classes are equally frequent.
    """

    n_real: int
    n_fake: int
    n_groups: int
    n_fewest_groups: int
    threshold: float
    oracle_threshold: float
    confusion: Confusion
    accuracy: Estimate
    balanced_accuracy: Estimate
    real_accuracy: Estimate
    fake_accuracy: Estimate
    average_precision: Estimate
    auroc: Estimate
    eer: Estimate
    tpr_at_fpr_5: Estimate | None
    tpr_at_fpr_1: Estimate | None
    ece: Estimate
    brier: Estimate
    cllr: Estimate
    cllr_min: Estimate
    oracle_accuracy: Estimate

    @property
    def estimates(self) -> dict[str, Estimate | None]:
        """Return each of `METRICS` by its name."""
        return {name: getattr(self, name) for name in METRICS}

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON and for a model file: each metric, and `<metric>_ci` as [low, high]."""
        counts = {name: value for name, value in vars(self).items() if name not in METRICS}
        return counts | plain_estimates(self.estimates)


@dataclass(frozen=True)
class PredictiveValues:
    """The worth of a verdict at a prevalence, see `metrics.predictive_values`.

    Attributes
    ----------
    prevalence : float
        Share of fakes among the images.
    ppv, npv : Estimate or None
        Share of fakes among images called fake, and of reals among those called real; None if none was called so.
    """

    prevalence: float
    ppv: Estimate | None
    npv: Estimate | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return {"prevalence": self.prevalence, **plain_estimates({"ppv": self.ppv, "npv": self.npv})}


def plain_estimates(estimates: Mapping[str, Estimate | None]) -> dict[str, Any]:
    """Return `<name>` and `<name>_ci` as [low, high] for each estimate; both are None if there is none."""
    values: dict[str, Any] = {}
    for name, estimate in estimates.items():
        values[name] = None if estimate is None else estimate.value
        values[f"{name}_ci"] = None if estimate is None else [estimate.low, estimate.high]
    return values


def stored_estimates(values: Mapping[str, Any]) -> dict[str, Estimate | None]:
    """Return the estimates in the plain values of `Metrics.to_dict`, which a model file stores; None if missing."""
    return {
        name: None if values.get(name) is None else Estimate(values[name], *values[f"{name}_ci"]) for name in METRICS
    }


@dataclass(frozen=True)
class ReliabilityPoint:
    """The images of one bin of the score, a point of the reliability diagram, see `calibration_metrics.reliability`.

    Attributes
    ----------
    fake_share, low, high : float
        Share of fakes as if both classes were equally frequent, and its 95 % interval (Jeffreys).
    n : int
        Images in the bin.
    """

    mean_score: float
    fake_share: float
    low: float
    high: float
    n: int
