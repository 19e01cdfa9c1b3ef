"""Train a perceptron of one hidden layer with NumPy alone."""

from __future__ import annotations

import numpy as np

from spectral_detect.detector.classifiers import Perceptron
from spectral_detect.records import FAKE

N_HIDDEN = 256
LIMIT = 4.0
N_EPOCHS, LEAST_STEPS = 40, 200
BATCH = 256
LEARNING_RATE, DECAY = 1e-3, 0.1
DROPPED_UNITS = 0.5
MIX = 0.4
SMOOTHED = 0.05
MEAN_RATE, SQUARE_RATE, FLOOR = 0.9, 0.999, 1e-8

Weights = list[np.ndarray]


def fit_perceptron(Z: np.ndarray, y: np.ndarray, weights: np.ndarray, *, seed: int) -> Perceptron:
    """Fit a perceptron to standardised vectors by stochastic gradients of the cross entropy.

    Against learning single sources by heart, half of the hidden units are dropped at each step (Srivastava et al.,
    JMLR 2014), each vector is mixed with another (mixup, Zhang et al., ICLR 2018), and the targets are 0.05 and 0.95.
    Steps are AdamW's (Loshchilov and Hutter, ICLR 2019), under half a cosine.

    Parameters
    ----------
    Z : (n_vectors, n_features) array
        Standardised.
    y : (n_vectors,) array
        REAL and FAKE.
    weights : (n_vectors,) array
        How often each is drawn.
    seed : int
        Of the first weights, and of all that is drawn.
    """
    rng = np.random.default_rng(seed)
    X = np.clip(Z, -LIMIT, LIMIT).astype(np.float32)
    targets = np.where(y == FAKE, 1 - SMOOTHED, SMOOTHED).astype(np.float32)
    share = np.cumsum(weights / weights.sum())
    n_drawn = min(BATCH, len(X))
    n_steps = max(LEAST_STEPS, N_EPOCHS * len(X) // n_drawn)
    optimiser = _AdamW(_first_weights(X.shape[1], rng))
    for step in range(n_steps):
        one, other = np.minimum(np.searchsorted(share, rng.random((2, n_drawn))), len(X) - 1)
        part = rng.beta(MIX, MIX, (n_drawn, 1)).astype(np.float32)
        batch = part * X[one] + (1 - part) * X[other]
        target = part[:, 0] * targets[one] + (1 - part[:, 0]) * targets[other]
        gradients = _gradients(optimiser.weights, batch, target, rng)
        optimiser.step(gradients, LEARNING_RATE * 0.5 * (1 + np.cos(np.pi * step / n_steps)))
    hidden, offsets, output, intercept = (array.astype(np.float64) for array in optimiser.weights)
    return Perceptron(hidden, offsets, output, float(intercept[0]), LIMIT)


def _first_weights(n_features: int, rng: np.random.Generator) -> Weights:
    """Draw weights as LeCun does: of a deviation by which no layer changes the scale of its inputs."""
    shapes = (n_features, N_HIDDEN), (N_HIDDEN,), (N_HIDDEN,), (1,)
    reach = np.sqrt(1 / np.array([n_features, n_features, N_HIDDEN, N_HIDDEN]))
    return [rng.uniform(-r, r, shape).astype(np.float32) for r, shape in zip(reach, shapes, strict=True)]


def _gradients(weights: Weights, X: np.ndarray, target: np.ndarray, rng: np.random.Generator) -> Weights:
    """Return the gradient of the mean cross entropy of a batch, with hidden units dropped at random."""
    hidden, offsets, output, intercept = weights
    before = X @ hidden + offsets
    kept = rng.random(before.shape, dtype=np.float32) >= DROPPED_UNITS
    active = kept * (before > 0) * np.float32(1 / (1 - DROPPED_UNITS))
    units = before * active
    excess = (1 / (1 + np.exp(-(units @ output + intercept))) - target) / np.float32(len(X))
    backward = excess[:, None] * output * active
    return [X.T @ backward, backward.sum(axis=0), excess @ units, excess.sum(keepdims=True)]


class _AdamW:
    """Hold weights and the running means of their gradients and of its squares."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.means = [np.zeros_like(w) for w in weights]
        self.squares = [np.zeros_like(w) for w in weights]
        self.n_steps = 0

    def step(self, gradients: Weights, rate: float) -> None:
        """Move all weights, in place."""
        self.n_steps += 1
        unbiased = np.sqrt(1 - SQUARE_RATE**self.n_steps) / (1 - MEAN_RATE**self.n_steps)
        for w, g, mean, square in zip(self.weights, gradients, self.means, self.squares, strict=True):
            mean += np.float32(1 - MEAN_RATE) * (g - mean)
            square += np.float32(1 - SQUARE_RATE) * (g * g - square)
            w *= np.float32(1 - rate * DECAY)
            w -= np.float32(rate * unbiased) * mean / (np.sqrt(square) + np.float32(FLOOR))
