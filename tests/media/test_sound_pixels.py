"""Pixels that are sound are judged, whatever their file says beside them."""

from __future__ import annotations

import io
import os
import shutil
import struct
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from conftest import EXAMPLES, ROOT, SHARED, needs_shared, texture
from spectral_detect.errors import ImageReadError
from spectral_detect.media.images import decode
from spectral_detect.media.stills.png_chunks import NO_ANIMATION, NO_TRANSPARENCY, SIGNATURE

FAULTS = SHARED / "faults"
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture
def rgb(rng: np.random.Generator) -> np.ndarray:
    return cv2.GaussianBlur(texture(rng, 48), (0, 0), 2)


def saved(picture: Image.Image, image_format: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, image_format, **options)
    return stream.getvalue()


def chunk(kind: bytes, body: bytes, *, is_sound: bool = True) -> bytes:
    checksum = zlib.crc32(kind + body) ^ (not is_sound)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def with_chunk(content: bytes, extra: bytes, before: bytes = b"IDAT") -> bytes:
    at = content.index(before) - 4
    return content[:at] + extra + content[at:]


# --------------------------------------------------------------------------------------------------------------- PNG

LONG = b"prompt " * 300_000
BROKEN_CHUNKS = {
    "long text": chunk(b"tEXt", b"prompt\0" + LONG),
    "long compressed text": chunk(b"zTXt", b"prompt\0\0" + zlib.compress(LONG)),
    "long international text": chunk(b"iTXt", b"prompt\0\1\0\0\0" + zlib.compress(LONG)),
    "long text that is read": chunk(b"zTXt", b"Software\0\0" + zlib.compress(LONG)),
    "text in an unknown compression": chunk(b"zTXt", b"Software\0\7" + zlib.compress(b"x")),
    "long profile": chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(3_000_000))),
    "empty profile": chunk(b"iCCP", b"icc\0"),
    "profile in an unknown compression": chunk(b"iCCP", b"icc\0\5abc"),
    "text with a bad checksum": chunk(b"tEXt", b"Comment\0hello", is_sound=False),
    "EXIF with a bad checksum": chunk(b"eXIf", b"MM\0*\0\0\0\x08", is_sound=False),
    "EXIF that is none": chunk(b"eXIf", b"nothing of the kind"),
    "short pHYs": chunk(b"pHYs", b"\0\0\0\1"),
    "short gAMA": chunk(b"gAMA", b"\0"),
    "short cHRM": chunk(b"cHRM", bytes(8)),
    "empty sRGB": chunk(b"sRGB", b""),
    "empty sBIT": chunk(b"sBIT", b"", is_sound=False),
    "private chunk": chunk(b"prVt", b"anything", is_sound=False),
}


@pytest.mark.parametrize("before", [b"IDAT", b"IEND"])
@pytest.mark.parametrize("name", BROKEN_CHUNKS)
def test_a_chunk_that_is_not_the_picture_cannot_refuse_it(rgb: np.ndarray, name: str, before: bytes) -> None:
    image = decode(with_chunk(saved(Image.fromarray(rgb), "PNG"), BROKEN_CHUNKS[name], before))
    np.testing.assert_array_equal(image.pixels, rgb)
    assert image.warnings == ()


def test_nor_can_a_file_that_is_cut_after_the_picture(rgb: np.ndarray) -> None:
    content = with_chunk(saved(Image.fromarray(rgb), "PNG"), BROKEN_CHUNKS["long text"], b"IEND")
    np.testing.assert_array_equal(decode(content[:-100_000]).pixels, rgb)


def test_sixteen_bits_of_colour_are_read_beside_a_broken_chunk(rng: np.random.Generator) -> None:
    deep = rng.integers(0, 2**16, (40, 50, 3), dtype=np.uint16)
    content = cv2.imencode(".png", deep[..., ::-1])[1].tobytes()
    np.testing.assert_array_equal(decode(with_chunk(content, BROKEN_CHUNKS["long profile"])).pixels, deep)


