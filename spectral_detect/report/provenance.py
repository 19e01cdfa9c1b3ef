"""Show people what files say of their origin."""

from __future__ import annotations

from collections import Counter

from spectral_detect.records import ProvenanceRecord
from spectral_detect.text import counted, visible

CLAIMS = {"yes": "AI made or edited it", "no": "no AI made it", None: "nothing of whether AI made it"}
CAUTION = "Anybody can remove or forge what a file says; a file that says nothing may be of any origin."
LABEL = 12  # characters of a finding's kind


def provenance_text(record: ProvenanceRecord) -> str:
    """Return the findings of one file, one a line, under its path."""
    lines = [visible(record.path)]
    if record.error:
        lines.append(f"  {'failed':<{LABEL}}  {visible(record.error)}")
    if record.sha256:
        lines.append(f"  {'says':<{LABEL}}  {CLAIMS[record.says_generated]}")
    for finding in record.findings:
        kind = finding["kind"]
        text = visible(finding["text"].removeprefix(f"{kind} "))
        lines.append(f"  {kind:<{LABEL}}  {text}  ({visible(finding['place'])})")
    return "\n".join(lines) + "\n\n"


def provenance_counts(says: Counter[str | None], n_failed: int, n_skipped: int) -> str:
    """Count the files by what they say, in one line.

    Parameters
    ----------
    says : Counter
        How many files say "yes", "no" and nothing (None).
    n_failed, n_skipped : int
        Files that could not be read in full, and files that are no images.
    """
    parts = ", ".join(f"{says[claim]} {words}" for claim, words in CLAIMS.items())
    skipped = f"; {counted(n_skipped, 'other file')} skipped" if n_skipped else ""
    return f"{counted(sum(says.values()), 'image')}: {parts}; {n_failed} failed{skipped}"
