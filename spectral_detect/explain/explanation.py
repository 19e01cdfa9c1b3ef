"""Explain the verdict on one image: all facts of a sheet, in one object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from spectral_detect.detector.memory.summary import TrainingSummary
from spectral_detect.detector.metric_values import Estimate, plain_estimates, stored_estimates
from spectral_detect.detector.model import Model
from spectral_detect.detector.model_file import is_shipped
from spectral_detect.explain.advice import next_steps
from spectral_detect.explain.evidence import Evidence, evidence_of
from spectral_detect.explain.neighbours import Neighbour, distances_to_classes, nearest
from spectral_detect.explain.spectrum import Spectrum, grid_of, spectrum_of
from spectral_detect.explain.tiles import TileScores, tile_scores
from spectral_detect.extraction.one_file import Extraction, Extractor
from spectral_detect.features.common_profile import FREQUENCIES, common_profile, gray_of
from spectral_detect.lazy import cached_property
from spectral_detect.media.edits import as_rgb
from spectral_detect.media.images import DecodedImage
from spectral_detect.media.limits import Limits
from spectral_detect.media.region import Box, Region, as_displayed
from spectral_detect.orientation import upright
from spectral_detect.parallel.task import Cost
from spectral_detect.parallel.work import Work, work_through
from spectral_detect.records import CLASS_NAMES, ImageRecord, is_improbable
from spectral_detect.scanning.judge import Judge, hash_of_settings
from spectral_detect.sources.discovery import FoundFile
from spectral_detect.text import short_repr

SCHEMA = "spectral-detect/explanation/1"
PICTURE_PX = 512  # longer side of the reduced image on the sheet
NO_SUMMARY = (
    "this model holds no summary of its training images: no bands of profiles, no nearest images; train it anew"
)
NO_SUMMARY_OF_PARTS = (
    "a fused model holds no summary of its training images: no bands of profiles, no nearest images; explain the image "
    "by each of the models that it was made of"
)
NO_PROFILES = "this model holds no radial profiles of its training images; train it anew"
UNCALIBRATED = "the model's scores are not calibrated: they rank images, and are no probabilities"
NO_LIMIT = "this model does not hold how much the tiles of its training images disagree: mixed pictures are not found"
NO_TILES = "its features are of the whole image, so that no place has a score of its own"
NO_TILES_OF_PARTS = (
    "a fused model judges by the likelihood ratios of its parts, each of the whole image; explain the image by a part "
    "whose features are of tiles to see the score of each place"
)
OF_SMALL = "judged by the part of the model for images with a shorter side below {} pixels, with limits of its own"
NOTHING_TO_EXPLAIN = "all pixels are alike: there is nothing to measure, and so nothing to explain"


@dataclass(frozen=True, eq=False)
class Profile:
    """The radial profile of the image, as `features.common_profile`, and those of the model's training images.

    Attributes
    ----------
    values : (n_bins,) array
        Natural logarithm of the mean power at each of `FREQUENCIES`, less its mean.
    means, deviations : (2, n_bins) array or None
        Of the real and of the fake training images; None if the model's file does not hold them.
    scale_px : int or None
        Shorter side to which the image was reduced first; None if it was not.
    """

    values: np.ndarray
    means: np.ndarray | None
    deviations: np.ndarray | None
    scale_px: int | None
    __repr__ = short_repr

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        real, fake = ({}, {}) if self.means is None or self.deviations is None else (
            {"mean": mean.tolist(), "deviation": deviation.tolist()}
            for mean, deviation in zip(self.means, self.deviations, strict=True)
        )  # fmt: skip
        return {
            "frequencies": FREQUENCIES.tolist(),
            "values": self.values.tolist(),
            "real": real or None,
            "fake": fake or None,
            "scale_px": self.scale_px,
        }


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why one image got its verdict.

    Attributes
    ----------
    record : ImageRecord
        What a scan says of it, with the warnings of the explanation.
    undecided : (float, float) or None
        Scores between which the model decides nothing.
    prevalence : float or None
        The share of fakes among such images, if it was given.
    region : Region or None
        The part that was looked at, in pixels of the whole as displayed.
    picture : (h, w, 3) uint8 array or None
        The reduced image, as displayed and as the model saw it; None if it could not be read, as all below.
    size : (int, int)
        Width and height, as displayed, of the pixels that the model saw.
    is_empty : bool
        Whether all pixels are alike. Then there is nothing to explain: all between `size` and `missing` is left out.
    evidence, spectrum, profile, tiles
        See their classes; `tiles` is None if the features are not of tiles.
    class_distances : tuple of (float, float)
        For each group of the evidence how far it lies from the mean real and the mean fake; empty if unknown.
    neighbours : tuple of Neighbour
        The nearest training images.
    n_positions : int
        The number of training images among which they were sought.
    tells_sources : bool
        Whether the names of their folders tell a reader anything; those of a shipped model do not.
    missing : tuple of str
        What the model cannot tell, and why.
    next_steps : tuple of str
        What to do.
    class_names : (str, str)
        What the model calls real and fake.
    cross_validated : Estimate or None
        The model's balanced accuracy in cross-validation, where the verdict follows its own threshold alone: None if it
        holds none, leaves scores undecided, or cannot judge such an image.
    unseen : str
        The files that the model's track record was measured on, see `Model.unseen`.
    """

    record: ImageRecord
    undecided: tuple[float, float] | None = None
    prevalence: float | None = None
    region: Region | None = None
    picture: np.ndarray | None = None
    size: tuple[int, int] = (0, 0)
    is_empty: bool = False
    evidence: Evidence | None = None
    spectrum: Spectrum | None = None
    profile: Profile | None = None
    tiles: TileScores | None = None
    class_distances: tuple[tuple[float, float], ...] = ()
    neighbours: tuple[Neighbour, ...] = ()
    n_positions: int = 0
    tells_sources: bool = True
    missing: tuple[str, ...] = ()
    next_steps: tuple[str, ...] = ()
    class_names: tuple[str, str] = CLASS_NAMES
    cross_validated: Estimate | None = None
    unseen: str = ""
    __repr__ = short_repr

    @property
    def is_improbable(self) -> bool:
        """Whether the opposite of the verdict is more probable at the prevalence."""
        return is_improbable(self.record.verdict, self.record.posterior)

    @property
    def is_training_image(self) -> bool | None:
        """Whether it is one of the training images that the model's file holds, or a copy; None if it holds none."""
        return any(neighbour.is_same for neighbour in self.neighbours) if self.neighbours else None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON; pictures are left out."""
        return {
            "schema": SCHEMA,
            "record": self.record.to_dict(),
            "reason": self.record.reason,
            "undecided": self.undecided,
            "prevalence": self.prevalence,
            "region": self.region.box if self.region else None,
            "evidence": self.evidence.to_dict() if self.evidence else None,
            "class_distances": [{"real": real, "fake": fake} for real, fake in self.class_distances],
            "spectrum": self.spectrum.to_dict() if self.spectrum else None,
            "profile": self.profile.to_dict() if self.profile else None,
            "tiles": self.tiles.to_dict() if self.tiles else None,
            "neighbours": [vars(neighbour) for neighbour in self.neighbours],
            "is_training_image": self.is_training_image,
            "missing": list(self.missing),
            "next_steps": list(self.next_steps),
            "class_names": list(self.class_names),
            "cross_validated": plain_estimates({"balanced_accuracy": self.cross_validated}),
        }


@dataclass(frozen=True)
class Explainer:
    """Explains the verdict on a file: a task for workers.

    Attributes
    ----------
    judge : Judge
        The model and rules of the verdict.
    region : Region or None
        The part that is looked at; None for the whole.
    limits : Limits
        What is refused.
    """

    judge: Judge
    region: Region | None = None
    limits: Limits = field(default_factory=Limits)
    cost: Cost = field(default="short", init=False)

    @cached_property
    def extractor(self) -> Extractor:
        """Return what reads the file; with colour, for the picture."""
        return replace(self.judge.extractor(self.limits), region=self.region, examine=True)

    def __call__(self, found: FoundFile) -> Explanation:
        """Explain the verdict on a file; whatever is wrong with it is the record's error."""
        variants, image = self.extractor.with_image(found)
        record = self.judge(variants)
        if record.error is not None or image is None or variants[0].features is None:
            return Explanation(record, region=self.region)
        if record.reason == "constant image":
            return replace(
                self._of_image(record, image, self.judge.undecided),
                is_empty=True,
                missing=(NOTHING_TO_EXPLAIN,),
                next_steps=tuple(next_steps(record, record.warnings)),
            )
        features = np.asarray(variants[0].features)
        judge = self.judge.of_size(variants[0])
        model, undecided = judge.model, judge.undecided
        tiles = tile_scores(model, features, _boxes(variants[0], image))
        neighbours = nearest(model, features)
        notes: tuple[str, ...] = (tiles.warning,) if tiles and tiles.warning else ()
        if judge is not self.judge and record.score_has_meaning and (seen := self.judge.model.experience):
            notes = (OF_SMALL.format(seen.least_side_px), *notes)
        record = self._of_part(replace(record, warnings=(*record.warnings, *notes, *_notes_of_model(model))))
        evidence = evidence_of(model, features, self.judge.rules.threshold_of(model), undecided)
        return replace(
            self._of_image(record, image, undecided),
            evidence=evidence,
            spectrum=spectrum_of(
                gray_of(image.pixels, is_ycc=image.is_ycc),
                grid_of(variants[0].coding, is_delivered=self.judge.delivery is not None),
            ),
            profile=_profile(model, image),
            tiles=tiles,
            class_distances=_class_distances(model, features, evidence),
            neighbours=neighbours,
            n_positions=len(model.summary.labels) if model.summary else 0,
            tells_sources=not is_shipped(model),
            unseen=model.unseen,
            missing=tuple(_missing(model)),
            next_steps=tuple(next_steps(record, record.warnings, model.class_names, is_part=self.region is not None)),
            cross_validated=_cross_validated(model, record) if undecided is None and self.region is None else None,
        )

    def _of_image(self, record: ImageRecord, image: DecodedImage, undecided: tuple[float, float] | None) -> Explanation:
        """Return what is known without its features: the numbers of an image of one colour mean nothing."""
        return Explanation(
            record=record,
            undecided=undecided,
            prevalence=self.judge.rules.prevalence,
            region=self.region,
            picture=_picture(image),
            size=image.pixels_px,
            class_names=self.judge.model.class_names,
        )

    def _of_part(self, record: ImageRecord) -> ImageRecord:
        """Return the record with settings that tell a verdict on a part from one on the whole."""
        if self.region is None:
            return record
        settings = {**self.judge.settings, "region": list(self.region.box)}
        return replace(record, settings_sha256=hash_of_settings(settings))

    def failed(self, found: FoundFile, reason: str) -> Explanation:
        """Return what is known of a file that could not be judged, and why."""
        return Explanation(self.judge(self.extractor.failed(found, reason)), region=self.region)


