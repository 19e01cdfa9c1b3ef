"""Write out the run-length coding of bitmaps (BMP): Pillow moves the rows below an empty one, and wants all pixels."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from spectral_detect.errors import ImageReadError

FILE_HEADER, INFO_HEADER = 14, 40  # bytes
RUN_CODINGS = ((1, 8), (2, 4))  # compression and bits a pixel
MOST_COLOURS = 256
END_OF_ROW, END, JUMP = 0, 1, 2  # what follows a zero; any other number counts pixels that are stored one by one


@dataclass(frozen=True)
class RunHeader:
    """The header of a bitmap in run-length coding.

    Attributes
    ----------
    width, height : int
        In pixels.
    bits : int
        Of a pixel, 4 or 8.
    palette : bytes
        Four bytes a colour.
    start : int
        First byte of the pixels.
    """

    width: int
    height: int
    bits: int
    palette: bytes
    start: int


def read_run_header(content: bytes) -> RunHeader | None:
    """Return the header of a bitmap in run-length coding; None for any other file, and for what Pillow refuses."""
    if content[:2] != b"BM" or len(content) < FILE_HEADER + INFO_HEADER:
        return None
    start, n_header, width, height, _, bits, compression = struct.unpack_from("<IIiiHHI", content, 10)
    n_colours = struct.unpack_from("<I", content, 46)[0] or 1 << bits % 16
    is_sound = n_header >= INFO_HEADER and min(width, height) > 0 and n_colours <= MOST_COLOURS
    if (compression, bits) not in RUN_CODINGS or not is_sound:
        return None
    colours = FILE_HEADER + n_header
    end = colours + 4 * n_colours
    return RunHeader(width, height, bits, content[colours:end], end if start == colours else start)


def without_runs(content: bytes) -> bytes:
    """Return a bitmap in run-length coding with its pixels one by one, in 8 bits; any other file as it is.

    Pixels that it leaves out get the first colour, as in other programs.

    Raises
    ------
    ImageReadError
        The file ends before its pixels do.
    """
    header = read_run_header(content)
    if header is None:
        return content
    width, padding = header.width, -header.width % 4
    indices = _indices(content[header.start :], header)
    rows = b"".join(indices[k : k + width] + bytes(padding) for k in range(0, len(indices), width))
    fields = (INFO_HEADER, width, header.height, 1, 8, 0, len(rows), 0, 0, MOST_COLOURS, 0)
    place = FILE_HEADER + INFO_HEADER + 4 * MOST_COLOURS
    first = struct.pack("<2sIHHI", b"BM", place + len(rows), 0, 0, place)
    palette = header.palette.ljust(4 * MOST_COLOURS, b"\0")
    return b"".join((first, struct.pack("<IiiHHIIiiII", *fields), palette, rows))


def _indices(stored: bytes, header: RunHeader) -> bytearray:
    """Return the palette's index of each pixel, the lowest row first; what exceeds a row is cut off."""
    width, height = header.width, header.height
    indices = bytearray(width * height)
    x = y = at = 0
    while y < height and (x < width or y < height - 1):
        if at + 2 > len(stored):
            raise ImageReadError("BMP: incomplete: the file ends before its pixels do", remedy="get an intact copy")
        count, value = stored[at], stored[at + 1]
        at += 2
        if count == 0 and value == END:
            break
        if count == 0 and value == END_OF_ROW:
            x, y = 0, y + 1
        elif count == 0 and value == JUMP:
            x, y = x + sum(stored[at : at + 1]), y + sum(stored[at + 1 : at + 2])
            at += 2
        else:
            n_bytes = 0 if count else -(-value * header.bits // 8)
            pixels = _run(count, value, header.bits) if count else _spread(stored[at : at + n_bytes], header.bits)
            n = max(min(count or value, width - x, len(pixels)), 0)
            indices[y * width + x : y * width + x + n] = pixels[:n]
            x += count or value
            at += n_bytes + n_bytes % 2
    return indices


def _run(count: int, value: int, bits: int) -> bytes:
    """Return `count` pixels: of one index, or of two in turn."""
    return bytes((value,)) * count if bits == 8 else bytes((value >> 4, value & 15)) * (count // 2 + 1)


def _spread(stored: bytes, bits: int) -> bytes:
    """Return a byte for each index."""
    return stored if bits == 8 else bytes(index for byte in stored for index in (byte >> 4, byte & 15))
