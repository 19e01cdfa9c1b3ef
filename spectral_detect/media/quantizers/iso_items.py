"""Find the coded bytes of the picture that an AVIF or HEIC file shows (ISO/IEC 14496-12 and 23008-12)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

Content = TypeVar("Content", bytes, memoryview)

MOST_ITEMS = 10_000  # 100 million pixels in tiles of 512 are 400
HEAD_BYTES = 1 << 16  # of an item; its headers are at the front
DERIVED = frozenset((b"grid", b"iovl", b"iden"))  # made of other items
METADATA = frozenset((b"Exif", b"mime"))
MOST_DERIVATIONS = 4
MOST_EXTENTS = 64


@dataclass(frozen=True)
class CodedItem:
    """A picture inside a file.

    Attributes
    ----------
    kind : bytes
        "av01" or "hvc1".
    properties : dict of bytes to bytes
        The content of the first box of each type that describes it, such as "av1C".
    head : bytes
        Its first bytes.
    """

    kind: bytes
    properties: dict[bytes, bytes]
    head: bytes


class Fields:
    """Read big-endian numbers one after the other.

    Raises
    ------
    ValueError
        If the bytes end.
    """

    def __init__(self, content: bytes) -> None:
        self.content, self.at = content, 0

    def number(self, n_bytes: int) -> int:
        """Return a number of so many bytes, 0 for none."""
        return int.from_bytes(self.take(n_bytes), "big")

    def take(self, n_bytes: int) -> bytes:
        """Return the next bytes."""
        start, self.at = self.at, self.at + n_bytes
        if self.at > len(self.content):
            raise ValueError("a box ends too early")
        return self.content[start : self.at]


def boxes(content: Content) -> Iterator[tuple[bytes, Content]]:
    """Yield the type and the content of each box."""
    at = 0
    for _ in range(MOST_ITEMS):
        if at + 8 > len(content):
            return
        size, kind, header = int.from_bytes(content[at : at + 4], "big"), bytes(content[at + 4 : at + 8]), 8
        if size == 1:
            size, header = int.from_bytes(content[at + 8 : at + 16], "big"), 16
        size = size or len(content) - at
        if size < header:
            raise ValueError("a box is shorter than its header")
        yield kind, content[at + header : at + size]
        at += size


def shown_item(content: bytes) -> CodedItem:
    """Return the primary item of a file; of one that is put together from tiles, the first tile.

    Raises
    ------
    ValueError, KeyError, IndexError
        If the boxes are malformed.
    """
    meta = _meta(content)
    number, kind = _shown(meta)
    return CodedItem(kind, _properties(meta[b"iprp"], number), _head(content, meta, number))


def shown_kind(content: bytes) -> bytes:
    """Return the type of the item that `shown_item` reads, such as "hvc1".

    Raises
    ------
    ValueError, KeyError, IndexError, StopIteration
        If the boxes are malformed.
    """
    return _shown(_meta(content))[1]


def metadata_items(content: bytes) -> list[tuple[bytes, bytes]]:
    """Return the type and the first bytes of the items that tell of a picture: EXIF ("Exif") and XMP ("mime").

    Raises
    ------
    ValueError, KeyError, IndexError, StopIteration
        If the boxes are malformed.
    """
    meta = _meta(content)
    told = [(number, kind) for number, kind in _kinds(meta[b"iinf"]).items() if kind in METADATA]
    return [(kind, _head(content, meta, number)) for number, kind in told[:MOST_EXTENTS]]


def _meta(content: bytes) -> dict[bytes, bytes]:
    """Return the boxes that tell of the items."""
    top = boxes(memoryview(content))  # without a copy of the pixels
    return dict(boxes(bytes(next(body for kind, body in top if kind == b"meta")[4:])))


def _shown(meta: dict[bytes, bytes]) -> tuple[int, bytes]:
    """Return the number and the type of the item to read."""
    fields = Fields(meta[b"pitm"])
    number = fields.number(4 if _version(fields) else 2)
    kinds = _kinds(meta[b"iinf"])
    for _ in range(MOST_DERIVATIONS):
        if kinds[number] not in DERIVED:
            break
        number = _first_part(meta[b"iref"], number)
    return number, kinds[number]


def _version(fields: Fields) -> int:
    """Return the version of a full box, and skip its flags."""
    return fields.number(4) >> 24


def _kinds(body: bytes) -> dict[int, bytes]:
    """Return the types of the items."""
    fields = Fields(body)
    fields.take(4 if _version(fields) else 2)  # their number
    found: dict[int, bytes] = {}
    for _, entry in boxes(body[fields.at :]):
        item = Fields(entry)
        number = item.number(4 if _version(item) > 2 else 2)
        item.take(2)  # protection
        found[number] = item.take(4)
    return found


def _first_part(body: bytes, number: int) -> int:
    """Return the first item of which another is derived."""
    width = 4 if body[0] else 2
    for kind, reference in boxes(body[4:]):
        fields = Fields(reference)
        if kind == b"dimg" and fields.number(width) == number:
            fields.take(2)  # how many
            return fields.number(width)
    raise ValueError("a derived item has no parts")


def _properties(body: bytes, number: int) -> dict[bytes, bytes]:
    """Return the properties of an item."""
    parts = dict(boxes(body))
    known = list(boxes(parts[b"ipco"]))
    found = [known[index - 1] for index in _associations(parts[b"ipma"], number) if 0 < index <= len(known)]
    return dict(reversed(found))


def _associations(body: bytes, number: int) -> list[int]:
    """Return the places of an item's properties in the list, from 1."""
    fields = Fields(body)
    width = 4 if body[0] else 2
    n_bytes, mask = (2, 0x7FFF) if body[3] & 1 else (1, 0x7F)
    fields.take(4)
    for _ in range(min(fields.number(4), MOST_ITEMS)):
        item, n = fields.number(width), fields.number(1)
        places = fields.take(n * n_bytes)
        if item == number:
            return [int.from_bytes(places[k : k + n_bytes], "big") & mask for k in range(0, len(places), n_bytes)]
    return []


def _head(content: bytes, meta: dict[bytes, bytes], number: int) -> bytes:
    """Return the first bytes of an item, from the extents of its location."""
    fields = Fields(meta[b"iloc"])
    version = _version(fields)
    sizes = fields.number(2)
    offset_bytes, length_bytes, base_bytes = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    index_bytes = sizes & 15 if version else 0
    id_bytes = 4 if version > 1 else 2
    for _ in range(min(fields.number(id_bytes), MOST_ITEMS)):
        item = fields.number(id_bytes)
        method = fields.number(2) & 15 if version else 0
        fields.take(2)  # which file
        base, n_extents = fields.number(base_bytes), fields.number(2)
        extents = fields.take(n_extents * (index_bytes + offset_bytes + length_bytes))
        if item == number:
            source = meta[b"idat"] if method == 1 else content
            return _joined(source, base, Fields(extents), (index_bytes, offset_bytes, length_bytes))
    raise ValueError("an item has no place")


def _joined(source: bytes, base: int, extents: Fields, widths: tuple[int, int, int]) -> bytes:
    """Return the first bytes of the extents, one after the other."""
    head = b""
    for _ in range(MOST_EXTENTS):
        if extents.at >= len(extents.content) or len(head) >= HEAD_BYTES:
            break
        _, offset, length = (extents.number(width) for width in widths)
        start = base + offset
        head += source[start : start + min(length or HEAD_BYTES, HEAD_BYTES)]
    return head[:HEAD_BYTES]
