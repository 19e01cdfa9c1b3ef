"""Measure how well facts of the files tell two classes apart: a naive Bayes classifier, cross-validated and permuted.

Naive Bayes on categories needs no more than counts, so that two thousand shufflings of the labels take a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from spectral_detect.detector.bootstrap import RESAMPLES_AT_ONCE, bootstrap_interval
from spectral_detect.detector.metrics import Curves, auroc
from spectral_detect.records import FAKE, REAL
from spectral_detect.training.dataset import folds

N_FOLDS = 5
N_SHUFFLES = 2000
CHANCE_QUANTILE = 0.999  # of the AUROC under shuffled labels: one fair split in 1000 lies above
COMMON_SHARE = 0.05  # a rarer value is pooled with others
N_RANGES = 8  # of a number's rarer values
SMOOTHING = 1.0  # images of each class added to every category
SCORE_DECIMALS = 6


@dataclass(frozen=True)
class Separability:
    """Out-of-fold AUROC within folds, and its interval."""

    auroc: float
    interval: tuple[float, float]

    @property
    def is_above_chance(self) -> bool:
        """Return whether the whole interval lies above 0.5."""
        return self.interval[0] > 0.5


def separability(
    columns: Sequence[np.ndarray], y: np.ndarray, groups: np.ndarray, *, seed: int = 0
) -> Separability | None:
    """Return the AUROC of a classifier that sees only these columns; None if there are too few groups for folds.

    Parameters
    ----------
    columns : sequence of np.ndarray
        Each (n_samples,), texts or numbers.
    y, groups : np.ndarray
        (n_samples,) labels and groups; groups stay on one side of each fold, are drawn together and shuffled together.
    seed : int
        Seed of folds, bootstrap and shuffling.

    Notes
    -----
    Scores of different folds are not compared: each comes from a classifier of its own, and a fold that has more of a
    class than its share leaves less of it to train on, which would pull the AUROC of equal classes below 0.5.

    A bootstrap of these scores holds the classifiers fixed. But they picked the direction of each fact by the same
    chance that the AUROC then profits from: of fair splits, a 95 % bootstrap interval alone accuses 5 to 7 %. So the
    interval is the bootstrap's, made at least as wide on either side as what shuffled labels reach by chance.
    """
    parts = [test for _, test in folds(y, groups, N_FOLDS, seed)]
    if not parts:
        return None
    cells = _cells(y, parts)
    rows, row_of = np.unique(_indicators(columns), axis=0, return_inverse=True)
    counted = _CountedRows(rows.astype(np.float32), row_of.reshape(-1), len(parts))
    ranked = [(test, Curves(y[test], scores[test])) for test, scores in zip(parts, counted.scores(cells), strict=True)]

    def within_folds(weights: np.ndarray) -> np.ndarray:
        return _auroc_within_folds(ranked, y, weights)

    estimate = float(within_folds(np.ones((1, len(y))))[0])
    low, high = bootstrap_interval(within_folds, y, groups, seed)
    blocks = _shuffled(cells, groups, N_SHUFFLES, np.random.default_rng(seed))
    by_chance = np.concatenate([counted.aurocs(block) for block in blocks])
    down, up = np.quantile(by_chance, [1 - CHANCE_QUANTILE, CHANCE_QUANTILE]) - 0.5
    low, high = min(low, estimate - up), max(high, estimate - down)
    return Separability(estimate, (max(0.0, float(low)), min(1.0, float(high))))


def _cells(y: np.ndarray, parts: Sequence[np.ndarray]) -> np.ndarray:
    """Return (n_samples,) twice the number of the fold that holds a sample out, plus its label."""
    fold = np.full(len(y), len(parts))  # for samples that no fold holds out
    for number, test in enumerate(parts):
        fold[test] = number
    return np.asarray(2 * fold + (y == FAKE))


def _indicators(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Return (n_samples, n_categories) of 0 and 1: each column's categories, then those of all columns together."""
    codes = [_categories(column) for column in columns]
    together = np.unique(np.stack(codes, axis=1), axis=0, return_inverse=True)[1].reshape(-1)
    codes.append(_common_or_other(together.astype(np.int64)))
    return np.concatenate([code[:, None] == np.unique(code) for code in codes], axis=1)


def _categories(column: np.ndarray) -> np.ndarray:
    """Return (n_samples,) numbers of the common values; rarer numbers are put into ranges, rarer texts together."""
    codes = np.unique(column, return_inverse=True)[1].reshape(-1).astype(np.int64)
    if column.dtype.kind not in "fiu":
        return _common_or_other(codes)
    pooled = _common_or_other(codes)
    is_rare = pooled < 0
    if is_rare.any():
        edges = np.unique(np.quantile(column[is_rare], np.linspace(0, 1, N_RANGES + 1)[1:-1]))
        pooled[is_rare] = -1 - np.searchsorted(edges, column[is_rare])
    return pooled


