"""Look at what the decoded picture adds to what a file says: watermarks, another thumbnail, earlier compression."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

import numpy as np
import PIL.Image

from spectral_detect.media.edits import as_rgb
from spectral_detect.media.images import DecodedImage
from spectral_detect.media.quantizers.jpeg_tables import libjpeg_quality
from spectral_detect.provenance.exif import ExifReader
from spectral_detect.provenance.findings import Finding, Provenance, gathered
from spectral_detect.provenance.picture.jpeg_history import first_compression
from spectral_detect.provenance.picture.known_tables import program_of
from spectral_detect.provenance.picture.thumbnail import LEAST_CORRELATION, correlation, gray_thumbnail
from spectral_detect.provenance.picture.watermark import watermark_findings
from spectral_detect.provenance.segments import segments_of
from spectral_detect.sources.pillow import quiet_pillow

Tables = tuple[tuple[int, ...], ...]


def with_pixels(said: Provenance, content: bytes, image: DecodedImage) -> Provenance:
    """Return what a file says with what its picture adds.

    Parameters
    ----------
    said : Provenance
        What stands in the bytes.
    content : bytes
        The whole file.
    image : DecodedImage
        Its picture, decoded with its colours.
    """
    with quiet_pillow():
        return gathered([*said.findings, *_guarded(content, image)])


def _guarded(content: bytes, image: DecodedImage) -> Iterator[Finding]:
    try:
        yield from _findings(content, image)
    except Exception as error:  # no picture may stop a scan because of what it adds to its provenance
        yield Finding("note", f"the picture could not be looked at in full ({type(error).__name__})", "pixels")


def _findings(content: bytes, image: DecodedImage) -> Iterator[Finding]:
    pixels = (image.pixels >> 8).astype(np.uint8) if image.pixels.dtype == np.uint16 else image.pixels
    if pixels.ndim == 3:
        yield from watermark_findings(as_rgb(pixels, image.is_ycc))
    luma = np.ascontiguousarray(pixels[..., 0 if image.is_ycc else 1]) if pixels.ndim == 3 else pixels
    if len(luma) < image.n_rows:
        yield Finding("note", f"truncated: only the upper {len(luma)} of {image.n_rows} rows are there", "pixels")
    yield from _thumbnails(content, luma, is_whole=len(luma) == image.n_rows)
    if image.format == "JPEG" and (image.is_ycc or pixels.ndim == 2):
        yield from _history(content, image, luma)


def _thumbnails(content: bytes, luma: np.ndarray, *, is_whole: bool) -> Iterator[Finding]:
    """Yield what is to say of each thumbnail; with a picture that lacks rows it is not compared."""
    for segment in segments_of(content):
        if segment.kind != "exif" or segment.key == "TIFF":
            continue
        thumbnail = ExifReader(segment).thumbnail()
        if thumbnail is None:
            continue
        place = f"{segment.place}, thumbnail"
        gray = gray_thumbnail(thumbnail) if is_whole else None
        agreement = correlation(gray, luma) if gray is not None else 1.0
        if agreement < LEAST_CORRELATION:
            text = (
                f"thumbnail shows another picture than the file (correlation {agreement:.2f}): cropped or edited since"
            )
            yield Finding("thumbnail", text, place)
        if tables := _tables(thumbnail):
            yield Finding("thumbnail", f"thumbnail {_program(tables, None)}", place)


def _history(content: bytes, image: DecodedImage, luma: np.ndarray) -> Iterator[Finding]:
    """Yield the tables of a JPEG, and its first compression if it was compressed twice."""
    tables = _tables(content)
    if not tables:
        return
    exact = image.metadata.jpeg_quality if image.metadata else None
    form = [image.metadata.coding.chroma or ""] if image.metadata else []
    form += ["progressive"] if image.metadata and image.metadata.is_progressive else []
    yield Finding("JPEG", ", ".join(filter(None, (f"JPEG {_program(tables, exact)}", *form))), "JPEG tables")
    first = first_compression(luma, tables[0]) if len(tables[0]) == 64 else None
    if first and first.is_found:
        text = f"JPEG compressed before, at a quality of about {first.quality} on libjpeg's scale"
        yield Finding("JPEG", text, "coefficients of the luma")


def _tables(content: bytes) -> Tables:
    try:
        with PIL.Image.open(BytesIO(content), formats=("JPEG",)) as picture:
            quantization = getattr(picture, "quantization", {})
            return tuple(tuple(table) for _, table in sorted(quantization.items()))
    except Exception:  # of an embedded thumbnail, which may be anything
        return ()


def _program(tables: Tables, exact: int | None) -> str:
    """Return whose tables these are, in words."""
    if (program := program_of(tables)) is not None:
        return f"tables of {program}"
    found, nearest = (exact, exact) if exact is not None else libjpeg_quality(tables)
    if found is not None:
        return f"tables of libjpeg at quality {found}, also used by many cameras"
    return f"tables of no program that is known here, nearest to libjpeg's at quality {nearest}"
