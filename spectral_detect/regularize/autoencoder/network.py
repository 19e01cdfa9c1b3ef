"""Build the networks of the auto-encoder experiment: once down by two, once up by two."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from threading import Lock
from typing import get_args

import torch
from torch import Tensor, nn

from spectral_detect.errors import FeatureError
from spectral_detect.regularize.autoencoder.options import Architecture
from spectral_detect.regularize.choices import Upsampling

COLOURS = 3
LEAK = 0.2  # with plain ReLU the MSE after an epoch was 1.5 times as high in a probe of 16 channels
SEEDING = Lock()  # initial weights come from random numbers that belong to the whole process


class AutoEncoder(nn.Module):
    """Reconstruct images by a convolution down by two, then `layers` convolutions, the first of which scales up by two.

    Raises
    ------
    FeatureError
        The kernel is even, and so has no centre; there is no layer; or the up-sampling does not exist.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        a = architecture
        if a.kernel < 1 or a.kernel % 2 == 0 or a.layers < 1 or a.upsampling not in get_args(Upsampling):
            raise FeatureError(f"{a}: kernel is odd, layers at least 1, upsampling {', '.join(get_args(Upsampling))}")
        self.encoder = nn.Sequential(nn.Conv2d(COLOURS, a.channels, 3, stride=2, padding=1), nn.LeakyReLU(LEAK))
        self.decoder = nn.Sequential(*_decoder(a))

    def forward(self, images: Tensor) -> Tensor:
        """Reconstruct (N, 3, H, W) from -1 to 1, H and W even; the output is not clipped."""
        return torch.as_tensor(self.decoder(self.encoder(images)))


def _decoder(a: Architecture) -> Iterator[nn.Module]:
    padding = a.kernel // 2
    if a.upsampling != "transconv":
        yield nn.Upsample(scale_factor=2, mode=a.upsampling.removeprefix("upconv-"))
    widths = [a.channels] * a.layers + [COLOURS]
    for layer, (before, after) in enumerate(pairwise(widths)):
        if layer:
            yield nn.LeakyReLU(LEAK)
        if layer == 0 and a.upsampling == "transconv":
            yield nn.ConvTranspose2d(before, after, a.kernel, stride=2, padding=padding, output_padding=1)
        else:
            yield nn.Conv2d(before, after, a.kernel, padding=padding)


def seeded_network(architecture: Architecture, seed: int) -> AutoEncoder:
    """Build a network with the same weights for the same seed, on any device; other random numbers stay the same."""
    with SEEDING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return AutoEncoder(architecture)
