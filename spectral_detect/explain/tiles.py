"""The scores of the parts of an image, and whether they disagree so much that it may be put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from spectral_detect.detector.model import MIN_TILES, Model
from spectral_detect.media.region import Box
from spectral_detect.text import short_repr


@dataclass(frozen=True, eq=False)
class TileScores:
    """The score of each tile: of this place alone, and no proof of it.

    Attributes
    ----------
    boxes : tuple of (int, int, int, int)
        Left edge, upper edge, width and height in pixels as displayed, within the part that was looked at.
    scores : (n_tiles,) array
        Each as if the tile were the image.
    disagreement : float
        Deviation of the tiles' decision values.
    limit : float or None
        The deviation that 99 % of the model's held-out images do not exceed; None if its file does not tell.
    """

    boxes: tuple[Box, ...]
    scores: np.ndarray
    disagreement: float
    limit: float | None
    __repr__ = short_repr

    @property
    def is_mixed(self) -> bool:
        """Tell whether the tiles disagree more than those of the model's training images."""
        return self.limit is not None and len(self.scores) >= MIN_TILES and self.disagreement > self.limit

    @property
    def warning(self) -> str | None:
        """Say so in words; None if they do not."""
        if not self.is_mixed:
            return None
        low, high, times = self.scores.min(), self.scores.max(), self.disagreement / (self.limit or 1)
        return (
            f"this picture may be mixed: the scores of its {len(self.scores)} tiles run from {low:.3f} to {high:.3f}, "
            f"and disagree {times:.2f} times as much as 99 % of the model's training images do"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        tiles = [
            {"x": x, "y": y, "width": width, "height": height, "score": float(score)}
            for (x, y, width, height), score in zip(self.boxes, self.scores, strict=True)
        ]
        return {"disagreement": self.disagreement, "limit": self.limit, "is_mixed": self.is_mixed, "tiles": tiles}


def tile_scores(model: Model, features: np.ndarray, boxes: tuple[Box, ...]) -> TileScores | None:
    """Return the scores of an image's tiles; None if its features are not of tiles."""
    if not model.spec.gives_tiles:
        return None
    values = model.tile_values(features)
    limit = model.summary.tile_disagreement if model.summary else None
    return TileScores(boxes, model.calibration.scores(values), float(values.std()), limit)
