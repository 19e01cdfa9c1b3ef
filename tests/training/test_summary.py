"""What a model's file holds of its training images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import texture
from gaussian import SPEC, gaussian_data
from spectral_detect import FAKE, REAL, FeatureSpec, Work, load_model, read_dataset, save_model, train_model
from spectral_detect.detector.experience import FeatureCloud
from spectral_detect.detector.model import MIN_TILES
from spectral_detect.explain.neighbours import nearest
from spectral_detect.features.common_profile import FREQUENCIES, common_profile
from spectral_detect.sources.discovery import FoundFile
from spectral_detect.sources.location import Location
from spectral_detect.training.labelled_files import LabelledFile, files_in_folders, source_names
from spectral_detect.training.summary import summarise_training

pytestmark = pytest.mark.usefixtures("in_this_process")


def test_the_summary_is_that_of_the_images(tmp_path: Path) -> None:
    data = gaussian_data()
    model = train_model(data, SPEC)
    assert model.summary is not None and model.cloud is not None
    X = np.asarray(data.features)
    for label in (REAL, FAKE):
        np.testing.assert_allclose(model.summary.feature_means[label], X[data.y == label].mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(model.summary.feature_deviations[label], X[data.y == label].std(axis=0), rtol=1e-6)
    assert model.summary.labels.tolist() == data.y.tolist()
    positions = np.stack([model.cloud.position(x) for x in X])
    np.testing.assert_allclose(model.summary.positions, positions, rtol=1e-3, atol=1e-4)
    assert np.abs(positions.std(axis=0) - 1).max() < 0.1
    save_model(model, tmp_path / "m.pkl")
    loaded = load_model(tmp_path / "m.pkl").summary
    assert loaded is not None
    for name, value in vars(model.summary).items():
        np.testing.assert_array_equal(getattr(loaded, name), value)


def test_without_labels_there_is_none(tmp_path: Path) -> None:
    model = train_model(gaussian_data(labelled=False), SPEC, "kmeans")
    assert model.summary is None
    save_model(model, tmp_path / "m.pkl")
    assert load_model(tmp_path / "m.pkl").summary is None


def test_files_give_profiles_sources_and_the_limit_of_tiles(labelled_folder: Path) -> None:
    spec = FeatureSpec.preset("residual")
    files = files_in_folders(labelled_folder / "real", labelled_folder / "fake")
    dataset = read_dataset(files, spec, Work(0))
    assert dataset.features[0].shape[0] == MIN_TILES
    summary = train_model(dataset, spec).summary
    assert summary is not None
    assert summary.sources == ("fake", "real")
    assert [summary.sources[k] for k in summary.source_of] == ["real"] * 12 + ["fake"] * 12
    assert summary.profile_means.shape == (2, len(FREQUENCIES))
    assert summary.tile_disagreement is None  # of 24 images no quantile of 0.99 is taken
    real, fake = summary.profile_means
    assert fake[:20].mean() - fake[-20:].mean() > 1 + real[:20].mean() - real[-20:].mean()
    text = repr(vars(summary))
    assert str(labelled_folder) not in text


def test_edited_copies_do_not_count(labelled_folder: Path) -> None:
    from spectral_detect import Extractor
    from spectral_detect.media.edits import Edit

    spec = FeatureSpec.preset("azimuthal")
    files = files_in_folders(labelled_folder / "real", labelled_folder / "fake")
    plain = read_dataset(files, Extractor(spec, with_profile=True), Work(0))
    both = read_dataset(files, Extractor(spec, (None, Edit("jpeg", 30)), with_profile=True), Work(0))
    summaries = [train_model(dataset, spec).summary for dataset in (plain, both)]
    assert summaries[0] is not None and summaries[1] is not None
    np.testing.assert_array_equal(summaries[0].feature_means, summaries[1].feature_means)
    assert len(summaries[1].labels) == 24


def test_the_limit_is_that_of_enough_images_of_enough_tiles() -> None:
    data = gaussian_data()
    cloud = FeatureCloud.of_images(data.features)
    deviations = np.concatenate([np.full(40, np.nan), np.linspace(0, 1, 101)])
    found = summarise_training(data, cloud, deviations)
    assert found is not None and found.tile_disagreement == pytest.approx(0.99)
    few = summarise_training(data, cloud, np.concatenate([np.full(40, np.nan), np.ones(20)]))
    assert few is not None and few.tile_disagreement is None


def test_features_of_two_values_and_of_one_have_a_cloud() -> None:
    rng = np.random.default_rng(0)
    bits = np.stack([rng.permutation(np.repeat([1.0, -1.0], 8)) for _ in range(40)], axis=1)
    for images in (bits, np.ones((16, 40))):
        cloud = FeatureCloud.of_images(images)
        np.testing.assert_allclose(cloud.directions @ cloud.directions.T, np.eye(len(cloud.directions)), atol=1e-9)
        assert np.isfinite(cloud.distances(images[0])).all()


def test_the_nearest_training_image_of_a_training_image_is_itself() -> None:
    data = gaussian_data(shift=8.0)
    model = train_model(data, SPEC)
    for k in (0, 59):
        found = nearest(model, data.features[k])
        assert found[0].distance < 0.01
        assert found[0].label == ("real" if data.y[k] == REAL else "fake")
        distances = [neighbour.distance for neighbour in found]
        assert distances == sorted(distances) and len(set(distances)) == 5


def labelled(path: str, group: str | None = None, source: str | None = None) -> LabelledFile:
    return LabelledFile(FoundFile(Location(path)), REAL, group, source=source)


def test_sources_are_names_and_no_paths() -> None:
    files = [
        labelled("/home/alice/camera/1.png"),
        labelled("/home/alice/camera/2.png", group="2.png"),
        labelled("3.png"),
        labelled("/home/alice/4.png", source="a set"),
        *(labelled(f"/x/{k}.png", group="/home/alice/videos/first") for k in range(5)),
    ]
    assert source_names(files) == ("camera", "camera", "(unnamed)", "a set", *["first"] * 5)


def test_the_common_profile_is_that_of_the_image_as_the_features_take_it(rng: np.random.Generator) -> None:
    residual, world = FeatureSpec.preset("residual"), FeatureSpec.preset("world")
    doubled = texture(rng, 512, doubled=True)
    sharp = texture(rng, 512)
    falls = [common_profile(image, residual) for image in (sharp, doubled)]
    assert falls[1][-16:].mean() < falls[0][-16:].mean() - 1
    large = np.asarray(Image.fromarray(sharp).resize((1024, 1024), Image.Resampling.NEAREST))
    np.testing.assert_allclose(common_profile(large, world), common_profile(sharp, world), atol=0.2)
    assert common_profile(sharp, residual).shape == FREQUENCIES.shape
    assert common_profile(rng.integers(0, 256, (1500, 1200), np.uint8), residual).shape == FREQUENCIES.shape
