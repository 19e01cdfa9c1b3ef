"""The kinds of rows that outputs hold, and the columns of them that are read back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from spectral_detect.outputs.csv_text import cell_text, spreadsheet_cell
from spectral_detect.records import (
    FEATURE_COLUMNS,
    FRAME_COLUMNS,
    IMAGE_COLUMNS,
    IMAGE_SCHEMA,
    VIDEO_COLUMNS,
    VIDEO_SCHEMA,
    is_contradicted,
    is_improbable,
)

RowFormat = Literal["csv", "jsonl"]
CLAIMED, CONTRADICTED, IMPROBABLE = "claimed", "contradicted", "improbable"


@dataclass(frozen=True)
class RowKind:
    """The things that the rows of one output are about.

    Attributes
    ----------
    noun : str
        One of these things, in words.
    columns : tuple of str
        All columns; those before the values where rows are feature vectors.
    made_with : tuple of str
        The columns that say what a row was made with: the same in all rows of one output.
    schema : str or None
        The value of the column `schema`; None if the rows have no such column.
    has_one_row : bool
        Whether a file has one row, never more.
    """

    noun: str
    columns: tuple[str, ...]
    made_with: tuple[str, ...]
    schema: str | None = None
    has_one_row: bool = True


_JUDGED_WITH = ("tool_version", "spec_sha256", "settings_sha256")
IMAGES = RowKind("image", IMAGE_COLUMNS, _JUDGED_WITH, IMAGE_SCHEMA)
VIDEOS = RowKind("video", VIDEO_COLUMNS, _JUDGED_WITH, VIDEO_SCHEMA)
FRAMES = RowKind("frame", FRAME_COLUMNS, (), has_one_row=False)
FEATURES = RowKind("feature vector", FEATURE_COLUMNS, ("tool_version", "spec"), has_one_row=False)
NEEDED = (
    "sha256", "size_bytes", "mtime_ns", "verdict", "error", "threshold", "posterior", "model", "model_sha256", "vote",
    "tool_version", "spec_sha256", "settings_sha256", "spec", "says_generated", "class_name",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One whole row of an output.

    Attributes
    ----------
    start, end : int
        Its bytes in the file, the end of its last line included.
    path : str
        The file that it is about, as `as_read_back` gives it.
    values : dict
        The columns in NEEDED that it has, as text; "" for null.
    """

    start: int
    end: int
    path: str
    values: dict[str, str]


def as_read_back(path: str, row_format: RowFormat) -> str:
    """Return a path as a row tells it: CSV gives one text for two paths that differ by a leading apostrophe alone."""
    return cell_text(spreadsheet_cell(path)) if row_format == "csv" else path


def notes_of(values: Mapping[str, str]) -> str:
    """Return what a summary counts of a row beside its verdict: some of CLAIMED, CONTRADICTED and IMPROBABLE.

    CLAIMED: the file says of itself that AI made it; CONTRADICTED: and its verdict is real; IMPROBABLE: at the
    prevalence, the opposite of its verdict is more probable.
    """
    verdict, posterior, says = values.get("verdict"), values.get("posterior"), values.get("says_generated")
    notes = (
        (CLAIMED, says == "yes"),
        (CONTRADICTED, is_contradicted(verdict, says, values.get("class_name"))),
        (IMPROBABLE, is_improbable(verdict, float(posterior) if posterior else None)),
    )
    return " ".join(note for note, holds in notes if holds)
