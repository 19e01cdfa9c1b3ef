"""Frames of videos: which ones, when, and what is cut from them."""

from __future__ import annotations

import hashlib
import http.server
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from conftest import EXAMPLES
from drawn_faces import frame_with_faces
from spectral_detect.errors import VideoReadError
from spectral_detect.media import face_detection as faces
from spectral_detect.media import video_file as clips
from spectral_detect.media.video import Frame, FrameOptions, Video, open_video
from spectral_detect.sources.discovery import FoundVideo
from spectral_detect.sources.location import Location
from spectral_detect.sources.reading import video_sha256

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


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100 frames of H.264, a key frame every 12, the index at the front."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return write_video(path, counting(100), gop=12, movflags="faststart")


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


@pytest.mark.parametrize("gop", [12, 250])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_seeking_gives_the_same_frames_as_decoding(
    tmp_path: Path, rng: np.random.Generator, suffix: str, gop: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = np.cumsum(rng.integers(10, 90, 600)) - 10
    path = write_video(tmp_path / f"clip{suffix}", counting(600), gop=gop, times_ms=[int(t) for t in times])
    seeks = []
    seek = clips.Clip._seek
    monkeypatch.setattr(clips.Clip, "_seek", lambda *arguments: seeks.append(seek(*arguments)) or seeks[-1])
    frames, _ = read(path, FrameOptions(n_frames=7))
    assert seeks
    assert all(seeks)
    monkeypatch.setattr(clips, "SEEK_GAIN", 10**9)
    for frame, decoded in zip(frames, read(path, FrameOptions(n_frames=7))[0], strict=True):
        assert (frame.index, frame.time_s) == (decoded.index, decoded.time_s)
        np.testing.assert_array_equal(frame.image.pixels, decoded.image.pixels)


def test_a_seek_that_misses_is_made_good_by_decoding(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clips, "SEEK_BACK", 60)  # beyond the frame that is wanted
    monkeypatch.setattr(clips.Clip, "_key_before", lambda self, index: index // 12 * 12)
    frames, _ = read(clip, FrameOptions(n_frames=3))
    assert [f.index for f in frames] == [16, 50, 83]
    check_identity(frames)


# ------------------------------------------------------------------------------------------------- kinds of video


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.mov", "mpeg4"),
        ("a.avi", "mpeg4"),
        ("b.avi", "libx264"),
        ("a.mkv", "libx264"),
        ("a.webm", "libvpx"),
        ("b.webm", "libvpx-vp9"),
        ("a.ts", "libx264"),
        ("a.mpg", "mpeg2video"),
        ("a.h264", "libx264"),
    ],
)
def test_every_container_gives_all_of_its_frames(tmp_path: Path, name: str, codec: str) -> None:
    frames, video = read(write_video(tmp_path / name, counting(40), codec=codec))
    assert [f.index for f in frames] == list(range(40))
    np.testing.assert_allclose([counter(f) for f in frames], range(40), atol=6)  # some codecs are coarse
    assert video.warnings == []


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_variable_rate_keeps_its_time_stamps(tmp_path: Path, rng: np.random.Generator, suffix: str) -> None:
    times = np.cumsum(rng.integers(10, 90, 60)) - 10
    path = write_video(tmp_path / f"clip{suffix}", counting(60), times_ms=[int(t) for t in times])
    frames, video = read(path)
    expected = (times - times[0]) / 1000
    assert [f.time_s for f in frames] == pytest.approx(expected, abs=2e-3)
    assert video.warnings == []
    every = [f.index for f in read(path, FrameOptions(every_s=0.5))[0]]
    assert every == [int(np.argmax(expected >= 0.5 * k - 1e-3)) for k in range(int(expected[-1] / 0.5) + 1)]


