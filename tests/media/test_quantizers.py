"""The quality that is read from a quantiser is what the encoder was told; hostile bytes cost the quality only."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from conftest import EXAMPLES
from spectral_detect.media.coding import QUANTIZERS, Coding, riff_chunks, still_coding, webp_frame
from spectral_detect.media.images import decode
from spectral_detect.media.quantizers.av1 import avif_loss
from spectral_detect.media.quantizers.bits import BitReader
from spectral_detect.media.quantizers.hevc import heic_quality, unescaped
from spectral_detect.media.quantizers.iso_items import CodedItem, boxes, shown_item
from spectral_detect.media.quantizers.tiff_strips import ZIGZAG, jpeg_in_tiff
from spectral_detect.media.quantizers.vp8 import BoolDecoder, quantizer_indices, vp8_quality

NOISE = Image.fromarray(np.random.default_rng(5).integers(0, 256, (48, 64, 3), dtype=np.uint8))
QUALITIES = (5, 20, 30, 50, 60, 75, 80, 90, 95)


@lru_cache
def photograph(name: str = "Garden", side: int = 256) -> Image.Image:
    with Image.open(EXAMPLES / "real" / f"{name}.png") as image:
        return image.convert("RGB").resize((side, side))


def saved(image: Image.Image, image_format: str, **options: Any) -> bytes:
    stream = BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


def coding_of(content: bytes) -> Coding:
    metadata = decode(content).metadata
    assert metadata is not None
    return metadata.coding


def quality_of(image: Image.Image, image_format: str, **options: Any) -> int:
    quality = coding_of(saved(image, image_format, **options)).quality
    assert quality is not None
    return quality


def images() -> list[Image.Image]:
    return [NOISE, photograph(), photograph("Aqua", 48), Image.new("RGB", (40, 24), (9, 99, 200))]


# ---------------------------------------------------------------------------------------------------------------- WebP


@pytest.mark.parametrize("quality", QUALITIES)
def test_the_quality_of_webp_is_found(quality: int) -> None:
    for image in images():
        for method in (2, 4, 6):
            assert abs(quality_of(image, "WEBP", quality=quality, method=method) - quality) <= 2
        assert abs(quality_of(image, "WEBP", quality=quality, method=0) - quality) <= 8
        assert abs(quality_of(image.convert("RGBA"), "WEBP", quality=quality) - quality) <= 2


def test_of_an_animation_the_first_frame_counts() -> None:
    frames = {"save_all": True, "append_images": [photograph("Aqua")]}
    content = saved(photograph(), "WEBP", quality=40, **frames)
    assert [kind for kind, _ in riff_chunks(content)].count(b"ANMF") == 2
    assert abs((coding_of(content).quality or 0) - 40) <= 2
    assert coding_of(saved(photograph(), "WEBP", lossless=True, **frames)) == Coding("lossless")


class BoolEncoder:
    """The encoder of RFC 6386, section 7.3, on a number as long as it need be."""

    def __init__(self) -> None:
        self.low, self.range, self.n_bits = 0, 255, 0

    def bit(self, bit: int, probability: int = 128) -> None:
        split = 1 + ((self.range - 1) * probability >> 8)
        self.low, self.range = (self.low + split, self.range - split) if bit else (self.low, split)
        while self.range < 128:
            self.low, self.range, self.n_bits = self.low * 2, self.range * 2, self.n_bits + 1

    def number(self, value: int, n_bits: int) -> None:
        for k in reversed(range(n_bits)):
            self.bit(value >> k & 1)

    def content(self) -> bytes:
        n_bytes = (self.n_bits + 8 + 7) // 8
        return (self.low << 8 * n_bytes - self.n_bits - 8).to_bytes(n_bytes, "big")


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 255)), max_size=60))
def test_coded_bits_are_decoded(bits: list[tuple[int, int]]) -> None:
    encoder = BoolEncoder()
    for bit, probability in bits:
        encoder.bit(bit, probability)
    decoder = BoolDecoder(encoder.content())
    assert [decoder.bit(probability) for _, probability in bits] == [bit for bit, _ in bits]


def vp8_header(base: int, values: Sequence[int] = (), *, is_absolute: bool = False) -> bytes:
    """A partition's header up to the quantiser, with a map of segments if they have values."""
    encoder = BoolEncoder()
    encoder.number(0, 2)
    encoder.bit(int(bool(values)))
    if values:
        encoder.number(3, 2)  # a map, and values
        encoder.bit(int(is_absolute))
        for value in values:
            encoder.number(1, 1)
            encoder.number(abs(value), 7)
            encoder.bit(int(value < 0))
        encoder.number(0, 4)
        for probability in (255, 51):  # four fifths of the left half are in the second segment
            encoder.number(1, 1)
            encoder.number(probability, 8)
        encoder.bit(0)
    encoder.number(0, 10)
    encoder.number(0b11, 2)
    for k in range(8):  # changes of the loop filter
        encoder.bit(k % 2)
        encoder.number(9, 7 * (k % 2))
    encoder.number(0, 2)
    encoder.number(base, 7)
    return encoder.content()


