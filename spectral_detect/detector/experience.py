"""Describe the images that a model has seen, so that it can tell when it is asked about others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from spectral_detect.media.coding import Coding

SIZE_TOLERANCE = 1.25  # sides up to this factor larger or smaller than those seen count as seen
QUALITY_TOLERANCE = 5

Qualities = tuple[int, int] | None  # lowest and highest; None if the files did not tell


@dataclass(frozen=True)
class Experience:
    """Describe the images that a model has seen, so that it can tell when it is asked about others.

    Attributes
    ----------
    min_side_px, max_side_px : int
        Least and greatest shorter side of its training images, in pixels.
    max_distance : float
        An image whose `Model.distance` is greater is unlike them.
    refusal_rate : float
        Share of images of the training sources that is expected to lie farther, measured on images held out in
        cross-validation.
    codings : mapping of str to (int, int) or None
        `Coding.kind` of its training images -> their lowest and highest quality, None where files do not tell it.
    """

    min_side_px: int
    max_side_px: int
    max_distance: float
    refusal_rate: float
    codings: Mapping[str, Qualities]

    def covers(self, width: int, height: int) -> bool:
        """Tell whether the model has seen images of about such a size, in pixels."""
        return self.min_side_px / SIZE_TOLERANCE <= min(width, height) <= self.max_side_px * SIZE_TOLERANCE

    def objections(self, width: int, height: int, coding: Coding | None, distance: float) -> list[str]:
        """Return the reasons why an image lies outside, in words; empty if it does not.

        Parameters
        ----------
        width, height : int
            In pixels, as displayed.
        coding : Coding or None
            How it was compressed; None if nothing is known.
        distance : float
            See `Model.distance`.
        """
        found = []
        if not self.covers(width, height):
            sides = _range(self.min_side_px, self.max_side_px)
            found.append(f"{width}x{height} pixels (seen: a shorter side of {sides})")
        if coding is not None and not self.has_seen(coding):
            found.append(f"coded as {coding.title} (seen: {self.codings_text})")
        if distance > self.max_distance:
            times = distance / self.max_distance
            found.append(f"features unlike those of its training images ({times:.2f} times the limit)")
        return found

    def has_seen(self, coding: Coding) -> bool:
        """Tell whether the model has seen images of such a coding, and of about such a quality."""
        if coding.kind not in self.codings:
            return False
        qualities = self.codings[coding.kind]
        if qualities is None or coding.quality is None:
            return True
        low, high = qualities
        return low - QUALITY_TOLERANCE <= coding.quality <= high + QUALITY_TOLERANCE

    @property
    def codings_text(self) -> str:
        """The codings in words."""
        return "; ".join(
            kind if qualities is None else f"{kind}, quality {_range(*qualities)}"
            for kind, qualities in self.codings.items()
        )


def codings_seen(codings: Iterable[Coding | None]) -> dict[str, Qualities]:
    """Return the kinds of coding of images, with the range of their qualities: see `Experience.codings`."""
    found: dict[str, list[int]] = {}
    for coding in codings:
        if coding is not None:
            found.setdefault(coding.kind, []).extend([] if coding.quality is None else [coding.quality])
    return {kind: (min(q), max(q)) if q else None for kind, q in sorted(found.items())}


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"
