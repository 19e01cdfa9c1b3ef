"""Evaluations: what is inconclusive, what a verdict is worth, rows by generator, learning curves, the matrix."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import EXAMPLES, Run
from gaussian import SPEC, gaussian_data
from spectral_detect import FAKE, REAL, Model, load_model, train_model
from spectral_detect.detector.calibration_metrics import reliability
from spectral_detect.detector.metrics import METRICS, predictive_values
from spectral_detect.detector.shipped import find_model
from spectral_detect.errors import DatasetError
from spectral_detect.evaluation.evaluate import evaluate_model
from spectral_detect.evaluation.retraining import ALL, OTHERS, cross_generators, learning_curve
from spectral_detect.extraction.one_file import Extractor
from spectral_detect.media.edits import CENTRE_224
from spectral_detect.media.images import DecodedImage, decode
from spectral_detect.scanning.rules import Rules
from spectral_detect.text import cut_in_the_middle
from spectral_detect.training.dataset import Dataset, files_by_generator, files_in_manifest, read_dataset

MANIFEST = EXAMPLES / "manifest.csv"


@pytest.fixture(scope="module")
def photographs() -> Model:
    return load_model("photographs")


@pytest.fixture
def generators(tmp_path: Path) -> Path:
    """Two generators of six fakes each, and the photographs that both are judged against."""
    folder = tmp_path / "generators"
    for name, chosen in (("one", slice(6)), ("two", slice(6, 12))):
        (folder / name).mkdir(parents=True)
        for path in sorted((EXAMPLES / "fake").glob("*.png"))[chosen]:
            shutil.copy(path, folder / name)
    shutil.copytree(EXAMPLES / "real", folder / "0_real")
    return folder


def test_the_inconclusive_are_counted_by_reason_and_with_the_errors_they_avoid(photographs: Model) -> None:
    dataset = read_dataset(files_in_manifest(str(MANIFEST)), Extractor(photographs.spec))
    plain = evaluate_model(photographs, dataset)
    assert plain["decided"]["n_real"] + plain["decided"]["n_fake"] == round(24 * (1 - plain["inconclusive_rate"]))
    strict = evaluate_model(photographs, dataset, Rules(min_confidence=0.9))
    assert strict["inconclusive"]["low confidence"] > 0
    assert strict["inconclusive_rate"] == pytest.approx(sum(strict["inconclusive"].values()) / 24)
    wrong = strict["confusion"]["real"]["fake"] + strict["confusion"]["fake"]["real"]
    assert strict["errors_avoided"] + strict["decided"]["n_errors"] == wrong
    for name in METRICS:  # by score alone every image counts
        assert strict[name] == plain[name]


def test_stability_judges_each_image_once(photographs: Model) -> None:
    files = files_in_manifest(str(MANIFEST))
    rules = Rules(stability=True)
    result = evaluate_model(photographs, read_dataset(files, Extractor(photographs.spec, rules.edits)), rules)
    assert (result["n_real"], result["n_fake"]) == (12, 12)
    assert result["inconclusive"]["depends on delivery"] > 0
    plain = evaluate_model(photographs, read_dataset(files, Extractor(photographs.spec)))
    assert result["auroc"] == plain["auroc"]


def test_a_positive_is_worth_little_where_fakes_are_rare() -> None:
    confusion = {"real": {"real": 9000, "fake": 1000}, "fake": {"real": 2000, "fake": 8000}}
    even, rare = (predictive_values(confusion, 10_000, 10_000, prevalence) for prevalence in (0.5, 0.01))
    assert even["ppv"] == pytest.approx(0.8 / 0.9, abs=0.01)
    assert rare["ppv"] == pytest.approx(0.008 / (0.008 + 0.099), abs=0.01)
    assert rare["npv"] == pytest.approx(0.891 / 0.893, abs=0.01)
    few = predictive_values({"real": {"real": 20, "fake": 0}, "fake": {"real": 0, "fake": 20}}, 20, 20, 0.01)
    assert few["ppv_ci"][0] < 0.3 < few["ppv"] < 1  # no false alarm among 20 is not none


def test_refusing_raises_what_a_verdict_is_worth(photographs: Model) -> None:
    """At a prevalence both the refusals and what they are worth follow it, whatever the classes' shares in the test."""
    data = gaussian_data(400, shift=1.0)
    model = train_model(data, SPEC, "logreg")
    new = gaussian_data(400, shift=1.0, seed=3)
    plain, strict = (evaluate_model(model, new, Rules(prevalence=0.2, min_confidence=c)) for c in (None, 0.9))
    assert strict["inconclusive_rate"] > 0.2
    assert strict["decided"]["accuracy"] > max(0.9, plain["decided"]["accuracy"])
    assert strict["at_prevalence"]["ppv"] > plain["at_prevalence"]["ppv"]
    assert sum(sum(row.values()) for row in strict["decided"]["confusion"].values()) == round(
        400 * (1 - strict["inconclusive_rate"])
    )


