"""Find how coarsely an AVIF was quantised, from the header of its first AV1 frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from spectral_detect.media.quantizers.bits import BitReader
from spectral_detect.media.quantizers.iso_items import CodedItem
from spectral_detect.media.quantizers.sequence import IDENTITY, SELECT, Sequence, read_sequence

SEQUENCE_HEADER, FRAME_HEADER, FRAME = 1, 3, 6  # AV1 specification, 6.2.2
KEY_FRAME, INTRA_ONLY_FRAME = 0, 2
MOST_OBUS = 32
MAX_INDEX = 255
CONFIGURATION_BYTES = 4  # of av1C before its OBUs
N_REFERENCES = 8


@dataclass(frozen=True)
class AvifLoss:
    """How much an AVIF lost.

    Attributes
    ----------
    quality : int
        1 to 100.
    is_lossless : bool
        The RGB or gray pixels are those that were given to the encoder.
    """

    quality: int
    is_lossless: bool


def avif_loss(item: CodedItem) -> AvifLoss:
    """Return the loss of an image item of AV1.

    Parameters
    ----------
    item : CodedItem
        The picture, no plane of alpha.

    Raises
    ------
    ValueError
        If its headers are malformed, or not those of a picture of its own.

    Notes
    -----
    The quality is 100 (1 - base_q_idx / 255), rounded. It rises with that of an encoder, but each has its own scale:
    libavif 1.4 with libaom 3.14 gives 23, 53, 70 and 87 to the stills of its qualities 30, 60, 75 and 90.
    """
    sequence: Sequence | None = None
    obus = item.properties.get(b"av1C", b"")[CONFIGURATION_BYTES:] + item.head
    for kind, layers, payload in _obus(obus):
        if kind == SEQUENCE_HEADER:
            sequence = read_sequence(BitReader(payload))
        elif kind in (FRAME, FRAME_HEADER) and sequence is not None:
            return _loss(item, sequence, BitReader(payload), layers)
    raise ValueError("no frame")


def _obus(content: bytes) -> Iterator[tuple[int, tuple[int, int], bytes]]:
    """Yield the type, the temporal and spatial layer and the content of each OBU (5.3)."""
    at = 0
    for _ in range(MOST_OBUS):
        if at >= len(content):
            return
        header = content[at]
        layer = content[at + 1] if header & 4 else 0
        at += 2 if header & 4 else 1
        size, at = _leb128(content, at) if header & 2 else (len(content) - at, at)
        yield header >> 3 & 15, (layer >> 5, layer >> 3 & 3), content[at : at + size]
        at += size


def _leb128(content: bytes, at: int) -> tuple[int, int]:
    """Return a number of 7 bits a byte, lowest first, and the place behind it (4.10.5)."""
    value = 0
    for k in range(8):
        value |= (content[at + k] & 127) << 7 * k
        if content[at + k] < 128:
            return value, at + k + 1
    raise ValueError("a size takes more than 8 bytes")


def _loss(item: CodedItem, sequence: Sequence, bits: BitReader, layers: tuple[int, int]) -> AvifLoss:
    _skip_to_tiles(sequence, bits, layers)
    index = bits.bits(8)
    quality = max(round(100 * (1 - index / MAX_INDEX)), 1)
    return AvifLoss(quality, index == 0 and _is_exact(sequence, bits) and _keeps_colours(item, sequence))


def _is_exact(sequence: Sequence, bits: BitReader) -> bool:
    """Tell whether a frame with base_q_idx 0 is given back as it was (5.9.2: AllLossless, 5.9.12, 5.9.14)."""
    if sequence.may_have_grain or sequence.may_be_narrowed:
        return False
    is_plain = not bits.flag()  # of the luma's DC
    if not sequence.is_gray:
        differs = sequence.has_two_chroma_quantizers and bits.flag()
        is_plain &= not any(bits.flag() for _ in range(4 if differs else 2))
    has_matrices = bits.flag()
    return is_plain and not has_matrices and not bits.flag()  # no segment has a quantiser of its own


def _keeps_colours(item: CodedItem, sequence: Sequence) -> bool:
    """Tell whether the planes are the channels themselves, by the file's colours, which go before the stream's."""
    colours = item.properties.get(b"colr", b"")
    matrix, is_full = sequence.matrix, sequence.is_full_range
    if colours[:4] == b"nclx":
        matrix, is_full = int.from_bytes(colours[8:10], "big"), colours[10] >= 128
    return is_full and (sequence.is_gray or (sequence.is_444 and matrix == IDENTITY))


def _skip_to_tiles(sequence: Sequence, bits: BitReader, layers: tuple[int, int]) -> None:
    """Read the header of a frame up to its quantiser (5.9.2)."""
    is_key, is_shown, is_resilient = _frame_kind(sequence, bits)
    has_fixed_cdfs = bits.flag()
    tools = bits.bits(1) if sequence.screen_content_tools == SELECT else sequence.screen_content_tools
    if tools and sequence.integer_mv == SELECT:
        bits.flag()
    bits.bits(sequence.frame_id_bits)
    has_own_size = not sequence.is_reduced and bits.flag()
    bits.bits(sequence.order_hint_bits)
    _skip_removal_times(sequence, bits, layers)
    refreshed = 0xFF if is_key and is_shown else bits.bits(8)
    if refreshed != 0xFF and is_resilient:
        bits.bits(N_REFERENCES * sequence.order_hint_bits)
    width, height = _skip_sizes(sequence, bits, has_own_size=has_own_size, may_copy=bool(tools))
    if not sequence.is_reduced and not has_fixed_cdfs:
        bits.flag()
    _skip_tiles(sequence, bits, width, height)


def _frame_kind(sequence: Sequence, bits: BitReader) -> tuple[bool, bool, bool]:
    """Return whether a frame is a key frame, is shown, and can be decoded after a loss."""
    if sequence.is_reduced:
        return True, True, True
    if bits.flag():
        raise ValueError("a frame that is shown again")
    kind, is_shown = bits.bits(2), bits.flag()
    if kind not in (KEY_FRAME, INTRA_ONLY_FRAME):
        raise ValueError("a frame that needs others")
    if is_shown and sequence.presentation_time_bits:
        bits.bits(sequence.presentation_time_bits)
    if not is_shown:
        bits.flag()
    is_key = kind == KEY_FRAME
    return is_key, is_shown, (is_key and is_shown) or bits.flag()


def _skip_removal_times(sequence: Sequence, bits: BitReader, layers: tuple[int, int]) -> None:
    if not sequence.removal_time_bits or not bits.flag():
        return
    temporal, spatial = layers
    for operating_point in sequence.modelled_points:
        is_in = operating_point >> temporal & 1 and operating_point >> (spatial + 8) & 1
        if operating_point == 0 or is_in:
            bits.bits(sequence.removal_time_bits)


def _skip_sizes(sequence: Sequence, bits: BitReader, *, has_own_size: bool, may_copy: bool) -> tuple[int, int]:
    """Return the width and height in which a frame is coded (5.9.5 to 5.9.8)."""
    width, height = sequence.width, sequence.height
    if has_own_size:
        width, height = (bits.bits(n) + 1 for n in sequence.size_bits)
    full_width = width
    if sequence.may_be_narrowed and bits.flag():
        denominator = bits.bits(3) + 9
        width = (8 * width + denominator // 2) // denominator
    if bits.flag():
        bits.bits(32)  # the size at which to show it
    if may_copy and width == full_width:
        bits.flag()
    return width, height


def _skip_tiles(sequence: Sequence, bits: BitReader, width: int, height: int) -> None:
    """Read how a frame is parted into tiles (5.9.15)."""
    side_log2 = 7 if sequence.has_large_blocks else 6
    columns, rows = ((2 * ((n + 7) >> 3) * 4 + (1 << side_log2) - 1) >> side_log2 for n in (width, height))
    widest = 4096 >> side_log2
    least = max(_tile_log2(widest, columns), _tile_log2((4096 * 2304) >> 2 * side_log2, rows * columns))
    if bits.flag():
        columns_log2 = _increments(bits, _tile_log2(widest, columns), _tile_log2(1, min(columns, 64)))
        rows_log2 = _increments(bits, max(least - columns_log2, 0), _tile_log2(1, min(rows, 64)))
    else:
        n_columns, widest_found = _uneven(bits, columns, widest)
        area = rows * columns >> (least + 1) if least else rows * columns
        n_rows, _ = _uneven(bits, rows, max(area // widest_found, 1))
        columns_log2, rows_log2 = _tile_log2(1, n_columns), _tile_log2(1, n_rows)
    if columns_log2 or rows_log2:
        bits.bits(columns_log2 + rows_log2 + 2)


def _tile_log2(size: int, target: int) -> int:
    """Return the least k with size 2^k not below the target."""
    return max(-(-target // size) - 1, 0).bit_length()


def _increments(bits: BitReader, low: int, high: int) -> int:
    while low < high and bits.flag():
        low += 1
    return low


def _uneven(bits: BitReader, total: int, most: int) -> tuple[int, int]:
    """Return the number of tiles of uneven sizes in a direction, and the largest size."""
    n, widest = 0, 0
    while total > 0:
        size = bits.below(min(total, most)) + 1
        n, widest, total = n + 1, max(widest, size), total - size
    return n, widest
