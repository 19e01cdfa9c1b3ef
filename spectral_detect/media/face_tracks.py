"""Follow faces from frame to frame, so that one missed detection does not drop a frame."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

import numpy as np

from spectral_detect.media.face_detection import FaceBox, area, overlap, to_box

Item = TypeVar("Item")
Followed = tuple[Item, dict[int, FaceBox]]  # a frame, and the box of each track in it

PATIENCE = 3  # sampled frames that a face may go undetected
MIN_OVERLAP = 0.1  # sampled frames may be seconds apart
STEADY_OVERLAP = 0.5  # a detection so near the last box is jitter; a face that moved is followed at once
SMOOTHING = 0.5  # weight of the new box in jitter


@dataclass
class _Track:
    box: np.ndarray  # (4,) float, smoothed
    last_seen: int


@dataclass
class Tracker(Generic[Item]):
    """Turn the faces detected in each frame into tracks, so that one missed detection does not drop the frame.

    Frames are held back, at most `patience` of them: a face that is found again within that many is put into the frames
    between, by interpolation. The frames at the very start and end get the first and the last box. A face that stays
    away longer is forgotten, and is a new track when it comes back.

    Attributes
    ----------
    faces : {"largest", "all"}
        "largest" follows one face, always as track 0, and prefers the one it followed to one up to twice as large;
        "all" follows each face as a track of its own.
    patience : int
        Number of sampled frames that a face may go undetected.
    """

    faces: Literal["largest", "all"] = "largest"
    patience: int = PATIENCE
    _held: deque[Followed[Item]] = field(default_factory=deque, init=False)
    _tracks: dict[int, _Track] = field(default_factory=dict, init=False)
    _n_pushed: int = field(default=0, init=False)
    _n_tracks: int = field(default=0, init=False)

    def push(self, item: Item, detected: list[FaceBox]) -> list[Followed[Item]]:
        """Take the next frame and its faces; return the frames that are settled, each with a box by track."""
        now = self._n_pushed
        self._n_pushed += 1
        self._tracks = {t: track for t, track in self._tracks.items() if now - track.last_seen <= self.patience + 1}
        if self.faces == "largest" and detected:
            detected = [max(detected, key=self._prominence)]
        self._held.append((item, {}))
        for number, box in self._match(detected).items():
            self._see(number, np.asarray(box, dtype=float), now)
        return [self._held.popleft()] if len(self._held) > self.patience else []

    def flush(self) -> list[Followed[Item]]:
        """Return the frames that were still held back, at the end of the video."""
        for number, track in self._tracks.items():
            if self._n_pushed - 1 - track.last_seen <= self.patience:
                self._fill(number, track.last_seen + 1, self._n_pushed, track.box, track.box)
        settled = list(self._held)
        self._held.clear()
        return settled

    def _prominence(self, box: FaceBox) -> float:
        is_followed = any(overlap(track.box, box) > MIN_OVERLAP for track in self._tracks.values())
        return area(box) * (2 if is_followed else 1)

    def _match(self, detected: list[FaceBox]) -> dict[int, FaceBox]:
        """Return the track of each face: the one it overlaps most with, or a new one if it overlaps with none."""
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
        if self.faces == "largest":
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
        """Put boxes on the line from `before`, one frame ahead of `start`, to `box`, in the last frame."""
        oldest = self._n_pushed - len(self._held)
        for frame in range(max(start, oldest), stop):
            weight = (frame - start + 1) / (stop - start)
            self._held[frame - oldest][1][number] = to_box((1 - weight) * before + weight * box)
