"""An audit of a labelled data set, and its matched copy, as text for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from spectral_detect.text import visible

MOST_NAMED = 3
WIDEST_CELL = 34
FEW_PAIRS = 2
MEASURES = {"ks": "KS", "cramers_v": "V"}


def audit_text(result: dict[str, Any]) -> str:
    """The report of `audit`."""
    lines = [
        f"images               {result['n_real']} real, {result['n_fake']} fake, {result['n_groups']} groups",
        f"metadata AUROC       {_auroc(result)}",
        "",
        f"{'fact':<17}{'strength':>9}   {'real':<{WIDEST_CELL}}  fake",
        *(_fact_line(name, fact, name in result["culprits"]) for name, fact in result["facts"].items()),
        "* differs beyond chance; - not shown to the classifier, as the content moves it",
        "",
        *_duplicate_lines(result["duplicates"]),
        "",
        verdict(result),
    ]
    return "\n".join(lines)


def verdict(result: dict[str, Any]) -> str:
    """What the audit has found, in words."""
    n_both = result["duplicates"]["exact"]["across"]["n_pairs"]
    if n_both:
        return (
            f"CONTRADICTORY: {n_both} pairs of a real and a fake image are the same file; remove each from one class."
        )
    if result["metadata_auroc"] is None:
        return f"Not measured: {result['reason']}."
    if not result["is_biased"]:
        return "Fair, as far as metadata tell: they separate the classes no better than chance could."
    return (
        f"BIASED: {_which_tell(result['culprits'])} real from fake.\n"
        f"A classifier that sees only metadata, no pixel, reaches an AUROC of {_auroc(result)};\n"
        "a detector learns that, not the generator's traces. Remedy: audit --fix OUT writes a matched copy."
    )


def bias_warning(result: dict[str, Any]) -> str:
    """The verdict on biased classes in one line."""
    return (
        f"{_which_tell(result['culprits'])} the classes apart: metadata alone reach an AUROC of {_auroc(result)}; "
        "a detector learns that, not the generator's traces: spectral-detect audit says more, its --fix matches them"
    )


def fix_text(fix: dict[str, Any]) -> str:
    """What `audit --fix` has written, and the audit of that."""
    qualities = fix["jpeg_qualities"]
    quality = f"{qualities[0]}" if len(qualities) == 1 else f"{qualities[0]} to {qualities[-1]}, as the reals"
    dropped = ", ".join(f"{n} {visible(reason)}" for reason, n in fix["dropped"].items()) or "none"
    lines = [
        f"matched copy         {visible(fix['output'])}: {fix['n_real']} real, {fix['n_fake']} fake",
        f"                     central {fix['side_px']}x{fix['side_px']} pixels, not resampled; JPEG quality {quality}",
        f"dropped              {dropped}",
        "",
        "the copy's own audit",
        audit_text(fix["audit"]),
    ]
    return "\n".join(lines)


def _auroc(result: dict[str, Any]) -> str:
    if result["metadata_auroc"] is None:
        return f"- ({result['reason']})"
    low, high = result["metadata_auroc_ci"]
    return f"{result['metadata_auroc']:.3f} (interval {low:.3f} to {high:.3f})"


def _which_tell(names: Sequence[str]) -> str:
    """Such as "width and height tell"."""
    words = [_title(name) for name in names]
    if len(words) > MOST_NAMED:
        words = [*words[:MOST_NAMED], f"{len(words) - MOST_NAMED} more"]
    return f"{words[0]} tells" if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]} tell"


def _title(name: str) -> str:
    return name.replace("_", " ")


def _fact_line(name: str, fact: dict[str, Any], is_culprit: bool) -> str:
    mark = "*" if is_culprit else " " if fact["is_seen"] else "-"
    strength = f"{MEASURES[fact['measure']]} {fact['strength']:.2f}"
    real, fake = (_summary(fact[label])[:WIDEST_CELL] for label in ("real", "fake"))
    return f"{_title(name):<17}{strength:>9} {mark} {real:<{WIDEST_CELL}}  {fake}".rstrip()


def _summary(values: dict[str, Any]) -> str:
    if "counts" not in values:
        low, median, high = (f"{values[k]:.4g}" if values[k] < 1000 else f"{values[k]:.0f}" for k in values)
        return low if low == high else f"{low} to {high}, median {median}"
    counts = values["counts"]
    if values["n_values"] == 1:
        return visible(next(iter(counts)))
    shares = (f"{visible(value)} {count}" for value, count in counts.items())
    return ", ".join(shares) + (", ..." if values["n_values"] > len(counts) else "")


def _duplicate_lines(duplicates: dict[str, Any]) -> Iterator[str]:
    for title, kind in (("same file", "exact"), ("look the same", "near")):
        found = duplicates[kind]
        n_real, n_fake, n_across = (found[where]["n_pairs"] for where in ("real", "fake", "across"))
        yield f"{title:<20} {n_real} pairs within real, {n_fake} within fake, {n_across} of a real and a fake"
        for first, second in found["across"]["first"][:FEW_PAIRS]:
            yield f"{'':<20} {visible(first)} and {visible(second)}"
