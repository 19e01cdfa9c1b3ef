"""Read back, row by row, the outputs that are written as streams: CSV and JSON Lines."""

from __future__ import annotations

import codecs
import csv
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, BinaryIO, NoReturn

from spectral_detect.errors import OutputError
from spectral_detect.outputs.csv_text import cell_text, csv_line
from spectral_detect.outputs.rows import FEATURES, FRAMES, IMAGES, NEEDED, VIDEOS, Row, RowFormat, RowKind
from spectral_detect.records import FEATURE_COLUMNS, TILE_COLUMNS, ImageRecord, VideoRecord

INDEXED = ("sha256", "size_bytes", "mtime_ns", "verdict")  # kept as text in a data base
LONGEST_ROW = 2**26  # bytes; a row of features without bins takes some million
# what content that is no row raises: the errors of JSON and of Unicode are ValueErrors
UNREADABLE = (ValueError, KeyError, TypeError, RecursionError, csv.Error)
STARTS: dict[RowFormat, tuple[bytes, ...]] = {
    "csv": tuple(csv_line(k.columns).rstrip().encode() for k in (IMAGES, VIDEOS, FRAMES, FEATURES)),
    "jsonl": (b'{"schema": "spectral-detect/', b'{"path": "'),
}


class Output:
    """An output that may still be growing, or end in the middle of a row.

    Attributes
    ----------
    kind : RowKind or None
        The rows; None if there is not even a header.
    columns : tuple of str
        The names of the columns; in JSON Lines those of the first record.
    header : bytes
        The bytes before the rows.
    whole_end : int
        The byte at which the last whole row ends, known once `rows` is at its end; a torn row may follow.

    Raises
    ------
    OutputError
        The file cannot be read; its columns are not those of any output of this version.
    """

    def __init__(self, name: str, row_format: RowFormat) -> None:
        self.name = name
        self.row_format = row_format
        self.kind: RowKind | None = None
        self.columns: tuple[str, ...] = ()
        self.header = b""
        try:
            self._stream: BinaryIO = open(name, "rb")  # noqa: SIM115  # closed by `close`
        except OSError as error:
            raise OutputError(f"{name!r} cannot be read: {error.strerror}") from None
        self.whole_end = 0
        if row_format == "csv":
            try:
                self._read_header()
            except OutputError:
                self.close()
                raise

    def __enter__(self) -> Output:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    @property
    def size_bytes(self) -> int:
        """Size of the file now."""
        return os.fstat(self._stream.fileno()).st_size

    def rows(self) -> Iterator[Row]:
        """Give the whole rows in their order.

        Raises
        ------
        OutputError
            Something that is no row stands before the end of the file.
        """
        parse = self._csv_row if self.row_format == "csv" else self._json_row
        wanted: dict[str, int] = {name: k for k, name in enumerate(self.columns) if name in NEEDED}
        for start, content in self._whole_rows():
            try:
                path, values = parse(content.decode("utf-8", "surrogateescape"), wanted)
                _check(values)
            except UNREADABLE:
                raise OutputError(
                    f"{self.name!r}: no record begins at byte {start}, where one should",
                    remedy="the file is damaged, or was not written by this program",
                ) from None
            yield Row(start, start + len(content), path, values)

    def _whole_rows(self) -> Iterator[tuple[int, bytes]]:
        self._stream.seek(len(self.header))
        self.whole_end = len(self.header)
        while content := self._read_row():
            start, self.whole_end = self.whole_end, self.whole_end + len(content)
            yield start, content
        if not self.whole_end:
            self._check_torn_start()

    def _read_row(self) -> bytes:
        """Return the lines up to one that ends a row; nothing at the end of the file, or if the rest is torn."""
        row = bytearray()
        while line := self._stream.readline(LONGEST_ROW):
            row += line
            if not line.endswith(b"\n"):
                break
            # in CSV a new line inside a cell stands between quotes, and each quote inside a cell is doubled
            if self.row_format == "jsonl" or row.count(b'"') % 2 == 0:
                return bytes(row)
            if len(row) > LONGEST_ROW:
                break
        if len(row) >= LONGEST_ROW:
            raise OutputError(
                f"{self.name!r}: no row ends within {LONGEST_ROW} bytes",
                remedy="it is damaged, or something else",
            )
        return b""

    def _read_header(self) -> None:
        self.header = self._read_row()
        self.whole_end = len(self.header)
        if not self.header:
            self._check_torn_start()
            return
        try:
            (self.columns,) = (tuple(cells) for cells in csv.reader([self.header.decode("utf-8-sig")]))
        except (ValueError, csv.Error):
            self._refuse()
        self.kind = self._kind_of(self.columns)

    def _check_torn_start(self) -> None:
        """Accept a file without a whole row if it was begun by this program, not any text without a line end."""
        self._stream.seek(0)
        torn = self._stream.read(LONGEST_ROW).removeprefix(codecs.BOM_UTF8)
        if not any(start.startswith(torn) or torn.startswith(start) for start in STARTS[self.row_format]):
            self._refuse()

    def _kind_of(self, columns: Sequence[str], schema: object = None) -> RowKind:
        for kind in (IMAGES, VIDEOS, FRAMES):
            if tuple(columns) == kind.columns and (self.row_format == "csv" or schema == kind.schema):
                return kind
        if tuple(columns[: len(FEATURE_COLUMNS)]) != FEATURE_COLUMNS:
            self._refuse()
        return FEATURES

    def _refuse(self) -> NoReturn:
        raise OutputError(
            f"{self.name!r} does not have the columns that this version writes",
            remedy="it is another version's output, or another file",
        )

    def _csv_row(self, text: str, wanted: dict[str, int]) -> tuple[str, dict[str, str]]:
        (cells,) = csv.reader([text])
        if len(cells) != len(self.columns):
            raise ValueError("a row of another length")
        path = cell_text(cells[self.columns.index("path")])
        return path, {name: cells[k] for name, k in wanted.items()}

    def _json_row(self, text: str, _: object) -> tuple[str, dict[str, str]]:
        record = json.loads(text)
        if not isinstance(record, dict):
            raise ValueError("no object")
        if self.kind is None:
            self.kind = self._kind_of(tuple(record), record.get("schema"))
            self.columns = self.kind.columns
        if tuple(record) != self.columns:
            raise ValueError("a record with other columns")
        return str(record["path"]), {name: _text(record[name]) for name in NEEDED if name in record}

    def has_tiles(self) -> bool:
        """Return whether an image has many rows of features, the last of which may be missing."""
        return self.columns[len(FEATURE_COLUMNS) :][: len(TILE_COLUMNS)] == TILE_COLUMNS


