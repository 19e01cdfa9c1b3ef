"""What more training images buy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conftest import MODELS, Run
from gaussian import SPEC, gaussian_data
from spectral_detect import train_model
from spectral_detect.errors import DatasetError
from spectral_detect.evaluation.learning_curve import learning_curve
from spectral_detect.training.dataset import Dataset


def test_more_images_are_better_and_no_tested_image_is_trained_on() -> None:
    data = gaussian_data(70, shift=1.5)
    model = train_model(data, SPEC, "logreg")
    rows = learning_curve(model, data)
    assert [row.n_train for row in rows] == [10, 20, 50, 56]
    assert rows[-1].auroc > rows[0].auroc
    assert all(row.n_draws == 5 and row.auroc_sd >= 0 for row in rows)
    noise = Dataset(np.random.default_rng(0).normal(size=(50, 12)), data.y[10:60], np.arange(50), data.samples[:50], ())
    assert learning_curve(train_model(noise, SPEC), noise)[-1].auroc == pytest.approx(0.5, abs=0.15)
    with pytest.raises(DatasetError, match="a learning curve needs more images"):
        learning_curve(model, gaussian_data(10))
    with pytest.raises(DatasetError, match="a fused model has no learning curve; measure its parts"):
        learning_curve(replace(model, parts=(model, model)), data)


def test_groups_of_many_images_are_spread_over_the_training_images() -> None:
    data = gaussian_data(120)
    grouped = replace(data, groups=np.arange(120) // 6)  # 10 groups of a class, of 6 images each
    rows = learning_curve(train_model(data, SPEC, "logreg"), grouped)
    assert rows[0].n_train == 10
    few = replace(data, groups=np.arange(120) // 12)  # 5 groups: 4 are left to train on
    with pytest.raises(DatasetError, match="4 groups of a class are left to train on while others are kept apart"):
        learning_curve(train_model(data, SPEC, "logreg"), few)


def test_an_evaluation_is_printed_though_there_is_no_curve(run: Run, labelled_folder: Path) -> None:
    folders = ("--real", labelled_folder / "real", "--fake", labelled_folder / "fake", "--group-by", "parent")
    result = run("evaluate", MODELS / "small.pkl", *folders, "--curve", "--jobs", 0)
    assert result.exit_code == 2
    assert "AUROC" in result.stdout and "Error: no learning curve: " in result.stderr
