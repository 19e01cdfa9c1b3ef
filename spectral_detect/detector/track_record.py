"""Tell how often a model was right about files that were coded like the one at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spectral_detect.media.coding import Coding
from spectral_detect.records import CLASS_NAMES, Verdict
from spectral_detect.text import range_text


@dataclass(frozen=True)
class TrackRecord:
    """How a model did on files of one kind of coding, by folds that had not seen their groups.

    Both classes count alike, and so do the groups of each.

    Attributes
    ----------
    coding : str or None
        The `Coding.kind` of the files; None for all files together.
    qualities : (int, int) or None
        Lowest and highest quality of them; None if the kind has no bands of quality.
    n_files, n_groups : int
        How many files, and groups of both classes.
    decided : float
        Share of the files that got a verdict.
    fake_right, real_right : float or None
        Share of the verdicts `fake`, and `real`, that were right; None if there was none.
    below_px : int or None
        The shorter side of each of these files is below this, in pixels; None if the files are not limited in size.
    """

    coding: str | None
    qualities: tuple[int, int] | None
    n_files: int
    n_groups: int
    decided: float
    fake_right: float | None
    real_right: float | None
    below_px: int | None = None

    def is_of(self, coding: Coding | None) -> bool:
        """Tell whether a file of such a coding is of this kind; all files are, where `coding` is None."""
        if self.coding is None:
            return True
        if coding is None or coding.kind != self.coding:
            return False
        if self.qualities is None:
            return True
        low, high = self.qualities
        return coding.quality is not None and low <= coding.quality <= high

    def right(self, verdict: Verdict) -> float | None:
        """Return the share of such verdicts that were right; None if there was none, and for "inconclusive"."""
        return {"fake": self.fake_right, "real": self.real_right}.get(verdict)

    def right_at(self, verdict: Verdict, prevalence: float) -> float | None:
        """Return the share of such verdicts that would be right if a share `prevalence` of the files were fake.

        Notes
        -----
        With both classes equally frequent, the odds r / (1 - r) of a verdict are the ratio of the rates at which it is
        given to either class; a prevalence p of its class multiplies them by p / (1 - p).
        """
        right, frequent = self.right(verdict), prevalence if verdict == "fake" else 1 - prevalence
        if right is None or (total := right * frequent + (1 - right) * (1 - frequent)) == 0:
            return None
        return right * frequent / total

    @property
    def kind(self) -> str:
        """The files in words, such as "JPEG, quality 70 to 87"."""
        kind = self.coding or "all files"
        kind += f", quality {range_text(*self.qualities)}" if self.qualities else ""
        return kind + (f", below {self.below_px} pixels" if self.below_px else "")

    @property
    def line(self) -> str:
        """The numbers in words."""
        return self.line_for(CLASS_NAMES)

    def line_for(self, class_names: tuple[str, str]) -> str:
        """Return the numbers in words, by what a model calls real and fake."""
        named = zip(class_names[::-1], (self.fake_right, self.real_right), strict=True)
        parts = [f"{name} right {100 * share:.0f} %" for name, share in named if share is not None]
        return f"{self.kind}: decided {100 * self.decided:.0f} % of {self.n_files}" + (
            "; " + ", ".join(parts) if parts else ""
        )


def track_record_of(records: Sequence[TrackRecord], coding: Coding | None) -> TrackRecord | None:
    """Return the first record that is of such files, the narrowest; None if there is none."""
    return next((record for record in records if record.is_of(coding)), None)