def explain(
    found: FoundFile,
    judge: Judge,
    *,
    region: Region | None = None,
    work: Work | None = None,
    limits: Limits | None = None,
) -> Explanation:
    """Explain the verdict on one image, in a worker process, so that a decoder that crashes costs nothing else.

    Parameters
    ----------
    found : FoundFile
        The image.
    judge : Judge
        The model and rules of the verdict.
    region : Region, optional
        The part of the image that is looked at; default all of it.
    work, limits
        As for `scan`.
    """
    task = Explainer(judge, region, limits or Limits())
    (explanation,) = work_through(task, [found], work or Work())
    return explanation


def _boxes(extraction: Extraction, image: DecodedImage) -> tuple[Box, ...]:
    if extraction.tiles is None:
        return ()
    rows, columns = image.pixels.shape[:2]
    stored = [(x, y, side, side) for x, y, side in extraction.tiles.tolist()]
    return tuple(as_displayed(box, (columns, rows), image.orientation) for box in stored)


def _picture(image: DecodedImage) -> np.ndarray:
    import cv2

    rgb = as_rgb(image.pixels, image.is_ycc)
    rgb = np.repeat(rgb[..., None], 3, axis=2) if rgb.ndim == 2 else rgb
    scale = min(1.0, PICTURE_PX / max(rgb.shape[:2]))
    size = max(1, round(scale * rgb.shape[1])), max(1, round(scale * rgb.shape[0]))
    reduced = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA) if scale < 1 else rgb
    return np.ascontiguousarray(upright(np.asarray(reduced), image.orientation))


