"""What the picture adds: watermarks that are embedded here, thumbnails, and earlier compression."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
from PIL import Image
from PIL.JpegPresets import presets

import made_files as made
from conftest import EXAMPLES
from spectral_detect.media.images import decode
from spectral_detect.media.quantizers.jpeg_tables import CHROMA_TABLE, LUMA_TABLE, scaled_table
from spectral_detect.provenance.findings import Provenance
from spectral_detect.provenance.look import look
from spectral_detect.provenance.picture import known_tables
from spectral_detect.provenance.picture.jpeg_history import first_compression
from spectral_detect.provenance.picture.known_tables import TABLE, program_of, signature_of
from spectral_detect.provenance.picture.pixels import with_pixels
from spectral_detect.provenance.picture.thumbnail import correlation, gray_thumbnail
from spectral_detect.provenance.picture.watermark import BLOCK, MARKS, STEP, Mark, matches


def photograph(name: str = "Garden", side: int = 256) -> Image.Image:
    with Image.open(EXAMPLES / "real" / f"{name}.png") as image:
        return image.convert("RGB").resize((side, side))


def embedded(image: Image.Image, mark: Mark) -> Image.Image:
    """The encoder, written from its description, for images of bytes and of floats."""
    import cv2

    rgb = np.asarray(image)
    yuv = cv2.cvtColor(rgb if mark.kind == "bytes" else rgb.astype(np.float32), cv2.COLOR_RGB2YUV)
    chroma = yuv[..., 1].astype(np.float64)
    means = chroma.reshape(chroma.shape[0] // 2, 2, -1, 2).sum(axis=(1, 3)) / 2
    changed = means.copy()
    columns = means.shape[1] // BLOCK
    for number in range(means.shape[0] // BLOCK * columns):
        top, left = number // columns * BLOCK, number % columns * BLOCK
        block = changed[top : top + BLOCK, left : left + BLOCK]
        row, column = divmod(int(np.abs(block.ravel()[1:]).argmax()) + 1, BLOCK)
        value, bit = block[row, column], mark.bits[number % len(mark.bits)] == "1"
        block[row, column] = np.copysign((abs(value) // STEP + 0.25 + 0.5 * bit) * STEP, value)
    chroma += np.repeat(np.repeat((changed - means) / 2, 2, axis=0), 2, axis=1)
    kind = yuv.dtype
    yuv[..., 1] = np.clip(chroma, 0, 255).astype(kind) if kind == np.uint8 else chroma
    back = cv2.cvtColor(yuv, cv2.COLOR_YUV2RGB)
    return Image.fromarray(np.clip(back, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("mark", MARKS, ids=[mark.program for mark in MARKS])
def test_a_mark_is_found_and_no_other(mark: Mark) -> None:
    content = io.BytesIO()
    embedded(photograph("Aqua", 512), mark).save(content, "PNG")
    said = with_pixels(Provenance(), content.getvalue(), decode(content.getvalue()))
    (finding,) = said.findings
    assert finding.text.startswith(f"invisible watermark of {mark.program}: ")
    assert said.says_generated == "yes"


def test_the_number_of_bits_is_that_which_is_embedded() -> None:
    assert [len(mark.bits) for mark in MARKS] == [136, 32, 64, 48, 46]


def test_photographs_and_flat_images_have_none() -> None:
    images = [photograph(path.stem) for path in sorted((EXAMPLES / "real").glob("*.png"))]
    images += [Image.new("RGB", (256, 256), colour) for colour in ("white", "black", "red", "blue")]
    assert not any(match.is_found for image in images for match in matches(np.asarray(image)))


def test_images_smaller_than_the_encoder_takes_are_not_decoded() -> None:
    assert matches(np.zeros((255, 256, 3), np.uint8)) == []


# -------------------------------------------------------------------------------------------------------------- JPEG


def jpeg(image: Image.Image, quality: int | str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality, **options)
    return stream.getvalue()


def reread(content: bytes) -> Image.Image:
    with Image.open(io.BytesIO(content)) as image:
        return image.convert("RGB")


def luma_and_table(content: bytes) -> tuple[np.ndarray, list[int]]:
    with Image.open(io.BytesIO(content)) as image:
        table = image.quantization[0]
        image.draft("L", image.size)
        return np.asarray(image), table


@pytest.mark.parametrize("first", [50, 60, 70])
def test_a_coarser_first_compression_is_found_with_its_quality(first: int) -> None:
    content = jpeg(reread(jpeg(photograph("Aqua", 512), first)), 92)
    result = first_compression(*luma_and_table(content))
    assert result is not None
    assert result.is_found
    assert abs(result.quality - first) <= 2
    said = with_pixels(look(content), content, decode(content, colour=True))
    assert any(
        f.text.startswith(f"JPEG compressed before, at a quality of about {result.quality}") for f in said.findings
    )


@pytest.mark.parametrize("quality", [60, 75, 90, 95])
def test_a_single_compression_is_not_called_two(quality: int) -> None:
    for name in ("Aqua", "Garden"):
        result = first_compression(*luma_and_table(jpeg(photograph(name, 512), quality)))
        assert result is not None
        assert not result.is_found


def test_an_image_of_few_blocks_tells_nothing() -> None:
    assert first_compression(np.zeros((64, 64), np.uint8), [1] * 64) is None


@pytest.mark.parametrize(
    ("quality", "words"),
    [
        (90, "tables of libjpeg at quality 90, also used by many cameras, 4:2:0"),
        ("web_high", "tables of Photoshop, save for web, high, 4:4:4"),
        ("maximum", "tables of Photoshop, maximum, 4:4:4"),
    ],
)
def test_tables_name_their_program(quality: int | str, words: str) -> None:
    content = jpeg(photograph(), quality)
    said = with_pixels(Provenance(), content, decode(content, colour=True))
    assert said.findings[0].text == f"JPEG {words}"
    assert said.says_generated is None


# of the 32 files of iPhones, in rows
PHONE_LUMA = (
    2, 2, 2, 3, 4, 5, 6, 7, 2, 2, 2, 3, 4, 5, 6, 7, 2, 2, 3, 4, 5, 6, 7, 9, 3, 2, 4, 5, 6, 7, 9, 10, 4, 4, 5, 6, 7, 9,
    10, 12, 5, 5, 6, 7, 9, 10, 12, 12, 6, 6, 7, 9, 10, 12, 12, 12, 7, 7, 9, 10, 12, 12, 12, 12,
)  # fmt: skip
PHONE_CHROMA = (
    2, 2, 3, 5, 12, 12, 12, 12, 2, 3, 3, 8, 12, 12, 12, 12, 3, 3, 7, 12, 12, 12, 12, 12, 5, 8, 12, 12, 12, 12, 12, 12,
) + (12,) * 32  # fmt: skip


def test_tables_of_a_phone_name_it_and_prove_nothing() -> None:
    content = jpeg(photograph(), 50, qtables=[list(PHONE_LUMA), list(PHONE_CHROMA)])  # 50 keeps them as they are
    said = with_pixels(Provenance(), content, decode(content, colour=True))
    assert said.findings[0].text == "JPEG tables of Apple iPhone 7 and iPhone 11, 4:2:0"
    assert said.says_generated is None
    assert program_of([PHONE_LUMA, PHONE_LUMA]) is program_of([PHONE_LUMA]) is None


def test_signatures_are_those_of_jpegsnoop() -> None:
    """As its list has them: IJG Library 075 (the second of its two), and Photoshop Elements 2.0, Save As 10."""
    tables = (scaled_table(LUMA_TABLE, 75), scaled_table(CHROMA_TABLE, 75))
    assert signature_of(tables) == "0182408A81A4ABF04D4A34A8A5E98C58"
    assert signature_of(presets["maximum"]["quantization"]) == "012933907CE4B9D3C27E3E9D4D50BFD6"


def test_each_line_of_the_table_has_a_source_and_is_not_libjpegs() -> None:
    head, *lines = [line.split("\t") for line in TABLE.read_text(encoding="utf-8").splitlines()]
    assert head == ["signatures", "whose", "also", "source"] and len(lines) >= 20
    assert all(
        len(line) == 4 and re.fullmatch("01[0-9A-F]{30}( 01[0-9A-F]{30})?", line[0]) and line[1] and line[3]
        for line in lines
    )
    of_libjpeg = {signature_of((scaled_table(LUMA_TABLE, q), scaled_table(CHROMA_TABLE, q))) for q in range(1, 101)} | {
        signature_of((scaled_table(LUMA_TABLE, q),)) for q in range(1, 101)
    }
    signatures = [signature for line in lines for signature in line[0].split()]
    assert len(set(signatures)) == len(signatures) and not of_libjpeg & set(signatures)


def test_tables_that_others_use_too_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = {line.split("\t")[0]: line.split("\t") for line in TABLE.read_text(encoding="utf-8").splitlines()[1:]}
    for signatures, (_, whose, also, _) in lines.items():
        monkeypatch.setattr(known_tables, "signature_of", lambda tables, found=signatures[-32:]: found)
        assert program_of([[1] * 64]) == (f"{whose}, also used by {also}" if also else whose)


def test_tables_of_nobody_are_said_to_be_that() -> None:
    tables = [[2] * 63 + [3], [2] * 64]
    assert program_of(tables) is None
    content = jpeg(photograph(), 75, qtables=tables, progressive=True)
    said = with_pixels(Provenance(), content, decode(content, colour=True))
    assert said.findings[0].text.startswith("JPEG tables of no program that is known here, nearest to libjpeg's")
    assert said.findings[0].text.endswith("4:2:0, progressive")


# --------------------------------------------------------------------------------------------------------- thumbnail


def with_thumbnail(image: Image.Image, thumbnail: Image.Image) -> bytes:
    """EXIF with a second directory that leads to a JPEG, made by hand."""
    small = jpeg(thumbnail, 80)
    start = 8 + 6 + 2 + 2 * 12 + 4
    first = b"II*\0\x08\0\0\0" + (0).to_bytes(2, "little") + (14).to_bytes(4, "little")
    entries = b"".join(
        tag.to_bytes(2, "little") + (4).to_bytes(2, "little") + (1).to_bytes(4, "little") + value.to_bytes(4, "little")
        for tag, value in ((0x201, start), (0x202, len(small)))
    )
    exif = first + (2).to_bytes(2, "little") + entries + bytes(4) + small
    return jpeg(image, 90, exif=b"Exif\0\0" + exif)


def thumbnail_texts(content: bytes) -> list[str]:
    said = with_pixels(Provenance(), content, decode(content, colour=True))
    return [finding.text for finding in said.findings if finding.kind == "thumbnail"]


def test_a_thumbnail_of_another_picture_is_said() -> None:
    texts = thumbnail_texts(with_thumbnail(photograph("Aqua"), photograph("Garden", 120)))
    assert texts[0].startswith("thumbnail shows another picture than the file")
    assert texts[1] == "thumbnail tables of libjpeg at quality 80, also used by many cameras"


def test_a_truncated_file_is_called_that_and_not_cropped_or_edited() -> None:
    content = with_thumbnail(photograph("Aqua"), photograph("Garden", 120))
    part = content[: len(content) * 6 // 10]
    image = decode(part, colour=True)
    said = with_pixels(Provenance(), part, image)
    assert f"truncated: only the upper {len(image.pixels)} of 256 rows are there" in [f.text for f in said.findings]
    assert thumbnail_texts(part) == thumbnail_texts(content)[1:]  # all but that it shows another picture


@pytest.mark.parametrize("turns", [0, 90, 180, 270])
def test_the_same_picture_turned_or_with_bars_is_the_same(turns: int) -> None:
    bars = Image.new("RGB", (120, 140))
    bars.paste(photograph("Aqua", 120), (0, 10))
    texts = thumbnail_texts(with_thumbnail(photograph("Aqua").rotate(turns), bars))
    assert texts == ["thumbnail tables of libjpeg at quality 80, also used by many cameras"]


def test_a_broken_or_flat_thumbnail_says_nothing() -> None:
    assert gray_thumbnail(b"\xff\xd8\xff\xe0 broken") is None
    assert gray_thumbnail(jpeg(Image.new("RGB", (160, 120)), 80)) is None
    assert correlation(np.eye(32, dtype=np.uint8) * 255, np.zeros((64, 64), np.uint8)) == 1.0


def test_deep_gray_and_transparent_images_are_looked_at_as_well() -> None:
    deep = np.random.default_rng(0).integers(0, 2**16, (300, 300), dtype=np.uint16)
    stream = io.BytesIO()
    Image.fromarray(deep).save(stream, "PNG")
    assert with_pixels(Provenance(), stream.getvalue(), decode(stream.getvalue())) == Provenance()
    assert made.saved("WEBP") and with_pixels(Provenance(), b"", decode(made.saved("WEBP"))) == Provenance()
