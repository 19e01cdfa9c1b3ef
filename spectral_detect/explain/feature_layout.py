"""Say what each number of a feature vector is: its group, and its frequency if it has one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np

from spectral_detect.features.spec import (
    BLOCK_PX,
    COLOUR_BINS,
    MAGNITUDE_PX,
    PATCH_PX,
    FeatureSpec,
    FusedSpec,
)
from spectral_detect.features.spectrum import MAX_FREQUENCY
from spectral_detect.text import short_repr, visible

GROUP_TITLES = {
    "profile": "fine detail, from coarse to finest",
    "chroma_profile": "fine detail in the colours",
    "coherence": "detail that the colours share",
    "block_spectrum": "detail in blocks of 8 pixels",
    "block_peakedness": "outliers in blocks of 8 pixels",
    "patch_spectrum": "detail by size and direction",
    "magnitude": "every frequency by itself",
    "colour_cooccurrence": "colours that go together",
    "chroma_cooccurrence": "patterns of neighbouring colours",
    "cooccurrence": "patterns of neighbouring pixels",
    "normalised_luma": "contrast of neighbouring pixels",
    "square_cooccurrence": "neighbouring pixels, close up",
    "square_colour_cooccurrence": "colours together, close up",
    "square_chroma_cooccurrence": "neighbouring colours, close up",
    "encoder": "what the encoder sees",
}


@dataclass(frozen=True, eq=False)
class FeatureGroup:
    """Where the numbers of one feature group stand in a vector, and what they are.

    Attributes
    ----------
    name : str
        As in `FeatureSpec.groups`.
    scale_px : int or None
        Shorter side to which the image was reduced for them; None if it was not.
    start, end : int
        They are features `start` to `end` - 1.
    frequencies : (n,) array or None
        Radial frequency of each in cycles per pixel of the image that was looked at; None if they have none.
    """

    name: str
    scale_px: int | None
    start: int
    end: int
    frequencies: np.ndarray | None
    __repr__ = short_repr

    @property
    def title(self) -> str:
        """The group in words."""
        at = f", at {self.scale_px} px" if self.scale_px else ""
        return f"{self.kind}{at}"

    @property
    def kind(self) -> str:
        """The kind of trace in words; of a fused model, the part."""
        return GROUP_TITLES.get(self.name, self.name)


def feature_layout(spec: FeatureSpec, n_features: int, part_names: Sequence[str] = ()) -> list[FeatureGroup]:
    """Return the groups of a vector of so many features, in its order; a fused model has one for each named part."""
    if isinstance(spec, FusedSpec):
        named = zip(part_names, spec.parts, strict=True)
        titles = [f"the model {visible(name)} ({part.name} features)" for name, part in named]
        return [FeatureGroup(title, None, k, k + 1, None) for k, title in enumerate(titles)]
    sizes = spec.group_sizes or (n_features,)
    ends = pairwise(accumulate(sizes, initial=0))
    return [
        FeatureGroup(name, scale, start, end, frequencies_of(name, end - start))
        for (name, scale), (start, end) in zip(spec.places, ends, strict=True)
    ]


def frequencies_of(name: str, n_features: int) -> np.ndarray | None:
    """Return the (n_features,) radial frequencies of a group in cycles per pixel; None if it has none."""
    if name == "profile":
        return np.linspace(0, MAX_FREQUENCY, n_features)
    if name in ("chroma_profile", "coherence"):
        return np.tile(np.linspace(0, MAX_FREQUENCY, COLOUR_BINS), n_features // COLOUR_BINS)
    if name in ("block_spectrum", "block_peakedness"):
        step = np.arange(BLOCK_PX) / (2 * BLOCK_PX)  # a cosine of a block does half a turn for each step
        return np.hypot(step[:, None], step).ravel()[1:]
    if name == "patch_spectrum":
        step = np.arange(PATCH_PX // 2 + 1) / PATCH_PX
        return np.hypot(step[:, None], step).ravel()
    if name == "magnitude":
        rows, columns = np.fft.fftfreq(MAGNITUDE_PX), np.fft.rfftfreq(MAGNITUDE_PX)
        return np.tile(np.hypot(rows[:, None], columns).ravel(), 3)
    return None
