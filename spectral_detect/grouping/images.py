"""Group image files: their features, their clusters, a record for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from spectral_detect._version import __version__
from spectral_detect.detector.experience import mean_of_tiles
from spectral_detect.errors import DatasetError
from spectral_detect.extraction.many_files import extract_files, require_one_length
from spectral_detect.extraction.one_file import CONSTANT_IMAGE, Extraction, Extractor
from spectral_detect.features.spec import FeatureSpec
from spectral_detect.grouping.clusters import Clusters, find_clusters
from spectral_detect.grouping.record import GroupRecord
from spectral_detect.media.limits import Limits
from spectral_detect.parallel.work import Work
from spectral_detect.sources.discovery import FoundFile
from spectral_detect.text import short_repr

MOST_IMAGES = 20_000  # time grows with the square; clusters of so many took 19 s and 500 MB

Progress = Callable[[Iterable[Extraction]], Iterable[Extraction]]


@dataclass(frozen=True, eq=False)
class Grouped:
    """The images that were grouped.

    Attributes
    ----------
    records : tuple of GroupRecord
        One for each file, in the order of the files.
    features : (n_images, n_features) array
        Those of the files without an error.
    clusters : Clusters
        Of the same.
    """

    records: tuple[GroupRecord, ...]
    features: np.ndarray
    clusters: Clusters
    __repr__ = short_repr


def group_images(
    files: Sequence[FoundFile],
    spec: FeatureSpec,
    work: Work | None = None,
    *,
    min_size: int | None = None,
    limits: Limits | None = None,
    progress: Progress = iter,
) -> Grouped:
    """Find clusters among images: those of one cluster probably come from one pipeline.

    Parameters
    ----------
    files : sequence of FoundFile
        At most `MOST_IMAGES`.
    spec : FeatureSpec
        The features; of features in tiles the mean over an image's tiles counts.
    work : Work, optional
        How to run; no result depends on it.
    min_size : int, optional
        See `find_clusters`.
    limits : Limits, optional
        Which images are refused.
    progress : callable
        Passes the results on, a file at a time, to show progress.

    Raises
    ------
    DatasetError
        There are too many images, or their features differ in length.
    """
    check_number(len(files))
    read: list[Extraction] = []
    vectors: list[np.ndarray] = []
    with closing(extract_files(files, Extractor(spec, limits=limits or Limits()), work)) as extractions:
        for extraction in progress(extractions):
            if extraction.features is not None and not extraction.is_constant:
                vectors.append(mean_of_tiles(np.asarray(extraction.features)))
            read.append(replace(extraction, features=None, tiles=None))  # 120 kB an image
            if extraction.is_constant and extraction.error is None:
                read[-1] = replace(read[-1], error=CONSTANT_IMAGE)
    require_one_length(vectors)
    features = np.stack(vectors) if vectors else np.empty((0, 0))
    clusters = find_clusters(features, min_size)
    return Grouped(tuple(_records(read, spec, clusters)), features, clusters)


def check_number(n_files: int) -> None:
    """Raise `DatasetError` if there are more images than can be compared."""
    if n_files > MOST_IMAGES:
        raise DatasetError(
            f"more than {MOST_IMAGES} images: each is compared with each, and more are too many for that",
            remedy="group folder by folder, or a random sample of them",
        )


def _records(read: Iterable[Extraction], spec: FeatureSpec, clusters: Clusters) -> Iterable[GroupRecord]:
    found = zip(clusters.labels, clusters.probability, strict=True)
    for e in read:
        label, probability = next(found) if e.error is None else (None, None)
        yield GroupRecord(
            path=e.path,
            sha256=e.sha256,
            cluster=None if label is None else int(label),
            probability=None if probability is None else round(float(probability), 4),
            spec_sha256=spec.sha256,
            tool_version=__version__,
            error=e.error,
        )
