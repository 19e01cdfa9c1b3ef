"""Show where the features of several folders lie: two coordinates for each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Literal

import numpy as np

from spectral_detect.detector.experience import mean_of_tiles
from spectral_detect.errors import DatasetError
from spectral_detect.extraction.many_files import require_one_length
from spectral_detect.extraction.one_file import Extractor
from spectral_detect.features.spec import FeatureSpec
from spectral_detect.folders.reading import ImageFolder, OnFailure, Progress, each_image
from spectral_detect.media.limits import Limits
from spectral_detect.parallel.work import Work
from spectral_detect.text import counted, short_repr

Method = Literal["pca", "tsne"]
PERPLEXITY = 4.0  # of Durall et al., figure 19
MIN_IMAGES = 3
SEED = 0


@dataclass(frozen=True, eq=False)
class Embedding:
    """Two coordinates for each image of several folders.

    Attributes
    ----------
    names : tuple of str
        The folders.
    points : tuple of (n_images, 2) array
        For each folder.
    method : {"pca", "tsne"}
        How they were found.
    explained : (float, float) or None
        The share of the variance along each coordinate; None for t-SNE, whose coordinates have no such meaning.
    perplexity : float or None
        That of t-SNE.
    """

    names: tuple[str, ...]
    points: tuple[np.ndarray, ...]
    method: Method
    explained: tuple[float, float] | None = None
    perplexity: float | None = None
    __repr__ = short_repr


def folder_features(
    folders: Sequence[ImageFolder],
    spec: FeatureSpec,
    work: Work | None = None,
    *,
    limits: Limits | None = None,
    progress: Progress = iter,
    on_failure: OnFailure,
) -> list[np.ndarray]:
    """Return (n_images, n_features) for each folder; of features in tiles the mean over an image's tiles.

    Parameters
    ----------
    folders, work, progress, on_failure
        See `each_image`.
    spec : FeatureSpec
        The features.
    limits : Limits, optional
        Which images are refused.

    Raises
    ------
    DatasetError
        No image of a folder has features, or they differ in length.
    """
    vectors: list[list[np.ndarray]] = [[] for _ in folders]
    extractor = Extractor(spec, limits=limits or Limits())
    for k, image in each_image(folders, extractor, work, progress=progress, on_failure=on_failure):
        vectors[k].append(mean_of_tiles(np.asarray(image.features)))
    require_one_length(chain.from_iterable(vectors))
    return [np.stack(some) for some in vectors]


def embed(
    names: Sequence[str],
    vectors: Sequence[np.ndarray],
    method: Method = "pca",
    *,
    perplexity: float = PERPLEXITY,
    seed: int = SEED,
) -> Embedding:
    """Reduce features, each brought to mean 0 and deviation 1 over all images, to two coordinates.

    Parameters
    ----------
    names, vectors : sequence of str, sequence of (n_images, n_features) array
        The folders and their features.
    method : {"pca", "tsne"}
        The two directions of most variance; or t-SNE, which keeps neighbours together and nothing else.
    perplexity : float
        The number of neighbours, roughly, that t-SNE looks at.
    seed : int
        Seed of both methods.

    Raises
    ------
    DatasetError
        There are too few images, or all are alike.

    References
    ----------
    Van der Maaten and Hinton, "Visualizing data using t-SNE", JMLR 9 (2008).
    """
    from sklearn.preprocessing import StandardScaler

    together = np.concatenate([some.astype(np.float64) for some in vectors])
    if len(together) < MIN_IMAGES:
        raise DatasetError(f"{counted(len(together), 'image')}: an embedding needs at least {MIN_IMAGES}")
    if method == "tsne" and not perplexity < len(together):
        raise DatasetError(
            f"t-SNE with `perplexity={perplexity:g}` needs more images than that, and here are {len(together)}",
            remedy="add images, or use `method=pca`",
        )
    scaled = StandardScaler().fit_transform(together)
    if not scaled.any():
        raise DatasetError("all images have the same features", remedy="are they copies of one file?")
    ends = np.cumsum([len(some) for some in vectors])[:-1]
    if method == "tsne":
        points = np.split(_tsne(scaled, perplexity, seed), ends)
        return Embedding(tuple(names), tuple(points), method, perplexity=perplexity)
    coordinates, explained = _pca(scaled, seed)
    return Embedding(tuple(names), tuple(np.split(coordinates, ends)), method, explained)


def _pca(scaled: np.ndarray, seed: int) -> tuple[np.ndarray, tuple[float, float]]:
    from sklearn.decomposition import PCA

    pca = PCA(2, random_state=seed)
    points = pca.fit_transform(scaled)
    first, second = pca.explained_variance_ratio_
    return np.asarray(points), (float(first), float(second))


def _tsne(scaled: np.ndarray, perplexity: float, seed: int) -> np.ndarray:
    from sklearn.manifold import TSNE

    # one thread: the order in which several add numbers up would change the picture
    return np.asarray(TSNE(2, perplexity=perplexity, init="pca", random_state=seed, n_jobs=1).fit_transform(scaled))
