"""The rows of an output, millions of them, in a few bytes each."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b

import numpy as np

from spectral_detect.outputs.rows import Row
from spectral_detect.sources.sharding import path_hash

STAMP_BYTES = 16
NO_STAMP = bytes(STAMP_BYTES)
UNSEEN, KEPT, STALE = range(3)
VERDICTS = ("", "real", "fake", "inconclusive")


def stamp_digest(path: str, stamp: str) -> bytes:
    """128 bits of a hash of a path and of what its file is known by."""
    return blake2b(f"{path}\0{stamp}".encode("utf-8", "surrogatepass"), digest_size=STAMP_BYTES).digest()


@dataclass
class RowIndex:
    """Of each row: 64 bits of its path's hash, where it starts, a digest of path and stamp, the verdict, the state.

    Sorted, it takes 50 bytes a row. A scan that was resumed took 55 a record in all, and 105 where the rows had to be
    put in order at the end (`examples/benchmarks/resume.py`).

    Attributes
    ----------
    stamps : see `stamp_digest`; NO_STAMP of a row that is never known.
    states : UNSEEN, KEPT or STALE.
    """

    hashes: array[int] = field(default_factory=lambda: array("Q"))
    starts: array[int] = field(default_factory=lambda: array("Q"))
    stamps: bytearray = field(default_factory=bytearray)
    verdicts: bytearray = field(default_factory=bytearray)
    states: bytearray = field(default_factory=bytearray)

    def add(self, row: Row, stamp: str | None = None) -> None:
        """Take in the next row."""
        self.hashes.append(path_hash(row.path))
        self.starts.append(row.start)
        self.stamps += NO_STAMP if stamp is None else stamp_digest(row.path, stamp)
        verdict = row.values.get("verdict", "")
        self.verdicts.append(VERDICTS.index(verdict) if verdict in VERDICTS else 0)
        self.states.append(UNSEEN)

    def close(self, whole_end: int) -> None:
        """To be called when all rows are in it, and before any is looked up."""
        self.starts.append(whole_end)
        hashes = self.path_hashes
        self._order = np.argsort(hashes, kind="stable")
        self._sorted = hashes[self._order]

    @property
    def path_hashes(self) -> np.ndarray:
        return np.array(self.hashes, np.uint64)

    def rows_of(self, hashed: int) -> list[int]:
        """The rows of a path."""
        wanted = np.uint64(hashed)
        low = int(np.searchsorted(self._sorted, wanted))
        high = low
        while high < len(self._sorted) and self._sorted[high] == wanted:
            high += 1
        return [int(k) for k in self._order[low:high]]

    def stamp(self, row: int) -> bytes:
        return bytes(self.stamps[row * STAMP_BYTES : (row + 1) * STAMP_BYTES])

    def forget_stamp(self, row: int) -> None:
        """Never know its file."""
        self.stamps[row * STAMP_BYTES : (row + 1) * STAMP_BYTES] = NO_STAMP

    def kept_hashes(self) -> np.ndarray:
        """Of the paths with a row that stays."""
        kept: np.ndarray = self.path_hashes[np.frombuffer(self.states, np.uint8) == KEPT]
        return kept

    def keep(self, hashes: np.ndarray) -> None:
        """Keep the rows of these paths alone."""
        self.states[:] = np.where(np.isin(self.path_hashes, hashes), KEPT, STALE).astype(np.uint8).tobytes()

    def rows_of_unnamed(self) -> np.ndarray:
        """The rows of paths that nobody has asked for; not the surplus ones of a path that was named once less."""
        is_unseen = np.frombuffer(self.states, np.uint8) == UNSEEN
        if is_unseen.any():
            is_unseen &= ~np.isin(self.path_hashes, self.kept_hashes())
        return np.flatnonzero(is_unseen)

    def rows_in(self, state: int) -> Iterator[int]:
        return (k for k, its in enumerate(self.states) if its == state)

    def ranges(self, rows: Iterable[int]) -> Iterator[tuple[int, int]]:
        """Their bytes in the file."""
        return ((self.starts[k], self.starts[k + 1]) for k in rows)


def places_among(rows: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """Of each row, the place of its file among the inputs; both as hashes of paths.

    Where each input has one row, its second row belongs to the second time that a file was named, and so on.
    """
    row_order, input_order = (np.argsort(hashes, kind="stable") for hashes in (rows, inputs))
    if np.array_equal(rows[row_order], inputs[input_order]):
        places = np.empty(len(rows), np.int64)
        places[row_order] = input_order
        return places
    if not len(inputs):
        return np.zeros(len(rows), np.int64)
    nearest = np.searchsorted(inputs[input_order], rows)
    return input_order[np.minimum(nearest, len(inputs) - 1)]
