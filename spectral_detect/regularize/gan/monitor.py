"""Monitor a training: compare samples with reals by spectrum, detector, Frechet distances and diversity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from spectral_detect.detector.metrics import Curves, auroc
from spectral_detect.features.extract import extract_features
from spectral_detect.features.spec import FeatureSpec
from spectral_detect.records import FAKE, REAL
from spectral_detect.regularize.profiles import UPPER_QUARTER, log_profiles, radial_profiles
from spectral_detect.training.dataset import folds
from spectral_detect.training.fit import fit_classifier

N_FOLDS = 5
COLLAPSED = 0.25  # diversity below which samples are nearly one image
COARSE_PX = 8
REALS_SEED = 1
Embed = Callable[[np.ndarray], np.ndarray]  # (N, H, W, 3) uint8 -> (N, n_features)


@dataclass(frozen=True)
class Measures:
    """Tell how far generated images are from camera images.

    Attributes
    ----------
    spectral_distance : float
        Mean over all rings of |mean ln AI of samples - mean ln AI of reals|, in natural logarithms.
    high_frequency_distance : float
        The same over the upper quarter of the frequencies.
    detector_auroc : float
        AUROC of a logistic regression on `azimuthal` features, freshly trained and cross-validated to tell samples from
        reals; 0.5 if it cannot.
    spectral_frechet : float
        Frechet distance of the `azimuthal` features; needs no weights.
    fid : float or None
        Frechet distance of Inception's features; None without its weights.
    fd : float or None
        Frechet distance of the features of the network `fd_network`; None if none was named.
    fd_network : str or None
        That network's name.
    diversity : float
        How much samples vary, against reals: mean deviation of the pixels of images reduced to 8 x 8.
    profile_mean, profile_sd : tuple of float
        (n_rings,) mean and standard deviation of ln AI of the samples.
    """

    spectral_distance: float
    high_frequency_distance: float
    detector_auroc: float
    spectral_frechet: float
    fid: float | None
    diversity: float
    profile_mean: tuple[float, ...]
    profile_sd: tuple[float, ...]
    fd: float | None = None
    fd_network: str | None = None

    @property
    def warnings(self) -> list[str]:
        """Say in sentences what is wrong with the samples."""
        if self.diversity < COLLAPSED:
            return [
                f"collapse: samples vary {self.diversity:.2f} times as much as camera images do; usual in the "
                "first hundreds of steps: if it stays, take a smaller `batch_size`, as an epoch then has more steps, a "
                "lower `learning_rate`, or more images"
            ]
        return []

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {**asdict(self), "warnings": self.warnings}


@dataclass(frozen=True)
class RealMeasures:
    """Tell how far camera images are from other camera images: no generator can come nearer.

    Attributes
    ----------
    measures : Measures
        The comparison.
    n : int
        Number of images on either side.
    frequency : tuple of float
        (n_rings,) in cycles per pixel.
    real_profile_mean, real_profile_sd : tuple of float
        (n_rings,) mean and standard deviation of ln AI of the images that samples are compared with.
    """

    measures: Measures
    n: int
    frequency: tuple[float, ...]
    real_profile_mean: tuple[float, ...]
    real_profile_sd: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON; the measures stand beside the profile."""
        profile = {name: value for name, value in vars(self).items() if name != "measures"}
        return {**self.measures.to_dict(), **profile}


