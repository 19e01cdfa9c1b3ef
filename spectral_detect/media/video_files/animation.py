"""Read animated images (GIF, WebP, APNG, AVIF) as videos: the frames as displayed, with their times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any

import numpy as np
import PIL.Image

from spectral_detect.errors import ImageReadError, VideoReadError
from spectral_detect.media.coding import still_coding
from spectral_detect.media.header import Metadata
from spectral_detect.media.images import DecodedImage, with_transparency_notes
from spectral_detect.media.stills.transparency import hidden_pixels
from spectral_detect.media.video_files.clip import VideoFacts, WholeFrame
from spectral_detect.sources.formats import ANIMATED_FORMATS
from spectral_detect.sources.location import Location
from spectral_detect.sources.pillow import quiet_pillow
from spectral_detect.sources.reading import read_file

LEAST_STEP_S = 0.01  # browsers show no frame for less; a duration of 0 means as fast as can be


class Animation:
    """Hold an animated image.

    Attributes
    ----------
    n_frames : int
        Frames that can be decoded.
    times_s : (n_frames,) float64 array
        Times of presentation in seconds.
    facts : VideoFacts
        What the file says of itself.
    warnings : list of str
        What a reader of the verdict should know.

    Raises
    ------
    VideoReadError
        If the file cannot be read, its frames are larger than `max_pixels`, or none can be decoded.
    """

    def __init__(self, path: str, max_pixels: int) -> None:
        self.warnings: list[str] = []
        try:
            self._content = read_file(Location(path)).content
            with quiet_pillow(), self._opened() as picture:
                self._read_header(picture, max_pixels)
                steps = self._steps(picture)
        except ImageReadError as error:
            raise VideoReadError(str(error)) from None
        except Exception as error:  # hostile bytes may make a decoder raise anything
            raise VideoReadError(f"damaged animation ({_reason(error)})", remedy="get an intact copy") from None
        if not steps:
            raise VideoReadError("no frame of the animation can be decoded", remedy="get an intact copy")
        self.n_frames = len(steps)
        self._times = np.cumsum([0.0, *steps[:-1]])
        self.times_s: np.ndarray | None = self._times
        duration_s = float(sum(steps))
        rate, codec = self.n_frames / duration_s, self._format.lower()
        self.facts = VideoFacts(self._width, self._height, rate, duration_s, self._n_announced, codec)

    def close(self) -> None:
        """Do nothing: the file was closed when it had been read."""

    def decode(self, wanted: Iterable[int]) -> Iterator[WholeFrame]:
        """Yield the frames at these rising indices."""
        with quiet_pillow():
            picture = self._opened()
        with picture:
            for index in wanted:
                with quiet_pillow():
                    picture.seek(self._first + index)
                    pixels = _as_rgb(picture)
                    hidden = hidden_pixels(picture, pixels, self._coding.bits)
                metadata = Metadata(self._format, self._width, self._height, self._coding)
                image = DecodedImage(pixels, self._width, self._height, self._format, metadata=metadata, hidden=hidden)
                yield WholeFrame(index, float(self._times[index]), with_transparency_notes(image))

    def _opened(self) -> Any:
        return PIL.Image.open(BytesIO(self._content), formats=ANIMATED_FORMATS)

    def _read_header(self, picture: Any, max_pixels: int) -> None:
        width, height = picture.size
        if width * height > max_pixels:
            raise VideoReadError(
                f"frames of {width}x{height} pixels, over the limit of {max_pixels}", remedy="see `max_pixels`"
            )
        self._width, self._height, self._format = width, height, str(picture.format)
        self._coding = still_coding(picture, self._content, self._format)
        self._first = int(bool(getattr(picture, "default_image", False)))  # an APNG's still for other programs
        self._n_announced = picture.n_frames - self._first

    def _steps(self, picture: Any) -> list[float]:
        """Return for how many seconds each frame is shown; decoding tells, up to the first that is damaged."""
        steps: list[float] = []
        try:
            for index in range(self._n_announced):
                picture.seek(self._first + index)
                picture.load()
                steps.append(max(float(picture.info.get("duration", 0)) / 1000, LEAST_STEP_S))
        except Exception as error:
            self.warnings.append(
                f"truncated or damaged: {len(steps)} of {self._n_announced} announced frames could be decoded "
                f"({_reason(error)})"
            )
        return steps


def _as_rgb(picture: Any) -> np.ndarray:
    """Return (H, W, 3) uint8 RGB, or (H, W) uint16 gray; alpha is dropped as a still's is."""
    if picture.mode.startswith("I;16"):
        return np.asarray(picture).astype(np.uint16)
    return np.asarray(picture.convert("RGB"))


def _reason(error: Exception) -> str:
    if isinstance(error, PIL.UnidentifiedImageError):  # its message has an address in memory
        return "its header cannot be read"
    return " ".join(str(error).split()) or type(error).__name__
