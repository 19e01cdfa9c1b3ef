"""Which model judges an image, and what lies outside its experience."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import EXAMPLES, MODELS, Run
from spectral_detect import FeatureSpec, Model, load_model, scan, train_model
from spectral_detect.detector.experience import Experience
from spectral_detect.extraction.one_file import Extractor
from spectral_detect.media.coding import Coding
from spectral_detect.outputs.writer import ReadyRow
from spectral_detect.scanning.images import RowJudge
from spectral_detect.scanning.judge import Judge
from spectral_detect.sources.discovery import FoundFile
from spectral_detect.sources.location import Location
from spectral_detect.training.dataset import read_dataset
from spectral_detect.training.labelled_files import files_in_manifest

PHOTOGRAPH = EXAMPLES / "real" / "Aqua.png"


@pytest.fixture(scope="module")
def photographs() -> Model:
    return load_model(MODELS / "photographs.pkl")


PNG = Coding("lossless")
OF_ONE_KIND = [MODELS / f"{name}.pkl" for name in ("faces", "photographs", "small")]


def jpeg(quality: int) -> Coding:
    return Coding("JPEG", quality)


def test_an_experience_objects_in_words() -> None:
    seen = Experience(128, 1024, refusal_rate=0.01, codings={"JPEG": (75, 90)})
    assert seen.objections(128, 4000, jpeg(75), 0.9) == seen.objections(1100, 1100, jpeg(95), 0.1) == []
    assert seen.objections(100, 500, jpeg(80), 0.1) == ["100x500 pixels (it judges a shorter side of 103 to 1280)"]
    assert "4000x2000 pixels" in str(seen.objections(4000, 2000, jpeg(80), 0.1))
    unlike = "features unlike those of its training images (1.50 times the limit)"
    assert seen.objections(300, 300, jpeg(80), 1.5) == [unlike]
    assert seen.objections(300, 300, jpeg(69), 0.1) == ["coded as JPEG, quality 69 (seen: JPEG, quality 75 to 90)"]
    assert seen.objections(300, 300, PNG, 0.1) == ["coded as lossless (seen: JPEG, quality 75 to 90)"]
    assert len(seen.objections(30, 30, jpeg(50), 9.0)) == 3
    never = Experience(32, 32, 0.01, {"lossless": None, "H.264": None})
    assert never.objections(45, 45, PNG, 0) == ["45x45 pixels (it judges a shorter side of 26 to 40)"]
    assert never.objections(32, 32, jpeg(75), 0) == ["coded as JPEG, quality 75 (seen: lossless; H.264)"]
    deep = Coding("lossless", bits=16, has_alpha=True)
    assert never.objections(32, 32, deep, 0) == ["coded as lossless, 16 bit, with alpha (seen: lossless; H.264)"]
    for seen in (None, Coding("lossless", has_alpha=True, method="LZW"), Coding("H.264", chroma="4:2:0")):
        assert never.objections(32, 32, seen, 0) == []


def test_an_image_unlike_those_of_the_training_is_inconclusive(
    tmp_path: Path, photographs: Model, rng: np.random.Generator
) -> None:
    Image.fromarray(rng.integers(0, 256, (50, 60, 3), np.uint8)).save(tmp_path / "small.png")
    Image.fromarray(rng.integers(0, 256, (256, 256, 3), np.uint8)).save(tmp_path / "noise.png")
    (tmp_path / "text.png").write_bytes(b"text")
    noise, small, text = scan(tmp_path, photographs)  # a path alone will do
    for record in (noise, small, text):
        assert (record.model, record.model_sha256) == ("photographs", photographs.sha256)
        assert record.threshold == photographs.threshold
    assert (noise.verdict, noise.label) == (small.verdict, small.label) == ("inconclusive", None)
    assert text.verdict is None
    assert noise.score is not None
    assert "features unlike those of its training images" in noise.warnings[0]
    assert "60x50 pixels (it judges a shorter side of" in small.warnings[0]


def test_a_named_model_refuses_what_it_has_not_seen(
    tmp_path: Path, photographs: Model, rng: np.random.Generator
) -> None:
    Image.fromarray(rng.integers(0, 256, (40, 50, 3), np.uint8)).save(tmp_path / "small.png")
    Image.open(PHOTOGRAPH).convert("RGB").save(tmp_path / "photograph.jpg", quality=75)
    photograph, small = scan([str(tmp_path)], photographs)
    assert (small.verdict, small.label) == (photograph.verdict, photograph.label) == ("inconclusive", None)
    assert small.score is not None
    assert small.warnings[0].startswith("outside the experience of the model photographs: 50x40 pixels")
    assert "coded as JPEG, quality 75" in photograph.warnings[0]


def test_a_gray_copy_is_unlike_the_colour_images(tmp_path: Path, photographs: Model) -> None:
    Image.open(PHOTOGRAPH).convert("L").save(tmp_path / "gray.png")
    (record,) = scan([str(tmp_path)], photographs)
    assert "features unlike" in record.warnings[0]


def test_held_out_images_set_the_limit_of_the_distance() -> None:
    spec = FeatureSpec.preset("azimuthal", n_bins=20)
    dataset = read_dataset(files_in_manifest(str(EXAMPLES / "manifest.csv")), Extractor(spec))
    model = train_model(dataset, spec)
    assert model.experience is not None
    assert (model.experience.min_side_px, model.experience.max_side_px) == (256, 256)
    assert model.cloud is not None
    distances = np.array([model.cloud.distances(image) for image in dataset.features])
    assert distances.mean(axis=0)[0] == pytest.approx(1.0)  # of standardised features, over the training images
    assert (model.cloud.limits > distances.max(axis=0)).all()
    assert model.distance(dataset.features[0]) == pytest.approx((distances[0] / model.cloud.limits).max())


def test_the_verdict_of_an_image_in_tiles_is_that_of_their_mean(photographs: Model) -> None:
    (record,) = scan([str(PHOTOGRAPH)], photographs)
    from spectral_detect import extract_features, read_image

    tiles = extract_features(read_image(PHOTOGRAPH).pixels, photographs.spec)
    values = photographs.decision_values(tiles)  # each row as an image of one tile
    (expected,) = photographs.calibration.scores(values.mean()[None])
    assert len(values) == 16
    assert record.score == pytest.approx(float(expected), abs=1e-6)  # single precision


# ------------------------------------------------------------------------------------------------- train --augment


def test_augmented_training_says_so_and_can_be_repeated(tmp_path: Path, run: Run) -> None:
    for name in ("a.pkl", "b.pkl"):
        command = ("train", "--manifest", EXAMPLES / "manifest.csv", "--output", tmp_path / name)
        result = run(*command, "--augment", "wang0.5", "--copies", 2, "--seed", 3)
        assert result.exit_code == 0, result.output
        assert "augmented            wang 0.5, 2 copies of each image" in result.stdout
        assert "trained on           12 real, 12 fake images in 12 groups" in result.stdout
        assert "cross-validated on these images, augmented" in result.stdout
    first, again = (load_model(tmp_path / name) for name in ("a.pkl", "b.pkl"))
    assert (first.training["augment"], first.training["copies"]) == ("wang 0.5", 2)
    np.testing.assert_array_equal(first.scores(first.reference), again.scores(first.reference))
    misused = run(*command, "--copies", 2)
    assert misused.exit_code == 2
    assert "give --augment as well" in misused.stderr


def test_workers_make_the_rows_of_images_and_hand_on_what_needs_other_words(tmp_path: Path, photographs: Model) -> None:
    for name in ("a.png", "b.png"):
        Image.fromarray(np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)).save(tmp_path / name)
    (tmp_path / "c.png").write_bytes(b"no image")
    Image.new("L", (64, 64)).save(tmp_path / "d.png")
    judge = RowJudge(Judge(photographs), "jsonl")
    extractor = judge.judge.extractor()
    made = [judge(extractor(FoundFile(Location(str(path))))) for path in sorted(tmp_path.iterdir())]
    records = list(scan([str(tmp_path)], photographs))
    assert [type(one).__name__ for one in made] == ["ReadyRow", "ReadyRow", "ImageRecord", "ReadyRow"]
    for one, record in zip(made, records, strict=True):
        if isinstance(one, ReadyRow):
            assert json.loads(one.line) == record.to_dict()
            assert one.outcome == record.verdict
        else:
            assert one == record
    one_size = replace(records[0], warnings=("train one with `n_bins`",))
    assert judge._row(one_size) is one_size  # the command line has a word of its own for that