def test_what_is_sound_beside_a_broken_chunk_is_read(rgb: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    content = saved(Image.fromarray(rgb[:32]), "PNG", exif=exif)
    content = with_chunk(content, chunk(b"tEXt", b"Software\0a generator") + BROKEN_CHUNKS["short pHYs"])
    image = decode(content)
    assert (image.width, image.height) == (32, 48)
    assert image.metadata is not None
    assert (image.metadata.software, image.metadata.has_exif) == ("a generator", True)
    assert image.metadata.layout.startswith("IHDR eXIf tEXt pHYs")


@pytest.mark.parametrize("kind", [b"IHDR", b"PLTE", b"IDAT"])
def test_a_bad_checksum_of_the_picture_is_an_error(rgb: np.ndarray, kind: bytes) -> None:
    content = bytearray(saved(Image.fromarray(rgb).quantize(32), "PNG"))
    at = content.index(kind)
    content[at + 4 + struct.unpack(">I", content[at - 4 : at])[0]] ^= 1
    with pytest.raises(ImageReadError, match=r"PNG: .*checksum.*; get an intact copy"):
        decode(bytes(content))


def test_damaged_transparency_and_animations_are_told(rgb: np.ndarray) -> None:
    content = saved(Image.fromarray(rgb), "PNG")
    for extra in (chunk(b"tRNS", bytes(6), is_sound=False), chunk(b"tRNS", bytes(3))):
        image = decode(with_chunk(content, extra))
        np.testing.assert_array_equal(image.pixels, rgb)
        assert image.warnings == (NO_TRANSPARENCY,)
    frames = [Image.fromarray(np.roll(rgb, k, axis=0)) for k in (0, 9)]
    animation = saved(frames[0], "PNG", save_all=True, append_images=frames[1:])
    at = animation.index(b"fcTL")
    for broken in (at + 4 + 3, at + 4 + 26):  # the number in sequence, the checksum
        torn = bytearray(animation)
        torn[broken] ^= 1
        image = decode(bytes(torn))
        np.testing.assert_array_equal(image.pixels, rgb)
        assert image.warnings == (NO_ANIMATION,)


def test_apples_variant_of_png_is_named(rgb: np.ndarray) -> None:
    content = saved(Image.fromarray(rgb), "PNG")
    with pytest.raises(ImageReadError, match=r"PNG: Apple.*CgBI.*; convert it"):
        decode(SIGNATURE + chunk(b"CgBI", bytes(4)) + content[len(SIGNATURE) :])


@needs_shared
@pytest.mark.parametrize("name", ["itxt_2mb_compressed.png", "text_badcrc.png"])
def test_the_shared_files_give_the_pixels_of_the_plain_one(name: str) -> None:
    plain = decode((FAULTS / "png" / "plain.png").read_bytes())
    image = decode((FAULTS / "png" / name).read_bytes())
    np.testing.assert_array_equal(image.pixels, plain.pixels)
    assert image.warnings == plain.warnings


# ---------------------------------------------------------------------------------------------------- JPEG, WebP, TIFF


def segment(marker: int, body: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


@pytest.mark.parametrize(
    "broken",
    [
        segment(0xE2, b"ICC_PROFILE\0"),
        segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04"),
        segment(0xE0, b"JFIF"),
        segment(0xEE, b"Adobe"),
        segment(0xE1, b"Exif\0\0MM\0*\xff\xff\xff\xff"),
        segment(0xE2, b"MPF\0MM\0*\0\0\0\x08\0\0"),
        segment(0xE1, b""),
        segment(0xFE, bytes(60_000)),
    ],
)
def test_broken_application_data_cannot_refuse_a_jpeg(rgb: np.ndarray, broken: bytes) -> None:
    exif = Image.Exif()
    exif[0x0131] = "a camera"
    plain = saved(Image.fromarray(rgb), "JPEG", quality=80, exif=exif)
    image = decode(plain[:2] + broken + plain[2:], colour=True)
    np.testing.assert_array_equal(image.pixels, decode(plain, colour=True).pixels)
    assert image.metadata is not None
    if not broken.startswith(b"\xff\xe1"):
        assert image.metadata.software == "a camera"


@pytest.mark.parametrize("damage", ["cut in EXIF", "EXIF too long", "no EXIF"])
def test_broken_chunks_cannot_refuse_a_webp(rgb: np.ndarray, damage: str) -> None:
    exif = Image.Exif()
    exif[0x0131] = "a camera"
    content = saved(Image.fromarray(rgb), "WEBP", lossless=True, exif=exif, icc_profile=ICC)
    at = content.index(b"EXIF")
    if damage == "cut in EXIF":
        content = content[: at + 20]
    elif damage == "EXIF too long":
        content = content[: at + 4] + struct.pack("<I", 10**6) + content[at + 8 :]
    else:
        content = content[:at]
    np.testing.assert_array_equal(decode(content).pixels, rgb)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "jpeg"])
@pytest.mark.parametrize("byte_order", [b"II", b"MM"])
def test_a_tag_that_points_nowhere_cannot_refuse_a_tiff(
    rgb: np.ndarray, compression: str | None, byte_order: bytes
) -> None:
    tags = {270: "a description that is too long to stand in its entry", 305: "a program", 700: b"<xmp/>" * 9}
    plain = saved(Image.fromarray(rgb), "TIFF", compression=compression, tiffinfo=tags)
    if byte_order == b"MM":
        plain = big_endian(rgb)
    order = "<" if plain[:2] == b"II" else ">"
    (start,) = struct.unpack_from(order + "L", plain, 4)
    entries = range(start + 2, start + 2 + 12 * struct.unpack_from(order + "H", plain, start)[0], 12)
    torn = bytearray(plain)
    broken = [at for at in entries if struct.unpack_from(order + "H", plain, at)[0] in (270, 282)]
    assert broken
    for at in broken:
        struct.pack_into(order + "L", torn, at + 8, 2**31)
    np.testing.assert_array_equal(decode(bytes(torn)).pixels, decode(plain).pixels)


