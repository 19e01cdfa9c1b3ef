"""Records become the rows of a page's table: short JSON that nothing in it can break out of, and counts."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from spectral_detect.records import is_contradicted, is_improbable
from spectral_detect.report.html.second_look import SecondLook
from spectral_detect.report.html.words import OUTSIDE, support
from spectral_detect.text import visible

MOST_ROWS = (
    100_000  # a page of more is slow to open; what needs attention is listed beyond, up to the same number again
)
MOST_NAMED = 500  # files in each of the lists that stand on the page without its script
ADDED_COLUMNS = (
    "outcome", "support", "reasons", "is_inside", "is_contradicted", "is_improbable", "sha256_after", "after_note",
    "picture",
)  # fmt: skip
# few values in many rows: a row has their number in a list
CODED = frozenset(
    ("schema", "format", "verdict", "threshold", "model", "model_sha256", "spec_sha256", "settings_sha256",
     "tool_version", "coding", "such_files", "reason", "generator", "model_balanced_accuracy", "delivery",
     "says_generated", "outcome", "support", "after_note", "codec", "vote")
)  # fmt: skip
MOST_WORDS = 50_000
SAME = "="


@dataclass(frozen=True)
class RowKind:
    """The rows of a table: records of one kind, and what a page says beside them.

    Attributes
    ----------
    record_columns : tuple of str
        The columns of the records.
    reasons_of : callable
        Gives the numbers of the reasons of an inconclusive verdict, see `words.reasons_of`.
    more_columns : tuple of str
        What else a row of this kind has.
    """

    record_columns: tuple[str, ...]
    reasons_of: Callable[[str | None, list[str]], list[int]]
    more_columns: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of a row."""
        return (*self.record_columns, *ADDED_COLUMNS, *self.more_columns)


@dataclass(frozen=True)
class Named:
    """A file in a list, and what is to be said of it."""

    path: str
    note: str


@dataclass
class RowTable:
    """The counts over all rows, the lists of files that need attention, and the values that rows refer to by number.

    Attributes
    ----------
    kind : RowKind
        What the rows are about.
    sides : (str, str)
        The names of the two propositions, that of label 0 first.
    outcomes : Counter
        Records by verdict, and `failed`.
    reasons : Counter
        Inconclusive records by the number of their reason, see `words.reasons_of`.
    n_listed : int
        Rows that the table has.
    n_outside, n_contradicted, n_claimed, n_changed, n_not_read : int
        Records outside the experience of the model; contradicted by their own file; of other files that say themselves
        that AI made them; of files that changed during the scan; of files that were not read again.
    improbable : Counter
        Records by verdict that are called what is less probable at the prevalence.
    failed, contradicted, claimed, changed : list of Named
        The first `MOST_NAMED` of them.
    words : dict
        Value of a column in `CODED` -> its number.
    """

    kind: RowKind
    sides: tuple[str, str] = ("camera", "generated")
    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[int] = field(default_factory=Counter)
    improbable: Counter[str] = field(default_factory=Counter)
    n_listed: int = 0
    n_outside: int = 0
    n_contradicted: int = 0
    n_claimed: int = 0
    n_changed: int = 0
    n_not_read: int = 0
    failed: list[Named] = field(default_factory=list)
    contradicted: list[Named] = field(default_factory=list)
    claimed: list[Named] = field(default_factory=list)
    changed: list[Named] = field(default_factory=list)
    words: dict[str | float, int] = field(default_factory=dict)

    @property
    def n_rows(self) -> int:
        """All records."""
        return sum(self.outcomes.values())

    @property
    def n_decided(self) -> int:
        """Records with a verdict."""
        return self.outcomes["real"] + self.outcomes["fake"]

    def add(self, record: dict[str, Any], look: SecondLook, more: dict[str, Any] | None = None) -> str | None:
        """Count a record; return its row as JSON with the further columns, or None if the table is full."""
        added = self._added_values(record, look)
        is_changed = look.sha256 is not None and look.sha256 != record["sha256"]
        self._count(record, added, look, is_changed=is_changed)
        needs_attention = bool(record["error"]) or added["is_contradicted"] or is_changed
        if self.n_listed >= MOST_ROWS * (1 + needs_attention):
            return None
        self.n_listed += 1
        values = shown_values(record) | added | (more or {})
        return safe_json([self._coded(name, values.get(name)) for name in self.kind.columns])

    def _count(self, record: dict[str, Any], added: dict[str, Any], look: SecondLook, *, is_changed: bool) -> None:
        self.outcomes[added["outcome"]] += 1
        self.reasons.update(added["reasons"])
        self.n_outside += added["is_inside"] is False
        self.improbable[added["outcome"]] += added["is_improbable"]
        is_claimed = record["says_generated"] == "yes" and not added["is_contradicted"]
        self.n_contradicted += added["is_contradicted"]
        self.n_claimed += is_claimed
        self.n_changed += is_changed
        self.n_not_read += look.sha256 is None
        path = visible(record["path"])
        for holds, named, note in (
            (bool(record["error"]), self.failed, visible(str(record["error"]))),
            (added["is_contradicted"], self.contradicted, visible(record["provenance"] or "")),
            (is_claimed, self.claimed, visible(record["provenance"] or "")),
            (is_changed, self.changed, f"SHA-256 {record['sha256']} when judged, {look.sha256} afterwards"),
        ):
            if holds and len(named) < MOST_NAMED:
                named.append(Named(path, note))

    def _coded(self, name: str, value: Any) -> Any:
        if name not in CODED or value is None:
            return value
        if value not in self.words and len(self.words) >= MOST_WORDS:
            return [value]
        return self.words.setdefault(value, len(self.words))

    def _added_values(self, record: dict[str, Any], look: SecondLook) -> dict[str, Any]:
        """Return the columns that a report of any kind has beside those of the record."""
        verdict, ratio, posterior = record["verdict"], record["log10_likelihood_ratio"], record["posterior"]
        # a video that is judged may hold frames that are not
        is_outside = verdict == "inconclusive" and any(OUTSIDE in warning for warning in record["warnings"])
        return {
            "outcome": verdict or "failed",
            "support": None if ratio is None or verdict in (None, "inconclusive") else support(ratio, self.sides),
            "reasons": self.kind.reasons_of(verdict, record["warnings"]),
            "is_inside": None if verdict is None else not is_outside,
            "is_contradicted": is_contradicted(verdict, record["says_generated"], record.get("class_name")),
            "is_improbable": is_improbable(verdict, posterior),
            "sha256_after": SAME if look.sha256 is not None and look.sha256 == record["sha256"] else look.sha256,
            "after_note": look.note and visible(look.note),
            "picture": look.picture,
        }


def shown_values(record: dict[str, Any]) -> dict[str, Any]:
    """Return the values of a record with all texts made visible, and its time as text."""
    shown = {name: visible(value) if isinstance(value, str) else value for name, value in record.items()}
    return shown | {
        "warnings": [visible(text) for text in record["warnings"]],
        "mtime_ns": None if record["mtime_ns"] is None else utc(record["mtime_ns"]),
    }


def utc(time_ns: int) -> str:
    """Return a time in UTC, to the nanosecond; the number itself if no calendar has it."""
    seconds, rest = divmod(time_ns, 10**9)
    try:
        return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
    except (ValueError, OverflowError, OSError):
        return f"{time_ns} ns"


def safe_json(value: Any) -> str:
    """Return JSON in plain ASCII without `<`, `>` and `&`: no text in it can end the script element around it."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
