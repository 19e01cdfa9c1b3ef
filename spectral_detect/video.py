from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Literal

from spectral_detect.finding import FoundVideo
from spectral_detect.images import DecodedImage


@dataclass(frozen=True)
class FrameOptions:
    n_frames: int | None = 20
    every_s: float | None = None
    crop: Literal["none", "face", "centre"] = "none"
    faces: Literal["largest", "all"] = "largest"
    face_fraction: float = 1 / 3


@dataclass(frozen=True)
class Frame:
    index: int
    time_s: float | None
    image: DecodedImage
    box: tuple[int, int, int, int] | None
    track: int = 0


@dataclass(frozen=True)
class VideoFacts:
    width: int
    height: int
    fps: float | None
    duration_s: float | None
    n_frames: int | None
    codec: str | None


class Video:
    facts: VideoFacts
    n_sampled: int
    n_without_face: int
    warnings: list[str]

    def frames(self) -> Iterator[Frame]: ...
    def __enter__(self) -> Video: ...
    def __exit__(self, a: type[BaseException] | None, b: BaseException | None, c: TracebackType | None) -> None: ...


def open_video(found: FoundVideo, options: FrameOptions, *, max_pixels: int = 1) -> Video: ...
def video_sha256(found: FoundVideo) -> tuple[str, int, int]: ...
