"""Images that look the same: pairs of them, and groups in which they stay together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spectral_detect.training.dataset import Dataset

NEAR_BITS = 5  # of 64; the nearest of 240,000 pairs of unrelated images differed in 8
ROWS_AT_ONCE = 2048


def near_pairs(dataset: Dataset) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Blocks of pairs (index, higher index) of samples of different groups that look the same.

    Two images look the same when their fingerprints differ in at most `NEAR_BITS` of 64 bits. Images so flat that
    their fingerprint says little are passed over.
    """
    fingerprints = np.array([s.fingerprint or 0 for s in dataset.samples], dtype=">u8")
    bits = np.unpackbits(fingerprints.view(np.uint8).reshape(-1, 8), axis=1).astype(np.float32)
    telling = np.flatnonzero(np.abs(bits.mean(axis=1) - 0.5) < 0.4)
    signs, groups = 2 * bits[telling] - 1, dataset.groups[telling]
    for start in range(0, len(telling), ROWS_AT_ONCE):
        block = signs[start : start + ROWS_AT_ONCE]
        i, j = np.nonzero(block @ signs[start:].T >= 64 - 2 * NEAR_BITS)
        new = (i < j) & (groups[start + i] != groups[start + j])
        yield telling[start + i[new]], telling[start + j[new]]


def groups_with_lookalikes(dataset: Dataset) -> np.ndarray:
    """(n_samples,) groups, those of lookalikes joined."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    n = int(dataset.groups.max()) + 1
    pairs = np.concatenate([np.stack(block) for block in near_pairs(dataset)] or [np.empty((2, 0), int)], axis=1)
    first, second = dataset.groups[pairs]
    graph = coo_matrix((np.ones(len(first)), (first, second)), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1][dataset.groups])
