"""`compare` gives what training itself measures, names the best, and says when nothing is better than chance."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import EXAMPLES, SHARED, Run, needs_shared
from gaussian import gaussian_data
from spectral_detect import Dataset, Extractor, FeatureSpec, compare_detectors, load_model
from spectral_detect.errors import DatasetError
from spectral_detect.evaluation.compare import in_common

pytestmark = pytest.mark.usefixtures("in_this_process")

FOLDERS = ("--real", EXAMPLES / "real", "--fake", EXAMPLES / "fake")


def test_each_candidate_has_the_numbers_of_its_training(tmp_path: Path, run: Run) -> None:
    compared = run("compare", *FOLDERS, "--json")
    assert compared.exit_code == 0, compared.output
    found = json.loads(compared.stdout)
    assert (found["n_real"], found["n_fake"]) == (12, 12)
    tried = {(c["features"], c["classifier"]): c for c in found["candidates"]}
    assert set(tried) == {(f, c) for f in ("azimuthal", "residual", "world", "durall") for c in ("svm", "logreg")}
    for features, classifier in (("azimuthal", "logreg"), ("residual", "svm")):
        model = tmp_path / "m.pkl"
        options = ("--features", features, "--classifier", classifier, "--output", model, "--allow-useless")
        assert run("train", *FOLDERS, *options).exit_code == 0
        metrics = load_model(model).metrics
        candidate = tried[features, classifier]
        for name in ("auroc", "auroc_ci", "balanced_accuracy", "balanced_accuracy_ci"):
            assert candidate[name] == metrics[name]
    assert found["best"]["auroc"] == max(c["auroc"] for c in found["candidates"])
    assert found["is_better_than_chance"]
    aurocs = [c["auroc"] for c in found["candidates"]]
    assert aurocs == sorted(aurocs, reverse=True)
    assert json.loads(run("compare", *FOLDERS, "--json").stdout) == found


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


def of_gaussians(shifts: dict[int, float], n: int = 60, seed: int = 0) -> list[Dataset]:
    """Data sets of one list of files, each with features of its own: bins -> how far the classes are apart."""
    return [
        replace(
            gaussian_data(n, shift=shift, seed=seed + bins),
            extractor=Extractor(FeatureSpec.preset("azimuthal", n_bins=bins)),
        )
        for bins, shift in shifts.items()
    ]


def test_the_best_is_told_from_a_worse_one_and_not_from_itself() -> None:
    good, bad = of_gaussians({12: 2.0, 13: 0.0})
    result = compare_detectors([bad, good], ["logreg"])
    assert result.best.spec_sha256 == FeatureSpec.preset("azimuthal", n_bins=12).sha256
    assert result.is_better_than_chance
    assert result.runner_up is not None
    assert result.runner_up.is_behind
    assert result.runner_up.behind.value == pytest.approx(result.best.auroc.value - result.runner_up.auroc.value)
    twice = compare_detectors([good, good], ["logreg"])
    assert twice.runner_up is not None
    assert (twice.runner_up.behind.low, twice.runner_up.behind.high) == (0, 0)
    assert not twice.runner_up.is_behind
    assert compare_detectors([good], ["logreg"]).runner_up is None


def test_that_the_best_of_several_was_chosen_is_counted_in() -> None:
    """Of six independent detectors on noise, the interval of the best alone lies above 50 % in a third of the cases."""
    alone = counted_in = 0
    for seed in range(0, 800, 100):
        result = compare_detectors(of_gaussians(dict.fromkeys(range(12, 18), 0.0), n=40, seed=seed), ["logreg"])
        assert result.best_auroc_low <= result.best.auroc.low
        alone += result.best.auroc.low > 0.5
        counted_in += result.is_better_than_chance
    assert counted_in < alone


def test_a_file_that_lacks_some_features_is_left_out_of_all_so_that_the_folds_are_the_same() -> None:
    first, second = of_gaussians({12: 1.0, 13: 1.0})
    failures = (replace(first.samples[7], error="too small"),)
    lacking = replace(second.select(np.arange(60) != 7), failures=failures)
    turned = replace(lacking.select(np.arange(59)[::-1]), failures=failures)
    both = in_common([first, turned])
    assert [s.path for s in both[0].samples] == [s.path for s in both[1].samples]
    assert "7" not in {s.path for s in both[0].samples}
    assert np.array_equal(both[0].groups, both[1].groups)
    assert np.array_equal(both[1].features[0], second.features[0])
    result = compare_detectors([first, lacking], ["logreg"])
    assert (result.n_real, result.n_fake, result.n_failed) == (29, 30, 1)
    assert result == compare_detectors([first, turned], ["logreg"])


def test_files_that_only_help_are_not_counted_as_compared_on() -> None:
    (data,) = of_gaussians({12: 1.0})
    weights = np.where(np.arange(60) % 3 == 0, 0.5, 1.0)
    result = compare_detectors([replace(data, weights=weights)], ["ridge"])
    assert (result.n_real, result.n_fake, result.n_groups, result.n_fewest_groups) == (20, 20, 40, 20)


def test_what_cannot_be_compared_is_named() -> None:
    (data,) = of_gaussians({12: 1.0})
    with pytest.raises(DatasetError, match="nothing to compare"):
        compare_detectors([data], [])
    with pytest.raises(DatasetError, match="does not tell its features; read it by"):
        compare_detectors([gaussian_data()])
    with pytest.raises(DatasetError, match="no image in common"):
        compare_detectors([data.select(np.arange(10)), data.select(np.arange(10, 60))])
    with pytest.raises(DatasetError, match="at least 5 of each class"):
        compare_detectors([data.select(np.arange(33))])


def test_a_failed_file_is_named_once_and_what_is_tried_can_be_chosen(labelled_folder: Path, run: Run) -> None:
    (labelled_folder / "real" / "05.png").write_bytes(b"text")
    folders = ("--real", labelled_folder / "real", "--fake", labelled_folder / "fake")
    result = run("compare", *folders, "--features", "azimuthal", "--features", "durall", "--classifier", "kmeans")
    assert result.exit_code == 1
    assert result.stderr.count("05.png") == 1
    lines = result.stdout.splitlines()
    assert lines[0].startswith("11 real, 12 fake in 23 groups")
    assert lines[1].startswith("(fewer than 20 images of a class")
    assert sorted(line.split()[0] for line in lines if " kmeans  " in line) == ["azimuthal", "durall"]
    assert run("compare", *folders[:2]).exit_code == 2


@needs_shared
def test_of_small_images_gray_profiles_are_better_than_chance(run: Run) -> None:
    folders = ("--real", SHARED / "data/cifake/real", "--fake", SHARED / "data/cifake/fake")
    result = run("compare", *folders, "--features", "azimuthal", "--classifier", "logreg")
    assert result.exit_code == 0, result.output
    assert "azimuthal with logreg is better than chance" in result.stdout
