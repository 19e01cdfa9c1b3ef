"""Find the parts of a file that hold metadata, in each container; nothing is decoded that is not asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from spectral_detect.media.coding import riff_chunks
from spectral_detect.media.quantizers.iso_items import boxes, metadata_items
from spectral_detect.media.stills.bare_files import JPEG_START, TIFF_STARTS
from spectral_detect.media.stills.jpeg_segments import COMMENT, EXIF, jpeg_segments
from spectral_detect.media.stills.png_chunks import SIGNATURE, chunks_of
from spectral_detect.provenance.fields import MOST_BYTES, MOST_OF_MANIFEST, MOST_SEGMENTS, Segment
from spectral_detect.provenance.png_texts import png_segment

APP11, APP13 = 0xEB, 0xED
EXIF_HEAD, XMP_HEAD = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
MORE_XMP_HEAD = b"http://ns.adobe.com/xmp/extension/\0"
MORE_XMP_NUMBERS = 40  # bytes: a digest, a length, an offset (XMP specification part 3, 1.1.3.1)
PHOTOSHOP_HEAD = b"Photoshop 3.0\0"
JUMBF_HEAD = b"JP"  # ISO/IEC 19566-5, annex D
JUMBF_NUMBERS, JUMBF_BOX = 8, 8  # bytes of its identifier, instance and sequence number; of the box's own header

C2PA_UUID = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")  # C2PA 2.1, 11.3.2.1 (ISO BMFF)
GIF_XMP = b"XMP DataXMP"
WEBP_KINDS = {b"EXIF": "exif", b"XMP ": "xmp", b"C2PA": "c2pa"}
PNG_ANNOUNCED = frozenset((b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"caBX"))


def segments_of(content: bytes) -> Iterator[Segment]:
    """Yield the parts of an image file that hold metadata, at most `MOST_SEGMENTS`, up to where it is damaged."""
    return islice(_whole(_reader(content)(content)), MOST_SEGMENTS)


def _whole(segments: Iterator[Segment]) -> Iterator[Segment]:
    """Yield segments until the container turns out to be malformed."""
    try:
        yield from segments
    except (ValueError, KeyError, IndexError, StopIteration, RuntimeError):
        return


def _reader(content: bytes) -> Callable[[bytes], Iterator[Segment]]:
    if content.startswith(JPEG_START):
        return _jpeg
    if content.startswith(SIGNATURE):
        return _png
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return _webp
    if content[4:8] == b"ftyp":
        return _iso
    return _tiff if content.startswith(TIFF_STARTS) else _gif if content.startswith(b"GIF8") else _none


def _none(content: bytes) -> Iterator[Segment]:
    return iter(())


def _jpeg(content: bytes) -> Iterator[Segment]:
    """Yield application data and comments; a manifest is cut into pieces, and comes as one, last."""
    pieces: list[bytes] = []
    first = 0
    for marker, start, end in jpeg_segments(content):
        if marker == APP11 and content.startswith(JUMBF_HEAD, start):
            first = first or start - 4
            begin = start + JUMBF_NUMBERS + (JUMBF_BOX if pieces else 0)
            pieces.append(content[begin:end])
        elif segment := _jpeg_segment(marker, content, start, end):
            yield segment
    if pieces:
        yield Segment("c2pa", f"JPEG APP11 at byte {first}", b"".join(pieces))


def _jpeg_segment(marker: int, content: bytes, start: int, end: int) -> Segment | None:
    at = start - 4
    if marker == EXIF:
        if content.startswith(EXIF_HEAD, start):
            return Segment("exif", f"JPEG APP1 at byte {at}", content[start + len(EXIF_HEAD) : end])
        if content.startswith(XMP_HEAD, start):
            return Segment("xmp", f"JPEG APP1 at byte {at}", content[start + len(XMP_HEAD) : end])
        if content.startswith(MORE_XMP_HEAD, start):
            return Segment(
                "xmp", f"JPEG APP1 at byte {at}", content[start + len(MORE_XMP_HEAD) + MORE_XMP_NUMBERS : end]
            )
    if marker == APP13 and content.startswith(PHOTOSHOP_HEAD, start):
        return Segment("iptc", f"JPEG APP13 at byte {at}", content[start + len(PHOTOSHOP_HEAD) : end])
    return Segment("comment", f"JPEG comment at byte {at}", content[start:end]) if marker == COMMENT else None


def _png(content: bytes) -> Iterator[Segment]:
    for chunk in chunks_of(content):
        if chunk.kind in PNG_ANNOUNCED:
            place = f"PNG chunk {chunk.kind.decode()} at byte {chunk.start}"
            if segment := png_segment(chunk.kind, chunk.body(content), place):
                yield segment


def _webp(content: bytes) -> Iterator[Segment]:
    for kind, body in riff_chunks(content):
        if kind in WEBP_KINDS:
            place = f"WebP chunk {kind.decode().strip()}"
            yield Segment(WEBP_KINDS[kind], place, body.removeprefix(EXIF_HEAD) if kind == b"EXIF" else body)


def _iso(content: bytes) -> Iterator[Segment]:
    """Yield what AVIF and HEIF hold: a box of its own for the manifest, items for the rest (ISO/IEC 23008-12, A)."""
    for kind, box in boxes(memoryview(content)):
        if kind == b"uuid" and box[:16] == C2PA_UUID:
            yield Segment("c2pa", "box uuid", bytes(box[16 : 16 + MOST_OF_MANIFEST]))
    for kind, item in metadata_items(content):
        if kind == b"Exif":
            yield Segment("exif", "item Exif", item[4 + int.from_bytes(item[:4], "big") :])
        elif b"xmpmeta" in item or b"rdf:RDF" in item:
            yield Segment("xmp", "item mime", item)


def _tiff(content: bytes) -> Iterator[Segment]:
    """Yield the whole file, which is laid out as EXIF is; the other kinds stand in its tags."""
    yield Segment("exif", "TIFF directory", content, key="TIFF")


def _gif(content: bytes) -> Iterator[Segment]:
    start = content.find(GIF_XMP)
    if start >= 0:
        yield Segment("xmp", f"GIF extension at byte {start}", content[start + len(GIF_XMP) :][:MOST_BYTES])
