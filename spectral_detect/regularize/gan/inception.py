"""Compute Inception's features for the FID with torch-fidelity (extra `fid`) and weights that the user supplies."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from spectral_detect.errors import ExtraMissingError, ModelFileError

AT_ONCE = 50  # images in a pass
FEATURES = "2048"
WEIGHTS = "weights-inception-2015-12-05-6726825d.pth"
FID_MISSING = "`fid` needs torch-fidelity: pip install '.[fid]' in the checkout"


def check_inception(weights: str | None) -> None:
    """Refuse weights that are not there (`ModelFileError`), or any without torch-fidelity (`ExtraMissingError`)."""
    if weights is not None:
        _extractor(weights)


def load_inception(weights: str, device: torch.device) -> Callable[[np.ndarray], np.ndarray]:
    """Load the network whose features the FID compares.

    Parameters
    ----------
    weights : str
        File of its weights, as torch-fidelity publishes them (`WEIGHTS`, 91 MB, among its releases).
    device : torch.device
        Where the network computes.

    Returns
    -------
    callable
        Turns images (N, H, W, 3) uint8 into features (N, 2048).

    Raises
    ------
    ExtraMissingError
        torch-fidelity is not installed, or torchvision, which it needs, does not fit PyTorch.
    ModelFileError
        There is no such file, or it does not hold these weights.
    """
    network = _network(_extractor(weights), weights).to(device).eval()

    @torch.no_grad()
    def embed(images: np.ndarray) -> np.ndarray:
        parts = []
        for start in range(0, len(images), AT_ONCE):
            batch = torch.from_numpy(np.ascontiguousarray(images[start : start + AT_ONCE].transpose(0, 3, 1, 2)))
            parts.append(network(batch.to(device))[0].cpu().numpy())
        return np.concatenate(parts)

    return embed


def _extractor(weights: str) -> Any:
    """Return torch-fidelity's class of the network, if the file of its weights is there."""
    if not os.path.isfile(weights):
        raise ModelFileError(f"{weights!r}: no such file", remedy=f"`fid` takes {WEIGHTS}, published by torch-fidelity")
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise ExtraMissingError(f"{FID_MISSING} ({error})") from None
    except RuntimeError as error:
        raise ExtraMissingError(
            f"`fid`: torchvision does not fit this PyTorch ({error})", remedy="install both anew"
        ) from None
    return FeatureExtractorInceptionV3


def _network(extractor: Any, weights: str) -> Any:
    """Build torch-fidelity's network; it would run code that it finds in a file, so it gets one of tensors alone."""
    try:
        tensors = io.BytesIO()
        torch.save(torch.load(weights, map_location="cpu", weights_only=True), tensors)
        tensors.seek(0)
        return extractor("inception-v3-compat", [FEATURES], feature_extractor_weights_path=tensors)
    except pickle.UnpicklingError:
        raise ModelFileError(
            f"{weights!r} holds other things than tensors, and was not loaded", remedy=f"get {WEIGHTS}"
        ) from None
    except Exception as error:  # the readers of a damaged or foreign file raise errors of many kinds
        reason = " ".join(str(error).split())[:200]
        raise ModelFileError(
            f"{weights!r} does not hold Inception's weights ({reason})", remedy=f"get {WEIGHTS}"
        ) from None
