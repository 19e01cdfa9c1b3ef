"""Where the rows of outputs are, in a data base on disk: millions of rows in constant memory."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from spectral_detect.errors import OutputError
from spectral_detect.sources.sharding import path_bytes

UNSEEN, KEPT, STALE = range(3)

# without a journal: nobody else reads the data base, and it is gone with the connection
TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE record (
    number INTEGER PRIMARY KEY, key BLOB, start_byte INT, end_byte INT, stamp TEXT, verdict TEXT, failed INT,
    source INT, notes TEXT, state INT DEFAULT 0
);
CREATE TABLE input (place INTEGER PRIMARY KEY, key BLOB);
"""
COLUMNS = "key, start_byte, end_byte, stamp, verdict, failed, source, notes"
ADD = f"INSERT INTO record ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
PLACE_OF_KEY = "(SELECT key, min(place) AS place FROM input GROUP BY key)"
# where a file has one row, its second row belongs to the second time that the file was named, and so on
IN_ORDER_OF_TURNS = """
SELECT number, start_byte, end_byte
FROM (SELECT *, row_number() OVER (PARTITION BY key ORDER BY number) AS turn FROM record)
LEFT JOIN (SELECT *, row_number() OVER (PARTITION BY key ORDER BY place) AS turn FROM input) USING (key, turn)
ORDER BY place IS NULL, place, number
"""
IN_ORDER_OF_FILES = f"""
SELECT number, start_byte, end_byte FROM record LEFT JOIN {PLACE_OF_KEY} USING (key)
ORDER BY place IS NULL, place, number
"""
UNNAMED = f"""
FROM record AS unseen WHERE state = {UNSEEN}
AND NOT EXISTS (SELECT 1 FROM record WHERE record.key = unseen.key AND state = {KEPT})
"""
BY_FILE = f"""
SELECT record.{COLUMNS}, count(*) OVER (PARTITION BY record.key, source) AS n_rows
FROM record LEFT JOIN {PLACE_OF_KEY} AS expected ON expected.key = record.key
ORDER BY place IS NULL, place, record.key, """
IN_ORDER_OF_FAILURES = {  # by whether a file has one row
    True: "failed, source, start_byte",
    False: "sum(failed) OVER (PARTITION BY record.key, source), n_rows DESC, source, start_byte",
}
MISSING = f"""
SELECT key FROM {PLACE_OF_KEY} AS expected
WHERE NOT EXISTS (SELECT 1 FROM record WHERE record.key = expected.key) ORDER BY place
"""
UNEXPECTED = """
SELECT DISTINCT key FROM record WHERE NOT EXISTS (SELECT 1 FROM input WHERE input.key = record.key) ORDER BY key
"""


class IndexedRow(NamedTuple):
    """One row of an output, as the index holds it.

    Attributes
    ----------
    key : bytes
        See `key_of`.
    start, end : int
        Its bytes in the file.
    stamp : str or None
        What tells whether its file is still the same; None if that is never taken for granted.
    verdict : str
        "" if there is none.
    failed : bool
        Whether it records an error.
    source : int
        The number of the output, where there are several.
    notes : str
        What a summary counts beside the verdict; see `rows.notes_of`.
    """

    key: bytes
    start: int
    end: int
    stamp: str | None = None
    verdict: str = ""
    failed: bool = False
    source: int = 0
    notes: str = ""


