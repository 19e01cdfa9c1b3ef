"""Turn the feature maps of a network into their Fourier spectra, as detectors of adversarial images look at them."""

from __future__ import annotations

import numpy as np

from spectral_detect.features.encoder.settings import Spectrum

FLOOR = 1e-3  # of a map whose values are about 1; a map of zeros has no logarithm


def spectra(maps: np.ndarray, kind: Spectrum, pool: int | None = None) -> np.ndarray:
    """Return the log magnitudes or the phases of all maps as one vector.

    Parameters
    ----------
    maps : (C, h, w) array
        The feature maps of one layer.
    kind : {"magnitude", "phase"}
        "magnitude": ln(|F| / sqrt(h w) + 0.001); "phase": the angle of F, from -pi to pi.
    pool : int, optional
        Average the magnitudes of each map to at most so many rows, and pool // 2 + 1 columns.

    Returns
    -------
    (C * h * (w // 2 + 1),) float32 array, fewer if pooled
        The other half of the spectrum of a real map repeats this one.

    Notes
    -----
    Harder et al., "SpectralDefense: Detecting Adversarial Attacks on CNNs in the Fourier Domain", IJCNN 2021: LayerMFS
    and LayerPFS.
    """
    found = np.fft.rfft2(maps.astype(np.float64))
    if kind == "phase":
        return np.asarray(np.angle(found), dtype=np.float32).reshape(-1)
    level = np.log(np.abs(found) / np.sqrt(maps.shape[1] * maps.shape[2]) + FLOOR).astype(np.float32)
    return (level if pool is None else _pooled(level, pool)).reshape(-1)


def _pooled(level: np.ndarray, pool: int) -> np.ndarray:
    """Return (C, rows, columns) with at most `pool` rows and pool // 2 + 1 columns, each value the mean of an area."""
    import cv2

    rows, columns = (min(n, most) for n, most in zip(level.shape[1:], (pool, pool // 2 + 1), strict=True))
    return np.stack([cv2.resize(each, (columns, rows), interpolation=cv2.INTER_AREA) for each in level])
