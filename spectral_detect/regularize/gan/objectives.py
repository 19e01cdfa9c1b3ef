"""Define what generator G and discriminator D minimise, in the papers' symbols: x real, z latent, G(z) generated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from spectral_detect.regularize.gan.networks import NormalisationLayer
from spectral_detect.regularize.gan.options import ObjectiveName

Penalty = Callable[[nn.Module, Tensor, Tensor, torch.Generator], Tensor]
PENALTY_WEIGHT = 10.0  # lambda, in DRAGAN and in WGAN-GP


@dataclass(frozen=True)
class Objective:
    """Hold the losses of one paper, and the settings that go with them.

    Attributes
    ----------
    loss_d : callable
        Takes D(x) and D(G(z)).
    loss_g : callable
        Takes D(G(z)).
    penalty : callable or None
        Takes D, x, G(z) and a source of random numbers; None if the paper has no penalty.
    normalisation : {"batch", "layer"}
        Normalisation in D; batch normalisation would mix the images whose gradients a penalty takes one by one.
    n_critic : int
        Steps of D for each step of G.
    learning_rate, betas
        Settings of Adam.
    """

    loss_d: Callable[[Tensor, Tensor], Tensor]
    loss_g: Callable[[Tensor], Tensor]
    penalty: Penalty | None = None
    normalisation: NormalisationLayer = "batch"
    n_critic: int = 1
    learning_rate: float = 2e-4
    betas: tuple[float, float] = (0.5, 0.999)


def dcgan_d(d_real: Tensor, d_fake: Tensor) -> Tensor:
    """Return -ln D(x) - ln(1 - D(G(z))), D being the logit's logistic function; Goodfellow et al., 2014, equation 1."""
    return softplus(-d_real).mean() + softplus(d_fake).mean()


def dcgan_g(d_fake: Tensor) -> Tensor:
    """Return -ln D(G(z)), which does not saturate; Goodfellow et al., 2014, section 3."""
    return softplus(-d_fake).mean()


def lsgan_d(d_real: Tensor, d_fake: Tensor) -> Tensor:
    """Return (D(x) - 1)^2 / 2 + D(G(z))^2 / 2; Mao et al., 2017, equation 9."""
    return ((d_real - 1).square().mean() + d_fake.square().mean()) / 2


def lsgan_g(d_fake: Tensor) -> Tensor:
    """Return (D(G(z)) - 1)^2 / 2; Mao et al., 2017, equation 9."""
    return (d_fake - 1).square().mean() / 2


def wgan_d(d_real: Tensor, d_fake: Tensor) -> Tensor:
    """Return D(G(z)) - D(x); Arjovsky et al., 2017, equation 3."""
    return d_fake.mean() - d_real.mean()


def wgan_g(d_fake: Tensor) -> Tensor:
    """Return -D(G(z))."""
    return -d_fake.mean()


def gradient_penalty(D: nn.Module, x_hat: Tensor) -> Tensor:
    """Return (|grad D(x_hat)| - 1)^2, with the norm of each image; Gulrajani et al., 2017, equation 3."""
    x_hat = x_hat.detach().requires_grad_()
    gradient: Tensor = torch.autograd.grad(D(x_hat).sum(), x_hat, create_graph=True)[0]
    norms = torch.linalg.vector_norm(gradient.flatten(1), dim=1)
    return torch.mean((norms - 1) ** 2)


def dragan_penalty(D: nn.Module, x: Tensor, fake: Tensor, random: torch.Generator) -> Tensor:
    """Penalise gradients around the reals; Kodali et al., 2017.

    x_hat = x + alpha beta, with beta uniform up to half a standard deviation.
    """
    beta = 0.5 * x.std() * _uniform(tuple(x.shape), x, random)
    return gradient_penalty(D, x + _uniform((len(x), 1, 1, 1), x, random) * beta)


def wgan_gp_penalty(D: nn.Module, x: Tensor, fake: Tensor, random: torch.Generator) -> Tensor:
    """Penalise gradients between: x_hat = eps x + (1 - eps) G(z); Gulrajani et al., 2017, algorithm 1."""
    epsilon = _uniform((len(x), 1, 1, 1), x, random)
    return gradient_penalty(D, epsilon * x + (1 - epsilon) * fake)


def _uniform(shape: tuple[int, ...], like: Tensor, random: torch.Generator) -> Tensor:
    """Draw on the CPU, so that every device gets the same numbers."""
    return torch.rand(shape, generator=random).to(like.device)


OBJECTIVES: dict[ObjectiveName, Objective] = {
    "dcgan": Objective(dcgan_d, dcgan_g),
    "lsgan": Objective(lsgan_d, lsgan_g),
    "dragan": Objective(dcgan_d, dcgan_g, dragan_penalty, "layer"),
    "wgan-gp": Objective(wgan_d, wgan_g, wgan_gp_penalty, "layer", n_critic=5, learning_rate=1e-4, betas=(0.0, 0.9)),
}
