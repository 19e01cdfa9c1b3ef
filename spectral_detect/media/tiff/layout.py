"""Decide from the tags of a TIFF file what its pixels are, and refuse what has no defined gray or scale."""

from __future__ import annotations

from dataclasses import dataclass

from PIL.TiffImagePlugin import COMPRESSION_INFO

from spectral_detect.errors import ImageReadError
from spectral_detect.media.tiff.directories import Directory
from spectral_detect.orientation import UPRIGHT, displayed_size, sound_orientation

# TIFF 6.0 (1992)
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, ORIENTATION, N_SAMPLES = 256, 257, 258, 259, 262, 274, 277
MAX_SAMPLE_VALUE, PLANES, PREDICTOR, EXTRA_SAMPLES, SAMPLE_FORMAT = 281, 284, 317, 338, 339

WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 0, 1, 2
PHOTOMETRICS = {
    3: "palette", 4: "transparency mask", 5: "CMYK", 6: "YCbCr", 8: "Lab", 9: "Lab", 10: "Lab", 32844: "LogL",
    32845: "LogLuv",
}  # fmt: skip
PILLOW_CANNOT = (8, 9, 10, 32844, 32845)  # at any depth
UNSIGNED, SIGNED, FLOAT, UNDEFINED = 1, 2, 3, 4
NO_PREDICTOR, DIFFERENCES = 1, 2
ASSOCIATED, UNASSOCIATED = 1, 2
PREDICTED_CODES = (5, 8, 32946, 34925, 50000)  # LZW, deflate, LZMA, Zstandard: libtiff knows a predictor for these
LOSSLESS_CODES = (1, 32773, *PREDICTED_CODES)
OTHER_CODES = {
    6: "JPEG", 7: "JPEG", 34712: "JPEG 2000", 34887: "LERC", 34892: "JPEG", 50001: "WebP", 50002: "JPEG XL",
    22610: "JPEG XR", 34934: "JPEG XR", 33003: "JPEG 2000", 33005: "JPEG 2000",
}  # fmt: skip
FULL_BITS, DEEP_BITS = 8, 16
MOST_SAMPLES = 8
TO_8_OR_16 = "convert it to 8 or 16 bit gray or RGB"


@dataclass(frozen=True)
class Layout:
    """How the pixels of a TIFF file with more than 8 bits a channel are stored.

    Attributes
    ----------
    directory : Directory
        Its tags.
    width, height : int
        In pixels as stored, without the orientation.
    bits : int
        Of a sample, 9 to 16.
    n_samples : int
        Of a pixel, those of alpha and of unknown meaning counted.
    n_colours : int
        1 for gray, 3 for RGB; they come first.
    alpha : int or None
        Which sample is alpha.
    is_associated : bool
        Whether the colours are multiplied by alpha.
    is_inverted : bool
        Whether 0 is white.
    """

    directory: Directory
    width: int
    height: int
    bits: int
    n_samples: int
    n_colours: int
    alpha: int | None
    is_associated: bool
    is_inverted: bool

    @property
    def orientation(self) -> int:
        """1 to 8, upright if the file tells none."""
        return sound_orientation(self.directory.number(ORIENTATION, UPRIGHT))

    @property
    def displayed_size(self) -> tuple[int, int]:
        """Width and height, after the orientation."""
        return displayed_size(self.width, self.height, self.orientation)

    @property
    def has_planes_apart(self) -> bool:
        """Tell whether each sample has a plane of its own."""
        return self.directory.number(PLANES, 1) == 2 and self.n_samples > 1

    @property
    def holds_differences(self) -> bool:
        """Tell whether each sample is stored as its difference from the one to the left (section 14)."""
        return self.directory.number(PREDICTOR, NO_PREDICTOR) == DIFFERENCES


