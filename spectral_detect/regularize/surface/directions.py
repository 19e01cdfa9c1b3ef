"""Lay a plane through the weights of a network: along random directions, or along the path of its training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from spectral_detect.errors import CheckpointError

LEAST_NORM = 1e-10
LEAST_SHARE = 1e-9  # of the path's squared distances, below which a direction is rounding
PATH_NEEDED = "`directions=path` needs weights kept at two or more earlier epochs that do not lie on one line"


@dataclass(frozen=True)
class Plane:
    """Hold a plane: centre + x first + y second, each a tensor for each parameter.

    Attributes
    ----------
    centre, first, second : dict of str to Tensor
        Weights, and directions, by the parameters' names.
    shares : tuple of float, or None
        Share of the path's squared distances along either direction.
    """

    centre: dict[str, Tensor]
    first: dict[str, Tensor]
    second: dict[str, Tensor]
    shares: tuple[float, float] | None = None

    def at(self, x: float, y: float) -> dict[str, Tensor]:
        """Return the weights of a point."""
        return {name: c + x * self.first[name] + y * self.second[name] for name, c in self.centre.items()}

    def project(self, weights: Mapping[str, Tensor]) -> tuple[float, float]:
        """Return the point of the plane that is nearest to weights; the directions must be orthonormal."""
        apart = {name: weights[name] - c for name, c in self.centre.items()}
        return _dot(apart, self.first), _dot(apart, self.second)


def random_plane(network: nn.Module, seed: int) -> Plane:
    """Return the plane of two random directions, each filter of which is as long as the network's filter.

    Li et al., "Visualizing the Loss Landscape of Neural Nets", NeurIPS 2018, section 4. As in their code, biases and
    the parameters of normalisation stay as they are.
    """
    random = torch.Generator().manual_seed(seed)
    centre = parameters_of(network)
    return Plane(centre, _random_direction(network, random), _random_direction(network, random))


def path_plane(network: nn.Module, path: Sequence[Mapping[str, Tensor]], run: str) -> Plane:
    """Return the plane through the network's weights that holds most of the distances of those on the path.

    Its directions are the first two principal ones of the differences (Li et al., section 7; Chatzimichailidis et al.,
    "GradVis", 2019); they are of length 1, so that coordinates are distances of weights.

    Parameters
    ----------
    network : nn.Module
        Holds the last weights.
    path : sequence of mapping of str to Tensor
        Earlier weights by the parameters' names, the earliest first.
    run : str
        Name of the run, for the error.

    Raises
    ------
    CheckpointError
        The weights of the path lie on one line with the network's, or there are none.
    """
    centre = parameters_of(network)
    apart = [{name: weights[name] - c for name, c in centre.items()} for weights in path]
    gram = np.array([[_dot(a, b) for b in apart] for a in apart]).reshape(len(apart), len(apart))
    squares, vectors = np.linalg.eigh(gram)
    total = max(float(squares.clip(0).sum()), LEAST_NORM)
    if len(apart) < 2 or squares[-2] < LEAST_SHARE * total:
        raise CheckpointError(f"{run!r}: {PATH_NEEDED}", remedy="train with `keep_weights`, or use `directions=random`")
    first, second = (_combined(apart, vectors[:, k] / np.sqrt(squares[k])) for k in (-1, -2))
    return Plane(centre, first, second, (float(squares[-1] / total), float(squares[-2] / total)))


def parameters_of(network: nn.Module) -> dict[str, Tensor]:
    """Return copies of a network's parameters by name."""
    return {name: parameter.detach().clone() for name, parameter in network.named_parameters()}


def _combined(apart: Sequence[Mapping[str, Tensor]], weights: np.ndarray) -> dict[str, Tensor]:
    """Return the sum of differences times weights, turned so that the first difference lies on its positive side."""
    summed = {name: sum(float(w) * a[name] for w, a in zip(weights, apart, strict=True)) for name in apart[0]}
    direction = {name: torch.as_tensor(value) for name, value in summed.items()}
    return direction if _dot(apart[0], direction) >= 0 else {name: -value for name, value in direction.items()}


def _dot(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> float:
    return float(sum(torch.dot(a[name].double().flatten(), b[name].double().flatten()) for name in a))


def _random_direction(network: nn.Module, random: torch.Generator) -> dict[str, Tensor]:
    direction = {}
    for place, module in network.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            filters = 1 if isinstance(module, nn.ConvTranspose2d) else 0  # the axis of its outputs
            direction[f"{place}.{name}".lstrip(".")] = _like(parameter.detach(), filters, random)
    return direction


def _like(weights: Tensor, filters: int, random: torch.Generator) -> Tensor:
    """Return random numbers whose filters are as long as those of the weights; zeros for a bias."""
    if weights.ndim < 2:
        return torch.zeros_like(weights)
    drawn = torch.randn(weights.shape, generator=random).to(weights.device)
    others = [axis for axis in range(weights.ndim) if axis != filters]
    lengths = [torch.linalg.vector_norm(t, dim=others, keepdim=True) for t in (weights, drawn)]
    return torch.mul(drawn, lengths[0] / lengths[1].clamp_min(LEAST_NORM))
