"""Find how a TIFF with a lossy coding inside was quantised, from its first strip or tile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spectral_detect.media.quantizers.jpeg_tables import libjpeg_quality
from spectral_detect.media.stills.jpeg_segments import DQT, jpeg_segments

# TIFF 6.0 (1992), and its technical note 2 (1995)
STRIP_OFFSETS, STRIP_BYTES, TILE_OFFSETS, TILE_BYTES, TABLES, PHOTOMETRIC, OLD_JPEG = 273, 279, 324, 325, 347, 262, 513
YCBCR = 6
SOF = frozenset((0xC0, 0xC1, 0xC2))
SUBSAMPLINGS = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0"}

# ITU-T T.81, figure A.6: the place in rows of each number of a table
ZIGZAG = sorted(range(64), key=lambda k: (k // 8 + k % 8, k // 8 if (k // 8 + k % 8) % 2 else k % 8))


def first_strip(tags: Mapping[int, Any], content: bytes) -> bytes:
    """Return the first coded piece of the pixels.

    Raises
    ------
    KeyError, IndexError, TypeError, ValueError
        By malformed tags, as by the other functions here.
    """
    offsets, sizes = (TILE_OFFSETS, TILE_BYTES) if TILE_OFFSETS in tags else (STRIP_OFFSETS, STRIP_BYTES)
    start = tags[offsets][0]
    return content[start : start + tags[sizes][0]]


def jpeg_in_tiff(tags: Mapping[int, Any], content: bytes) -> tuple[int, str | None]:
    """Return the quality of the nearest tables of libjpeg, and the subsampling of the chroma if there is any.

    Parameters
    ----------
    tags : mapping of int to object
        Of the image's directory.
    content : bytes
        The whole file.
    """
    strip = content[tags[OLD_JPEG] :] if OLD_JPEG in tags else first_strip(tags, content)
    tables: dict[int, tuple[int, ...]] = {}
    factors: list[tuple[int, int, int]] = []
    for stream in (tags.get(TABLES, b""), strip):
        for marker, start, end in jpeg_segments(stream):
            body = stream[start:end]
            if marker == DQT:
                tables |= _tables(body)
            elif marker in SOF:
                factors = [(body[k + 1] >> 4, body[k + 1] & 15, body[k + 2]) for k in range(6, 6 + 3 * body[5], 3)]
    _, quality = libjpeg_quality((tables[factors[0][2] if factors else min(tables)],))
    return quality, _subsampling(factors) if tags.get(PHOTOMETRIC) == YCBCR else None


def _tables(body: bytes) -> dict[int, tuple[int, ...]]:
    """Return the tables of a DQT segment, in rows, by their numbers (ITU-T T.81, B.2.4.1)."""
    found: dict[int, tuple[int, ...]] = {}
    at = 0
    while at < len(body):
        width = 2 if body[at] >> 4 else 1
        if at + 1 + 64 * width > len(body):
            raise ValueError("a table ends too early")
        table = [0] * 64
        for k, place in enumerate(ZIGZAG):
            table[place] = int.from_bytes(body[at + 1 + k * width : at + 1 + (k + 1) * width], "big")
        found[body[at] & 15] = tuple(table)
        at += 1 + 64 * width
    return found


def _subsampling(factors: list[tuple[int, int, int]]) -> str | None:
    """Return how much less chroma than luma there is, by the sampling factors of the channels."""
    if len(factors) != 3:
        return None
    (across, down, _), *chroma = factors
    is_usual = all(part[:2] == (1, 1) for part in chroma)
    return SUBSAMPLINGS.get((across, down), "other") if is_usual else "other"