def _check(values: dict[str, str]) -> None:
    """Raise `ValueError` unless a row's number is one, and its texts can be kept in a data base."""
    float(values.get("posterior") or 0)
    "".join(values.get(name, "") for name in INDEXED).encode()


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def copy_rows(source: BinaryIO, target: BinaryIO, ranges: Iterable[tuple[int, int]]) -> None:
    """Copy byte ranges in the order given, adjoining ones in one go.

    Raises
    ------
    OutputError
        A range lies beyond the end of `source`.
    """
    start = end = 0
    for low, high in ranges:
        if low != end:
            _copy(source, target, start, end)
            start = low
        end = high
    _copy(source, target, start, end)


def _copy(source: BinaryIO, target: BinaryIO, start: int, end: int, block: int = 2**20) -> None:
    source.seek(start)
    while start < end:
        content = source.read(min(block, end - start))
        if not content:
            raise OutputError("the output became shorter while it was read")
        target.write(content)
        start += len(content)


def records_of(
    name: str, row_format: RowFormat, record: type[ImageRecord | VideoRecord] = ImageRecord
) -> Iterator[dict[str, Any]]:
    """Read back the records of an output of `scan` or `video`, as their `to_dict` gives them.

    CSV does not hold all: its `warnings` come as one text, and an empty text as None.

    Raises
    ------
    OutputError
        The file cannot be read, or a row cannot.
    """
    try:
        with open(name, encoding="utf-8-sig", errors="surrogateescape", newline="") as stream:
            of_cells, of_json = partial(_of_cells, record), partial(_of_json, record)
            yield from map(of_cells, csv.DictReader(stream)) if row_format == "csv" else map(of_json, stream)
    except OSError as error:
        raise OutputError(f"{name!r} cannot be read: {error.strerror}") from None
    except UNREADABLE:
        raise OutputError(f"{name!r} cannot be read back as records", remedy="it was changed meanwhile") from None


def _of_json(record: type[ImageRecord | VideoRecord], line: str) -> dict[str, Any]:
    """Return a record in a line of JSON; `ValueError` if a value is of another kind than this program writes."""
    values: dict[str, Any] = json.loads(line, parse_constant=_no_number)
    for name, field in record.__dataclass_fields__.items():
        value, kind = values[name], str(field.type).removesuffix(" | None")
        if name == "warnings":
            is_sound = isinstance(value, list) and all(isinstance(warning, str) for warning in value)
        else:
            is_sound = type(value) in {"int": (int,), "float": (int, float)}.get(kind, (str,))
        if not (is_sound or (value is None and kind != str(field.type))):
            raise ValueError(f"{name} of another kind")
    return values


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


READERS: dict[str, Callable[[str], Any]] = {"int": int, "float": _finite}


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _of_cells(record: type[ImageRecord | VideoRecord], cells: dict[str, str]) -> dict[str, Any]:
    """Return a record of the texts in a row of CSV."""
    values: dict[str, Any] = {"schema": cells["schema"]}
    for name, field in record.__dataclass_fields__.items():
        cell, kind = cells[name], str(field.type).removesuffix(" | None")
        if name == "warnings":
            values[name] = [cell_text(cell)] if cell else []
        elif not cell:
            values[name] = None
        else:
            values[name] = READERS.get(kind, cell_text)(cell)
    return values
