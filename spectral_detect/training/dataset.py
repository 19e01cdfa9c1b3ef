"""Labelled folders or a manifest -> vectors, labels, groups; splits that keep groups apart."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np

from spectral_detect.errors import DatasetError, RemoteError
from spectral_detect.extraction.many_files import extract_then
from spectral_detect.extraction.one_file import Extraction, Extractor, Keep
from spectral_detect.media.edits import Edit
from spectral_detect.parallel.work import Work
from spectral_detect.records import FAKE, LABELS, REAL
from spectral_detect.sources import stores
from spectral_detect.sources.discovery import FoundFile, FoundVideo, find_images
from spectral_detect.sources.formats import has_video_suffix
from spectral_detect.sources.location import Location
from spectral_detect.sources.urls import local_name, why_not_opened, without_credentials

MIN_PER_CLASS = 5
CLASS_FOLDERS = {REAL: ("real", "0_real", "nature"), FAKE: ("fake", "1_fake", "ai")}


Watch = Callable[[Iterable[tuple[Extraction, ...]]], Iterable[tuple[Extraction, ...]]]


@dataclass(frozen=True)
class LabelledFile:
    """An image or a video, its label (None: unlabelled), and the group it must stay with (None: a group of its own)."""

    file: FoundFile | FoundVideo
    label: int | None
    group: str | None = None


@dataclass(frozen=True)
class Dataset:
    """Features of the files that could be read, and the files that could not.

    Attributes
    ----------
    features : of each sample (n_features,), or (n_tiles, n_features) where the spec cuts tiles.
    y : (n_samples,) REAL or FAKE; -1 when unlabelled.
    groups : (n_samples,) small integers; samples of one group belong on one side of any split. Copies of one file
        (equal hashes) are put into one group.
    samples : what was read of each file, without its features.
    failures : the files that gave no features.
    edits : what was done to the images; each file is there once for each of them.
    """

    features: Sequence[np.ndarray]
    y: np.ndarray
    groups: np.ndarray
    samples: tuple[Extraction, ...]
    failures: tuple[Extraction, ...]
    edits: tuple[Edit | None, ...] = (None,)

    def select(self, at: np.ndarray) -> Dataset:
        """The samples at these indices, or where a mask is true."""
        chosen = np.arange(len(self.y))[at]
        return replace(
            self,
            features=[self.features[k] for k in chosen],
            y=self.y[chosen],
            groups=self.groups[chosen],
            samples=tuple(self.samples[k] for k in chosen),
            failures=(),
        )

    @property
    def n_real(self) -> int:
        return int(np.sum(self.y == REAL))

    @property
    def n_fake(self) -> int:
        return int(np.sum(self.y == FAKE))

    @property
    def n_groups(self) -> int:
        return len(np.unique(self.groups))

    @property
    def sha256(self) -> str:
        """Hash of the sorted hashes of the files, which tells whether two models saw the same images."""
        return sha256("\n".join(sorted(str(s.sha256) for s in self.samples)).encode()).hexdigest()


def files_in_folders(real: Sequence[str], fake: Sequence[str], *, group_by_parent: bool = False) -> list[LabelledFile]:
    """The images and videos of the folders of each class; each is a group of its own, or the images of a folder are.

    Raises
    ------
    DatasetError : a folder without any, or a URL that leads to nothing or cannot be read.
    ExtraMissingError : of a URL; the message says what to install.
    """
    return [
        LabelledFile(file, label, os.path.dirname(file.path) if group_by_parent else None)
        for label, folders in ((REAL, real), (FAKE, fake))
        for folder in folders
        for file in _images_of(folder)
    ]


def files_by_generator(folder: str, real: Sequence[str] = ()) -> dict[str, list[LabelledFile]]:
    """Each sub-folder's name -> its images, labelled; sorted.

    Parameters
    ----------
    folder : of sub-folders, one a generator. Below it, a folder named in `CLASS_FOLDERS` labels its images (as in
        ForenSynths, `0_real` and `1_fake`, and in GenImage, `nature` and `ai`); images outside such folders are fakes.
    real : folders of camera images for the generators that bring none. A sub-folder named as one of reals is another.

    Raises
    ------
    DatasetError : there is no sub-folder, or a generator has no real or no fake images.
    """
    if stores.is_url(folder):
        raise DatasetError(
            f"{without_credentials(folder)!r}: the folders of generators are found on this machine only; "
            "download them first"
        )
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    except OSError as error:
        raise DatasetError(f"{folder!r} cannot be listed: {error.strerror}") from None
    cameras = {os.path.realpath(path) for path in real}
    names = [name for name in names if os.path.realpath(os.path.join(folder, name)) not in cameras]
    shared = [*real, *(os.path.join(folder, name) for name in names if name in CLASS_FOLDERS[REAL])]
    generators = {name: _labelled_by_folder(folder, name) for name in names if name not in CLASS_FOLDERS[REAL]}
    reals = [LabelledFile(file, REAL) for camera in shared for file in _images_of(camera)]
    for name, files in generators.items():
        if all(file.label == FAKE for file in files):
            files += reals
        if len({file.label for file in files}) < 2:
            raise DatasetError(
                f"{os.path.join(folder, name)!r}: not both real and fake images; name the folder of camera images with "
                "--real, or put real and fake images into sub-folders real and fake"
            )
    if not generators:
        raise DatasetError(f"{folder!r} has no sub-folders; it should have one for each generator")
    return generators


def _labelled_by_folder(folder: str, name: str) -> list[LabelledFile]:
    def label_of(path: str) -> int:
        parts = os.path.relpath(path, folder).split(os.sep)[1:-1]
        return next((label for part in parts for label, names in CLASS_FOLDERS.items() if part in names), FAKE)

    return [LabelledFile(file, label_of(file.path)) for file in _images_of(os.path.join(folder, name))]


def unlabelled_files(folders: Sequence[Location]) -> list[LabelledFile]:
    """Return the images of folders that nobody has labelled."""
    return [LabelledFile(file, None) for folder in folders for file in _images_in(folder)]


def _images_of(folder: str) -> list[FoundFile | FoundVideo]:
    return _images_in(_looked_up(folder))


def _images_in(folder: Location) -> list[FoundFile | FoundVideo]:
    others: list[str] = []
    files: list[FoundFile | FoundVideo] = [*find_images([folder], on_skip=others.append)]
    files += (FoundVideo(Location(path)) for path in others if has_video_suffix(path))
    if not files:
        raise DatasetError(f"no image found in {folder.path!r}, and no video")
    return files


def _looked_up(folder: str) -> Location:
    """Return where a folder is; at a URL the store is asked, which tells a folder from a file."""
    if not stores.is_url(folder):
        return stores.locate(folder)
    try:
        return stores.look_up(folder)
    except FileNotFoundError as error:
        raise DatasetError(f"{str(error)!r}: there is no such file or folder") from None
    except RemoteError as error:
        raise DatasetError(f"{without_credentials(folder)!r}: {error}") from None


def files_in_manifest(manifest: str) -> list[LabelledFile]:
    """The rows of a CSV file with the columns `path,label[,group]`; paths are relative to the manifest, or URLs.

    Raises
    ------
    DatasetError : the file cannot be read, a column is missing, or a label is neither `real` nor `fake`.
    """
    try:
        with open(manifest, newline="", encoding="utf-8-sig", errors="surrogateescape") as stream:
            return list(_manifest_rows(csv.DictReader(stream), manifest))
    except OSError as error:
        raise DatasetError(
            f"manifest {without_credentials(manifest)!r} cannot be read: {why_not_opened(manifest, error)}"
        ) from None
    except csv.Error as error:
        raise DatasetError(f"manifest {manifest!r} is not CSV: {error}") from None


def _manifest_rows(reader: csv.DictReader[str], manifest: str) -> Iterator[LabelledFile]:
    missing = {"path", "label"} - set(reader.fieldnames or ())
    if missing:
        raise DatasetError(
            f"manifest {manifest!r} lacks {' and '.join(sorted(missing))}; its first line must name the columns: "
            "path,label or path,label,group"
        )
    folder = os.path.dirname(manifest)
    for row in reader:
        label = (row["label"] or "").strip().lower()
        if label not in LABELS or not row["path"]:
            raise DatasetError(
                f"manifest {manifest!r}, line {reader.line_num}: path {row['path']!r}, label {row['label']!r}; "
                "it takes a path, and real or fake as the label"
            )
        yield LabelledFile(_file_in(folder, row["path"]), LABELS[label], row.get("group") or None)


def _file_in(folder: str, name: str) -> FoundFile | FoundVideo:
    """What a manifest in that folder names: a local file if there is one of that name, whatever it looks like."""
    path = os.path.join(folder, name)
    if stores.is_url(name) and not os.path.lexists(path):
        place = Location.at_url(name)
    else:
        place = Location(local_name(path if os.path.lexists(path) else os.path.join(folder, local_name(name))))
    return FoundVideo(place) if has_video_suffix(place.path) else FoundFile(place)


def read_dataset(
    files: Sequence[LabelledFile],
    extractor: Extractor,
    work: Work | None = None,
    *,
    watch: Watch = iter,
) -> Dataset:
    """Extract the features of labelled files.

    Parameters
    ----------
    extractor : Extractor
        Its spec, or None to read the files without features, for an audit. Each of its edits gives one sample of every
        file (None, the image without a change); the samples of a file share its group.
    watch : may look at what comes by, a file at a time, for a progress bar.

    Raises
    ------
    DatasetError : no file gave features, or they differ in length (a spec with `n_bins=None` and images of unequal
        size).
    """
    extractor = replace(extractor, examine=True)
    with closing(extract_then([f.file for f in files], extractor, Keep(), work)) as stream:
        extractions = [(f, e) for f, results in zip(files, watch(stream), strict=True) for e in results]
    read = [(f, e) for f, e in extractions if e.features is not None]
    failures = tuple({e.path: e for _, e in extractions if e.features is None}.values())
    if not read:
        first = f"; the first: {failures[0].path!r}: {failures[0].error}" if failures else ""
        raise DatasetError(f"none of {len(files)} files could be used{first}")
    if len({e.features.shape[-1] for _, e in read if e.features is not None}) > 1:
        raise DatasetError("images of different sizes give features of different lengths; set a number of bins")
    return Dataset(
        features=[e.features for _, e in read if e.features is not None],
        y=np.array([-1 if f.label is None else f.label for f, _ in read]),
        groups=_group_numbers((f.group, str(e.sha256)) for f, e in read),
        samples=tuple(replace(e, features=None, tiles=None) for _, e in read),
        failures=failures,
        edits=extractor.edits,
    )


def files_of_all(generators: Mapping[str, Sequence[LabelledFile]]) -> list[LabelledFile]:
    """The files of all generators, each once."""
    return list({file.file.path: file for files in generators.values() for file in files}.values())


def members_of(dataset: Dataset, generators: Mapping[str, Sequence[LabelledFile]]) -> dict[str, np.ndarray]:
    """Generator -> indices of its samples in a data set that holds those of all generators."""
    at: dict[str, list[int]] = {}
    for k, sample in enumerate(dataset.samples):
        at.setdefault(sample.path, []).append(k)
    return {
        name: np.array([k for file in files for k in at.get(file.file.path, ())], dtype=int)
        for name, files in generators.items()
    }


def _group_numbers(keys: Iterable[tuple[str | None, str]]) -> np.ndarray:
    """Number the groups; files of one named group, and copies of one file, are connected and share a number."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    nodes: dict[tuple[str, str], int] = {}
    links = []
    for group, file_hash in keys:
        copy = nodes.setdefault(("sha256", file_hash), len(nodes))
        named = nodes.setdefault(("group", group), len(nodes)) if group is not None else copy
        links.append((copy, named))
    rows, columns = np.array(links).T
    graph = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(nodes), len(nodes)))
    return np.asarray(connected_components(graph, directed=False)[1][rows])