def test_segments_have_a_quantiser_of_their_own_or_change_the_base() -> None:
    assert quantizer_indices(BoolDecoder(vp8_header(77))) == ([77], [1.0])
    for is_absolute, found in ((True, [9, 20, -7, 0]), (False, [59, 70, 43, 50])):
        header = vp8_header(50, (9, 20, -7, 0), is_absolute=is_absolute)
        indices, shares = quantizer_indices(BoolDecoder(header))
        assert indices == found
        assert shares == pytest.approx([0.2, 0.8, 0, 0])


def test_a_frame_that_needs_others_has_no_quality() -> None:
    _, frame = webp_frame(saved(NOISE, "WEBP", quality=50))
    assert vp8_quality(frame) == pytest.approx(50, abs=2)
    for damaged in (b"", frame[:11], bytes([frame[0] | 1]) + frame[1:], frame[:3] + b"\0" + frame[4:]):
        with pytest.raises(ValueError, match="not a VP8 key frame"):
            vp8_quality(damaged)


# -------------------------------------------------------------------------------------------------------- AVIF and HEIC


@pytest.mark.parametrize("image_format", ["AVIF", "HEIF"])
def test_the_quality_found_rises_with_that_asked(image_format: str) -> None:
    if image_format == "HEIF":
        pytest.importorskip("pillow_heif")
    for image in (NOISE, photograph(), photograph("Aqua", 600)):
        found = [quality_of(image, image_format, quality=quality) for quality in QUALITIES]
        assert found == sorted(set(found))
        assert abs(found[QUALITIES.index(50)] - 50) < 15


def test_alpha_and_later_frames_are_not_taken_for_the_picture() -> None:
    cut_out = photograph().copy()
    cut_out.putalpha(photograph("Aqua").convert("L"))
    assert quality_of(cut_out, "AVIF", quality=40) == quality_of(photograph(), "AVIF", quality=40)
    several = {"save_all": True, "append_images": [photograph("Aqua")]}
    low, high = (quality_of(photograph(), "AVIF", quality=quality, **several) for quality in (30, 80))
    assert low < high


@pytest.mark.parametrize("options", [{}, {"tile_rows": 1, "tile_cols": 1}, {"subsampling": "4:4:4"}, {"speed": 9}])
def test_av1_agrees_with_ffmpeg(options: dict[str, Any]) -> None:
    for size in ((64, 48), (1600, 200), (31, 17)):
        content = saved(photograph().resize(size), "AVIF", quality=70, **options)
        assert 100 * (1 - traced(content, "base_q_idx") / 255) == pytest.approx(coding_of(content).quality, abs=0.5)


def test_the_full_form_of_av1_agrees_with_ffmpeg() -> None:
    """SVT-AV1 writes stills as a video of one frame."""
    av = pytest.importorskip("av")
    if "libsvtav1" not in av.codecs_available:
        pytest.skip("PyAV has no SVT-AV1")
    for pixels, crf in (("yuv420p", 20), ("yuv420p10le", 50)):
        stream = BytesIO()
        with priority_kept(), av.open(stream, "w", format="avif") as file:
            video = file.add_stream("libsvtav1", rate=1, options={"crf": str(crf), "preset": "12"})
            video.width, video.height, video.pix_fmt = 256, 256, pixels
            frame = av.VideoFrame.from_ndarray(np.asarray(photograph()), format="rgb24").reformat(format=pixels)
            for packet in (*video.encode(frame), *video.encode()):
                file.mux(packet)
        content = stream.getvalue()
        assert traced(content, "reduced_still_picture_header") == 0
        loss = avif_loss(shown_item(content))
        assert 100 * (1 - traced(content, "base_q_idx") / 255) == pytest.approx(loss.quality, abs=0.5)


