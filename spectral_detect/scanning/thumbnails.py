"""Reduced copies of the frames with the highest and the lowest scores."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from spectral_detect.media.edits import as_rgb
from spectral_detect.media.video import Frame
from spectral_detect.orientation import upright

THUMBNAIL_PX = 120
N_THUMBNAILS = 3  # of the highest and of the lowest scores


@dataclass(frozen=True)
class Thumbnail:
    """A reduced frame for a picture, as displayed; `pixels` is (H, W) or (H, W, 3) RGB, uint8."""

    frame: int
    time_s: float | None
    score: float
    pixels: np.ndarray


@dataclass
class Extremes:
    """The frames with the highest and the lowest scores so far, if they are wanted."""

    is_wanted: bool
    highest: list[Thumbnail] = field(default_factory=list)
    lowest: list[Thumbnail] = field(default_factory=list)

    def offer(self, frame: Frame, score: float) -> None:
        """Keep a frame if its score is among the highest or the lowest."""
        if not self.is_wanted:
            return
        for kept, sign in ((self.highest, 1), (self.lowest, -1)):
            if len(kept) < N_THUMBNAILS or sign * score > sign * kept[-1].score:
                kept.append(_thumbnail(frame, score))
                kept.sort(key=lambda t: -sign * t.score)
                del kept[N_THUMBNAILS:]

    def chosen(self) -> tuple[tuple[Thumbnail, ...], tuple[Thumbnail, ...]]:
        """Return the frames with the highest scores, and those of the others with the lowest."""
        shown = {(thumbnail.frame, thumbnail.score) for thumbnail in self.highest}  # a frame may hold several faces
        return tuple(self.highest), tuple(t for t in self.lowest if (t.frame, t.score) not in shown)


def _thumbnail(frame: Frame, score: float) -> Thumbnail:
    import cv2

    pixels = np.ascontiguousarray(upright(as_rgb(frame.image.pixels, frame.image.is_ycc), frame.image.orientation))
    scale = THUMBNAIL_PX / max(pixels.shape[:2])
    size = tuple(max(1, round(scale * side)) for side in pixels.shape[1::-1])
    reduced = cv2.resize(pixels, (size[0], size[1]), interpolation=cv2.INTER_AREA)
    return Thumbnail(frame.index, frame.time_s, score, np.asarray(reduced))