class RowIndex:
    """The rows of outputs and the files that are to have rows, in a temporary file that is gone with the connection.

    It takes about 150 bytes a row in the folder for temporary files. Everything happens in one transaction, which is
    never committed.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("")
        self._database.executescript(TABLES)

    def close(self) -> None:
        """Remove the index."""
        self._database.close()

    # ------------------------------------------------------------------------------------------------------- filling

    def add(self, rows: Iterable[IndexedRow]) -> None:
        """Take in rows in their order; they are numbered from 1."""
        self._database.executemany(ADD, rows)

    def add_inputs(self, keys: Iterable[bytes]) -> None:
        """Take in, in their order, the files that are to have rows."""
        self._database.executemany("INSERT INTO input (key) VALUES (?)", ((key,) for key in keys))

    def add_inputs_of(self, other: RowIndex) -> None:
        """Take in the files that another index has."""
        self.add_inputs(key for (key,) in other._database.execute("SELECT key FROM input ORDER BY place"))

    def sort_rows(self) -> None:
        """Make rows quick to find by their keys; once all rows are there, which is faster than from the start on."""
        self._database.execute("CREATE INDEX IF NOT EXISTS record_key ON record (key, number)")

    def sort_inputs(self) -> None:
        """Make files quick to find by their keys, once all are there."""
        self._database.execute("CREATE INDEX IF NOT EXISTS input_key ON input (key, place)")

    def clear_rows(self) -> None:
        """Forget all rows; the files stay."""
        self._database.execute("DROP INDEX IF EXISTS record_key")
        self._database.execute("DELETE FROM record")

    # ------------------------------------------------------------------------------------------- what becomes of rows

    def has(self, key: bytes) -> bool:
        """Return whether a file has any row."""
        return self._number("SELECT EXISTS (SELECT 1 FROM record WHERE key = ?)", key) == 1

    def last_key(self) -> bytes | None:
        """Return the file that the last row is about; None if there are no rows."""
        found = self._database.execute("SELECT key FROM record ORDER BY number DESC LIMIT 1").fetchone()
        return None if found is None else bytes(found[0])

    def unseen(self, key: bytes) -> list[tuple[int, str | None, str, str]]:
        """Return number, stamp, verdict and notes of the rows of a file that are neither kept nor stale."""
        query = f"SELECT number, stamp, verdict, notes FROM record WHERE key = ? AND state = {UNSEEN} ORDER BY number"
        return self._database.execute(query, (key,)).fetchall()

    def mark(self, numbers: Iterable[int], state: int) -> None:
        """Make rows KEPT or STALE."""
        self._database.executemany(f"UPDATE record SET state = {state} WHERE number = ?", ((n,) for n in numbers))

    def keep_only(self, keys: Iterable[bytes]) -> None:
        """Keep the rows of these files, and no others."""
        self._database.execute(f"UPDATE record SET state = {STALE}")
        self._database.executemany(f"UPDATE record SET state = {KEPT} WHERE key = ?", ((key,) for key in keys))

    def forget_stamps(self, key: bytes) -> None:
        """Never take a file for unchanged."""
        self._database.execute("UPDATE record SET stamp = NULL WHERE key = ?", (key,))

    def kept_keys(self) -> Iterator[bytes]:
        """Give the files with a row that is kept."""
        return (key for (key,) in self._database.execute(f"SELECT DISTINCT key FROM record WHERE state = {KEPT}"))

    def n_kept(self) -> int:
        """Count the rows that are kept."""
        return self._number(f"SELECT count(*) FROM record WHERE state = {KEPT}")

    def n_unnamed(self) -> int:
        """Count the rows of files that nobody asked for.

        Surplus rows of a file that was named once less than before do not count.
        """
        return self._number(f"SELECT count(*) {UNNAMED}")

    def unnamed_paths(self) -> Iterator[tuple[str, bool]]:
        """Give the paths of the rows that `n_unnamed` counts, each with whether its row has a stamp."""
        query = f"SELECT key, stamp IS NOT NULL {UNNAMED} ORDER BY number"
        return ((path_of(key), bool(has_stamp)) for key, has_stamp in self._database.execute(query))

    # -------------------------------------------------------------------------------------------------- bytes of rows

    def first_not_kept(self) -> tuple[int, int] | None:
        """Return number and first byte of the first row that is not kept; None if all are."""
        query = f"SELECT number, start_byte FROM record WHERE state != {KEPT} ORDER BY number LIMIT 1"
        found: tuple[int, int] | None = self._database.execute(query).fetchone()
        return found

    def kept_ranges(self) -> Iterator[tuple[int, int]]:
        """Give first byte and end of each row that is kept."""
        query = f"SELECT start_byte, end_byte FROM record WHERE state = {KEPT} ORDER BY number"
        return self._database.execute(query)

    def in_order_of_inputs(self, *, has_one_row: bool) -> Iterator[tuple[int, int, int]]:
        """Give number, first byte and end of each row in the order of the files; rows of no file come last."""
        return self._database.execute(IN_ORDER_OF_TURNS if has_one_row else IN_ORDER_OF_FILES)

    # -------------------------------------------------------------------------------------------------------- merging

    def by_file(self, *, has_one_row: bool) -> Iterator[tuple[IndexedRow, int]]:
        """Give all rows, in the order of the files that are to have some, then by key, with their number in its output.

        The rows of one file come by their outputs, and in the order that they have there: first those of the output
        with the fewest errors, of these the one with the most rows, or, where a file has one row, those without an
        error.
        """
        for *values, n_rows in self._database.execute(BY_FILE + IN_ORDER_OF_FAILURES[has_one_row]):
            yield IndexedRow._make(values), n_rows

    def has_inputs(self) -> bool:
        """Return whether any file is to have rows."""
        return self._number("SELECT EXISTS (SELECT 1 FROM input)") == 1

    def missing(self) -> Iterator[str]:
        """Give the paths that are to have rows and have none, in their order."""
        return (path_of(key) for (key,) in self._database.execute(MISSING))

    def unexpected(self) -> Iterator[str]:
        """Give the paths that have rows and are not among those that are to have some, sorted."""
        return (path_of(key) for (key,) in self._database.execute(UNEXPECTED))

    def _number(self, query: str, *values: bytes) -> int:
        return int(self._database.execute(query, values).fetchone()[0])


def key_of(path: str) -> bytes:
    """Return bytes that sort as folders are walked: a folder's files stand in its place among its neighbours."""
    return path_bytes(path).replace(b"/", b"\0")


def path_of(key: bytes) -> str:
    """Return the path that has this key."""
    return os.fsdecode(key.replace(b"\0", b"/"))


@contextmanager
def index_errors() -> Iterator[None]:
    """Raise `OutputError` where the data base fails: most likely, its disk is full."""
    try:
        yield
    except sqlite3.Error as error:
        raise OutputError(f"the rows cannot be sorted in the folder for temporary files: {error}") from None
