"""How a score becomes a verdict."""

from __future__ import annotations

from dataclasses import dataclass

from spectral_detect.arguments import is_number
from spectral_detect.detector.model import Model
from spectral_detect.errors import ModelFileError, OptionError
from spectral_detect.extraction.one_file import Edits
from spectral_detect.media.edits import Edit
from spectral_detect.records import Verdict

STABILITY = (Edit("jpeg", 90), Edit("crop", 0.9), Edit("resize", 0.9))  # what a platform does on the way


@dataclass(frozen=True)
class Rules:
    """How a score becomes a verdict.

    Attributes
    ----------
    threshold : float or None
        Used in place of the model's own.
    min_confidence : float or None
        A verdict that is less probable than this is inconclusive.
    prevalence : float or None
        The share of fakes among such images, for the probability of fake; 0.5 if it is None.
    stability : bool
        Whether an image is inconclusive if its verdict flips under `STABILITY`.

    Raises
    ------
    OptionError
        A number is not from 0 to 1.
    """

    threshold: float | None = None
    min_confidence: float | None = None
    prevalence: float | None = None
    stability: bool = False

    def __post_init__(self) -> None:
        for name in ("threshold", "min_confidence", "prevalence"):
            value = getattr(self, name)
            if value is not None and not (is_number(value) and 0 <= value <= 1):
                raise OptionError(f"{name} is {value!r}", remedy="it must be a number from 0 to 1, or None")

    @property
    def edits(self) -> Edits:
        """The edits after which the features of each image are needed."""
        return (None, *STABILITY) if self.stability else (None,)

    def threshold_of(self, model: Model) -> float:
        """Return the threshold by which a model judges."""
        return model.threshold if self.threshold is None else self.threshold

    def limit_of(self, model: Model, score: float) -> float:
        """Return the score from which on, or up to which, an image of this score has its verdict."""
        threshold, (low, high) = self.threshold_of(model), model.undecided or (0.0, 0.0)
        if self.threshold is not None or low >= high:
            return threshold
        if score >= threshold:
            return max(high, threshold)
        return low if score <= low else threshold

    def check(self, model: Model) -> None:
        """Check that a model gives the probabilities that the rules need.

        Raises
        ------
        ModelFileError
            Its scores are not calibrated, none of its verdicts can be as sure as `min_confidence` asks, or `stability`
            is asked of a model of images of one size.
        """
        if self.stability and model.spec.group_sizes is None:
            raise ModelFileError(
                f"the model {model.name or 'given'} takes images of one size, without bins, which `stability` changes",
                remedy="leave it out, or train a model with `n_bins`",
            )
        if self.min_confidence is None and self.prevalence is None:
            return
        if model.calibration.kind == "none":
            raise ModelFileError(
                f"the scores of the model {model.name or 'given'} are not calibrated (too few independent images, "
                "or no labels): `min_confidence`, `prevalence` and `vote=pooled` need 10 or more of each class at "
                "training"
            )
        surest = self._surest(model)
        if self.min_confidence is not None and self.min_confidence > surest:
            n_real, n_fake = model.calibration.n_real, model.calibration.n_fake
            real, fake = model.class_names
            raise ModelFileError(
                f"no verdict of the model {model.name or 'given'} is surer than {surest:.3f}, all that the "
                f"{n_real} {real} and {n_fake} {fake} groups of its calibration (images that belong together are "
                "one) support: ask for less"
            )

    def posterior(self, log10_ratio: float) -> float:
        """Return the probability of fake by a likelihood ratio, at the prevalence of the rules."""
        return posterior_of(log10_ratio, 0.5 if self.prevalence is None else self.prevalence)

    def confidence(self, log10_ratio: float, verdict: Verdict) -> float:
        """Return the probability of a verdict, "real" or "fake", by a likelihood ratio."""
        posterior = self.posterior(log10_ratio)
        return posterior if verdict == "fake" else 1 - posterior

    def where(self, model: Model, *, speaks_against: bool) -> str:
        """Say at which prevalence a verdict is improbable, and whether its score alone speaks against it."""
        if self.prevalence is None:
            return ""
        also = ", and of less than half also where both are equally frequent" if speaks_against else ""
        return f" where {100 * self.prevalence:g} % are {model.class_names[1]}{also}"

    def _surest(self, model: Model) -> float:
        ratios = [model.calibration.log10_likelihood_ratio(score) or 0.0 for score in (0.0, 1.0)]
        return max(1 - self.posterior(ratios[0]), self.posterior(ratios[1]))


def posterior_of(log10_ratio: float, prevalence: float) -> float:
    """Return the probability of fake by Bayes' rule in odds; a prevalence of 0 or 1 leaves nothing to find out."""
    if prevalence in (0.0, 1.0):
        return prevalence
    odds = 10**log10_ratio * prevalence / (1 - prevalence)
    return float(odds / (1 + odds))
