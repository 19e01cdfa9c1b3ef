"""Tell by the structure of a video file, without decoding, that it was cut off or that a piece of it is missing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import BinaryIO

ISO_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide")
MOST_BOXES = 500_000  # a film of ten hours in fragments of a second has 72,000
EBML, OGG_PAGE, PACK = b"\x1aE\xdf\xa3", b"OggS", b"\0\0\1\xba"
TS_PACKETS = ((188, 0), (192, 4), (204, 0))  # bytes of a packet, and where in it the byte of synchronisation stands
TS_TAIL = 10_000  # packets; a picture takes less
OGG_TAIL = 2**17  # a page takes less than half of it

# RFC 9559: what a segment holds, and what a cluster holds
SEGMENT, CLUSTER = 0x18538067, 0x1F43B675
IN_SEGMENT = {
    CLUSTER, 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1254C367, 0x1941A469, 0x1043A770, 0xEC, 0xBF,
}  # fmt: skip
IN_CLUSTER = {0xE7, 0xA7, 0xAB, 0xA3, 0xA0, 0xAF, 0x5854, 0xEC, 0xBF}


def damage_of(path: str) -> str | None:
    """Return what is missing of a video file, or None if its structure shows nothing.

    Files of ISO media (MP4, MOV), AVI, Matroska and WebM, Ogg, and MPEG program and transport streams are looked at.
    """
    start = read_start(path, 16)
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
    elif start[:4] == PACK:
        check = _program_stream
    elif start[:1] == b"G" or start[4:5] == b"G":
        check = _transport_stream
    return check(path, size) if check else None


def read_start(path: str, n_bytes: int) -> bytes:
    """Return the first bytes of a file."""
    with open(path, "rb") as stream:
        return stream.read(n_bytes)


def _cut(n_missing: int) -> str:
    return f"the file ends {n_missing} bytes before the end that it announces"


def _overwritten(at: int, end: int) -> str:
    return f"bytes are missing or overwritten before byte {at} of {end}"


def iso_boxes(path: str) -> Iterator[tuple[bytes, int]]:
    """Yield the type and the end, in bytes from the start, of each outermost box (ISO/IEC 14496-12, 4.2)."""
    at = 0
    with open(path, "rb") as stream:
        whole = stream.seek(0, os.SEEK_END)
        while at < whole:  # a damaged size may lie beyond what can be sought
            stream.seek(at)
            if len(head := stream.read(16)) < 8:
                break
            size, kind = int.from_bytes(head[:4], "big"), head[4:8]
            size = int.from_bytes(head[8:], "big") if size == 1 else size or whole - at
            if size < 8:
                break
            at += size
            yield kind, at


def _iso(path: str, size: int) -> str | None:
    end = 0
    for number, (kind, next_box) in enumerate(iso_boxes(path)):
        if number == MOST_BOXES:
            return None
        if not (kind.isascii() and kind.decode().isprintable()):
            break
        end = next_box
    return _cut(end - size) if end > size else None if end == size else _overwritten(end, size)


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


def _transport_stream(path: str, size: int) -> str | None:
    start = read_start(path, 3 * TS_PACKETS[-1][0])
    for length, sync in TS_PACKETS:
        if all(start[k * length + sync : k * length + sync + 1] == b"G" for k in range(3)):
            if size % length:
                return f"the file ends {size % length} bytes into a packet of {length}"
            return _cut_packet(path, length, sync)
    return None


def _cut_packet(path: str, length: int, sync: int) -> str | None:
    """Look whether the last packet of pictures or sound is whole (ISO/IEC 13818-1, 2.4.3.2 and 2.4.3.6).

    One of pictures does not tell its length; but only its last part is not filled up, but for one in 184.
    """
    with open(path, "rb") as stream:
        stream.seek(-min(TS_TAIL, os.path.getsize(path) // length) * length, os.SEEK_END)
        tail = stream.read()
    packets = [tail[at + sync : at + sync + 188] for at in range(0, len(tail), length)]
    parts: list[bytes] = []
    for packet in reversed(packets):
        if _stream_of(packet) == _stream_of(packets[-1]):
            parts.append(_content_of(packet))
            if packet[1] & 0x40:  # the first part
                break
    whole = b"".join(reversed(parts))
    if whole[:3] != b"\0\0\1":
        return None
    announced = int.from_bytes(whole[4:6], "big")
    is_open = len(whole) < 6 + announced if announced else len(parts[0]) == 184
    return "the file ends within a picture or a piece of sound" if is_open else None


def _stream_of(packet: bytes) -> tuple[int, int]:
    return packet[1] & 0x1F, packet[2]


def _content_of(packet: bytes) -> bytes:
    """Return what a packet carries, without its header and filling."""
    has_content, has_filling = packet[3] & 0x10, packet[3] & 0x20
    return packet[4 + (1 + packet[4] if has_filling else 0) :] if has_content else b""


def _ogg(path: str, size: int) -> str | None:
    """Look whether the last page is whole (RFC 3533, 6)."""
    with open(path, "rb") as stream:
        stream.seek(max(0, size - OGG_TAIL))
        tail = stream.read()
    page = tail[tail.rfind(OGG_PAGE) :]
    n_segments = page[26] if len(page) > 26 else 0
    end = 27 + n_segments + sum(page[27 : 27 + n_segments])
    return _cut(end - len(page)) if len(page) < max(end, 28) else None


def _program_stream(path: str, size: int) -> str | None:
    """Follow the packs and packets (ISO/IEC 13818-1, 2.5.3.3; 11172-1, 2.4.3.2)."""
    at = 0
    with open(path, "rb") as stream:
        while at < size:
            stream.seek(at)
            head = stream.read(14)
            if head[:3] != b"\0\0\1":
                return None if _is_zero_from(stream, at) else _overwritten(at, size)
            if head[3:4] == b"\xb9":
                at += 4
            elif head[3:4] == b"\xba":
                at += 12 if head[4:5] < b"\x40" else 14 + (head[13:14] or b"\0")[0] % 8
            else:
                at += 6 + int.from_bytes(head[4:6], "big")
    return _cut(at - size) if at > size else None


def _is_zero_from(stream: BinaryIO, at: int) -> bool:
    """Tell whether zero bytes alone fill the end of a file."""
    stream.seek(at)
    return not any(any(block) for block in iter(lambda: stream.read(2**20), b""))


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
                return _overwritten(at, end)
            if length is not None and at + length > end:
                return _cut(at + length - end)
    except EOFError:
        return _overwritten(at, end)
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
