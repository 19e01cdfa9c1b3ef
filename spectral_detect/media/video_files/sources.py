"""Give the whole frames of a video, whether it is a video file, an animated image, or a folder of stills."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Protocol

import numpy as np

from spectral_detect.errors import ImageReadError, VideoReadError
from spectral_detect.media.header import VIDEO_FORMAT, Metadata
from spectral_detect.media.images import DecodedImage, decode
from spectral_detect.media.video_files.clip import Clip, VideoFacts, WholeFrame
from spectral_detect.sources.location import Location
from spectral_detect.sources.reading import read_file

ORIENTATIONS = (1, 8, 3, 6)  # of EXIF, for none to three quarter turns counter-clockwise


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


class ClipSource(Source):
    """Give the frames of a video file."""

    def __init__(self, path: str, max_pixels: int) -> None:
        self._clip = Clip(path, max_pixels)
        self.facts = self._clip.facts
        self.warnings = self._clip.warnings
        self.n_frames = self._clip.timeline.n_frames
        self.times_s = self._clip.timeline.times_s

    def close(self) -> None:
        """Close the file; the frames it gave stay valid."""
        self._clip.close()

    def decode(self, wanted: Iterable[int]) -> Iterator[WholeFrame]:
        """Yield the frames at these rising indices."""
        for frame in self._clip.decode(wanted):
            height, width = frame.pixels.shape[:2] if frame.turns % 2 == 0 else frame.pixels.shape[1::-1]
            metadata = Metadata(VIDEO_FORMAT, width, height, self._clip.coding)
            turned = ORIENTATIONS[frame.turns]
            image = DecodedImage(frame.pixels, width, height, VIDEO_FORMAT, metadata=metadata, orientation=turned)
            yield WholeFrame(frame.index, frame.time_s, image)


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
