"""Count how often a model's verdicts were right on samples that it did not see, by the coding of their files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from spectral_detect.detector.track_record import TrackRecord
from spectral_detect.media.coding import Coding
from spectral_detect.records import FAKE, REAL

JPEG_BANDS = (1, 69), (70, 87), (88, 100)  # as messengers, platforms, and cameras save
MIN_FILES, MIN_GROUPS = 50, 8  # of a class, of which shares can be told


def verdicts_of(scores: np.ndarray, undecided: tuple[float, float]) -> np.ndarray:
    """Return (n,) what a scan calls images of these scores: FAKE, REAL, or -1 for those that it leaves undecided."""
    return np.asarray(np.select([scores >= undecided[1], scores <= undecided[0]], [FAKE, REAL], -1))


def track_records(
    y: np.ndarray, verdicts: np.ndarray, groups: np.ndarray, codings: Sequence[Coding | None]
) -> tuple[TrackRecord, ...]:
    """Return a record of each kind of coding that is frequent enough, and of all files the last, if they are enough.

    Parameters
    ----------
    y, groups : (n,) array
        Class and group of each sample.
    verdicts : (n,) array
        FAKE, REAL, or -1 for none.
    codings : sequence of Coding or None
        That of each sample.
    """
    found = []
    for kind, qualities in _kinds(codings):
        probe = TrackRecord(kind, qualities, 0, 0, 0.0, None, None)
        here = np.array([probe.is_of(coding) for coding in codings], dtype=bool)
        if _is_frequent(y[here], groups[here]):
            found.append(_record(kind, qualities, y[here], verdicts[here], groups[here]))
    return tuple(found)


def _kinds(codings: Sequence[Coding | None]) -> Iterator[tuple[str | None, tuple[int, int] | None]]:
    for kind in sorted({coding.kind for coding in codings if coding is not None}):
        yield from ((kind, band) for band in (JPEG_BANDS if kind == "JPEG" else (None,)))
    yield None, None


def _is_frequent(y: np.ndarray, groups: np.ndarray) -> bool:
    return all(
        int(np.sum(y == label)) >= MIN_FILES and len(np.unique(groups[y == label])) >= MIN_GROUPS
        for label in (REAL, FAKE)
    )


def _record(
    kind: str | None, qualities: tuple[int, int] | None, y: np.ndarray, verdicts: np.ndarray, groups: np.ndarray
) -> TrackRecord:
    weights = np.zeros(len(y))
    for label in (REAL, FAKE):
        _, of_file, counts = np.unique(groups[y == label], return_inverse=True, return_counts=True)
        weights[y == label] = 0.5 / counts[of_file] / len(counts)
    called = [verdicts == verdict for verdict in (FAKE, REAL)]
    totals = [float(weights[here].sum()) for here in called]
    rights = [float(weights[here & (y == verdicts)].sum()) for here in called]
    fake_right, real_right = (
        min(1.0, right / total) if total else None for right, total in zip(rights, totals, strict=True)
    )
    decided = min(1.0, sum(totals))  # which rounding may carry past it
    return TrackRecord(kind, qualities, len(y), len(np.unique(groups)), decided, fake_right, real_right)
