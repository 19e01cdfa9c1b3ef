"""The results of an evaluation, as frozen dataclasses of plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spectral_detect.detector.metric_values import Confusion, Estimate, Metrics, PredictiveValues, plain_estimates
from spectral_detect.records import CLASS_NAMES


@dataclass(frozen=True)
class DecidedImages:
    """The images with a verdict, and the errors among them.

    Attributes
    ----------
    accuracy : float or None
        Share of right verdicts, at the prevalence if there is one; None if no image was decided.
    confusion : Confusion
        True class -> called class -> count.
    """

    n_real: int
    n_fake: int
    n_errors: int
    accuracy: float | None
    confusion: Confusion

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return dict(vars(self))


@dataclass(frozen=True)
class VideoMetrics:
    """The metrics of whole videos; None if all videos are of one class.

    Attributes
    ----------
    n_ties : int or None
        Videos half of whose frames are called fake, which is no majority.
    majority : Metrics or None
        By the share of fakes among the frames.
    mean : Metrics or None
        By the mean score of the frames.
    """

    n_videos: int
    n_ties: int | None = None
    majority: Metrics | None = None
    mean: Metrics | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        if self.majority is None or self.mean is None:
            return {"n_videos": self.n_videos}
        return {**vars(self), "majority": self.majority.to_dict(), "mean": self.mean.to_dict()}


@dataclass(frozen=True)
class RobustnessRow:
    """The metrics of a model after an edit of the images; None if the edit left nothing of a class.

    Attributes
    ----------
    edit, strength : str, float or None
        Name of the edit, "none" for the images as they are, and its strength.
    n_failed : int or None
        Files without features: an image may become too small.
    false_alarm_rate, miss_rate : float or None
        Shares of the reals and of the fakes on the wrong side of the stored threshold.
    """

    edit: str
    strength: float | None
    n_failed: int | None = None
    balanced_accuracy: Estimate | None = None
    auroc: Estimate | None = None
    inconclusive_rate: float | None = None
    false_alarm_rate: float | None = None
    miss_rate: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        estimates = {"balanced_accuracy": self.balanced_accuracy, "auroc": self.auroc}
        return {
            "edit": self.edit,
            "strength": self.strength,
            "n_failed": self.n_failed,
            **plain_estimates(estimates),
            "inconclusive_rate": self.inconclusive_rate,
            "false_alarm_rate": self.false_alarm_rate,
            "miss_rate": self.miss_rate,
        }


@dataclass(frozen=True)
class LearningCurveRow:
    """Mean and standard deviation, over the draws, of the metrics of detectors trained on `n_train` images."""

    n_train: int
    n_draws: int
    balanced_accuracy: float
    balanced_accuracy_sd: float
    auroc: float
    auroc_sd: float

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return dict(vars(self))


@dataclass(frozen=True)
class Evaluation:
    """The quality of a model on labelled images.

    Attributes
    ----------
    model, model_sha256, spec_sha256 : str
        Name and hash of the model, and hash of its features.
    calibration : str
        Kind of the model's calibration.
    metrics : Metrics
        The metrics of all images, by score >= threshold.
    inconclusive_rate : float
        Share of the images that a scan would not decide.
    inconclusive : mapping of str to int
        Reason -> number of such images.
    decided : DecidedImages
        The images with a verdict.
    errors_avoided : int
        Inconclusive images that the score has wrong.
    n_failed : int
        Files without features.
    n_trained_on : int
        Images known to be training images of the model, see `evaluate.count_trained_on`; the numbers flatter it there.
    videos : VideoMetrics or None
        None if there are stills only.
    at_prevalence : PredictiveValues or None
        None without a prevalence.
    robustness, curve : tuple or None
        None if they were not measured, see `robustness.measure_robustness` and `learning_curve.learning_curve`.
    class_names : (str, str)
        What the model calls real and fake.
    named : mapping of str to mapping of str to int, or None
        Of the images of each class, "real" and "fake", how many the model gave which name; None if it names no
        generators. Images that it cannot judge have no name.
    """

    model: str
    model_sha256: str
    spec_sha256: str
    calibration: str
    metrics: Metrics
    inconclusive_rate: float
    inconclusive: Mapping[str, int]
    decided: DecidedImages
    errors_avoided: int
    n_failed: int
    n_trained_on: int = 0
    videos: VideoMetrics | None = None
    at_prevalence: PredictiveValues | None = None
    robustness: tuple[RobustnessRow, ...] | None = None
    curve: tuple[LearningCurveRow, ...] | None = None
    class_names: tuple[str, str] = CLASS_NAMES
    named: Mapping[str, Mapping[str, int]] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON; without what was not measured."""
        optional: dict[str, Any] = {}
        if self.named is not None:
            optional["named"] = {label: dict(counts) for label, counts in self.named.items()}
        if self.class_names != CLASS_NAMES:
            optional["class_names"] = list(self.class_names)
        if self.videos is not None:
            optional["videos"] = self.videos.to_dict()
        if self.at_prevalence is not None:
            optional["at_prevalence"] = self.at_prevalence.to_dict()
        if self.robustness is not None:
            optional["robustness"] = [row.to_dict() for row in self.robustness]
        if self.curve is not None:
            optional["curve"] = [row.to_dict() for row in self.curve]
        return {
            "model": self.model,
            "model_sha256": self.model_sha256,
            "spec_sha256": self.spec_sha256,
            "calibration": self.calibration,
            **self.metrics.to_dict(),
            "inconclusive_rate": self.inconclusive_rate,
            "inconclusive": dict(self.inconclusive),
            "decided": self.decided.to_dict(),
            "errors_avoided": self.errors_avoided,
            **optional,
            "n_failed": self.n_failed,
            "n_trained_on": self.n_trained_on,
        }
