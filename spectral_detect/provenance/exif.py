"""Read from EXIF the few tags that tell of an image's origin."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from PIL.TiffImagePlugin import ImageFileDirectory_v2

from spectral_detect.media.tiff.directories import directory_at
from spectral_detect.provenance.fields import MOST_BYTES, MOST_OF_MANIFEST, MOST_TEXT, Field, Segment

# Exif 3.0 (CIPA DC-008), 4.6; the two of Windows in its Photo Metadata Policies
MAIN_TAGS = {
    0x010E: "ImageDescription",
    0x010F: "Make",
    0x0110: "Model",
    0x0131: "Software",
    0x0132: "DateTime",
    0x013B: "Artist",
    0x9003: "DateTimeOriginal",
    0x927C: "MakerNote",
    0x9286: "UserComment",
    0x9C9C: "XPComment",
}
SUB_DIRECTORY, THUMBNAIL_START, THUMBNAIL_BYTES = 0x8769, 0x0201, 0x0202
TIFF_KINDS = {700: "xmp", 33723: "iptc", 0xCD41: "c2pa"}
CHARSET_BYTES = 8  # before a UserComment's text
LONGEST_NOTE = 200  # bytes of a MakerNote: most are binary, and those of generators are short texts
TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


class ExifReader:
    """The directories of one EXIF block; what is damaged in it counts as absent.

    Parameters
    ----------
    segment : Segment
        Its body begins with a TIFF header.
    """

    def __init__(self, segment: Segment) -> None:
        self._place, self._content = segment.place, segment.body
        self._main = self._directory(None)
        self._next = getattr(self._main, "next", 0)

    def fields(self) -> Iterator[Field]:
        """Yield the tags that are texts."""
        for directory in (self._main, self._sub_directory()):
            for tag, name in MAIN_TAGS.items():
                if directory is not None and tag in directory:
                    text = _text_of(tag, _value(directory, tag))
                    if text:
                        yield Field(name, text, f"{self._place}, tag {name}")

    def segments(self) -> Iterator[Segment]:
        """Yield the metadata of other kinds that stand in a TIFF file's tags."""
        for tag, kind in TIFF_KINDS.items():
            value = None if self._main is None or tag not in self._main else _value(self._main, tag)
            body = _bytes_of(value)
            if body:
                yield Segment(kind, f"TIFF tag {tag}", body[: MOST_OF_MANIFEST if kind == "c2pa" else MOST_BYTES])

    def thumbnail(self) -> bytes | None:
        """Return the JPEG that stands in the second directory; None if there is none."""
        directory = self._directory(self._next) if self._next else None
        start, size = (_value(directory, tag) if directory else None for tag in (THUMBNAIL_START, THUMBNAIL_BYTES))
        if not (isinstance(start, int) and isinstance(size, int)) or size > MOST_BYTES:
            return None
        picture = self._content[start : start + size]
        return picture if picture.startswith(b"\xff\xd8\xff") else None

    def _sub_directory(self) -> ImageFileDirectory_v2 | None:
        offset = _value(self._main, SUB_DIRECTORY) if self._main is not None else None
        return self._directory(offset) if isinstance(offset, int) and offset else None

    def _directory(self, offset: int | None) -> ImageFileDirectory_v2 | None:
        """Return the directory at an offset, or the first one."""
        if not self._content.startswith(TIFF_HEADS):
            return None
        try:
            return directory_at(self._content, offset)
        except Exception:  # hostile bytes may make Pillow raise anything
            return None


def _value(directory: ImageFileDirectory_v2, tag: int) -> Any:
    try:
        return directory.get(tag)
    except Exception:  # a tag whose type and content do not agree
        return None


def _bytes_of(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("latin-1", "replace")
    if isinstance(value, tuple) and all(isinstance(number, int) and 0 <= number < 2**32 for number in value):
        return struct.pack(f"<{len(value)}{'B' if max(value, default=0) < 256 else 'L'}", *value)
    return value if isinstance(value, bytes) else b""


def _text_of(tag: int, value: Any) -> str:
    if isinstance(value, str):
        return value[:MOST_TEXT].strip("\0 ")
    content = _bytes_of(value)
    name = MAIN_TAGS[tag]
    if name == "UserComment":
        return _comment(content[:MOST_TEXT])
    if name == "XPComment":
        return content[:MOST_TEXT].decode("utf-16-le", "replace").strip("\0 ")
    return content[:LONGEST_NOTE].decode("utf-8", "replace").strip("\0 ")


def _comment(content: bytes) -> str:
    """Return the text of a UserComment, whose first bytes name its character set (Exif 3.0, 4.6.6.5)."""
    charset, body = content[:CHARSET_BYTES], content[CHARSET_BYTES:]
    if charset.startswith(b"UNICODE"):
        is_little = body[1::2].count(0) > body[::2].count(0)  # no byte order is prescribed
        return body.decode("utf-16-le" if is_little else "utf-16-be", "replace").strip("\0 \ufeff")
    known = charset.rstrip(b"\0") in (b"ASCII", b"JIS", b"")
    return (body if known else content).decode("utf-8", "replace").strip("\0 ")
