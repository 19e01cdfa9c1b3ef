"""Read the bit fields of AV1 and HEVC headers."""

from __future__ import annotations

MOST_BYTES = 1024  # headers end long before
LONGEST_PREFIX = 32


class BitReader:
    """Read numbers from the front of a header, most significant bit first.

    Parameters
    ----------
    content : bytes
        The header; only the first `MOST_BYTES` bytes are looked at.

    Raises
    ------
    ValueError
        By each method, if the header ends before its number or the number is malformed.
    """

    def __init__(self, content: bytes) -> None:
        content = content[:MOST_BYTES]
        self._value = int.from_bytes(content, "big")
        self._n_left = 8 * len(content)

    def bits(self, n: int) -> int:
        """Return a number of n bits."""
        self._n_left -= n
        if self._n_left < 0:
            raise ValueError("the header ends too early")
        return (self._value >> self._n_left) & ((1 << n) - 1)

    def flag(self) -> bool:
        """Return one bit."""
        return self.bits(1) == 1

    def unsigned(self) -> int:
        """Return an exponential Golomb code (H.265, 9.2; AV1, 4.10.3)."""
        n_zeros = 0
        while not self.flag():
            n_zeros += 1
            if n_zeros > LONGEST_PREFIX:
                raise ValueError("not an exponential Golomb code")
        return (1 << n_zeros) - 1 + self.bits(n_zeros)

    def signed(self) -> int:
        """Return a signed exponential Golomb code (H.265, 9.2.2)."""
        code = self.unsigned()
        return (code + 1) // 2 if code % 2 else -code // 2

    def below(self, n: int) -> int:
        """Return a number in [0, n): ns(n) of AV1, 4.10.7."""
        width = n.bit_length()
        n_short = (1 << width) - n
        value = self.bits(width - 1)
        return value if value < n_short else (value << 1) - n_short + self.bits(1)
