"""Measure generated images of any origin as `train` measures its samples: against camera images of one size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spectral_detect.errors import DatasetError, ImageReadError
from spectral_detect.media.images import decode
from spectral_detect.parallel.work import Work
from spectral_detect.regularize.gan.monitor import Embed, Measures, Monitor, split_reals
from spectral_detect.regularize.reals import OnFailure, files_of, read_reals
from spectral_detect.sources.reading import read_file

READ_SEED = 3  # of the images that are drawn from a larger folder


@dataclass(frozen=True)
class Comparison:
    """Hold how far folders of generated images are from camera images.

    Attributes
    ----------
    size, n : int
        Pixels on a side, and how many images of each folder were compared.
    reals : Measures
        Camera images against other camera images: nothing can come nearer.
    folders : dict
        Measures of each folder of generated images.
    """

    size: int
    n: int
    reals: Measures
    folders: dict[str, Measures]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        folders = {name: measures.to_dict() for name, measures in self.folders.items()}
        return {"size": self.size, "n": self.n, "reals": self.reals.to_dict(), "folders": folders}


def compare_folders(
    real: str,
    fakes: Sequence[str],
    *,
    n: int,
    size: int | None = None,
    work: Work | None = None,
    inception: Embed | None = None,
    network: tuple[str, Embed] | None = None,
    on_failure: OnFailure = lambda path, reason: None,
    progress: Callable[[Any], Any] = iter,
) -> Comparison:
    """Measure folders of generated images against camera images, each brought to one size as by `reals.read_square`.

    Parameters
    ----------
    real : str
        Folder of camera images; half of those that are drawn are compared with the other half.
    fakes : sequence of str
        Folders of generated images.
    n : int
        How many images of each are compared, drawn at random and always the same ones; fewer if a folder has fewer,
        since Frechet distances depend on the number.
    size : int, optional
        Pixels on a side; default the shorter side of the first generated image.
    work : Work, optional
        How images are read.
    inception, network : optional
        For `Measures.fid` and `Measures.fd`, see `Monitor`.
    on_failure, progress : callable
        As for `read_reals`.

    Raises
    ------
    DatasetError
        A folder has fewer than 50 images of that size.
    """
    size = size or _size_of_first(fakes[0])

    def read(folder: str, most: int) -> np.ndarray:
        return read_reals(folder, size, work, n_images=most, on_failure=on_failure, progress=progress)

    generated = [read(folder, n) for folder in fakes]
    photographs = read(real, 2 * n)
    n = min(n, len(photographs) // 2, *map(len, generated))
    reals, others = split_reals(photographs, n)
    monitor = Monitor(reals, inception, network)
    rng = np.random.default_rng(READ_SEED)
    drawn = [np.array(images[np.sort(rng.permutation(len(images))[:n])]) for images in generated]
    of_folders = dict(zip(fakes, map(monitor.measure, drawn), strict=True))
    return Comparison(size, n, monitor.measure(others), of_folders)


def _size_of_first(folder: str) -> int:
    for file in files_of(folder):
        if not file.problem:
            try:
                return int(min(decode(read_file(file.location).content).pixels.shape[:2]))
            except ImageReadError:
                continue
    raise DatasetError(f"{folder!r} holds no image that can be read", remedy="name a folder of generated images")
