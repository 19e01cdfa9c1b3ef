"""Draw whole groups of samples with replacement, for the intervals of metrics (a bootstrap over groups)."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

N_RESAMPLES = 1000
RESAMPLES_AT_ONCE = 2_000_000  # numbers in a block of rows


def resamples(y: np.ndarray, groups: np.ndarray, seed: int, n: int = N_RESAMPLES) -> Iterator[np.ndarray]:
    """Yield blocks of rows (n_rows, n_samples) that say how often each sample is in a bootstrap of whole groups.

    Resamples without both classes say nothing about a detector and are drawn again.

    Parameters
    ----------
    y, groups : (n_samples,) array
        Label and group of each sample.
    seed : int
        Seed of the random numbers.
    n : int
        Number of rows of all blocks together.
    """
    rng = np.random.default_rng(seed)
    names, number = np.unique(groups, return_inverse=True)
    n_rows = max(1, min(n, RESAMPLES_AT_ONCE // max(len(y), len(names))))
    done = 0
    while done < n:
        drawn = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=n_rows)[:, number]
        has_both = np.all([(drawn[:, y == label] > 0).any(axis=1) for label in np.unique(y)], axis=0)
        block = drawn[has_both][: n - done]
        done += len(block)
        if len(block):
            yield block.astype(np.float64)


def bootstrap_interval(
    statistic: Callable[[np.ndarray], np.ndarray], y: np.ndarray, groups: np.ndarray, seed: int
) -> list[float]:
    """Return the 95 % percentile interval, [low, high], of a statistic.

    Parameters
    ----------
    statistic : callable
        Weights (n_rows, n_samples) -> (n_rows,) values.
    y, groups, seed
        See `resamples`.
    """
    values = np.concatenate([statistic(weights) for weights in resamples(y, groups, seed)])
    return [float(v) for v in np.percentile(values, [2.5, 97.5])]
