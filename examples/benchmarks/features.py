"""Features of one 1024x1024 array on one core: ours against the published algorithm written straightforwardly.

python examples/benchmarks/features.py [--side 1024] [--repeats 20]
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable

import cv2
import numpy as np
import scipy.fft
from scipy.interpolate import griddata
from threadpoolctl import threadpool_limits

from spectral_detect import FeatureSpec, extract_features
from spectral_detect.features.numpy_backend import numpy_backend
from spectral_detect.features.spectrum import ring_operator
from spectral_detect.parallel.pool import WORKER_ENVIRONMENT


def published(image: np.ndarray, n_bins: int = 300) -> np.ndarray:
    """FFT in double precision, rings by sorting all radii, cubic `griddata`, division by the first value."""
    level = 20 * np.log(np.abs(np.fft.fftshift(np.fft.fft2(image)) + 1e-8))
    y, x = np.indices(image.shape)
    radius = np.hypot(x - (image.shape[1] - 1) / 2, y - (image.shape[0] - 1) / 2)
    order = np.argsort(radius, axis=None)
    ring = radius.flat[order].astype(int)
    ends = np.flatnonzero(np.diff(ring))
    total = np.cumsum(level.flat[order])[ends]
    profile = np.diff(total) / np.diff(ends)
    at = np.linspace(0, n_bins, len(profile))
    resampled = griddata(at, profile, np.linspace(0, n_bins, n_bins), method="cubic")
    return resampled / resampled[0]


def settle_memory() -> None:
    """Start again under the settings of the workers of a scan, where the C library keeps the memory it has."""
    wanted = {name: value for name, value in WORKER_ENVIRONMENT.items() if name.startswith("MALLOC")}
    if any(os.environ.get(name) != value for name, value in wanted.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | wanted)


def milliseconds(function: Callable[[], object], repeats: int) -> float:
    """The median of `repeats` calls, after one that fills the caches."""
    function()
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return 1000 * float(np.median(times))


def new_rings(side: int, spec: FeatureSpec) -> object:
    """What the first image of a size costs on top of its features."""
    return ring_operator.__wrapped__((side, side), spec.ring_width, spec.centre, "float32", numpy_backend(), True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=20)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    threadpool_limits(1)
    settle_memory()
    image = np.random.default_rng(0).integers(0, 256, (args.side, args.side), dtype=np.uint8)
    single = image.astype(np.float32)
    colour = np.random.default_rng(1).integers(0, 256, (args.side, args.side, 3), dtype=np.uint8)
    azimuthal, residual, durall = (FeatureSpec.preset(name) for name in ("azimuthal", "residual", "durall"))
    np.testing.assert_allclose(extract_features(image, durall), published(image), atol=1e-9)
    theirs = milliseconds(lambda: published(image), max(3, args.repeats // 4))
    rows = {
        "published algorithm": theirs,
        "preset durall": milliseconds(lambda: extract_features(image, durall), args.repeats),
        "preset azimuthal": milliseconds(lambda: extract_features(image, azimuthal), args.repeats),
        "preset residual": milliseconds(lambda: extract_features(colour, residual, is_ycc=True), args.repeats),
        "rings of a new size": milliseconds(lambda: new_rings(args.side, azimuthal), max(3, args.repeats // 4)),
        "bare float32 FFT": milliseconds(lambda: scipy.fft.rfft2(single), args.repeats),
    }
    for name, cost in rows.items():
        ratios = f"{theirs / cost:6.1f} times as fast as published   {cost / rows['preset azimuthal']:6.2f} x azimuthal"
        print(f"{name:<22}{cost:8.2f} ms   {ratios}")


if __name__ == "__main__":
    main()
