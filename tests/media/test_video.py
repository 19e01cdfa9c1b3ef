"""Frames of videos: which ones, when, and which part of them."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from counting_video import ALL, check_identity, counting, counting_clip, read, write_video
from drawn_faces import frame_with_faces
from spectral_detect.errors import VideoReadError
from spectral_detect.media import face_detection as faces
from spectral_detect.media.images import DecodedImage
from spectral_detect.media.video import FrameOptions, Video, open_video
from spectral_detect.media.video_files.clip import Clip, VideoFacts, WholeFrame
from spectral_detect.orientation import upright
from spectral_detect.sources.discovery import FoundVideo, video_at
from spectral_detect.sources.location import Location
from spectral_detect.sources.reading import video_sha256


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return counting_clip(tmp_path_factory.mktemp("clip") / "clip.mp4")


# ---------------------------------------------------------------------------------------------------------- sampling


def test_twenty_frames_are_the_centres_of_equal_parts(clip: Path) -> None:
    frames, video = read(clip, FrameOptions())
    assert [f.index for f in frames] == [5 * k + 2 for k in range(20)]
    assert [f.time_s for f in frames] == pytest.approx([f.index / 30 for f in frames])
    check_identity(frames)
    assert (video.n_sampled, video.n_without_face, video.warnings) == (20, 0, [])
    facts = video.facts
    assert (facts.width, facts.height, facts.n_frames, facts.codec) == (192, 128, 100, "h264")
    assert (facts.fps, facts.duration_s) == (pytest.approx(30), pytest.approx(100 / 30))


@pytest.mark.parametrize(
    ("n_frames", "expected"), [(1, [50]), (3, [16, 50, 83]), (None, range(100)), (200, range(100))]
)
def test_any_number_of_frames(clip: Path, n_frames: int | None, expected: Sequence[int]) -> None:
    frames, _ = read(clip, FrameOptions(n_frames=n_frames))
    assert [f.index for f in frames] == list(expected)
    check_identity(frames)


def test_a_frame_every_so_many_seconds(clip: Path) -> None:
    assert [f.index for f in read(clip, FrameOptions(every_s=0.5))[0]] == [0, 15, 30, 45, 60, 75, 90]
    assert [f.index for f in read(clip, FrameOptions(every_s=0.01))[0]] == list(range(100))
    assert [f.index for f in read(clip, FrameOptions(every_s=99))[0]] == [0]


def test_reading_may_stop_early(clip: Path) -> None:
    with open_video(FoundVideo(Location(str(clip))), ALL) as video:
        assert next(video.frames()).index == 0
        assert video.n_sampled == 1


@pytest.mark.parametrize("options", [{"n_frames": 0}, {"every_s": 0.0}, {"face_fraction": 0.0}, {"face_fraction": 1.1}])
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="it must be"):
        FrameOptions(**options)


# -------------------------------------------------------------------------------------------------- folders of frames


@pytest.fixture
def folder(tmp_path: Path) -> FoundVideo:
    paths = []
    for k, rgb in enumerate(counting(9)):
        paths.append(str(tmp_path / f"frame{k}.{'jpg' if k % 2 else 'png'}"))
        Image.fromarray(rgb).save(paths[-1])
    return FoundVideo(Location(str(tmp_path)), tuple(paths))


def test_a_folder_of_frames_is_a_video(folder: FoundVideo) -> None:
    frames, video = read(folder, FrameOptions(n_frames=3))
    assert [(f.index, f.time_s, f.image.format) for f in frames] == [
        (1, None, "JPEG"),
        (4, None, "PNG"),
        (7, None, "JPEG"),
    ]
    assert [f.image.is_ycc for f in frames] == [True, False, True]
    facts = video.facts
    assert (facts.width, facts.height, facts.fps, facts.duration_s, facts.n_frames) == (192, 128, None, None, 9)


def test_a_bad_frame_is_skipped_with_a_warning(folder: FoundVideo) -> None:
    Path(folder.frames[0]).write_bytes(b"no image")
    frames, video = read(folder)
    assert [f.index for f in frames] == list(range(1, 9))
    (warning,) = video.warnings
    assert warning.startswith("frame frame0.png skipped: not an image in a known format")
    assert video.n_sampled == 8


def test_a_folder_without_a_sound_frame_is_refused(folder: FoundVideo) -> None:
    for path in folder.frames:
        Path(path).write_bytes(b"no image")
    with pytest.raises(VideoReadError, match=r"none of the 9 frames can be read \(not an image"):
        open_video(folder, ALL)


def test_a_folder_has_no_seconds(folder: FoundVideo) -> None:
    with pytest.raises(VideoReadError, match="no time stamps"):
        open_video(folder, FrameOptions(every_s=1))


# ----------------------------------------------------------------------------------------------------------- cutting


def test_the_centre_is_the_largest_central_square(clip: Path) -> None:
    whole = read(clip, FrameOptions(n_frames=1))[0][0]
    centre = read(clip, FrameOptions(n_frames=1, crop="centre"))[0][0]
    assert whole.box is None
    assert centre.box == (32, 0, 128, 128)
    assert (centre.image.width, centre.image.height) == (128, 128)
    np.testing.assert_array_equal(centre.image.pixels, whole.image.pixels[:, 32:160])


def test_the_inner_face_is_cut_from_the_original_pixels(tmp_path: Path) -> None:
    blank = np.full((720, 1280, 3), 120, np.uint8)
    faces_at = [frame_with_faces((500 + 2 * k, 200, 240)) for k in range(8)]
    path = write_video(tmp_path / "clip.mp4", [*faces_at[:3], blank, *faces_at[4:], *[blank] * 8], gop=1)
    whole = read(path)[0]
    cut, video = read(path, FrameOptions(n_frames=None, crop="face"))
    assert [f.index for f in cut] == list(range(8))  # the fourth by interpolation
    assert (video.n_sampled, video.n_without_face) == (16, 8)
    for k, frame in enumerate(cut):
        assert frame.box is not None
        x, y, width, height = frame.box
        assert abs(x + width / 2 - (620 + 2 * k)) < 12
        assert abs(y + height / 2 - 320) < 12
        assert abs(width - 80) <= 4
        np.testing.assert_array_equal(frame.image.pixels, whole[k].image.pixels[y : y + height, x : x + width])
        assert (frame.image.width, frame.image.height, frame.track) == (width, height, 0)


def test_all_faces_are_tracks_of_their_own(folder: FoundVideo, monkeypatch: pytest.MonkeyPatch) -> None:
    boxes = [(0, 0, 60, 60), (90, 30, 90, 90)]
    monkeypatch.setattr(faces, "detect_faces", lambda rgb: boxes)
    frames, _ = read(folder, FrameOptions(crop="face", faces="all", face_fraction=1.0))
    assert [(f.index, f.track, f.box) for f in frames] == [(k, t, boxes[t]) for k in range(9) for t in (0, 1)]
    assert {f.track for f in read(folder, FrameOptions(crop="face"))[0]} == {0}


def test_stills_of_any_kind_are_looked_at_for_faces(tmp_path: Path) -> None:
    gray = cv2.cvtColor(frame_with_faces((500, 200, 240)), cv2.COLOR_RGB2GRAY)
    cv2.imwrite(str(tmp_path / "0.png"), gray.astype(np.uint16) * 257)
    Image.fromarray(gray.astype(np.uint16) * 257).save(tmp_path / "1.tif")
    Image.fromarray(gray).convert("RGB").save(tmp_path / "2.jpg", quality=95)
    paths = tuple(str(path) for path in sorted(tmp_path.iterdir()))
    frames, video = read(FoundVideo(Location(str(tmp_path)), paths), FrameOptions(crop="face"))
    assert video.n_without_face == 0
    assert [f.image.pixels.dtype for f in frames] == [np.uint16, np.uint16, np.uint8]


# ----------------------------------------------------------------------------------------------------------- hashing


def test_a_file_is_known_by_its_hash(clip: Path) -> None:
    content, status = clip.read_bytes(), clip.stat()
    assert video_sha256(FoundVideo(Location(str(clip)))) == (
        hashlib.sha256(content).hexdigest(),
        len(content),
        status.st_mtime_ns,
    )


def test_a_folder_is_known_by_its_frames(folder: FoundVideo) -> None:
    digest, size, mtime = video_sha256(folder)
    assert size == sum(os.path.getsize(path) for path in folder.frames)
    assert mtime == max(os.stat(path).st_mtime_ns for path in folder.frames)
    assert video_sha256(FoundVideo(Location("elsewhere"), folder.frames))[0] == digest
    assert video_sha256(FoundVideo(Location(folder.path), folder.frames[1:]))[0] != digest


def test_what_is_missing_has_no_hash(tmp_path: Path) -> None:
    with pytest.raises(VideoReadError, match="No such file"):
        video_sha256(FoundVideo(Location(str(tmp_path / "clip.mp4"))))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_parts_of_turned_stills_lie_where_they_are_displayed(tmp_path: Path, orientation: int) -> None:
    shown = np.zeros((48, 96, 3), np.uint8)
    shown[:, 24:72] = np.arange(48, dtype=np.uint8)[:, None, None]
    stored = upright(shown, {6: 8, 8: 6}.get(orientation, orientation))
    for k in range(2):
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(stored).save(tmp_path / f"{k}.png", exif=exif)
    found = video_at(str(tmp_path))
    with open_video(found, FrameOptions(crop="centre")) as video:
        frames = list(video.frames())
        assert (video.facts.width, video.facts.height) == (96, 48)
    assert [frame.box for frame in frames] == [(24, 0, 48, 48)] * 2
    np.testing.assert_array_equal(upright(frames[0].image.pixels, orientation), shown[:, 24:72])


# ---------------------------------------------------------------------------------------------------- decoding ahead


class _Slow(Clip):
    """Three frames, in a thread of their own; it must not be closed while one is decoded."""

    def __init__(self) -> None:
        self.facts, self.warnings, self.n_frames, self.times_s = VideoFacts(4, 4), [], 3, None
        self.events: list[str] = []

    def decode(self, wanted: Iterable[int]) -> Iterator[WholeFrame]:
        for index in wanted:
            self.events.append(f"begun {index}")
            if index == 2:
                raise VideoReadError("the end is missing")
            time.sleep(0.05)
            self.events.append(f"decoded {index} by {threading.current_thread().name.split('_')[0]}")
            pixels = np.zeros((4, 4, 3), np.uint8)
            yield WholeFrame(index, None, DecodedImage(pixels, 4, 4, "VIDEO"))

    def close(self) -> None:
        self.events.append("closed")


def test_a_frame_is_decoded_while_the_one_before_is_judged() -> None:
    source = _Slow()
    with Video(source, ALL) as video:
        frames = video.frames()
        assert next(frames).index == 0
        deadline = time.monotonic() + 10
        while "decoded 1 by decoding" not in source.events and time.monotonic() < deadline:
            time.sleep(0.005)
        assert source.events == ["begun 0", "decoded 0 by decoding", "begun 1", "decoded 1 by decoding"]
        assert next(frames).index == 1
        with pytest.raises(VideoReadError, match="the end is missing"):
            next(frames)
        assert video.n_sampled == 2


def test_a_video_is_closed_when_nothing_is_decoded_any_more() -> None:
    source = _Slow()
    with pytest.raises(ZeroDivisionError), Video(source, ALL) as video:
        for frame in video.frames():
            1 / frame.index
    assert source.events[-2:] == ["decoded 1 by decoding", "closed"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decoding")]


def test_what_changes_while_it_is_read_is_an_error(folder: FoundVideo) -> None:
    changed = pytest.raises(VideoReadError, match="changed while it was read; judge it again")
    with open_video(folder, ALL) as video, changed:
        for frame in video.frames():
            if frame.index == 1:
                os.utime(folder.frames[0], ns=(0, 0))
    with open_video(folder, ALL) as video:
        assert len(list(video.frames())) > 2
