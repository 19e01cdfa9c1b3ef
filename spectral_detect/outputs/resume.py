"""Go on with an output that an earlier run left, without computing again what it records.

A run that was killed leaves whole rows, and perhaps a torn one at the end. Resumed, it keeps the rows of unchanged
files, cuts off the rest, and appends. At its end the output holds the same rows as that of one run without
interruption, in the same order.
"""

from __future__ import annotations

import os
import pickle
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from typing import IO, Literal, TypeVar

from spectral_detect.atomic_write import naming_output, stream_aside
from spectral_detect.errors import OutputError, SpectralDetectError, VideoReadError
from spectral_detect.outputs.lock import FileLock, held
from spectral_detect.outputs.made_with import MadeWith
from spectral_detect.outputs.reader import Output, copy_rows
from spectral_detect.outputs.row_index import KEPT, STALE, IndexedRow, RowIndex, index_errors, key_of
from spectral_detect.outputs.rows import Row, RowFormat, RowKind, as_read_back, notes_of
from spectral_detect.sources import stores
from spectral_detect.sources.discovery import FoundFile, FoundVideo
from spectral_detect.sources.location import Location
from spectral_detect.sources.reading import read_file, video_sha256

KnownBy = Literal["size-mtime", "sha256"]
Found = TypeVar("Found", FoundFile, FoundVideo)


# ------------------------------------------------------------------------------------------ how a file is recognised


