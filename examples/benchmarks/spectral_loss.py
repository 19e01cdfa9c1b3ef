"""What the spectral loss costs on one core: beside a training step, and beside a loop over the images in NumPy.

python examples/benchmarks/spectral_loss.py [--size 64] [--batch 64] [--channels 64] [--topology v4]
"""

from __future__ import annotations

import argparse
from functools import partial
from typing import get_args

import numpy as np
import torch
from features import milliseconds

from spectral_detect.regularize.choices import SpectralDistance, SpectralFeatures
from spectral_detect.regularize.gan.options import TrainingOptions
from spectral_detect.regularize.gan.steps import Gan, to_tensor
from spectral_detect.regularize.loss import AT_BOUND, BOUND_SD, SpectralLoss
from spectral_detect.regularize.profiles import GRAY, ROUNDING_POWER, RealProfile, mean_profile


def looped(images: np.ndarray, reals: RealProfile, ring: np.ndarray, n_pixels: np.ndarray) -> float:
    """The loss of (N, H, W, 3) images from -1 to 1, an image at a time; rings are found beforehand."""
    logs = []
    for image in images:
        power = np.abs(np.fft.fft2((image @ np.array(GRAY) + 1) / 2)) ** 2 / ring.size
        profile = np.bincount(ring.ravel(), weights=power.ravel()) / n_pixels
        logs.append(np.log(profile[1:] + ROUNDING_POWER))
    z = (np.mean(logs, axis=0) - reals.mean_log) / (BOUND_SD * reals.sd_log / AT_BOUND)
    return float(np.mean(np.logaddexp(0, z) - z / 2))  # cross-entropy with 1/2


def published(images: np.ndarray) -> np.ndarray:
    """(N, H, W, 3) -> (N, n_rings) as the published code does it: radii found and sorted anew for each image."""
    profiles = []
    for image in images:
        power = np.abs(np.fft.fftshift(np.fft.fft2(image @ np.array(GRAY)))) ** 2
        y, x = np.indices(power.shape)
        radius = np.hypot(x - (power.shape[1] - 1) / 2, y - (power.shape[0] - 1) / 2)
        order = np.argsort(radius, axis=None)
        ends = np.flatnonzero(np.diff(radius.flat[order].astype(int)))
        profiles.append(np.diff(np.cumsum(power.flat[order])[ends]) / np.diff(ends))
    return np.array(profiles)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--topology", default="baseline")
    parser.add_argument("--reals", type=int, default=1000, help="images in the bank")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    torch.set_num_threads(1)
    images = np.random.default_rng(0).integers(
        0, 256, (max(args.reals, args.batch), args.size, args.size, 3), dtype=np.uint8
    )
    reals, batch = mean_profile(images), images[: args.batch]
    loss = SpectralLoss(reals)
    x = to_tensor(batch, torch.device("cpu")).requires_grad_()
    options = TrainingOptions("", size=args.size, channels=args.channels, topology=args.topology)
    gan = Gan(options, reals, torch.device("cpu"))

    frequency = np.hypot(np.fft.fftfreq(args.size)[:, None], np.fft.fftfreq(args.size)[None, :])
    ring = np.rint(frequency * args.size).astype(int)
    n_pixels, from_0_to_1 = np.bincount(ring.ravel()), batch / 255
    from_minus_1 = 2 * from_0_to_1 - 1
    np.testing.assert_allclose(loss(x).item(), looped(from_minus_1, reals, ring, n_pixels), rtol=1e-4)

    def step() -> None:
        gan.step_d(x.detach())
        gan.step_g(args.batch)

    with torch.no_grad():
        forward = milliseconds(lambda: loss(x), 10 * args.repeats)
    both = milliseconds(lambda: loss(x).backward(), 10 * args.repeats)
    loop = milliseconds(lambda: looped(from_minus_1, reals, ring, n_pixels), 10 * args.repeats)
    theirs = milliseconds(lambda: published(from_0_to_1), args.repeats)
    training = milliseconds(step, args.repeats)
    print(f"batch of {args.batch} images of {args.size}x{args.size}, one core")
    print(f"loss, forward            {forward:8.2f} ms")
    print(f"the same, NumPy in a loop{loop:8.2f} ms   {loop / forward:6.1f} times the forward pass")
    print(f"profiles, published code {theirs:8.2f} ms   {theirs / forward:6.1f} times the forward pass")
    print(f"loss, there and back     {both:8.2f} ms")
    print(f"training step, without   {training:8.2f} ms   the loss adds {100 * both / training:.2f} %")
    for features in get_args(SpectralFeatures):
        for distance in get_args(SpectralDistance):
            other = SpectralLoss.from_images(images, features=features, distance=distance)
            cost = milliseconds(lambda other=other: other(x).backward(), 2 * args.repeats)
            if distance == "discriminator":  # learns as well
                learning = partial(other.discriminator_loss, x, x)
                cost += milliseconds(lambda learning=learning: learning().backward(), 2 * args.repeats)
            print(f"{features:>9} {distance:13}, there and back {cost:7.2f} ms   adds {100 * cost / training:5.2f} %")


if __name__ == "__main__":
    main()