def require_both_classes(dataset: Dataset) -> None:
    """`DatasetError` unless a detector can be trained: enough images of each class, and no image in both."""
    for name, n in (("real", dataset.n_real), ("fake", dataset.n_fake)):
        if n < MIN_PER_CLASS:
            raise DatasetError(f"{n} usable {name} images; training needs at least {MIN_PER_CLASS} of each class")
    refuse_contradictions(dataset)


def refuse_contradictions(dataset: Dataset) -> None:
    """`DatasetError` when one file is in both classes."""
    seen: dict[str | None, tuple[int, str]] = {}
    for label, sample in zip(dataset.y, dataset.samples, strict=True):
        first_label, first_path = seen.setdefault(sample.sha256, (label, sample.path))
        if first_label != label:
            raise DatasetError(
                f"the same file is real and fake: {first_path!r} and {sample.path!r}; remove it from one class"
            )


def folds(y: np.ndarray, groups: np.ndarray, n_splits: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """(train, test) indices of a stratified cross-validation that keeps groups together.

    Folds whose training part lacks a class are left out; the list is empty when there are too few groups.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    groups_per_class = Counter(label for label, _ in {*zip(y.tolist(), groups.tolist(), strict=True)})
    n_splits = min(n_splits, *groups_per_class.values())
    if n_splits < 2:
        return []
    split = StratifiedGroupKFold(n_splits, shuffle=True, random_state=seed).split(y, y, groups)
    return [(train, test) for train, test in split if len(np.unique(y[train])) == 2]
