"""Everything that works with spectra works with the features of an encoder."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from conftest import Run
from made_onnx import detail, means, of_one_node, saved
from spectral_detect.features.encoder.onnx_header import read_header

pytestmark = pytest.mark.usefixtures("in_this_process")


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    return saved(tmp_path / "models" / "net.onnx", detail(64))


@pytest.fixture
def model(run: Run, labelled_folder: Path, encoder: Path) -> Path:
    """A model whose encoder lies beside it."""
    output = encoder.with_name("my.pkl")
    folders = ("--real", labelled_folder / "real", "--fake", labelled_folder / "fake")
    result = run("train", *folders, "--features", "encoder", "--encoder", encoder, "--output", output, "--jobs", 0)
    assert result.exit_code == 0, result.stderr
    assert "net.onnx, SHA-256" in result.stdout
    assert "features             encoder, 4 values; classifier svm" in result.stdout
    return output


def scores(run: Run, model: Path, images: Path, *options: object) -> list[float]:
    result = run("scan", images, "--model", model, "--format", "jsonl", *options)
    assert result.exit_code == 0, result.stderr
    return [json.loads(line)["score"] for line in result.stdout.splitlines()]


def test_a_model_judges_by_the_encoder_beside_it(run: Run, model: Path, labelled_folder: Path) -> None:
    real = scores(run, model, labelled_folder / "real", "--jobs", 0)
    fake = scores(run, model, labelled_folder / "fake", "--jobs", 0)
    assert max(real) < min(fake)
    np.testing.assert_allclose(scores(run, model, labelled_folder / "real", "--jobs", 2), real, atol=1e-6)
    result = run("models", model, "--json")
    assert json.loads(result.stdout)["spec"]["encoder"]["name"] == "net.onnx"


def test_without_its_encoder_a_model_is_refused(
    run: Run, model: Path, encoder: Path, labelled_folder: Path, tmp_path: Path
) -> None:
    expected = scores(run, model, labelled_folder / "real", "--jobs", 0)
    (tmp_path / "away").mkdir()
    elsewhere = Path(shutil.copy(model, tmp_path / "away"))
    for command in (("scan", labelled_folder), ("video", labelled_folder), ("explain", labelled_folder / "a.png")):
        result = run(*command, "--model", elsewhere)
        assert result.exit_code == 2
        assert "my.pkl': the encoder 'net.onnx' (SHA-256 " in result.stderr
        assert "is no file; put its file beside the model, or name it with --encoder" in result.stderr
    assert run("models", elsewhere).exit_code == 0
    assert scores(run, elsewhere, labelled_folder / "real", "--jobs", 0, "--encoder", encoder) == expected
    saved(tmp_path / "away" / "net.onnx", means(64))
    result = run("scan", labelled_folder, "--model", elsewhere)
    assert result.exit_code == 2
    assert "is another file" in result.stderr


def test_a_model_without_an_encoder_takes_none(run: Run, encoder: Path, labelled_folder: Path) -> None:
    result = run("scan", labelled_folder, "--encoder", encoder)
    assert result.exit_code == 2
    assert "'world' needs no encoder; leave --encoder out" in result.stderr


def test_an_encoder_goes_with_its_features(run: Run, encoder: Path, labelled_folder: Path, tmp_path: Path) -> None:
    for options in (("--features", "encoder"), ("--encoder", encoder)):
        result = run("extract", labelled_folder, *options, "--output", tmp_path / "f.npz")
        assert result.exit_code == 2
        assert "--features encoder and --encoder FILE.onnx go together" in result.stderr
    both = ("--features", "encoder", "--encoder")
    result = run("extract", labelled_folder, *both, encoder, "--bins", 50, "--output", tmp_path / "f.npz")
    assert "--bins goes with a radial profile" in result.stderr
    bad = saved(tmp_path / "bad.onnx", of_one_node("NoSuchNode"))
    result = run("extract", labelled_folder, *both, bad, "--output", tmp_path / "f.npz")
    assert result.exit_code == 2
    assert "bad.onnx': " in result.stderr and "cannot read it" in result.stderr
    result = run("extract", labelled_folder, *both, encoder, "--output", encoder)
    assert result.exit_code == 2
    assert read_header(encoder.read_bytes()).outputs[-1].name == "vector"


def test_features_are_written_with_the_hash_of_their_encoder(
    run: Run, encoder: Path, labelled_folder: Path, tmp_path: Path
) -> None:
    options = ("--features", "encoder", "--encoder", encoder, "--jobs", 0)
    assert run("extract", labelled_folder, *options, "--output", tmp_path / "f.npz").exit_code == 0
    with np.load(tmp_path / "f.npz") as written:
        assert written["X"].shape == (24, 4)
        assert len(json.loads(str(written["spec"]))["encoder"]["sha256"]) == 64


def test_a_scan_by_another_encoder_is_not_resumed(
    run: Run, model: Path, encoder: Path, labelled_folder: Path, tmp_path: Path
) -> None:
    verdicts = tmp_path / "verdicts.csv"
    assert run("scan", labelled_folder / "real", "--model", model, "--output", verdicts).exit_code == 0
    (tmp_path / "second").mkdir()
    other = saved(tmp_path / "second" / "net.onnx", detail(32))
    folders = ("--real", labelled_folder / "real", "--fake", labelled_folder / "fake")
    trained = run("train", *folders, "--features", "encoder", "--encoder", other, "-o", other.with_name("my.pkl"))
    assert trained.exit_code == 0, trained.stderr
    result = run("scan", labelled_folder, "--model", other.with_name("my.pkl"), "--resume", verdicts)
    assert result.exit_code == 2
    with verdicts.open() as written:
        assert len(list(csv.DictReader(written))) == 12


def test_explain_names_what_the_encoder_adds(run: Run, model: Path, labelled_folder: Path) -> None:
    image = labelled_folder / "fake" / "00.png"
    result = run("explain", image, "--model", model, "--format", "json", "--jobs", 0)
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    (kind,) = told["evidence"]["kinds"]
    assert kind["title"] == "what the encoder sees"
    assert told["evidence"]["start"] + kind["contribution"] == pytest.approx(told["evidence"]["decision_value"])
    assert kind["contribution"] > 0
    assert told["missing"][0].startswith("its features are of the whole image")


def test_frames_are_judged_and_a_recorded_run_is_repeated(
    run: Run, model: Path, encoder: Path, labelled_folder: Path, tmp_path: Path
) -> None:
    result = run("video", labelled_folder / "fake", "--model", model, "--format", "jsonl", "--all")
    record = json.loads(result.stdout)
    assert (record["verdict"], record["n_judged"]) == ("fake", 12)
    recorded = tmp_path / "run.jsonl"
    result = run(
        "scan", labelled_folder / "fake", "--model", model, "--manifest", recorded, "--output", tmp_path / "v.csv"
    )
    assert result.exit_code == 0, result.stderr
    assert run("verify", recorded, "--model", model).exit_code == 0
    moved = encoder.rename(tmp_path / "moved.onnx")
    result = run("verify", recorded, "--model", model)
    assert result.exit_code == 1
    assert "put its file beside the model, or name it with --encoder" in result.stdout
    assert run("verify", recorded, "--model", model, "--encoder", moved).exit_code == 0


def test_evaluations_comparisons_and_groups_take_an_encoder(
    run: Run, model: Path, encoder: Path, labelled_folder: Path
) -> None:
    folders = ("--real", labelled_folder / "real", "--fake", labelled_folder / "fake")
    result = run("evaluate", model, *folders, "--json", "--jobs", 0)
    assert json.loads(result.stdout)["auroc"] == 1.0, result.stdout
    options = ("--features", "azimuthal", "--encoder", encoder, "--classifier", "logreg", "--json", "--jobs", 0)
    result = run("compare", *folders, *options)
    assert [one["features"] for one in json.loads(result.stdout)["candidates"]].count("encoder") == 1
    result = run("group", labelled_folder, "--features", "encoder", "--encoder", encoder, "--jobs", 0)
    assert result.exit_code == 0, result.stderr
