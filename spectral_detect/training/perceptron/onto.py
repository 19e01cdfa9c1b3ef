"""Go on from a perceptron: judge by the mean of its log odds and of those of one trained on further images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from spectral_detect.detector.classifiers import Classifier, ClassifierName, Fitted, Perceptron
from spectral_detect.detector.experience import Experience, Qualities
from spectral_detect.detector.memory.files import MAX_MARKS, UNKNOWN_FILES
from spectral_detect.detector.model import Model
from spectral_detect.errors import DatasetError, OptionError
from spectral_detect.features.spec import FeatureSpec
from spectral_detect.text import counted
from spectral_detect.training.dataset import Dataset

SUMS = ("n_real", "n_fake", "n_frames", "n_groups")


def fitted_base(onto: Model, dataset: Dataset, spec: FeatureSpec, classifier: ClassifierName) -> Fitted:
    """Return the classifier to go on from.

    Raises
    ------
    OptionError
        The model is no perceptron on features of this spec, or another classifier is asked for.
    DatasetError
        It was trained on some of these images: what it says of them is no measure of what it knows.
    """
    if not isinstance(onto.classifier, Perceptron) or classifier != onto.classifier.kind:
        raise OptionError(
            f"{onto.name or 'the model'!r} is {onto.classifier.kind}, and the classifier asked for {classifier}",
            remedy="only a perceptron can go on from a perceptron",
        )
    if onto.spec != spec:
        raise OptionError(
            f"{onto.name or 'the model'!r} takes {onto.spec.name!r} features", remedy="go on from it with the same ones"
        )
    if onto.delivery is not None or dataset.delivery is not None:
        raise OptionError("a model of matched copies cannot be gone on from", remedy="train on all images at once")
    known = [s.path for s, f in zip(dataset.samples, dataset.features, strict=True) if onto.was_trained_on(s.sha256, f)]
    if known:
        raise DatasetError(
            f"{onto.name or 'the model'!r} was trained on {counted(len(set(known)), 'image')} of these, such as "
            f"{known[0]!r}",
            remedy="leave them out: it knows them already, and no number could be trusted",
        )
    return Fitted(onto.mean, onto.scale, onto.classifier)


def joined(base: Classifier, new: Perceptron) -> Perceptron:
    """Return the perceptron that gives the mean of both log odds: it has the hidden units of both."""
    assert isinstance(base, Perceptron)
    return Perceptron(
        np.concatenate([base.hidden_weights, new.hidden_weights], axis=1),
        np.concatenate([base.hidden_offsets, new.hidden_offsets]),
        np.concatenate([base.weights, new.weights]) / 2,
        (base.intercept + new.intercept) / 2,
        new.limit,
    )


def with_base(model: Model, onto: Model) -> Model:
    """Return a model that went on from another with what the other knows besides: images, codings, outsiders.

    Where features lie, and what images are like on average, is that of the model that knows more images.
    """
    wider = max((model, onto), key=lambda one: one.training.get("n_real", 0) + one.training.get("n_fake", 0))
    counts = {key: model.training.get(key, 0) + onto.training.get(key, 0) for key in SUMS}
    return replace(
        model,
        training=model.training | counts | {"onto": onto.sha256, UNKNOWN_FILES: not onto.knows_its_files},
        experience=_both(wider.experience, model.experience, onto.experience),
        cloud=wider.cloud,
        summary=wider.summary,
        outsiders=model.outsiders or onto.outsiders,
        file_marks=np.unique(np.concatenate([model.file_marks, onto.file_marks]))[:MAX_MARKS],
    )


def _both(wider: Experience | None, new: Experience | None, base: Experience | None) -> Experience | None:
    """Return the wider experience, with the sizes and codings of both."""
    if wider is None or new is None or base is None:
        return wider
    return replace(
        wider,
        min_side_px=min(new.min_side_px, base.min_side_px),
        max_side_px=max(new.max_side_px, base.max_side_px),
        codings=_codings_of_both(new.codings, base.codings),
        portrait_share=min(new.portrait_share, base.portrait_share),
    )


def _codings_of_both(new: Mapping[str, Qualities], base: Mapping[str, Qualities]) -> dict[str, Qualities]:
    found: dict[str, Any] = {**base, **new}
    for kind in new.keys() & base.keys():
        ends = [*(new[kind] or ()), *(base[kind] or ())]
        found[kind] = (min(ends), max(ends)) if new[kind] and base[kind] else None
    return found
