"""A camera's raw file is an error that says so, by its content; an ordinary TIFF with other images inside is judged."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from conftest import SHARED, Run, needs_shared
from spectral_detect.errors import ImageReadError
from spectral_detect.media.images import decode
from spectral_detect.sources.discovery import find_images
from spectral_detect.sources.formats import has_image_signature
from spectral_detect.sources.location import Location

SENSOR = np.random.default_rng(1).integers(0, 4096, (64, 64), dtype=np.uint16)
PREVIEW = np.random.default_rng(2).integers(0, 256, (32, 32, 3), dtype=np.uint8)
REDUCED = 1
RAW = "^a camera's raw file .*develop it first"


def tiff_of(*pages: tuple[np.ndarray, dict[str, Any]], inside: int = 0, maker: str = "", depth: int = 0) -> bytes:
    """A TIFF file; the last `inside` pages become sub-directories of the first."""
    stream = BytesIO()
    with tifffile.TiffWriter(stream) as writer:
        for number, (pixels, options) in enumerate(pages):
            extra = list(options.pop("extratags", []))
            extra += [(271, 2, 0, maker, True)] if maker and number == 0 else []
            subifds = inside if number == 0 else 0
            writer.write(pixels, metadata=None, extratags=extra, subifds=subifds, **options)
    return stream.getvalue()


def preview(**options: Any) -> tuple[np.ndarray, dict[str, Any]]:
    return PREVIEW, {"photometric": "rgb", **options}


def sensor(**options: Any) -> tuple[np.ndarray, dict[str, Any]]:
    return SENSOR, {"photometric": "cfa", **options}


DNG = {"extratags": [(50706, 1, 4, bytes((1, 4, 0, 0)), True)]}
LIKE_TIFF = {
    "DNG": lambda: tiff_of(preview(subfiletype=REDUCED, **DNG), sensor(), inside=1),
    "DNG, with version": lambda: tiff_of(preview(**DNG)),
    "NEF": lambda: tiff_of(preview(subfiletype=REDUCED), preview(), sensor(), inside=2, maker="NIKON CORPORATION"),
    "ARW": lambda: tiff_of(preview(subfiletype=REDUCED), sensor(), inside=1, maker="SONY"),
    "ARW, preview not marked": lambda: tiff_of(preview(), sensor(), inside=1, maker="SONY"),
    "PEF": lambda: tiff_of(sensor(), preview(subfiletype=REDUCED), maker="PENTAX"),
    "TIFF/EP": lambda: tiff_of(preview(), sensor()),
    "linear": lambda: tiff_of((np.dstack([SENSOR] * 3), {"photometric": "linear_raw"}), maker="unknown"),
}
STARTS = {
    "RAF": b"FUJIFILMCCD-RAW 0201FF389501X-T1",
    "CR3": b"\0\0\0\x18ftypcrx \0\0\0\1crx isom",
    "CR2": b"II*\0\x10\0\0\0CR\x02\0\0\0\0\0",
    "CRW": b"II\x1a\0\0\0HEAPCCDR\x02\0\1\0",
    "ORF": b"IIRO\x08\0\0\0\x12\0",
    "ORF, 2": b"IIRS\x08\0\0\0\x12\0",
    "ORF, 3": b"MMOR\0\0\0\x08\0\x12",
    "RW2": b"IIU\0\x18\0\0\0",
    "MRW": b"\0MRM\0\0\x12\x34",
    "X3F": b"FOVb\1\0\2\0",
}


@pytest.mark.parametrize("name", LIKE_TIFF)
def test_raw_files_that_look_like_tiff_are_refused(name: str) -> None:
    content = LIKE_TIFF[name]()
    with pytest.raises(ImageReadError, match=RAW) as caught:
        decode(content)
    if name in ("DNG", "NEF", "ARW", "PEF"):
        assert f"({name})" in str(caught.value)
    assert has_image_signature(content[:32])


def test_the_mark_of_phase_one_counts_beside_its_name_alone() -> None:
    for maker, is_raw in (("Phase One A/S", True), ("somebody", False)):
        content = tiff_of((np.tile(PREVIEW, (2, 2, 1)), {"photometric": "rgb"}), maker=maker)
        first = struct.unpack("<I", content[4:8])[0]
        assert first == 8  # the mark stands where the directory is now, so this goes to the end
        moved = bytearray(content) + content[8 : 8 + 2 + 12 * content[8] + 4]
        moved[4:12] = struct.pack("<I", len(content)) + b"IIII"
        if is_raw:
            with pytest.raises(ImageReadError, match=r"raw file \(IIQ\)"):
                decode(bytes(moved))
        else:
            assert decode(bytes(moved)).pixels.shape == (64, 64, 3)


@pytest.mark.parametrize("name", STARTS)
def test_other_raw_files_are_refused_by_their_first_bytes(name: str) -> None:
    content = STARTS[name] + bytes(1000)
    with pytest.raises(ImageReadError, match=RAW) as caught:
        decode(content)
    assert f"({name.split(',')[0]})" in str(caught.value)
    assert has_image_signature(content[:32])


@pytest.mark.parametrize("start", [b"IIRS guidelines", b"MMOR, a game", b"FOVbar is a word", b"CR2", b"FUJIFILM"])
def test_words_are_no_raw_files(start: bytes) -> None:
    assert not has_image_signature(start.ljust(32))


def test_a_preview_before_its_image_is_refused() -> None:
    full = SENSOR, {"photometric": "minisblack"}
    for content in (
        tiff_of(preview(subfiletype=REDUCED), full, inside=1),
        tiff_of(preview(subfiletype=REDUCED), full),
    ):
        with pytest.raises(ImageReadError, match="its first image is a preview"):
            decode(content)


def test_thumbnails_and_pyramids_are_no_raw_files() -> None:
    image = np.tile(PREVIEW, (2, 2, 1))
    whole = image, {"photometric": "rgb"}
    for content in (
        tiff_of(whole, preview(subfiletype=REDUCED), preview(subfiletype=REDUCED), inside=2),
        tiff_of(whole, preview(subfiletype=REDUCED)),
        tiff_of((image, {"photometric": "rgb"}), maker="NIKON CORPORATION"),
        tiff_of((image, {"photometric": "rgb", "subfiletype": REDUCED})),  # alone: it is all there is
    ):
        np.testing.assert_array_equal(decode(content).pixels, image)


def test_directories_that_lead_in_circles_end() -> None:
    content = bytearray(tiff_of(preview(), preview(subfiletype=REDUCED), inside=1))
    first = struct.unpack("<I", content[4:8])[0]
    with tifffile.TiffFile(BytesIO(bytes(content))) as tiff:
        where = tiff.pages[0].tags["SubIFDs"].valueoffset
    content[where : where + 4] = struct.pack("<I", first)
    np.testing.assert_array_equal(decode(bytes(content)).pixels, PREVIEW)


def test_raw_files_in_a_folder_become_errors(tmp_path: Path, run: Run) -> None:
    folder = tmp_path / "evidence"
    folder.mkdir()
    for number, content in enumerate([LIKE_TIFF["DNG"](), *(start + bytes(100) for start in STARTS.values())]):
        (folder / f"{number:02d}").write_bytes(content)
    for name in ("torn.nef", "torn.DNG"):
        (folder / name).write_bytes(b"")
    (folder / "notes.txt").write_text("IIRO")
    found = [Path(file.path).name for file in find_images([Location(str(folder))])]
    assert found == [*(f"{n:02d}" for n in range(len(STARTS) + 1)), "torn.DNG", "torn.nef"]
    result = run("scan", folder, "--jobs", 0, "--format", "csv")
    assert result.exit_code == 1
    assert result.stdout.count("a camera's raw file (") == len(STARTS) + 1


@needs_shared
def test_the_shared_raw_file_is_refused() -> None:
    with pytest.raises(ImageReadError, match=r"raw file \(DNG\)"):
        decode((SHARED / "faults" / "raw" / "preview.dng").read_bytes())
