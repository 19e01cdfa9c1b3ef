"""Give the whole frames of a video, whether it is a video file, an animated image, or a folder of stills."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np

from spectral_detect.errors import ImageReadError, VideoReadError
from spectral_detect.media.images import DecodedImage, decode
from spectral_detect.media.video_files.clip import VideoFacts, WholeFrame
from spectral_detect.sources.location import Location
from spectral_detect.sources.reading import read_file


class Source(Protocol):
    """Give the frames of a video, whatever it is."""

    facts: VideoFacts
    warnings: list[str]
    n_frames: int
    times_s: np.ndarray | None

    def decode(self, wanted: Iterable[int]) -> Iterator[WholeFrame]:
        """Yield the frames at these rising indices."""

    def close(self) -> None:
        """Close what is open."""


class Stills(Source):
    """Give the frames of a folder; skip one that cannot be read, with a warning."""

    def __init__(self, paths: tuple[str, ...], max_pixels: int) -> None:
        self._paths = paths
        self._max_pixels = max_pixels
        self.warnings: list[str] = []
        self.n_frames = len(paths)
        self.times_s = None
        self.facts = self._facts()

    def close(self) -> None:
        """Do nothing: each file was closed when it had been read."""

    def decode(self, wanted: Iterable[int]) -> Iterator[WholeFrame]:
        """Yield the frames at these rising indices."""
        for index in wanted:
            try:
                yield WholeFrame(index, None, self._read(index))
            except ImageReadError as error:
                self.warnings.append(f"frame {os.path.basename(self._paths[index])} skipped: {error}")

    def _read(self, index: int) -> DecodedImage:
        return decode(read_file(Location(self._paths[index])).content, max_pixels=self._max_pixels, colour=True)

    def _facts(self) -> VideoFacts:
        """Return the facts of the folder, with the size of the first frame that can be read."""
        reason = ""
        for index in range(self.n_frames):
            try:
                image = self._read(index)
            except ImageReadError as error:
                reason = reason or str(error)
            else:
                return VideoFacts(image.width, image.height, n_frames=self.n_frames)
        raise VideoReadError(f"none of the {self.n_frames} frames can be read ({reason})", remedy="get intact copies")