def test_the_reliability_diagram_sums_up_to_the_error() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 500)
    scores = rng.random(500)
    points = reliability(y, scores)
    assert sum(p["n"] for p in points) == 500
    for p in points:
        assert p["low"] <= p["fake_share"] <= p["high"]
        assert p["fake_share"] == pytest.approx(0.5, abs=0.25)


def test_folders_of_generators_are_labelled_by_their_names(tmp_path: Path, generators: Path) -> None:
    found = files_by_generator(str(generators))
    assert list(found) == ["one", "two"]
    for files in found.values():
        assert [sum(f.label == label for f in files) for label in (REAL, FAKE)] == [12, 6]
    shutil.copytree(generators / "one", generators / "three" / "dogs" / "1_fake")
    shutil.copytree(generators / "two", generators / "three" / "dogs" / "0_real")
    own = files_by_generator(str(generators))["three"]
    assert [sum(f.label == label for f in own) for label in (REAL, FAKE)] == [6, 6]
    shutil.rmtree(generators / "0_real")
    with pytest.raises(DatasetError, match="one': not both real and fake images; name the folder"):
        files_by_generator(str(generators))
    with pytest.raises(DatasetError, match="has no sub-folders"):
        files_by_generator(str(generators / "one"), [str(EXAMPLES / "real")])
    with pytest.raises(DatasetError, match="cannot be listed"):
        files_by_generator(str(tmp_path / "nowhere"))


