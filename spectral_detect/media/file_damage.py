"""Tell by the structure of a video file, without decoding, that it was cut off or that a piece of it is missing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import BinaryIO

ISO_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")
EBML, OGG_PAGE, TS_SYNC = b"\x1aE\xdf\xa3", b"OggS", 0x47
TS_PACKETS = ((188, 0), (192, 4), (204, 0))  # bytes of a packet, and where in it the byte of synchronisation stands
OGG_TAIL = 2**17  # a page takes less than half of it

# RFC 9559: what a segment holds, and what a cluster holds
SEGMENT, CLUSTER = 0x18538067, 0x1F43B675
IN_SEGMENT = {
    CLUSTER, 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1254C367, 0x1941A469, 0x1043A770, 0xEC, 0xBF,
}  # fmt: skip
IN_CLUSTER = {0xE7, 0xA7, 0xAB, 0xA3, 0xA0, 0xAF, 0x5854, 0xEC, 0xBF}


def damage_of(path: str) -> str | None:
    """Return what is missing of a video file, or None if its structure shows nothing.

    Files of ISO media (MP4, MOV), AVI, Matroska and WebM, Ogg, and MPEG transport streams are looked at.
    """
    start = read_start(path, 3 * 204 + 1)
    size = os.path.getsize(path)
    check: Callable[[str, int], str | None] | None = None
    if start[4:8] in ISO_BOXES:
        check = _iso
    elif start[:4] == b"RIFF":
        check = _riff
    elif start[:4] == EBML:
        check = _matroska
    elif start[:4] == OGG_PAGE:
        check = _ogg
    elif start[:1] == b"G" or start[4:5] == b"G":
        return _transport_stream(start, size)
    return check(path, size) if check else None


def read_start(path: str, n_bytes: int) -> bytes:
    """Return the first bytes of a file."""
    with open(path, "rb") as stream:
        return stream.read(n_bytes)


def _cut(n_missing: int) -> str:
    return f"the file ends {n_missing} bytes before the end that it announces"


def iso_boxes(path: str) -> list[tuple[bytes, int]]:
    """Return the type and the end, in bytes from the start, of each outermost box (ISO/IEC 14496-12, 4.2)."""
    boxes, at = [], 0
    with open(path, "rb") as stream:
        whole = stream.seek(0, os.SEEK_END)
        while stream.seek(at) < whole and len(head := stream.read(16)) >= 8:
            size, kind = int.from_bytes(head[:4], "big"), head[4:8]
            size = int.from_bytes(head[8:], "big") if size == 1 else size or whole - at
            if size < 8:
                break
            at += size
            boxes.append((kind, at))
    return boxes


def _iso(path: str, size: int) -> str | None:
    end = max((end for kind, end in iso_boxes(path) if kind.isascii() and kind.isalnum()), default=0)
    return _cut(end - size) if end > size else None


def _riff(path: str, size: int) -> str | None:
    """Follow the parts of an AVI; an encoder that was stopped leaves the size of one at 0."""
    at = 0
    with open(path, "rb") as stream:
        while stream.seek(at) < size and (head := stream.read(8))[:4] == b"RIFF" and len(head) == 8:
            part = int.from_bytes(head[4:], "little")
            if part in (0, 0xFFFFFFFF):
                return None
            at += 8 + part + part % 2
    return _cut(at - size) if at > size + 1 else None


def _transport_stream(start: bytes, size: int) -> str | None:
    for packet, sync in TS_PACKETS:
        if all(start[k * packet + sync : k * packet + sync + 1] == b"G" for k in range(3)):
            return f"the file ends {size % packet} bytes into a packet of {packet}" if size % packet else None
    return None


def _ogg(path: str, size: int) -> str | None:
    """Look whether the last page is whole (RFC 3533, 6)."""
    with open(path, "rb") as stream:
        stream.seek(max(0, size - OGG_TAIL))
        tail = stream.read()
    page = tail[tail.rfind(OGG_PAGE) :]
    n_segments = page[26] if len(page) > 26 else 0
    end = 27 + n_segments + sum(page[27 : 27 + n_segments])
    return _cut(end - len(page)) if len(page) < max(end, 28) else None


# ---------------------------------------------------------------------------------------------------------- Matroska


def _matroska(path: str, size: int) -> str | None:
    """Follow the elements of the segment and of its clusters (RFC 8794); a foreign one shows that bytes are missing."""
    with open(path, "rb") as stream:
        end: int | None = size
        try:
            for at, name, length in _elements(stream, 0, size):
                if name == SEGMENT:
                    end = None if length is None else at + length
                    break
        except EOFError:
            return None
        if end is not None and end > size:
            return _cut(end - size)
        return _hole(stream, stream.tell(), min(end or size, size))


def _hole(stream: BinaryIO, start: int, end: int) -> str | None:
    at = start
    try:
        for at, name, length in _elements(stream, start, end, {CLUSTER}):
            if name not in IN_SEGMENT and name not in IN_CLUSTER:
                return f"bytes are missing or overwritten before byte {at} of {end}"
            if length is not None and at + length > end:
                return _cut(at + length - end)
    except EOFError:
        return f"bytes are missing or overwritten at byte {at} of {end}"
    return None


def _elements(
    stream: BinaryIO, start: int, end: int, opened: set[int] | None = None
) -> Iterator[tuple[int, int, int | None]]:
    """Yield where the content of each element begins, its name and its length (None: unknown).

    Those in `opened` are entered, the others passed over; after each the stream stands at its content.
    """
    at = start
    while at < end:
        stream.seek(at)
        name = _number(stream, keeps_marker=True)
        length = _number(stream, keeps_marker=False)
        at = stream.tell()
        yield at, name, length if length >= 0 else None
        if length >= 0 and name not in (opened or ()):
            at += length


def _number(stream: BinaryIO, *, keeps_marker: bool) -> int:
    """Read a number of variable length; -1 for the one that stands for an unknown size."""
    first = stream.read(1)
    if not first or not first[0]:
        raise EOFError
    n_bytes = 9 - first[0].bit_length()
    rest = stream.read(n_bytes - 1)
    if len(rest) < n_bytes - 1:
        raise EOFError
    number = int.from_bytes(first + rest, "big")
    if keeps_marker:
        return number
    number -= 1 << (7 * n_bytes)
    return -1 if number == (1 << (7 * n_bytes)) - 1 else number
