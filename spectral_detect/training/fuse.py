"""Fuse two models: one that judges by the weighted sum of their log likelihood ratios."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spectral_detect.detector.experience import Experience, Qualities
from spectral_detect.detector.model import Model
from spectral_detect.errors import DatasetError, ModelFileError
from spectral_detect.extraction.one_file import Extractor
from spectral_detect.features.spec import FusedSpec
from spectral_detect.training.dataset import Dataset
from spectral_detect.training.train import train_model


def fused_extractor(first: Model, second: Model) -> Extractor:
    """Return what reads the images on which two models are fused: the features of both, of one look at each.

    Raises
    ------
    ModelFileError
        The models cannot be fused.
    FeatureError
        Their features cannot stand side by side.
    """
    for model in (first, second):
        if model.parts:
            raise ModelFileError(f"{model.name!r} is fused already", remedy="fuse the models that it was made of")
        if model.calibration.kind == "none":
            raise ModelFileError(
                f"the scores of {model.name!r} are not calibrated, so that it gives no likelihood ratio",
                remedy="train it on at least 10 independent images of each class",
            )
        if model.why_useless:
            raise ModelFileError(f"{model.name!r} is {model.why_useless}", remedy="fuse models that tell their classes")
    if first.sha256 == second.sha256:
        raise ModelFileError(f"{first.name!r} and {second.name!r} are the same model")
    if first.name == second.name:
        raise ModelFileError(f"both models are called {first.name!r}, as records do", remedy="rename one file")
    if first.class_names != second.class_names:
        raise ModelFileError(
            f"{first.name!r} tells {_and(first.class_names)} apart, and {second.name!r} {_and(second.class_names)}",
            remedy="fuse models of the same two classes",
        )
    if first.delivery != second.delivery:
        raise ModelFileError(
            f"{first.name!r} and {second.name!r} take images that are delivered otherwise",
            remedy="train both on images delivered alike",
        )
    return Extractor(FusedSpec.of((first.spec, second.spec)), delivery=first.delivery)


def fuse_models(
    first: Model,
    second: Model,
    dataset: Dataset,
    *,
    target_fpr: float | None = None,
    verdict_errors: tuple[float, float] | None = None,
    seed: int = 0,
) -> Model:
    """Return a model that judges by the log likelihood ratios of two others, with weights fitted by regression.

    Parameters
    ----------
    first, second : Model
        Calibrated models.
    dataset : Dataset
        Labelled images, read by `fused_extractor`, that neither model was trained on.
    target_fpr, verdict_errors, seed
        As for `train_model`, which also fits this: weights, calibration and threshold out of fold, by groups.

    Raises
    ------
    ModelFileError
        The models cannot be fused, or no image lies in the experience of both.
    DatasetError
        As `train_model` does; or one of the models adds nothing to the other on these images.
    """
    parts = (first, second)
    spec = FusedSpec.of([part.spec for part in parts])
    dataset.require_features(spec)
    whole = Model(spec, first.classifier, np.zeros(2), np.ones(2), first.calibration, 0.5, parts=parts)
    ratios = [whole.inputs(np.asarray(features)) for features in dataset.features]
    seen = replace(dataset, features=ratios)
    model = train_model(seen, spec, "logreg", target_fpr=target_fpr, verdict_errors=verdict_errors, seed=seed)
    _require_both(parts, np.asarray(vars(model.classifier)["weights"]))
    return replace(
        model,
        parts=parts,
        class_names=first.class_names,
        experience=experience_of_both(first, second),
        cloud=None,
        summary=None,
        delivery=first.delivery,
        reference=dataset.some_vectors(),
    )


def _require_both(parts: tuple[Model, Model], weights: np.ndarray) -> None:
    """Refuse weights that are not positive: they would turn what a model says into its opposite, or drop it."""
    useful = [part for part, weight in zip(parts, weights, strict=True) if weight > 0]
    if not useful:
        raise DatasetError("on these images neither model tells the classes apart", remedy="fuse better models")
    if len(useful) < len(parts):
        (useless,) = (part for part in parts if part not in useful)
        raise DatasetError(
            f"on these images {useless.name!r} adds nothing to what {useful[0].name!r} says",
            remedy=f"use {useful[0].name!r} alone, or give more images",
        )


def _and(names: tuple[str, str]) -> str:
    return " and ".join(map(repr, names))


def experience_of_both(first: Model, second: Model) -> Experience | None:
    """Return the experience of images that lie in that of both models."""
    a, b = first.experience, second.experience
    if a is None or b is None:
        return a or b
    common = {kind: _of_both(a.codings[kind], b.codings[kind]) for kind in a.codings if kind in b.codings}
    codings = {kind: seen for kind, seen in common.items() if seen is None or seen[0] <= seen[1]}
    low, high = max(a.min_side_px, b.min_side_px), min(a.max_side_px, b.max_side_px)
    if low > high or not codings:
        what = "of a coding" if low <= high else "of a size"
        with_small = [repr(model.name) for model in (first, second) if model.small]
        remedy = f"the part of {' and '.join(with_small)} for small images is not fused" if with_small else ""
        raise ModelFileError(f"{first.name!r} and {second.name!r} have seen no images {what} in common", remedy=remedy)
    rate, share = min(1.0, a.refusal_rate + b.refusal_rate), max(a.portrait_share, b.portrait_share)
    return Experience(low, high, rate, codings, share)


def _of_both(a: Qualities, b: Qualities) -> Qualities:
    if a is None or b is None:
        return a or b
    return max(a[0], b[0]), min(a[1], b[1])
