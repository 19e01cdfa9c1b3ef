"""Evaluations: inconclusive images, the worth of a verdict, scores and pictures."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conftest import EXAMPLES, MODELS, Run
from gaussian import SPEC, gaussian_data
from spectral_detect import FAKE, REAL, Model, load_model, train_model
from spectral_detect.detector.calibration_metrics import reliability
from spectral_detect.detector.metrics import predictive_values
from spectral_detect.evaluation.evaluate import _decided, evaluate_model
from spectral_detect.extraction.one_file import Extractor, FramePlace
from spectral_detect.media.images import decode
from spectral_detect.scanning.rules import Rules
from spectral_detect.sources.location import Location
from spectral_detect.training.dataset import read_dataset
from spectral_detect.training.labelled_files import files_in_manifest

pytestmark = pytest.mark.usefixtures("in_this_process")

MODEL = MODELS / "photographs.pkl"
MANIFEST = EXAMPLES / "manifest.csv"
REALS = EXAMPLES / "real"


@pytest.fixture(scope="module")
def photographs() -> Model:
    return load_model(MODEL)


def test_the_inconclusive_are_counted_by_reason_and_with_the_errors_they_avoid(photographs: Model) -> None:
    dataset = read_dataset(files_in_manifest(str(MANIFEST)), Extractor(photographs.spec))
    plain = evaluate_model(photographs, dataset)
    assert plain.decided.n_real + plain.decided.n_fake == round(24 * (1 - plain.inconclusive_rate))
    strict = evaluate_model(photographs, dataset, Rules(min_confidence=0.9))
    assert strict.inconclusive["low confidence"] > 0
    assert strict.inconclusive_rate == pytest.approx(sum(strict.inconclusive.values()) / 24)
    confusion = strict.metrics.confusion
    assert strict.errors_avoided + strict.decided.n_errors == confusion["real"]["fake"] + confusion["fake"]["real"]
    assert strict.metrics == plain.metrics  # by score alone every image counts


@pytest.mark.parametrize("threshold", [0.05, 0.95])
def test_a_threshold_of_ones_own_decides_all_that_is_counted(photographs: Model, threshold: float) -> None:
    dataset = read_dataset(files_in_manifest(str(MANIFEST)), Extractor(photographs.spec))
    scores = photographs.scores(dataset.features)
    found = evaluate_model(photographs, dataset, Rules(threshold=threshold))
    called = {
        "real": int(np.sum(scores[dataset.y == 0] >= threshold)),
        "fake": int(np.sum(scores[dataset.y == 1] >= threshold)),
    }
    assert {name: counts["fake"] for name, counts in found.metrics.confusion.items()} == called
    assert {name: counts["fake"] for name, counts in found.decided.confusion.items()} == called
    assert found.metrics.threshold == threshold


def test_stability_judges_each_image_once(photographs: Model) -> None:
    files = files_in_manifest(str(MANIFEST))
    rules = Rules(stability=True)
    result = evaluate_model(photographs, read_dataset(files, Extractor(photographs.spec, rules.edits)), rules)
    assert (result.metrics.n_real, result.metrics.n_fake) == (12, 12)
    assert result.inconclusive["depends on delivery"] > 0
    plain = evaluate_model(photographs, read_dataset(files, Extractor(photographs.spec)))
    assert result.metrics.auroc == plain.metrics.auroc


def test_a_positive_is_worth_little_where_fakes_are_rare() -> None:
    confusion = {"real": {"real": 9000, "fake": 1000}, "fake": {"real": 2000, "fake": 8000}}
    even, rare = (predictive_values(confusion, 10_000, 10_000, prevalence) for prevalence in (0.5, 0.01))
    assert even.ppv is not None
    assert even.ppv.value == pytest.approx(0.8 / 0.9, abs=0.01)
    assert rare.ppv is not None
    assert rare.npv is not None
    assert rare.ppv.value == pytest.approx(0.008 / (0.008 + 0.099), abs=0.01)
    assert rare.npv.value == pytest.approx(0.891 / 0.893, abs=0.01)
    few = predictive_values({"real": {"real": 20, "fake": 0}, "fake": {"real": 0, "fake": 20}}, 20, 20, 0.01)
    assert few.ppv is not None
    assert few.ppv.low < 0.3 < few.ppv.value < 1  # no false alarm among 20 is not none


def test_as_many_images_count_as_independent_as_there_are_groups() -> None:
    """Three hundred frames of one video, all right, are no proof that a false alarm is rare."""
    right = {"real": {"real": 300, "fake": 0}, "fake": {"real": 0, "fake": 300}}
    found = [predictive_values(right, 300, 300, 0.01, n_groups=n).ppv for n in (None, (300, 300), (5, 5))]
    assert found[0] == found[1]
    assert found[0] is not None and found[2] is not None
    assert found[2].low < 0.1 * found[0].low
    y, scores = np.repeat([0, 1], 50), np.full(100, 0.45)
    (alone,), (together,) = (reliability(y, scores, groups) for groups in (np.arange(100), np.arange(100) // 25))
    assert alone.fake_share == together.fake_share == 0.5
    assert together.high - together.low > 3 * (alone.high - alone.low)


def test_refusing_raises_what_a_verdict_is_worth(photographs: Model) -> None:
    """At a prevalence both the refusals and what they are worth follow it, whatever the classes' shares in the test."""
    data = gaussian_data(400, shift=1.0)
    model = train_model(data, SPEC, "logreg")
    new = gaussian_data(400, shift=1.0, seed=3)
    plain, strict = (evaluate_model(model, new, Rules(prevalence=0.2, min_confidence=c)) for c in (None, 0.9))
    assert strict.inconclusive_rate > 0.2
    assert strict.decided.accuracy > max(0.9, plain.decided.accuracy)
    assert strict.at_prevalence.ppv.value > plain.at_prevalence.ppv.value
    assert sum(sum(row.values()) for row in strict.decided.confusion.values()) == round(
        400 * (1 - strict.inconclusive_rate)
    )


