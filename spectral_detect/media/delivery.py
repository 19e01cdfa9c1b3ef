"""Deliver images alike: the step of a matched copy that a model trained on it repeats on each image it judges."""

from __future__ import annotations

from dataclasses import dataclass, replace
from hashlib import sha256
from io import BytesIO

import numpy as np
import PIL.Image

from spectral_detect.media.edits import as_rgb
from spectral_detect.media.images import DecodedImage, decode

GRID_PX = 16  # the largest block of a JPEG with 4:2:0 chroma: the window starts on this grid, and so keeps the old one


@dataclass(frozen=True)
class Delivery:
    """A window about the centre, not resampled, saved as JPEG: what each image goes through before its features.

    Attributes
    ----------
    side_px : int
        Side of the square window; a smaller image is delivered whole.
    qualities : tuple of int
        Qualities of the JPEG; each image gets one of them, by a hash of its content.
    """

    side_px: int
    qualities: tuple[int, ...]

    @property
    def title(self) -> str:
        """The step in words, such as "central 256x256, JPEG 75"."""
        low, high = min(self.qualities), max(self.qualities)
        return f"central {self.side_px}x{self.side_px}, JPEG {low}" + ("" if low == high else f" to {high}")

    def quality_of(self, content_sha256: str) -> int:
        """Return the quality for a content, the same whatever its label."""
        return self.qualities[int(sha256(f"quality {content_sha256}".encode()).hexdigest(), 16) % len(self.qualities)]

    def jpeg_of(self, image: DecodedImage, content_sha256: str) -> bytes:
        """Return the JPEG file as which an image is delivered."""
        window = central_window(as_rgb(image.pixels, image.is_ycc), self.side_px)
        stream = BytesIO()
        quality = self.quality_of(content_sha256)
        PIL.Image.fromarray(window).convert("RGB").save(stream, "JPEG", quality=quality, subsampling="4:2:0")
        return stream.getvalue()

    def apply(self, image: DecodedImage, content_sha256: str) -> DecodedImage:
        """Return the image as delivered; size, format and coding stay those of the file."""
        delivered = decode(self.jpeg_of(image, content_sha256), colour=True)
        return replace(image, pixels=delivered.pixels, is_ycc=delivered.is_ycc)


def central_window(pixels: np.ndarray, side_px: int) -> np.ndarray:
    """Return (side, side, ...) pixels about the centre, from a corner on the grid of JPEG's blocks."""
    top, left = (max(length - side_px, 0) // 2 // GRID_PX * GRID_PX for length in pixels.shape[:2])
    return pixels[top : top + side_px, left : left + side_px]
