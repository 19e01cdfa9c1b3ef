"""Say of an image that is too small for its features how large the models want it."""

from __future__ import annotations

from collections.abc import Sequence

from spectral_detect.detector.model import Model
from spectral_detect.extraction.one_file import Extraction


def error_of(image: Extraction, models: Sequence[Model]) -> str | None:
    """Return the error of an image, None if there is none; if it is too small, with what a model judges from on."""
    least_px = models[0].spec.min_size_px
    if image.error is None or not image.width or not image.height or min(image.width, image.height) >= least_px:
        return image.error
    side, name = min(
        ((model.experience.least_side_px, model.name) for model in models if model.experience), default=(0, "")
    )
    return f"{image.error}, and the model {name} judges from {side} on" if side > least_px else image.error
