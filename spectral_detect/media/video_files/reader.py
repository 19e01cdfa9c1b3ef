"""Decode the pictures of a video file one after the other, from its start or from a key frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from math import isfinite
from typing import TYPE_CHECKING, Any

from spectral_detect.media.video_files.ffmpeg import check_size, open_pictures, packets_of

if TYPE_CHECKING:
    from av.video.frame import VideoFrame


@dataclass(frozen=True)
class Decoded:
    """What decoding gave: a frame, or the news that one is lost.

    Attributes
    ----------
    time_s : float
        Time of presentation in seconds from the start of the stream; NaN if there is none.
    frame : VideoFrame or None
        None for a packet that cannot be decoded.
    """

    time_s: float
    frame: VideoFrame | None

    @property
    def is_sound(self) -> bool:
        """Tell whether the decoder had nothing to make up."""
        return self.frame is not None and not self.frame.is_corrupt

    @property
    def is_key(self) -> bool:
        """Tell whether the frame decodes without others."""
        return self.frame is not None and bool(self.frame.key_frame)


class FrameReader:
    """Hold a video file that is open for decoding.

    Attributes
    ----------
    container, stream
        PyAV's objects for the file and for its stream of pictures.
    sizes : Counter of (int, int)
        Frames decoded so far, by width and height.
    n_interlaced : int
        Frames decoded so far that hold two moments, each in every second row.
    """

    def __init__(self, path: str, max_pixels: int) -> None:
        self._path, self._max_pixels = path, max_pixels
        self.sizes: Counter[tuple[int, int]] = Counter()
        self.n_interlaced = 0
        self._open()

    def _open(self) -> None:
        container, stream = open_pictures(self._path, self._max_pixels)
        self.container: Any = container
        self.stream: Any = stream
        self._step = float(stream.time_base or 0)
        self._start = stream.start_time or 0
        self._decoded: Iterator[Decoded] = self._decode()

    @property
    def tags(self) -> tuple[tuple[str, str], ...]:
        """Names and texts of the metadata of the container and of its pictures, each once."""
        found = (*self.container.metadata.items(), *self.stream.metadata.items())
        return tuple(dict.fromkeys((str(name), str(text)) for name, text in found))

    def close(self) -> None:
        """Close the file; the frames it gave stay valid."""
        self.container.close()

    def restart(self) -> None:
        """Begin anew, also with the counts."""
        self.close()
        self.sizes.clear()
        self.n_interlaced = 0
        self._open()

    def __iter__(self) -> Iterator[Decoded]:
        return self._decoded

    def seek(self, time_s: float) -> bool:
        """Go back to the last key frame that is decoded no later than this time; return whether the file allows it."""
        import av

        if not isfinite(time_s) or not self._step:
            return False
        try:
            self.container.seek(round(time_s / self._step) + self._start, stream=self.stream)
        except av.FFmpegError:
            return False
        self._decoded = self._decode()
        return True

    def put_back(self, decoded: Decoded) -> None:
        """Give this once more, before all that follows."""
        self._decoded = chain([decoded], self._decoded)

    def _decode(self) -> Iterator[Decoded]:
        import av

        for packet in packets_of(self.container, self.stream):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                yield Decoded(self._time(packet), None)
                continue
            for frame in frames:
                check_size(frame, self._max_pixels)
                self.sizes[frame.width, frame.height] += 1
                self.n_interlaced += bool(frame.interlaced_frame)
                yield Decoded(self._time(frame), frame)

    def _time(self, item: Any) -> float:
        stamp = item.pts if item.pts is not None else item.dts
        return float("nan") if stamp is None else (stamp - self._start) * self._step
