"""Part images into those that are trained on and those that are measured on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spectral_detect.errors import DatasetError
from spectral_detect.regularize.profiles import MIN_REALS

HELD_OUT_SHARE, MOST_HELD_OUT = 10, 200


@dataclass(frozen=True, eq=False)
class SplitImages:
    """Hold images that are trained on, and others that are measured on: (N, size, size, 3) uint8."""

    training: np.ndarray
    held_out: np.ndarray

    @property
    def originals(self) -> np.ndarray:
        """Return the held-out images scaled to 0 to 1."""
        return self.held_out.astype(np.float32) / 255


def split_images(images: np.ndarray, n_images: int, seed: int) -> SplitImages:
    """Draw `n_images` of (N, size, size, 3) uint8 and hold a tenth of them out, at most 200.

    Raises
    ------
    DatasetError
        Fewer than 50 are left to train on.
    """
    drawn = np.random.default_rng(seed).permutation(len(images))[:n_images]
    n_held_out = min(MOST_HELD_OUT, max(1, len(drawn) // HELD_OUT_SHARE))
    if len(drawn) - n_held_out < MIN_REALS:
        raise DatasetError(
            f"{len(drawn)} images: {n_held_out} of them are held out, and at least {MIN_REALS} must be left to "
            "train on",
            remedy="add images",
        )
    return SplitImages(images[drawn[n_held_out:]], images[drawn[:n_held_out]])
