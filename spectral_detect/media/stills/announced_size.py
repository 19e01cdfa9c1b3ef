"""Read the size that a header announces, for formats whose decoder takes memory as soon as it opens a file."""

from __future__ import annotations

import struct

from spectral_detect.media.stills.bitmap_runs import read_run_header

HEADER_BYTES = 2**20  # an ISO container's boxes about its images lie before their data
MOST_BOXES = 4096  # a picture of many parts has one size for them all, or one each


def announced_size(content: bytes) -> tuple[int, int] | None:
    """Return the width and height that a WebP, AVIF or HEIF file, or a BMP of runs, announces; None for others."""
    if content[4:8] == b"ftyp":
        return _largest_iso_picture(content[:HEADER_BYTES])
    if content[:4] == b"RIFF" and content[8:16] == b"WEBPVP8X" and len(content) >= 30:
        width, height = (int.from_bytes(content[at : at + 3], "little") + 1 for at in (24, 27))
        return width, height
    runs = read_run_header(content)
    return None if runs is None else (runs.width, runs.height)


def _largest_iso_picture(header: bytes) -> tuple[int, int] | None:
    """Return the size of the largest picture of an ISO container: its `ispe` boxes (ISO/IEC 23008-12, 6.5.3)."""
    sizes: list[tuple[int, int]] = []
    at = header.find(b"ispe")
    while 0 <= at <= len(header) - 16 and len(sizes) < MOST_BOXES:
        if header[at - 4 : at] == b"\0\0\0\x14":
            width, height = struct.unpack(">II", header[at + 8 : at + 16])
            sizes.append((int(width), int(height)))
        at = header.find(b"ispe", at + 1)
    return max(sizes, key=lambda size: size[0] * size[1], default=None)
