"""Go on from a perceptron: judge by the mean of its log odds and of those of one trained on further images.

Where it went on from others itself, each of them counts alike.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spectral_detect.detector.classifiers import Classifier, ClassifierName, Fitted, Perceptron
from spectral_detect.detector.memory.files import MAX_MARKS, UNKNOWN_FILES
from spectral_detect.detector.model import Model
from spectral_detect.errors import DatasetError, OptionError
from spectral_detect.features.spec import FeatureSpec
from spectral_detect.text import counted
from spectral_detect.training.dataset import Dataset

COUNTS = ("n_real", "n_fake")


def fitted_base(onto: Model, dataset: Dataset, spec: FeatureSpec, classifier: ClassifierName) -> Fitted:
    """Return the classifier to go on from.

    Raises
    ------
    OptionError
        The model is no perceptron on features of this spec, or another classifier is asked for.
    DatasetError
        It was trained on some of these images: what it says of them is no measure of what it knows.
    """
    name = repr(onto.name or "the model")
    if not isinstance(onto.classifier, Perceptron):
        raise OptionError(f"{name} is {onto.classifier.kind}", remedy="only from a perceptron can one go on")
    if classifier != onto.classifier.kind or onto.spec != spec:
        remedy = "go on from it with the same ones"
        raise OptionError(f"{name} is a perceptron on {onto.spec.name!r} features of its own settings", remedy=remedy)
    if onto.delivery is not None or dataset.delivery is not None:
        raise OptionError("a model of matched copies cannot be gone on from", remedy="train on all images at once")
    known = [s.path for s, f in zip(dataset.samples, dataset.features, strict=True) if onto.was_trained_on(s.sha256, f)]
    if known:
        raise DatasetError(
            f"{name} was trained on {counted(len(set(known)), 'image')} of these, such as {known[0]!r}",
            remedy="leave them out: it knows them already, and no number could be trusted",
        )
    return Fitted(onto.mean, onto.scale, onto.classifier)


def joined(base: Classifier, new: Perceptron) -> Perceptron:
    """Return the perceptron that gives the mean of the log odds of all that were joined: it has the units of all."""
    assert isinstance(base, Perceptron)
    before = max(1, len(base.weights) // len(new.weights))  # how many were joined
    return Perceptron(
        np.concatenate([base.hidden_weights, new.hidden_weights], axis=1),
        np.concatenate([base.hidden_offsets, new.hidden_offsets]),
        np.concatenate([before * base.weights, new.weights]) / (before + 1),
        (before * base.intercept + new.intercept) / (before + 1),
        new.limit,
    )


def verdict_errors_of(onto: Model) -> tuple[float, float] | None:
    """Return the rates of errors for which a model leaves scores undecided; None if it decides every score."""
    rates = onto.training.get("verdict_errors")
    try:
        of_reals, of_fakes = (float(rate["target"]) for rate in rates or ())
    except (TypeError, ValueError, LookupError):  # none, or those of a hostile file
        return None
    return (of_reals, of_fakes) if onto.undecided and min(of_reals, of_fakes) > 0 else None


def with_base(model: Model, onto: Model) -> Model:
    """Return a model that went on from another with what the other knows besides: its files, outsiders, names.

    Where features lie, and what images are like on average, is that of the model that knows more images. Sizes and
    codings are those of the new images alone, on which all numbers were measured.
    """
    before = {key: _count(onto.training.get(key)) + _count(onto.base.get(key)) for key in COUNTS}
    is_wider = onto.cloud is not None and sum(before.values()) > sum(model.training[key] for key in COUNTS)
    wider = onto if is_wider else model
    experience = model.experience
    if experience and wider.experience:  # how many are refused goes with where features lie
        experience = replace(experience, refusal_rate=wider.experience.refusal_rate)
    of_base = {"name": onto.name, "sha256": onto.sha256, **before}
    return replace(
        model,
        training=model.training | {"onto": of_base, UNKNOWN_FILES: not onto.knows_its_files},
        experience=experience,
        cloud=wider.cloud,
        summary=wider.summary,
        class_names=onto.class_names,
        outsiders=model.outsiders or onto.outsiders,
        file_marks=np.unique(np.concatenate([model.file_marks, onto.file_marks]))[:MAX_MARKS],
    )


def _count(stored: object) -> int:
    return stored if isinstance(stored, int) else 0
