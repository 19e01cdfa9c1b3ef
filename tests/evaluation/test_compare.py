"""`compare` gives what training itself measures, names the best, and says when nothing is better than chance."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from conftest import EXAMPLES, Run
from spectral_detect import load_model

FOLDERS = ("--real", EXAMPLES / "real", "--fake", EXAMPLES / "fake")


def test_each_candidate_has_the_numbers_of_its_training(tmp_path: Path, run: Run) -> None:
    compared = run("compare", *FOLDERS, "--json")
    assert compared.exit_code == 0, compared.output
    found = json.loads(compared.stdout)
    assert (found["n_real"], found["n_fake"]) == (12, 12)
    tried = {(c["features"], c["classifier"]): c for c in found["candidates"]}
    assert set(tried) == {(f, c) for f in ("azimuthal", "residual", "durall") for c in ("svm", "logreg")}
    for features, classifier in (("azimuthal", "logreg"), ("residual", "svm")):
        model = tmp_path / "m.pkl"
        options = ("--features", features, "--classifier", classifier, "--output", model, "--allow-useless")
        assert run("train", *FOLDERS, *options).exit_code == 0
        metrics = load_model(model).metrics
        candidate = tried[features, classifier]
        for name in ("auroc", "auroc_ci", "balanced_accuracy", "balanced_accuracy_ci"):
            assert candidate[name] == metrics[name]
    assert found["best"]["auroc"] == max(c["auroc"] for c in found["candidates"])
    assert found["best"]["is_better_than_chance"]


def test_of_noise_nothing_is_better_than_chance(tmp_path: Path, rng: np.random.Generator, run: Run) -> None:
    for label in ("real", "fake"):
        (tmp_path / label).mkdir()
        for k in range(8):
            Image.fromarray(rng.integers(0, 256, (48, 48, 3), dtype=np.uint8)).save(tmp_path / label / f"{k}.png")
    result = run("compare", "--real", tmp_path / "real", "--fake", tmp_path / "fake")
    assert result.exit_code == 0, result.output
    assert len([line for line in result.stdout.splitlines() if line.startswith(("azim", "resi", "dura"))]) == 6
    assert result.stdout.splitlines()[-1].startswith("none is better than chance") == ("best:" not in result.stdout)
    assert "none is better than chance" in result.stdout
