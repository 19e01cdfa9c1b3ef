"""What the rows of an output are about, and which of their columns are read back."""

from __future__ import annotations

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
)

RowFormat = Literal["csv", "jsonl"]


@dataclass(frozen=True)
class Kind:
    """What the rows of an output are about.

    Attributes
    ----------
    columns : all of them; of features those before the values.
    origin : the columns that say what a row was made with: the same in all rows of one output.
    has_one_row : a file has one row, never more.
    """

    noun: str
    columns: tuple[str, ...]
    origin: tuple[str, ...]
    schema: str | None = None
    has_one_row: bool = True


_ORIGIN = ("tool_version", "spec_sha256", "settings_sha256")
IMAGES = Kind("image", IMAGE_COLUMNS, _ORIGIN, IMAGE_SCHEMA)
VIDEOS = Kind("video", VIDEO_COLUMNS, _ORIGIN, VIDEO_SCHEMA)
FRAMES = Kind("frame", FRAME_COLUMNS, (), has_one_row=False)
FEATURES = Kind("feature vector", FEATURE_COLUMNS, ("tool_version", "spec"), has_one_row=False)
NEEDED = (
    "sha256", "size_bytes", "mtime_ns", "verdict", "error", "threshold", "posterior", "model", "model_sha256", "vote",
    "tool_version", "spec_sha256", "settings_sha256", "spec",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One whole row.

    Attributes
    ----------
    start, end : its bytes in the file, with the end of its last line.
    values : of the columns in NEEDED that it has, as text; "" for null.
    """

    start: int
    end: int
    path: str
    values: dict[str, str]


def as_read_back(path: str, row_format: RowFormat) -> str:
    """A path as a row tells it: of two that differ by a leading apostrophe alone CSV gives one text."""
    return cell_text(spreadsheet_cell(path)) if row_format == "csv" else path
