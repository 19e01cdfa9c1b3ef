"""What the header of a file says of its history."""

from __future__ import annotations

import struct
from io import BytesIO

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from spectral_detect.media.header import Metadata, _layout
from spectral_detect.media.images import decode
from spectral_detect.media.quantizers.jpeg_tables import CHROMA_TABLE, LUMA_TABLE, libjpeg_quality, scaled_table

NOISE = np.random.default_rng(0).integers(0, 256, (48, 40, 3), dtype=np.uint8)


def by_pillow(image_format: str = "JPEG", **options: object) -> bytes:
    stream = BytesIO()
    Image.fromarray(NOISE).save(stream, image_format, **options)
    return stream.getvalue()


def by_opencv(suffix: str = ".jpg", *options: int) -> bytes:
    return bytes(cv2.imencode(suffix, NOISE[..., ::-1], list(options))[1])


def metadata_of(content: bytes) -> Metadata:
    metadata = decode(content, colour=True).metadata
    assert metadata is not None
    return metadata


@pytest.mark.parametrize("quality", range(1, 101))
def test_every_quality_of_libjpeg_is_found_exactly(quality: int) -> None:
    contents = [by_pillow(quality=quality), by_opencv(".jpg", cv2.IMWRITE_JPEG_QUALITY, quality)]
    gray = BytesIO()
    Image.fromarray(NOISE[..., 0]).save(gray, "JPEG", quality=quality)
    for content in (*contents, gray.getvalue()):
        facts = metadata_of(content)
        assert (facts.jpeg_quality, facts.coding.quality, facts.quality) == (quality, quality, str(quality))


def test_other_tables_are_custom_with_the_nearest_quality() -> None:
    luma, chroma = (list(scaled_table(table, 80)) for table in (LUMA_TABLE, CHROMA_TABLE))
    luma[5] += 1
    facts = metadata_of(by_pillow(qtables=[luma, chroma]))
    assert (facts.jpeg_quality, facts.quality) == (None, "custom (about 80)")
    mixed = [scaled_table(LUMA_TABLE, 80), scaled_table(CHROMA_TABLE, 60)]
    assert libjpeg_quality(tuple(mixed)) == (None, 80)
    assert libjpeg_quality((mixed[0],)) == (80, 80)


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_subsampling(subsampling: str) -> None:
    assert metadata_of(by_pillow(subsampling=subsampling)).coding.chroma == subsampling


def test_unusual_and_absent_subsampling() -> None:
    vertical = by_opencv(".jpg", cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_440)
    assert metadata_of(vertical).coding.chroma == "other"
    assert metadata_of(by_pillow("PNG")).coding.chroma is None


def test_progressive_gray_exif_and_software() -> None:
    plain = metadata_of(by_pillow())
    assert (plain.is_progressive, plain.is_gray, plain.has_exif, plain.software) == (False, False, False, None)
    assert metadata_of(by_pillow(progressive=True)).is_progressive
    exif = Image.Exif()
    exif[0x0131] = " Editor 1.0\0"
    tagged = metadata_of(by_pillow(exif=exif.tobytes()))
    assert (tagged.has_exif, tagged.software) == (True, "Editor 1.0")
    stream = BytesIO()
    Image.fromarray(NOISE[..., 0]).save(stream, "PNG")
    assert metadata_of(stream.getvalue()).is_gray


def test_a_long_software_tag_is_cut() -> None:
    exif = Image.Exif()
    exif[0x0131] = "x" * 500
    assert metadata_of(by_pillow(exif=exif.tobytes())).software == "x" * 80


def test_the_layout_tells_writers_apart() -> None:
    assert metadata_of(by_opencv(".png")).layout != metadata_of(by_pillow("PNG")).layout
    assert metadata_of(by_opencv(".png")).layout == "IHDR effort 0"
    assert metadata_of(by_pillow("PNG")).layout == "IHDR effort 2"
    assert metadata_of(by_opencv(".jpg", cv2.IMWRITE_JPEG_QUALITY, 75)).layout == metadata_of(by_pillow()).layout
    standard = "JFIF DB DB C0 C4 C4 C4 C4 DA"
    assert metadata_of(by_pillow(comment=b"hello")).layout == metadata_of(by_pillow()).layout == standard
    assert metadata_of(by_pillow(optimize=True)).layout == f"{standard} optimised"


def test_metadata_do_not_change_the_layout() -> None:
    """The standard's codes in a thumbnail are not the image's."""
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    block = exif.tobytes() + by_pillow()
    assert metadata_of(by_pillow(optimize=True, exif=block)).layout.endswith("DA optimised")


@pytest.mark.parametrize("content", [by_pillow(), by_pillow("PNG")])
@pytest.mark.parametrize("length", [0, 2, 3, 5, 20, 21, 100, 300])
def test_a_torn_header_is_said_to_be_torn_or_read(content: bytes, length: int) -> None:
    image_format = "JPEG" if content[:2] == b"\xff\xd8" else "PNG"
    assert _layout(content[:length], image_format)


def test_a_segment_of_no_length_ends() -> None:
    endless = b"\xff\xd8" + struct.pack(">BBH", 0xFF, 0xE1, 0) * 3 + b"\xff" * 200
    assert isinstance(_layout(endless, "JPEG"), str)
    assert isinstance(_layout(b"\x89PNG\r\n\x1a\n" + bytes(4000), "PNG"), str)


@settings(deadline=None, max_examples=300)
@given(content=st.binary(max_size=300), image_format=st.sampled_from(["JPEG", "PNG"]), start=st.booleans())
def test_no_bytes_crash_the_layout(content: bytes, image_format: str, start: bool) -> None:
    signature = {"JPEG": b"\xff\xd8\xff", "PNG": b"\x89PNG\r\n\x1a\n"}[image_format]
    layout = _layout(signature + content if start else content, image_format)
    assert len(layout) < 2000
