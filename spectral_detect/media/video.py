"""Turn videos into the frames to judge: sampled, and cut to a face or to the centre. Nothing is ever resampled."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from spectral_detect.arguments import require_choice, require_whole
from spectral_detect.errors import OptionError, VideoReadError
from spectral_detect.media import face_detection as faces
from spectral_detect.media.face_detection import FaceBox
from spectral_detect.media.face_tracks import PATIENCE, Tracker
from spectral_detect.media.images import MAX_PIXELS, DecodedImage
from spectral_detect.media.region import cut
from spectral_detect.media.video_files.animation import Animation
from spectral_detect.media.video_files.clip import Clip, VideoFacts, WholeFrame
from spectral_detect.media.video_files.sources import Source, Stills
from spectral_detect.sources.discovery import FoundVideo
from spectral_detect.sources.formats import is_animation
from spectral_detect.sources.reading import state_of

__all__ = ["Frame", "FrameOptions", "Video", "VideoFacts", "open_video"]

Crop = Literal["none", "face", "centre"]
Faces = Literal["largest", "all"]

VIDEOS_ARE_LOCAL = "videos are read from local files only; download it first"
MAX_BRIDGED_S = 3.0  # without a detection; after that the face may be gone


@dataclass(frozen=True)
class FrameOptions:
    """Choose which frames of a video are judged, and which part of them.

    Attributes
    ----------
    n_frames : int or None
        Number of frames, equally spaced over the video, 20 as the authors take; None for all.
    every_s : float or None
        Judge a frame every so many seconds in place of `n_frames`.
    crop : {"none", "face", "centre"}
        "face" is the inner part of a detected face, "centre" the largest central square, "none" the whole frame.
    faces : {"largest", "all"}
        The largest face of a frame, or all of them as separate tracks.
    face_fraction : float
        Part of the width and height of a face's box; the central third as the authors take.

    Raises
    ------
    OptionError
        If a number is out of its range, or a choice is none.
    """

    n_frames: int | None = 20
    every_s: float | None = None
    crop: Crop = "none"
    faces: Faces = "largest"
    face_fraction: float = 1 / 3

    def __post_init__(self) -> None:
        require_whole("n_frames", self.n_frames, 1, "all frames")
        if self.every_s is not None and not self.every_s > 0:
            raise OptionError(f"every_s is {self.every_s}; it must be more than 0 seconds")
        if not 0 < self.face_fraction <= 1:
            raise OptionError(f"face_fraction is {self.face_fraction}; it must be more than 0 and at most 1")
        require_choice("crop", self.crop, get_args(Crop))
        require_choice("faces", self.faces, get_args(Faces))


@dataclass(frozen=True)
class Frame:
    """Hold the part of one frame that is judged.

    Attributes
    ----------
    index : int
        Number in the video, from 0, among the frames that can be read.
    time_s : float or None
        Time of presentation in seconds; None in a folder of frames and in a stream without time stamps.
    image : DecodedImage
        From a video file (H, W, 3) uint8 RGB as stored, with the format "VIDEO"; from a folder a still as `decode`
        gives it. Cut, with the width and height of the cut as displayed.
    box : (int, int, int, int) or None
        x, y, width, height of the cut in pixels of the frame as displayed; None if nothing was cut.
    track : int
        Number of the face, if all are followed.
    is_face : bool
        Whether the cut is a face that was found.
    """

    index: int
    time_s: float | None
    image: DecodedImage
    box: FaceBox | None
    track: int = 0
    is_face: bool = False


class Video:
    """Hold an open video; a context manager, made by `open_video`.

    Attributes
    ----------
    facts : VideoFacts
        What the video's header says.
    n_sampled : int
        Frames that were decoded to be judged, so far.
    n_without_face : int
        Those of them that gave nothing to judge because no face was found.
    warnings : list of str
        What a reader of the verdict should know; complete once `frames` has ended.
    """

    def __init__(self, source: Source, options: FrameOptions, is_unchanged: Callable[[], bool] = lambda: True) -> None:
        self.facts = source.facts
        self.n_sampled = 0
        self.n_without_face = 0
        self._source = source
        self._options = options
        self._is_unchanged = is_unchanged
        self._wanted = _sample(source, options)
        decoded = source.decode(
            self._wanted
        )  # FFmpeg prints nothing; what Pillow's libraries do is silenced here alone
        self._decoded = _one_ahead(decoded) if isinstance(source, Clip) else (whole for whole in decoded)

    def __enter__(self) -> Video:
        return self

    def __exit__(self, *exception: object) -> None:
        self._decoded.close()  # first: nothing may decode any more
        self._source.close()

    @property
    def warnings(self) -> list[str]:
        """Return what a reader of the verdict should know; complete once `frames` has ended."""
        return self._source.warnings

    def frames(self) -> Iterator[Frame]:
        """Yield the frames to judge, in order, once; a frame with several faces gives one for each.

        Raises
        ------
        VideoReadError
            If the video cannot be decoded, or was changed meanwhile: its hash may not be that of the frames then.
        """
        yield from self._parts()
        if not self._is_unchanged():
            raise VideoReadError("changed while it was read", remedy="judge it again when nobody writes to it")

    def _parts(self) -> Iterator[Frame]:
        if self._options.crop == "face":
            yield from self._faces()
            return
        for whole in self._decode():
            box = _central_square(whole.displayed) if self._options.crop == "centre" else None
            yield _cut(whole, box)

    def _decode(self) -> Iterator[WholeFrame]:
        for whole in self._decoded:
            self.n_sampled += 1
            yield whole

    def _faces(self) -> Iterator[Frame]:
        tracker: Tracker[WholeFrame] = Tracker(self._options.faces, _patience(self._wanted, self._source.times_s))
        for whole in self._decode():
            yield from self._cut_faces(tracker.push(whole, faces.detect_faces(_eight_bits(whole))))
        yield from self._cut_faces(tracker.flush())

    def _cut_faces(self, settled: Iterable[tuple[WholeFrame, dict[int, FaceBox]]]) -> Iterator[Frame]:
        for whole, boxes in settled:
            self.n_without_face += not boxes
            for track, box in sorted(boxes.items()):
                inner = faces.inner_box(box, self._options.face_fraction, whole.displayed.shape)
                yield _cut(whole, inner, track, is_face=True)


def open_video(found: FoundVideo, options: FrameOptions, *, max_pixels: int = MAX_PIXELS) -> Video:
    """Open a video file or a folder of frames, and choose which frames to judge.

    Parameters
    ----------
    found : FoundVideo
        The file or the folder with its frames.
    options : FrameOptions
        Which frames to judge.
    max_pixels : int
        A video of larger frames is refused.

    Raises
    ------
    VideoReadError
        If the file is missing, no video, sound only or without a frame, the frames are too large, or the folder cannot
        be used.
    """
    if found.problem:
        raise VideoReadError(found.problem)
    before = state_of(found)

    def is_unchanged() -> bool:
        return state_of(found) == before

    if found.frames:
        return Video(Stills(found.frames, max_pixels), options, is_unchanged)
    if found.location.is_remote:
        raise VideoReadError(VIDEOS_ARE_LOCAL)
    if os.path.isdir(found.path):
        raise VideoReadError("the folder holds no image of its own", remedy="for a tree of them see `group_by_parent`")
    if is_animation(found.path):
        return Video(Animation(found.path, max_pixels), options, is_unchanged)
    return Video(Clip(found.path, max_pixels), options, is_unchanged)


def _one_ahead(frames: Iterator[WholeFrame]) -> Generator[WholeFrame, None, None]:
    """Yield frames, decoding each in a thread while the one before is judged."""
    with ThreadPoolExecutor(1, "decoding") as thread:
        coming = thread.submit(next, frames, None)
        while (whole := coming.result()) is not None:
            coming = thread.submit(next, frames, None)
            yield whole


# ---------------------------------------------------------------------------------------------- sampling and cutting


def _sample(source: Source, options: FrameOptions) -> list[int]:
    """Return the indices of the frames to judge, rising."""
    n = source.n_frames
    if options.every_s is not None:
        return _every(options.every_s, source)
    if options.n_frames is None or options.n_frames >= n:
        return list(range(n))
    return [(2 * k + 1) * n // (2 * options.n_frames) for k in range(options.n_frames)]  # centres of equal parts


def _every(step_s: float, source: Source) -> list[int]:
    """Return the first frame at or after each multiple of the step from the first frame on."""
    times = source.times_s
    if times is None:
        if not source.facts.fps:
            raise VideoReadError(
                "there are no time stamps to count seconds by", remedy="give `n_frames`, or `n_frames=None`"
            )
        times = np.arange(source.n_frames) / source.facts.fps
    steps = np.floor((times - times[0]) / step_s + 1e-6)  # time stamps are rounded
    return [int(index) for index in np.flatnonzero(np.diff(steps, prepend=-1) > 0)]


def _patience(wanted: Sequence[int], times_s: np.ndarray | None) -> int:
    """Return how many sampled frames a face may go undetected: no longer than `MAX_BRIDGED_S`."""
    if times_s is None or len(wanted) < 2:
        return PATIENCE
    spacing_s = float(np.median(np.diff(times_s[np.asarray(wanted)])))
    return min(PATIENCE, int(MAX_BRIDGED_S / max(spacing_s, 1e-6)))


def _central_square(pixels: np.ndarray) -> FaceBox:
    height, width = pixels.shape[:2]
    side = min(width, height)
    return (width - side) // 2, (height - side) // 2, side, side


def _cut(whole: WholeFrame, box: FaceBox | None, track: int = 0, *, is_face: bool = False) -> Frame:
    image = whole.image if box is None else cut(whole.image, box)
    return Frame(whole.index, whole.time_s, image, box, track, is_face)


def _eight_bits(whole: WholeFrame) -> np.ndarray:
    """Return (H, W, 3) RGB or (H, W) gray uint8, for the detection of faces alone."""
    pixels = whole.displayed[..., 0] if whole.image.is_ycc else whole.displayed
    if pixels.dtype == np.uint16:
        pixels = pixels // 257
    return np.ascontiguousarray(np.clip(pixels, 0, 255).astype(np.uint8))