def test_the_reliability_diagram_sums_up_to_the_error() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 500)
    scores = rng.random(500)
    points = reliability(y, scores, np.arange(500))
    assert sum(p.n for p in points) == 500
    for p in points:
        assert p.low <= p.fake_share <= p.high
        assert p.fake_share == pytest.approx(0.5, abs=0.25)


def test_evaluate_writes_scores_and_draws_what_it_measured(tmp_path: Path, run: Run) -> None:
    scores, plot = tmp_path / "scores.csv", tmp_path / "plot.png"
    command = ("evaluate", MODEL, "--manifest", MANIFEST, "--min-confidence", "0.9", "--prevalence", "0.1")
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
    inside = run("evaluate", MODEL, "--real", REALS, "--fake", EXAMPLES / "fake", "--plot", REALS / "p.png")
    assert inside.exit_code == 2 and "whose images are read" in inside.stderr and not (REALS / "p.png").exists()
    text = run(*command).stdout
    for promised in ("oracle threshold", "ECE", "Cllr, best possible", "low confidence", "where 10 % of the images"):
        assert promised in text
    picture = shutil.copy(EXAMPLES / "real" / "Aqua.png", tmp_path / "picture.csv")
    for name, message in ((picture, "would be overwritten"), (tmp_path / "scores.json", "end the name in .csv")):
        refused = run(*command, "--scores", name)
        assert refused.exit_code == 2
        assert message in refused.stderr


def test_no_name_spoils_a_picture(tmp_path: Path, run: Run) -> None:
    """Dollar signs start mathematics, some scripts have no glyphs, control characters have no place."""
    model = tmp_path / "$\\frac{$ \u4e2d\x1b[31m.pkl"
    shutil.copy(MODEL, model)
    result = run("evaluate", model, "--manifest", MANIFEST, "--plot", tmp_path / "p.svg")
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.stdout + (tmp_path / "p.svg").read_text()


def test_one_fake_face_makes_a_fake_video() -> None:
    """As `video` decides: two faces in each video, two frames of each, one face swapped in a fake one."""
    known = gaussian_data(200, shift=2.0)
    model = train_model(known, SPEC, "logreg")
    scores = model.scores(known.features)
    real, fake = known.features[int(scores.argmin())], known.features[int(scores.argmax())]
    data = gaussian_data(80)
    videos, faces = np.arange(80) // 4, np.arange(80) // 2 % 2
    is_swapped = (faces == 1) & (data.y == FAKE)
    samples = tuple(
        replace(sample, location=Location(f"{video}.mp4"), frame=FramePlace(k % 2, None, face, None))
        for k, (video, face, sample) in enumerate(zip(videos.tolist(), faces.tolist(), data.samples, strict=True))
    )
    features = [fake if swapped else real for swapped in is_swapped.tolist()]
    found = evaluate_model(model, replace(data, features=features, samples=samples, groups=videos)).videos
    assert found is not None and (found.n_videos, found.n_ties) == (20, 0)
    for by in (found.majority, found.mean):
        assert by is not None and by.to_dict()["balanced_accuracy"] == 1


def test_a_model_given_as_an_option_is_said_to_be_an_argument(run: Run) -> None:
    result = run("evaluate", "--model", MODEL, "--manifest", MANIFEST)
    assert result.exit_code == 2 and "MODEL is no option: give it without --model" in result.stderr


def test_no_share_of_right_verdicts_is_more_than_all_or_of_nothing() -> None:
    for n in range(3, 60):
        y = np.repeat([REAL, FAKE], [n, 12])
        assert _decided(y, np.ones(n + 12, bool), np.ones(n + 12, bool), 0.05).accuracy == 1
    fakes_alone = _decided(y, y == FAKE, y == FAKE, 0.0)
    assert fakes_alone.accuracy is None