@contextmanager
def priority_kept() -> Iterator[None]:
    """SVT-AV1 gives a process of root the priority of real time, and with it all that it starts: others starve."""
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before)


@pytest.mark.parametrize("chroma", [420, 422, 444])
def test_hevc_agrees_with_ffmpeg(chroma: int) -> None:
    pytest.importorskip("pillow_heif")
    for size, quality in (((64, 48), 30), ((700, 200), 70)):
        content = saved(photograph().resize(size), "HEIF", quality=quality, chroma=chroma)
        qp = 26 + traced(content, "init_qp_minus26") + traced(content, "slice_qp_delta")
        assert 100 * (1 - qp / 51) == pytest.approx(coding_of(content).quality, abs=0.5)
    assert quality_of(photograph(), "HEIF", quality=-1, chroma=chroma) == 100  # x265 without a loss


def traced(content: bytes, name: str) -> int:
    """The value of a field in the first packet, as FFmpeg reads it."""
    av = pytest.importorskip("av")
    level = av.logging.get_level()
    av.logging.set_level(av.logging.TRACE)
    try:
        with av.logging.Capture() as lines, av.open(BytesIO(content)) as file:
            bitstream = av.bitstream.BitStreamFilterContext("trace_headers", file.streams.video[0])
            bitstream.filter(next(file.demux(file.streams.video[0])))
    except (ValueError, av.error.FFmpegError):
        pytest.skip("this FFmpeg does not read the headers")
    finally:
        av.logging.set_level(level)
    found = [line.split("=")[-1] for _, _, line in lines if f" {name} " in line]
    return int(found[0])


def test_an_avif_without_loss_is_lossless() -> None:
    """OpenCV writes quality 100 in 4:4:4 with the channels themselves as planes."""
    pixels = np.asarray(photograph())
    is_written, content = cv2.imencode(".avif", pixels[..., ::-1], [cv2.IMWRITE_AVIF_QUALITY, 100])
    if not is_written:
        pytest.skip("this OpenCV writes no AVIF")
    assert np.array_equal(decode(content.tobytes()).pixels, pixels)
    assert coding_of(content.tobytes()) == Coding("lossless")
    converted = saved(photograph(), "AVIF", quality=100, subsampling="4:4:4")
    assert not np.array_equal(decode(converted).pixels, pixels)
    assert (coding_of(converted).family, coding_of(converted).quality) == ("AVIF", 100)


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


FULL = bytes(4)
ASSOCIATIONS = bytes.fromhex("00000002 0001 01 01 0003 02 8182")  # of item 1 property 1, of item 3 both


def tiled_file(version: int, *, is_inside: bool = False) -> bytes:
    """A file whose picture 1 is a grid of 3 and 2, where 2 is described by the second property."""
    id_format = ">I" if version > 1 else ">H"
    pixels = b"second first"
    places = {1: (0, 0), 2: (0, 6), 3: (7, 5)}

    def item(number: int, start: int) -> bytes:
        begin, size = places[number]
        head = struct.pack(id_format, number) + (struct.pack(">H", int(is_inside)) if version else b"")
        return head + struct.pack(">HHII", 0, 1, start + begin, size)

    def meta(start: int) -> bytes:
        kinds = ((1, b"grid"), (2, b"hvc1"), (3, b"hvc1"))
        n_items = struct.pack(id_format, 3)
        return box(
            b"meta", FULL,
            box(b"pitm", FULL, b"\0\1"),
            box(b"iinf", FULL, b"\0\3", *(box(b"infe", b"\2\0\0\0", struct.pack(">HH", n, 0), k) for n, k in kinds)),
            box(b"iref", FULL, box(b"dimg", struct.pack(">HHHH", 1, 2, 3, 2))),
            box(b"iprp", box(b"ipco", box(b"ispe", b"a"), box(b"hvcC", b"b")), box(b"ipma", FULL, ASSOCIATIONS)),
            box(b"iloc", bytes([version, 0, 0, 0]), b"\x44\0", n_items, *(item(n, start) for n in (1, 2, 3))),
            box(b"idat", pixels) if is_inside else b"",
        )  # fmt: skip

    front = box(b"ftyp", b"heic")
    start = 0 if is_inside else len(front + meta(0)) + 8
    return front + meta(start) + box(b"mdat", pixels)


