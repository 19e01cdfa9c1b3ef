"""Decode video files: list the frames they hold, and decode any of them, by seeking where that is cheaper."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from spectral_detect.errors import VideoReadError
from spectral_detect.media.coding import Coding, video_coding
from spectral_detect.media.ffmpeg import counts_its_frames, open_capture, reason_not_opened
from spectral_detect.sources.reading import check_regular

MAX_FAILURES = 1000  # in a row, 0.5 ms: after that the rest is lost, or the file has ended
END_TOLERANCE_S = 0.25  # Matroska and MPEG announce a duration, and OpenCV a number of frames at the nominal rate
SEEK_BACK = 16  # OpenCV seeks this many frames ahead of the one it is asked for, then decodes
SEEK_GAIN = 8  # frames that a seek must save, for it decodes one or two itself


@dataclass(frozen=True)
class VideoFacts:
    """Hold what a video's header says.

    Attributes
    ----------
    width, height : int
        In pixels, as displayed.
    fps : float or None
        Mean number of frames per second.
    duration_s : float or None
        Duration of the frames that are there, in seconds.
    n_frames : int or None
        Number of frames as announced, which a missing index or a truncated file can make wrong.
    codec : str or None
        Its four letters.
    """

    width: int
    height: int
    fps: float | None = None
    duration_s: float | None = None
    n_frames: int | None = None
    codec: str | None = None


@dataclass(frozen=True)
class Timeline:
    """Hold the frames of a file, in order of presentation.

    Attributes
    ----------
    n_frames : int
        Number of frames.
    times_s : (n_frames,) float64 array or None
        Strictly rising, in seconds from the start of the video; None for a stream without time stamps.
    keys : (n_keys,) int array
        Indices of the frames that decode without others, to which it is safe to seek.
    """

    n_frames: int
    times_s: np.ndarray | None
    keys: np.ndarray


class Clip:
    """Hold a video file that is open for decoding.

    Attributes
    ----------
    timeline : Timeline
        The frames it holds.
    facts : VideoFacts
        What its header says.
    warnings : list of str
        What a reader of the verdict should know.

    Raises
    ------
    VideoReadError
        If the file is not a video, holds no pictures, or its frames are larger than `max_pixels`.
    """

    def __init__(self, path: str, max_pixels: int) -> None:
        check_regular(path)
        self.warnings: list[str] = []
        self._path = path
        self._capture = open_capture(path)
        if not self._capture.isOpened():
            raise VideoReadError(reason_not_opened(path))
        width, height = round(self._get("FRAME_WIDTH")), round(self._get("FRAME_HEIGHT"))
        if width * height > max_pixels:
            self.close()
            raise VideoReadError(
                f"frames of {width}x{height} pixels, over the limit of {max_pixels}", remedy="see `max_pixels`"
            )
        self._position = -1
        self._can_seek = True
        self.timeline = self._read_timeline()
        if not self.timeline.n_frames:
            self.close()
            raise VideoReadError("no frame can be decoded: the video is empty or damaged", remedy="get an intact copy")
        self.facts = self._facts(width, height)
        self._warn_of_missing_frames()

    def close(self) -> None:
        """Close the file; the frames it gave stay valid."""
        self._capture.release()

    def decode(self, wanted: Iterable[int]) -> Iterator[tuple[int, float | None, np.ndarray]]:
        """Yield frames at rising indices: index, presentation time in seconds, (H, W, 3) uint8 RGB as displayed.

        Frames that are not wanted are skipped by seeking where that saves decoding. In place of a frame that cannot be
        decoded comes the next one that can; the number of frames lost in the end is told in `warnings`.
        """
        import cv2

        n_wanted = n_decoded = 0
        for index in wanted:
            n_wanted += 1
            if n_wanted > 1 and index <= self._position:
                continue  # the frame in its place has been given
            if self._advance_to(index):
                is_sound, bgr = self._capture.retrieve()
                if is_sound:
                    n_decoded += 1
                    yield self._position, self._time(), cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        if n_decoded < n_wanted:
            self.warnings.append(f"damaged: {n_wanted - n_decoded} of {n_wanted} wanted frames could not be decoded")

    def _get(self, name: str) -> float:
        import cv2

        return float(self._capture.get(getattr(cv2, f"CAP_PROP_{name}")))

    # ----------------------------------------------------------------------------------------------- timeline and facts

    def _read_timeline(self) -> Timeline:
        """Read the timeline from the packets, little more work than reading the file, or else by decoding all of it."""
        packets = _packets(self._path)
        self._n_packets = len(packets)
        shown = packets[packets[:, 0] >= 0]  # an edit list hides frames before the start
        times, is_key = shown[np.argsort(shown[:, 0])].T
        if len(times) and self._grab_any() and times[0] == self._clock() and (np.diff(times) > 0).all():
            self._position = 0
            return Timeline(len(times), times, np.flatnonzero(is_key))
        self._restart()
        times = np.array(list(_clock_of_each_frame(self._capture)))
        self._restart()
        rises = len(times) > 1 and bool((np.diff(times) > 0).all())
        return Timeline(len(times), times if rises else None, np.empty(0, int))

    def _facts(self, width: int, height: int) -> VideoFacts:
        times, fps = self.timeline.times_s, self._get("FPS")
        announced = self._get("FRAME_COUNT")
        rate = fps if 0 < fps < 1e5 else None
        if times is not None and len(times) > 1:
            rate = float((len(times) - 1) / (times[-1] - times[0]))
        return VideoFacts(
            width,
            height,
            fps=rate,
            duration_s=self.timeline.n_frames / rate if rate else None,
            n_frames=round(announced) if 0 < announced < 1e9 else None,
            codec=_four_letters(round(self._get("FOURCC"))),
        )

    @property
    def coding(self) -> Coding:
        """How the frames were compressed."""
        return video_coding(self.facts.codec, _four_letters(round(self._get("CODEC_PIXEL_FORMAT"))))

    def _warn_of_missing_frames(self) -> None:
        n_found, announced, fps = max(self.timeline.n_frames, self._n_packets), self.facts.n_frames, self._get("FPS")
        if announced is None or n_found >= announced or not fps > 0:
            return
        end_s = n_found / fps if self.timeline.times_s is None else float(self.timeline.times_s[-1])
        if counts_its_frames(self._path) or end_s < announced / fps - END_TOLERANCE_S:
            self.warnings.append(f"truncated or damaged: {n_found} of {announced} announced frames could be read")

    # ----------------------------------------------------------------------------------------------------- positioning

    def _time(self) -> float | None:
        times = self.timeline.times_s
        return None if times is None else float(times[self._position])

    def _clock(self) -> float:
        return self._get("POS_MSEC") / 1000

    def _restart(self) -> None:
        self._capture.release()
        self._capture = open_capture(self._path)
        self._position = -1

    def _advance_to(self, index: int) -> bool:
        """Decode on to this frame, or to the first after it that is sound; return False at the end."""
        key = self._key_before(index)
        if self._can_seek and key - self._position >= SEEK_GAIN and not self._seek(key, index):
            self._can_seek = False
            self._restart()
        while self._position < index:
            if not self._grab_any():
                return False
            self._note_position()
        return True

    def _key_before(self, index: int) -> int:
        """Return the last key frame from which a seek cannot overshoot; -1 if there is none."""
        keys = self.timeline.keys
        k = int(np.searchsorted(keys, index - SEEK_BACK - 1, side="right")) - 1
        return int(keys[k]) if k >= 0 else -1

    def _seek(self, key: int, index: int) -> bool:
        """Go back to a key frame and a little on from there; return whether that led to no later frame than `index`.

        OpenCV numbers frames by their time at the nominal rate, and from the key frame on by counting: asked for the
        number of a key frame plus `SEEK_BACK` + 1, it starts from that key frame even where the rate varies.
        """
        import cv2

        if self.timeline.times_s is None:
            return False
        number = round(float(self.timeline.times_s[key]) * self._get("FPS"))
        self._capture.set(cv2.CAP_PROP_POS_FRAMES, number + SEEK_BACK + 1)
        if not self._grab_any():
            return False
        self._position = -1
        self._note_position()
        return key <= self._position <= index

    def _grab_any(self) -> bool:
        """Grab the next frame that can be decoded; return whether there was one."""
        return any(self._capture.grab() for _ in range(MAX_FAILURES))

    def _note_position(self) -> None:
        """Find the position by the time of the frame; in a damaged stream, a time that comes too late is ignored."""
        times = self.timeline.times_s
        if times is None:
            self._position += 1
        else:
            self._position = max(self._position, int(np.searchsorted(times, self._clock(), side="right")) - 1)


def _clock_of_each_frame(capture: Any) -> Iterator[float]:
    """Yield the time in seconds of every frame that can be grabbed, past damaged ones."""
    import cv2

    while any(capture.grab() for _ in range(MAX_FAILURES)):
        yield capture.get(cv2.CAP_PROP_POS_MSEC) / 1000


def _packets(path: str) -> np.ndarray:
    """Return (n_packets, 2), presentation time in seconds and whether it is a key frame, without decoding."""
    import cv2

    capture = open_capture(path, packets_only=True)
    packets = [(time_s, capture.get(cv2.CAP_PROP_LRF_HAS_KEY_FRAME)) for time_s in _clock_of_each_frame(capture)]
    capture.release()
    return np.array(packets, dtype=float).reshape(-1, 2)


def _four_letters(code: int) -> str | None:
    letters = code.to_bytes(4, sys.byteorder, signed=code < 0).decode("latin-1").strip("\0 ")
    return letters if letters.isprintable() and letters else None
