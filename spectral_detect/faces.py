"""Find faces in frames, and follow them: the only home of the cascade."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Generic, Literal, TypeVar

import numpy as np

FaceBox = tuple[int, int, int, int]
"""x, y, width, height in pixels of the full frame."""

Item = TypeVar("Item")
Followed = tuple[Item, dict[int, FaceBox]]

DETECTION_SIDE = 560  # pixels: 23 to 57 ms for a frame of 1280x720, by its content; 640 took up to 73
SCALE_STEP, MIN_NEIGHBOURS, MIN_FACE = 1.2, 4, 24  # a smaller step costs twice as much
PATIENCE = 3  # sampled frames that a face may go undetected
MIN_OVERLAP = 0.1  # sampled frames may be seconds apart
STEADY_OVERLAP, SMOOTHING = 0.5, 0.5  # a detection this near the last box is jitter; what moved is followed at once


def detect_faces(rgb: np.ndarray) -> list[FaceBox]:
    """Frontal faces in a frame, the largest first.

    Parameters
    ----------
    rgb : (H, W, 3) RGB or (H, W) gray, uint8.

    Notes
    -----
    Viola and Jones' cascade, as OpenCV ships it (`haarcascade_frontalface_alt2`), on a copy whose longer side is at
    most `DETECTION_SIDE`. To use another detector, replace this function: nothing else knows which one it is, and a
    box may reach beyond the frame. Its boxes may be closer or wider; `face_fraction` goes with them.
    """
    import cv2

    reduction = max(1.0, max(rgb.shape[:2]) / DETECTION_SIDE)
    size = (max(1, round(rgb.shape[1] / reduction)), max(1, round(rgb.shape[0] / reduction)))
    reduced: Any = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA) if reduction > 1 else rgb
    gray = reduced if reduced.ndim == 2 else cv2.cvtColor(reduced, cv2.COLOR_RGB2GRAY)
    found = _cascade().detectMultiScale(gray, SCALE_STEP, MIN_NEIGHBOURS, minSize=(MIN_FACE, MIN_FACE))
    boxes = [_box(np.asarray(box) * reduction) for box in found]
    return sorted(boxes, key=lambda box: (-_area(box), box))


@lru_cache(maxsize=1)
def _cascade() -> Any:
    import cv2

    folder = os.path.join(os.path.dirname(cv2.__file__), "data")
    return cv2.CascadeClassifier(os.path.join(folder, "haarcascade_frontalface_alt2.xml"))


def inner_box(box: FaceBox, fraction: float, frame_shape: tuple[int, ...]) -> FaceBox:
    """The central part of a box, within the frame.

    Parameters
    ----------
    fraction : of the width and of the height, in (0, 1]; a third leaves out hair and background, as the authors do.
    frame_shape : (H, W, ...) in pixels.
    """
    x, y, width, height = box
    left, inner_width = _middle(x, width, fraction, frame_shape[1])
    top, inner_height = _middle(y, height, fraction, frame_shape[0])
    return left, top, inner_width, inner_height


def _middle(start: int, length: int, fraction: float, limit: int) -> tuple[int, int]:
    """Start and length, at least 1 pixel, of the central part of an interval, within 0 to `limit`."""
    inner = max(1, round(length * fraction))
    first = start + (length - inner) // 2
    low = min(max(first, 0), limit - 1)
    return low, max(1, min(first + inner, limit) - low)


@dataclass
class _Track:
    box: np.ndarray  # (4,) float, smoothed
    last_seen: int


@dataclass
class Tracker(Generic[Item]):
    """Turn the faces detected in each frame into tracks, so that one missed detection does not drop the frame.

    Frames are held back, at most `patience` of them: a face that is found again within that many is put into the
    frames between, by interpolation. Those at the very start and end get the first and the last box. A face that
    stays away longer is forgotten, and is a new track when it comes back.

    Attributes
    ----------
    most : "largest" follows one face, always as track 0, and prefers the one it followed to one up to twice as large;
        "all" follows each face as a track of its own.
    patience : sampled frames that a face may go undetected.
    """

    most: Literal["largest", "all"] = "largest"
    patience: int = PATIENCE
    _held: deque[Followed[Item]] = field(default_factory=deque, init=False)
    _tracks: dict[int, _Track] = field(default_factory=dict, init=False)
    _n_pushed: int = field(default=0, init=False)
    _n_tracks: int = field(default=0, init=False)

    def push(self, item: Item, detected: list[FaceBox]) -> list[Followed[Item]]:
        """Take the next frame and its faces; give back the frames that are settled, each with a box by track."""
        now = self._n_pushed
        self._n_pushed += 1
        self._tracks = {t: track for t, track in self._tracks.items() if now - track.last_seen <= self.patience + 1}
        if self.most == "largest" and detected:
            detected = [max(detected, key=self._prominence)]
        self._held.append((item, {}))
        for number, box in self._match(detected).items():
            self._see(number, np.asarray(box, dtype=float), now)
        return [self._held.popleft()] if len(self._held) > self.patience else []

    def flush(self) -> list[Followed[Item]]:
        """The frames that were still held back, at the end of the video."""
        for number, track in self._tracks.items():
            if self._n_pushed - 1 - track.last_seen <= self.patience:
                self._fill(number, track.last_seen + 1, self._n_pushed, track.box, track.box)
        settled = list(self._held)
        self._held.clear()
        return settled

    def _prominence(self, box: FaceBox) -> float:
        is_followed = any(overlap(track.box, box) > MIN_OVERLAP for track in self._tracks.values())
        return _area(box) * (2 if is_followed else 1)

    def _match(self, detected: list[FaceBox]) -> dict[int, FaceBox]:
        """The track of each face: the pairs with most overlap first, a new track for what overlaps with none."""
        pairs = [(overlap(track.box, box), t, k) for t, track in self._tracks.items() for k, box in enumerate(detected)]
        matched: dict[int, int] = {}
        for common, number, k in sorted(pairs, key=lambda pair: -pair[0]):
            if common > MIN_OVERLAP and number not in matched and k not in matched.values():
                matched[number] = k
        for k in range(len(detected)):
            if k not in matched.values():
                matched[self._new_number()] = k
        return {number: detected[k] for number, k in matched.items()}

    def _new_number(self) -> int:
        if self.most == "largest":
            self._tracks.clear()  # another face takes the place of the one that was followed
            return 0
        self._n_tracks += 1
        return self._n_tracks - 1

    def _see(self, number: int, box: np.ndarray, now: int) -> None:
        """Note a face in this frame, and in those before it where it must have been."""
        track = self._tracks.get(number)
        if track is None:
            had_none = now <= self.patience and not any(boxes for _, boxes in list(self._held)[:-1])
            since, before = -1 if had_none else now - 1, box
        else:
            since, before = track.last_seen, track.box
            if overlap(before, box) >= STEADY_OVERLAP:
                box = SMOOTHING * box + (1 - SMOOTHING) * before
        self._fill(number, since + 1, now + 1, before, box)
        self._tracks[number] = _Track(box, now)

    def _fill(self, number: int, start: int, stop: int, before: np.ndarray, box: np.ndarray) -> None:
        """Boxes on the line from `before`, one frame ahead of `start`, to `box`, in the last frame."""
        oldest = self._n_pushed - len(self._held)
        for frame in range(max(start, oldest), stop):
            weight = (frame - start + 1) / (stop - start)
            self._held[frame - oldest][1][number] = _box((1 - weight) * before + weight * box)


def overlap(a: Any, b: Any) -> float:
    """Intersection over union of two boxes."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return float(width * height / (_area(a) + _area(b) - width * height))


def _area(box: Any) -> float:
    return float(box[2] * box[3])


def _box(numbers: np.ndarray) -> FaceBox:
    x, y, width, height = (round(float(number)) for number in numbers)
    return x, y, width, height
