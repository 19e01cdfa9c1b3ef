"""Two coordinates for each image: clusters stay apart, and the seed is fixed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from spectral_detect.errors import DatasetError
from spectral_detect.features.spec import FeatureSpec
from spectral_detect.folders.embedding import Method, embed, folder_features
from spectral_detect.folders.reading import find_folders
from spectral_detect.parallel.work import Work
from spectral_detect.sources.location import Location

pytestmark = pytest.mark.usefixtures("in_this_process")


def clusters(n: int = 20) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(centre, 1, (n, 10)) for centre in (0, 20)]


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_clusters_stay_apart_and_the_points_are_the_same_each_time(method: Method) -> None:
    found = embed(["a", "b"], clusters(), method)
    first, second = found.points
    assert first.shape == second.shape == (20, 2)
    between = np.linalg.norm(first.mean(axis=0) - second.mean(axis=0))
    within = max(np.linalg.norm(some - some.mean(axis=0), axis=1).max() for some in found.points)
    assert between > within
    again = embed(["a", "b"], clusters(), method)
    np.testing.assert_array_equal(np.concatenate(found.points), np.concatenate(again.points))


def test_the_explained_variance_is_that_of_the_data() -> None:
    rng = np.random.default_rng(0)
    two = rng.normal(size=(30, 2))
    found = embed(["a"], [np.concatenate([two, two[:, :1], np.ones((30, 1))], axis=1)])  # two dimensions in four
    assert found.explained is not None and sum(found.explained) == pytest.approx(1)
    assert found.explained[0] > found.explained[1] > 0 and found.perplexity is None


def test_too_few_images_are_an_error() -> None:
    with pytest.raises(DatasetError, match="2 images: an embedding needs at least 3"):
        embed(["a"], [np.eye(2)])
    with pytest.raises(DatasetError, match="needs more images than that, and here are 4"):
        embed(["a"], [np.eye(4)], "tsne")
    with pytest.raises(DatasetError, match="the same features; are they copies"):
        embed(["a"], [np.ones((5, 3))])


def test_features_of_tiles_are_averaged(labelled_folder: Path) -> None:
    folders = find_folders([Location(str(labelled_folder / name)) for name in ("real", "fake")])
    spec = FeatureSpec.preset("residual")
    real, fake = folder_features(folders, spec, Work(0), on_failure=lambda path, reason: pytest.fail(reason))
    assert spec.group_sizes is not None
    assert real.shape == fake.shape == (12, sum(spec.group_sizes))
