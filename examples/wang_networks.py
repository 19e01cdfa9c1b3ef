"""The networks that `wang2020.py` trains, and how one begins with the tensors of a file."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional as F

from spectral_detect.errors import CheckpointError


class Small(torch.nn.Module):
    """Four convolutions of stride 2, and the mean of their 128 maps."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[torch.nn.Module] = []
        for n_in, n_out in ((3, 16), (16, 32), (32, 64), (64, 128)):
            layers += [torch.nn.Conv2d(n_in, n_out, 3, stride=2, padding=1, bias=False), torch.nn.BatchNorm2d(n_out)]
            layers.append(torch.nn.ReLU())
        self.body, self.fc = torch.nn.Sequential(*layers), torch.nn.Linear(128, 1)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return (n, 128) embeddings."""
        return self.body(images).mean((2, 3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return (n,) logits."""
        return self.fc(self.features(images))[:, 0]


class Bottleneck(torch.nn.Module):
    """A block of ResNet-50 (He et al. 2016), the stride in its 3x3 convolution as torchvision has it."""

    def __init__(self, n_in: int, n_inner: int, stride: int) -> None:
        super().__init__()
        n_out = 4 * n_inner
        self.conv1 = torch.nn.Conv2d(n_in, n_inner, 1, bias=False)
        self.conv2 = torch.nn.Conv2d(n_inner, n_inner, 3, stride=stride, padding=1, bias=False)
        self.conv3 = torch.nn.Conv2d(n_inner, n_out, 1, bias=False)
        self.bn1, self.bn2, self.bn3 = (torch.nn.BatchNorm2d(n) for n in (n_inner, n_inner, n_out))
        self.downsample: torch.nn.Module = torch.nn.Identity()
        if stride > 1 or n_in != n_out:
            wide = torch.nn.Conv2d(n_in, n_out, 1, stride=stride, bias=False)
            self.downsample = torch.nn.Sequential(wide, torch.nn.BatchNorm2d(n_out))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sum of the block's output and its shortcut."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(F.relu(self.bn2(self.conv2(y)))))
        return F.relu(y + self.downsample(x))


class ResNet50(torch.nn.Module):
    """ResNet-50 with one output; its tensors have torchvision's names."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = torch.nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False), torch.nn.BatchNorm2d(64)
        n_in = 64
        for k, (n_inner, n_blocks) in enumerate(((64, 3), (128, 4), (256, 6), (512, 3)), start=1):
            blocks = [Bottleneck(n_in, n_inner, 1 if k == 1 else 2)]
            n_in = 4 * n_inner
            blocks += [Bottleneck(n_in, n_inner, 1) for _ in range(n_blocks - 1)]
            setattr(self, f"layer{k}", torch.nn.Sequential(*blocks))
        self.fc = torch.nn.Linear(2048, 1)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """Return (n, 2048) embeddings."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(images))), 3, stride=2, padding=1)
        for k in (1, 2, 3, 4):
            x = getattr(self, f"layer{k}")(x)
        return x.mean((2, 3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return (n,) logits."""
        return self.fc(self.features(images))[:, 0]


class Embedding(torch.nn.Module):
    """What is exported: a network without its last layer."""

    def __init__(self, network: Small | ResNet50) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the embedding."""
        return self.network.features(image)


NETWORKS = {"small": Small, "resnet50": ResNet50}


def held_in(path: Path) -> dict[str, Any]:
    """Return what torch.save wrote into a file, tensors and numbers; no code of it is run."""
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{path} cannot be read as tensors: {str(error).partition(chr(10))[0][:200]}") from None
    if not isinstance(held, dict):
        raise CheckpointError(f"{path} holds no tensors by name", remedy="give a file of a network's state_dict()")
    return held


def begin_with(network: torch.nn.Module, weights: Path) -> None:
    """Load the tensors of a file into a network; a last layer of another size stays as it is."""
    held = held_in(weights)
    tensors = {name.removeprefix("module."): tensor for name, tensor in held.get("model", held).items()}
    own = network.state_dict()
    fitting = {name: t for name, t in tensors.items() if name in own and getattr(t, "shape", None) == own[name].shape}
    lacking = [name for name in own if name not in fitting and not name.startswith("fc.")]
    if lacking:
        problem = f"{weights}: no tensors that fit {', '.join(lacking[:3])}"
        raise CheckpointError(problem, remedy="give those of another network")
    network.load_state_dict(fitting, strict=False)
