"""Decode the invisible watermarks that reference code of generators embeds (package invisible-watermark, dwtDct).

Notes
-----
The encoder takes the first plane of chroma (U of OpenCV's YUV), one level of Haar's wavelet, and of each block of 4x4
approximation coefficients the largest, the first apart. Its magnitude m becomes (m // 36 + 0.25 + 0.5 bit) 36; the bits
of the message follow one another from block to block, over and over. The bit is read back from m mod 36, and a bit of
the message is the majority of its blocks. Images of bytes and of floats differ in the offset of U (128 and 0.5), which
changes the magnitudes; each is decoded as it was encoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import comb
from typing import Literal, NamedTuple

import numpy as np

from spectral_detect.provenance.findings import Finding

STEP, BLOCK = 36, 4
LEAST_PIXELS = 256 * 256  # the encoder refuses smaller images
LEAST_ACCURACY = 0.75  # share of the bits that are right: saturated colours spoil some when a mark is embedded
MOST_BY_CHANCE = 1e-8  # on 3876 camera images the least was 3e-4 (examples/watermark_alarms.py)
LONGEST_SIDE = 8192  # pixels; generators make no larger images, and of these the rest is left out


class Mark(NamedTuple):
    """A message that a program embeds.

    Attributes
    ----------
    program : str
        Its name.
    bits : str
        The message, in zeros and ones.
    kind : {"bytes", "floats"}
        What the image is made of when it is embedded.
    source : str
        Where this can be looked up.
    """

    program: str
    bits: str
    kind: Literal["bytes", "floats"]
    source: str


def _bits_of(text: str) -> str:
    return "".join(f"{byte:08b}" for byte in text.encode("ascii"))


# FLUX's code drops the two zeros in front of its 48 bits (`bin(x)[2:]`), so that 46 are embedded
CODE = "github.com/"
MARKS = (
    Mark("Stable Diffusion 1", _bits_of("StableDiffusionV1"), "bytes", f"{CODE}CompVis/stable-diffusion, txt2img.py"),
    Mark("Stable Diffusion 2", _bits_of("SDV2"), "bytes", f"{CODE}Stability-AI/stablediffusion, txt2img.py"),
    Mark("InvokeAI", _bits_of("InvokeAI"), "bytes", f"{CODE}invoke-ai/InvokeAI, image_util/invisible_watermark.py"),
    Mark("Stable Diffusion XL", f"{0xB3EC907BB19E:b}", "floats", f"{CODE}Stability-AI/generative-models, demo"),
    Mark("FLUX", f"{0x2AFE879CF52E:b}", "floats", f"{CODE}black-forest-labs/flux, src/flux/util.py"),
)  # fmt: skip


@dataclass(frozen=True)
class Match:
    """How well an image agrees with a mark.

    Attributes
    ----------
    mark : Mark
        The message.
    accuracy : float
        Share of its bits that are read right, 0 to 1.
    by_chance : float
        How probable at least so many right bits are if each is a toss of a coin.
    """

    mark: Mark
    accuracy: float
    by_chance: float

    @property
    def is_found(self) -> bool:
        """Tell whether this is no accident."""
        return self.accuracy >= LEAST_ACCURACY and self.by_chance <= MOST_BY_CHANCE


def watermark_findings(rgb: np.ndarray) -> list[Finding]:
    """Return the watermarks of an image.

    Parameters
    ----------
    rgb : (H, W, 3) array
        uint8.
    """
    found = (match for match in matches(rgb) if match.is_found)
    return [
        Finding(
            "watermark",
            f"invisible watermark of {match.mark.program}: {100 * match.accuracy:.0f} % of "
            f"{len(match.mark.bits)} bits are right (by chance: {match.by_chance:.0e})",
            "pixels",
            "yes",
        )
        for match in found
    ]


def matches(rgb: np.ndarray) -> list[Match]:
    """Return how well an image agrees with each mark; none if it is smaller than what the encoder takes."""
    if rgb.shape[0] * rgb.shape[1] < LEAST_PIXELS:
        return []
    rgb = rgb[:LONGEST_SIDE, :LONGEST_SIDE]
    blocks = {kind: block_bits(rgb, kind) for kind in ("bytes", "floats")}
    return [_match(mark, blocks[mark.kind]) for mark in MARKS]


def block_bits(rgb: np.ndarray, kind: Literal["bytes", "floats"]) -> np.ndarray:
    """Return the bit of each block, row by row.

    Parameters
    ----------
    rgb : (H, W, 3) array
        uint8.
    kind : {"bytes", "floats"}
        What the image was made of when the mark was embedded.
    """
    import cv2

    height, width = (side // (2 * BLOCK) * 2 * BLOCK for side in rgb.shape[:2])
    chroma = cv2.cvtColor(rgb if kind == "bytes" else rgb.astype(np.float32), cv2.COLOR_RGB2YUV)[:height, :width, 1]
    quarters = chroma.astype(np.float32).reshape(height // 2, 2, width // 2, 2)
    approximation = quarters.sum(axis=(1, 3)) / 2  # Haar's, orthonormal
    rows, columns = height // (2 * BLOCK), width // (2 * BLOCK)
    blocks = approximation.reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2).reshape(rows * columns, BLOCK**2)
    largest = np.abs(blocks[:, 1:]).max(axis=1)
    return np.asarray(largest % STEP > STEP / 2)


def _match(mark: Mark, bits: np.ndarray) -> Match:
    message = np.frombuffer(mark.bits.encode("ascii"), np.uint8) == ord("1")
    length = len(message)
    whole = bits[: len(bits) // length * length].reshape(-1, length)
    n_right = int(((whole.mean(axis=0) > 0.5) == message).sum()) if len(whole) else 0
    return Match(mark, n_right / length, _by_chance(n_right, length))


def _by_chance(n_right: int, length: int) -> float:
    """Return the probability of at least so many heads in so many tosses of a coin."""
    return float(sum(comb(length, k) for k in range(n_right, length + 1)) / 2**length)
