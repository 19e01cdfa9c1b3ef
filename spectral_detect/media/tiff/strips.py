"""Undo the compression of a TIFF file's strips or tiles.

libtiff does it, by way of Pillow: it is given the stored pieces as one gray 8-bit image that is as wide as their rows
have bytes, and returns these bytes. What they mean is decided elsewhere, where all tags are known.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import PIL.Image

from spectral_detect.errors import ImageReadError
from spectral_detect.media.tiff.directories import Directory
from spectral_detect.media.tiff.layout import BITS, COMPRESSION, HEIGHT, N_SAMPLES, PHOTOMETRIC, WIDTH, Layout

# TIFF 6.0 (1992), sections 8 and 15
FILL_ORDER, STRIP_OFFSETS, ROWS_PER_STRIP, STRIP_BYTES = 266, 273, 278, 279
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES = 322, 323, 324, 325
NO_COMPRESSION, BLACK_IS_ZERO = 1, 1
LONG_TYPE = 4
MOST_PADDING = 2**24  # pixels


@dataclass(frozen=True)
class _Grid:
    """The pieces of an image; a strip is a tile as wide as the image.

    Attributes
    ----------
    width, height : int
        Of a piece, in pixels.
    n_across, n_down : int
        How many lie side by side, and in a column.
    n_rows : int
        Of all pieces of a plane, one below the other.
    """

    width: int
    height: int
    n_across: int
    n_down: int
    n_rows: int

    @property
    def n_pieces(self) -> int:
        return self.n_across * self.n_down


def read_rows(content: bytes, layout: Layout, *, n_together: int, plane: int) -> np.ndarray:
    """Return the bytes of a plane's pieces, decompressed.

    Parameters
    ----------
    content : bytes
        The whole file.
    layout : Layout
        How its pixels are stored.
    n_together : int
        Samples of a pixel that lie side by side in a plane.
    plane : int
        Which plane, from 0.

    Returns
    -------
    (H', n_across, n_bytes) array of uint8
        Rows of the pieces that lie side by side; H' reaches to the lower edge of the last pieces.

    Raises
    ------
    ImageReadError, OSError
        Part of the file is missing or damaged.
    """
    grid = _grid(layout)
    row_bytes = -(-grid.width * n_together * layout.bits // 8)
    pieces = _stored_pieces(content, layout.directory, grid, row_bytes, plane)
    with PIL.Image.open(BytesIO(_as_gray(layout.directory, grid, row_bytes, pieces)), formats=("TIFF",)) as picture:
        rows = np.asarray(picture)
    if grid.n_across > 1:
        rows = rows.reshape(grid.n_down, grid.n_across, grid.height, row_bytes).swapaxes(1, 2)
    side_by_side: np.ndarray = rows.reshape(-1, grid.n_across, row_bytes)
    return side_by_side


def _grid(layout: Layout) -> _Grid:
    """Return the sizes of the strips or tiles."""
    tags, width, height = layout.directory, layout.width, layout.height
    if not tags.numbers(TILE_OFFSETS):
        strip = min(tags.number(ROWS_PER_STRIP, height), height)
        if strip <= 0:
            raise _damaged("its strips have no rows")
        return _Grid(width, strip, 1, -(-height // strip), height)
    across, down = tags.number(TILE_WIDTH, 0), tags.number(TILE_HEIGHT, 0)
    if across <= 0 or down <= 0:
        raise _damaged("its tiles have no size")
    n_across, n_down = -(-width // across), -(-height // down)
    if n_across * across * n_down * down > 4 * width * height + MOST_PADDING:
        raise _damaged(f"tiles of {across}x{down} pixels for an image of {width}x{height}")
    return _Grid(across, down, n_across, n_down, n_across * n_down * down)


def _stored_pieces(content: bytes, tags: Directory, grid: _Grid, row_bytes: int, plane: int) -> list[bytes]:
    """Return the compressed bytes of each piece of a plane."""
    chosen = slice(plane * grid.n_pieces, (plane + 1) * grid.n_pieces)
    is_tiled = bool(tags.numbers(TILE_OFFSETS))
    offsets = tags.numbers(TILE_OFFSETS if is_tiled else STRIP_OFFSETS)[chosen]
    if tags.number(COMPRESSION, NO_COMPRESSION) == NO_COMPRESSION:
        starts = range(0, grid.n_rows, grid.height)
        sizes: Sequence[int] = [row_bytes * min(grid.height, grid.n_rows - start) for start in starts]
    else:
        sizes = tags.numbers(TILE_BYTES if is_tiled else STRIP_BYTES)[chosen]
    if not len(offsets) == len(sizes) == grid.n_pieces:
        raise _damaged(f"of {grid.n_pieces} strips or tiles {min(len(offsets), len(sizes))} can be found")
    if any(o <= 0 or n <= 0 or o + n > len(content) for o, n in zip(offsets, sizes, strict=True)):
        raise _damaged("part of its pixels is not in the file")
    return [content[o : o + n] for o, n in zip(offsets, sizes, strict=True)]


def _as_gray(tags: Directory, grid: _Grid, row_bytes: int, pieces: Sequence[bytes]) -> bytes:
    """Return a TIFF file in which the rows of the pieces are rows of gray 8-bit pixels."""
    entries: dict[int, Sequence[int]] = {
        WIDTH: (row_bytes,),
        HEIGHT: (grid.n_rows,),
        BITS: (8,),
        COMPRESSION: (tags.number(COMPRESSION, NO_COMPRESSION),),
        PHOTOMETRIC: (BLACK_IS_ZERO,),
        FILL_ORDER: (tags.number(FILL_ORDER, 1),),
        STRIP_OFFSETS: range(len(pieces)),  # replaced below, when their place is known
        N_SAMPLES: (1,),
        ROWS_PER_STRIP: (grid.height,),
        STRIP_BYTES: [len(piece) for piece in pieces],
    }
    arrays = 8 + 2 + 12 * len(entries) + 4
    place = arrays + sum(4 * len(values) for values in entries.values())
    entries[STRIP_OFFSETS] = (place + np.cumsum([0, *entries[STRIP_BYTES]])[:-1]).tolist()
    directory, lists = b"", b""
    for tag, values in entries.items():
        packed = struct.pack(f"<{len(values)}I", *values)
        where = packed if len(values) == 1 else struct.pack("<I", arrays + len(lists))
        directory += struct.pack("<HHI", tag, LONG_TYPE, len(values)) + where
        lists += packed
    header = struct.pack("<2sHIH", b"II", 42, 8, len(entries))
    return b"".join((header, directory, bytes(4), lists, *pieces))


def _damaged(what: str) -> ImageReadError:
    return ImageReadError(f"damaged or incomplete image (TIFF: {what})", remedy="get an intact copy")
