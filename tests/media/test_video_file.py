"""Video files: containers, time stamps, seeking, damage, and nothing but the one file."""

from __future__ import annotations

import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from counting_video import ALL, av, check_identity, counter, counting, counting_clip, read, write_video
from spectral_detect.errors import VideoReadError
from spectral_detect.media.video import FrameOptions, open_video
from spectral_detect.media.video_files import clip as clips
from spectral_detect.media.video_files.timeline import Order
from spectral_detect.sources.discovery import FoundVideo
from spectral_detect.sources.location import Location


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return counting_clip(tmp_path_factory.mktemp("clip") / "clip.mp4")


# ------------------------------------------------------------------------------------------------------------- seeking


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
    monkeypatch.setattr(Order, "key_before", lambda self, index: min(index // 12 * 12 + 24, 96))  # beyond the frame
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


def test_a_turned_video_is_cut_as_displayed_and_judged_as_stored(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", counting(5))
    upright = read(path)[0][0].image.pixels
    content = bytearray(path.read_bytes())
    matrix = content.index(b"tkhd") + 44  # ISO/IEC 14496-12, 8.3.2: after the times, the layer and the volume
    one = 1 << 16
    turned = (0, one, 0, -one, 0, 0, upright.shape[0] * one, 0, 1 << 30)
    content[matrix : matrix + 36] = b"".join(number.to_bytes(4, "big", signed=True) for number in turned)
    path.write_bytes(content)
    frames, video = read(path)
    assert (video.facts.width, video.facts.height) == (frames[0].image.width, frames[0].image.height) == (128, 192)
    np.testing.assert_array_equal(frames[0].image.pixels, upright)
    centre, _ = read(path, FrameOptions(n_frames=1, crop="centre"))
    assert centre[0].box == (0, 32, 128, 128)
    np.testing.assert_array_equal(centre[0].image.pixels, read(path)[0][2].image.pixels[:, 32:160])


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
    warning = video.warnings[0]
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
    assert f"{100 - len(frames)} of 100 wanted frames could not be decoded" in video.warnings[0]


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
        (lambda path: path.mkdir(), "holds no image of its own; .* `group_by_parent`"),
        (os.mkfifo, "not a regular file"),
        (lambda path: path.write_bytes(b"hello, I am a text"), "not a video in a known format; look at what it is"),
        (lambda path: path.write_bytes(b"Good day, " * 60), "not a video in a known format; look at what it is"),
        (lambda path: path.write_bytes((b"G" + bytes(187)) * 3), "no pictures that can be decoded"),
        (_without_index, r"the index of the video \(moov\) is missing"),
        (_sound_only, "no pictures that can be decoded: sound only"),
        (_no_frames, "no frame can be decoded|no pictures that can be decoded"),
    ],
    ids=["missing", "empty", "folder", "pipe", "text", "text of G", "empty stream", "no index", "sound", "no frames"],
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
    with pytest.raises(VideoReadError, match="frames of 192x128 pixels, over the limit of 20000; see `max_pixels`"):
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
