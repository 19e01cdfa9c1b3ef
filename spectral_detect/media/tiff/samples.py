"""Turn the bytes of a TIFF file with more than 8 bits a channel into pixels: byte order, depth, planes, alpha."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spectral_detect.media.tiff.layout import DEEP_BITS, MAX_SAMPLE_VALUE, Layout
from spectral_detect.media.tiff.strips import read_rows

WHITE = 2**DEEP_BITS - 1
FEWEST_BITS = 8


@dataclass(frozen=True)
class DeepPixels:
    """The pixels of an image with more than 8 bits a channel.

    Attributes
    ----------
    colours : (H, W) or (H, W, 3) array of uint16
        Gray or RGB on the scale 0 to 65535, 0 black; no longer multiplied by alpha.
    alpha : (H, W) array of uint16 or None
        65535 is opaque.
    is_scale_told : bool
        Whether the file says which value is white, by its depth or by a tag.
    """

    colours: np.ndarray
    alpha: np.ndarray | None
    is_scale_told: bool

    @property
    def hidden(self) -> np.ndarray | None:
        """(H, W) bool, which pixels have an alpha below full; None if none has."""
        return None if self.alpha is None or self.alpha.min() == WHITE else self.alpha < WHITE


def read_samples(content: bytes, layout: Layout) -> DeepPixels:
    """Decode the pixels of the first page, as stored: not turned by the orientation.

    Parameters
    ----------
    content : bytes
        The whole file.
    layout : Layout
        How its pixels are stored.

    Returns
    -------
    DeepPixels

    Raises
    ------
    ImageReadError, OSError
        Part of the file is missing or damaged.
    """
    stored = _stored_samples(content, layout)
    colours = stored[..., : layout.n_colours]
    white = white_value(layout, int(colours.max()))
    colours = _on_full_scale(white - colours if layout.is_inverted else colours, white)
    alpha = None
    if layout.alpha is not None:
        alpha = np.ascontiguousarray(_on_full_scale(stored[..., layout.alpha], 2**layout.bits - 1))
        colours = _unmultiplied(colours, alpha) if layout.is_associated else colours
    colours = np.ascontiguousarray(colours if layout.n_colours == 3 else colours[..., 0])
    return DeepPixels(colours, alpha, is_scale_told=white != WHITE)


def white_value(layout: Layout, brightest: int) -> int:
    """Return the value that stands for white (or, if the file is inverted, for black).

    That is the largest which the depth allows. A file of 16 bits that holds 12 says so by `MaxSampleValue`; other
    values of that tag, and values that a pixel exceeds, are statistics.
    """
    told, largest = layout.directory.number(MAX_SAMPLE_VALUE, 0), 2**layout.bits - 1
    is_depth = told >= 2**FEWEST_BITS - 1 and told & (told + 1) == 0
    return told if is_depth and brightest <= told <= largest else largest


def _on_full_scale(values: np.ndarray, white: int) -> np.ndarray:
    """Stretch 0 to `white` to 0 to 65535, rounded."""
    if white == WHITE:
        return values
    stretched: np.ndarray = (values.astype(np.uint32) * WHITE + white // 2) // white
    return stretched.astype(np.uint16)


def _unmultiplied(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Divide colours by the alpha that they were multiplied by; where it is 0 they stay, as Pillow leaves 8 bit."""
    divisor = np.where(alpha == 0, WHITE, alpha)[..., np.newaxis].astype(np.uint32)
    divided: np.ndarray = np.minimum((colours.astype(np.uint32) * WHITE + divisor // 2) // divisor, WHITE)
    return divided.astype(np.uint16)


def _stored_samples(content: bytes, layout: Layout) -> np.ndarray:
    """Return the samples as stored: (H, W, n) uint16; of planes that are apart, those of colours and alpha."""
    if not layout.has_planes_apart:
        return _plane(content, layout, layout.n_samples, 0)
    needed = max(layout.n_colours - 1, layout.alpha or 0) + 1
    return np.concatenate([_plane(content, layout, 1, plane) for plane in range(needed)], axis=-1)


def _plane(content: bytes, layout: Layout, n_together: int, plane: int) -> np.ndarray:
    """Return a plane in which `n_together` samples of a pixel lie side by side: (H, W, n_together) uint16."""
    rows = read_rows(content, layout, n_together=n_together, plane=plane)
    if layout.bits == DEEP_BITS:
        values = rows.view(">u2" if content[:2] == b"MM" else "<u2").astype(np.uint16)
    else:
        values = _unpacked(rows, layout.bits)
    height, n_across, n_values = values.shape
    samples = values[..., : n_values // n_together * n_together].reshape(height, n_across, -1, n_together)
    if layout.holds_differences:
        samples = np.cumsum(samples, axis=2, dtype=np.uint16)
    return samples.reshape(height, -1, n_together)[: layout.height, : layout.width]


def _unpacked(rows: np.ndarray, bits: int) -> np.ndarray:
    """Unpack values of 9 to 15 bits, the highest first, from rows of bytes; each row begins with a whole byte."""
    n_values = rows.shape[-1] * 8 // bits
    first, shift = np.divmod(np.arange(n_values) * bits, 8)
    values = np.empty((*rows.shape[:-1], n_values), np.uint16)
    for row, unpacked in zip(rows, values, strict=True):  # a row at a time: four bytes a value
        padded = np.pad(row, ((0, 0), (0, 2))).astype(np.uint32)
        three = padded[:, first] << 16 | padded[:, first + 1] << 8 | padded[:, first + 2]
        unpacked[:] = three >> (24 - bits - shift).astype(np.uint32) & 2**bits - 1
    return values
