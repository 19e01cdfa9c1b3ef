"""Go on with an output that an earlier run left: what is recorded in it is not computed again.

A run that was killed leaves whole rows, and perhaps a torn one at the end. Resumed, it keeps the rows of the files that
are still what they were, cuts off the rest, and appends. At its end the output holds the same rows as that of one run
without interruption, in the same order.
"""

from __future__ import annotations

import os
import pickle
import tempfile
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Literal, TypeVar

import numpy as np

from spectral_detect.atomic_write import stream_aside
from spectral_detect.errors import OutputError, SpectralDetectError, VideoReadError
from spectral_detect.outputs.lock import FileLock
from spectral_detect.outputs.made_with import Origin
from spectral_detect.outputs.reader import Output, copy_rows
from spectral_detect.outputs.row_index import (
    KEPT,
    NO_STAMP,
    STALE,
    UNSEEN,
    VERDICTS,
    RowIndex,
    places_among,
    stamp_digest,
)
from spectral_detect.outputs.rows import Kind, Row, RowFormat, as_read_back
from spectral_detect.sources import stores
from spectral_detect.sources.discovery import FoundFile, FoundVideo
from spectral_detect.sources.location import Location
from spectral_detect.sources.reading import read_file, video_sha256
from spectral_detect.sources.sharding import path_hash

KnownBy = Literal["size-mtime", "sha256"]
Found = TypeVar("Found", FoundFile, FoundVideo)


def stamp_of(found: FoundFile | FoundVideo, known_by: KnownBy) -> str | None:
    """What a file is known by; None where it cannot be read.

    Of a folder of frames: the sum of their sizes and the latest time, or the hash of their names and hashes. Of a URL
    by size and time: None where its store tells no time, so that it is never taken for unchanged.
    """
    if found.location.is_remote:
        return _stamp_at_url(found.location, known_by)
    video = FoundVideo(found.location) if isinstance(found, FoundFile) else found
    try:
        if known_by == "sha256":
            return video_sha256(video)[0]
        states = [os.stat(path) for path in video.frames or (video.path,)]
    except (VideoReadError, OSError, ValueError):
        return None
    return f"{sum(s.st_size for s in states)}:{max(s.st_mtime_ns for s in states)}"


def _stamp_at_url(file: Location, known_by: KnownBy) -> str | None:
    try:
        if known_by == "sha256":
            return read_file(file).sha256
        status = stores.with_status(file)
    except (SpectralDetectError, FileNotFoundError):
        return None
    return None if status.mtime_ns is None else f"{status.size_bytes}:{status.mtime_ns}"


def _is_still_there(path: str) -> bool:
    """Of a recorded path; also of a URL where that cannot be told."""
    return stores.exists(path) if stores.is_url(path) else os.path.lexists(path)


