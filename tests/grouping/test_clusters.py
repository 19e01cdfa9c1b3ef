"""Clusters of vectors: those that are there are found, what lies between is alone, the same each time."""

from __future__ import annotations

import numpy as np

from spectral_detect.grouping.clusters import (
    ALONE,
    by_size,
    default_min_size,
    distinct_rows,
    find_clusters,
    principal_components,
)


def blobs(rng: np.random.Generator, *sizes: int, n_features: int = 40) -> tuple[np.ndarray, np.ndarray]:
    centres = 8 * rng.normal(size=(len(sizes), n_features))
    truth = np.repeat(np.arange(len(sizes)), sizes)
    return centres[truth] + rng.normal(size=(len(truth), n_features)), truth


def test_clusters_that_are_there_are_found_the_largest_first(rng: np.random.Generator) -> None:
    features, truth = blobs(rng, 9, 20, 12)
    found = find_clusters(features)
    assert found.min_size == 5
    for source, number in ((0, 3), (1, 1), (2, 2)):
        inside = found.labels[truth == source]
        assert (inside == number).mean() > 0.6 and set(inside) <= {number, ALONE}
    assert (found.probability[found.labels == ALONE] == 0).all()
    assert (found.probability[found.labels != ALONE] > 0).all() and found.probability.max() == 1


def test_what_lies_far_from_all_is_alone(rng: np.random.Generator) -> None:
    features, _ = blobs(rng, 15, 15)
    strangers = 30 * rng.normal(size=(4, features.shape[1]))
    found = find_clusters(np.concatenate([features, strangers]))
    assert (found.labels[-4:] == ALONE).all() and found.labels.max() == 2


def test_the_order_of_features_and_their_scale_do_not_matter(rng: np.random.Generator) -> None:
    features, _ = blobs(rng, 10, 10, 10)
    expected = find_clusters(features).labels
    np.testing.assert_array_equal(find_clusters(features[:, ::-1] * np.logspace(-3, 3, 40) + 7).labels, expected)
    np.testing.assert_array_equal(find_clusters(features).labels, expected)


def test_too_few_images_are_alone() -> None:
    assert find_clusters(np.empty((0, 0))).labels.shape == (0,)
    assert find_clusters(np.ones((1, 5))).labels.tolist() == [ALONE]
    assert find_clusters(np.eye(9)).labels.tolist() == [ALONE] * 9  # two of five would be ten


def test_exact_copies_count_as_one_image(rng: np.random.Generator) -> None:
    assert find_clusters(np.ones((60, 5))).labels.tolist() == [ALONE] * 60
    features, _ = blobs(rng, 12, 12)
    expected = find_clusters(features)
    copied = find_clusters(np.concatenate([features, features[[3, 3, 20]]]))
    assert copied.n_distinct == 24
    np.testing.assert_array_equal(copied.labels[:24], expected.labels)
    np.testing.assert_array_equal(copied.labels[24:], expected.labels[[3, 3, 20]])
    np.testing.assert_array_equal(copied.probability[:24], expected.probability)


def test_distinct_rows_are_in_the_order_of_their_first_places() -> None:
    first, copy_of = distinct_rows(np.array([[3, 0], [1, 0], [3, 0], [2, 0], [1, 0]]))
    assert first.tolist() == [0, 1, 3] and copy_of.tolist() == [0, 1, 0, 2, 1]


def test_the_least_size_is_asked_for_or_grows_with_the_images(rng: np.random.Generator) -> None:
    assert [default_min_size(n) for n in (1, 100, 300, 1000, 20_000)] == [5, 5, 6, 20, 400]
    features, truth = blobs(rng, 20, 20, 4)
    assert find_clusters(features, 8).labels.max() == 2
    few = find_clusters(features, 3)
    assert few.labels.max() > 2 and len(set(few.labels[truth == 2])) == 1
    assert not set(few.labels[truth == 2]) & set(few.labels[truth != 2])


def test_clusters_are_numbered_by_size_then_by_place() -> None:
    assert by_size(np.array([2, 0, 0, -1, 1, 1, 2, 2])).tolist() == [1, 2, 2, -1, 3, 3, 1, 1]
    assert by_size(np.array([-1, -1])).tolist() == [-1, -1]


def test_one_odd_value_does_not_rule_the_coordinates(rng: np.random.Generator) -> None:
    features = rng.normal(size=(50, 30))
    features[0, 0] = 1e9
    assert np.abs(principal_components(features)).max() < 30
    assert principal_components(features).shape == (50, 20)
