"""Find the quality of a JPEG from its quantisation tables."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

# ITU-T T.81 (1992), tables K.1 and K.2, in rows
LUMA_TABLE = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51,
    87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101,
    72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
CHROMA_TABLE = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99,
    99, 99, 99,
) + (99,) * 32  # fmt: skip


@lru_cache(maxsize=256)
def libjpeg_quality(tables: Sequence[Sequence[int]]) -> tuple[int | None, int]:
    """Return the (exact, nearest) quality of a JPEG's quantisation tables.

    Parameters
    ----------
    tables : sequence of sequences of int
        Luma first, each 64 numbers in rows.

    Returns
    -------
    exact : int or None
        The quality at which every table is libjpeg's (`jpeg_set_quality` with baseline tables); None if there is none.
    nearest : int
        The quality whose luma table has the least sum of absolute differences.
    """
    scaled = [(quality, scaled_table(LUMA_TABLE, quality)) for quality in range(100, 0, -1)]
    distance, nearest = min((sum(abs(a - b) for a, b in zip(tables[0], t, strict=False)), -q) for q, t in scaled)
    quality = -nearest
    chroma = (scaled_table(LUMA_TABLE, quality), scaled_table(CHROMA_TABLE, quality))
    is_exact = distance == 0 and len(tables[0]) == 64 and all(tuple(table) in chroma for table in tables[1:])
    return quality if is_exact else None, quality


@lru_cache(maxsize=256)
def scaled_table(table: tuple[int, ...], quality: int) -> tuple[int, ...]:
    """Return libjpeg's `jpeg_add_quant_table` at `jpeg_quality_scaling(quality)`, limited to 8 bits."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return tuple(min(max((value * scale + 50) // 100, 1), 255) for value in table)
