"""What is refused before it costs memory or time."""

from __future__ import annotations

from dataclasses import dataclass

from spectral_detect.arguments import require_whole
from spectral_detect.media.images import MAX_PIXELS
from spectral_detect.sources.reading import MAX_BYTES


@dataclass(frozen=True)
class Limits:
    """The largest files that are read and decoded.

    Attributes
    ----------
    max_pixels : int
        An image whose header announces more, or a video of larger frames, is refused before it is decoded.
    max_bytes : int
        A larger image file is refused before it is read.

    Raises
    ------
    OptionError
        One of them is below 1.
    """

    max_pixels: int = MAX_PIXELS
    max_bytes: int = MAX_BYTES

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            require_whole(name, value, 1)
