"""The words of a refusal: format, kind, reason, remedy."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import SHARED, Run, needs_shared
from spectral_detect.errors import ImageReadError
from spectral_detect.media.images import decode
from spectral_detect.media.stills import png_chunks
from spectral_detect.media.stills.announced_size import announced_size
from spectral_detect.provenance.look import look

NOISE = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)


def saved(image_format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(NOISE).save(stream, image_format, **options)
    return stream.getvalue()


def tiff(bits: int, sample_format: int, photometric: int, n_samples: int, compression: int = 1) -> bytes:
    """An image of 16x16 zeros, with the tags of that kind."""
    size = 16 * 16 * n_samples * bits // 8
    after = 8 + 2 + 10 * 12 + 4
    tags = [(256, 3, 1, 16), (257, 3, 1, 16), (258, 3, n_samples, bits), (259, 3, 1, compression)]
    tags += [(262, 3, 1, photometric), (273, 4, 1, after + 16), (277, 3, 1, n_samples), (278, 3, 1, 16)]
    tags += [(279, 4, 1, size), (339, 3, 1, sample_format)]
    if n_samples > 2:
        tags[2] = (258, 3, n_samples, after)
    entries = b"".join(struct.pack("<HHLL", *tag) for tag in tags)
    head = b"II*\0" + struct.pack("<LH", 8, len(tags)) + entries + bytes(4)
    return head + struct.pack("<8H", *[bits] * 8) + bytes(size)


def bitmap(bits: int, compression: int = 0, n_header: int = 40, body: bytes = bytes(4096), masks: bytes = b"") -> bytes:
    fields = struct.pack("<IiiHHIIiiII", n_header, 16, 16, 1, bits, compression, len(body), 0, 0, 0, 0) + masks
    palette = bytes(range(256)) * 4 if bits <= 8 else b""
    header = fields[:n_header].ljust(n_header, b"\0") + palette[: 4 << bits]
    return b"BM" + struct.pack("<IHHI", 14 + len(header) + len(body), 0, 0, 14 + len(header)) + header + body


def with_colours(content: bytes, n_colours: int) -> bytes:
    """A bitmap whose header announces another number of colours."""
    return content[:46] + struct.pack("<I", n_colours) + content[50:]


def ycbcr_tiff(planes: int, subsampling: tuple[int, int], n_strip_bytes: int = 768) -> bytes:
    """An uncompressed image of 16x16 pixels, with luma and chroma."""
    numbers = {256: 16, 257: 16, 258: 8, 259: 1, 262: 6, 273: 200, 277: 3, 278: 16, 279: n_strip_bytes, 284: planes}
    entries = [struct.pack("<HHLHH", tag, 3, 1, number, 0) for tag, number in numbers.items()]
    entries[2] = struct.pack("<HHLL", 258, 3, 3, 190)
    entries.append(struct.pack("<HHLHH", 530, 3, 2, *subsampling))
    head = struct.pack("<2sHLH", b"II", 42, 8, len(entries)) + b"".join(entries) + bytes(4)
    return head.ljust(190, b"\0") + struct.pack("<HHHL", 8, 8, 8, 0) + bytes(n_strip_bytes)


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I", 8 + len(body)) + kind + body


def heif(coding: bytes) -> bytes:
    """A HEIF file whose one item is announced to be of some coding."""
    item = box(b"infe", struct.pack(">IHH4s", 2 << 24, 1, 0, coding), b"\0")
    items = box(b"iinf", struct.pack(">IH", 0, 1), item)
    shown = box(b"pitm", struct.pack(">IH", 0, 1))
    kind = box(b"hdlr", struct.pack(">II4s", 0, 0, b"pict"), bytes(13))
    return box(b"ftyp", b"mif1", bytes(4), b"mif1heif") + box(b"meta", bytes(4), kind, shown, items)


def alpha_in_a_plane() -> bytes:
    """A gray image and its alpha, one after the other."""
    numbers = {256: 16, 257: 16, 258: 8, 259: 1, 262: 1, 273: 0, 277: 2, 278: 16, 279: 0, 284: 2, 338: 2}
    entries = [struct.pack("<HHLHH", tag, 3, 1, number, 0) for tag, number in numbers.items()]
    entries[2] = struct.pack("<HHLHH", 258, 3, 2, 8, 8)
    entries[5], entries[8] = struct.pack("<HHLHH", 273, 3, 2, 200, 456), struct.pack("<HHLHH", 279, 3, 2, 256, 256)
    head = struct.pack("<2sHLH", b"II", 42, 8, len(entries)) + b"".join(entries) + bytes(4)
    return head.ljust(200, b"\0") + bytes(512)


def tiles_in_strips() -> bytes:
    """A gray image in tiles whose places stand where those of strips belong, as old programs wrote it."""
    numbers = {256: 20, 257: 20, 258: 8, 259: 1, 262: 1, 273: 200, 277: 1, 279: 256, 322: 16, 323: 16}
    entries = [struct.pack("<HHLHH", tag, 3, 1, number, 0) for tag, number in numbers.items()]
    entries[5], entries[7] = struct.pack("<HHLL", 273, 4, 4, 160), struct.pack("<HHLL", 279, 4, 4, 176)
    head = struct.pack("<2sHLH", b"II", 42, 8, len(entries)) + b"".join(entries) + bytes(4)
    places = struct.pack("<8L", *range(200, 1224, 256), *[256] * 4)
    return (head.ljust(160, b"\0") + places).ljust(200, b"\0") + bytes(1024)


def jpeg_frame(marker: int, bits: int, n_channels: int) -> bytes:
    """A JPEG of which only the header is real."""
    frame = struct.pack(">BHHB", bits, 16, 16, n_channels) + bytes((1, 0x11, 0)) * n_channels
    scan = b"\xff\xda" + struct.pack(">H", 3) + b"\0"
    return (
        b"\xff\xd8\xff" + bytes((marker,)) + struct.pack(">H", len(frame) + 2) + frame + scan + bytes(99) + b"\xff\xd9"
    )


AS_16 = "; convert to 8 or 16 bit"
AS_PNG = "; convert it to PNG"
REFUSED = {
    "float RGB": (tiff(32, 3, 2, 3), "TIFF, 32-bit float: the file does not tell which value is white"),
    "half-float gray": (tiff(16, 3, 1, 1), "TIFF, 16-bit float: the file does not tell which value is white"),
    "whole RGB": (tiff(32, 1, 2, 3), "TIFF, 32-bit whole-number pixels have no defined gray"),
    "seven samples": (tiff(8, 1, 1, 7), f"TIFF: 8-bit gray of 7 samples a pixel is not supported{AS_16}"),
    "JPEG 2000 in TIFF": (tiff(8, 1, 2, 3, 34712), "TIFF, 8 bit with JPEG 2000 inside; save it without compression"),
    "unknown compression": (tiff(8, 1, 1, 1, 65000), "TIFF, 8 bit with compression 65000 inside"),
    "TIFF without pixels": (tiff(8, 1, 1, 1, 5)[:-200], "TIFF: incomplete: the file ends before its pixels do"),
    "separate planes of chroma": (ycbcr_tiff(2, (2, 1)), f"TIFF: YCbCr in separate planes is not supported{AS_PNG}"),
    "less chroma": (ycbcr_tiff(1, (2, 1), 512), f"TIFF: YCbCr with fewer chroma samples is not supported{AS_PNG}"),
    "tiles in strips": (tiles_in_strips(), f"TIFF: tiles that are listed as strips are not supported{AS_PNG}"),
    "no strips": (tiff(8, 1, 1, 1).replace(struct.pack("<H", 273), struct.pack("<H", 272), 1), "TIFF: no pixels"),
    "TIFF without tags": (saved("TIFF", compression="tiff_lzw")[:100], "TIFF: incomplete: the file ends before"),
    "alpha in a plane": (alpha_in_a_plane(), f"TIFF: gray and alpha in separate planes are not supported{AS_PNG}"),
    "LogL": (tiff(16, 2, 32844, 1, 34676), "TIFF, 16-bit LogL; convert"),
    "64 bits": (bitmap(64), f"BMP: 64 bits a pixel are not supported{AS_PNG}"),
    "2 bits": (bitmap(2), f"BMP: 2 bits a pixel are not supported{AS_PNG}"),
    "JPEG in BMP": (bitmap(24, 4), f"BMP: JPEG inside is not supported{AS_PNG}"),
    "PNG in BMP": (bitmap(24, 5), f"BMP: PNG inside is not supported{AS_PNG}"),
    "OS/2": (bitmap(24, 0, 16), f"BMP: the header of OS/2, of 16 bytes, is not supported{AS_PNG}"),
    "RLE24": (bitmap(24, 4, 64), f"BMP: 24-bit run-length coding (OS/2) is not supported{AS_PNG}"),
    "Huffman": (bitmap(1, 3, 64), f"BMP: Huffman coding (OS/2) is not supported{AS_PNG}"),
    "cut RLE": (bitmap(8, 1, body=b"\x04\5\0\0\x04"), "BMP: incomplete: the file ends before its pixels do"),
    "JPEG in BMP, no bits": (bitmap(0, 4), f"BMP: JPEG inside is not supported{AS_PNG}"),
    "PNG in BMP, no bits": (bitmap(0, 5), f"BMP: PNG inside is not supported{AS_PNG}"),
    "no bits": (bitmap(0), "BMP: damaged or incomplete image"),
    "large palette": (with_colours(bitmap(8), 300), "BMP: a palette of more than 256 colours is not supported"),
    "BMP with a mark": (bitmap(2).replace(b"\0" * 4, b"mark", 1), "BMP: 2 bits a pixel are not supported"),
    "masks": (bitmap(16, 3, 56, masks=struct.pack("<4I", 0xF00, 0xF0, 0xF, 0)), "BMP: these masks of 16 bits a pixel"),
    "BMP of no size": (bitmap(24)[:30], "BMP: damaged or incomplete image (Truncated File Read); get an intact copy"),
    "lossless JPEG": (jpeg_frame(0xC3, 8, 3), f"JPEG: lossless files are not supported{AS_PNG}"),
    "12-bit JPEG": (jpeg_frame(0xC1, 12, 3), "JPEG: 12 bits a channel are not supported"),
    "two channels": (jpeg_frame(0xC0, 8, 2), f"JPEG: 2 channels are not supported{AS_PNG}"),
    "JPEG-LS": (jpeg_frame(0xF7, 8, 1), f"JPEG: JPEG-LS files are not supported{AS_PNG}"),
    "JPEG of nothing": (b"\xff\xd8\xff\xe0 and no more", "JPEG: damaged or incomplete image"),
    "PNG of no depth": (saved("PNG").replace(b"\x08\x02\0", b"\x07\x02\0", 1), "PNG: damaged or incomplete image"),
    "WebP of nothing": (saved("WEBP")[:40], "WEBP: damaged or incomplete image"),
    "AVIF cut": (saved("AVIF")[:200], "AVIF: damaged or incomplete image"),
    "AVIF of a strange kind": (saved("AVIF").replace(b"ispe", b"isqe"), "AVIF: damaged, or of a kind that is not"),
    "minimised HEIF": (box(b"ftyp", b"mif3heic") + bytes(99), "HEIF: the minimised form (brand mif3) is not sup"),
    "minimised AVIF": (box(b"ftyp", b"mif3avif") + bytes(99), "AVIF: the minimised form (brand mif3) is not sup"),
    "PNG sent as text": (saved("PNG").replace(b"\r\n", b"\n\n", 1), "PNG: its signature is damaged; get an"),
    "GIF of no size": (saved("GIF")[:6] + bytes(9), "GIF: damaged or incomplete image"),
    "JPEG with a gap": (b"\xff\xd8" + bytes(9) + saved("JPEG")[2:], "JPEG: damaged: no segment follows its start"),
    "JPEG 2000": (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(99), "JPEG 2000 is not a format that is read"),
    "Photoshop": (b"8BPS\0\1" + bytes(99), "Photoshop is not a format that is read"),
    "video": (b"\0\0\0\x18ftypisom" + bytes(99), "a video or a similar file, not a still image"),
    "text": (b"hello, I am a text", "not an image in a known format (JPEG, PNG"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_names_format_kind_reason_and_remedy(name: str, recwarn: pytest.WarningsRecorder) -> None:
    content, words = REFUSED[name]
    with pytest.raises(ImageReadError) as refused:
        decode(content)
    assert words in str(refused.value)
    assert not recwarn


@pytest.mark.parametrize(
    ("coding", "words"),
    [(b"unci", "uncompressed pixels"), (b"j2k1", "JPEG 2000"), (b"????", "the coding ????"), (b"hvc1", "damaged")],
)
def test_a_coding_of_heif_that_is_not_read_is_named(coding: bytes, words: str) -> None:
    pytest.importorskip("pillow_heif")
    with pytest.raises(ImageReadError, match="HEIF: ") as refused:
        decode(heif(coding))
    assert words in str(refused.value)
    assert ("convert it to PNG" in str(refused.value)) == (words != "damaged")


@needs_shared
def test_the_shared_float_tiff_says_what_it_is() -> None:
    with pytest.raises(ImageReadError, match="TIFF, 32-bit float"):
        decode((SHARED / "faults" / "errors" / "rgb_f32.tif").read_bytes())


def test_sixteen_bits_a_pixel_of_a_bitmap_are_eight_of_a_channel() -> None:
    red, green, blue = (NOISE[..., k].astype(np.uint16) >> shift for k, shift in ((0, 3), (1, 2), (2, 3)))
    rows = (red << 11 | green << 5 | blue)[::-1].astype("<u2").tobytes()
    masks = struct.pack("<4I", 0xF800, 0x7E0, 0x1F, 0)
    image = decode(bitmap(16, 3, 56, rows, masks))
    assert image.pixels.dtype == np.uint8
    assert np.abs(image.pixels.astype(int) - NOISE).max() < 8
    assert image.metadata is not None
    assert image.metadata.coding.kind == "lossless"


def large_avif(side: int) -> bytes:
    """An AVIF whose header announces another size than its pixels have."""
    return saved("AVIF").replace(struct.pack(">II", 16, 16), struct.pack(">II", side, side))


def test_a_large_avif_or_webp_is_refused_before_it_is_opened(tmp_path: Path, run: Run) -> None:
    (tmp_path / "large.avif").write_bytes(large_avif(17_000))
    result = run("scan", tmp_path / "large.avif", "--jobs", 0)
    assert "17000x17000 pixels, more than the limit of 120000000; see --max-pixels" in result.stdout
    with pytest.raises(ImageReadError, match="more than its decoder takes"):
        decode(large_avif(17_000), max_pixels=300_000_000)
    exif = Image.Exif()
    exif[0x0131] = "makes it extended"
    with pytest.raises(ImageReadError, match="16x16 pixels, more than the limit of 100"):
        decode(saved("WEBP", exif=exif), max_pixels=100)


def test_the_announced_size_is_that_of_the_picture() -> None:
    assert announced_size(saved("AVIF")) == (16, 16)
    assert announced_size(saved("PNG")) is None
    assert announced_size(b"") is None


def test_a_png_in_countless_chunks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    content = saved("PNG")
    crafted = content[:33] + 100 * (b"\0\0\0\0aaAa" + zlib.crc32(b"aaAa").to_bytes(4, "big")) + content[33:]
    assert decode(crafted).width == 16
    monkeypatch.setattr(png_chunks, "MOST_CHUNKS", 50)
    with pytest.raises(ImageReadError, match="PNG: more than 50 chunks; get an intact copy"):
        decode(crafted)
    assert "cannot be read" in str(look(crafted))
