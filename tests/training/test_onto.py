"""A perceptron may go on from another, and then judges by the mean of both."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conftest import EXAMPLES, Run
from gaussian import SPEC, gaussian_data
from spectral_detect import Model, load_model, save_model, train_model
from spectral_detect.detector.classifiers import Perceptron
from spectral_detect.errors import DatasetError, OptionError
from spectral_detect.extraction.one_file import Extraction
from spectral_detect.sources.location import Location
from spectral_detect.training.dataset import Dataset
from spectral_detect.training.perceptron import fit as perceptron

pytestmark = pytest.mark.usefixtures("in_this_process")
CODED = {"width": 300, "height": 300, "format": "PNG"}


def data(seed: int, n: int = 200) -> Dataset:
    """Images of their own, none of which another seed has."""
    names = [f"{seed}-{k}" for k in range(n)]
    samples = [Extraction(Location(x), sha256=hashlib.sha256(x.encode()).hexdigest(), **CODED) for x in names]
    return replace(gaussian_data(n, seed=seed), samples=tuple(samples))


@pytest.fixture(scope="module")
def base() -> Model:
    return replace(train_model(data(1, 400), SPEC, "perceptron"), name="base", sha256="b" * 64)


def test_it_judges_by_the_mean_of_the_log_odds_of_both(base: Model) -> None:
    onto = train_model(data(2), SPEC, "perceptron", onto=base)
    assert isinstance(onto.classifier, Perceptron)
    assert isinstance(base.classifier, Perceptron)
    n_base = len(base.classifier.weights)
    new = Perceptron(
        onto.classifier.hidden_weights[:, n_base:],
        onto.classifier.hidden_offsets[n_base:],
        2 * onto.classifier.weights[n_base:],
        2 * onto.classifier.intercept - base.classifier.intercept,
        onto.classifier.limit,
    )
    images = (data(3).features - base.mean) / base.scale
    mean = (base.classifier.decision_values(images) + new.decision_values(images)) / 2
    np.testing.assert_allclose(onto.decision_values(list(data(3).features)), mean)
    assert new.decision_values(images) @ np.repeat([-1, 1], 100) > 0  # that of the new images has learned them too


def test_of_three_each_counts_alike(base: Model) -> None:
    second = train_model(data(2), SPEC, "perceptron", onto=base)
    third = train_model(data(3), SPEC, "perceptron", onto=replace(second, sha256="c" * 64))
    assert isinstance(second.classifier, Perceptron)
    assert isinstance(third.classifier, Perceptron)
    n_before = len(second.classifier.weights)
    assert len(third.classifier.weights) == 3 * n_before / 2
    np.testing.assert_allclose(third.classifier.weights[:n_before], second.classifier.weights * 2 / 3)
    alone = Perceptron(
        third.classifier.hidden_weights[:, n_before:],
        third.classifier.hidden_offsets[n_before:],
        3 * third.classifier.weights[n_before:],
        3 * third.classifier.intercept - 2 * second.classifier.intercept,
        third.classifier.limit,
    )
    images = (data(4).features - base.mean) / base.scale
    mean = (2 * second.classifier.decision_values(images) + alone.decision_values(images)) / 3
    np.testing.assert_allclose(third.decision_values(list(data(4).features)), mean)


def test_what_the_first_knew_is_known_by_the_second_and_counted(base: Model, tmp_path: Path) -> None:
    small = replace(base.experience, min_side_px=64, max_side_px=80) if base.experience else None
    onto = train_model(data(2), SPEC, "perceptron", onto=replace(base, experience=small))
    for known in (data(1, 400), data(2)):
        assert all(onto.was_trained_on(sample.sha256, None) for sample in known.samples)
    assert onto.knows_its_files
    unmarked = replace(base, file_marks=np.empty(0))
    assert not train_model(data(2), SPEC, "perceptron", onto=unmarked).knows_its_files
    assert not onto.was_trained_on(data(3).samples[0].sha256, None)
    assert (onto.training["n_real"], onto.base) == (
        100,
        {"name": "base", "sha256": "b" * 64, "n_real": 200, "n_fake": 200},
    )
    assert onto.experience is not None
    assert (onto.experience.min_side_px, onto.experience.max_side_px) == (300, 300)  # on which it was measured
    assert onto.cloud is base.cloud  # which has seen more images
    assert train_model(data(2, 600), SPEC, "perceptron", onto=base).cloud is not base.cloud
    save_model(onto, tmp_path / "onto.pkl")
    assert load_model(tmp_path / "onto.pkl").base == onto.base
    again = train_model(data(3), SPEC, "perceptron", onto=onto)
    assert (again.base["n_real"], again.base["n_fake"]) == (300, 300)


def test_images_that_the_first_was_trained_on_are_refused(base: Model) -> None:
    with pytest.raises(DatasetError, match=r"'base' was trained on 200 images of these, such as '1-0'; leave them out"):
        train_model(data(1), SPEC, "perceptron", onto=base)


def test_only_a_perceptron_on_the_same_features_can_be_gone_on_from(base: Model) -> None:
    with pytest.raises(
        OptionError, match=r"'base' is a perceptron on 'azimuthal' features .*; go on from it with the same"
    ):
        train_model(data(2), SPEC, "svm", onto=base)
    with pytest.raises(OptionError, match="'the model' is ridge; only from a perceptron can one go on"):
        train_model(data(2), SPEC, "perceptron", onto=train_model(data(1), SPEC, "ridge"))
    with pytest.raises(OptionError, match="'other' features of its own settings"):
        train_model(data(2), SPEC, "perceptron", onto=replace(base, spec=replace(SPEC, name="other")))


def test_names_and_undecided_scores_are_those_of_the_first() -> None:
    first = train_model(data(1, 400), SPEC, "perceptron", verdict_errors=(0.05, 0.1))
    onto = train_model(data(2, 400), SPEC, "perceptron", onto=replace(first, class_names=("clean", "dirty")))
    assert onto.class_names == ("clean", "dirty")
    assert onto.undecided is not None
    assert [rate["target"] for rate in onto.training["verdict_errors"]] == [0.05, 0.1]
    hostile = replace(first, training={"verdict_errors": [1], "onto": "x", "n_real": "many"}, file_marks=np.empty(0))
    assert train_model(data(2), SPEC, "perceptron", onto=hostile).undecided is None


def test_the_command_takes_features_and_classifier_from_the_model(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perceptron, "LEAST_STEPS", 20)
    folders = ("--real", EXAMPLES / "real", "--fake", EXAMPLES / "fake", "--output", tmp_path / "more.pkl")
    trained = run("train", *folders, "--onto", "world", "--allow-useless")
    assert trained.exit_code == 0, trained.stderr
    more, world = load_model(tmp_path / "more.pkl"), load_model("world")
    assert (more.classifier.kind, more.spec, more.base["sha256"]) == ("perceptron", world.spec, world.sha256)
    assert more.outsiders is not None  # which world has learned
    n_real = world.training["n_real"] + world.base["n_real"]
    assert f"goes on from         world, trained on {n_real} real, " in trained.stdout
    assert "trained on           12 real, 12 fake images in" in trained.stdout
    assert "  goes on from   world, trained on " in run("models", tmp_path / "more.pkl").stdout
    assert (more.undecided or (1, 0))[0] < more.threshold < (more.undecided or (1, 0))[1]  # as of world
    for option in (("--classifier", "svm"), ("--bins", 50), ("--class-names", "a", "b"), ("--paper-settings",)):
        refused = run("train", *folders[:-1], tmp_path / "no.pkl", "--onto", "world", *option)
        assert (refused.exit_code, f"{option[0]}" in refused.stderr) == (2, True)
    refused = run("train", *folders[:-1], tmp_path / "twice.pkl", "--onto", tmp_path / "more.pkl")
    assert "was trained on 24 images of these" in refused.stderr
