"""Compare what an entry says of a file with what the file gives now."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from spectral_detect.custody.chain import canonical
from spectral_detect.custody.differences import Report
from spectral_detect.custody.manifest_reader import Entry
from spectral_detect.custody.videos import MOST_TOLD, Members, file_differences, frame_differences
from spectral_detect.sources.discovery import FoundFile, FoundVideo
from spectral_detect.sources.stores import exists
from spectral_detect.text import cut_in_the_middle

TOLERANCE = 1e-9  # of numbers that other libraries or another platform computed
LONGEST_VALUE = 120  # characters
OF_THE_PLACE = ("path", "mtime_ns")  # a copy has others


@dataclass
class Verified:
    """The counts of a check.

    Attributes
    ----------
    n_files, n_same : int
        Entries of files, and those that were looked at and are as recorded.
    differences : Counter
        Differences by kind.
    n_close : int
        Numbers that differ by no more than TOLERANCE, computed elsewhere.
    largest : float
        The largest of these differences.
    final_hash : str or None
        The hash of the closing entry; None if there is none.
    has_scores : bool
        Whether scores were computed again.
    notes : list of str
        What a reader should know.
    run : str
        What was run, see `Run.line`; empty if the head is none.
    """

    n_files: int = 0
    n_same: int = 0
    differences: Counter[str] = field(default_factory=Counter)
    n_close: int = 0
    largest: float = 0.0
    final_hash: str | None = None
    has_scores: bool = False
    notes: list[str] = field(default_factory=list)
    run: str = ""

    @property
    def n_differences(self) -> int:
        """All differences."""
        return sum(self.differences.values())

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "n_differences": self.n_differences,
            **vars(self),
            "differences": dict(sorted(self.differences.items())),
        }


class Comparison:
    """Compares entry after entry.

    Parameters
    ----------
    report : callable
        Called with each difference.
    verified : Verified
        Counts what is as recorded.
    is_exact : bool
        Whether numbers must be the same to the last digit.
    """

    def __init__(self, report: Report, verified: Verified, *, is_exact: bool) -> None:
        self._report = report
        self._verified = verified
        self._is_exact = is_exact

    def __call__(
        self, entry: Entry, found: FoundFile | FoundVideo, now: dict[str, Any], members: Members | None = None
    ) -> None:
        """Compare the columns of a record that `now` has with the recorded ones, and what stands beside it."""
        members = members or {}
        told = self._of_file(entry, found, now, members) or self._of_result(entry, now, members)
        for kind, text in told:
            self._report(entry.difference(kind, text))
        self._verified.n_same += not told

    def _of_file(
        self, entry: Entry, found: FoundFile | FoundVideo, now: dict[str, Any], members: Members
    ) -> list[tuple[str, str]]:
        """Return how the file itself differs."""
        was, sha256 = entry.record, now["sha256"]
        if was["sha256"] == sha256:
            return []
        if sha256 is None and not _is_there(found):
            return [("missing", "the file is not there")]
        if sha256 is None:
            return [("changed", f"the file was read by the scan, and now: {now['error']}")]
        if was["sha256"] is None:
            return [("changed", f"the file could not be read, and now it can: SHA-256 {sha256}")]
        if of_frames := list(file_differences(entry.members, members)):
            return _first([("changed", text) for text in of_frames], "frames of the folder differ")
        sizes = f" ({was.get('size_bytes')} bytes recorded, now {now['size_bytes']})"
        return [("changed", f"SHA-256 recorded {was['sha256']}, now {sha256}{sizes}")]

    def _of_result(self, entry: Entry, now: dict[str, Any], members: Members) -> list[tuple[str, str]]:
        """Return how the columns differ."""
        was, is_judged = entry.record, "verdict" in now
        left_out = OF_THE_PLACE if is_judged else (*OF_THE_PLACE, "error")
        names = [name for name in ({**now, **was} if is_judged else now) if name not in left_out]
        columns = [
            ("result", f"{name}: recorded {_shown(was, name)}, now {_shown(now, name)}")
            for name in names
            if not self._is_same(was, now, name)
        ]
        frames = list(frame_differences(entry.members, members, self._is_same, _short))
        return columns + _first([("result", text) for text in frames], "differences of frames")

    def _is_same(self, was: dict[str, Any], now: dict[str, Any], name: str) -> bool:
        if name not in was or name not in now:
            return False
        before, after = was[name], now[name]
        if canonical(before) == canonical(after):
            return True
        if self._is_exact or not (isinstance(before, float) and isinstance(after, float)):
            return False
        by = abs(before - after)
        if by > TOLERANCE:
            return False
        self._verified.n_close += 1
        self._verified.largest = max(by, self._verified.largest)
        return True


def _first(told: list[tuple[str, str]], what: str) -> list[tuple[str, str]]:
    """Return the first differences, and how many more there are."""
    more = len(told) - MOST_TOLD
    return told if more <= 0 else [*told[:MOST_TOLD], (told[0][0], f"and {more} more {what}")]


def _is_there(found: FoundFile | FoundVideo) -> bool:
    place = found.location
    return exists(place.address) if place.is_remote else os.path.lexists(place.path)


def _shown(record: dict[str, Any], name: str) -> str:
    return _short(record[name]) if name in record else "nothing"


def _short(value: Any) -> str:
    return cut_in_the_middle(canonical(value).decode(), LONGEST_VALUE)