@pytest.mark.parametrize("version", [0, 1, 2])
@pytest.mark.parametrize("is_inside", [False, True])
def test_of_a_grid_the_first_tile_is_read(version: int, is_inside: bool) -> None:
    found = shown_item(tiled_file(version, is_inside=is_inside and version > 0))
    assert found == CodedItem(b"hvc1", {b"ispe": b"a", b"hvcC": b"b"}, b"first")


def test_boxes_of_each_size_are_read() -> None:
    long = struct.pack(">I4sQ", 1, b"long", 18) + b"ab"
    assert list(boxes(box(b"one ", b"1") + long + struct.pack(">I", 0) + b"restcd")) == [
        (b"one ", b"1"), (b"long", b"ab"), (b"rest", b"cd"),
    ]  # fmt: skip
    with pytest.raises(ValueError, match="shorter than its header"):
        list(boxes(struct.pack(">I", 7) + b"none"))


def test_numbers_of_headers() -> None:
    """Exponential Golomb codes of H.265, table 9-2 and 9-3; ns(5) of AV1, 4.10.7; emulation prevention, 7.3.1.1."""
    assert [BitReader(bytes([b])).unsigned() for b in (0b10000000, 0b01000000, 0b01100000, 0b00100000)] == [0, 1, 2, 3]
    signed = [BitReader(bytes([b])).signed() for b in (0x80, 0x40, 0x60, 0x20, 0x28)]
    assert signed == [0, 1, -1, 2, -2]
    assert [BitReader(bytes([b << 5])).below(5) for b in (0b000, 0b010, 0b100, 0b110, 0b111)] == [0, 1, 2, 3, 4]
    assert unescaped(b"\0\0\3\1\0\0\3\0\0\3\2\0\3") == b"\0\0\1\0\0\0\0\2\0\3"
    with pytest.raises(ValueError, match="too early"):
        BitReader(b"\1").bits(9)
    with pytest.raises(ValueError, match="not an exponential Golomb code"):
        BitReader(bytes(9)).unsigned()


# ---------------------------------------------------------------------------------------------------------------- TIFF


@pytest.mark.parametrize("quality", range(1, 101, 9))
def test_the_quality_of_jpeg_in_tiff_is_found(quality: int) -> None:
    for mode in ("RGB", "YCbCr", "L", "CMYK"):
        assert quality_of(NOISE.convert(mode), "TIFF", compression="jpeg", quality=quality) == quality


def test_the_chroma_of_jpeg_in_tiff_is_found() -> None:
    for factors, chroma in (((1, 1), "4:4:4"), ((2, 1), "4:2:2")):
        content = saved(NOISE.convert("YCbCr"), "TIFF", compression="jpeg", tiffinfo={530: factors})
        assert coding_of(content).chroma == chroma
    assert coding_of(saved(NOISE, "TIFF", compression="jpeg")).chroma is None  # red, green and blue


@pytest.mark.parametrize("offsets", [273, 324, 513])
def test_tables_inside_a_strip_a_tile_or_an_old_stream_are_read(offsets: int) -> None:
    """Any JPEG is such a piece with its tables."""
    content = saved(NOISE, "JPEG", quality=83, subsampling=2)
    tags = {offsets: 9} if offsets == 513 else {offsets: (9,), {273: 279, 324: 325}[offsets]: (len(content),)}
    assert jpeg_in_tiff({**tags, 262: 6}, bytes(9) + content) == (83, "4:2:0")
    assert jpeg_in_tiff(tags, bytes(9) + content) == (83, None)
    assert ZIGZAG[:6] + ZIGZAG[-3:] == [0, 1, 8, 16, 9, 2, 55, 62, 63]


