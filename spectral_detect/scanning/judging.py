"""Features and models -> a score, a verdict, and what speaks against trusting it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from spectral_detect._version import __version__
from spectral_detect.detector.model import Model
from spectral_detect.errors import ModelFileError
from spectral_detect.extraction.one_file import Edits, Extraction
from spectral_detect.media.edits import Edit
from spectral_detect.outputs.made_with import MadeWith
from spectral_detect.records import Verdict

GUESS = "the model was trained without labels: which cluster it calls fake is a guess"
STABILITY = (Edit("jpeg", 90), Edit("crop", 0.9), Edit("resize", 0.9))  # what a platform does on the way

Reason = Literal["constant image", "outside experience", "low confidence", "depends on delivery"]


@dataclass(frozen=True)
class Rules:
    """How a score becomes a verdict.

    Attributes
    ----------
    threshold : in place of the model's own.
    min_confidence : a verdict less probable than this is inconclusive.
    prevalence : the share of fakes among such images, for the probability of fake (0.5 where it is None).
    stability : whether an image whose verdict flips under `STABILITY` is inconclusive.
    """

    threshold: float | None = None
    min_confidence: float | None = None
    prevalence: float | None = None
    stability: bool = False

    @property
    def edits(self) -> Edits:
        """What each image has to be extracted with."""
        return (None, *STABILITY) if self.stability else (None,)

    def check(self, models: Sequence[Model]) -> None:
        """`ModelFileError` where a rule needs probabilities that a model does not give, or never gives."""
        if self.min_confidence is None and self.prevalence is None:
            return
        for model in models:
            if model.calibration.kind == "none":
                raise ModelFileError(
                    f"the scores of the model {model.name or 'given'} are not calibrated (too few independent images, "
                    "or no labels): --min-confidence, --prevalence and --vote pooled need 10 or more of each class at "
                    "training"
                )
            surest = self._surest(model)
            if self.min_confidence is not None and self.min_confidence > surest:
                n_real, n_fake = model.calibration.n_real, model.calibration.n_fake
                raise ModelFileError(
                    f"no verdict of the model {model.name or 'given'} is surer than {surest:.3f}, all that the "
                    f"{n_real} real and {n_fake} fake images of its calibration support: ask for less"
                )

    def _surest(self, model: Model) -> float:
        prevalence = self.prevalence or 0.5
        ratios = [model.calibration.log10_likelihood_ratio(score) or 0.0 for score in (0.0, 1.0)]
        return max(1 - posterior_of(ratios[0], prevalence), posterior_of(ratios[1], prevalence))


def settings_sha256(models: Sequence[Model], rules: Rules, **others: Any) -> str:
    """Hash of what turns a file into a verdict: the hashes of the models that may judge, their features, the rules.

    The limits of size and time are not in it: they decide what fails, and what failed is tried again on resuming.

    Parameters
    ----------
    others : further settings as plain values, such as those of a video's frames.
    """
    settings = {
        "models": [model.sha256 for model in models],
        "spec": models[0].spec.sha256,
        "rules": asdict(rules),
        **others,
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def origin_of(models: Sequence[Model], rules: Rules, settings: str, vote: str | None = None) -> MadeWith:
    """Of the records that these models will make; `settings` is the hash of all these."""
    spec = models[0].spec.sha256
    thresholds = {m.threshold if rules.threshold is None else rules.threshold for m in models}
    return MadeWith(
        {"tool_version": __version__, "spec_sha256": spec, "settings_sha256": settings},
        frozenset(m.sha256 for m in models),
        frozenset(str(float(t)) for t in thresholds),
        rules.prevalence is not None,
        vote,
    )


@dataclass(frozen=True)
class Judgement:
    """What is made of one image.

    Attributes
    ----------
    reason : why it is inconclusive; None where it is not.
    posterior : the probability of fake at the prevalence of the rules; None without a calibration.
    """

    model: Model
    score: float
    threshold: float
    verdict: Verdict
    reason: Reason | None
    warnings: tuple[str, ...]
    log10_likelihood_ratio: float | None
    posterior: float | None


def judge(variants: Sequence[Extraction], models: Sequence[Model], rules: Rules) -> Judgement:
    """Judge one image by the model in whose experience it lies most.

    Parameters
    ----------
    variants : the image as it is, with features; then, for `Rules.stability`, after each edit.
    """
    image = variants[0]
    model, objections = nearest_model(image, models)
    threshold = model.threshold if rules.threshold is None else rules.threshold
    score = _score(image, model)
    called: Verdict = "fake" if score >= threshold else "real"
    log_ratio = model.calibration.log10_likelihood_ratio(score)
    if image.is_constant:
        log_ratio = None
    posterior = None if log_ratio is None else posterior_of(log_ratio, rules.prevalence or 0.5)

    doubts: list[tuple[Reason, str]] = []
    if image.is_constant:
        doubts.append(("constant image", ""))  # its own warning says so
    else:
        doubts += _outside(model, objections)
    notes: list[str] = []
    if posterior is not None:
        confidence = posterior if called == "fake" else 1 - posterior
        if rules.min_confidence is not None and confidence < rules.min_confidence:
            doubts.append(("low confidence", f"{called} with a probability of only {confidence:.3f}"))
        elif confidence < 0.5:
            notes.append(
                f"called {called} by the threshold of {threshold:.3f}, with a probability of only {confidence:.3f}"
            )
    if rules.stability:
        doubts += [("depends on delivery", text) for text in _flips(variants[1:], model, threshold, called)]
    return Judgement(
        model=model,
        score=score,
        threshold=threshold,
        verdict="inconclusive" if doubts else called,
        reason=doubts[0][0] if doubts else None,
        warnings=(*(text for _, text in doubts if text), *notes, *((GUESS,) if model.is_guess else ())),
        log10_likelihood_ratio=log_ratio,
        posterior=posterior,
    )


def _outside(model: Model, objections: Sequence[str]) -> list[tuple[Reason, str]]:
    if not objections:
        return []
    return [("outside experience", f"outside the experience of the model {model.name}: {', '.join(objections)}")]


def nearest_model(image: Extraction, models: Sequence[Model]) -> tuple[Model, list[str]]:
    """The model in whose experience an image lies most, and what speaks against even that one."""
    width, height = image.width or 0, image.height or 0

    def rank(model: Model) -> tuple[int, bool, float, list[str]]:
        seen = model.experience
        if seen is None:
            return 0, False, 0.0, []
        distance = model.distance(np.asarray(image.features))
        objections = seen.objections(width, height, image.metadata, distance)
        return len(objections), not seen.covers(width, height), distance / seen.max_distance, objections

    ranks = [rank(model) for model in models]
    best = min(range(len(models)), key=lambda k: ranks[k][:3])
    return models[best], ranks[best][3]


def _score(image: Extraction, model: Model) -> float:
    return float(model.scores([np.asarray(image.features)])[0])


def posterior_of(log10_ratio: float, prevalence: float) -> float:
    """Bayes' rule in odds; a share of fakes of 0 or 1 leaves nothing to find out."""
    if prevalence in (0.0, 1.0):
        return prevalence
    odds = 10**log10_ratio * prevalence / (1 - prevalence)
    return float(odds / (1 + odds))


def _flips(variants: Sequence[Extraction], model: Model, threshold: float, called: Verdict) -> list[str]:
    """In words, the edits after which the other verdict would be given."""
    other = "real" if called == "fake" else "fake"
    scored = [(v.edit, _score(v, model)) for v in variants if v.features is not None and v.edit is not None]
    if not scored:
        return ["no mild edit leaves an image large enough to check whether the verdict depends on its delivery"]
    flipped = [f"{edit.title} ({score:.3f})" for edit, score in scored if (score >= threshold) != (called == "fake")]
    return [f"depends on delivery: {other} after {', '.join(flipped)}"] if flipped else []