def stamp_of(found: FoundFile | FoundVideo, known_by: KnownBy) -> str | None:
    """Return what tells whether a file is still the same; None if it cannot be read.

    A folder of frames has the sum of their sizes and the latest time, or the hash of their names and hashes. A URL
    whose store tells no time has no stamp by size and time, so that it is never taken for unchanged.
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
    """Return whether a recorded path exists; also True for a URL if that cannot be told."""
    return stores.exists(path) if stores.is_url(path) else os.path.lexists(path)


def _recorded_stamp(row: Row, known_by: KnownBy) -> str | None:
    """Return the stamp that a file had when its row was made; None if it failed, and is tried again."""
    values = row.values
    if values.get("error"):
        return None
    if known_by == "sha256":
        return values.get("sha256")
    return f"{values['size_bytes']}:{values['mtime_ns']}" if "mtime_ns" in values else None


# ----------------------------------------------------------------------------------------------------------- resuming


class Resumed:
    """An output with the rows that an earlier run left in it; see `resumed`.

    Attributes
    ----------
    is_new : bool
        Whether there are no rows, and the output is begun.
    columns : tuple of str
        The columns of the rows.
    n_remaining : int or None
        Files to be computed; None if the output is new, since its files are not counted before.
    n_kept : int
        Rows that stay.
    n_gone : int
        Rows of files that are no longer among the inputs.
    n_again : int
        Files to be computed whose rows are removed: they failed, or were changed since.
    outcomes : Counter
        Verdicts of the rows that stay.
    noted : Counter
        What else a summary counts of them; see `rows.notes_of`.
    """

    def __init__(self, output: str, row_format: RowFormat, kind: RowKind, lock: FileLock) -> None:
        self.output = output
        self.is_new = True
        self.n_kept = self.n_gone = self.n_again = 0
        self.n_remaining: int | None = None
        self.columns: tuple[str, ...] = ()
        self.outcomes: Counter[str] = Counter()
        self.noted: Counter[str] = Counter()
        self._row_format = row_format
        self._kind = kind
        self._lock = lock
        self._index = RowIndex()
        self._header_end = self._whole_end = self._size_bytes = 0
        self._is_out_of_order = False
        self._waiting: IO[bytes] | None = None

    # ---------------------------------------------------------------------------------------------------- beginning

    def read(self, made_with: MadeWith | None, known_by: KnownBy) -> None:
        """Index the rows that are there.

        Raises
        ------
        OutputError
            They cannot stand together with those that will come.
        """
        with Output(self.output, self._row_format) as found:
            self._index.add(self._checked(found, made_with, known_by))
            if found.kind not in (None, self._kind):
                raise self._other_rows(found)
            self.columns = found.columns
            self._header_end, self._whole_end = len(found.header), found.whole_end
            self._size_bytes = found.size_bytes
            has_tiles = found.has_tiles()
        self._index.sort_rows()
        last = self._index.last_key()
        if last is not None and has_tiles:
            self._index.forget_stamps(last)  # perhaps not all rows of the file that the run was at were written
        self.is_new = last is None

    def _other_rows(self, found: Output) -> OutputError:
        assert found.kind is not None
        return OutputError(
            f"{self.output!r} cannot be resumed: its rows are about {found.kind.noun}s, not {self._kind.noun}s",
            remedy="name another output",
        )

    def _checked(self, found: Output, made_with: MadeWith | None, known_by: KnownBy) -> Iterator[IndexedRow]:
        for row in found.rows():
            if found.kind is not self._kind:
                raise self._other_rows(found)
            difference = made_with and made_with.difference(row)
            if difference:
                raise OutputError(
                    f"{self.output!r} cannot be resumed: its rows were {difference}",
                    remedy="repeat the command of the first run, or name another output",
                )
            stamp, verdict = _recorded_stamp(row, known_by), row.values.get("verdict", "")
            yield IndexedRow(key_of(row.path), row.start, row.end, stamp, verdict, notes=notes_of(row.values))

    def remaining(
        self, files: Iterable[Found], known_by: KnownBy, companion: Resumed | None = None
    ) -> Iterator[tuple[int, Found]]:
        """Remove the rows that do not stay, and give the files without a row, each with its place among all.

        All of `files` is walked through before; those without a row wait in a temporary file. If the output is new,
        these are all files, and they are walked through as they are asked for.

        Parameters
        ----------
        files : iterable of FoundFile or FoundVideo
            All inputs, in their order.
        known_by : {"size-mtime", "sha256"}
            How an unchanged file is recognised.
        companion : Resumed, optional
            An output with further rows of the same files. A file without any row there is computed again, and rows
            there of files that are computed again are removed as well.

        Raises
        ------
        OutputError
            A recorded file that is no longer among `files` still exists: more likely forgotten than deleted. No
            recorded file exists at all: more likely, the current folder is another one.
        """
        if companion is not None:
            companion.is_new = companion.is_new or self.is_new
        if self.is_new:
            return enumerate(files)
        waiting = self._waiting = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `close`
        last_kept, n_waiting = 0, 0
        for place, found in enumerate(files):
            key = key_of(as_read_back(found.path, self._row_format))
            self._index.add_inputs([key])
            kept = self._claim(found, key, known_by, companion)
            if kept is None:
                pickle.dump((place, found), waiting)
                n_waiting += 1
            else:
                self._is_out_of_order |= n_waiting > 0 or kept < last_kept
                last_kept = kept
        self._check_unnamed()
        self.n_remaining = n_waiting
        self._prune()
        if companion is not None:
            companion._follow(self)
        return _unpickled(waiting, n_waiting)

    def _claim(self, found: Found, key: bytes, known_by: KnownBy, companion: Resumed | None) -> int | None:
        """Keep the rows of an unchanged file, and return the number of the last one; None if it has to be done."""
        unseen = self._index.unseen(key)
        if not unseen:
            return None
        known: list[tuple[int, str | None, str, str]] = []
        if any(stamp is not None for _, stamp, *_ in unseen) and (companion is None or companion._has(key)):
            now = stamp_of(found, known_by)
            known = [row for row in unseen if now is not None and row[1] == now]
        if self._kind.has_one_row:
            known = known[:1]
        if not known:
            self._index.mark((number for number, *_ in unseen), STALE)
            self.n_again += 1
            return None
        self._index.mark((number for number, *_ in known), KEPT)
        for _, _, verdict, notes in known:
            self.outcomes[verdict] += 1
            self.noted.update(notes.split())
        self.n_kept += len(known)
        return known[-1][0]

    def _has(self, key: bytes) -> bool:
        return not self.is_new and self._index.has(key)

    def _check_unnamed(self) -> None:
        """Accept rows of files that are not named this time only where the files have been deleted, and not all."""
        self.n_gone = self._index.n_unnamed()
        if not self.n_gone:
            return
        # without a stamp: the row of a file that failed is no loss, and that of a folder that could not be listed goes
        # once it can
        has_any = self.n_kept + self.n_again > 0
        for path, has_stamp in self._index.unnamed_paths():
            if not has_stamp and has_any:
                continue
            is_there = _is_still_there(path)
            has_any |= is_there
            if is_there and has_stamp:
                raise OutputError(
                    f"{self.output!r} cannot be resumed: {self.n_gone} of its rows are of files that are not among "
                    f"those named now, such as {path!r}, which is still there: name these too, or another output"
                )
        if not has_any:
            raise self._rows_without_files()

    def _rows_without_files(self) -> OutputError:
        """Return the error of rows none of whose files is there: their paths were taken from another folder."""
        path, _ = next(self._index.unnamed_paths())
        several = f"none of the files of its {self.n_gone} rows, such as {path!r}, is there"
        found = f"the file of its row, {path!r}, is not there" if self.n_gone == 1 else several
        return OutputError(
            f"{self.output!r} cannot be resumed: {found}, seen from the current folder",
            remedy="run the command in the folder in which the output was begun, or write to a new output",
        )

    # ------------------------------------------------------------------------------------------------------ rewriting

    def _prune(self) -> None:
        """Cut off the end that does not stay, or write the rows that stay aside and rename."""
        first = self._index.first_not_kept()
        number, end = (self.n_kept + 1, self._whole_end) if first is None else first
        if number != self.n_kept + 1:
            self._rewrite(self._index.kept_ranges())
        elif end < self._size_bytes:
            with naming_output(repr(self.output)):
                os.truncate(self.output, end)

    def _follow(self, leader: Resumed) -> None:
        """Keep the rows of the files that have a row there."""
        if self.is_new:
            return
        self._index.keep_only(leader._index.kept_keys())
        self._index.add_inputs_of(leader._index)
        self.n_kept = self._index.n_kept()
        self._is_out_of_order = leader._is_out_of_order
        self._prune()

    def _rewrite(self, ranges: Iterable[tuple[int, int]]) -> None:
        with open(self.output, "rb") as source, stream_aside(self.output, is_held=True) as target:
            self._lock.extend(target.fileno())
            copy_rows(source, target, [(0, self._header_end)])
            copy_rows(source, target, ranges)
            target.flush()
            with naming_output(repr(self.output)):
                os.fsync(target.fileno())  # what it replaces took hours

    def put_in_order(self) -> None:
        """Give the rows the order of the inputs, once all are there."""
        if not self._is_out_of_order:
            return
        index = self._index
        index.clear_rows()
        with Output(self.output, self._row_format) as output:
            index.add(IndexedRow(key_of(row.path), row.start, row.end) for row in output.rows())
        index.sort_rows()
        index.sort_inputs()
        numbers = (number for number, _, _ in index.in_order_of_inputs(has_one_row=self._kind.has_one_row))
        if any(later < earlier for earlier, later in pairwise(numbers)):
            rows = index.in_order_of_inputs(has_one_row=self._kind.has_one_row)
            self._rewrite((start, end) for _, start, end in rows)

    def close(self) -> None:
        """Remove the temporary files."""
        self._index.close()
        if self._waiting is not None:
            self._waiting.close()


def _unpickled(waiting: IO[bytes], n_waiting: int) -> Iterator[tuple[int, Found]]:
    waiting.seek(0)
    for _ in range(n_waiting):
        yield pickle.load(waiting)


@contextmanager
def resumed(
    output: str,
    row_format: RowFormat,
    kind: RowKind,
    made_with: MadeWith | None,
    known_by: KnownBy = "size-mtime",
) -> Iterator[Resumed]:
    """Hold an output, and put its rows in order when the work has been done without an exception.

    Parameters
    ----------
    output : str
        The file, which is made if it is new.
    row_format : {"csv", "jsonl"}
        Its format.
    kind : RowKind
        The rows that this run writes.
    made_with : MadeWith or None
        What this run makes rows with; None if rows do not say it.
    known_by : {"size-mtime", "sha256"}
        How an unchanged file is recognised.

    Raises
    ------
    OutputError
        Another process is writing it; it is none of this kind; its rows were made with something else.
    """
    with index_errors(), held(output) as lock, closing(Resumed(output, row_format, kind, lock)) as found:
        found.read(made_with, known_by)
        yield found
        found.put_in_order()
