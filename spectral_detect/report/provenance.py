"""Show people what files say of their origin."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

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
    if record.sha256 and (record.says_generated or not record.error):
        lines.append(f"  {'says':<{LABEL}}  {CLAIMS[record.says_generated]}")
    for finding in record.findings:
        kind = finding["kind"]
        text = visible(finding["text"].removeprefix(f"{kind} "))
        lines.append(f"  {kind:<{LABEL}}  {text}  ({visible(finding['place'])})")
    return "\n".join(lines) + "\n\n"


@dataclass
class ProvenanceCounts:
    """Count files by what they say.

    Attributes
    ----------
    n_files : int
        All of them.
    says : Counter
        How many files say "yes", "no" and nothing (None); a file that could not be read in full says something or
        counts as failed.
    n_failed : int
        Files that could not be read in full.
    n_both : int
        Those among them that say something all the same.
    """

    n_files: int = 0
    says: Counter[str | None] = field(default_factory=Counter)
    n_failed: int = 0
    n_both: int = 0

    def add(self, record: ProvenanceRecord) -> None:
        """Count one file."""
        has_failed, is_claim = record.error is not None, record.says_generated is not None
        self.n_files += 1
        self.n_failed += has_failed
        self.n_both += has_failed and is_claim
        if is_claim or not has_failed:
            self.says[record.says_generated] += 1

    def text(self, skipped: str = "") -> str:
        """Return the counts in one line; `skipped` says what was left aside."""
        parts = ", ".join(f"{self.says[claim]} {words}" for claim, words in CLAIMS.items())
        both = f" ({self.n_both} of them also counted by what they say)" if self.n_both else ""
        return f"{counted(self.n_files, 'file')}: {parts}, {self.n_failed} failed{both}{skipped}"
