"""Write the manifest of a run: entry by entry while it goes on, or from the rows that a resumed run has completed."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Protocol

from spectral_detect.atomic_write import stream_aside, time_of_writing
from spectral_detect.custody.chain import Chain, canonical
from spectral_detect.custody.run import Run
from spectral_detect.custody.videos import members_of
from spectral_detect.errors import ManifestError
from spectral_detect.outputs.reader import Output

if TYPE_CHECKING:
    from spectral_detect.scanning.videos import VideoResult

DIGEST_BYTES = sha256().digest_size


class Recorder(Protocol):
    """Takes the records of a run, and its counts at the end."""

    def add(self, record: dict[str, Any], result: VideoResult | None = None) -> None:
        """Take the next record, as plain values; of a video, what stands behind it as well."""
        ...

    def end(self, outcomes: Mapping[str, int], n_skipped: int) -> None:
        """Take the counts of the verdicts, and of the files that were no images."""
        ...


class ManifestWriter:
    """Writes entries as they come; memory does not grow with them.

    Attributes
    ----------
    n_files : int
        Entries of files so far.
    final_hash : str
        The hash of the closing entry, once it is written.
    """

    def __init__(self, stream: BinaryIO, run: Run) -> None:
        self.n_files = 0
        self._stream = stream
        self._chain = Chain()
        self._stream.write(self._chain.line("head", run.to_dict()))

    @property
    def final_hash(self) -> str:
        """The hash of the last entry."""
        return self._chain.last_hash

    def add(self, record: dict[str, Any], result: VideoResult | None = None) -> None:
        """Write the entry of a file."""
        self.add_plain(record, {} if result is None else members_of(result))

    def add_plain(self, record: dict[str, Any], members: dict[str, Any], *, is_kept: bool = False) -> None:
        """Write the entry of a file with further members; `is_kept` says that an earlier run made its record."""
        self._stream.write(self._chain.line("file", record, kept=is_kept, **members))
        self.n_files += 1

    def end(self, outcomes: Mapping[str, int], n_skipped: int) -> None:
        """Write the closing entry."""
        counts = {name: outcomes.get(name, 0) for name in ("real", "fake", "inconclusive", "failed")}
        summary = {"count": self.n_files, **counts, "skipped": n_skipped, "ended": time_of_writing()}
        self._stream.write(self._chain.line("end", summary))


class _ForLater:
    """Remembers, on disk, which records this run has made, and what stands beside them."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.outcomes: Mapping[str, int] = Counter()
        self.n_skipped = 0

    def add(self, record: dict[str, Any], result: VideoResult | None = None) -> None:
        members = {} if result is None else members_of(result)
        self._stream.write(_digest(record) + canonical(members) + b"\n")

    def end(self, outcomes: Mapping[str, int], n_skipped: int) -> None:
        self.outcomes, self.n_skipped = outcomes, n_skipped

    def made(self) -> Iterator[tuple[bytes, dict[str, Any]]]:
        """Give the digests of the records in their order, and their further members."""
        self._stream.seek(0)
        while digest := self._stream.read(DIGEST_BYTES):
            yield digest, json.loads(self._stream.readline())


@contextmanager
def manifest_as_it_goes(output: str, run: Run) -> Iterator[ManifestWriter]:
    """Write a manifest aside while a run goes on, and rename it at the end; nothing is left after a failure."""
    with stream_aside(output) as stream:
        yield ManifestWriter(stream, run)


@contextmanager
def manifest_at_the_end(output: str, run: Run, rows: str) -> Iterator[tuple[Recorder, list[ManifestWriter]]]:
    """Write a manifest once the block has completed `rows`, an output in JSON Lines that was gone on with.

    The second value holds the writer when all is written.

    Raises
    ------
    ManifestError
        The output does not hold the records of this run.
    """
    written: list[ManifestWriter] = []
    with tempfile.TemporaryFile() as spool:
        made_now = _ForLater(spool)
        yield made_now, written
        with stream_aside(output) as stream:
            writer = ManifestWriter(stream, run)
            _add_rows(writer, rows, made_now.made())
            writer.end(made_now.outcomes, made_now.n_skipped)
            written.append(writer)


def _add_rows(writer: ManifestWriter, rows: str, made_now: Iterator[tuple[bytes, dict[str, Any]]]) -> None:
    """Write an entry for each row; those of this run stand among the kept ones in the order in which it made them."""
    expected = next(made_now, None)
    for record in _records(rows):
        if expected is None or _digest(record) != expected[0]:
            writer.add_plain(record, {}, is_kept=True)
        else:
            writer.add_plain(record, expected[1])
            expected = next(made_now, None)
    if expected is not None:
        raise ManifestError(f"{rows!r} was changed by somebody else while it was written", remedy="scan again")


def _records(rows: str) -> Iterator[dict[str, Any]]:
    with Output(rows, "jsonl") as output, open(rows, "rb") as stream:
        for row in output.rows():
            stream.seek(row.start)
            try:
                record: dict[str, Any] = json.loads(stream.read(row.end - row.start))
                canonical(record)
            except ValueError:
                raise ManifestError(f"{rows!r}: no sound record at byte {row.start}", remedy="scan again") from None
            yield record


def _digest(record: dict[str, Any]) -> bytes:
    return sha256(canonical(record)).digest()