def test_frames_are_turned_as_they_are_displayed(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", counting(5))
    upright = read(path)[0][0].image.pixels
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 44  # ISO/IEC 14496-12, 8.3.2: after the times, the layer and the volume
    one = 1 << 16
    turned = (0, one, 0, -one, 0, 0, upright.shape[0] * one, 0, 1 << 30)
    content[matrix : matrix + 36] = b"".join(number.to_bytes(4, "big", signed=True) for number in turned)
    path.write_bytes(content)
    frames, video = read(path)
    assert (video.facts.width, video.facts.height) == (128, 192)
    np.testing.assert_array_equal(frames[0].image.pixels, np.rot90(upright, -1))


def test_a_single_frame(tmp_path: Path) -> None:
    frames, video = read(write_video(tmp_path / "clip.mp4", counting(1)), FrameOptions())
    assert [(f.index, f.time_s) for f in frames] == [(0, 0.0)]
    assert video.warnings == []


# ----------------------------------------------------------------------------------------------------------- damage


def test_a_video_cut_off_gives_what_is_left(clip: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.mp4"
    short.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    frames, video = read(short, FrameOptions())
    assert len(frames) == 20
    assert 20 < frames[-1].index < 80
    check_identity(frames)
    (warning,) = video.warnings
    assert warning.startswith("truncated or damaged: ")
    assert warning.endswith(" of 100 announced frames could be read")


def test_after_a_broken_middle_the_rest_is_read(clip: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    content = bytearray(clip.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4000] = rng.integers(0, 256, 4000, dtype=np.uint8).tobytes()
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(content)
    frames, video = read(broken)
    times = [round(30 * (f.time_s or 0)) for f in frames]
    assert 70 < len(frames) < 100
    assert (times[0], times[-1]) == (0, 99)
    assert times == sorted(set(times))
    assert abs(counter(frames[-1]) - 99) < 3
    assert "of 100 announced frames could be read" in video.warnings[0]


def test_an_avi_without_its_index_is_read(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.avi", counting(40), codec="mpeg4", gop=5)
    path.write_bytes(path.read_bytes().split(b"idx1")[0])
    frames, video = read(path, FrameOptions(n_frames=4))
    assert [f.index for f in frames] == [5, 15, 25, 35]
    assert video.warnings == []


def _without_index(path: Path) -> None:
    write_video(path, counting(30))
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"moov") - 4])


def _sound_only(path: Path) -> None:
    with av.open(str(path), "w") as file:
        stream: Any = file.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


def _no_frames(path: Path) -> None:
    content = write_video(path.with_suffix(".avi"), counting(3), codec="mpeg4").read_bytes()
    path.write_bytes(content[: content.index(b"movi") + 4])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "cannot be read: No such file"),
        (lambda path: path.touch(), "the file is empty; copy it again"),
        (lambda path: path.mkdir(), "holds no image of its own; .* --group-by parent"),
        (os.mkfifo, "not a regular file"),
        (lambda path: path.write_bytes(b"hello, I am a text"), "not a video in a known format"),
        (_without_index, r"the index of the video \(moov\) is missing"),
        (_sound_only, "no pictures that can be decoded: sound only"),
        (_no_frames, "no frame can be decoded|no pictures that can be decoded"),
    ],
    ids=["missing", "empty", "folder", "pipe", "text", "no index", "sound", "no frames"],
)
def test_what_cannot_be_judged_is_refused(tmp_path: Path, make: Any, message: str, capfd: Any) -> None:
    make(tmp_path / "clip.mp4")
    with pytest.raises(VideoReadError, match=message):
        open_video(FoundVideo(Location(str(tmp_path / "clip.mp4"))), ALL)
    assert capfd.readouterr() == ("", "")


def test_a_problem_that_was_found_is_told() -> None:
    with pytest.raises(VideoReadError, match="cannot be listed"):
        open_video(FoundVideo(Location("x"), problem="the folder cannot be listed: Permission denied"), ALL)


def test_frames_that_are_too_large_are_refused(clip: Path) -> None:
    with pytest.raises(VideoReadError, match="frames of 192x128 pixels, over the limit of 20000; see --max-pixels"):
        open_video(FoundVideo(Location(str(clip))), ALL, max_pixels=20_000)


# ------------------------------------------------------------------------------------------- nothing but this file


@pytest.fixture
def requests() -> Iterator[tuple[int, list[str]]]:
    """The port of a server, and what was asked of it."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port, asked
        server.shutdown()


def test_no_name_and_no_content_leads_to_another_file(
    clip: Path, tmp_path: Path, requests: tuple[int, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, asked = requests
    monkeypatch.chdir(tmp_path)
    shutil.copy(clip, "other.mp4")
    playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n"
    session = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
    for name, content in (
        ("list.m3u8", playlist.format(f"http://127.0.0.1:{port}/a.ts")),
        ("list.mp4", playlist.format(f"http://127.0.0.1:{port}/a.ts")),
        ("local.m3u8", playlist.format("other.mp4")),
        ("script.mp4", "ffconcat version 1.0\nfile other.mp4\n"),
        ("session.sdp", session),
    ):
        Path(name).write_text(content)
        with pytest.raises(VideoReadError, match="not a video"):
            open_video(FoundVideo(Location(name)), ALL)
    for name in (f"http://127.0.0.1:{port}/a.mp4", "concat:other.mp4", "0", "rtsp://127.0.0.1/a.mp4"):
        with pytest.raises(VideoReadError, match=r"No such file|local files only"):
            open_video(FoundVideo(Location(name)), ALL)
    assert asked == []


@pytest.mark.parametrize("name", ["http:a.mp4", "concat:a|b.mp4", "frame%03d.mp4", "0", "-a;b,c.mp4", "é\udcff.mp4"])
def test_a_strange_name_is_but_a_name(
    clip: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;udp")
    try:
        shutil.copy(clip, name)
    except OSError:
        pytest.skip("this file system does not take the name")
    assert len(read(FoundVideo(Location(name)), FrameOptions())[0]) == 20
    assert os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] == "rtsp_transport;udp"
    assert capfd.readouterr() == ("", "")


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
    Image.fromarray(gray.astype(np.float32)).save(tmp_path / "1.tif")
    Image.fromarray(gray).convert("RGB").save(tmp_path / "2.jpg", quality=95)
    paths = tuple(str(path) for path in sorted(tmp_path.iterdir()))
    frames, video = read(FoundVideo(Location(str(tmp_path)), paths), FrameOptions(crop="face"))
    assert video.n_without_face == 0
    assert [f.image.pixels.dtype for f in frames] == [np.uint16, np.float32, np.uint8]


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
