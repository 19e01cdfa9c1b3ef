"""Features become a score, a verdict, the reasons against trusting it, and a record."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, get_args

import numpy as np

from spectral_detect._version import __version__
from spectral_detect.arguments import require_choice
from spectral_detect.detector.memory.files import TRAINING_IMAGE
from spectral_detect.detector.model import Model
from spectral_detect.detector.naming import Named
from spectral_detect.detector.track_record import TrackRecord, track_record_of
from spectral_detect.extraction.one_file import Edits, Extraction, Extractor, lost
from spectral_detect.features.spec import FeatureSpec
from spectral_detect.lazy import cached_property
from spectral_detect.media.delivery import Delivery
from spectral_detect.media.limits import Limits
from spectral_detect.outputs.made_with import MadeWith
from spectral_detect.parallel.task import Cost
from spectral_detect.provenance.findings import Depth
from spectral_detect.records import BY_SCORE, LABELS, ImageRecord, Reason, Verdict
from spectral_detect.scanning.doubts import (
    Doubt,
    called,
    flips,
    is_gray_and_new,
    outside_experience,
    score_of,
    why_undecided,
)
from spectral_detect.scanning.names import contradictions, disagreement, name_columns, named_by
from spectral_detect.scanning.rules import Rules
from spectral_detect.scanning.too_small import error_of

GUESS = "the model was trained without labels: which cluster it calls fake is a guess"
GRAY = "an image without colours: the model {} looks at colours, and how often it is right without them is not known"
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
        See `Judge.undecided`.
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
    """The model and rules of a scan: a task that turns what one image gave into its record.

    Attributes
    ----------
    model : Model
        What judges.
    rules : Rules
        How a score becomes a verdict.
    provenance : {"none", "header", "full"}
        How far to look for what each file says of its origin; it stands beside the verdict and never changes it.

    Raises
    ------
    ModelFileError
        The model does not give what the rules need.
    OptionError
        There is no such depth.
    """

    model: Model
    rules: Rules = field(default_factory=Rules)
    provenance: Depth = "header"

    def __post_init__(self) -> None:
        require_choice("provenance", self.provenance, get_args(Depth))
        self.rules.check(self.model)

    @property
    def spec(self) -> FeatureSpec:
        """The features that the model takes."""
        return self.model.spec

    @property
    def delivery(self) -> Delivery | None:
        """What images go through before their features."""
        return self.model.delivery

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
        """Return the hash of `settings`."""
        return hash_of_settings(self.settings)

    def settings_and(self, **others: Any) -> dict[str, Any]:
        """Return the model, its features, rules and further settings (plain values).

        The limits of size and time are not in it: they decide what fails, and a file that failed is tried again when
        the scan is resumed.
        """
        return {
            "models": [self.model.sha256],
            "spec": self.spec.sha256,
            "delivery": asdict(self.delivery) if self.delivery else None,
            "rules": asdict(self.rules),
            **others,
        }

    @property
    def class_names(self) -> tuple[str, str]:
        """What the model calls real and fake."""
        return self.model.class_names

    @property
    def made_with(self) -> MadeWith:
        """What the records are made with."""
        return self.made_with_settings(self.settings_sha256)

    def made_with_settings(self, settings_sha256: str, vote: str | None = None) -> MadeWith:
        """Return what records are made with that further settings are behind."""
        return MadeWith(
            {"tool_version": __version__, "spec_sha256": self.spec.sha256, "settings_sha256": settings_sha256},
            self.model.sha256,
            str(float(self.rules.threshold_of(self.model))),
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
            seeks_faces=self.model.needs_portrait,
            provenance=self.provenance,
        )

    # ------------------------------------------------------------------------------------------------------- records

    def __call__(self, variants: Sequence[Extraction]) -> ImageRecord:
        """Return the record of one image, given as it is and after each edit."""
        image, judgement, error = variants[0], None, error_of(variants[0], self.model)
        own = self.of_size(image)
        if image.features is not None:
            error = self.misfit(image)
            judgement = None if error else self.judge(variants)
        like = None if image.is_constant else image.features  # all constant images look the same
        known = self.known_already(image.sha256, like) if judgement else ()
        if judgement and known:  # how often it is right was measured on other images
            judgement = replace(judgement, such_files=None)
        said, verdict = image.provenance, judgement.verdict if judgement else None
        low, high = own.undecided or (None, None)
        class_name = self.model.class_name(judgement.verdict) if judgement else None
        told = (*judgement.warnings, *disagreement(judgement.verdict, judgement.named, class_name)) if judgement else ()
        return ImageRecord(
            path=image.path,
            sha256=image.sha256,
            size_bytes=image.size_bytes,
            mtime_ns=image.mtime_ns,
            width=image.width,
            height=image.height,
            format=image.format,
            **(self._judged(judgement) if judgement else self._unjudged()),
            model=self.model.name,
            model_sha256=self.model.sha256,
            model_balanced_accuracy=own.model.balanced_accuracy,
            spec_sha256=self.spec.sha256,
            settings_sha256=self.settings_sha256,
            tool_version=__version__,
            warnings=(*contradictions(None if class_name else verdict, said), *image.warnings, *told, *known),
            error=error,
            coding=image.coding.title if image.coding else None,
            delivery=self.delivery.title if self.delivery else None,
            provenance=said.line if said else None,
            says_generated=said.says_generated if said else None,
            class_name=class_name,
            undecided_low=low,
            undecided_high=high,
        )

    def failed(self, variants: Sequence[Extraction], reason: str) -> ImageRecord:
        """Return the record of an image that could not be judged, and why."""
        return self(lost(tuple(variants), reason))

    def known_already(self, sha256: str | None, features: np.ndarray | None = None) -> tuple[str, ...]:
        """Return a warning if the model learned the file of this hash, or an image of these features, by its label."""
        return (TRAINING_IMAGE,) if not self.model.is_guess and self.model.was_trained_on(sha256, features) else ()

    def misfit(self, image: Extraction) -> str | None:
        """Return why the features are not those that the model takes; None if they are."""
        fits = image.features is None or image.features.shape[-1:] == (self.model.n_features,)
        return None if fits else ONE_SIZE

    def _judged(self, judgement: Judgement) -> dict[str, Any]:
        """Return the columns that a judgement fills."""
        known = judgement.such_files
        return {
            "verdict": judgement.verdict,
            "label": LABELS.get(judgement.verdict),
            "score": judgement.score,
            "threshold": judgement.threshold,
            "log10_likelihood_ratio": judgement.log10_likelihood_ratio,
            "posterior": None if self.rules.prevalence is None else judgement.posterior,
            "verdict_right": known.right(judgement.verdict) if known else None,
            "such_files": known.line_for(self.class_names) if known else None,
            "reason": judgement.reason,
            "parts": judgement.parts,
            **name_columns(judgement.named),
        }

    def _unjudged(self) -> dict[str, Any]:
        """Return the columns of `_judged` without a judgement."""
        unknown = ("verdict", "label", "score", "log10_likelihood_ratio", "posterior")
        return dict.fromkeys(unknown) | {"threshold": self.rules.threshold_of(self.model)}

    @property
    def undecided(self) -> tuple[float, float] | None:
        """The zone of scores that the model leaves undecided; a threshold of one's own decides all."""
        zone = self.model.undecided
        return zone if zone and zone[0] < zone[1] and self.rules.threshold is None else None

    # ---------------------------------------------------------------------------------------------------- judgements

    def of_size(self, image: Extraction) -> Judge:
        """Return the judge of images as large as this one: this, or that of the model for `small` images."""
        if image.features is None or self.model.of_size(*image.judged_px) is self.model:
            return self
        return self._of_small

    @cached_property
    def _of_small(self) -> Judge:
        assert self.model.small
        return replace(self, model=replace(self.model.small, name=self.model.name, sha256=self.model.sha256))

    def judge(self, variants: Sequence[Extraction]) -> Judgement:
        """Judge one image.

        Parameters
        ----------
        variants : sequence of Extraction
            The image as it is, with features; then after each edit.
        """
        own = self.of_size(variants[0])
        same = (variant for variant in variants[1:] if self.of_size(variant) is own)
        return own._judge(variants[0], own._calls(same))

    def _calls(self, variants: Iterable[Extraction]) -> Iterator[tuple[str, float, Verdict]]:
        """Yield the title of each edit that leaves an image large enough, and the score and verdict after it."""
        seen = self.model.experience
        for variant in variants:
            is_large_enough = variant.features is not None and (seen is None or seen.covers(*variant.judged_px))
            if variant.edit and is_large_enough:
                yield variant.edit.title, *self._called(variant)

    def _called(self, image: Extraction) -> tuple[float, Verdict]:
        score = score_of(image, self.model)
        return score, called(score, self.rules.threshold_of(self.model), self.undecided)

    def _judge(self, image: Extraction, calls: Iterator[tuple[str, float, Verdict]]) -> Judgement:
        model, threshold = self.model, self.rules.threshold_of(self.model)
        score, verdict = self._called(image)
        ratio = None if image.is_constant else model.calibration.log10_likelihood_ratio(score)
        doubts, notes = self._doubts(image, calls, score, verdict, ratio)
        means_something = all(reason in BY_SCORE for reason, _ in doubts)
        is_measured = means_something and self.rules.threshold is None
        is_measured = is_measured and image.part_px is None and not is_gray_and_new(image, model)
        return Judgement(
            model=model,
            score=score,
            threshold=threshold,
            verdict="inconclusive" if doubts else verdict,
            reason=doubts[0][0] if doubts else None,
            warnings=(*(text for _, text in doubts if text), *notes, *((GUESS,) if model.is_guess else ())),
            log10_likelihood_ratio=ratio,
            posterior=None if ratio is None else self.rules.posterior(ratio),
            such_files=track_record_of(model.track_record, image.coding) if is_measured else None,
            parts=None if image.is_constant else model.parts_line(np.asarray(image.features)),
            named=named_by(model, image) if means_something else None,
            undecided=self.undecided,
        )

    def _doubts(
        self,
        image: Extraction,
        calls: Iterator[tuple[str, float, Verdict]],
        score: float,
        verdict: Verdict,
        ratio: float | None,
    ) -> tuple[list[Doubt], list[str]]:
        """Return the reasons against a verdict, and what to know beside it."""
        model = self.model
        doubts = outside_experience(image, model)
        if doubts:
            return doubts, []
        if verdict == "inconclusive" and self.undecided is not None:
            return [("undecided", why_undecided(model, self.undecided))], []
        notes = [GRAY.format(model.name)] if is_gray_and_new(image, model) else []
        doubts, improbable = self._improbable(score, verdict, ratio)
        if self.rules.stability:
            doubts += flips(calls, model, verdict)
        return doubts, notes if doubts else [*improbable, *notes]

    def _improbable(self, score: float, verdict: Verdict, ratio: float | None) -> tuple[list[Doubt], list[str]]:
        """Return the doubt about a verdict that is less probable than asked for, and a note on one that is unlikely."""
        if ratio is None:
            return [], []
        confidence, name = self.rules.confidence(ratio, verdict), self.model.class_name(verdict) or verdict
        if confidence < (self.rules.min_confidence or 0.0):
            return [("low confidence", f"{name} with a probability of only {confidence:.3f}")], []
        if confidence >= 0.5:
            return [], []
        where = self.rules.where(self.model, speaks_against=(verdict == "fake") != (ratio >= 0))
        at = f"called {name} by the threshold of {self.rules.limit_of(self.model, score):.3f}"
        return [], [f"{at}, with a probability of only {confidence:.3f}{where}"]


def hash_of_settings(settings: dict[str, Any]) -> str:
    """Return the hash by which records tell what they were judged with; the settings may have been read from JSON."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
