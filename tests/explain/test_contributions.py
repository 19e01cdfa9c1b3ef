"""Contributions sum to the decision value, for every classifier."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conftest import MODELS
from gaussian import SPEC, gaussian_data
from spectral_detect import load_model, train_model
from spectral_detect.detector.classifiers import Perceptron, Svm
from spectral_detect.explain.contributions import contributions, of_vectors
from spectral_detect.explain.evidence import boundary_of, evidence_of
from spectral_detect.explain.feature_layout import feature_layout
from spectral_detect.features.spec import GROUPS_OF_MIDDLE, FeatureSpec
from spectral_detect.features.spectrum import MAX_FREQUENCY

pytestmark = pytest.mark.usefixtures("in_this_process")

MODEL = MODELS / "photographs.pkl"


OF_MEAN = "the decision value of the mean training vector"


def svm(rng: np.random.Generator, sizes: tuple[int, ...] = (3, 4), n: int = 40) -> Svm:
    gamma = rng.uniform(0.1, 0.6, len(sizes))
    return Svm(rng.normal(size=(n, sum(sizes))), rng.normal(size=n), 0.3, gamma, np.array(sizes, float))


@pytest.mark.parametrize("name", ["svm", "logreg", "ridge", "perceptron", "kmeans"])
@pytest.mark.parametrize("paper", [False, True])
def test_the_parts_sum_to_the_decision_value(name: str, paper: bool) -> None:
    model = train_model(gaussian_data(), SPEC, name, paper_settings=paper)
    for features in gaussian_data(seed=3).features[:10]:
        start, parts = contributions(model, features)
        assert parts.shape == features.shape
        assert start + parts.sum() == pytest.approx(model.decision_values([features])[0], abs=1e-9)
    title = evidence_of(model, features, model.threshold).start_title
    assert title == ("0, where both centres are equally far" if name == "kmeans" else OF_MEAN) and (start == 0) == (
        name == "kmeans"
    )


@pytest.mark.parametrize("name", [MODELS / "photographs.pkl", MODELS / "small.pkl", "world"])
def test_the_parts_sum_to_the_decision_value_of_real_models(name: str | Path) -> None:
    model = load_model(name)
    images = [model.reference.astype(np.float64)] if model.spec.gives_tiles else list(model.reference)
    for image in images:
        evidence = evidence_of(model, image, model.threshold)
        total = evidence.start + sum(group.contribution for group in evidence.groups)
        assert total == pytest.approx(evidence.decision_value, abs=1e-12)
        assert total == pytest.approx(model.decision_values([image])[0], abs=1e-9)
        assert sum(value for _, value in evidence.kinds) + evidence.start == pytest.approx(total, abs=1e-9)


@pytest.mark.parametrize("length", [0.0, 1e-9, 1e-3, 1.0, 30.0, 1e3])
def test_integrated_gradients_are_complete_within_each_group(length: float, rng: np.random.Generator) -> None:
    classifier = svm(rng)
    Z = length * rng.normal(size=(8, 7))
    _, parts = of_vectors(classifier, Z)
    for k, (start, end) in enumerate(((0, 3), (3, 7))):
        moved = np.zeros_like(Z)
        moved[:, start:end] = Z[:, start:end]  # the other group stays at the start
        added = classifier.decision_values(moved) - classifier.decision_values(np.zeros_like(Z))
        np.testing.assert_allclose(parts[:, start:end].sum(axis=1), added, rtol=0, atol=1e-9, err_msg=str(k))


def test_integrated_gradients_are_those_of_the_definition(rng: np.random.Generator) -> None:
    classifier, z, step = svm(rng), rng.normal(size=7), 1e-5
    nodes, weights = np.polynomial.legendre.leggauss(40)
    expected = np.zeros(7)
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        for j in range(7):
            at = np.array([node * z, node * z])
            at[:, j] += (step, -step)
            above, below = classifier.decision_values(at)
            expected[j] += weight * z[j] * (above - below) / (2 * step)
    np.testing.assert_allclose(of_vectors(classifier, z[None])[1][0], expected, atol=1e-7)


def test_integrated_gradients_of_a_perceptron_are_those_of_the_definition(rng: np.random.Generator) -> None:
    offsets = np.append(rng.normal(size=19), 0.3)
    hidden = np.column_stack([rng.normal(size=(7, 19)), np.zeros(7)])  # the last unit does not look at the features
    classifier = Perceptron(hidden, offsets, rng.normal(size=20), 0.3, limit=4.0)
    z, expected, n_steps = rng.normal(size=7), np.zeros(7), 200_000
    for t in np.array_split((np.arange(n_steps) + 0.5) / n_steps, 20):
        active = np.outer(t, z @ hidden) + offsets > 0
        expected += z * (hidden @ (active.sum(axis=0) * classifier.weights)) / n_steps
    start, parts = of_vectors(classifier, z[None])
    np.testing.assert_allclose(parts[0], expected, atol=1e-4)
    assert start + parts.sum() == pytest.approx(classifier.decision_values(z[None])[0], abs=1e-12)
    beyond = of_vectors(classifier, np.full((1, 7), 1e6))  # cut off, as the classifier does
    assert beyond[0] + beyond[1].sum() == pytest.approx(classifier.decision_values(np.full((1, 7), 4.0))[0], abs=1e-9)


def test_a_weight_alone_decides_the_contribution_of_its_feature() -> None:
    model = train_model(gaussian_data(), SPEC, "logreg")
    features = np.array(gaussian_data(seed=3).features[0])
    before = contributions(model, features)[1]
    features[4] += 2 * model.scale[4]
    after = contributions(model, features)[1]
    assert np.flatnonzero(np.abs(after - before) > 1e-12).tolist() == [4]


def test_the_boundary_is_where_the_score_is_the_threshold() -> None:
    model = load_model(MODEL)
    for threshold in (0.02, model.threshold, 0.9):
        value = boundary_of(model, threshold)
        assert float(model.calibration.scores(np.array([value]))[0]) == pytest.approx(threshold, abs=1e-9)


def test_every_feature_has_its_place() -> None:
    for name in ("azimuthal", "residual", "world", "durall"):
        spec = FeatureSpec.preset(name)
        sizes = spec.group_sizes
        assert sizes is not None
        layout = feature_layout(spec, sum(sizes))
        assert [group.end - group.start for group in layout] == list(sizes)
        assert layout[0].start == 0 and layout[-1].end == sum(sizes)
        assert {group.scale_px for group in layout if group.name not in GROUPS_OF_MIDDLE} == set(spec.scales or (None,))
        assert all(group.scale_px is None for group in layout if group.name in GROUPS_OF_MIDDLE)
        for group in layout:
            if group.frequencies is not None:
                assert group.frequencies.shape == (group.end - group.start,)
                assert group.frequencies.min() >= 0 and group.frequencies.max() <= MAX_FREQUENCY + 1e-12


def test_bands_hold_all_that_has_a_frequency() -> None:
    model = load_model(MODEL)
    evidence = evidence_of(model, model.reference, model.threshold)
    assert evidence.bands[1].sum() == pytest.approx(sum(group.contribution for group in evidence.groups))
    alone = replace(evidence, groups=evidence.groups[:1])
    assert alone.bands[1].sum() == pytest.approx(evidence.groups[0].contribution)