def test_webp_in_tiff_is_read() -> None:
    for options, family in (({"quality": 60}, "WebP"), ({"lossless": True}, "lossless")):
        content = saved(photograph(), "WEBP", **options)
        tags = {259: 50001, 273: (5,), 279: (len(content),)}
        picture: Any = SimpleNamespace(mode="RGB", info={}, tag_v2=tags)
        coding = still_coding(picture, bytes(5) + content, "TIFF")
        assert coding.family == family
        assert (coding.quality is None) == (family == "lossless")


# ------------------------------------------------------------------------------------------------------- hostile bytes


def flipped(content: bytes, rng: np.random.Generator) -> bytes:
    damaged = bytearray(content)
    for at in rng.integers(0, min(len(content), 700), rng.integers(1, 6)):
        damaged[at] = rng.integers(256)
    return bytes(damaged)


def cut(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: rng.integers(0, min(len(content), 900))]


def filled(content: bytes, rng: np.random.Generator) -> bytes:
    at = int(rng.integers(0, min(len(content), 600)))
    return content[:at] + bytes([int(rng.choice([0, 127, 255]))]) * int(rng.integers(1, 40)) + content[at + 8 :]


MOSTLY_KNOWN = 0.02  # of damaged files have still a quality: the test reaches the parsers


@pytest.mark.parametrize("damage", [flipped, cut, filled])
@pytest.mark.parametrize("image_format", QUANTIZERS)
def test_damaged_bytes_cost_the_quality_only(
    image_format: str, damage: Callable[[bytes, np.random.Generator], bytes]
) -> None:
    if image_format == "HEIF":
        pytest.importorskip("pillow_heif")
    content = saved(NOISE, image_format, **({"compression": "jpeg"} if image_format == "TIFF" else {"quality": 50}))
    rng = np.random.default_rng(1)
    n_known = 0
    with Image.open(BytesIO(content)) as picture:
        whole = still_coding(picture, content, image_format)
        assert whole.quality is not None
        for _ in range(500):
            coding = still_coding(picture, damage(content, rng), image_format)
            n_known += coding.quality is not None
            assert coding.quality is None or 1 <= coding.quality <= 100
    assert MOSTLY_KNOWN * 500 < n_known < 500


@given(st.binary(max_size=300), st.integers(0, 3))
def test_any_bytes_after_the_boxes_are_read_or_refused(content: bytes, n_units: int) -> None:
    configuration = bytes(21) + b"\3\0"
    unit = struct.pack(">I", len(content)) + content
    for find, kind in ((avif_loss, b"av1C"), (heic_quality, b"hvcC")):
        try:
            found = find(CodedItem(b"", {kind: configuration}, content + unit * n_units))
        except (ValueError, KeyError, IndexError):
            continue
        assert found


def test_boxes_that_claim_much_cost_little() -> None:
    """Each would take minutes if it were believed."""
    content = tiled_file(1)
    start = content.index(b"iloc") + 4
    for hostile in (
        content[: start + 6] + b"\xff\xff" + content[start + 8 :],  # items
        content[: start + 14] + b"\xff\xff" + content[start + 16 :],  # extents
        content.replace(bytes.fromhex("00000002 0001 01"), bytes.fromhex("ffffffff 0001 01")),
        content.replace(struct.pack(">HHHH", 1, 2, 3, 2), struct.pack(">HHHH", 1, 2, 1, 2)),  # made of itself
        box(b"meta", FULL) + box(b"free") * 100_000,
    ):
        assert hostile != content
        picture: Any = SimpleNamespace(mode="RGB", info={})
        assert still_coding(picture, hostile, "HEIF").quality is None
    nested = bytes(12)
    for _ in range(3000):
        nested = bytes(12) + b"ANMF" + struct.pack("<I", len(nested) + 4) + bytes(4) + nested
    assert still_coding(SimpleNamespace(mode="RGB", info={}), nested, "WEBP").quality is None  # type: ignore[arg-type]
