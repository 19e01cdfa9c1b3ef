"""Read and write the measures of a run: its log in JSON Lines, a row per epoch, and those of the reals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from spectral_detect.atomic_write import LONGEST_LINE, cut_torn_line, write_aside
from spectral_detect.errors import OutputError
from spectral_detect.regularize.gan.monitor import RealMeasures

LOG_FILE = "log.jsonl"
REALS_FILE = "reals.json"
WEIGHTS_FOLDER = "weights"  # the generator's, at some epochs


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Return the rows of a run's log."""
    return [json.loads(line) for line in _whole_lines(folder / LOG_FILE)]


def cut_log(folder: Path, epoch: int) -> None:
    """Keep the rows up to that epoch, since an epoch that was logged but not saved is trained again.

    Raises
    ------
    OutputError
        The file is not the log of a run, or cannot be written.
    """
    kept = [line for line in _whole_lines(folder / LOG_FILE) if json.loads(line)["epoch"] <= epoch]
    write_aside(folder / LOG_FILE, b"".join(kept))


def append_to_log(folder: Path, row: dict[str, Any]) -> None:
    """Write a row at the end.

    Raises
    ------
    OutputError
        The file cannot be written; it then ends in a whole line.
    """
    log = folder / LOG_FILE
    try:
        with open(log, "a", LONGEST_LINE, encoding="utf-8") as stream:
            stream.write(json.dumps(row) + "\n")
    except OSError as error:
        cut_torn_line(log)
        raise OutputError(f"{str(log)!r} cannot be written: {error.strerror}") from None


def write_real_measures(folder: Path, measures: RealMeasures) -> None:
    """Write the measures of camera images against other camera images.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    write_aside(folder / REALS_FILE, json.dumps(measures.to_dict()).encode())


def read_real_measures(folder: Path) -> dict[str, Any]:
    """Return what `write_real_measures` wrote, as JSON holds it."""
    return dict(json.loads((folder / REALS_FILE).read_bytes()))


def _whole_lines(log: Path) -> list[bytes]:
    if not log.exists():
        return []
    lines = log.read_bytes().splitlines(keepends=True)
    if lines and not _is_row(lines[-1]):
        lines.pop()  # torn when the process or its disk ended
    if not all(map(_is_row, lines)):
        raise OutputError(f"{str(log)!r} is not the log of a run", remedy="name another `folder`")
    return lines


def _is_row(line: bytes) -> bool:
    try:
        return line.endswith(b"\n") and isinstance(json.loads(line)["epoch"], int)
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
