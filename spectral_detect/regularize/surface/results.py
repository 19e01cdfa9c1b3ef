"""Hold the loss surface of a run.

Free of torch: reports import this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from spectral_detect.regularize.gan.options import TrainingOptions

DirectionsName = Literal["path", "random"]  # how the plane lies in the space of the weights
LossName = Literal["total", "adversarial", "spectral"]


@dataclass(frozen=True)
class SurfacePoint:
    """Tell the loss of one set of weights.

    Attributes
    ----------
    x, y : float
        Where it is on the plane; the run's last weights are at 0, 0.
    adversarial : float
        Loss by the last discriminator, on fixed latent vectors; may be infinite or no number.
    spectral : float or None
        Spectral loss of the same images, unweighted; None if it was not asked for.
    total : float
        What the generator minimised: the first, and the second times its weight.
    """

    x: float
    y: float
    adversarial: float
    spectral: float | None
    total: float

    def loss(self, name: LossName) -> float:
        """Return one of the losses; no number if it was not computed."""
        value: float | None = getattr(self, name)
        return float("nan") if value is None else value


@dataclass(frozen=True, eq=False)
class Surface:
    """Hold the losses on a plane through the last weights of a generator, and along the path that led there.

    Attributes
    ----------
    run : str
        Name of the run.
    options : TrainingOptions
        Its options.
    epoch : int
        Number of full epochs after which its last weights are.
    directions : {"path", "random"}
        "path": the plane holds the most of the distances of the kept weights from the last ones. "random": two random
        directions, each filter as long as the network's.
    shares : tuple of float, or None
        Share of the path's squared distances that lies along either direction; None for random ones.
    x, y : array (n,)
        Lines of the grid.
    grid : tuple of SurfacePoint
        Its n * n points, those of the lowest y first.
    path : tuple of (int, SurfacePoint)
        Epoch and losses of the kept weights; the losses are those of the weights themselves, not of the point of the
        plane that is nearest to them.
    last : SurfacePoint
        The last weights.
    """

    run: str
    options: TrainingOptions
    epoch: int
    directions: DirectionsName
    shares: tuple[float, float] | None
    x: np.ndarray
    y: np.ndarray
    grid: tuple[SurfacePoint, ...]
    path: tuple[tuple[int, SurfacePoint], ...]
    last: SurfacePoint

    def values(self, loss: LossName) -> np.ndarray:
        """Return (n, n) losses; the rows are those of `y`, the columns those of `x`."""
        return np.array([point.loss(loss) for point in self.grid]).reshape(len(self.y), len(self.x))
