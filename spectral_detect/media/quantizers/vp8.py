"""Find the quality at which a WebP with loss was written, from the quantiser of its VP8 key frame."""

from __future__ import annotations

import math
from collections.abc import Sequence

START_CODE = b"\x9d\x01\x2a"
FRAME_HEADER_BYTES = 10
MOST_BYTES = 64  # the fields up to the quantiser take less than 40
MAX_INDEX = 127
EVEN = 128  # a probability of one half
N_SEGMENTS = 4
# libwebp's `SNS_TO_DQ` at its usual strength of 50 %, and what its segments are limited to
SEGMENT_STRENGTH, EASE_RANGE, EASE_LIMIT = 0.9 * 0.5 / 128, 255, 127
N_ITERATIONS = 3


class BoolDecoder:
    """Decode the bits at the front of an arithmetically coded partition (RFC 6386, section 7.3).

    Behind its end it holds zeros, and there are no more than `MOST_BYTES`.
    """

    def __init__(self, content: bytes) -> None:
        self._value = int.from_bytes(content[:MOST_BYTES].ljust(MOST_BYTES, b"\0"), "big")
        self._range, self._n_left = 255, 8 * (MOST_BYTES - 1)

    def bit(self, probability: int = EVEN) -> int:
        """Return the next bit, which is 0 with a probability of so many in 256."""
        split = 1 + ((self._range - 1) * probability >> 8)
        limit = split << self._n_left
        found = self._value >= limit
        if found:
            self._value -= limit
            split = self._range - split
        n_shifts = 8 - split.bit_length()
        self._range = split << n_shifts
        self._n_left -= n_shifts
        return int(found)

    def number(self, n_bits: int) -> int:
        """Return the next number of so many bits."""
        value = 0
        for _ in range(n_bits):
            value = value << 1 | self.bit()
        return value

    def signed_if_there(self, n_bits: int) -> int:
        """Return a flag, and if it is set a magnitude and a sign; 0 if it is not."""
        if not self.bit():
            return 0
        magnitude = self.number(n_bits)
        return -magnitude if self.bit() else magnitude


def vp8_quality(frame: bytes) -> int:
    """Return the quality from 1 to 100, on libwebp's scale, of a VP8 key frame.

    Parameters
    ----------
    frame : bytes
        The content of a chunk "VP8 ".

    Raises
    ------
    ValueError
        If it is not a key frame.

    Notes
    -----
    libwebp (`QualityToCompression` in src/enc/quant_enc.c) turns quality q into c = linear(q / 100)^(1/3), where
    linear(x) = 2x / 3 below 0.75 and 2x - 1 above, and c into the index 127 (1 - c) of the quantiser, rounded down.
    Each of up to four segments has c^(1 - a) instead: see `_log_of_asked`. So what is found lies within 2 of the
    quality asked, nearer from 80 on, where indices are less than a quality apart.
    """
    if len(frame) < FRAME_HEADER_BYTES + 2 or frame[0] & 1 or frame[3:6] != START_CODE:
        raise ValueError("not a VP8 key frame")
    linear = math.exp(3 * _log_of_asked(*quantizer_indices(BoolDecoder(frame[FRAME_HEADER_BYTES:]))))
    quality = 1.5 * linear if linear < 0.5 else (linear + 1) / 2
    return min(max(round(100 * quality), 1), 100)


def _log_of_asked(indices: Sequence[int], shares: Sequence[float]) -> float:
    """Return ln c of the quality asked, from the index of each segment and its share of the macroblocks.

    libwebp (`SetSegmentAlphas`, `VP8SetSegmentParams`) gives a segment the exponent 1 - k s, where s is how much easier
    than the mean it is to code: the mean of s is 0, and its range 255. Then s is limited to 127, by which one of the
    outermost loses something; that is put back here.
    """
    logs = [math.log(_compression(index)) for index in indices]
    mean = asked = sum(share * log for share, log in zip(shares, logs, strict=True))
    for _ in range(N_ITERATIONS if len(set(indices)) > 1 else 0):
        ease = [(1 - log / asked) / SEGMENT_STRENGTH for log in logs]
        top, bottom = max(ease), min(ease)
        limited = top if top + bottom > 0 else bottom
        lost = bottom + EASE_RANGE - EASE_LIMIT if limited == top else top - EASE_RANGE + EASE_LIMIT
        lost *= sum(share for share, value in zip(shares, ease, strict=True) if value == limited)
        asked = mean / (1 + SEGMENT_STRENGTH * lost)
    return asked


def _compression(index: int) -> float:
    """Return c in the middle of those that libwebp rounds down to an index."""
    return max(1 - (min(max(index, 0), MAX_INDEX) + 0.5) / MAX_INDEX, 0.25 / MAX_INDEX)


def quantizer_indices(decoder: BoolDecoder) -> tuple[Sequence[int], Sequence[float]]:
    """Return the index of the quantiser in each segment, and the share of macroblocks there (RFC 6386, 19.2)."""
    decoder.number(2)  # colour space, clamping
    is_segmented = decoder.bit()
    is_absolute, changes, shares = _segments(decoder) if is_segmented else (False, [0], [1.0])
    decoder.number(1 + 6 + 3)  # kind, level and sharpness of the loop filter
    if decoder.bit() and decoder.bit():
        for _ in range(8):
            decoder.signed_if_there(6)
    decoder.number(2)  # number of partitions
    base = decoder.number(7)
    return changes if is_absolute else [base + change for change in changes], shares


def _segments(decoder: BoolDecoder) -> tuple[bool, list[int], list[float]]:
    """Return whether quantisers are absolute, the quantiser of each segment, and its share of the macroblocks."""
    has_map, has_values = decoder.bit(), decoder.bit()
    is_absolute, values = False, [0] * N_SEGMENTS
    if has_values:
        is_absolute = decoder.bit() == 1
        values = [decoder.signed_if_there(7) for _ in range(N_SEGMENTS)]
        for _ in range(N_SEGMENTS):  # of the loop filter
            decoder.signed_if_there(6)
    tree = [decoder.number(8) / 255 if has_map and decoder.bit() else 1.0 for _ in range(3)]
    left, right = tree[0], 1 - tree[0]
    return is_absolute, values, [left * tree[1], left * (1 - tree[1]), right * tree[2], right * (1 - tree[2])]
