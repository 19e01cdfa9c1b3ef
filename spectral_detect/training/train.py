"""Train a model: fit a classifier, calibrate its score, choose its threshold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from spectral_detect.arguments import require_share, require_type, require_whole
from spectral_detect.detector.calibration import Calibration, fit_calibration, fixed_calibration
from spectral_detect.detector.classifiers import ClassifierName, Fitted
from spectral_detect.detector.experience import (
    MIN_OF_CODING,
    MOSTLY_PORTRAITS,
    Experience,
    FeatureCloud,
    codings_in_common,
)
from spectral_detect.detector.memory.files import marks_of
from spectral_detect.detector.metrics import evaluate_scores
from spectral_detect.detector.model import MIN_TILES, Model
from spectral_detect.detector.track_record import TrackRecord
from spectral_detect.errors import DatasetError, OptionError
from spectral_detect.features.spec import FeatureSpec
from spectral_detect.media.coding import Coding
from spectral_detect.media.edits import WANG_QUALITIES
from spectral_detect.records import FAKE, REAL
from spectral_detect.text import short_repr
from spectral_detect.training.dataset import Dataset, folds, require_both_classes, require_variety
from spectral_detect.training.delivered import Delivered, how_delivered
from spectral_detect.training.fit import MAX_TILE_VECTORS, fit_dataset
from spectral_detect.training.naming.fit import fit_naming
from spectral_detect.training.outsiders import Outsiders, fit_outsiders
from spectral_detect.training.perceptron.onto import fitted_base, verdict_errors_of, with_base
from spectral_detect.training.summary import summarise_training
from spectral_detect.training.thresholds import equal_error_threshold, false_alarm_threshold, undecided_range
from spectral_detect.training.track_records import track_records, verdicts_of

HALF = 0.5  # a rate of errors above this is worse than a coin
OFTEN = 0.5  # augmented so often, a model has seen enough JPEGs of any quality to judge them
N_FOLDS = 5
DISTANCE_QUANTILE = 0.99  # of each of two distances
MANY = 100  # images, of which such a quantile can be taken; of fewer the limit is the largest times `MARGINS`
MARGINS = 2.0, 1.1


@dataclass(frozen=True, eq=False)
class OutOfFold:
    """Decision values of the samples that some fold held out, by classifiers that did not see them.

    `distances`, (n, 2), are `FeatureCloud.distances` of those that are not edited, if there are such, and
    `are_portraits`, (n,), tells which of these show a large face. `tile_deviations`, (n,), are the deviations of the
    values of the same images' tiles; NaN of fewer than `MIN_TILES`. `at`, (n,), are the samples' places in the data
    set.
    """

    y: np.ndarray
    values: np.ndarray
    groups: np.ndarray
    distances: np.ndarray
    are_portraits: np.ndarray
    tile_deviations: np.ndarray
    at: np.ndarray
    __repr__ = short_repr


@dataclass(frozen=True, eq=False)
class CrossValidated:
    """Scores of the samples that some fold held out, by models that did not see them, and their metrics.

    Attributes
    ----------
    y, scores, groups : (n_samples,) array
        In the order of the folds, which depends on labels, groups and seed alone.
    metrics : dict
        As `Model.metrics`.
    """

    y: np.ndarray
    scores: np.ndarray
    groups: np.ndarray
    metrics: dict[str, Any]
    __repr__ = short_repr


def train_model(
    dataset: Dataset,
    spec: FeatureSpec,
    classifier: ClassifierName = "svm",
    *,
    paper_settings: bool = False,
    target_fpr: float | None = None,
    verdict_errors: tuple[float, float] | None = None,
    outsiders: Outsiders | None = None,
    attribute: bool = False,
    onto: Model | None = None,
    max_tile_vectors: int = MAX_TILE_VECTORS,
    seed: int = 0,
) -> Model:
    """Fit a classifier, calibrate its score and choose its threshold on out-of-fold decision values.

    Parameters
    ----------
    dataset : Dataset
        Features of `spec`, labelled with both classes, or, for k-means alone, without any label.
    spec : FeatureSpec
        The features, which the model stores.
    classifier : {"svm", "logreg", "ridge", "perceptron", "kmeans"}
        Kind of classifier.
    paper_settings : bool
        Do as Durall et al.: no standardisation, SVC(C=6.37, gamma=0.86), liblinear logistic regression, and the
        classifier's own decision boundary as the threshold.
    target_fpr : float, optional
        Choose the threshold for this rate of false alarms, see `false_alarm_threshold`, instead of equal errors.
    verdict_errors : (float, float), optional
        Leave scores undecided at which more than the first share of reals would be called fake, or more than the second
        of fakes real, see `undecided_range`.
    outsiders : Outsiders, optional
        Images of kinds that the model is not made for; it calls such images inconclusive.
    attribute : bool
        Also learn which generator made an image; the `sources` of the fakes are the names of their generators.
    onto : Model, optional
        A perceptron on the same features to go on from, which was trained on none of these images: the model judges by
        the mean of all log odds, and its numbers are measured on these images. It also gives the class names and, by
        default, the `verdict_errors`.
    max_tile_vectors : int
        Train on at most so many tiles of images that are cut into tiles, on equally many of each image.
    seed : int
        Seed of the folds, of the choice of tiles, of k-means and of a perceptron; the same seed gives the same model.

    Raises
    ------
    DatasetError
        The features are of another spec, there are fewer than `dataset.MIN_PER_CLASS` of a class, one file is in both
        classes, or there are too few reals for `target_fpr`.
    OptionError, ArgumentError
        A setting is out of its range, the spec is none, or `onto` is no perceptron on such features.

    Notes
    -----
    The score is calibrated, see `fit_calibration`, and the threshold by default the score at which the two error rates
    are equal, both on out-of-fold values. If groups are too few for folds, or nothing is labelled, the threshold is the
    classifier's own boundary, and `Model.metrics` is empty.
    """
    _require_settings(spec, target_fpr, verdict_errors, max_tile_vectors)
    dataset.require_features(spec)
    is_labelled = _require_labels(dataset, classifier)

    base = fitted_base(onto, dataset, spec, classifier) if onto else None
    verdict_errors = verdict_errors or (verdict_errors_of(onto) if onto else None)
    fit = partial(
        fit_dataset, spec=spec, classifier=classifier, paper_settings=paper_settings, most=max_tile_vectors, base=base,
        seed=seed,
    )  # fmt: skip
    delivered = _delivered(dataset)
    fitted = fit(dataset)
    naming = fit_naming(dataset, classifier, spec.group_sizes, seed=seed) if attribute else None
    held_out = _held_out(dataset, fit, seed) if is_labelled else None
    if held_out is not None:
        decision = _decision(held_out, paper_settings, target_fpr, seed)
    elif target_fpr is None and verdict_errors is None:
        calibration = fixed_calibration(fitted.decision_values(dataset.features))
        decision = _Decision(calibration, _own_boundary(calibration), {}, {})
    else:
        raise DatasetError("rates of errors need labelled images in at least two groups of each class")
    undecided, expected_errors = _undecided(held_out, decision, verdict_errors)
    cloud = replace(_cloud(dataset), limits=_limits(held_out.distances)) if held_out else None
    settings = {"classifier": classifier, "paper_settings": paper_settings, "seed": seed}
    model = Model(
        spec=spec,
        classifier=fitted.classifier,
        mean=fitted.mean,
        scale=fitted.scale,
        calibration=decision.calibration,
        threshold=decision.threshold,
        training=settings | decision.false_alarms | expected_errors | _counts(dataset),
        metrics=decision.metrics,
        experience=_experience(dataset, held_out, delivered) if held_out else None,
        cloud=cloud,
        undecided=undecided,
        track_record=_track_record(dataset, held_out, decision, undecided),
        delivery=delivered.delivery if delivered else None,
        outsiders=fit_outsiders(dataset, outsiders, fitted.mean, fitted.scale) if outsiders else None,
        naming=naming,
        summary=summarise_training(dataset, cloud, held_out.tile_deviations if held_out else np.empty(0)),
        file_marks=marks_of(sample.sha256 for sample in dataset.samples),
        reference=dataset.some_vectors(),
    )
    return with_base(model, onto) if onto else model


def cross_validate(
    dataset: Dataset, spec: FeatureSpec, classifier: ClassifierName = "svm", *, seed: int = 0
) -> CrossValidated:
    """Measure what `train_model` would measure with the same arguments, and train no model.

    Raises
    ------
    DatasetError
        As `train_model` does; also if there are too few groups for folds.
    """
    dataset.require_features(spec)
    require_both_classes(dataset)
    held_out = _held_out(dataset, partial(fit_dataset, spec=spec, classifier=classifier, seed=seed), seed)
    if held_out is None:
        raise DatasetError("too few groups to cross-validate", remedy="put fewer images into one group")
    decision = _decision(held_out, paper_settings=False, target_fpr=None, seed=seed)
    scores = decision.calibration.scores(held_out.values)
    return CrossValidated(held_out.y, scores, held_out.groups, decision.metrics)


@dataclass(frozen=True)
class _Decision:
    """How a model turns decision values into scores and verdicts, and how good that is, as its file stores it."""

    calibration: Calibration
    threshold: float
    false_alarms: dict[str, Any]
    metrics: dict[str, Any]


def _require_settings(
    spec: FeatureSpec,
    target_fpr: float | None,
    verdict_errors: tuple[float, float] | None,
    max_tile_vectors: int,
) -> None:
    require_type("spec", spec, FeatureSpec, "`FeatureSpec.preset` gives that of a name")
    if target_fpr is not None:
        require_share("target_fpr", target_fpr, most=HALF)
    if verdict_errors is not None:
        require_type("verdict_errors", verdict_errors, (tuple, list), "give two rates, of reals and of fakes")
        if len(verdict_errors) != 2:
            raise OptionError(f"verdict_errors is {verdict_errors!r}", remedy="give two rates, of reals and of fakes")
        for rate in verdict_errors:
            require_share("verdict_errors", rate, most=HALF)
    require_whole("max_tile_vectors", max_tile_vectors, 2)


def _require_labels(dataset: Dataset, classifier: ClassifierName) -> bool:
    """Return whether all samples are labelled; raise `DatasetError` if the classifier cannot learn from them."""
    if (dataset.y >= 0).all():
        require_both_classes(dataset)
        return True
    if classifier != "kmeans":
        raise DatasetError(f"{classifier} learns from labels", remedy="only kmeans does without")
    require_variety(dataset)
    return False


def _delivered(dataset: Dataset) -> Delivered | None:
    delivered = how_delivered(dataset.samples)
    if delivered is None and dataset.delivery is not None:
        return Delivered.of_originals(dataset.delivery, dataset)
    return delivered


def _own_boundary(calibration: Calibration) -> float:
    return float(calibration.scores(np.zeros(1))[0])


def _decision(held_out: OutOfFold, paper_settings: bool, target_fpr: float | None, seed: int) -> _Decision:
    """Calibrate on out-of-fold values, choose the threshold among their scores, and measure both there."""
    calibration = fit_calibration(held_out.y, held_out.values, held_out.groups)
    scores = calibration.scores(held_out.values)
    threshold, false_alarms = _own_boundary(calibration), {}
    if target_fpr is not None:
        is_real = held_out.y == REAL
        threshold, rate = false_alarm_threshold(scores[is_real], held_out.groups[is_real], target_fpr)
        false_alarms = {"false_alarms": rate.to_dict()}
    elif not paper_settings:
        threshold = equal_error_threshold(held_out.y, scores)
    metrics = evaluate_scores(held_out.y, scores, threshold, held_out.groups, seed=seed)
    return _Decision(calibration, threshold, false_alarms, metrics.to_dict())


def _undecided(
    held_out: OutOfFold | None, decision: _Decision, errors: tuple[float, float] | None
) -> tuple[tuple[float, float] | None, dict[str, Any]]:
    """Return the scores between which more verdicts than these shares would be wrong, None if nobody asked.

    The second value is what the model file says of the rates.
    """
    if held_out is None or errors is None:
        return None, {}
    scores = decision.calibration.scores(held_out.values)
    undecided, rates = undecided_range(held_out.y, scores, held_out.groups, errors, decision.threshold)
    return undecided, {"verdict_errors": [rate.to_dict() for rate in rates]}


def _track_record(
    dataset: Dataset, held_out: OutOfFold | None, decision: _Decision, undecided: tuple[float, float] | None
) -> tuple[TrackRecord, ...]:
    """Return how often verdicts were right, by coding; nothing if every score decides."""
    if held_out is None or undecided is None:
        return ()
    verdicts = verdicts_of(decision.calibration.scores(held_out.values), undecided)
    as_they_are = None if None in dataset.edits else dataset.edits[0]  # an edited copy is no other file
    once = np.array([dataset.samples[k].edit == as_they_are for k in held_out.at])
    codings = [dataset.samples[k].coding for k in held_out.at[once]]
    return track_records(held_out.y[once], verdicts[once], held_out.groups[once], codings)


def _experience(dataset: Dataset, held_out: OutOfFold, delivered: Delivered | None) -> Experience:
    """Describe the images as they are, if they are among the samples: a blurred copy is no reason to accept more.

    For a matched copy, they are the originals: a model judges those.
    """
    sides = [side for s in dataset.samples if (side := min(s.size_px))]
    augmented = any(edit and edit.name == "wang" and (edit.strength or 0) >= OFTEN for edit in dataset.edits)
    more = [Coding("JPEG", quality) for quality in WANG_QUALITIES] * MIN_OF_CODING if augmented else []
    classes = [[*codings, *more] for codings in dataset.codings_by_class()]
    portrait_share = _portrait_share(dataset)
    refused = np.any(held_out.distances > _limits(held_out.distances), axis=1)
    if portrait_share >= MOSTLY_PORTRAITS:
        refused = refused | ~held_out.are_portraits
    return Experience(
        min_side_px=delivered.min_side_px if delivered else min(sides, default=0),
        max_side_px=delivered.max_side_px if delivered else max(sides, default=0),
        refusal_rate=(int(refused.sum()) + 1) / (refused.size + 1),
        codings=delivered.codings if delivered else codings_in_common(classes),
        portrait_share=portrait_share,
    )


def _portrait_share(dataset: Dataset) -> float:
    """Return the share of the images that show a large face, in the class that has fewer."""
    shows = np.array([bool(sample.is_portrait) for sample in dataset.samples])
    return min(float(shows[dataset.y == label].mean()) for label in np.unique(dataset.y))


def _limits(distances: np.ndarray) -> np.ndarray:
    """Return the (2,) limits of `FeatureCloud.distances` by those, (n, 2), of held-out images."""
    if len(distances) >= MANY:
        return np.asarray(np.quantile(distances, DISTANCE_QUANTILE, axis=0))
    return np.asarray(distances.max(axis=0) * MARGINS)


def _cloud(dataset: Dataset) -> FeatureCloud:
    """Describe the features of the images as they are, if they are among the samples."""
    unedited = [f for f, s in zip(dataset.features, dataset.samples, strict=True) if s.edit is None]
    return FeatureCloud.of_images(unedited or dataset.features)


def _n_files(dataset: Dataset, label: int) -> int:
    """Return the number of files, each of which may give several samples."""
    return len({sample.path for sample, y in zip(dataset.samples, dataset.y, strict=True) if y == label})


def _counts(dataset: Dataset) -> dict[str, Any]:
    """Return counts and a hash of the training images; no paths, which would tell on their owner."""
    return {
        "n_real": _n_files(dataset, REAL),
        "n_fake": _n_files(dataset, FAKE),
        "n_unlabelled": _n_files(dataset, -1),
        "n_groups": dataset.n_groups,
        "files_sha256": dataset.sha256,
        "augment": ", ".join(dict.fromkeys(edit.title if edit else "none" for edit in dataset.edits)),
        "copies": len(dataset.edits),
        "n_frames": sum(sample.frame is not None for sample in dataset.samples),
        "n_gray": len({sample.path for sample in dataset.samples if sample.metadata and sample.metadata.is_gray}),
    }


def _held_out(dataset: Dataset, fit: Callable[[Dataset], Fitted], seed: int) -> OutOfFold | None:
    """Return the decision values of each fold by a classifier fitted on the others; None if groups are too few."""
    tests, values, distances = [], [], []
    deviations: list[float] = []
    for train, everything_else in folds(dataset.y, dataset.groups, N_FOLDS, seed):
        test = everything_else[dataset.weights[everything_else] >= 1]
        fitted, held_out = fit(dataset.select(train)), dataset.select(test)
        cloud = _cloud(dataset.select(train))
        tests.append(test)
        of_tiles = [fitted.tile_values(image) for image in held_out.features]
        values.append(np.array([float(tiles.mean()) for tiles in of_tiles]))
        deviations += [float(tiles.std()) if len(tiles) >= MIN_TILES else np.nan for tiles in of_tiles]
        distances += [cloud.distances(image) for image in held_out.features]
    if not tests or len(np.unique(dataset.y[np.concatenate(tests)])) < 2:
        return None
    at = np.concatenate(tests)
    is_edited = np.array([dataset.samples[k].edit is not None for k in at])
    kept = is_edited == is_edited.min()
    are_portraits = np.array([bool(dataset.samples[k].is_portrait) for k in at])
    return OutOfFold(
        dataset.y[at],
        np.concatenate(values),
        dataset.groups[at],
        np.array(distances)[kept],
        are_portraits[kept],
        np.array(deviations)[kept],
        at,
    )