def _common_or_other(codes: np.ndarray) -> np.ndarray:
    """Set the codes of less than `COMMON_SHARE` of the samples to -1."""
    return np.asarray(np.where(np.bincount(codes)[codes] >= COMMON_SHARE * len(codes), codes, -1))


class _CountedRows:
    """Count samples by their distinct rows, for classifiers under any assignment to cells.

    Parameters
    ----------
    rows : np.ndarray
        (n_rows, n_categories) of 0 and 1.
    row_of : np.ndarray
        (n_samples,) index of the row that a sample has.
    n_folds : int
        Number of folds.
    """

    def __init__(self, rows: np.ndarray, row_of: np.ndarray, n_folds: int) -> None:
        from scipy.sparse import csr_matrix

        self._rows, self._row_of, self._n_folds = rows, row_of, n_folds
        ones, at = np.ones(len(row_of), np.float32), np.arange(len(row_of))
        self._membership = csr_matrix((ones, (at, row_of)), shape=(len(row_of), len(rows)))

    def scores(self, cells: np.ndarray) -> list[np.ndarray]:
        """Return, for each fold, (n_samples,) scores in [0, 1] by the classifier that did not see it."""
        ratios = (log_ratio[0, self._row_of] for _, _, log_ratio in self._folds(cells[None]))
        return [np.round(1 / (1 + np.exp(-ratio)), SCORE_DECIMALS) for ratio in ratios]

    def aurocs(self, cells: np.ndarray) -> np.ndarray:
        """Return (n,) AUROC within folds under each of (n, n_samples) assignments."""
        wins, pairs = np.zeros(len(cells)), np.zeros(len(cells))
        for reals, fakes, log_ratio in self._folds(cells):
            order = np.argsort(log_ratio, axis=1)
            reals, fakes = (np.take_along_axis(counts, order, axis=1) for counts in (reals, fakes))
            wins += (fakes * (np.cumsum(reals, axis=1) - reals / 2)).sum(axis=1)
            pairs += fakes.sum(axis=1) * reals.sum(axis=1)
        return np.asarray(np.where(pairs > 0, wins / np.maximum(pairs, 1), 0.5))

    def _folds(self, cells: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield for each fold, (n, n_rows) each: its held-out reals and fakes, and the others' log likelihood ratio."""
        held_out = [self._count(cells == cell) for cell in range(2 * self._n_folds)]
        reals, fakes = (self._count(cells % 2 == label) for label in (0, 1))
        for held_reals, held_fakes in zip(held_out[::2], held_out[1::2], strict=True):
            yield held_reals, held_fakes, self._log_ratio(fakes - held_fakes, reals - held_reals)

    def _count(self, is_in: np.ndarray) -> np.ndarray:
        return np.asarray(is_in.astype(np.float32) @ self._membership)

    def _log_ratio(self, fakes: np.ndarray, reals: np.ndarray) -> np.ndarray:
        """Return (n, n_rows) sums over a row's categories of ln p(category | fake) / p(category | real)."""
        half = (fakes + reals).sum(axis=1, keepdims=True) / 2  # both classes count as equally large
        shares = [c @ self._rows * (half / np.maximum(c.sum(axis=1, keepdims=True), 1)) for c in (fakes, reals)]
        evidence = np.log(shares[0] + SMOOTHING) - np.log(shares[1] + SMOOTHING)
        return np.asarray(evidence @ self._rows.T)


def _auroc_within_folds(ranked: Sequence[tuple[np.ndarray, Curves]], y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return (n_rows,) shares of the pairs of a real and a fake of one fold that are in order; ties count half."""
    wins, pairs = np.zeros(len(weights)), np.zeros(len(weights))
    for test, curves in ranked:
        drawn = weights[:, test]
        of_fold = drawn[:, y[test] == REAL].sum(axis=1) * drawn[:, y[test] == FAKE].sum(axis=1)
        has_both = of_fold > 0
        if has_both.any():
            wins[has_both] += of_fold[has_both] * auroc(*curves.roc(drawn[has_both]))
        pairs += of_fold
    return np.asarray(np.where(pairs > 0, wins / np.maximum(pairs, 1), 0.5))


def _shuffled(cells: np.ndarray, groups: np.ndarray, n: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield blocks of (n_rows, n_samples) cells: moved among groups of equal size, and within each group.

    Fold and label move together, so that shuffled folds are as well balanced as the folds are.
    """
    order = np.argsort(groups, kind="stable")
    _, starts, sizes = np.unique(groups[order], return_index=True, return_counts=True)
    n_rows = max(1, min(n, RESAMPLES_AT_ONCE // len(cells)))
    for done in range(0, n, n_rows):
        block = np.empty((min(n_rows, n - done), len(cells)), dtype=cells.dtype)
        for size in np.unique(sizes):
            members = order[starts[sizes == size][:, None] + np.arange(size)]
            moved = rng.permuted(np.tile(np.arange(len(members)), (len(block), 1)), axis=1)
            block[:, members] = rng.permuted(cells[members][moved], axis=2)
        yield block
