"""Find how coarsely a HEIC was quantised, from the header of its first HEVC slice (ITU-T H.265, 7.3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from spectral_detect.media.quantizers.bits import MOST_BYTES, BitReader
from spectral_detect.media.quantizers.iso_items import CodedItem, Fields

SEQUENCE_PARAMETERS, PICTURE_PARAMETERS = 33, 34
IDR = (19, 20)  # pictures that say nothing of others
FIRST_NOT_A_SLICE = 32
INTRA_SLICE = 2
MOST_UNITS = 64
MAX_QP = 51


@dataclass(frozen=True)
class SequenceParameters:
    """What the header of a slice needs of a sequence's parameters."""

    has_chroma: bool
    has_separate_planes: bool
    has_adaptive_offset: bool


@dataclass(frozen=True)
class PictureParameters:
    """What the header of a slice needs of a picture's parameters."""

    sequence: int
    has_output_flag: bool
    n_extra_bits: int
    initial_qp: int
    may_be_lossless: bool


def heic_quality(item: CodedItem) -> int:
    """Return the quality from 1 to 100 of an image item of HEVC.

    Raises
    ------
    ValueError, KeyError, IndexError
        If its headers are malformed, or not those of a picture of its own.

    Notes
    -----
    The quality is 100 (1 - QP / 51), rounded, where QP is that of the first slice, and 100 if blocks may be stored
    without a loss (x265 allows it only where it is told to lose nothing).
    """
    sequences: dict[int, SequenceParameters] = {}
    pictures: dict[int, PictureParameters] = {}
    for unit in _units(item):
        kind = unit[0] >> 1 & 63
        bits = BitReader(unescaped(unit[2:]))
        if kind == SEQUENCE_PARAMETERS:
            number, sequence = _sequence(bits)
            sequences[number] = sequence
        elif kind == PICTURE_PARAMETERS:
            number, picture = _picture(bits)
            pictures[number] = picture
        elif kind < FIRST_NOT_A_SLICE:
            return min(max(round(100 * (1 - _slice_qp(kind, bits, sequences, pictures) / MAX_QP)), 1), 100)
    raise ValueError("no slice")


def unescaped(unit: bytes) -> bytes:
    """Return the front of a unit without the bytes that keep start codes out of it (7.3.1.1)."""
    return unit[: 2 * MOST_BYTES].replace(b"\0\0\3", b"\0\0")


def _units(item: CodedItem) -> Iterator[bytes]:
    """Yield the front of each NAL unit of the configuration (ISO/IEC 14496-15, 8.3.3.1) and of the picture."""
    fields = Fields(item.properties[b"hvcC"])
    fields.take(21)
    length_bytes = (fields.number(1) & 3) + 1
    for _ in range(fields.number(1)):
        fields.take(1)
        for _ in range(fields.number(2)):
            yield fields.take(fields.number(2))
    at = 0
    for _ in range(MOST_UNITS):
        if at + length_bytes > len(item.head):
            return
        start = at + length_bytes
        at = start + int.from_bytes(item.head[at:start], "big")
        yield item.head[start:at]


def _sequence(bits: BitReader) -> tuple[int, SequenceParameters]:
    """Return the number of a sequence's parameters, and these (7.3.2.2)."""
    bits.bits(4)
    n_layers = bits.bits(3)
    bits.flag()
    _skip_profile(bits, n_layers)
    number, chroma = bits.unsigned(), bits.unsigned()
    has_separate_planes = chroma == 3 and bits.flag()
    _skip_numbers(bits, 2)  # width, height
    if bits.flag():
        _skip_numbers(bits, 4)  # of the window
    _skip_numbers(bits, 3)  # two depths, bits of the order
    _skip_numbers(bits, 3 * (n_layers + 1 if bits.flag() else 1))
    _skip_numbers(bits, 6)  # sizes and depths of the blocks
    if bits.flag() and bits.flag():
        _skip_scaling_lists(bits)
    bits.flag()  # asymmetric partitions
    return number, SequenceParameters(chroma != 0 and not has_separate_planes, has_separate_planes, bits.flag())


def _skip_numbers(bits: BitReader, n: int) -> None:
    for _ in range(n):
        bits.unsigned()


def _skip_profile(bits: BitReader, n_layers: int) -> None:
    """Read the profile, tier and level (7.3.3)."""
    bits.bits(88 + 8)
    present = [bits.bits(2) for _ in range(n_layers)]
    if n_layers:
        bits.bits(2 * (8 - n_layers))
    for flags in present:
        bits.bits(88 * (flags >> 1) + 8 * (flags & 1))


def _skip_scaling_lists(bits: BitReader) -> None:
    """Read the quantisation matrices (7.3.4)."""
    for size in range(4):
        for _ in range(0, 6, 3 if size == 3 else 1):
            if not bits.flag():
                bits.unsigned()
                continue
            _skip_numbers(bits, min(64, 16 << 2 * size) + (size > 1))


def _picture(bits: BitReader) -> tuple[int, PictureParameters]:
    """Return the number of a picture's parameters, and these (7.3.2.3)."""
    number, sequence = bits.unsigned(), bits.unsigned()
    bits.flag()  # dependent slices
    has_output_flag, n_extra_bits = bits.flag(), bits.bits(3)
    bits.bits(2)  # hidden signs, initial contexts
    _skip_numbers(bits, 2)  # of references
    initial_qp = 26 + bits.signed()
    bits.bits(2)  # how blocks are predicted and transformed
    if bits.flag():
        bits.unsigned()  # how deep the quantiser changes
    _skip_numbers(bits, 2)  # of the chroma's quantiser
    bits.bits(3)  # more of it, weights of predictions
    return number, PictureParameters(sequence, has_output_flag, n_extra_bits, initial_qp, bits.flag())


def _slice_qp(
    kind: int, bits: BitReader, sequences: dict[int, SequenceParameters], pictures: dict[int, PictureParameters]
) -> int:
    """Return the quantiser of a slice (7.3.6.1, 7.4.7.1)."""
    is_first = bits.flag()
    bits.flag()  # what becomes of the pictures before
    picture = pictures[bits.unsigned()]
    sequence = sequences[picture.sequence]
    bits.bits(picture.n_extra_bits)
    if kind not in IDR or not is_first or bits.unsigned() != INTRA_SLICE:
        raise ValueError("a slice that needs others")
    bits.bits(picture.has_output_flag + 2 * sequence.has_separate_planes)
    if sequence.has_adaptive_offset:
        bits.bits(1 + sequence.has_chroma)
    qp = picture.initial_qp + bits.signed()
    return min(qp, 0) if picture.may_be_lossless else qp
