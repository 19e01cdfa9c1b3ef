"""Networks of GANs: sizes, topologies, normalisation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from spectral_detect.errors import FeatureError
from spectral_detect.regularize.gan.networks import LATENT, Discriminator, Generator, extra_convolutions
from spectral_detect.regularize.gan.objectives import OBJECTIVES


@pytest.mark.parametrize("size", [32, 64, 128])
@pytest.mark.parametrize("upsampling", ["transconv", "upconv-nearest", "upconv-bilinear"])
@pytest.mark.parametrize("topology", ["baseline", "v1", "v2", "v3", "v4"])
def test_generators_of_each_kind_give_images_of_the_size(size: int, upsampling: Any, topology: Any) -> None:
    torch.manual_seed(0)
    G = Generator(size, upsampling, topology, 8)
    with torch.no_grad():
        images = G(torch.randn(2, LATENT))
    assert images.shape == (2, 3, size, size)
    assert images.abs().max() <= 1
    assert not torch.equal(images[0], images[1])
    assert images.std() > 0
    n_up = {32: 3, 64: 4, 128: 5}[size]
    kernels = [m.kernel_size[0] for m in G.layers if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert kernels.count(5) == sum(extra_convolutions(topology, n_up))
    assert len(kernels) - kernels.count(5) == n_up


def test_the_topologies_are_those_of_the_supplement() -> None:
    assert [extra_convolutions(name, 4) for name in ("baseline", "v1", "v2", "v3", "v4")] == [  # type: ignore[arg-type]
        [0, 0, 0, 0],
        [0, 0, 1, 1],
        [0, 0, 0, 2],
        [1, 1, 1, 1],
        [0, 0, 0, 3],
    ]
    last = [m for m in Generator(32, "transconv", "v4", 8).layers if isinstance(m, nn.Conv2d)]
    assert [(m.in_channels, m.out_channels, m.kernel_size) for m in last] == [
        (32, 32, (5, 5)),
        (32, 32, (5, 5)),
        (32, 3, (5, 5)),
    ]


@pytest.mark.parametrize("size", [32, 64, 128])
def test_discriminators_judge_each_image(size: int) -> None:
    for normalisation in ("batch", "layer"):
        assert Discriminator(size, normalisation, 8)(torch.randn(2, 3, size, size)).shape == (2,)  # type: ignore[arg-type]


def test_where_a_penalty_needs_it_images_do_not_depend_on_one_another() -> None:
    x = torch.randn(4, 3, 32, 32)
    D = Discriminator(32, "layer", 8)
    torch.testing.assert_close(D(x)[:1], D(x[:1]))
    assert {name: o.normalisation for name, o in OBJECTIVES.items() if o.penalty} == {
        "dragan": "layer",
        "wgan-gp": "layer",
    }


def test_other_sizes_are_refused() -> None:
    with pytest.raises(FeatureError, match="size 48: it is one of 32, 64, 128"):
        Generator(48)
    with pytest.raises(FeatureError, match="upsampling 'sinc'"):
        Generator(32, "sinc")  # type: ignore[arg-type]
