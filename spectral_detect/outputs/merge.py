"""Join the outputs of shards into one, in the order of the inputs, and tell what is missing."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

from spectral_detect.atomic_write import check_target, stream_aside
from spectral_detect.errors import OutputError
from spectral_detect.outputs.reader import Output, copy_rows
from spectral_detect.outputs.rows import Kind, Row, RowFormat, as_read_back
from spectral_detect.sources.sharding import path_bytes

MOST_NAMED = 1000  # paths that are handed out by name; the rest is counted

ROWS = """
CREATE TABLE record (key BLOB, source INT, start_byte INT, end_byte INT, digest TEXT, verdict TEXT, failed INT);
CREATE TABLE expected (key BLOB PRIMARY KEY, place INTEGER) WITHOUT ROWID;
"""


@dataclass
class Merged:
    """What became of the outputs.

    Attributes
    ----------
    kind : of the rows; None where none of the outputs has any.
    n_rows, n_files : written. `outcomes` : their verdicts, and `failed`.
    n_duplicates : files with rows in more than one place, of which the first without an error was taken;
        `n_conflicts` : of them those with another hash or verdict there.
    n_missing : files that were expected and have no row; `n_unexpected` : the reverse, which are kept, last.
    duplicates, missing, unexpected : the first MOST_NAMED of them by name.
    """

    kind: Kind | None = None
    n_rows: int = 0
    n_files: int = 0
    n_duplicates: int = 0
    n_conflicts: int = 0
    n_missing: int = 0
    n_unexpected: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    duplicates: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)


class Merger:
    """Rows of several outputs, copied into one temporary file, and their places in a data base on disk.

    Memory does not grow with the rows; on the disk of `output` and in the folder for temporary files it takes the size
    of the outputs, and of their paths.

    Raises
    ------
    OutputError : see `add` and `write`.
    """

    def __init__(self, output: str, row_format: RowFormat) -> None:
        self.kind: Kind | None = None
        self._output = output
        self._row_format = row_format
        self._columns: tuple[str, ...] = ()
        self._header = b""
        self._made_with: dict[str, str] | None = None
        self._first_name = ""
        self._n_sources = 0
        check_target(output)
        self._copy: BinaryIO = tempfile.TemporaryFile(dir=os.path.dirname(os.path.realpath(output)))  # noqa: SIM115
        self._rows = sqlite3.connect("")  # a temporary file, gone with the connection
        self._rows.executescript(ROWS)

    def close(self) -> None:
        self._rows.close()
        self._copy.close()

    def add(self, name: str) -> None:
        """Take in one output.

        Raises
        ------
        OutputError : it cannot be read, is torn, is of another kind than the others or was made with something else.
        """
        self._n_sources += 1
        with Output(name, self._row_format) as output, open(name, "rb") as source:
            moved = self._copy.tell() - len(output.header)
            for row in output.rows():
                self._check(row, output)
                self._note(row, moved)
            if output.whole_end < output.size_bytes:
                raise OutputError(f"{name!r} ends in the middle of a row: resume the run that wrote it, then merge")
            copy_rows(source, self._copy, [(len(output.header), output.whole_end)])

    def _check(self, row: Row, output: Output) -> None:
        """All rows alike; an output without rows is of any kind."""
        assert output.kind is not None
        made_with = {name: row.values[name] for name in output.kind.origin}
        if self._made_with is None:
            self.kind, self._columns, self._header = output.kind, output.columns, output.header
            self._made_with, self._first_name = made_with, output.name
        if output.kind != self.kind:
            raise OutputError(f"{output.name!r} holds {output.kind.noun}s, and {self._first_name!r} does not")
        if output.columns != self._columns:
            raise OutputError(f"{output.name!r} has vectors of another length than {self._first_name!r}")
        for name, value in made_with.items():
            if value != self._made_with[name]:
                raise OutputError(
                    f"{output.name!r} and {self._first_name!r} differ in {name}: {_shortened(value)} and "
                    f"{_shortened(self._made_with[name])}; rows made with different settings are no one result: repeat "
                    "the shards that were made otherwise"
                )

    def _note(self, row: Row, moved: int) -> None:
        values = row.values
        found = (values.get("sha256", ""), values.get("verdict", ""), int(bool(values.get("error"))))
        place = (order_key(row.path), self._n_sources, row.start + moved, row.end + moved)
        self._rows.execute("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?, ?)", (*place, *found))

    def expect(self, paths: Iterable[str]) -> None:
        """The files that should have rows, in the order that these then get."""
        read_back = (order_key(as_read_back(path, self._row_format)) for path in paths)
        self._rows.executemany(
            "INSERT OR IGNORE INTO expected VALUES (?, ?)", ((key, place) for place, key in enumerate(read_back))
        )

    def write(self) -> Merged:
        """Write the output aside and rename it.

        Without an expectation the order is that of a scan of one folder: by path, folders and files alike by the bytes
        of their names.

        Raises
        ------
        OutputError : it cannot be written.
        """
        merged = Merged(self.kind)
        with stream_aside(self._output) as target:
            target.write(self._header)
            copy_rows(self._copy, target, self._chosen(merged))
        self._tell_missing(merged)
        return merged

    def _chosen(self, merged: Merged) -> Iterator[tuple[int, int]]:
        """Of each file, the rows of the output that has them first, one without an error if there is any."""
        in_order = self._rows.execute(
            "SELECT record.key, source, start_byte, end_byte, digest, verdict, failed "
            "FROM record LEFT JOIN expected ON expected.key = record.key "
            "ORDER BY place IS NULL, place, record.key, failed, source, start_byte"
        )
        key, taken = None, ("", "", 0, 0)
        for its_key, source, start, end, digest, verdict, failed in in_order:
            if its_key != key:
                key, taken, is_duplicate = its_key, (digest, verdict, failed, source), False
                merged.n_files += 1
            elif source != taken[3] or (self.kind is not None and self.kind.has_one_row):
                if not is_duplicate:
                    merged.n_duplicates += 1
                    _name(merged.duplicates, its_key)
                    merged.n_conflicts += (digest, verdict, failed) != taken[:3]
                is_duplicate = True
                continue
            merged.n_rows += 1
            merged.outcomes[verdict or ("failed" if failed else "")] += 1
            yield start, end

    def _tell_missing(self, merged: Merged) -> None:
        if not self._rows.execute("SELECT EXISTS (SELECT 1 FROM expected)").fetchone()[0]:
            return
        for column, query in (
            ("missing", "SELECT key FROM expected WHERE key NOT IN (SELECT key FROM record) ORDER BY place"),
            ("unexpected", "SELECT DISTINCT key FROM record WHERE key NOT IN (SELECT key FROM expected) ORDER BY key"),
        ):
            n_found = 0
            for (key,) in self._rows.execute(query):
                n_found += 1
                _name(getattr(merged, column), key)
            setattr(merged, f"n_{column}", n_found)


def order_key(path: str) -> bytes:
    """Sorts as folders are walked through: a folder's files stand where the folder stands among its neighbours."""
    return path_bytes(path).replace(b"/", b"\0")


def _name(names: list[str], key: bytes) -> None:
    if len(names) < MOST_NAMED:
        names.append(os.fsdecode(key.replace(b"\0", b"/")))


def _shortened(value: str) -> str:
    return value if len(value) <= 20 else f"{value[:12]}..."


@contextmanager
def merging(output: str, row_format: RowFormat, sources: Sequence[str]) -> Iterator[Merger]:
    """A merger that has taken in all sources."""
    with closing(Merger(output, row_format)) as merger:
        try:
            for source in sources:
                merger.add(source)
            yield merger
        except sqlite3.Error as error:
            raise OutputError(f"the rows cannot be sorted in the folder for temporary files: {error}") from None
