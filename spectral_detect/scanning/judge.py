"""Features become a score, a verdict, the reasons against trusting it, and a record."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from spectral_detect._version import __version__
from spectral_detect.detector.memory.files import TRAINING_IMAGE
from spectral_detect.detector.model import Model
from spectral_detect.detector.naming import Named
from spectral_detect.detector.track_record import TrackRecord, track_record_of
from spectral_detect.errors import ModelFileError
from spectral_detect.extraction.one_file import Edits, Extraction, Extractor, lost
from spectral_detect.features.spec import FeatureSpec
from spectral_detect.media.delivery import Delivery
from spectral_detect.media.limits import Limits
from spectral_detect.outputs.made_with import MadeWith
from spectral_detect.parallel.task import Cost
from spectral_detect.provenance.findings import Depth
from spectral_detect.records import BY_SCORE, LABELS, ImageRecord, Reason, Verdict
from spectral_detect.scanning.doubts import flips, outside_experience, score_of, undecided_score
from spectral_detect.scanning.names import contradictions, disagreement, name_columns, named_by
from spectral_detect.scanning.rules import Rules
from spectral_detect.scanning.too_small import error_of

GUESS = "the model was trained without labels: which cluster it calls fake is a guess"
ONE_SIZE = "the model was trained on images of one other size, without bins; train one with `n_bins`"


@dataclass(frozen=True)
class Judgement:
    """The score of one image and its verdict.

    Attributes
    ----------
    model : Model
        The one that judged.
    reason : Reason or None
        Why the verdict is inconclusive; None if it is not.
    such_files : TrackRecord or None
        How the model did on files coded like this one; None if it holds no such record, cannot judge such an image, or
        the scan has a threshold of its own.
    posterior : float or None
        The probability of fake at the prevalence of the rules; None without a calibration.
    parts : str or None
        What each part of a fused model says, see `ImageRecord.parts`.
    named : Named or None
        What the image is most like; None if the model names no generators, or cannot judge it.
    undecided : (float, float) or None
        See `Judge.undecided_of`.
    """

    model: Model
    score: float
    threshold: float
    verdict: Verdict
    reason: Reason | None
    warnings: tuple[str, ...]
    log10_likelihood_ratio: float | None
    posterior: float | None
    such_files: TrackRecord | None = None
    parts: str | None = None
    named: Named | None = None
    undecided: tuple[float, float] | None = None


@dataclass(frozen=True, eq=False)
class Judge:
    """The models and rules of a scan: a task that turns what one image gave into its record.

    Attributes
    ----------
    models : sequence of Model
        Several of one spec judge together: each image is judged by the one in whose experience it lies most.
    rules : Rules
        How a score becomes a verdict.
    provenance : {"none", "header", "full"}
        How far to look for what each file says of its origin; it stands beside the verdict and never changes it.

    Raises
    ------
    ModelFileError
        The models take different features, or do not give what the rules need.
    """

    models: Sequence[Model]
    rules: Rules = field(default_factory=Rules)
    provenance: Depth = "header"

    def __post_init__(self) -> None:
        if len({model.spec.sha256 for model in self.models}) != 1:
            raise ModelFileError(
                "several models scan together only if they take the same features", remedy="name one with `model`"
            )
        if len({model.delivery for model in self.models}) != 1:
            raise ModelFileError(
                "several models scan together only if they take images delivered alike", remedy="name one with `model`"
            )
        self.rules.check(self.models)

    @property
    def spec(self) -> FeatureSpec:
        """The features that the models take."""
        return self.models[0].spec

    @property
    def delivery(self) -> Delivery | None:
        """What the models' images go through before their features."""
        return self.models[0].delivery

    @property
    def edits(self) -> Edits:
        """The edits after which the features of each image are needed."""
        return self.rules.edits

    @property
    def cost(self) -> Cost:
        """The cost of a record: one vector is scored in microseconds, many tiles take as long as decoding."""
        return "short" if self.spec.gives_tiles else "trivial"

    @property
    def settings(self) -> dict[str, Any]:
        """All that turns a file into a verdict, as plain values."""
        return self.settings_and(**({} if self.provenance == "header" else {"provenance": self.provenance}))

    @cached_property
    def settings_sha256(self) -> str:
        """The hash of `settings`."""
        return hash_of_settings(self.settings)

    def settings_and(self, **others: Any) -> dict[str, Any]:
        """Return models, their features, rules and further settings (plain values).

        The limits of size and time are not in it: they decide what fails, and a file that failed is tried again when
        the scan is resumed.
        """
        return {
            "models": [model.sha256 for model in self.models],
            "spec": self.spec.sha256,
            "delivery": asdict(self.delivery) if self.delivery else None,
            "rules": asdict(self.rules),
            **others,
        }

    @property
    def class_names(self) -> tuple[str, str]:
        """What the models call real and fake; only a model that judges alone has names of its own."""
        return self.models[0].class_names

    @property
    def made_with(self) -> MadeWith:
        """What the records are made with."""
        return self.made_with_settings(self.settings_sha256)

    def made_with_settings(self, settings_sha256: str, vote: str | None = None) -> MadeWith:
        """Return what records are made with that further settings are behind."""
        thresholds = {self.rules.threshold_of(model) for model in self.models}
        return MadeWith(
            {"tool_version": __version__, "spec_sha256": self.spec.sha256, "settings_sha256": settings_sha256},
            frozenset(model.sha256 for model in self.models),
            frozenset(str(float(threshold)) for threshold in thresholds),
            self.rules.prevalence is not None,
            vote,
        )

    def extractor(self, limits: Limits | None = None) -> Extractor:
        """Return what extracts the features that the judge needs."""
        return Extractor(
            self.spec,
            self.edits,
            limits=limits or Limits(),
            delivery=self.delivery,
            seeks_faces=any(model.experience and model.experience.needs_portrait for model in self.models),
            provenance=self.provenance,
        )

    # ------------------------------------------------------------------------------------------------------- records

    def __call__(self, variants: Sequence[Extraction]) -> ImageRecord:
        """Return the record of one image, given as it is and after each edit."""
        image, judgement, error = variants[0], None, error_of(variants[0], self.models)
        if image.features is not None:
            error = self.misfit(image)
            judgement = None if error else self.judge(variants)
        said, verdict = image.provenance, judgement.verdict if judgement else None
        class_name = judgement.model.class_name(judgement.verdict) if judgement else None
        told = (*judgement.warnings, *disagreement(judgement.verdict, judgement.named)) if judgement else ()
        told += self._known_already(judgement.model, image) if judgement else ()
        return ImageRecord(
            path=image.path,
            sha256=image.sha256,
            size_bytes=image.size_bytes,
            mtime_ns=image.mtime_ns,
            width=image.width,
            height=image.height,
            format=image.format,
            **(self._unjudged() if judgement is None else self._judged(judgement)),
            spec_sha256=self.spec.sha256,
            settings_sha256=self.settings_sha256,
            tool_version=__version__,
            warnings=(*contradictions(None if class_name else verdict, said), *image.warnings, *told),
            error=error,
            coding=image.coding.title if image.coding else None,
            delivery=self.delivery.title if self.delivery else None,
            provenance=said.line if said else None,
            says_generated=said.says_generated if said else None,
            class_name=class_name,
        )

    def failed(self, variants: Sequence[Extraction], reason: str) -> ImageRecord:
        """Return the record of an image that could not be judged, and why."""
        return self(lost(tuple(variants), reason))

    def _known_already(self, model: Model, image: Extraction) -> tuple[str, ...]:
        """Return a warning if the model learned the image with its label."""
        return (TRAINING_IMAGE,) if not model.is_guess and model.was_trained_on(image.sha256, None) else ()

    def misfit(self, image: Extraction) -> str | None:
        """Return why the features are not those that the models take; None if they are."""
        fits = image.features is None or image.features.shape[-1:] == (self.models[0].n_features,)
        return None if fits else ONE_SIZE

    def _judged(self, judgement: Judgement) -> dict[str, Any]:
        """Return the columns that a judgement fills."""
        known = judgement.such_files
        return {
            "verdict": judgement.verdict,
            "label": LABELS.get(judgement.verdict),
            "score": judgement.score,
            "threshold": judgement.threshold,
            "model": judgement.model.name,
            "model_sha256": judgement.model.sha256,
            "log10_likelihood_ratio": judgement.log10_likelihood_ratio,
            "posterior": None if self.rules.prevalence is None else judgement.posterior,
            "model_balanced_accuracy": judgement.model.balanced_accuracy,
            "verdict_right": known.right(judgement.verdict) if known else None,
            "such_files": known.line_for(judgement.model.class_names) if known else None,
            "reason": judgement.reason,
            "parts": judgement.parts,
            **name_columns(judgement.named),
        }

    def _unjudged(self) -> dict[str, Any]:
        """Return the columns of `_judged` without a judgement: the model is named if there was no choice."""
        unknown = (
            "verdict", "label", "score", "model", "model_sha256", "log10_likelihood_ratio", "posterior",
            "model_balanced_accuracy",
        )  # fmt: skip
        columns = dict.fromkeys(unknown) | {"threshold": self.rules.threshold}
        if len(self.models) == 1:
            (model,) = self.models
            columns |= {
                "model": model.name,
                "model_sha256": model.sha256,
                "model_balanced_accuracy": model.balanced_accuracy,
                "threshold": self.rules.threshold_of(model),
            }
        return columns

    def undecided_of(self, model: Model) -> tuple[float, float] | None:
        """Return the zone of scores that a model leaves undecided; a threshold of one's own decides all."""
        if model.undecided is None or self.rules.threshold is not None or model.undecided[0] >= model.undecided[1]:
            return None
        return model.undecided

    # ---------------------------------------------------------------------------------------------------- judgements

    def judge(self, variants: Sequence[Extraction]) -> Judgement:
        """Judge one image by the model in whose experience it lies most.

        Parameters
        ----------
        variants : sequence of Extraction
            The image as it is, with features; then after each edit.
        """
        image = variants[0]
        model, objections = nearest_model(image, self.models)
        threshold = self.rules.threshold_of(model)
        score = score_of(image, model)
        called: Verdict = "fake" if score >= threshold else "real"
        name = model.class_name(called) or called
        ratio = None if image.is_constant else model.calibration.log10_likelihood_ratio(score)
        posterior = None if ratio is None else self.rules.posterior(ratio)
        doubts, notes = outside_experience(image, model, objections), []
        confidence = None if posterior is None else posterior if called == "fake" else 1 - posterior
        if confidence is not None and confidence < (self.rules.min_confidence or 0.0):
            doubts.append(("low confidence", f"{name} with a probability of only {confidence:.3f}"))
        elif confidence is not None and confidence < 0.5:
            where = self.rules.where(model, speaks_against=(called == "fake") != ((ratio or 0.0) >= 0))
            at = f"called {name} by the threshold of {self.rules.limit_of(model, score):.3f}"
            notes.append(f"{at}, with a probability of only {confidence:.3f}{where}")
        means_something = all(reason in BY_SCORE for reason, _ in doubts)
        if means_something:
            doubts += undecided_score(model, score, self.undecided_of(model))
        if self.rules.stability:
            doubts += flips(variants[1:], model, threshold, called)
        return Judgement(
            model=model,
            score=score,
            threshold=threshold,
            verdict="inconclusive" if doubts else called,
            reason=doubts[0][0] if doubts else None,
            warnings=(
                *(text for _, text in doubts if text),
                *(() if doubts else notes),
                *((GUESS,) if model.is_guess else ()),
            ),
            log10_likelihood_ratio=ratio,
            posterior=posterior,
            such_files=track_record_of(model.track_record, image.coding)
            if means_something and self.rules.threshold is None
            else None,
            parts=None if image.is_constant else model.parts_line(np.asarray(image.features)),
            named=named_by(model, image) if means_something else None,
            undecided=self.undecided_of(model),
        )


def hash_of_settings(settings: dict[str, Any]) -> str:
    """Return the hash by which records tell what they were judged with; the settings may have been read from JSON."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def as_models(model: Model | Sequence[Model]) -> tuple[Model, ...]:
    """Return one model or several as a tuple."""
    return (model,) if isinstance(model, Model) else tuple(model)


def nearest_model(image: Extraction, models: Sequence[Model]) -> tuple[Model, list[str]]:
    """Return the model in whose experience an image lies most, and the objections even to that one.

    The fewest objections come first, then a model that has seen images of about that size, then the least distance.
    """
    width, height = image.width or 0, image.height or 0

    def rank(model: Model) -> tuple[int, bool, float, list[str]]:
        seen = model.experience
        if seen is None:
            return 0, False, 0.0, []
        distance = model.distance(np.asarray(image.features))
        objections = seen.objections(width, height, image.coding, distance, is_portrait=image.is_portrait)
        objections += filter(None, [model.outsider(np.asarray(image.features))])
        return len(objections), not seen.covers(width, height), distance, objections

    ranks = [rank(model) for model in models]
    best = min(range(len(models)), key=lambda k: ranks[k][:3])
    return models[best], ranks[best][3]
