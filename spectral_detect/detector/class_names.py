"""Say what may be the name of a class."""

from __future__ import annotations

from spectral_detect.records import LABELS

LONGEST_CLASS_NAME = 24


def why_no_class_names(first: str, second: str) -> str | None:
    """Return why these cannot be the names of the classes with the labels 0 and 1; None if they can."""
    for name, place in ((first, 0), (second, 1)):
        if not (name.isprintable() and 0 < len(name) <= LONGEST_CLASS_NAME and name == name.strip()):
            return (
                f"{name[:LONGEST_CLASS_NAME]!r} is no name of a class: 1 to {LONGEST_CLASS_NAME} printable characters"
            )
        if name.casefold() in ("inconclusive", "failed") or LABELS.get(name.casefold(), place) != place:
            return f"{name!r} as the name of class {place} would mislead"
    return "both classes have one name" if first.casefold() == second.casefold() else None
