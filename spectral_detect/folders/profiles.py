"""Average the azimuthal profiles of folders, and measure how far apart they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spectral_detect.extraction.one_file import Extractor
from spectral_detect.features.spec import FeatureSpec
from spectral_detect.features.spectrum import MAX_FREQUENCY
from spectral_detect.folders.reading import ImageFolder, OnFailure, Progress, each_image
from spectral_detect.media.limits import Limits
from spectral_detect.parallel.work import Work
from spectral_detect.text import short_repr

PROFILES = {
    "azimuthal": FeatureSpec.preset("azimuthal"),
    "power": FeatureSpec.preset("azimuthal", filter="none", normalisation="none"),
    "durall": FeatureSpec.preset("durall"),
}
LEAST_DEVIATION = 1e-6  # of a logarithm; below it a value is the same in all images but for rounding


@dataclass(frozen=True, eq=False)
class FolderProfile:
    """The profiles of a folder's images.

    Attributes
    ----------
    name : str
        Name of the folder.
    n_images : int
        Number of images.
    frequency : (n_bins,) array
        In cycles per pixel.
    mean, sd : (n_bins,) array
        Mean and standard deviation over the images.
    sizes : frozenset of (int, int)
        Width and height of the images in pixels.
    """

    name: str
    n_images: int
    frequency: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    sizes: frozenset[tuple[int, int]]
    __repr__ = short_repr

    def distance_from(self, reference: FolderProfile) -> np.ndarray:
        """Return (n_bins,) this mean less the other's, in standard deviations of the other; NaN where it has none."""
        has_spread = reference.sd > LEAST_DEVIATION
        sd = np.where(has_spread, reference.sd, np.nan)
        return np.asarray((self.mean - reference.mean) / sd)


def mean_profiles(
    folders: Sequence[ImageFolder],
    spec: FeatureSpec,
    work: Work | None = None,
    *,
    limits: Limits | None = None,
    progress: Progress = iter,
    on_failure: OnFailure,
) -> list[FolderProfile]:
    """Return mean and deviation of the azimuthal profiles of each folder's images.

    Parameters
    ----------
    folders : sequence of ImageFolder
        Where the images are.
    spec : FeatureSpec
        One of `PROFILES`, with any number of bins.
    work, progress, on_failure
        See `each_image`.
    limits : Limits, optional
        Which images are refused.

    Raises
    ------
    DatasetError
        No image of a folder has a profile.
    """
    vectors: list[list[np.ndarray]] = [[] for _ in folders]
    sizes: list[set[tuple[int, int]]] = [set() for _ in folders]
    extractor = Extractor(spec, limits=limits or Limits())
    for k, image in each_image(folders, extractor, work, progress=progress, on_failure=on_failure):
        vectors[k].append(np.asarray(image.features))
        sizes[k].add((image.width or 0, image.height or 0))
    return [
        profile_of(folder.name, np.stack(some), frozenset(of_it))
        for folder, some, of_it in zip(folders, vectors, sizes, strict=True)
    ]


def profile_of(name: str, vectors: np.ndarray, sizes: frozenset[tuple[int, int]] = frozenset()) -> FolderProfile:
    """Return mean and deviation of (n_images, n_bins) profiles, whose bins are equally spaced up to `MAX_FREQUENCY`."""
    values = vectors.astype(np.float64)
    frequency = np.linspace(0, MAX_FREQUENCY, values.shape[1])
    return FolderProfile(name, len(values), frequency, values.mean(axis=0), values.std(axis=0), sizes)