def _profile(model: Model, image: DecodedImage) -> Profile:
    values = common_profile(image.pixels, model.spec, is_ycc=image.is_ycc)
    summary = model.summary
    known = summary if summary is not None and _has_profiles(summary) else None
    return Profile(
        values,
        known.profile_means if known else None,
        known.profile_deviations if known else None,
        model.spec.scales[0] if model.spec.scales else None,
    )


def _has_profiles(summary: TrainingSummary) -> bool:
    return bool(summary.profile_means.shape[1] == len(FREQUENCIES))


def _cross_validated(model: Model, record: ImageRecord) -> Estimate | None:
    """Return the balanced accuracy of verdicts such as this one, which the model's own threshold alone decided."""
    is_own = record.threshold == model.threshold and record.verdict != "inconclusive"
    return stored_estimates(model.metrics)["balanced_accuracy"] if is_own else None


def _class_distances(model: Model, features: np.ndarray, evidence: Evidence) -> tuple[tuple[float, float], ...]:
    found = [distances_to_classes(model, features, group.group) for group in evidence.groups]
    return tuple(pair for pair in found if pair is not None)


def _no_tiles(model: Model) -> str:
    has_tiles = any(part.spec.gives_tiles for part in model.parts)
    return NO_TILES_OF_PARTS if has_tiles else NO_TILES


def _notes_of_model(model: Model) -> tuple[str, ...]:
    """Return what a reader of each verdict of the model should know, and no scan repeats for each."""
    of_training = [f"the training of the model warned: {note}" for note in model.training_warnings]
    return (*of_training, *([UNCALIBRATED] if model.calibration.kind == "none" else []))


def _missing(model: Model) -> Sequence[str]:
    notes = [] if model.spec.gives_tiles else [_no_tiles(model)]
    if model.summary is None:
        return [*notes, NO_SUMMARY_OF_PARTS if model.parts else NO_SUMMARY]
    if not _has_profiles(model.summary):
        notes.append(NO_PROFILES)
    if model.spec.gives_tiles and model.summary.tile_disagreement is None:
        notes.append(NO_LIMIT)
    return notes
