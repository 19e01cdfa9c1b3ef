"""Damaged video files, whatever holds them; sound ones, whoever made them; frames of other sizes and shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from conftest import SHARED, needs_shared
from counting_video import MILLISECOND, av, check_identity, counter, counting, read, write_video
from spectral_detect.errors import VideoReadError
from spectral_detect.media.video import FrameOptions
from spectral_detect.media.video_files import damage as structure
from spectral_detect.media.video_files.damage import damage_of
from spectral_detect.media.video_files.ffmpeg import packets_of
from spectral_detect.media.video_files.packets import gaps

DAMAGED = "truncated or damaged: "
N = 150
SOUND_RATE, SOUND_FRAME = 48_000, 1024

Damage = Callable[[bytes], bytes]


def cut_in_half(content: bytes) -> bytes:
    return content[: len(content) // 2 + 1]  # never at the end of a transport packet: that would not show


def zero_a_piece(content: bytes) -> bytes:
    start, length = len(content) // 2, len(content) // 20
    return content[:start] + bytes(length) + content[start + length :]


def cut_a_piece_out(content: bytes) -> bytes:
    start, length = len(content) // 2, len(content) // 20
    return content[:start] + content[start + length :]


def film(
    path: Path,
    *,
    n: int = N,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    sound: str | None = None,
    sound_s: tuple[float, float] = (0.0, 6.0),
    times_ms: Any = None,
    aspect: Fraction | None = None,
    container: dict[str, str] | None = None,
    **options: str,
) -> Path:
    """A clip of 25 frames a second with sound from a time to another."""
    pictures = counting(n)
    with av.open(str(path), "w", options=container or {}) as file:
        stream: Any = file.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 192, 128, pixels, 25
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if times_ms is not None:
            stream.codec_context.time_base = stream.time_base = MILLISECOND
        noise: Any = file.add_stream(sound, rate=SOUND_RATE) if sound else None
        packets = list(_sound(noise, *sound_s)) if noise else []
        for k, rgb in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            if times_ms is not None:
                frame.pts, frame.time_base = int(times_ms[k]), MILLISECOND
            file.mux(stream.encode(frame))
            while packets and packets[0].dts * packets[0].time_base < k / 25:
                file.mux(packets.pop(0))
        file.mux(stream.encode(None))
        file.mux(packets)
    return path


def _sound(stream: Any, start_s: float, end_s: float) -> list[Any]:
    rng, packets = np.random.default_rng(0), []
    for at in range(int(start_s * SOUND_RATE), int(end_s * SOUND_RATE), SOUND_FRAME):
        frame = av.AudioFrame.from_ndarray(rng.normal(0, 0.1, (1, SOUND_FRAME)).astype(np.float32), "fltp", "mono")
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, at, Fraction(1, SOUND_RATE)
        packets += stream.encode(frame)
    return [*packets, *stream.encode(None)]


# ------------------------------------------------------------------------------------------------------------ damage


@pytest.mark.parametrize("damage", [cut_in_half, zero_a_piece, cut_a_piece_out])
@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mkv", "libx264"),
        ("b.mkv", "libx265"),
        ("a.webm", "libvpx"),
        ("b.webm", "libvpx-vp9"),
        ("a.ts", "libx264"),
        ("b.ts", "libx265"),
        ("a.mpg", "mpeg2video"),
        ("a.avi", "mpeg4"),
        ("b.avi", "libx264"),
        ("a.mp4", "libx264"),
        ("b.mp4", "libx265"),
        ("fragments.mp4", "libx264"),
    ],
)
def test_damage_is_told_in_every_container(tmp_path: Path, name: str, codec: str, damage: Damage) -> None:
    flags = {"fragments.mp4": "frag_keyframe+empty_moov"}.get(name, "faststart")
    path = write_video(
        tmp_path / name, counting(N), codec=codec, gop=25, **({"movflags": flags} if name.endswith("mp4") else {})
    )
    assert read(path)[1].warnings == []
    path.write_bytes(damage(path.read_bytes()))
    frames, video = read(path)
    assert any("damaged: " in warning for warning in video.warnings), video.warnings
    assert 0 < len(frames) < N or any("bytes" in warning for warning in video.warnings)


@pytest.mark.parametrize("damage", [zero_a_piece, cut_a_piece_out])
@pytest.mark.parametrize("name", ["a.mkv", "a.ts"])
def test_frames_behind_a_hole_are_left_out_up_to_the_next_key_frame(tmp_path: Path, name: str, damage: Damage) -> None:
    path = write_video(tmp_path / name, counting(N), gop=25)
    path.write_bytes(damage(path.read_bytes()))
    frames, _ = read(path)
    numbers = [round(30 * (frame.time_s or 0)) for frame in frames]
    assert N // 2 < len(frames) < N
    np.testing.assert_allclose([counter(frame) for frame in frames], numbers, atol=3)


@pytest.mark.parametrize("n_less", range(1, 40, 6))
def test_a_transport_stream_cut_between_its_packets_is_told(tmp_path: Path, n_less: int) -> None:
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (128, 192, 3), dtype=np.uint8) for _ in range(12)]  # many packets to a picture
    path = write_video(tmp_path / "a.ts", noise)
    content = path.read_bytes()
    assert len(content) % 188 == 0
    path.write_bytes(content[: (len(content) // 188 // 2 - n_less) * 188])
    assert read(path)[1].warnings[0] == f"{DAMAGED}the file ends within a picture or a piece of sound"


def test_packets_missing_from_a_transport_stream_are_told_by_their_counters(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.ts", counting(N), gop=25)
    content = path.read_bytes()
    middle = len(content) // 188 // 2 * 188
    at = next(at for at in range(middle, len(content), 188) if content[at + 1 : at + 3] == b"\x01\x00")  # of pictures
    path.write_bytes(content[:at] + content[at + 188 :])
    frames, video = read(path)
    assert f" of {N} frames left out, after damaged or missing data" in video.warnings[0]
    assert N - 27 < len(frames) < N
    check_identity(frames)


def test_what_is_known_of_the_end_is_told(tmp_path: Path) -> None:
    path = film(tmp_path / "a.mkv", sound="aac")
    size = path.stat().st_size
    path.write_bytes(cut_in_half(path.read_bytes()))
    ends, missing, *_ = read(path)[1].warnings
    assert ends.startswith(f"{DAMAGED}it ends after ")
    assert ends.endswith(" announced seconds")
    assert missing.startswith(f"{DAMAGED}the file ends ")
    assert abs(int(missing.split()[6]) - (size - size // 2)) < 200


def test_a_frame_that_the_decoder_made_up_is_not_judged(tmp_path: Path, rng: np.random.Generator) -> None:
    path = write_video(tmp_path / "a.mp4", counting(100), gop=20, movflags="faststart")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 300] = rng.integers(0, 256, 300, dtype=np.uint8).tobytes()
    path.write_bytes(content)
    frames, video = read(path)
    assert 70 <= len(frames) < 100
    check_identity(frames)
    assert f"{100 - len(frames)} of 100 wanted frames could not be decoded" in video.warnings[0]


def test_a_box_that_claims_more_than_any_file_holds_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\0\1free" + b"\xff" * 8 + bytes(100))
    with pytest.raises(VideoReadError, match="moov"):
        read(path)


def test_a_stream_that_damage_makes_up_is_passed_over() -> None:
    """PyAV raises `IndexError` for a stream that it does not know; the packets behind it are read all the same."""

    class Container:
        parts = iter(([1, 2], [3]))

        def demux(self) -> Iterator[int]:
            part = next(self.parts)
            yield from part
            if part == [1, 2]:
                raise IndexError

    container: Any = Container()
    assert list(packets_of(container)) == [1, 2, 3]


def test_a_gap_is_a_break_of_a_regular_rhythm() -> None:
    regular = np.arange(100) / 25
    assert gaps(np.delete(regular, range(40, 60))) == [(pytest.approx(39 / 25), pytest.approx(21 / 25))]
    assert gaps(np.delete(regular, [40, 41])) == []
    assert gaps(np.cumsum(np.random.default_rng(0).uniform(0.01, 0.5, 100))) == []
    assert gaps(np.array([0.0, 5.0])) == []


def test_a_file_of_another_kind_shows_no_damage(tmp_path: Path) -> None:
    for content in (b"x", b"RIFF", b"\x1aE\xdf\xa3", b"G" * 700, b"OggS", b"\0\0\1\xba"):
        (tmp_path / "a").write_bytes(content)
        assert isinstance(damage_of(str(tmp_path / "a")), str | None)


# ------------------------------------------------------------------------------------------------------- sound files

VARIED = np.cumsum(np.random.default_rng(0).integers(10, 90, N))
PAUSED = np.cumsum([40] * 60 + [4000] + [40] * (N - 61))
OPEN_GOP = {"x264-params": "open-gop=1:bframes=3:keyint=25"}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {"sound": "aac"}),
        ("fragments.mp4", {"sound": "aac", "container": {"movflags": "frag_keyframe+empty_moov"}}),
        ("varied.mp4", {"times_ms": VARIED}),
        ("paused.mp4", {"times_ms": PAUSED}),
        ("open.mp4", {"x264-params": "open-gop=1:bframes=3:keyint=25"}),
        ("h265.mp4", {"codec": "libx265"}),
        ("prores.mov", {"codec": "prores_ks", "pixels": "yuv422p10le"}),
        ("a.mkv", {"sound": "aac"}),
        ("later.mkv", {"sound": "aac", "sound_s": (2.0, 6.0)}),
        ("longer.mkv", {"sound": "aac", "sound_s": (0.0, 9.0)}),
        ("shorter.mkv", {"sound": "aac", "sound_s": (0.0, 1.0)}),
        ("varied.mkv", {"times_ms": VARIED}),
        ("paused.mkv", {"times_ms": PAUSED}),
        ("live.mkv", {"container": {"live": "1"}}),
        ("short.mkv", {"n": 2}),
        ("refresh.mkv", {"x264-params": "intra-refresh=1"}),
        ("plain.mkv", {"codec": "rawvideo", "n": 9}),
        ("a.webm", {"codec": "libvpx", "sound": "libopus"}),
        ("a.ts", {"sound": "aac"}),
        ("varied.ts", {"times_ms": VARIED}),
        ("short.ts", {"n": 1}),
        ("a.m2ts", {"sound": "aac"}),
        ("a.mpg", {"codec": "mpeg2video", "sound": "mp2"}),
        ("a.flv", {"sound": "aac"}),
        ("a.avi", {"codec": "mpeg4", "sound": "mp2"}),
        ("jpeg.avi", {"codec": "mjpeg", "pixels": "yuvj420p"}),
        ("a.mxf", {"codec": "mpeg2video"}),
    ],
)
def test_a_sound_file_gives_all_of_its_frames_without_a_warning(
    tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    frames, video = read(film(tmp_path / name, **options))
    assert video.warnings == []
    assert len(frames) == options.get("n", N)


def test_what_is_interlaced_is_said(tmp_path: Path) -> None:
    frames, video = read(film(tmp_path / "a.ts", **{"x264-params": "interlaced=1"}))
    (warning,) = video.warnings
    assert warning.startswith(f"{N} of {N} decoded frames are marked as interlaced: rows of two moments")
    assert len(frames) == N


# ---------------------------------------------------------------------------------------------------- other sizes


def joined(path: Path, sizes: list[tuple[int, int]], n: int = 12) -> Path:
    """Clips of other sizes, one after the other, as a broadcast or a concatenation makes them."""
    parts = []
    for k, (width, height) in enumerate(sizes):
        part = write_video(path.with_name(f"{k}{path.suffix}"), counting(n, width, height), gop=6)
        parts.append(part.read_bytes())
    path.write_bytes(b"".join(parts))
    return path


@pytest.mark.parametrize("suffix", [".ts", ".h264"])
def test_frames_of_another_size_are_not_resampled(tmp_path: Path, suffix: str) -> None:
    path = joined(tmp_path / f"all{suffix}", [(192, 128), (320, 192), (192, 128)])
    frames, video = read(path)
    alone = [read(tmp_path / f"{k}{suffix}")[0] for k in range(3)]
    assert [f.image.pixels.shape for f in frames] == [f.image.pixels.shape for part in alone for f in part]
    for frame, expected in zip(frames, [f for part in alone for f in part], strict=True):
        np.testing.assert_array_equal(frame.image.pixels, expected.image.pixels)
    (warning,) = (w for w in video.warnings if "resolution" in w)
    assert "12 of 36 decoded frames are of another size (320x192) than the first (192x128)" in warning
    assert [(f.image.width, f.image.height) for f in frames[11:13]] == [(192, 128), (320, 192)]


def test_a_size_that_changes_with_rising_time_stamps_is_told(tmp_path: Path) -> None:
    pieces = [write_video(tmp_path / f"{k}.ts", counting(12, *size)) for k, size in enumerate([(192, 128), (96, 64)])]
    path = tmp_path / "a.ts"
    with av.open(str(path), "w") as target:
        with av.open(str(pieces[0])) as first:
            out = target.add_stream_from_template(first.streams.video[0])
        for k, piece in enumerate(pieces):
            with av.open(str(piece)) as source:
                for packet in source.demux(source.streams.video[0]):
                    if packet.dts is not None:
                        packet.pts += k * 90_000
                        packet.dts += k * 90_000
                        packet.stream = out
                        target.mux(packet)
    frames, video = read(path, FrameOptions(n_frames=10))
    assert {f.image.pixels.shape for f in frames} == {(128, 192, 3), (64, 96, 3)}
    assert any("another size (96x64) than the first (192x128)" in w for w in video.warnings)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_pixels_that_are_not_square_are_judged_as_stored(tmp_path: Path, name: str) -> None:
    frames, video = read(film(tmp_path / name, n=5, aspect=Fraction(16, 11)))
    assert frames[0].image.pixels.shape == (128, 192, 3)
    assert video.warnings == ["pixels are not square (16:11): the frames are judged as stored, not as displayed"]


@needs_shared
def test_the_file_that_showed_the_fault() -> None:
    frames, video = read(SHARED / "faults" / "video" / "change.ts")
    assert [f.image.pixels.shape[0] for f in frames] == [256] * 12 + [512] * 12
    assert "12 of 24 decoded frames are of another size (512x512)" in video.warnings[0]


def test_a_file_in_countless_boxes_is_not_followed_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, box = tmp_path / "a.mp4", b"\0\0\0\x08free"
    path.write_bytes(b"\0\0\0\x10ftypisom\0\0\0\0" + 20 * box + b"\0\0\1\0mdat")
    assert "ends 248 bytes before" in str(damage_of(str(path)))
    monkeypatch.setattr(structure, "MOST_BOXES", 20)
    assert damage_of(str(path)) is None
