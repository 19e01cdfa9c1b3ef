"""Build DCGAN's generators and discriminators, with a choice of up-sampling and of convolutions after it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from spectral_detect.errors import FeatureError
from spectral_detect.regularize.choices import Upsampling
from spectral_detect.regularize.gan.options import SIZES, Topology

NormalisationLayer = Literal["batch", "layer"]

LATENT = 100  # length of z, as in DCGAN
START_PX = 4
V4_FILTERS = 32
INITIAL_SD = 0.02  # DCGAN, section 3
SLOPE = 0.2


def extra_convolutions(topology: Topology, n_upconvolutions: int) -> list[int]:
    """Return how many 5x5 convolutions follow each up-convolution; Durall et al., CVPR 2020, supplement 7.3."""
    last = n_upconvolutions - 1
    after = {
        "baseline": {},
        "v1": {last - 1: 1, last: 1},
        "v2": {last: 2},
        "v3": dict.fromkeys(range(n_upconvolutions), 1),
        "v4": {last: 3},
    }
    return [after[topology].get(k, 0) for k in range(n_upconvolutions)]


class Generator(nn.Module):
    """Turn z into an image by up-convolutions that double the size from 4 pixels on, as DCGAN (Radford et al., 2016).

    The last convolution gives the image, by tanh; batch normalisation and ReLU follow all others.

    Parameters
    ----------
    size : {32, 64, 128}
        Pixels on a side.
    upsampling : {"transconv", "upconv-nearest", "upconv-bilinear"}
        "transconv": a transposed convolution of 4x4. The others: interpolation and a convolution of 3x3.
    topology : {"baseline", "v1", "v2", "v3", "v4"}
        Where 5x5 convolutions follow the up-sampling, see `extra_convolutions`; those of "v4" have 32 filters.
    channels : int
        Filters at half the size; twice as many at each size below.

    Raises
    ------
    FeatureError
        The network cannot have that size or up-sampling.
    """

    def __init__(
        self,
        size: int = 64,
        upsampling: Upsampling = "transconv",
        topology: Topology = "baseline",
        channels: int = 64,
    ) -> None:
        super().__init__()
        n = _n_doublings(size)
        widths = [channels << (n - 1 - k) for k in range(n)]
        self.start = nn.Linear(LATENT, widths[0] * START_PX**2, bias=False)
        self.start_shape = (widths[0], START_PX, START_PX)
        self.layers = nn.Sequential(*_normalised(widths[0]), *_generator_layers(widths, upsampling, topology))
        self.apply(_initialise)

    def forward(self, z: Tensor) -> Tensor:
        """Turn (N, 100) standard normal numbers into images (N, 3, size, size) in [-1, 1]."""
        return torch.tanh(self.layers(self.start(z).unflatten(1, self.start_shape)).float())


class Discriminator(nn.Module):
    """Judge how real an image looks by strided convolutions of 4x4 that halve the size down to 4 pixels, as in DCGAN.

    Parameters
    ----------
    size : {32, 64, 128}
        Pixels on a side.
    normalisation : {"batch", "layer"}
        "layer" if a penalty on the gradient of each image needs the images to be independent (Gulrajani et al., 2017,
        section 4).
    channels : int
        Filters after the first convolution; twice as many after each that follows.
    """

    def __init__(self, size: int = 64, normalisation: NormalisationLayer = "batch", channels: int = 64) -> None:
        super().__init__()
        widths = [channels << k for k in range(_n_doublings(size))]
        layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 4, 2, 1), nn.LeakyReLU(SLOPE)]
        for before, after in pairwise(widths):
            norm = nn.BatchNorm2d(after) if normalisation == "batch" else nn.GroupNorm(1, after)
            layers += [nn.Conv2d(before, after, 4, 2, 1, bias=False), norm, nn.LeakyReLU(SLOPE)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, START_PX))
        self.apply(_initialise)

    def forward(self, x: Tensor) -> Tensor:
        """Return (N,) logits, or values of a critic, of images (N, 3, size, size)."""
        return torch.as_tensor(self.layers(x)).flatten()


def _generator_layers(widths: list[int], upsampling: Upsampling, topology: Topology) -> Iterator[nn.Module]:
    """Yield the layers that lead from widths[0] channels at 4 pixels to 3 at the full size."""
    n_after = extra_convolutions(topology, len(widths))
    last_width = V4_FILTERS if topology == "v4" else max(widths[-1] // 2, 3)
    before = widths[0]
    for n_convolutions, width in zip(n_after, [*widths[1:], last_width], strict=True):
        is_last = width == last_width and before == widths[-1]
        outputs = [width] * (n_convolutions + 1)
        if is_last:
            outputs[-1] = 3
        for k, after in enumerate(outputs):
            yield from _upconvolution(before, after, upsampling) if k == 0 else _convolution(before, after)
            if not (is_last and k == n_convolutions):
                yield from _normalised(after)
            before = after


def _upconvolution(before: int, after: int, upsampling: Upsampling) -> Iterator[nn.Module]:
    if upsampling == "transconv":
        yield nn.ConvTranspose2d(before, after, 4, 2, 1)
        return
    if upsampling not in get_args(Upsampling):
        raise FeatureError(f"upsampling {upsampling!r}: it is one of {', '.join(get_args(Upsampling))}")
    yield nn.Upsample(scale_factor=2, mode=upsampling.removeprefix("upconv-"))
    yield nn.Conv2d(before, after, 3, padding=1)


def _convolution(before: int, after: int) -> Iterator[nn.Module]:
    yield nn.Conv2d(before, after, 5, padding=2)


def _normalised(width: int) -> Iterator[nn.Module]:
    yield nn.BatchNorm2d(width)
    yield nn.ReLU()


def _n_doublings(size: int) -> int:
    if size not in SIZES:
        raise FeatureError(f"size {size}: it is one of {', '.join(map(str, SIZES))}")
    return (size // START_PX).bit_length() - 1


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, INITIAL_SD)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
        nn.init.normal_(module.weight, 1.0, INITIAL_SD)
        nn.init.zeros_(module.bias)
