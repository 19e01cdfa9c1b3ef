"""What was found in a file, in words, and where it stands."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from spectral_detect.text import counted, cut_at_word, cut_between_words, printable

Kind = Literal[
    "generator",
    "source type",
    "C2PA",
    "watermark",
    "camera",
    "software",
    "date",
    "thumbnail",
    "JPEG",
    "note",
]
Says = Literal["yes", "no"]
Depth = Literal["none", "header", "full"]  # header: what stands in the bytes; full: what the pixels tell as well

ORDER = get_args(Kind)
LONGEST_VALUE, LONGEST_LINE = 120, 500  # characters
NAMED = ", model "  # between a program and the name of its model
MOST_CHARACTERS = 10 * LONGEST_VALUE  # of a value that are looked at before it is shortened


def shown(value: str) -> str:
    """Return a value out of a file as one short line without anything that a terminal would obey."""
    return cut_between_words(printable(" ".join(value[:MOST_CHARACTERS].split())), LONGEST_VALUE)


@dataclass(frozen=True)
class Finding:
    """One thing that a file says of its origin.

    Attributes
    ----------
    kind : str
        What it is about, such as "camera".
    text : str
        What it says, safe to print.
    place : str
        Where in the file it stands.
    says_generated : {"yes", "no"} or None
        Whether it says that the image was made or edited by AI; None if it says nothing of that.
    """

    kind: Kind
    text: str
    place: str
    says_generated: Says | None = None

    def __str__(self) -> str:
        return f"{self.text} ({self.place})"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return dict(vars(self))


@dataclass(frozen=True)
class Provenance:
    """All that a file says of its origin; what speaks of AI comes first."""

    findings: tuple[Finding, ...] = ()

    @property
    def says_generated(self) -> Says | None:
        """Whether the file says that it was made or edited by AI: one finding that says so is enough."""
        said = {finding.says_generated for finding in self.findings}
        return "yes" if "yes" in said else "no" if "no" in said else None

    @property
    def line(self) -> str:
        """All findings in one line of text; empty if there are none."""
        return cut_at_word("; ".join(map(str, self.findings)), LONGEST_LINE)

    @property
    def claim(self) -> str:
        """The findings that say whether AI took part, in one line of text."""
        return cut_at_word("; ".join(str(f) for f in self.findings if f.says_generated), LONGEST_LINE)


def gathered(findings: Iterable[Finding]) -> Provenance:
    """Put findings in order, and join those that say the same in several places."""
    found = list(findings)
    fuller = {f.text.partition(NAMED)[0]: f.text for f in found if NAMED in f.text}  # the program, and its model too
    kept: dict[tuple[str, str], list[Finding]] = {}
    for finding in found:
        kept.setdefault((finding.kind, fuller.get(finding.text, finding.text)), []).append(finding)
    joined = [_joined(text, same) for (_, text), same in kept.items()]
    return Provenance(tuple(sorted(joined, key=_place_in_order)))


def _place_in_order(finding: Finding) -> tuple[int, int]:
    return {"yes": 0, "no": 1}.get(finding.says_generated or "", 2), ORDER.index(finding.kind)


def _joined(text: str, same: list[Finding]) -> Finding:
    first = next((finding for finding in same if finding.text == text), same[0])
    more = f", and {counted(len(same) - 1, 'other place')}" if len(same) > 1 else ""
    return replace(first, place=first.place + more)
