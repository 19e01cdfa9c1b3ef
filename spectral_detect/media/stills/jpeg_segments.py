"""Walk through the segments of a JPEG file (ITU-T T.81, B.1.1) up to its first scan."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

STANDALONE_MARKERS = frozenset((0x01, *range(0xD0, 0xD9)))  # without a length
DHT, SOS, DQT, COMMENT = 0xC4, 0xDA, 0xDB, 0xFE
JFIF, EXIF, ADOBE, LAST_APP = 0xE0, 0xE1, 0xEE, 0xEF
MOST_SEGMENTS = 4000


class JpegSegment(NamedTuple):
    """Where the content of a segment lies in the file, without its marker and its length."""

    marker: int
    start: int
    end: int


def jpeg_segments(content: bytes) -> Iterator[JpegSegment]:
    """Yield the segments of a stream that begins with the start of an image, the head of the first scan last.

    That is missing where the stream ends before it, or is malformed.
    """
    at = 2
    for _ in range(MOST_SEGMENTS):
        if at + 4 > len(content) or content[at] != 0xFF:
            return
        marker = content[at + 1]
        if marker == 0xFF or marker in STANDALONE_MARKERS:
            at += 1 if marker == 0xFF else 2
            continue
        end = at + 2 + (content[at + 2] << 8 | content[at + 3])
        if end < at + 4:
            return
        yield JpegSegment(marker, at + 4, end)
        if marker == SOS:
            return
        at = end
