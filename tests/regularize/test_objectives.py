"""Objectives: losses and penalties are those of the papers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from spectral_detect.regularize.gan import objectives
from spectral_detect.regularize.gan.objectives import OBJECTIVES


def test_losses_are_those_of_the_papers() -> None:
    real, fake = torch.tensor([0.0, 2.0]), torch.tensor([1.0, -1.0])
    D = torch.sigmoid
    torch.testing.assert_close(objectives.dcgan_d(real, fake), -(D(real).log().mean() + (1 - D(fake)).log().mean()))
    torch.testing.assert_close(objectives.dcgan_g(fake), -D(fake).log().mean())
    torch.testing.assert_close(objectives.lsgan_d(real, fake), torch.tensor((1 + 1) / 2 / 2 + (1 + 1) / 2 / 2))
    torch.testing.assert_close(objectives.lsgan_g(fake), torch.tensor((0 + 4) / 2 / 2))
    torch.testing.assert_close(objectives.wgan_d(real, fake), torch.tensor(0.0 - 1.0))
    torch.testing.assert_close(objectives.wgan_g(fake), torch.tensor(0.0))


class Plane(nn.Module):
    """D(x) = w.x, whose gradient is w everywhere."""

    def __init__(self, norm: float) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.full((3, 4, 4), norm / 48**0.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.w * x).flatten(1).sum(1)


@pytest.mark.parametrize("name", ["dragan", "wgan-gp"])
def test_the_penalty_is_the_squared_excess_of_the_gradients_norm(name: Any) -> None:
    penalty = OBJECTIVES[name].penalty
    assert penalty is not None
    x, fake = torch.randn(5, 3, 4, 4), torch.randn(5, 3, 4, 4)
    for norm in (1.0, 3.0, 0.5):
        D = Plane(norm)
        value = penalty(D, x, fake, torch.Generator().manual_seed(0))
        assert value.item() == pytest.approx((norm - 1) ** 2, abs=1e-5)
    value.backward()  # type: ignore[no-untyped-call]
    assert D.w.grad is not None
    assert (D.w.grad < 0).all()  # too flat: it becomes steeper


def test_where_the_penalties_look() -> None:
    seen = []

    class Spy(Plane):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x.detach())
            return super().forward(x)

    x, fake = torch.zeros(50, 3, 4, 4), torch.ones(50, 3, 4, 4)
    objectives.wgan_gp_penalty(Spy(1), x, fake, torch.Generator().manual_seed(0))
    assert torch.equal(seen[0], seen[0][:, :1, :1, :1].expand_as(seen[0]))  # one place between for each image
    assert 0 <= seen[0].min() < 0.2
    assert 0.8 < seen[0].max() <= 1
    x = torch.randn(50, 3, 4, 4)
    objectives.dragan_penalty(Spy(1), x, fake, torch.Generator().manual_seed(0))
    away = seen[1] - x
    assert away.min() >= 0
    assert 0.3 * x.std() < away.max() <= 0.5 * x.std()
