"""Write clips whose frames tell their numbers, and read them back."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from conftest import EXAMPLES
from spectral_detect.media.video import Frame, FrameOptions, Video, open_video
from spectral_detect.sources.discovery import FoundVideo
from spectral_detect.sources.location import Location

av = pytest.importorskip("av", reason="PyAV writes the clips of these tests")

ALL = FrameOptions(n_frames=None)
LEVELS = 240  # the gray level of a frame's counter tells it from its neighbours
MILLISECOND = Fraction(1, 1000)


def write_video(
    path: Path,
    frames: Sequence[np.ndarray],
    *,
    codec: str = "libx264",
    gop: int = 250,
    times_ms: Sequence[int] | None = None,
    **container: str,
) -> Path:
    """A clip at 30 frames per second, or with these presentation times."""
    height, width = frames[0].shape[:2]
    with av.open(str(path), "w", options=container) as file:
        stream: Any = file.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = width, height, "yuv420p", gop
        if times_ms is not None:
            stream.codec_context.time_base = stream.time_base = MILLISECOND
        for k, rgb in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            if times_ms is not None:
                frame.pts, frame.time_base = times_ms[k], MILLISECOND
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def counting(n: int, width: int = 192, height: int = 128) -> list[np.ndarray]:
    """A photograph that moves, with the number of the frame as the gray level of its upper left quarter."""
    with Image.open(next(iter(sorted((EXAMPLES / "real").glob("*.png"))))) as photograph:
        texture = np.asarray(photograph.convert("RGB").resize((width, height)))
    frames = [np.roll(texture, 3 * k, axis=1) for k in range(n)]
    for k, frame in enumerate(frames):
        frame[: height // 2, : width // 2] = 8 + k % LEVELS
    return frames


def counter(frame: Frame) -> float:
    return float(np.median(frame.image.pixels[8:40, 8:80])) - 8


def read(path: Path | FoundVideo, options: FrameOptions = ALL) -> tuple[list[Frame], Video]:
    found = path if isinstance(path, FoundVideo) else FoundVideo(Location(str(path)))
    with open_video(found, options) as video:
        return list(video.frames()), video


def check_identity(frames: list[Frame]) -> None:
    """Each frame is the one that its index says."""
    np.testing.assert_allclose([counter(f) for f in frames], [f.index % LEVELS for f in frames], atol=2)


def counting_clip(path: Path) -> Path:
    """100 frames of H.264, a key frame every 12, the index at the front."""
    return write_video(path, counting(100), gop=12, movflags="faststart")