def test_rows_by_generator_and_their_unweighted_mean(generators: Path, run: Run) -> None:
    shutil.rmtree(generators / "two")
    shutil.copytree(EXAMPLES / "fake", generators / "two")
    result = run("evaluate", "photographs", "--by", generators, "--protocol", "wang", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [(r["generator"], r["n_real"], r["n_fake"]) for r in found["generators"]] == [
        ("one", 12, 6),
        ("two", 12, 12),
    ]
    for name in ("average_precision", "auroc", "fake_accuracy", "ece"):
        assert found["mean"][name] == pytest.approx(np.mean([r[name] for r in found["generators"]]))
    assert found["mean"]["tpr_at_fpr_5"] is None  # twelve reals
    wang = found["wang"]
    assert wang["generators"][0]["average_precision_no_crop"] == found["generators"][0]["average_precision"]
    crops = [r["average_precision_crop_224"] for r in wang["generators"]]
    assert wang["mean"]["average_precision_crop_224"] == pytest.approx(np.mean(crops))
    table = run("evaluate", "photographs", "--by", generators, "--protocol", "wang").stdout
    assert "AP, crop 224" in table
    assert table.count("mean") >= 2
    assert run("evaluate", "photographs", "--by", generators, "--curve").exit_code == 2
    assert "give --by" in run("evaluate", "photographs", "--manifest", MANIFEST, "--protocol", "wang").stderr


def test_the_centre_crop_is_that_of_torchvision() -> None:
    pixels = np.arange(300 * 257, dtype=np.uint16).reshape(300, 257)
    image = DecodedImage(pixels, 257, 300, "PNG")
    np.testing.assert_array_equal(CENTRE_224.apply(image, "0" * 64).pixels, pixels[38:262, 16:240])
    small = DecodedImage(pixels[:100], 257, 100, "PNG")
    assert CENTRE_224.apply(small, "0" * 64).pixels.shape == (100, 224)


def test_more_images_are_better_and_no_tested_image_is_trained_on() -> None:
    data = gaussian_data(400, shift=1.5)
    model = train_model(data, SPEC, "logreg")
    rows = learning_curve(model, data)
    assert [row["n_train"] for row in rows] == [10, 20, 50, 100, 200, 320]
    assert rows[-1]["auroc"] > rows[0]["auroc"]
    assert all(row["n_draws"] == 5 and row["auroc_sd"] >= 0 for row in rows)
    noise = Dataset(
        np.random.default_rng(0).normal(size=(200, 12)), data.y[100:300], np.arange(200), data.samples[:200], ()
    )
    assert learning_curve(train_model(noise, SPEC), noise)[-1]["auroc"] == pytest.approx(0.5, abs=0.15)
    with pytest.raises(DatasetError, match="a learning curve needs more images"):
        learning_curve(model, gaussian_data(10))


def test_the_matrix_shows_what_carries_over() -> None:
    """Generators A and B leave the same trace, C leaves another: only C's own detector finds it."""
    rng = np.random.default_rng(0)
    n = 80
    reals = rng.normal(size=(n, 12))
    fakes = {"a": rng.normal(size=(n, 12)), "b": rng.normal(size=(n, 12)), "c": rng.normal(size=(n, 12))}
    for name, column in (("a", 3), ("b", 3), ("c", 7)):
        fakes[name][:, column] += 4
    template = gaussian_data(4 * n)
    y = np.repeat([REAL, FAKE, FAKE, FAKE], n)
    X = np.concatenate([reals, *fakes.values()])
    dataset = Dataset(X, y, np.arange(4 * n), template.samples, ())
    members = {name: np.r_[0:n, (k + 1) * n : (k + 2) * n] for k, name in enumerate(fakes)}
    result = cross_generators(dataset, members, SPEC, "logreg")
    table = {row["trained_on"]: {g: r["auroc"] for g, r in row["results"].items()} for row in result["rows"]}
    assert list(table) == ["a", "b", "c", ALL, OTHERS]
    assert min(table["a"]["b"], table["b"]["a"], table["c"]["c"], table[ALL]["c"], table[OTHERS]["a"]) > 0.95
    assert max(table["a"]["c"], table["c"]["a"], table[OTHERS]["c"]) < 0.75
    with pytest.raises(DatasetError, match="needs two or more"):
        cross_generators(dataset, {"a": members["a"]}, SPEC)


def test_the_matrix_command_draws_and_prints(generators: Path, tmp_path: Path, run: Run) -> None:
    for source in [*generators.glob("*/*.png")]:  # more images: each also mirrored
        with Image.open(source) as picture:
            picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(source.with_name(f"m_{source.name}"))
    command = ("matrix", generators, "--features", "azimuthal", "--classifier", "logreg", "--plot", tmp_path / "m.png")
    result = run(*command)
    assert result.exit_code == 0, result.output
    assert "all others" in result.stdout
    assert decode((tmp_path / "m.png").read_bytes()).width > 300
    found = json.loads(run(*command, "--json").stdout)
    assert found["generators"] == ["one", "two"]  # and the picture was drawn again
    shutil.copy(EXAMPLES / "real" / "Aqua.png", tmp_path / "m.png")
    assert "would be overwritten" in run(*command).stderr
    assert run("matrix", generators / "one").exit_code == 2


def test_evaluate_writes_scores_and_draws_what_it_measured(tmp_path: Path, run: Run) -> None:
    scores, plot = tmp_path / "scores.csv", tmp_path / "plot.png"
    command = ("evaluate", "photographs", "--manifest", MANIFEST, "--min-confidence", "0.9", "--prevalence", "0.1")
    result = run(*command, "--scores", scores, "--plot", plot, "--curve", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["at_prevalence"]["prevalence"] == 0.1
    assert [row["n_train"] for row in found["curve"]] == [10, 18]
    with open(scores, newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 24
    right = [(float(r["score"]) >= found["threshold"]) == (r["label"] == "fake") for r in rows]
    assert np.mean(right) == pytest.approx(found["accuracy"])
    assert np.mean([r["verdict"] == "inconclusive" for r in rows]) == pytest.approx(found["inconclusive_rate"])
    assert len({r["group"] for r in rows}) == 12
    assert decode(plot.read_bytes()).width > 1000
    text = run(*command).stdout
    for promised in ("oracle threshold", "ECE", "Cllr, best possible", "low confidence", "where 10 % of the images"):
        assert promised in text
    picture = shutil.copy(EXAMPLES / "real" / "Aqua.png", tmp_path / "picture.csv")
    for name, message in ((picture, "would be overwritten"), (tmp_path / "scores.json", "end the name in .csv")):
        refused = run(*command, "--scores", name)
        assert refused.exit_code == 2
        assert message in refused.stderr


def test_a_target_for_false_alarms_that_the_reals_cannot_support_is_refused(tmp_path: Path, run: Run) -> None:
    output = tmp_path / "m.pkl"
    command = ("train", "--manifest", MANIFEST, "--features", "azimuthal", "--output", output, "--target-fpr")
    refused = run(*command, "0.01")
    assert refused.exit_code == 2
    assert "needs at least 99 independent real images; there are 12" in refused.stderr
    assert not output.exists()
    trained = run(*command, "0.1")
    assert trained.exit_code == 0
    assert "the target was 10 %" in trained.stdout
    assert load_model(output).training["false_alarms"]["expected"] <= 0.1


def test_no_name_spoils_a_picture(tmp_path: Path, run: Run) -> None:
    """Dollar signs start mathematics, some scripts have no glyphs, control characters have no place."""
    model = tmp_path / "$\\frac{$ \u4e2d\x1b[31m.pkl"
    shutil.copy(find_model("photographs"), model)
    result = run("evaluate", model, "--manifest", MANIFEST, "--plot", tmp_path / "p.svg")
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.stdout + (tmp_path / "p.svg").read_text()


def test_rules_count_for_each_generator(generators: Path, run: Run) -> None:
    command = ("evaluate", "photographs", "--by", generators, "--real", generators / "0_real")
    strict = run(*command, "--min-confidence", "0.9", "--prevalence", "0.1")
    assert strict.exit_code == 0, strict.output
    head = strict.stdout.splitlines()[1].split()
    assert head[-2:] == ["inconcl.", "PPV"]
    shares = [float(line.split()[-2]) for line in strict.stdout.splitlines()[2:4]]
    plain = [float(line.split()[-1]) for line in run(*command).stdout.splitlines()[2:4]]
    assert all(a > b for a, b in zip(shares, plain, strict=True))


def test_long_names_are_told_apart_by_their_ends() -> None:
    names = ["stylegan2_ffhq_truncation_psi_0.5", "stylegan2_ffhq_truncation_psi_0.7"]
    short = [cut_in_the_middle(name, 24) for name in names]
    assert short == ["stylegan2_..._psi_0.5"[:10] + "..." + name[-11:] for name in names]
    assert all(len(name) == 24 for name in short)