class Resumed:
    """An output with the rows that an earlier run left in it; see `resumed`.

    Attributes
    ----------
    is_new : there are none: the output is begun.
    columns : of the rows.
    n_remaining : files to be computed; None of a new output, whose files are not counted before.
    n_kept, n_gone : rows that stay, and rows of files that are no longer among the inputs.
    n_again : files to be computed whose rows have gone: they failed, or were changed since.
    outcomes : verdicts of the rows that stay.
    """

    def __init__(self, output: str, row_format: RowFormat, kind: Kind) -> None:
        self.output = output
        self.is_new = True
        self.n_kept = self.n_gone = self.n_again = 0
        self.n_remaining: int | None = None
        self.columns: tuple[str, ...] = ()
        self.outcomes: Counter[str] = Counter()
        self._row_format = row_format
        self._kind = kind
        self._index = RowIndex()
        self._header_end = 0
        self._size_bytes = 0
        self._inputs = array("Q")
        self._is_out_of_order = False
        self._waiting: IO[bytes] | None = None
        self.lock = FileLock()

    # ---------------------------------------------------------------------------------------------------- beginning

    def read(self, origin: Origin | None, known_by: KnownBy) -> None:
        """Learn what is there; `OutputError` where it cannot stand together with what will come."""
        last = None
        with Output(self.output, self._row_format) as found:
            for row in found.rows():
                difference = origin and origin.difference(row)
                if difference:
                    raise OutputError(
                        f"{self.output!r} cannot be resumed: its rows were {difference}; repeat the command of the "
                        "first run, or name another output"
                    )
                self._index.add(row, _recorded_stamp(row, known_by))
                last = row
            if found.kind not in (None, self._kind):
                raise OutputError(f"{self.output!r} holds other rows than those of {self._kind.noun}s: name another")
            self.columns = found.columns
            self._header_end, self._size_bytes = len(found.header), found.size_bytes
            self._index.close(found.whole_end)
            if last is not None and found.has_tiles():
                self._distrust(last)
        self.is_new = last is None

    def _distrust(self, last: Row) -> None:
        """Of the file that a run was at, perhaps not all rows were written."""
        for k in self._index.rows_of(path_hash(last.path)):
            self._index.forget_stamp(k)

    def remaining(
        self, files: Iterable[Found], known_by: KnownBy, companion: Resumed | None = None
    ) -> Iterator[tuple[int, Found]]:
        """The files that are not known, each with its place among all, once the other rows have gone from the output.

        All of `files` is walked through before; what remains waits in a temporary file. Of a new output all remains,
        and is walked through as it is asked for.

        Parameters
        ----------
        companion : an output with further rows of the same files. A file without any there is not known, and rows
            there of files that are not known go as well.

        Raises
        ------
        OutputError : a file that is no longer among `files` is still there: more likely forgotten than deleted.
        """
        if companion is not None:
            companion.is_new = companion.is_new or self.is_new
        if self.is_new:
            return enumerate(files)
        waiting = self._waiting = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `close`
        last_kept, n_waiting = -1, 0
        for place, found in enumerate(files):
            hashed = path_hash(as_read_back(found.path, self._row_format))
            self._inputs.append(hashed)
            kept = self._claim(found, hashed, known_by, companion)
            if kept is None:
                pickle.dump((place, found), waiting)
                n_waiting += 1
            else:
                self._is_out_of_order |= n_waiting > 0 or kept < last_kept
                last_kept = kept
        self._check_gone()
        self.n_remaining = n_waiting
        self._prune()
        if companion is not None:
            companion._follow(self)
        return _unpickled(waiting, n_waiting)

    def _claim(self, found: Found, hashed: int, known_by: KnownBy, companion: Resumed | None) -> int | None:
        """The last row of a file that is known, or None."""
        index = self._index
        unseen = [k for k in index.rows_of(hashed) if index.states[k] == UNSEEN]
        if not unseen:
            return None
        candidates = [k for k in unseen if index.stamp(k) != NO_STAMP]
        if candidates and (companion is None or companion.is_new or companion._index.rows_of(hashed)):
            stamp = stamp_of(found, known_by) if not (companion and companion.is_new) else None
            digest = stamp and stamp_digest(as_read_back(found.path, self._row_format), stamp)
            known = [k for k in candidates if index.stamp(k) == digest]
            known = known[:1] if self._kind.has_one_row else known
            if known:
                for k in known:
                    index.states[k] = KEPT
                    self.outcomes[VERDICTS[index.verdicts[k]]] += 1
                self.n_kept += len(known)
                return known[-1]
        for k in unseen:
            index.states[k] = STALE
        self.n_again += 1
        return None

    def _check_gone(self) -> None:
        """Rows of files that were not named this time: fine where the files have been deleted."""
        gone = self._index.rows_of_unnamed()
        self.n_gone = len(gone)
        if not self.n_gone:
            return
        # the row of a file that failed is no loss, and that of an unlisted folder goes once the folder can be listed
        lost = (int(k) for k in gone if self._index.stamp(k) != NO_STAMP)
        wanted = next(lost, None)
        with Output(self.output, self._row_format) as output:
            for k, row in enumerate(output.rows()):
                if k != wanted:
                    continue
                if _is_still_there(row.path):
                    raise OutputError(
                        f"{self.output!r} cannot be resumed: {len(gone)} of its rows are of files that are not among "
                        f"those named now, such as {row.path!r}, which is still there: name these too, or another "
                        "output"
                    )
                wanted = next(lost, None)
                if wanted is None:
                    return

    # ------------------------------------------------------------------------------------------------------ rewriting

    def _prune(self) -> None:
        """Cut off what is torn, or write the rows that stay aside and rename."""
        states = self._index.states
        n_first = len(states) - len(states.lstrip(bytes([KEPT])))
        if n_first == self.n_kept:
            end = self._index.starts[n_first]
            if end < self._size_bytes:
                os.truncate(self.output, end)
            return
        self._rewrite(self._index, self._index.rows_in(KEPT))

    def _follow(self, leader: Resumed) -> None:
        """Keep the rows of the files that are known there."""
        if self.is_new:
            return
        self._index.keep(leader._index.kept_hashes())
        self.n_kept = self._index.states.count(KEPT)
        self._inputs, self._is_out_of_order = leader._inputs, leader._is_out_of_order
        self._prune()

    def _rewrite(self, index: RowIndex, rows: Iterable[int]) -> None:
        with open(self.output, "rb") as source, stream_aside(self.output) as target:
            self.lock.extend(target.fileno())
            copy_rows(source, target, [(0, self._header_end)])
            copy_rows(source, target, index.ranges(rows))
            target.flush()
            os.fsync(target.fileno())  # what it replaces took hours

    def put_in_order(self) -> None:
        """Give the rows the order of the inputs, once all are there."""
        if not self._is_out_of_order:
            return
        index = self._index = RowIndex()
        with Output(self.output, self._row_format) as output:
            for row in output.rows():
                index.add(row)
            index.close(output.whole_end)
        places = places_among(index.path_hashes, np.array(self._inputs, np.uint64))
        if (np.diff(places) < 0).any():
            self._rewrite(index, (int(k) for k in np.argsort(places, kind="stable")))

    def close(self) -> None:
        """Let others write."""
        self.lock.release()
        if self._waiting is not None:
            self._waiting.close()


