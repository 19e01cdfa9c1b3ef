"""Read the texts of a PNG file, none of which may grow beyond a limit when it is decompressed."""

from __future__ import annotations

import re
import zlib

from spectral_detect.provenance.fields import MOST_BYTES, MOST_TEXT, Segment

XMP_KEY, RAW_KEY = "XML:com.adobe.xmp", "Raw profile type "
RAW_KINDS = {"xmp": "xmp", "exif": "exif", "app1": "exif", "iptc": "iptc"}
RAW_HEAD = re.compile(rb"\s*\w+\s+\d+\s+")  # a name and the number of bytes, before the hexadecimal digits
LONGEST_KEY = 79  # PNG, third edition, 11.3.3.2


def png_segment(kind: bytes, body: bytes, place: str) -> Segment | None:
    """Return what a chunk of a PNG file holds; None if it is malformed.

    Parameters
    ----------
    kind : bytes
        Its name: a text, "eXIf" or "caBX".
    body : bytes
        Its content.
    place : str
        Where it stands.
    """
    if kind in (b"eXIf", b"caBX"):
        return (
            Segment("exif", place, body.removeprefix(b"Exif\0\0")) if kind == b"eXIf" else Segment("c2pa", place, body)
        )
    key, found, rest = body[: MOST_BYTES + LONGEST_KEY].partition(b"\0")
    if not found or len(key) > LONGEST_KEY:
        return None
    text = _text_of(kind, rest)
    return None if text is None else _by_keyword(key.decode("latin-1"), text, place)


def _text_of(kind: bytes, rest: bytes) -> bytes | None:
    """Return the text behind a keyword, as bytes (PNG, third edition, 11.3.3)."""
    if kind == b"zTXt":
        return _inflated(rest[1:])
    if kind == b"tEXt":
        return rest
    flags, parts = rest[:2], rest[2:].split(b"\0", 2)
    if len(parts) < 3:
        return None
    return _inflated(parts[2]) if flags[:1] == b"\1" else parts[2]


def _inflated(packed: bytes) -> bytes | None:
    """Return the start of what was compressed, whatever length it claims or has."""
    try:
        return zlib.decompressobj().decompress(packed, MOST_TEXT)
    except zlib.error:
        return None


def _by_keyword(key: str, text: bytes, place: str) -> Segment | None:
    place = f"{place}, {key!r}"
    if key == XMP_KEY:
        return Segment("xmp", place, text)
    if not key.startswith(RAW_KEY):
        return Segment("text", place, text, key)
    head = RAW_HEAD.match(text)  # ImageMagick's way
    raw = RAW_KINDS.get(key.removeprefix(RAW_KEY).lower())
    if head is None or raw is None:
        return None
    try:
        body = bytes.fromhex(text[head.end() :].decode("ascii"))
    except ValueError:  # cut off by the limit, or no hexadecimal digits
        return None
    return Segment(raw, place, body.removeprefix(b"Exif\0\0").removeprefix(b"http://ns.adobe.com/xap/1.0/\0"))
