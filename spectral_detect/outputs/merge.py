"""Join the outputs of shards into one, in the order of the inputs, and tell which files are missing."""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO, cast

from spectral_detect.atomic_write import OutputStream, check_target, check_unlocked, naming_output, stream_aside
from spectral_detect.errors import OutputError
from spectral_detect.outputs.reader import Output, copy_rows
from spectral_detect.outputs.row_index import IndexedRow, RowIndex, index_errors, key_of, path_of
from spectral_detect.outputs.rows import Row, RowFormat, RowKind, as_read_back

MOST_NAMED = 1000  # paths that are handed out by name; the rest is counted


@dataclass
class Merged:
    """The counts of a merge.

    Attributes
    ----------
    kind : RowKind or None
        The rows; None if none of the outputs has any.
    n_rows, n_files : int
        Rows that were written, and files that they are about.
    n_duplicates : int
        Files with rows in more than one place; the first row without an error was taken.
    n_conflicts : int
        Those among them with another hash or verdict in another place.
    n_missing : int
        Files that were expected and have no row.
    n_unexpected : int
        Files that were not expected and have rows, which are kept, last.
    outcomes : Counter
        Rows by verdict, and `failed`.
    duplicates, missing, unexpected : list of str
        The first MOST_NAMED paths of these.
    """

    kind: RowKind | None = None
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

    Memory does not grow with the rows. The disk of `output` takes a copy of the outputs, and the folder for temporary
    files a copy of their paths.

    Raises
    ------
    OutputError
        See `add` and `write`.
    """

    def __init__(self, output: str, row_format: RowFormat) -> None:
        self.kind: RowKind | None = None
        self._output = output
        self._row_format = row_format
        self._columns: tuple[str, ...] = ()
        self._header = b""
        self._made_with: dict[str, str] | None = None
        self._first_name = ""
        self._n_sources = 0
        check_target(output)
        with naming_output(repr(output)):
            folder = os.path.dirname(os.path.realpath(output))
            copy = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # closed by `close`
        self._copy = cast(BinaryIO, OutputStream(copy, repr(output)))
        self._index = RowIndex()

    def close(self) -> None:
        """Remove the temporary files."""
        self._index.close()
        self._copy.close()

    def add(self, name: str) -> None:
        """Take in one output.

        Raises
        ------
        OutputError
            It cannot be read, is still being written, is torn, is of another kind than the others or was made with
            something else.
        """
        self._n_sources += 1
        check_unlocked(name)
        with Output(name, self._row_format) as output, open(name, "rb") as source:
            self._index.add(self._checked(output))
            if output.whole_end < output.size_bytes:
                raise OutputError(f"{name!r} ends in the middle of a row: resume the run that wrote it, then merge")
            copy_rows(source, self._copy, [(len(output.header), output.whole_end)])
            self._copy.flush()

    def _checked(self, output: Output) -> Iterator[IndexedRow]:
        moved = self._copy.tell() - len(output.header)
        for row in output.rows():
            self._check(row, output)
            values = row.values
            yield IndexedRow(
                key_of(row.path),
                row.start + moved,
                row.end + moved,
                values.get("sha256", ""),
                values.get("verdict", ""),
                bool(values.get("error")),
                self._n_sources,
            )

    def _check(self, row: Row, output: Output) -> None:
        """Refuse rows that are not like the others; an output without rows goes with any."""
        assert output.kind is not None
        made_with = {name: row.values[name] for name in output.kind.made_with}
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
                    f"{_shortened(self._made_with[name])}",
                    remedy=(
                        "rows made with different settings do not belong into one output: repeat the shards that were "
                        "made otherwise"
                    ),
                )

    def expect(self, paths: Iterable[str]) -> None:
        """Name the files that should have rows; their order becomes that of the rows."""
        self._index.add_inputs(key_of(as_read_back(path, self._row_format)) for path in paths)
        self._index.sort_inputs()
        self._index.sort_rows()

    def write(self) -> Merged:
        """Write the output aside and rename it.

        Without an expectation the order is that of a scan of one folder: by path, folders and files alike by the bytes
        of their names.

        Raises
        ------
        OutputError
            The output cannot be written.
        """
        merged = Merged(self.kind)
        with stream_aside(self._output) as target:
            target.write(self._header)
            copy_rows(self._copy, target, self._chosen(merged))
        if self._index.has_inputs():
            merged.n_missing = _name_some(merged.missing, self._index.missing())
            merged.n_unexpected = _name_some(merged.unexpected, self._index.unexpected())
        return merged

    def _chosen(self, merged: Merged) -> Iterator[tuple[int, int]]:
        """Give the bytes of each file's rows in the first output with the fewest errors and the most rows of it."""
        has_one_row = self.kind is not None and self.kind.has_one_row
        taken, n_taken, is_duplicate = None, 0, False
        for row, n_rows in self._index.by_file(has_one_row=has_one_row):
            if taken is None or row.key != taken.key:
                taken, n_taken, is_duplicate = row, n_rows, False
                merged.n_files += 1
            elif row.source != taken.source or has_one_row:
                if not is_duplicate:
                    _count_duplicate(merged, taken, row, is_torn=n_rows != n_taken and not has_one_row)
                is_duplicate = True
                continue
            merged.n_rows += 1
            merged.outcomes[row.verdict or ("failed" if row.failed else "")] += 1
            yield row.start, row.end


def _count_duplicate(merged: Merged, taken: IndexedRow, other: IndexedRow, *, is_torn: bool) -> None:
    """Count the rows of another output about the same file; `is_torn` if there are fewer of them."""
    merged.n_duplicates += 1
    differ = (other.stamp, other.verdict, other.failed) != (taken.stamp, taken.verdict, taken.failed)
    merged.n_conflicts += differ or is_torn
    if len(merged.duplicates) < MOST_NAMED:
        merged.duplicates.append(path_of(other.key))


def _name_some(names: list[str], paths: Iterable[str]) -> int:
    """Count paths, and take the first ones down."""
    n_paths = 0
    for n_paths, path in enumerate(paths, start=1):
        if n_paths <= MOST_NAMED:
            names.append(path)
    return n_paths


def _shortened(value: str) -> str:
    return value if len(value) <= 20 else f"{value[:12]}..."


@contextmanager
def merging(output: str, row_format: RowFormat, sources: Sequence[str]) -> Iterator[Merger]:
    """Make a merger that has taken in all sources."""
    with index_errors(), closing(Merger(output, row_format)) as merger:
        for source in sources:
            merger.add(source)
        yield merger
