"""Evaluate a model on labelled images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from spectral_detect.arguments import require_type
from spectral_detect.detector.metrics import evaluate_scores, predictive_values
from spectral_detect.detector.model import Model
from spectral_detect.errors import DatasetError
from spectral_detect.evaluation.results import DecidedImages, Evaluation, VideoMetrics
from spectral_detect.extraction.one_file import Extraction
from spectral_detect.records import FAKE, LABELS, REAL
from spectral_detect.scanning.judge import ONE_SIZE, Judge, Judgement
from spectral_detect.scanning.rules import Rules
from spectral_detect.training.dataset import Dataset, refuse_contradictions


def evaluate_model(model: Model, dataset: Dataset, rules: Rules | None = None, *, seed: int = 0) -> Evaluation:
    """Evaluate a model on a labelled data set; every image counts, by score >= threshold.

    Parameters
    ----------
    model : Model
        The model to measure.
    dataset : Dataset
        Images of both classes, read with the model's spec and `Rules.edits`.
    rules : Rules, optional
        The rules of a scan, for the images that it would not decide.
    seed : int
        Seed of the bootstrap.

    Raises
    ------
    DatasetError
        A class is missing, a file is in both, or the features are not the model's.
    ModelFileError
        The model cannot follow the rules, see `Rules.check`.
    """
    rules = rules or Rules()
    images, judgements = judge_dataset(model, dataset, rules)
    return summarise(model, images, judgements, rules, n_failed=len(dataset.failures), seed=seed)


def summarise(
    model: Model, images: Dataset, judgements: Sequence[Judgement], rules: Rules, *, n_failed: int = 0, seed: int = 0
) -> Evaluation:
    """Return the result of `evaluate_model` for images that `judge_dataset` has judged."""
    if not (images.n_real and images.n_fake):
        raise DatasetError(f"{images.n_real} real and {images.n_fake} fake images: an evaluation needs both")
    refuse_contradictions(images)
    scores, threshold = np.array([j.score for j in judgements]), rules.threshold_of(model)
    is_right = (scores >= threshold) == (images.y == FAKE)
    is_decided = np.array([j.verdict != "inconclusive" for j in judgements])
    decided = _decided(images.y, is_decided, is_right, rules.prevalence)
    at_prevalence = None
    if rules.prevalence is not None:
        real, fake = (len(np.unique(images.groups[images.y == label])) for label in (REAL, FAKE))
        at_prevalence = predictive_values(
            decided.confusion, images.n_real, images.n_fake, rules.prevalence, n_groups=(real, fake), seed=seed
        )
    return Evaluation(
        model=model.name,
        model_sha256=model.sha256,
        spec_sha256=model.spec.sha256,
        calibration=model.calibration.kind,
        class_names=model.class_names,
        metrics=evaluate_scores(images.y, scores, threshold, images.groups, seed=seed),
        inconclusive_rate=float(np.mean(~is_decided)),
        inconclusive=dict(Counter(j.reason for j in judgements if j.reason)),
        decided=decided,
        errors_avoided=int(np.sum(~is_decided & ~is_right)),
        n_failed=n_failed,
        n_trained_on=count_trained_on(model, images),
        videos=_of_videos(images, judgements, seed),
        at_prevalence=at_prevalence,
        named=_names(images, judgements) if model.naming else None,
    )


def _names(images: Dataset, judgements: Sequence[Judgement]) -> dict[str, dict[str, int]]:
    """Return how many images of each class got which name, the most frequent first."""
    found = [(label, j.named.generator) for label, j in zip(images.y.tolist(), judgements, strict=True) if j.named]
    return {
        title: dict(Counter(name for label, name in found if label == own).most_common())
        for title, own in LABELS.items()
    }


def judge_dataset(model: Model, dataset: Dataset, rules: Rules) -> tuple[Dataset, list[Judgement]]:
    """Judge each image as a scan by these rules would; those of a weight below 1 help to train, and do not count.

    Returns
    -------
    images : Dataset
        The images as they are, without their edited copies, with the failures of the data set.
    judgements : list of Judgement
        One for each image.

    Raises
    ------
    DatasetError
        The features are not the model's.
    ModelFileError
        The model cannot follow the rules, see `Rules.check`.
    """
    require_type("model", model, Model, "`load_model` reads one from its file")
    judge = Judge(model, rules)
    dataset.require_features(model.spec)
    failures, dataset = dataset.failures, dataset.select(dataset.weights >= 1)
    if not len(dataset.y):
        raise DatasetError("the data set holds no image of full weight")
    if not set(rules.edits[1:]) <= set(dataset.edits[1:]):
        raise DatasetError(
            "the images were not read with the edits of these rules",
            remedy="`read_dataset(files, Extractor(model.spec, rules.edits, delivery=model.delivery))` does",
        )
    if dataset.extractor is not None and dataset.delivery != model.delivery:
        raise DatasetError("the images were not delivered as the model's own were", remedy="read them with the model")
    n_features = dataset.features[0].shape[-1]
    if n_features != model.n_features:
        why = f"features of {n_features} values; the model takes {model.n_features}"
        raise DatasetError(why, remedy=ONE_SIZE if model.spec.group_sizes is None else "")
    at: list[int] = []
    images: list[list[Extraction]] = []
    for k, (sample, features) in enumerate(zip(dataset.samples, dataset.features, strict=True)):
        if sample.edit == dataset.edits[0]:
            at.append(k)
            images.append([])
        base = dataset.samples[at[-1]] if at else None  # the copies of an image that failed as it is do not count
        if base is not None and (sample.path, sample.frame) == (base.path, base.frame):
            images[-1].append(replace(sample, features=features))
    unedited = replace(dataset.select(np.array(at, dtype=int)), failures=failures)
    return unedited, [judge.judge(variants) for variants in images]


def count_trained_on(model: Model, images: Dataset) -> int:
    """Return how many images are known to be training images of a model; all if it `knows_its_files`."""
    unedited = ((s, f) for s, f in zip(images.samples, images.features, strict=True) if s.edit == images.edits[0])
    return sum(model.was_trained_on(s.sha256, None if s.is_constant else np.asarray(f)) for s, f in unedited)


def _decided(y: np.ndarray, is_decided: np.ndarray, is_right: np.ndarray, prevalence: float | None) -> DecidedImages:
    """Count the decided images; with a prevalence, each class has its weight in their accuracy."""
    weights = np.ones(len(y))
    if prevalence is not None:
        weights = np.where(y == FAKE, prevalence / np.sum(y == FAKE), (1 - prevalence) / np.sum(y == REAL))
    weights *= is_decided
    right, wrong = (float(weights[each].sum()) for each in (is_right, ~is_right))
    is_called_fake = is_right == (y == FAKE)

    def count(is_counted: np.ndarray) -> int:
        return int(np.sum(is_decided & is_counted))

    return DecidedImages(
        n_real=count(y == REAL),
        n_fake=count(y == FAKE),
        n_errors=count(~is_right),
        accuracy=right / (right + wrong) if right + wrong else None,
        confusion={
            true: {"real": count((y == label) & ~is_called_fake), "fake": count((y == label) & is_called_fake)}
            for true, label in LABELS.items()
        },
    )


def _of_videos(images: Dataset, judgements: Sequence[Judgement], seed: int) -> VideoMetrics | None:
    """Evaluate whole videos: by the share of fakes among their frames, and by their mean score.

    Every frame votes, by score >= threshold; half of the votes are no majority. Where faces are followed, the one with
    the largest share, or the largest mean, decides on the video, as in `voting.decide`.
    """
    members: dict[tuple[str, int], dict[int, list[int]]] = {}
    for k, sample in enumerate(images.samples):
        if sample.frame is not None:
            of_video = members.setdefault((sample.path, int(images.y[k])), {})
            of_video.setdefault(sample.frame.track, []).append(k)
    if not members:
        return None
    y = np.array([label for _, label in members])
    if len(np.unique(y)) < 2:
        return VideoMetrics(len(members))
    groups = np.array([images.groups[next(iter(tracks.values()))[0]] for tracks in members.values()])

    def largest_mean(values: np.ndarray) -> np.ndarray:
        """Return (n_videos,), the largest mean over the frames of a face."""
        return np.array([max(values[at].mean() for at in tracks.values()) for tracks in members.values()])

    votes = largest_mean(np.array([float(judged.score >= judged.threshold) for judged in judgements]))
    means = largest_mean(np.array([judged.score for judged in judgements]))
    return VideoMetrics(
        n_videos=len(members),
        n_ties=int(np.sum(votes == 0.5)),
        majority=evaluate_scores(y, votes, float(np.nextafter(0.5, 1)), groups, seed=seed),
        mean=evaluate_scores(y, means, judgements[0].threshold, groups, seed=seed),
    )
