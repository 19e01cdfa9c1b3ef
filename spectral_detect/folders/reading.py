"""Read the images of several folders, one by one, each with the folder that it is from."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

from spectral_detect.errors import DatasetError
from spectral_detect.extraction.many_files import extract_then
from spectral_detect.extraction.one_file import CONSTANT_IMAGE, Extraction, Extractor, Found, Keep, Variants
from spectral_detect.parallel.work import Work
from spectral_detect.sources.location import Location
from spectral_detect.text import told_apart
from spectral_detect.training.labelled_files import unlabelled_files

Progress = Callable[[Iterable[Variants]], Iterable[Variants]]
OnFailure = Callable[[str, str], None]


@dataclass(frozen=True)
class ImageFolder:
    """A folder and the images and videos in it.

    Attributes
    ----------
    name : str
        The end of its path that no other folder has.
    path : str
        As it was named.
    files : tuple of FoundFile or FoundVideo
        In the order in which they were found.
    """

    name: str
    path: str
    files: tuple[Found, ...]


def find_folders(locations: Sequence[Location]) -> list[ImageFolder]:
    """Find the images and videos of each folder.

    Raises
    ------
    DatasetError
        A folder has no image and no video, or is a file.
    """
    names = told_apart([place.path if place.is_remote else os.path.abspath(place.path) for place in locations])
    return [ImageFolder(name, place.path, _files_in(place)) for name, place in zip(names, locations, strict=True)]


def _files_in(place: Location) -> tuple[Found, ...]:
    if not (place.is_folder if place.is_remote else os.path.isdir(place.path)):
        raise DatasetError(f"{place.path!r} is a file", remedy="name folders of images")
    return tuple(file.file for file in unlabelled_files([place]))


def each_image(
    folders: Sequence[ImageFolder],
    extractor: Extractor,
    work: Work | None = None,
    *,
    progress: Progress = iter,
    on_failure: OnFailure,
) -> Iterator[tuple[int, Extraction]]:
    """Yield the number of the folder and the features of each image, in order; a frame of a video is an image.

    A constant image has no spectrum and counts as a failure; a constant frame of a video is left out.

    Parameters
    ----------
    folders : sequence of ImageFolder
        Where the images are.
    extractor : Extractor
        What is computed.
    work : Work, optional
        How to run.
    progress : callable
        Passes the results on, a file at a time, to show progress.
    on_failure : callable
        Called with the path of each file that gave nothing, and the reason.

    Raises
    ------
    DatasetError
        At the end, if no image of a folder gave anything.
    """
    files = [(k, file) for k, folder in enumerate(folders) for file in folder.files]
    counts = [0] * len(folders)
    with closing(extract_then([file for _, file in files], extractor, Keep(), work)) as stream:
        for (k, _), variants in zip(files, progress(stream), strict=True):
            for extraction in variants:
                if extraction.features is not None and not extraction.is_constant:
                    counts[k] += 1
                    yield k, extraction
                elif extraction.frame is None:
                    on_failure(extraction.path, extraction.error or CONSTANT_IMAGE)
    for folder, count in zip(folders, counts, strict=True):
        if not count:
            raise DatasetError(
                f"no usable image in {folder.path!r}: none of its {len(folder.files)} files has a spectrum to show",
                remedy="the errors of the single files say why",
            )