class Monitor:
    """Compare samples with camera images, whose side of the comparison is computed once.

    Parameters
    ----------
    reals : array (N, H, W, 3) uint8
        As many camera images as there will be samples.
    inception : callable, optional
        Turns images into Inception's features; without it no FID is measured.
    network : (str, callable), optional
        Name of another network, and what turns images into its features, for `Measures.fd`.
    """

    def __init__(
        self, reals: np.ndarray, inception: Embed | None = None, network: tuple[str, Embed] | None = None
    ) -> None:
        self._inception, self._network = inception, network
        profiles, frequency = radial_profiles(reals)
        logs = log_profiles(profiles)
        self.frequency = frequency[1:]
        self.profile_mean, self.profile_sd = logs.mean(axis=0), logs.std(axis=0)
        self._features = azimuthal_features(reals)
        self._embedded = None if inception is None else inception(reals)
        self._by_network = None if network is None else network[1](reals)
        self._spread = _spread(reals)

    def measure(self, samples: np.ndarray) -> Measures:
        """Compare samples, (N, H, W, 3) uint8, with the reals."""
        logs = log_profiles(radial_profiles(samples)[0])
        mean = logs.mean(axis=0)
        gap = np.abs(mean - self.profile_mean)
        features = azimuthal_features(samples)
        fid = None
        if self._inception is not None and self._embedded is not None:
            fid = frechet_distance(self._embedded, self._inception(samples))
        fd, name = None, None
        if self._network is not None and self._by_network is not None:
            name, embed = self._network
            fd = frechet_distance(self._by_network, embed(samples))
        return Measures(
            float(gap.mean()),
            float(gap[self.frequency >= UPPER_QUARTER].mean()),
            detector_auroc(self._features, features),
            frechet_distance(self._features, features),
            fid,
            _spread(samples) / max(self._spread, 1e-6),
            tuple(map(float, mean)),
            tuple(map(float, logs.std(axis=0))),
            fd,
            name,
        )

    def measure_reals(self, others: np.ndarray) -> RealMeasures:
        """Compare other camera images, (N, H, W, 3) uint8, with the reals."""
        frequency, mean, sd = (tuple(map(float, a)) for a in (self.frequency, self.profile_mean, self.profile_sd))
        return RealMeasures(self.measure(others), len(others), frequency, mean, sd)


def split_reals(images: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw two disjoint sets of `n` reals, or of half of the images if there are fewer.

    Samples are compared with the first; the second shows how near camera images come to it.
    """
    n = min(n, len(images) // 2)
    order = np.random.default_rng(REALS_SEED).permutation(len(images))
    return np.array(images[np.sort(order[:n])]), np.array(images[np.sort(order[n : 2 * n])])


def azimuthal_features(images: np.ndarray) -> np.ndarray:
    """Extract the features of the preset `azimuthal`: (N, H, W, 3) uint8 -> (N, 300)."""
    return np.asarray(extract_features(np.ascontiguousarray(images), FeatureSpec.preset("azimuthal")))


def detector_auroc(reals: np.ndarray, fakes: np.ndarray) -> float:
    """Return the cross-validated AUROC of a logistic regression, mean over the folds.

    Parameters
    ----------
    reals, fakes : array (N, n_features)
        Features of either class.
    """
    X = np.concatenate([reals, fakes])
    y = np.repeat([REAL, FAKE], [len(reals), len(fakes)])
    found = []
    for train, test in folds(y, np.arange(len(y)), N_FOLDS, 0):
        scores = fit_classifier(X[train], y[train], "logreg").decision_values(X[test])
        found.append(auroc(*Curves(y[test], scores).roc(np.ones((1, len(test)))))[0])
    return float(np.mean(found))


def frechet_distance(X: np.ndarray, Y: np.ndarray) -> float:
    """Return the squared Frechet distance of two normal distributions fitted to vectors.

    Parameters
    ----------
    X, Y : array (n_samples, n_features)
        The vectors.

    Notes
    -----
    |mu_X - mu_Y|^2 + tr(S_X + S_Y - 2 (S_X S_Y)^(1/2)); Heusel et al., 2017, equation 6. With centred X and Y divided
    by the square root of n - 1, the trace of the root is the nuclear norm of X Y^T, which takes no root of a matrix.
    """
    centred = [(Z - Z.mean(axis=0)) / np.sqrt(len(Z) - 1) for Z in (X.astype(np.float64), Y.astype(np.float64))]
    small = [np.asarray(np.linalg.qr(Z, mode="r")) if len(Z) > Z.shape[1] else Z for Z in centred]
    common = np.linalg.svd(small[0] @ small[1].T, full_matrices=False, compute_uv=False).sum()
    apart = np.square(X.mean(axis=0, dtype=np.float64) - Y.mean(axis=0, dtype=np.float64)).sum()
    return max(0.0, float(apart + sum(np.square(Z).sum() for Z in centred) - 2 * common))


def _spread(images: np.ndarray) -> float:
    """Return the mean over coarse pixels of their standard deviation over images, in gray levels."""
    n, height, width = images.shape[:3]
    block = height // COARSE_PX, width // COARSE_PX
    cut = images[:, : block[0] * COARSE_PX, : block[1] * COARSE_PX]
    coarse = cut.reshape(n, COARSE_PX, block[0], COARSE_PX, block[1], -1).mean(axis=(2, 4))
    return float(coarse.std(axis=0).mean())