def deep_layout(directory: Directory) -> Layout | None:
    """Return the layout of pixels with more than 8 bits; None for others, which Pillow reads in full.

    Raises
    ------
    ImageReadError
        The pixels have no defined gray or scale, or are of a kind that nothing here reads; says which.
    """
    n_samples = directory.number(N_SAMPLES, 1)
    depths = {bits for bits in directory.numbers(BITS) if bits > 0}
    bits = max(depths, default=1)
    photometric = directory.number(PHOTOMETRIC, -1)
    if photometric in PILLOW_CANNOT:  # before the number format: LogLuv has that of what a decoder makes of it
        raise _unread(f"{bits}-bit {PHOTOMETRICS[photometric]}")
    _refuse_formats(directory, bits)
    _refuse_codes(directory, bits)
    if bits > FULL_BITS and photometric in PHOTOMETRICS:
        raise _unread(f"{bits}-bit {PHOTOMETRICS[photometric]}")
    if bits <= FULL_BITS:
        if directory.is_unknown_to_pillow:
            raise _unread(f"{bits}-bit BigTIFF in big-endian order", "save it as an ordinary TIFF")
        return None
    if len(depths) > 1:
        raise _unread("channels of different depth")
    return _checked_layout(directory, bits, n_samples, photometric)


def _refuse_formats(directory: Directory, bits: int) -> None:
    """Refuse numbers that are signed, floating or of more than 16 bits."""
    formats = set(directory.numbers(SAMPLE_FORMAT)) or {UNSIGNED}
    if FLOAT in formats:
        raise _unread(f"{bits}-bit float: the file does not tell which value is white")
    if not formats <= {UNSIGNED, UNDEFINED}:
        raise _unread(f"{bits}-bit signed whole numbers" if formats == {SIGNED} else f"{bits}-bit complex numbers")
    if bits > DEEP_BITS:
        raise _unread(f"{bits}-bit whole-number pixels have no defined gray")


def _refuse_codes(directory: Directory, bits: int) -> None:
    """Refuse compressions that Pillow does not know, and in deep files all that may lose something."""
    code = directory.number(COMPRESSION, 1)
    if code not in (COMPRESSION_INFO if bits <= FULL_BITS else LOSSLESS_CODES):
        name = OTHER_CODES.get(code, f"compression {code}")
        raise _unread(f"{bits} bit with {name} inside", "save it without compression, or with LZW or deflate")
    predictor = directory.number(PREDICTOR, NO_PREDICTOR)
    is_known = code in PREDICTED_CODES and (predictor, bits) == (DIFFERENCES, DEEP_BITS)
    if bits > FULL_BITS and predictor != NO_PREDICTOR and not is_known:
        raise _unread(f"{bits} bit with predictor {predictor} and compression {code}", "save it without compression")


def _checked_layout(directory: Directory, bits: int, n_samples: int, photometric: int) -> Layout:
    """Return the layout of whole numbers in 9 to 16 bits."""
    width, height = directory.number(WIDTH, 0), directory.number(HEIGHT, 0)
    if width <= 0 or height <= 0:
        raise ImageReadError("TIFF: the file does not say how large its image is", remedy="get an intact copy")
    if photometric not in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB):
        raise _unread(f"{bits} bit, and the file does not say what its channels mean")
    n_colours = 3 if photometric == RGB else 1
    kinds = directory.numbers(EXTRA_SAMPLES)[: max(n_samples - n_colours, 0)]
    alpha = next((k for k, kind in enumerate(kinds) if kind in (ASSOCIATED, UNASSOCIATED)), None)
    is_associated = alpha is not None and kinds[alpha] == ASSOCIATED
    is_inverted = photometric == WHITE_IS_ZERO
    most = MOST_SAMPLES if n_colours == 3 else 2  # a second sample is alpha, whatever it is called
    if not n_colours <= n_samples <= most or (is_inverted and is_associated):
        raise _unread(f"{bits} bit, {n_samples} channels for {'RGB' if n_colours == 3 else 'gray'}")
    alpha = None if alpha is None else n_colours + alpha
    return Layout(directory, width, height, bits, n_samples, n_colours, alpha, is_associated, is_inverted)


def _unread(kind: str, remedy: str = TO_8_OR_16) -> ImageReadError:
    return ImageReadError(f"TIFF, {kind}", remedy=remedy)
