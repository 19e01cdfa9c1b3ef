"""Animated images: their frames, times and codings, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from conftest import texture
from counting_video import read
from spectral_detect.errors import VideoReadError
from spectral_detect.media.video import FrameOptions, open_video
from spectral_detect.sources.discovery import FoundVideo
from spectral_detect.sources.location import Location

SIZE = 64


def animate(path: Path, frames: Sequence[np.ndarray], **options: Any) -> Path:
    first, *others = [Image.fromarray(frame) for frame in frames]
    first.save(path, save_all=True, append_images=others, **options)
    return path


@pytest.fixture
def textures(rng: np.random.Generator) -> list[np.ndarray]:
    return [np.repeat(texture(rng, SIZE)[..., :1], 3, axis=2) for _ in range(6)]  # gray: chroma is halved by some


@pytest.mark.parametrize(
    ("name", "options", "coding"),
    [
        ("a.webp", {"lossless": True}, "lossless"),
        ("a.webp", {"quality": 80}, "WebP, quality 80, 4:2:0"),
        ("a.png", {}, "lossless"),
        ("a.gif", {}, "palette"),
        ("a.avif", {"quality": 90}, "AVIF, quality 91, 4:2:0"),
    ],
)
def test_an_animation_is_a_video_of_its_frames(
    tmp_path: Path, textures: list[np.ndarray], name: str, options: dict[str, Any], coding: str
) -> None:
    path = animate(tmp_path / name, textures, duration=[100, 200, 100, 100, 300, 100], **options)
    frames, video = read(path)
    assert [f.index for f in frames] == list(range(6))
    assert [f.time_s for f in frames] == pytest.approx([0, 0.1, 0.3, 0.4, 0.5, 0.8])
    assert video.facts.duration_s == pytest.approx(0.9)
    assert (video.facts.n_frames, video.warnings) == (6, [])
    for frame, expected in zip(frames, textures, strict=True):
        assert frame.image.metadata is not None
        assert frame.image.metadata.coding.title.removesuffix(", with alpha") == coding
        difference = np.abs(frame.image.pixels.astype(int) - expected).mean()
        assert difference == 0 if coding == "lossless" else difference < 40  # others differ by 85


def test_frames_are_chosen_by_number_and_time(tmp_path: Path, textures: list[np.ndarray]) -> None:
    path = animate(tmp_path / "a.webp", textures, duration=100, lossless=True)
    frames, _ = read(path, FrameOptions(n_frames=2))
    assert [f.index for f in frames] == [1, 4]
    np.testing.assert_array_equal(frames[1].image.pixels, textures[4])
    assert [f.index for f in read(path, FrameOptions(every_s=0.2))[0]] == [0, 2, 4]


def test_frames_are_composed_as_displayed(tmp_path: Path, textures: list[np.ndarray]) -> None:
    """A file stores the part that changes alone; a video shows the whole."""
    changed = textures[0].copy()
    changed[8:16, 8:16] = 0
    frames, _ = read(animate(tmp_path / "a.png", [textures[0], changed], duration=50))
    np.testing.assert_array_equal(frames[0].image.pixels, textures[0])
    np.testing.assert_array_equal(frames[1].image.pixels, changed)


def test_the_still_for_other_programs_is_no_frame(tmp_path: Path, textures: list[np.ndarray]) -> None:
    path = animate(tmp_path / "a.png", textures[:4], duration=50, default_image=True)
    frames, video = read(path)
    assert video.facts.n_frames == 3
    np.testing.assert_array_equal(frames[0].image.pixels, textures[1])


def test_a_truncated_animation_gives_the_frames_that_are_there(tmp_path: Path, textures: list[np.ndarray]) -> None:
    path = animate(tmp_path / "a.png", textures, duration=50)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frames, video = read(path)
    assert 1 < len(frames) < 6
    assert f"truncated or damaged: {len(frames)} of 6 announced frames could be decoded" in video.warnings[0]
    np.testing.assert_array_equal(frames[1].image.pixels, textures[1])


def test_what_cannot_be_judged_is_refused(tmp_path: Path, textures: list[np.ndarray]) -> None:
    path = animate(tmp_path / "a.webp", textures, lossless=True)
    with pytest.raises(VideoReadError, match="frames of 64x64 pixels, over the limit of 4000; see `max_pixels`"):
        open_video(FoundVideo(Location(str(path))), FrameOptions(), max_pixels=4000)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(VideoReadError, match="damaged animation"):
        open_video(FoundVideo(Location(str(path))), FrameOptions())
    still = animate(tmp_path / "still.png", textures[:1])
    with pytest.raises(VideoReadError, match="a still image, no video"):
        open_video(FoundVideo(Location(str(still))), FrameOptions())


@pytest.mark.parametrize(("name", "options"), [("a.webp", {"lossless": True, "exact": True}), ("a.png", {"blend": 0})])
def test_transparent_frames_are_known_as_those_of_stills_are(
    tmp_path: Path, textures: list[np.ndarray], name: str, options: dict[str, Any]
) -> None:
    alpha = np.full((SIZE, SIZE, 1), 255, np.uint8)
    alpha[:, SIZE // 2 :] = 0
    frames, _ = read(animate(tmp_path / name, [np.dstack([each, alpha]) for each in textures], duration=100, **options))
    assert {frame.image.transparent_share for frame in frames} == {0.5}
    assert all("50 % of the pixels are transparent" in frame.image.warnings[0] for frame in frames)
