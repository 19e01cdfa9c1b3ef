"""Turn the plain values of a classifier back into one, and check that it fits its model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from spectral_detect.detector.classifiers import (
    Classifier,
    KMeans,
    LogisticRegression,
    Perceptron,
    Ridge,
    Svm,
)
from spectral_detect.detector.content.numbers import are_scales, number
from spectral_detect.detector.model import Model

CLASSIFIERS: dict[str, Any] = {c.kind: c for c in (Svm, LogisticRegression, Ridge, Perceptron, KMeans)}


def classifier_from_plain(values: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Classifier:
    """Return the classifier of a header's numbers and of arrays."""
    kind = CLASSIFIERS[values["kind"]]
    numbers = {k: number(v) for k, v in values.items() if k != "kind"}
    classifier: Classifier = kind(**numbers, **{f.name: arrays[f.name] for f in fields(kind) if f.name not in numbers})
    return classifier


def fits_together(model: Model) -> bool:
    """Tell whether all arrays of a model are of the shapes that its features and its classifier need."""
    n_features = len(model.mean)
    group_sizes = model.spec.group_sizes or (n_features,)
    if sum(group_sizes) != model.n_features or (model.parts and n_features != len(model.parts)):
        return False
    classifier = model.classifier
    if isinstance(classifier, Svm):
        n = len(classifier.dual_coef)
        fitting = (
            classifier.support_vectors.shape == (n, n_features)
            and classifier.dual_coef.shape == (n,)
            and classifier.gamma.shape == (len(group_sizes),)
            and classifier.group_sizes.tolist() == list(group_sizes)
        )
    elif isinstance(classifier, LogisticRegression | Ridge):
        fitting = classifier.weights.shape == (n_features,)
    elif isinstance(classifier, Perceptron):
        n_units = (len(classifier.weights),)
        fitting = classifier.weights.shape == classifier.hidden_offsets.shape == n_units
        fitting = fitting and classifier.hidden_weights.shape == (n_features, *n_units)
    else:
        fitting = isinstance(classifier, KMeans) and classifier.centres.shape == (2, n_features)
    n_reference = len(model.reference)
    return (
        fitting
        and n_reference > 0
        and model.reference.shape == (n_reference, model.n_features)
        and model.mean.shape == model.scale.shape == (n_features,)
        and are_scales(model.scale)
        and (model.naming is None or model.naming.fits(n_features, group_sizes))
    )
