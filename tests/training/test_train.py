"""Training: scores, thresholds, reproducibility."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from conftest import EXAMPLES, MODELS, Run, texture
from gaussian import SPEC, gaussian_data
from spectral_detect import FAKE, load_model, train_model
from spectral_detect.cli.shared import progress
from spectral_detect.errors import DatasetError
from spectral_detect.report.models import models_text
from spectral_detect.report.training import training_text
from spectral_detect.training.dataset import Dataset
from spectral_detect.training.fit import training_vectors

pytestmark = pytest.mark.usefixtures("in_this_process")

MODEL = MODELS / "photographs.pkl"
MANIFEST = EXAMPLES / "manifest.csv"


def test_unlabelled_kmeans_calls_more_at_high_frequencies_fake() -> None:
    data = gaussian_data(shift=4.0, labelled=False)
    model = train_model(data, SPEC, "kmeans")
    called_fake = model.scores(data.features) >= model.threshold
    assert data.features[called_fake][:, -3:].mean() > data.features[~called_fake][:, -3:].mean()
    assert model.training["n_unlabelled"] == 60
    assert model.metrics == {}
    with pytest.raises(DatasetError, match="svm learns from labels; only kmeans does without"):
        train_model(data, SPEC, "svm")


@pytest.mark.parametrize("name", ["svm", "logreg", "kmeans"])
def test_scores_are_probabilities_of_the_right_side(name: str) -> None:
    model = train_model(gaussian_data(200, shift=2.0), SPEC, name)
    new = gaussian_data(200, shift=2.0, seed=7)
    scores = model.scores(new.features)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert np.mean((scores >= model.threshold) == new.y) > 0.9
    assert scores[new.y == FAKE].mean() > 0.8
    assert model.metrics["balanced_accuracy"] > 0.9
    order = np.argsort(model.decision_values(new.features))
    assert (np.diff(scores[order]) >= 0).all()


def test_the_score_of_an_image_does_not_depend_on_its_company() -> None:
    model = train_model(gaussian_data(), SPEC)
    new = gaussian_data(seed=5).features
    together = model.scores(new)
    np.testing.assert_array_equal(together, np.concatenate([model.scores(row[None]) for row in new]))


@pytest.mark.parametrize("name", ["svm", "logreg", "kmeans"])
def test_scores_of_single_precision_are_those_of_double_to_its_rounding(name: str) -> None:
    data = gaussian_data()
    model = train_model(data, SPEC, name)
    single = model.scores(data.features.astype(np.float32))
    np.testing.assert_allclose(single, model.scores(data.features), atol=1e-5)
    whole = data.features.astype(int)
    np.testing.assert_array_equal(model.scores(whole), model.scores(whole.astype(float)))


def test_paper_settings_keep_the_classifiers_own_boundary() -> None:
    data = gaussian_data(shift=3.0)
    model = train_model(data, SPEC, "logreg", paper_settings=True)
    called = model.scores(data.features) >= model.threshold
    np.testing.assert_array_equal(called, model.decision_values(data.features) >= 0)
    assert not model.mean.any()
    assert (model.scale == 1).all()


def test_the_same_seed_gives_the_same_model() -> None:
    first, again = (train_model(gaussian_data(), SPEC, seed=3) for _ in range(2))
    X = gaussian_data(seed=9).features
    np.testing.assert_array_equal(first.scores(X), again.scores(X))
    assert first.metrics == again.metrics
    assert first.threshold == again.threshold


def test_one_group_of_many_images_is_no_class_to_learn() -> None:
    data = gaussian_data(40, shift=3.0)
    alone = Dataset(data.features, data.y, data.y, data.samples, ())
    with pytest.raises(DatasetError, match=r"20 usable real images in 1 group .*in as many groups"):
        train_model(alone, SPEC)


def test_features_of_no_variety_are_no_training() -> None:
    data = gaussian_data(40, shift=3.0)
    same = replace(data, features=[np.ones(4, np.float32)] * 40)
    with pytest.raises(DatasetError, match="the features of all images are the same; choose other features"):
        train_model(same, SPEC)
    with pytest.raises(DatasetError, match="the features of all images are the same"):
        train_model(replace(same, y=np.full(40, -1)), SPEC, "kmeans")


def test_both_classes_and_large_and_small_groups_share_the_weight() -> None:
    data = gaussian_data(60)
    groups = np.concatenate([np.zeros(16), np.arange(1, 45)]).astype(int)  # 16 reals in one group, 14 alone
    weights = training_vectors(replace(data, groups=groups), 100, 0)[2]
    assert weights[data.y == 0].sum() == pytest.approx(weights[data.y == 1].sum()) == pytest.approx(30)
    assert weights[:16].sum() == pytest.approx(4 * weights[20])
    own = np.where(np.arange(60) < 45, 1.0, 0.25)
    weights = training_vectors(replace(data, weights=own), 100, 0)[2]
    assert weights[59] == pytest.approx(weights[30] / 4)
    tiles = [np.zeros((64 if label == 0 else 16, 3)) for label in data.y]
    _, labels, weights = training_vectors(replace(data, features=tiles), 10**6, 0)  # reals are larger images
    assert weights[labels == 0].sum() == pytest.approx(weights[labels == 1].sum()) == pytest.approx(len(labels) / 2)


def test_files_of_little_weight_only_help_to_train() -> None:
    data = gaussian_data(60)
    more = gaussian_data(200, shift=-3.0, seed=5)
    both = Dataset(
        np.concatenate([data.features, more.features]),
        np.concatenate([data.y, more.y]),
        np.arange(260),
        (*data.samples, *(replace(s, sha256=f"b{k:063d}") for k, s in enumerate(more.samples))),
        (),
        weights=np.repeat([1.0, 0.5], [60, 200]),
    )
    metrics = train_model(both, SPEC, "ridge").metrics
    assert metrics["n_real"] == metrics["n_fake"] == 30
    assert metrics["auroc"] < train_model(data, SPEC, "ridge").metrics["auroc"]  # these mislead
    for classifier in ("svm", "logreg", "kmeans"):
        with pytest.raises(DatasetError, match=f"a weight below 1 need .* for {classifier} all count alike"):
            train_model(both, SPEC, classifier)


def test_a_model_may_leave_scores_undecided() -> None:
    data = gaussian_data(200)
    model = train_model(data, SPEC, "ridge", verdict_errors=(0.02, 0.1))
    assert model.undecided is not None
    low, high = model.undecided
    assert 0 < low < model.threshold < high < 1
    assert f"undecided            scores between {low:.3f} and {high:.3f}" in training_text(model, "m.pkl")
    assert f"undecided      scores between {low:.3f} and {high:.3f}" in models_text([model])
    assert train_model(data, SPEC, "ridge").undecided is None
    assert "real called fake        2.0 %   expected; asked for 2 %\n" in training_text(model, "m.pkl")
    few = train_model(gaussian_data(40), SPEC, "ridge", verdict_errors=(0.02, 0.1))
    assert "real called fake        4.8 %   expected; asked for 2 %; 20 groups support no less" in training_text(
        few, "f"
    )


def test_a_target_makes_the_threshold() -> None:
    strict, equal = (train_model(gaussian_data(200), SPEC, target_fpr=target) for target in (0.05, None))
    assert strict.training["false_alarms"]["target"] == 0.05
    assert strict.threshold > equal.threshold
    assert strict.metrics["confusion"]["real"]["fake"] <= 0.05 * 100 < equal.metrics["confusion"]["real"]["fake"]


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


def test_a_model_is_applied_without_scikit_learn() -> None:
    code = (
        "import sys, spectral_detect.scanning.images, spectral_detect.detector.model_file as m; "
        f"model = m.load_model({str(MODEL)!r}); model.scores(model.reference); "
        "assert not [n for n in sys.modules if n.split('.')[0] in ('sklearn', 'click', 'torch', 'matplotlib')]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def noise_folders(folder: Path, n_each: int, rng: np.random.Generator) -> tuple[str, ...]:
    """Write two folders of the same kind of noise; return the options that name them."""
    for label in ("real", "fake"):
        (folder / label).mkdir()
        for k in range(n_each):
            Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(folder / label / f"{k}.png")
    return "--real", str(folder / "real"), "--fake", str(folder / "fake")


def test_a_model_no_better_than_chance_is_saved_on_demand_and_decides_nothing(
    tmp_path: Path, rng: np.random.Generator, run: Run
) -> None:
    command = ("train", *noise_folders(tmp_path, 8, rng), "--output", tmp_path / "m.pkl")
    refused = run(*command)
    assert refused.exit_code == 2
    assert "no better than chance: cross-validated AUROC" in refused.stderr
    assert "--allow-useless saves it" in refused.stderr
    assert not (tmp_path / "m.pkl").exists()
    saved = run(*command, "--allow-useless")
    assert saved.exit_code == 0
    assert "warning: the model is no better than chance" in saved.stderr
    scanned = run("scan", tmp_path / "real", "--model", tmp_path / "m.pkl", "--format", "jsonl")
    records = [json.loads(line) for line in scanned.stdout.splitlines()]
    assert [r["verdict"] for r in records] == ["inconclusive"] * 8
    assert all("the model m is no better than chance" in r["warnings"][0] for r in records)
    assert "useless" in run("models", tmp_path / "m.pkl").stdout
    assert "no better than chance" in run("evaluate", tmp_path / "m.pkl", *command[1:5]).stderr


def test_five_of_a_class_are_five_groups(tmp_path: Path, rng: np.random.Generator, run: Run) -> None:
    noise_folders(tmp_path, 8, rng)
    rows = [f"{label}/{k}.png,{label},{label}{k // 2}" for label in ("real", "fake") for k in range(8)]
    (tmp_path / "manifest.csv").write_text("\n".join(["path,label,group", *rows]))
    result = run("train", "--manifest", tmp_path / "manifest.csv", "--output", tmp_path / "m.pkl")
    assert result.exit_code == 2
    assert "8 usable real images in 4 groups (a video is one, and so are copies of one file)" in result.stderr


def test_each_record_carries_the_accuracy_of_its_model(run: Run) -> None:
    result = run("scan", EXAMPLES / "real" / "Aqua.png", "--model", MODEL, "--format", "jsonl")
    held_out = load_model(MODEL).metrics["balanced_accuracy"]
    assert json.loads(result.stdout)["model_balanced_accuracy"] == held_out


def clip(path: Path, rng: np.random.Generator, *, doubled: bool) -> Path:
    """A clip of four frames."""
    path.parent.mkdir(exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, (64, 64))  # type: ignore[attr-defined]
    for _ in range(4):
        writer.write(texture(rng, 64, doubled=doubled))
    writer.release()
    return path


def test_videos_may_be_named_one_by_one(tmp_path: Path, rng: np.random.Generator, run: Run) -> None:
    named: list[object] = []
    for k in range(5):
        named += ["--real", clip(tmp_path / f"r{k}.mp4", rng, doubled=False)]
        named += ["--fake", clip(tmp_path / f"f{k}.mp4", rng, doubled=True)]
    output = tmp_path / "m.pkl"
    alone = run("train", *named[:4], "--output", output)
    assert alone.exit_code == 2
    assert alone.stderr == (
        "Error: 4 usable real images in 1 group (a video is one, and so are copies of one file); training needs at "
        "least 5 of each class, in as many groups\n"
    )
    trained = run("train", *named, "--output", output)
    assert trained.exit_code == 0, trained.output
    assert output.exists()


def test_a_video_is_known_by_its_content(tmp_path: Path, rng: np.random.Generator, run: Run) -> None:
    video = clip(tmp_path / "r.mp4", rng, doubled=False).rename(tmp_path / "r")
    other = clip(tmp_path / "f.mp4", rng, doubled=False)
    result = run("train", "--real", video, "--fake", other, "--output", tmp_path / "m.pkl")
    assert "real images in 1 group (a video is one" in result.stderr


@pytest.mark.parametrize(("name", "kind"), [("x.png", "an image"), ("x.JPG", "an image"), ("x.mp4", "a video")])
@pytest.mark.parametrize("command", [("train",), ("fuse", "a.pkl", "b.pkl")])
def test_no_model_is_named_like_an_image(
    labelled_folder: Path, run: Run, command: tuple[str, ...], name: str, kind: str
) -> None:
    folders = ("--real", labelled_folder / "real", "--fake", labelled_folder / "fake")
    output = labelled_folder / "real" / name
    result = run(*command, *folders, "--output", output)
    assert result.exit_code == 2
    assert f"a model named like {kind} would be read as one; end it in .pkl" in result.stderr
    assert not output.exists()


def test_a_terminal_sees_what_takes_a_while(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ("train", "--manifest", MANIFEST, "--features", "azimuthal", "--output", tmp_path / "m.pkl", "--jobs", 0)
    assert "fitting" not in run(*command).stderr
    monkeypatch.setattr(progress, "shows_progress", lambda: True)
    assert "fitting svm, once and for each fold that is held out ...\n" in run(*command).stderr