def big_endian(rgb: np.ndarray) -> bytes:
    """An uncompressed TIFF with Motorola's byte order and a description that lies apart."""
    height, width = rgb.shape[:2]
    tags = {256: (3, width), 257: (3, height), 258: (3, 8), 259: (3, 1), 262: (3, 2), 277: (3, 3), 278: (3, height)}
    after = 8 + 2 + 12 * (len(tags) + 4) + 4
    entries = [(tag, kind, 1, struct.pack(">HH", value, 0)) for tag, (kind, value) in tags.items()]
    entries += [(258, 3, 3, struct.pack(">L", after))]
    entries = [entry for entry in entries if entry[:3] != (258, 3, 1)]
    entries += [(270, 2, 8, struct.pack(">L", after + 6)), (273, 4, 1, struct.pack(">L", after + 14))]
    entries += [(279, 4, 1, struct.pack(">L", rgb.nbytes)), (284, 3, 1, struct.pack(">HH", 1, 0))]
    directory = b"".join(struct.pack(">HHL", *entry[:3]) + entry[3] for entry in sorted(entries))
    head = b"MM\0*" + struct.pack(">LH", 8, len(entries)) + directory + bytes(4)
    head = head.ljust(after, b"\0")
    return head + struct.pack(">HHH", 8, 8, 8) + b"painted\0" + rgb.tobytes()


# ------------------------------------------------------------------------------------------------------------- stderr


def cut_tiff(rgb: np.ndarray) -> bytes:
    """A TIFF with JPEG inside whose pixels are missing: libtiff complains on stderr by itself."""
    content = bytearray(saved(Image.fromarray(rgb), "TIFF", compression="jpeg"))
    order = "<" if content[:2] == b"II" else ">"
    (start,) = struct.unpack_from(order + "L", content, 4)
    for k in range(struct.unpack_from(order + "H", content, start)[0]):
        at = start + 2 + 12 * k
        if struct.unpack_from(order + "H", content, at)[0] == 273:
            struct.pack_into(order + "L", content, at + 8, len(content) + 1000)
    return bytes(content)


def test_no_library_writes_to_stderr(rgb: np.ndarray, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ImageReadError, match="TIFF: incomplete"):
        decode(cut_tiff(rgb))
    print("our own words", file=sys.stderr, flush=True)
    os.write(2, b"and those after them\n")
    assert capfd.readouterr().err == "our own words\nand those after them\n"


def test_other_threads_leave_stderr_alone(rgb: np.ndarray) -> None:
    before = os.fstat(2)
    seen: list[os.stat_result] = []
    thread = threading.Thread(target=lambda: (decode(saved(Image.fromarray(rgb), "PNG")), seen.append(os.fstat(2))))
    thread.start()
    thread.join()
    assert os.path.samestat(before, seen[0])


def test_decoding_works_without_stderr(rgb: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(saved(Image.fromarray(rgb), "PNG"))
    code = "from spectral_detect import read_image; print(read_image('a.png').width)"
    command = f'{sys.executable} -c "{code}" 2>&-'
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, env=environment, capture_output=True, check=True)
    assert done.stdout == b"48\n"


@needs_shared
def test_the_shared_tiff_makes_no_noise_in_the_scanning_process(tmp_path: Path) -> None:
    noisy = FAULTS / "errors" / "libtiff_noise_jobs0.tif"
    command = [sys.executable, "-m", "spectral_detect", "scan", str(noisy), "--jobs", "0", "--format", "jsonl"]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=False)
    assert done.stderr.startswith(b"error: ")
    assert done.stderr.count(b"\n") == 1  # our own word for it
    assert b"TIFF: incomplete" in done.stdout


@needs_shared
def test_a_noisy_frame_among_others_makes_none(tmp_path: Path) -> None:
    for k, path in enumerate(sorted((EXAMPLES / "fake").glob("*.png"))[:3]):
        shutil.copy(path, tmp_path / f"{2 * k}.png")
    shutil.copy(FAULTS / "errors" / "libtiff_noise_jobs0.tif", tmp_path / "1.tif")
    command = [sys.executable, "-m", "spectral_detect", "video", str(tmp_path), "--jobs", "0", "--format", "jsonl"]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=False)
    assert b"frame 1.tif skipped: TIFF: incomplete" in done.stdout
    assert done.stderr == b""
