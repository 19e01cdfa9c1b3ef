"""Measure how well `spectral-detect group` finds the sources of images, each folder being a source.

    python examples/group_sources.py camera_a/ camera_b/ generator_a/ ... --images 15 --draws 3

For each preset of features and each of two methods: the adjusted Rand index by source, an image alone counting as a
cluster of its own; purity, the share of the clustered images that are of their cluster's most frequent source; the
share of images in a cluster; the number of clusters. Mean over the draws.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter

import numpy as np
from scipy.spatial.distance import pdist
from sklearn.cluster import AgglomerativeClustering
from sklearn.metrics import adjusted_rand_score

from spectral_detect import FeatureSpec, Work
from spectral_detect.grouping.clusters import ALONE, by_size, default_min_size, find_clusters, principal_components
from spectral_detect.grouping.images import group_images
from spectral_detect.sources.discovery import expand_local, find_images

PRESETS = ("azimuthal", "residual", "world")
THRESHOLDS = (0.5, 0.6, 0.7)  # of the average linkage, in median distances of two images


def agglomerated(features: np.ndarray, threshold: float) -> np.ndarray:
    """Return labels by average linkage, of the same coordinates and with the same least size as `find_clusters`."""
    places = principal_components(features)
    distance = threshold * float(np.median(pdist(places)))
    labels = AgglomerativeClustering(None, distance_threshold=distance, linkage="average").fit_predict(places)
    sizes = Counter(labels.tolist())
    small = [k for k, size in sizes.items() if size < default_min_size(len(labels))]
    return by_size(np.where(np.isin(labels, small), ALONE, labels))


def agreement(sources: np.ndarray, labels: np.ndarray) -> tuple[float, float, float, float]:
    """Return adjusted Rand index, purity, share of images in a cluster, and number of clusters."""
    is_in_one = labels != ALONE
    singled = np.where(is_in_one, labels, labels.max() + 2 + np.arange(len(labels)))
    numbers = sorted(set(labels[is_in_one].tolist()))
    right = sum(Counter(sources[labels == k].tolist()).most_common(1)[0][1] for k in numbers)
    purity = right / is_in_one.sum() if numbers else float("nan")
    return float(adjusted_rand_score(sources, singled)), purity, float(is_in_one.mean()), float(len(numbers))


def rows(sources: np.ndarray, features: np.ndarray) -> dict[str, tuple[float, float, float, float]]:
    """Return the agreement of each method."""
    found = {"HDBSCAN": agreement(sources, find_clusters(features).labels)}
    for threshold in THRESHOLDS:
        found[f"average {threshold}"] = agreement(sources, agglomerated(features, threshold))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--images", type=int, default=15, help="images of each folder in a draw")
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=None)
    options = parser.parse_args()
    files = {folder: list(find_images(expand_local(folder))) for folder in options.folders}
    print(f"{'features':<10} {'method':<12} {'ARI':>5} {'purity':>7} {'in one':>7} {'clusters':>9}")
    for preset in PRESETS:
        measured: list[dict[str, tuple[float, float, float, float]]] = []
        for draw in range(options.draws):
            chosen = random.Random(draw)
            some = {f: chosen.sample(found, min(options.images, len(found))) for f, found in files.items()}
            taken = [file for found in some.values() for file in found]
            sources = np.array([folder for folder, found in some.items() for _ in found])
            grouped = group_images(taken, FeatureSpec.preset(preset), Work(options.jobs))
            was_read = np.array([record.error is None for record in grouped.records])
            measured.append(rows(sources[was_read], grouped.features))
        print_means(preset, measured)


def print_means(preset: str, measured: list[dict[str, tuple[float, float, float, float]]]) -> None:
    """Print the mean over the draws, a line a method."""
    for method in measured[0]:
        index, purity, share, number = np.mean([found[method] for found in measured], axis=0)
        print(f"{preset:<10} {method:<12} {index:5.2f} {purity:7.2f} {share:7.2f} {number:9.1f}")


if __name__ == "__main__":
    main()
