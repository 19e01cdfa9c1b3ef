"""What images a model has seen, so that it can tell when it is asked about others."""

from __future__ import annotations

from dataclasses import dataclass

from spectral_detect.media.header import VIDEO_FORMAT, Metadata

SIZE_TOLERANCE = 1.25  # a size class: sides up to a quarter larger, or as much smaller, than those seen
QUALITY_TOLERANCE = 5


@dataclass(frozen=True)
class Experience:
    """What images a model has seen, so that it can tell when it is asked about others.

    Attributes
    ----------
    min_side_px, max_side_px : of the shorter sides of its training images.
    max_distance : an image whose `Model.distance` is greater is unlike them.
    refusal_rate : the share of images of the training sources that is expected to lie farther, by those that were
        held out in cross-validation.
    jpeg_qualities : (lowest, highest) of its training images; None where none was a JPEG.
    has_seen_others : whether any was not a JPEG.
    """

    min_side_px: int
    max_side_px: int
    max_distance: float
    refusal_rate: float
    jpeg_qualities: tuple[int, int] | None
    has_seen_others: bool

    def covers(self, width: int, height: int) -> bool:
        """Whether it has seen images of about such a size."""
        return self.min_side_px / SIZE_TOLERANCE <= min(width, height) <= self.max_side_px * SIZE_TOLERANCE

    def objections(self, width: int, height: int, metadata: Metadata | None, distance: float) -> list[str]:
        """Why an image lies outside, in words; empty where it does not."""
        found = []
        if not self.covers(width, height):
            sides = _range(self.min_side_px, self.max_side_px)
            found.append(f"{width}x{height} pixels (seen: a shorter side of {sides})")
        if metadata is not None and metadata.format != VIDEO_FORMAT:  # how a video was compressed only its pixels tell
            found += self._of_compression(metadata.nearest_quality)
        if distance > self.max_distance:
            times = distance / self.max_distance
            found.append(f"features unlike those of its training images ({times:.2f} times the limit)")
        return found

    def _of_compression(self, quality: int | None) -> list[str]:
        """`quality` of a JPEG, by its quantisation table; None for other formats."""
        if quality is None:
            return [] if self.has_seen_others else ["not a JPEG (seen: JPEGs only)"]
        if self.jpeg_qualities is None:
            return [f"a JPEG of quality {quality} (seen: no JPEG)"]
        low, high = self.jpeg_qualities
        if low - QUALITY_TOLERANCE <= quality <= high + QUALITY_TOLERANCE:
            return []
        return [f"JPEG quality {quality} (seen: {_range(low, high)})"]


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"