def _recorded_stamp(row: Row, known_by: KnownBy) -> str | None:
    """What its file was known by; None of one that failed, which is tried again."""
    if row.values.get("error"):
        return None
    return row.values.get("sha256") if known_by == "sha256" else _size_and_time(row.values)


def _size_and_time(values: dict[str, str]) -> str | None:
    return f"{values['size_bytes']}:{values['mtime_ns']}" if "mtime_ns" in values else None


def _unpickled(waiting: IO[bytes], n_waiting: int) -> Iterator[tuple[int, Found]]:
    waiting.seek(0)
    for _ in range(n_waiting):
        yield pickle.load(waiting)


@contextmanager
def resumed(
    output: str,
    row_format: RowFormat,
    kind: Kind,
    origin: Origin | None,
    known_by: KnownBy = "size-mtime",
) -> Iterator[Resumed]:
    """Hold an output, and put its rows in order when the work has been done without an exception.

    Parameters
    ----------
    origin : None of rows that do not say what they were made with.

    Raises
    ------
    OutputError : another process is resuming it; it is none of this kind; its rows were made with something else.
    """
    before = os.path.exists(output)
    found = Resumed(output, row_format, kind)
    found.lock.hold(output)
    try:
        found.read(origin, known_by)
        yield found
        found.put_in_order()
    except BaseException:
        if not before:
            with suppress(OSError):
                if not os.path.getsize(output):
                    os.unlink(output)
        raise
    finally:
        found.close()
