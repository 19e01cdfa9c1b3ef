"""Find clusters of feature vectors by their density."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spectral_detect.text import short_repr

ALONE = -1  # the cluster of an image that is in none
LEAST_SIZE, LARGEST_SHARE = 5, 1 / 50  # of a cluster by default, see docs/results.md
N_COMPONENTS = 20
MOST_DEVIATIONS = 5.0  # of a standardised feature: one odd value shall not be all that counts
MIN_SAMPLES = 2  # of HDBSCAN: the image itself and its nearest neighbour
SEED = 0


@dataclass(frozen=True, eq=False)
class Clusters:
    """The cluster of each image.

    Attributes
    ----------
    labels : (n_images,) array of int
        1 for the largest cluster and so on, `ALONE` for an image in none.
    probability : (n_images,) array
        How deep in its cluster an image lies: 1 in the densest part, towards 0 at the edge; 0 if it is in none.
    min_size : int
        Least number of distinct images of a cluster.
    n_distinct : int
        Number of images without the exact copies of others.
    """

    labels: np.ndarray
    probability: np.ndarray
    min_size: int
    n_distinct: int
    __repr__ = short_repr


def default_min_size(n_images: int) -> int:
    """Return the least size of a cluster among so many images: a fiftieth, and 5 or more."""
    return max(LEAST_SIZE, round(n_images * LARGEST_SHARE))


def find_clusters(features: np.ndarray, min_size: int | None = None) -> Clusters:
    """Find clusters among images, without labels and without a given number of clusters.

    Parameters
    ----------
    features : (n_images, n_features) array
        Each is brought to mean 0 and deviation 1 over these images, and cut off at five deviations; the first twenty
        principal components are clustered.
    min_size : int, optional
        Least number of distinct images of a cluster, 2 or more; `default_min_size` if None.

    Notes
    -----
    The clusters are the leaves of the tree of HDBSCAN. One cluster alone is never found: two of `min_size` need twice
    as many images, and with fewer all are alone. Exact copies count as one image: at distance 0 they would pass for an
    infinitely dense cluster.

    References
    ----------
    Campello, Moulavi and Sander, "Density-based clustering based on hierarchical density estimates", PAKDD 2013.
    """
    first, copy_of = distinct_rows(features)
    size = default_min_size(len(first)) if min_size is None else min_size
    if len(first) < 2 * size:
        return Clusters(np.full(len(features), ALONE), np.zeros(len(features)), size, len(first))
    from sklearn.cluster import HDBSCAN

    method = HDBSCAN(size, min_samples=MIN_SAMPLES, cluster_selection_method="leaf", n_jobs=1, copy=True)
    labels = method.fit_predict(principal_components(features[first]))[copy_of]
    return Clusters(by_size(labels), np.nan_to_num(method.probabilities_)[copy_of], size, len(first))


def distinct_rows(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where each distinct row stands first, in their order, and for each row which of these it equals."""
    if not len(features):
        return np.empty(0, dtype=int), np.empty(0, dtype=int)
    _, first, inverse = np.unique(features, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    return first[order], np.argsort(order)[inverse.reshape(-1)]


def principal_components(features: np.ndarray) -> np.ndarray:
    """Return (n_images, up to 20) coordinates of standardised features, which are not all alike."""
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    scaled = StandardScaler().fit_transform(features.astype(np.float64))
    scaled = np.clip(scaled, -MOST_DEVIATIONS, MOST_DEVIATIONS)
    n_components = min(N_COMPONENTS, *scaled.shape)
    return np.asarray(PCA(n_components, svd_solver="full", random_state=SEED).fit_transform(scaled))


def by_size(labels: np.ndarray) -> np.ndarray:
    """Return labels of 0 and more numbered anew from 1, the largest cluster first, of equal ones the earlier."""
    values, first, counts = np.unique(labels[labels >= 0], return_index=True, return_counts=True)
    numbered = np.full(len(labels), ALONE)
    for number, k in enumerate(np.lexsort((first, -counts)), start=1):
        numbered[labels == values[k]] = number
    return numbered
