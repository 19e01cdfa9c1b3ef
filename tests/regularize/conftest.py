"""Images and options for the tests of generators and of the spectral loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from spectral_detect.regularize.gan.options import TrainingOptions

SMALL = ("--size", 32, "--channels", 8, "--batch-size", 16, "--n-watched", 50, "--threads", 1, "--device", "cpu")


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred images of 36x32 pixels with something in them."""
    folder = tmp_path_factory.mktemp("faces")
    rng = np.random.default_rng(0)
    for k in range(100):
        coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((36, 32), Image.Resampling.BICUBIC)
        noisy = np.asarray(image) + rng.normal(0, 6, (32, 36, 3))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{k:03d}.png")
    return folder


@pytest.fixture
def options(faces: Path) -> TrainingOptions:
    """Options of a run of three epochs on `faces`, with small networks."""
    return TrainingOptions(
        str(faces), size=32, channels=8, batch_size=16, epochs=3, n_watched=50, threads=1, device="cpu"
    )


def random_images(n: int = 64) -> np.ndarray:
    """(n, 32, 32, 3) of noise."""
    return np.random.default_rng(0).integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)


def natural(rng: np.random.Generator, n: int = 60, size: int = 32) -> np.ndarray:
    """(n, size, size) from 0 to 1 with a falling spectrum, as photographs have."""
    noise = rng.normal(size=(n, size, size))
    smooth = sum(gaussian_filter(noise, (0, s, s), mode="wrap") * s for s in (0.5, 1, 2, 4))
    return np.clip(0.5 + 0.15 * smooth / smooth.std(), 0, 1)
