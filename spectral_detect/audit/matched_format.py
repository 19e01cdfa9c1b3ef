"""Cut each image of a matched copy to one format, whatever its label: a window about the centre, saved as JPEG.

Nothing is resampled, and the choice of window and quality looks at sizes and qualities alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from spectral_detect.errors import DatasetError, ImageReadError
from spectral_detect.extraction.one_file import TOO_LITTLE_MEMORY, Extraction
from spectral_detect.media.delivery import GRID_PX, Delivery
from spectral_detect.media.images import decode, fingerprint, shows_no_colour
from spectral_detect.records import FAKE, REAL
from spectral_detect.sources.reading import read_file

if TYPE_CHECKING:
    from spectral_detect.training.dataset import Dataset  # and scikit-learn with it, which no worker needs

TINY = 1e-9  # of a product that rounding leaves below a whole number
FILLING_SHARE = 0.9  # of the images of each class can fill the window
LOW_QUALITY_SHARE = 0.05  # of all images may have been saved at a lower quality than the copy
HIGHEST_QUALITY = 90
LOSSLESS = 100

Quality = int | Literal["reals"] | None


def choose_format(dataset: Dataset, *, side_px: int | None = None, quality: Quality = None) -> Delivery:
    """Choose a window and a quality for all images, from sizes and qualities alone.

    Parameters
    ----------
    dataset : Dataset
        Images of both classes.
    side_px : int, optional
        Side of the window. By default the largest multiple of 16 that at least 90 % of the colour images of each class
        can fill.
    quality : int or "reals", optional
        JPEG quality; "reals" draws from the qualities of the real JPEGs. By default the lowest quality that at least
        5 % of all images have, at most 90: an image saved again at a higher quality than before still shows the first
        compression.

    Raises
    ------
    DatasetError
        A class has no colour image or none large enough, or no real image is a JPEG whose quality could be drawn.
    """
    usable = dataset.select(np.array([not (s.metadata and s.metadata.is_gray) for s in dataset.samples], dtype=bool))
    if not (usable.n_real and usable.n_fake):
        raise DatasetError(f"{usable.n_real} real and {usable.n_fake} fake images in colour: matching needs both")
    if side_px is None:
        side_px = min(_filled_side(usable.samples, usable.y == label) for label in (REAL, FAKE))
    return Delivery(side_px, _qualities(usable, quality))


def _filled_side(samples: Sequence[Extraction], is_chosen: np.ndarray) -> int:
    sides = np.array([min(s.width or 0, s.height or 0) for s in samples])[is_chosen]
    n_smaller = int(len(sides) * (1 - FILLING_SHARE) + TINY)  # so many may be
    side = int(np.sort(sides)[n_smaller]) // GRID_PX * GRID_PX
    if side < GRID_PX:
        raise DatasetError(f"more than a tenth of a class is smaller than {GRID_PX} pixels: leave those images out")
    return side


def _qualities(dataset: Dataset, quality: Quality) -> tuple[int, ...]:
    if isinstance(quality, int):
        return (quality,)
    found = [s.coding.quality if s.coding and s.coding.family == "JPEG" else None for s in dataset.samples]
    if quality is None:
        lowest = np.quantile([LOSSLESS if q is None else q for q in found], LOW_QUALITY_SHARE, method="lower")
        return (min(HIGHEST_QUALITY, int(lowest)),)
    real_qualities = sorted(q for q, label in zip(found, dataset.y, strict=True) if label == REAL and q is not None)
    if not real_qualities:
        raise DatasetError("no real image is a JPEG, whose quality could be taken", remedy="name a quality")
    return tuple(real_qualities)


@dataclass(frozen=True)
class Cut:
    """The bytes of a JPEG file and the fingerprint of its image, or the reason why there are none."""

    content: bytes | None
    reason: str | None = None
    fingerprint: int | None = None


def cut_file(sample: Extraction, matched: Delivery, max_pixels: int) -> Cut:
    """Cut the window out of one file, and save it as JPEG."""
    try:
        read = read_file(sample.location)
        if read.sha256 != sample.sha256:
            raise ImageReadError("changed while it was read")
        image = decode(read.content, max_pixels=max_pixels, colour=True)
        if min(image.pixels.shape[:2]) < matched.side_px:  # a truncated file lacks rows
            return Cut(None, smaller_than(matched.side_px))
        content = matched.jpeg_of(image, read.sha256)
        cut = decode(content, colour=True)
        if shows_no_colour(cut):
            return Cut(None, "gray in the window")
    except ImageReadError as error:
        return Cut(None, f"failed: {error}")
    except MemoryError:
        return Cut(None, f"failed: {TOO_LITTLE_MEMORY}")
    return Cut(content, None, fingerprint(cut))


def smaller_than(side_px: int) -> str:
    """Return the reason why an image does not fill the window."""
    return f"smaller than {side_px}x{side_px}"
