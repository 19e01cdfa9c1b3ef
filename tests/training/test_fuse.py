"""A fused model judges by the log likelihood ratios of two others, and only what both have seen."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import Run, texture
from made_onnx import detail, saved
from spectral_detect import FeatureSpec, Model, files_in_folders, load_model, read_dataset, save_model, train_model
from spectral_detect.detector.experience import Experience
from spectral_detect.errors import DatasetError, FeatureError, ModelFileError
from spectral_detect.explain.explanation import NO_TILES, NO_TILES_OF_PARTS
from spectral_detect.features.encoder.find import read_encoder
from spectral_detect.features.extract import extract_features
from spectral_detect.features.spec import FusedSpec
from spectral_detect.training.fuse import experience_of_both, fuse_models, fused_extractor

pytestmark = pytest.mark.usefixtures("in_this_process")


@pytest.fixture
def held(tmp_path: Path) -> Path:
    """Twelve images of each class that no model was trained on."""
    rng = np.random.default_rng(99)
    for label in ("real", "fake"):
        (tmp_path / "held" / label).mkdir(parents=True)
        for number in range(12):
            Image.fromarray(texture(rng, doubled=label == "fake")).save(tmp_path / "held" / label / f"{number:02d}.png")
    return tmp_path / "held"


@pytest.fixture
def specs(tmp_path: Path) -> tuple[FeatureSpec, FeatureSpec]:
    encoder = read_encoder(saved(tmp_path / "net.onnx", detail(64)))
    return FeatureSpec.preset("residual"), FeatureSpec.preset("encoder", encoder=encoder)


@pytest.fixture
def models(labelled_folder: Path, specs: tuple[FeatureSpec, FeatureSpec], tmp_path: Path) -> tuple[Model, Model]:
    """One of tiles, one of an encoder, read back from their files."""
    files = files_in_folders([str(labelled_folder / "real")], [str(labelled_folder / "fake")])
    loaded = []
    for name, spec in zip(("spectrum", "clip"), specs, strict=True):
        save_model(train_model(read_dataset(files, spec), spec), tmp_path / f"{name}.pkl")
        loaded.append(load_model(tmp_path / f"{name}.pkl"))
    return loaded[0], loaded[1]


@pytest.fixture
def fused(models: tuple[Model, Model], held: Path) -> Model:
    files = files_in_folders([str(held / "real")], [str(held / "fake")])
    return fuse_models(*models, read_dataset(files, fused_extractor(*models)))


def test_features_stand_side_by_side_and_each_model_gets_its_own(
    fused: Model, models: tuple[Model, Model], specs: tuple[FeatureSpec, FeatureSpec]
) -> None:
    image = texture(np.random.default_rng(5), 64, doubled=True)
    features = extract_features(image, fused.spec)
    own = [extract_features(image, spec) for spec in specs]
    assert features.shape == (len(own[0]), 472 + 4)
    for found, expected in zip(fused.of_parts(features), own, strict=True):
        np.testing.assert_array_equal(found, expected)
    alone = [part.calibration.log10_likelihood_ratio(part.scores([x])[0]) for part, x in zip(models, own, strict=True)]
    assert fused.ratios_of_parts(features) == pytest.approx(alone)
    weights = np.asarray(fused.classifier.weights) / fused.scale
    expected_value = weights @ (np.array(alone) - fused.mean) + fused.classifier.intercept
    assert fused.decision_values([features])[0] == pytest.approx(expected_value)
    assert (weights > 0).all()


def test_both_models_are_in_the_file_and_it_judges_as_before(fused: Model, tmp_path: Path) -> None:
    image = extract_features(texture(np.random.default_rng(6), 64), fused.spec)
    save_model(fused, tmp_path / "both.pkl")
    again = load_model(tmp_path / "both.pkl")
    assert again.scores([image]) == pytest.approx(fused.scores([image]))
    assert [part.name for part in again.parts] == ["spectrum", "clip"]
    assert [part.sha256 for part in again.parts] == [part.sha256 for part in fused.parts]
    assert (again.spec.sha256, again.threshold) == (fused.spec.sha256, fused.threshold)
    (tmp_path / "net.onnx").rename(tmp_path / "other.onnx")
    with pytest.raises(ModelFileError, match=r"both.pkl': the encoder 'net.onnx' .* is not there"):
        load_model(tmp_path / "both.pkl")
    assert load_model(tmp_path / "both.pkl", encoder=tmp_path / "other.onnx").sha256 == again.sha256


def test_a_damaged_part_is_refused(fused: Model, tmp_path: Path) -> None:
    save_model(fused, tmp_path / "both.pkl")
    content = bytearray((tmp_path / "both.pkl").read_bytes())
    at = content.index(b"part_1") + 500
    content[at] ^= 1
    (tmp_path / "both.pkl").write_bytes(content)
    with pytest.raises(ModelFileError, match="damaged"):
        load_model(tmp_path / "both.pkl")


def test_an_image_must_lie_in_the_experience_of_both(fused: Model, models: tuple[Model, Model]) -> None:
    odd = extract_features(np.zeros((64, 64), np.uint8), fused.spec)
    parts = [part.distance(own) for part, own in zip(models, fused.of_parts(odd), strict=True)]
    assert fused.distance(odd) == max(parts) > 1
    assert fused.experience is not None
    assert set(fused.experience.codings) == {"lossless"}


def with_experience(model: Model, seen: Experience | None) -> Model:
    return replace(model, experience=seen)


def test_experiences_are_cut_to_what_they_share(models: tuple[Model, Model]) -> None:
    first, second = models
    a = Experience(100, 800, 0.01, {"JPEG": (60, 90), "lossless": None, "WebP": (50, 60)}, 0.9)
    b = Experience(300, 2000, 0.02, {"JPEG": (75, 95), "lossless": None, "WebP": (80, 90)}, 0.1)
    both = experience_of_both(with_experience(first, a), with_experience(second, b))
    assert both == Experience(300, 800, pytest.approx(0.03), {"JPEG": (75, 90), "lossless": None}, 0.9)
    assert experience_of_both(with_experience(first, a), with_experience(second, None)) == a
    small = Experience(10, 50, 0.01, {"lossless": None})
    with pytest.raises(ModelFileError, match="no images of a size in common"):
        experience_of_both(with_experience(first, small), with_experience(second, b))
    other = Experience(300, 800, 0.01, {"AVIF": None})
    with pytest.raises(ModelFileError, match="no images of a coding in common"):
        experience_of_both(with_experience(first, other), with_experience(second, b))


def test_what_cannot_be_fused_is_said(fused: Model, models: tuple[Model, Model]) -> None:
    from spectral_detect.detector.calibration import Calibration
    from spectral_detect.media.delivery import Delivery

    first, second = models
    with pytest.raises(ModelFileError, match="is fused already; fuse the models that it was made of"):
        fused_extractor(fused, first)
    with pytest.raises(ModelFileError, match=r"not calibrated.*at least 10 independent images"):
        fused_extractor(first, replace(second, calibration=Calibration()))
    with pytest.raises(ModelFileError, match="are the same model"):
        fused_extractor(first, first)
    with pytest.raises(ModelFileError, match=r"both models are called 'spectrum'.*; rename one file"):
        fused_extractor(first, replace(second, name="spectrum"))
    with pytest.raises(ModelFileError, match=r"'clip' is no better than chance: cross-validated AUROC 50\.0 %"):
        fused_extractor(first, replace(second, metrics={**second.metrics, "auroc": 0.5, "auroc_ci": [0.3, 0.7]}))
    with pytest.raises(ModelFileError, match="'spectrum' tells 'real' and 'fake' apart, and 'clip' 'clean'"):
        fused_extractor(first, replace(second, class_names=("clean", "spoilt")))
    with pytest.raises(ModelFileError, match="delivered otherwise"):
        fused_extractor(first, replace(second, delivery=Delivery(256, (75,))))
    with pytest.raises(FeatureError, match="without bins are not fused"):
        FusedSpec.of((first.spec, FeatureSpec.preset("azimuthal", n_bins=None)))
    with pytest.raises(FeatureError, match="of other tiles are not fused"):
        FusedSpec.of((first.spec, FeatureSpec.preset("residual", tiles_per_side=4)))


def test_a_model_that_speaks_against_itself_is_not_fused(models: tuple[Model, Model], held: Path) -> None:
    first, second = models
    dataset = read_dataset(files_in_folders([str(held / "real")], [str(held / "fake")]), fused_extractor(first, second))
    turned = replace(second, calibration=replace(second.calibration, slope=-second.calibration.slope))
    with pytest.raises(DatasetError, match="'clip' adds nothing to what 'spectrum' says; use 'spectrum' alone"):
        fuse_models(first, turned, dataset)


def test_the_names_of_both_models_classes_are_kept(models: tuple[Model, Model], held: Path) -> None:
    first, second = (replace(model, class_names=("clean", "spoilt")) for model in models)
    dataset = read_dataset(files_in_folders([str(held / "real")], [str(held / "fake")]), fused_extractor(first, second))
    assert fuse_models(first, second, dataset).class_names == ("clean", "spoilt")


def test_records_show_both(run: Run, models: tuple[Model, Model], held: Path, tmp_path: Path) -> None:
    files = [tmp_path / "spectrum.pkl", tmp_path / "clip.pkl"]
    folders = ("--real", held / "real", "--fake", held / "fake")
    result = run("fuse", *files, *folders, "--output", tmp_path / "both.pkl", "--jobs", 0)
    assert result.exit_code == 0, result.stderr
    assert "judges by            spectrum, " in result.stdout
    assert "times its log10 likelihood ratio" in result.stdout
    result = run("scan", held, "--model", tmp_path / "both.pkl", "--format", "jsonl", "--jobs", 2)
    records = [json.loads(line) for line in result.stdout.splitlines()]
    decided = [record for record in records if record["verdict"] != "inconclusive"]
    assert len(decided) >= 20
    assert all(f"/{record['verdict']}/" in record["path"] for record in decided)
    for record in records:
        ratios = [float(part.split()[1]) for part in record["parts"].split("; ")]
        assert record["parts"].startswith("spectrum ") and "; clip " in record["parts"]
        assert all((ratio > 0) == ("/fake/" in record["path"]) for ratio in ratios)
    run("scan", held, "--model", files[0], "--output", tmp_path / "v.csv", "--jobs", 0)
    with (tmp_path / "v.csv").open() as written:
        assert {row["parts"] for row in csv.DictReader(written)} == {""}
    image = held / "fake" / "00.png"
    result = run("explain", image, "--model", tmp_path / "both.pkl", "--format", "json", "--jobs", 0)
    told = json.loads(result.stdout)
    titles = {kind["title"] for kind in told["evidence"]["kinds"]}
    assert titles == {"the model spectrum (residual features)", "the model clip (encoder features)"}
    assert told["tiles"] is None and NO_TILES_OF_PARTS in told["missing"] and NO_TILES not in told["missing"]
    result = run("evaluate", tmp_path / "both.pkl", *folders, "--json", "--jobs", 0)
    assert json.loads(result.stdout)["auroc"] == 1.0
    for command in (("models", tmp_path / "both.pkl"), ("models", tmp_path / "both.pkl", "--json")):
        assert "spectrum" in run(*command).stdout


def test_images_of_the_training_are_named(
    run: Run, models: tuple[Model, Model], labelled_folder: Path, held: Path
) -> None:
    files = [labelled_folder / "spectrum.pkl", labelled_folder / "clip.pkl"]
    folders = ("--real", labelled_folder / "real", "--fake", labelled_folder / "fake")
    result = run("fuse", *files, *folders, "--output", labelled_folder / "both.pkl", "--jobs", 0)
    for name in ("spectrum", "clip"):
        assert f"were in the training of the model {name}: it knew the answers" in result.stderr
    (labelled_folder / "real" / "another.png").write_bytes((held / "real" / "00.png").read_bytes())
    result = run("fuse", *files, *folders, "--output", labelled_folder / "both.pkl", "--jobs", 0)
    assert "24 of 25 images were in the training of the model clip" in result.stderr
    result = run("fuse", files[0], files[0], *folders, "--output", labelled_folder / "both.pkl")
    assert result.exit_code == 2 and "are the same model" in result.stderr
