"""Find images that look the same: pairs of them, and groups in which they stay together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from spectral_detect.training.dataset import Dataset, connected

NEAR_BITS = 5  # of 64; the nearest of 240,000 pairs of unrelated images differed in 8
LEAST_OF_A_KIND = 7  # bits that are 0, and that are 1; the fingerprint of a flatter image says little
ROWS_AT_ONCE = 2048


def near_pairs(dataset: Dataset) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield blocks of pairs (index, higher index) of samples of different groups that look the same.

    Two images look the same if their fingerprints differ in at most `NEAR_BITS` of 64 bits. Flat images are passed
    over: the fingerprints of any two of them are alike.
    """
    fingerprints = np.array([s.fingerprint or 0 for s in dataset.samples], dtype=">u8")
    bits = np.unpackbits(fingerprints.view(np.uint8).reshape(-1, 8), axis=1).astype(np.float32)
    n_ones = bits.sum(axis=1)
    detailed = np.flatnonzero(np.minimum(n_ones, 64 - n_ones) >= LEAST_OF_A_KIND)
    signs, groups = 2 * bits[detailed] - 1, dataset.groups[detailed]
    for start in range(0, len(detailed), ROWS_AT_ONCE):
        block = signs[start : start + ROWS_AT_ONCE]
        i, j = np.nonzero(block @ signs[start:].T >= 64 - 2 * NEAR_BITS)
        new = (i < j) & (groups[start + i] != groups[start + j])
        yield detailed[start + i[new]], detailed[start + j[new]]


def groups_with_lookalikes(dataset: Dataset) -> np.ndarray:
    """Return (n_samples,) groups, in which the groups of lookalikes are joined."""
    pairs = np.concatenate([np.stack(block) for block in near_pairs(dataset)] or [np.empty((2, 0), int)], axis=1)
    first, second = dataset.groups[pairs]
    return np.asarray(connected(first, second, int(dataset.groups.max()) + 1)[dataset.groups])
