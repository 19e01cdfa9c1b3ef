"""Say of an image that is too small for its features how large the model wants it."""

from __future__ import annotations

from spectral_detect.detector.model import Model
from spectral_detect.extraction.one_file import Extraction


def error_of(image: Extraction, model: Model) -> str | None:
    """Return the error of an image, None if there is none; if it is too small, with what the model judges from on."""
    least_px = model.spec.min_size_px
    if image.error is None or not image.width or not image.height or min(image.width, image.height) >= least_px:
        return image.error
    seen = (model.small or model).experience
    side = seen.least_side_px if seen else 0
    return f"{image.error}, and the model {model.name} judges from {side} on" if side > least_px else image.error
