"""Tell which entries of a chain were changed, removed, added or moved."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from spectral_detect.custody.chain import START, canonical, hash_of
from spectral_detect.custody.differences import Difference, Report

OUTCOMES = ("real", "fake", "inconclusive", "failed")
MOST_GAPS = 1000  # that are remembered, in case their entries come later


class Gap(NamedTuple):
    """Numbers that did not come, the last one included, and the line before which they should."""

    first: int
    last: int
    line: int


class ChainCheck:
    """Looks at one entry after the other.

    Attributes
    ----------
    n_files : int
        Entries of files so far.
    final_hash : str or None
        The hash of the closing entry; None if there is none.
    """

    def __init__(self, report: Report) -> None:
        self.n_files = 0
        self.final_hash: str | None = None
        self._report = report
        self._next = 0
        self._last_number: int | None = -1
        self._last_hash = START
        self._gaps: list[Gap] = []
        self._outcomes: Counter[str] = Counter()

    def unreadable(self, line: int, problem: str) -> None:
        """Take a line that is no entry for the one that should stand there."""
        self._report(Difference("chain", f"{problem}: the line was damaged or added", line, self._next))
        self._next += 1
        self._last_number = None

    def see(self, line: int, content: bytes, entry: dict[str, Any]) -> None:
        """Check one entry against itself and against the one before."""
        number = int(entry["number"])
        path = entry["record"].get("path") if entry["kind"] == "file" else None
        place = (line, number, path if isinstance(path, str) else None)
        if self.final_hash is not None:
            self._say("an entry after the closing one: it was added", place)
        if hash_of(entry) != entry["hash"]:
            self._say("its content does not fit its hash: one of them was changed", place)
        elif canonical(entry) + b"\n" != content:
            self._say("its bytes were changed, although it means the same: it is not in canonical form", place)
        if (entry["kind"] == "head") != (line == 1):
            self._say("a head, which can only stand first" if line > 1 else "no head: it was removed", place)
        is_next = self._last_number is not None and number == self._last_number + 1
        if self._order(place) and is_next and entry["previous"] != self._last_hash:
            self._say("it does not follow from the entry before it: one of the two was replaced", place)
        self._last_number, self._last_hash = number, entry["hash"]
        if entry["kind"] == "file":
            self.n_files += 1
            record = entry["record"]
            outcome = "failed" if record.get("error") else record.get("verdict")
            if outcome in OUTCOMES:  # a manifest may come from anybody, and hold any others
                self._outcomes[outcome] += 1
        if entry["kind"] == "end":
            self._close(entry, place)

    def end(self, line: int) -> None:
        """Say what never came; `line` is the last one."""
        for gap in self._gaps:
            self._removed(gap)
        if self.final_hash is None:
            self._report(Difference("chain", "the closing entry is missing: the end was cut off", line))

    def _say(self, text: str, place: tuple[int, int, str | None]) -> None:
        self._report(Difference("chain", text, *place))

    def _order(self, place: tuple[int, int, str | None]) -> bool:
        """Check the number of an entry; return whether it is the next one, or a later one."""
        line, number, _ = place
        if number >= self._next:
            if number > self._next:
                self._remember(Gap(self._next, number - 1, line))
            self._next = number + 1
            return True
        if self._fill(number):
            self._say(f"it stands in another place (behind entry {self._last_number}): it was moved", place)
        else:
            self._say("its number comes twice: an entry was added", place)
        return False

    def _remember(self, gap: Gap) -> None:
        if len(self._gaps) == MOST_GAPS:
            self._removed(self._gaps.pop(0))
        self._gaps.append(gap)

    def _fill(self, number: int) -> bool:
        """Return whether an entry was missed until now."""
        for k, gap in enumerate(self._gaps):
            if gap.first <= number <= gap.last:
                rest = (Gap(gap.first, number - 1, gap.line), Gap(number + 1, gap.last, gap.line))
                self._gaps[k : k + 1] = [part for part in rest if part.first <= part.last]
                return True
        return False

    def _removed(self, gap: Gap) -> None:
        if gap.first == gap.last:
            self._report(Difference("chain", "the entry is missing: it was removed", gap.line, gap.first))
            return
        text = f"the entries {gap.first} to {gap.last} are missing: they were removed"
        self._report(Difference("chain", text, gap.line, gap.first))

    def _close(self, entry: dict[str, Any], place: tuple[int, int, str | None]) -> None:
        self.final_hash = entry["hash"]
        count = entry["summary"].get("count")
        if count != self.n_files:
            self._say(
                f"it counts {canonical(count).decode()[:20]} files, and there are entries of {self.n_files}", place
            )
            return
        for name in OUTCOMES:
            if (said := entry["summary"].get(name)) != self._outcomes[name]:
                self._say(
                    f"it counts {canonical(said).decode()[:20]} {name}, and the entries {self._outcomes[name]}", place
                )
