"""Read the sequence header of AV1 (AV1 specification, 5.5)."""

from __future__ import annotations

from dataclasses import dataclass

from spectral_detect.media.quantizers.bits import BitReader

SELECT = 2  # each frame says itself
IDENTITY, UNSPECIFIED, SRGB, BT709 = 0, 2, 13, 1


@dataclass
class Sequence:
    """What must be known to read the header of a frame, and what its planes are."""

    is_reduced: bool = False
    removal_time_bits: int = 0
    presentation_time_bits: int = 0  # 0 if frames do not have it
    modelled_points: tuple[int, ...] = ()
    size_bits: tuple[int, int] = (0, 0)
    width: int = 0
    height: int = 0
    frame_id_bits: int = 0
    has_large_blocks: bool = False
    order_hint_bits: int = 0
    screen_content_tools: int = SELECT
    integer_mv: int = SELECT
    may_be_narrowed: bool = False
    is_gray: bool = False
    is_444: bool = False
    matrix: int = UNSPECIFIED
    is_full_range: bool = False
    has_two_chroma_quantizers: bool = False
    may_have_grain: bool = False


def read_sequence(bits: BitReader) -> Sequence:
    """Return the facts of a sequence header.

    Raises
    ------
    ValueError
        If it is malformed.
    """
    profile = bits.bits(3)
    bits.flag()  # a still picture
    sequence = Sequence(is_reduced=bits.flag())
    if sequence.is_reduced:
        bits.bits(5)  # level
    else:
        _read_operating_points(sequence, bits)
    sequence.size_bits = (bits.bits(4) + 1, bits.bits(4) + 1)
    sequence.width, sequence.height = (bits.bits(n) + 1 for n in sequence.size_bits)
    if not sequence.is_reduced and bits.flag():
        sequence.frame_id_bits = bits.bits(4) + 2 + bits.bits(3) + 1
    sequence.has_large_blocks = bits.flag()
    bits.bits(2)  # filters of intra prediction
    if not sequence.is_reduced:
        _read_inter_tools(sequence, bits)
    sequence.may_be_narrowed = bits.flag()
    bits.bits(2)  # cdef, restoration
    _read_colours(sequence, bits, profile)
    sequence.may_have_grain = bits.flag()
    return sequence


def _read_operating_points(sequence: Sequence, bits: BitReader) -> None:
    delay_bits = _read_timing(sequence, bits) if bits.flag() else 0
    has_display_delay = bits.flag()
    points = []
    for _ in range(bits.bits(5) + 1):
        point = bits.bits(12)
        if bits.bits(5) > 7:  # level
            bits.flag()
        if delay_bits and bits.flag():
            points.append(point)
            bits.bits(2 * delay_bits + 1)
        if has_display_delay and bits.flag():
            bits.bits(4)
    sequence.modelled_points = tuple(points)


def _read_timing(sequence: Sequence, bits: BitReader) -> int:
    """Return the bits of a delay of the decoder, 0 if there is no model of it."""
    bits.bits(64)
    is_even = bits.flag()
    if is_even:
        bits.unsigned()
    if not bits.flag():
        return 0
    delay_bits = bits.bits(5) + 1
    bits.bits(32)
    sequence.removal_time_bits = bits.bits(5) + 1
    presentation_time_bits = bits.bits(5) + 1
    sequence.presentation_time_bits = 0 if is_even else presentation_time_bits
    return delay_bits


def _read_inter_tools(sequence: Sequence, bits: BitReader) -> None:
    bits.bits(4)  # compound prediction, warping, filters
    has_order = bits.flag()
    if has_order:
        bits.bits(2)
    sequence.screen_content_tools = SELECT if bits.flag() else bits.bits(1)
    if sequence.screen_content_tools:
        sequence.integer_mv = SELECT if bits.flag() else bits.bits(1)
    if has_order:
        sequence.order_hint_bits = bits.bits(3) + 1


def _read_colours(sequence: Sequence, bits: BitReader, profile: int) -> None:
    """Read the depth, the matrix and the subsampling (5.5.2)."""
    is_deep = bits.flag()
    is_12_bit = profile == 2 and is_deep and bits.flag()
    sequence.is_gray = profile != 1 and bits.flag()
    described = tuple(bits.bits(8) for _ in range(3)) if bits.flag() else (UNSPECIFIED,) * 3
    sequence.matrix = described[2]
    if not sequence.is_gray and described == (BT709, SRGB, IDENTITY):
        sequence.is_full_range = sequence.is_444 = True
        sequence.has_two_chroma_quantizers = bits.flag()
        return
    sequence.is_full_range = bits.flag()
    if sequence.is_gray:
        return
    halves_width = bits.flag() if is_12_bit else profile != 1
    halves_height = halves_width and (bits.flag() if is_12_bit else profile == 0)
    if halves_width and halves_height:
        bits.bits(2)  # where its chroma lies
    sequence.is_444 = not halves_width
    sequence.has_two_chroma_quantizers = bits.flag()
