"""Describe the images that a model has seen, so that it can tell when it is asked about others."""

from __future__ import annotations

from dataclasses import dataclass

from spectral_detect.media.header import VIDEO_FORMAT, Metadata

SIZE_TOLERANCE = 1.25  # sides up to this factor larger or smaller than those seen count as seen
QUALITY_TOLERANCE = 5


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
    jpeg_qualities : (int, int) or None
        Lowest and highest JPEG quality of its training images; None if none was a JPEG.
    has_seen_others : bool
        Whether any was not a JPEG.
    """

    min_side_px: int
    max_side_px: int
    max_distance: float
    refusal_rate: float
    jpeg_qualities: tuple[int, int] | None
    has_seen_others: bool

    def covers(self, width: int, height: int) -> bool:
        """Tell whether the model has seen images of about such a size, in pixels."""
        return self.min_side_px / SIZE_TOLERANCE <= min(width, height) <= self.max_side_px * SIZE_TOLERANCE

    def objections(self, width: int, height: int, metadata: Metadata | None, distance: float) -> list[str]:
        """Return the reasons why an image lies outside, in words; empty if it does not.

        Parameters
        ----------
        width, height : int
            In pixels, as displayed.
        metadata : Metadata or None
            Facts of the file.
        distance : float
            See `Model.distance`.
        """
        found = []
        if not self.covers(width, height):
            sides = _range(self.min_side_px, self.max_side_px)
            found.append(f"{width}x{height} pixels (seen: a shorter side of {sides})")
        if metadata is not None and metadata.format != VIDEO_FORMAT:  # only its pixels tell how a video was compressed
            found += self._compression_objections(metadata.nearest_quality)
        if distance > self.max_distance:
            times = distance / self.max_distance
            found.append(f"features unlike those of its training images ({times:.2f} times the limit)")
        return found

    def _compression_objections(self, quality: int | None) -> list[str]:
        """Compare `quality`, that of a JPEG by its quantisation table, None for other formats."""
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
