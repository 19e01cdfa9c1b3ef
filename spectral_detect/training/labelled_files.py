"""Find files with their labels: in folders of each class, in folders of generators, in a manifest."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import StringIO

from spectral_detect.errors import DatasetError, RemoteError
from spectral_detect.records import FAKE, LABELS, REAL
from spectral_detect.sources import stores
from spectral_detect.sources.discovery import FoundFile, FoundVideo, find_images
from spectral_detect.sources.formats import begins_like_video, has_video_suffix, is_animation, is_video_file
from spectral_detect.sources.location import Location, Places, each_place
from spectral_detect.sources.text_encoding import how_to_convert, is_not_utf8, wide_encoding
from spectral_detect.sources.urls import local_name, why_not_opened, without_credentials

MANIFEST_COLUMNS = {"path", "label"}  # and others, if wanted
DELIMITERS = (",", ";", "\t")
MIN_OF_GROUP = 5  # files; a smaller group is no source, as its name may be that of a file
CLASS_FOLDERS = {REAL: ("real", "0_real", "nature", "camera"), FAKE: ("fake", "1_fake", "ai")}


@dataclass(frozen=True)
class LabelledFile:
    """An image or a video, its label (None if unlabelled), and its group (None: a group of its own).

    `weight` says how much it counts in training by ridge regression and by a perceptron. A file of a weight below 1
    only helps to train: score, threshold and metrics do not rest on it. `source` names for people where it comes from;
    by default its group or its folder does.
    """

    file: FoundFile | FoundVideo
    label: int | None
    group: str | None = None
    weight: float = 1.0
    source: str | None = None


def files_in_folders(real: Places, fake: Places, *, group_by_parent: bool = False) -> list[LabelledFile]:
    """Find the images and videos in the folders of each class, each once.

    Parameters
    ----------
    real, fake : str or path-like, or a sequence of them
        Folders, or single images and videos; also URLs.
    group_by_parent : bool
        Put the files of one folder into one group. By default each file is a group of its own.

    Raises
    ------
    DatasetError
        A folder is not there or has no image and no video, a file is in folders of both classes, or a URL leads to
        nothing or cannot be read.
    ExtraMissingError
        A URL needs a package that is not installed.
    """
    return _each_once(
        LabelledFile(file, label, os.path.dirname(file.path) if group_by_parent else None)
        for label, folders in ((REAL, real), (FAKE, fake))
        for folder in each_place(folders)
        for file in _images_of(os.fspath(folder))
    )


def _each_once(files: Iterable[LabelledFile]) -> list[LabelledFile]:
    """Return the files, each once, as folders may be named twice or lie in others; refuse two labels of one."""
    known: dict[str, LabelledFile] = {}
    for file in files:
        place = file.file.location
        first = known.setdefault(place.address if place.is_remote else os.path.abspath(place.path), file)
        if first.label != file.label:
            raise DatasetError(
                f"the same file is real and fake: {file.file.path!r}", remedy="name it as one, and its folder too"
            )
        if (first.group, first.weight) != (file.group, file.weight):
            raise DatasetError(f"the same file has two groups or weights: {file.file.path!r}", remedy="name it once")
    return list(known.values())


def files_by_generator(
    folder: str, real: Sequence[str] = (), *, group_by_parent: bool = False
) -> dict[str, list[LabelledFile]]:
    """Find the labelled images of each generator, a sub-folder of `folder`.

    Parameters
    ----------
    folder : str
        A folder with a sub-folder for each generator. In those, a folder named in `CLASS_FOLDERS` labels its images (as
        in ForenSynths, `0_real` and `1_fake`, and in GenImage, `nature` and `ai`); images outside such folders are
        fakes.
    real : sequence of str
        Folders of camera images for the generators that bring none. A sub-folder of `folder` that has the name of a
        folder of reals is used like them.
    group_by_parent : bool
        Put the files of one folder into one group. By default each file is a group of its own.

    Returns
    -------
    dict
        Name of the sub-folder -> its files; sorted.

    Raises
    ------
    DatasetError
        There is no sub-folder, or a generator has no real or no fake images.
    """
    for path in real:
        _require_there(path)
    names = _sub_folders(folder, {os.path.realpath(path) for path in real})
    cameras = [*real, *(os.path.join(folder, name) for name in names if name in CLASS_FOLDERS[REAL])]
    generators = {name: _labelled_by_folder(folder, name) for name in names if name not in CLASS_FOLDERS[REAL]}
    if not generators:
        raise DatasetError(f"{folder!r} has no sub-folders", remedy="it should have one for each generator")
    reals = [LabelledFile(file, REAL) for camera in cameras for file in _images_of(camera)]
    lacking = [name for name, files in generators.items() if all(file.label == FAKE for file in files)]
    if real and not lacking:
        raise DatasetError(f"each generator of {folder!r} brings its own camera images", remedy="leave --real out")
    for name, files in generators.items():
        if name in lacking:
            files[:] = _each_once([*files, *reals])
        if len({file.label for file in files}) < 2:
            raise DatasetError(
                f"{os.path.join(folder, name)!r}: not both real and fake images",
                remedy=(
                    "name the folder of camera images with `real`, or put real and fake images into sub-folders real "
                    "and fake"
                ),
            )
    if not group_by_parent:
        return generators
    return {
        name: [replace(file, group=os.path.dirname(file.file.path)) for file in files]
        for name, files in generators.items()
    }


def files_with_generators(
    folder: str, real: Sequence[str] = (), *, group_by_parent: bool = False
) -> list[LabelledFile]:
    """Find the files of `files_by_generator`, each once; the `source` of a fake is the name of its generator.

    Parameters
    ----------
    folder, real
        As in `files_by_generator`.
    group_by_parent : bool
        Put the files of one folder into one group. By default each file is a group of its own.

    Raises
    ------
    DatasetError
        As there.
    """
    found = {
        name: [file if file.label == REAL else replace(file, source=name) for file in files]
        for name, files in files_by_generator(folder, real, group_by_parent=group_by_parent).items()
    }
    return files_of_all(found)


def _sub_folders(folder: str, others: set[str]) -> list[str]:
    """Return the sorted names of the sub-folders, without the folders whose real paths are in `others`."""
    if stores.is_url(folder):
        raise DatasetError(
            f"{without_credentials(folder)!r}: the folders of generators are found on this machine only",
            remedy="download them first",
        )
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    except OSError as error:
        raise DatasetError(f"{folder!r} cannot be listed: {error.strerror}") from None
    return [name for name in names if os.path.realpath(os.path.join(folder, name)) not in others]


def _labelled_by_folder(folder: str, name: str) -> list[LabelledFile]:
    def label_of(path: str) -> int:
        parts = os.path.relpath(path, folder).split(os.sep)[1:-1]
        return next((label for part in parts for label, names in CLASS_FOLDERS.items() if part in names), FAKE)

    return [LabelledFile(file, label_of(file.path)) for file in _images_of(os.path.join(folder, name))]


def unlabelled_files(folders: Sequence[Location]) -> list[LabelledFile]:
    """Find the images of folders that nobody has labelled."""
    return [LabelledFile(file, None) for folder in folders for file in _images_in(folder)]


def _require_there(path: str) -> None:
    if not stores.is_url(path) and not os.path.lexists(local_name(path)):
        raise DatasetError(f"{path!r}: there is no such file or folder")


def _images_of(folder: str) -> list[FoundFile | FoundVideo]:
    _require_there(folder)
    return _images_in(_looked_up(folder))


def _images_in(folder: Location) -> list[FoundFile | FoundVideo]:
    others: list[str] = []
    if _is_named_video(folder):
        return [FoundVideo(folder)]
    files = [_animation_or_still(image) for image in find_images([folder], on_skip=others.append)]
    files += (FoundVideo(Location(path)) for path in others if is_video_file(path))
    if not files:
        raise DatasetError(f"no image found in {folder.path!r}, and no video")
    return files


def _is_named_video(place: Location) -> bool:
    """Return whether one file is named, and a video."""
    if place.is_remote:
        return has_video_suffix(place.path) and not place.is_folder
    return is_video_file(place.path) and not os.path.isdir(place.path)


def _animation_or_still(image: FoundFile) -> FoundFile | FoundVideo:
    """Return a video, or an animated image, as the video that it is; one at a URL stays a still, its first frame."""
    if image.problem or image.location.is_remote or not (begins_like_video(image.path) or is_animation(image.path)):
        return image
    return FoundVideo(image.location)


def _looked_up(folder: str) -> Location:
    """Return where a folder is; at a URL the store is asked, which tells a folder from a file."""
    if not stores.is_url(folder):
        return stores.locate(folder)
    try:
        return stores.look_up(folder)
    except FileNotFoundError as error:
        raise DatasetError(f"{str(error)!r}: there is no such file or folder") from None
    except RemoteError as error:
        raise DatasetError(f"{without_credentials(folder)!r}: {error.problem}", remedy=error.remedy) from None


def files_in_manifest(manifest: str | os.PathLike[str]) -> list[LabelledFile]:
    """Read the rows of a CSV file with the columns `path,label[,group[,weight]]`.

    Paths are relative to the manifest, or URLs. Columns may be parted by semicolons or tabs, as spreadsheets write them
    in some countries: the first line tells.

    Raises
    ------
    DatasetError
        The file cannot be read, is not in UTF-8, a column is missing, a label is neither `real` nor `fake`, or a weight
        is not a number above 0 and up to 1.
    """
    manifest = os.fspath(manifest)
    try:
        with open(manifest, "rb") as stream:
            content = stream.read()
    except OSError as error:
        raise DatasetError(
            f"manifest {without_credentials(manifest)!r} cannot be read: {why_not_opened(manifest, error)}"
        ) from None
    if (encoding := wide_encoding(content)) is not None:
        raise DatasetError(f"manifest {manifest!r} is in {encoding}, not in UTF-8", remedy=how_to_convert(encoding))
    text = content.decode("utf-8-sig", "surrogateescape")
    reader = csv.DictReader(StringIO(text, newline=""), delimiter=_delimiter(text))
    try:
        return _each_once(_manifest_rows(reader, manifest))
    except csv.Error as error:
        place = f"manifest {manifest!r}, line {reader.line_num + 1}"
        raise DatasetError(f"{place}: {error}", remedy="is a quotation mark not closed there?") from None


def _delimiter(text: str) -> str:
    """Return what parts the columns of a manifest: the first of `DELIMITERS` by which its first line has them."""
    first = (text.splitlines() or [""])[0]
    parted = (mark for mark in DELIMITERS if {cell.strip('"') for cell in first.split(mark)} >= MANIFEST_COLUMNS)
    return next(parted, DELIMITERS[0])


def _manifest_rows(reader: csv.DictReader[str], manifest: str) -> Iterator[LabelledFile]:
    missing = MANIFEST_COLUMNS - set(reader.fieldnames or ())
    if missing:
        raise DatasetError(
            f"manifest {manifest!r} lacks {' and '.join(sorted(missing))}",
            remedy="its first line must name the columns: path,label or path,label,group",
        )
    folder = os.path.dirname(manifest)
    for row in reader:
        label = (row["label"] or "").strip().lower()
        if label not in LABELS or not row["path"]:
            raise DatasetError(
                f"manifest {manifest!r}, line {reader.line_num}: path {row['path']!r}, label {row['label']!r}",
                remedy="it takes a path, and real or fake as the label",
            )
        file = _file_in(folder, row["path"])
        if is_not_utf8(row["path"]) and not (file.location.is_remote or os.path.lexists(file.path)):
            raise DatasetError(
                f"manifest {manifest!r}, line {reader.line_num}: no file {row['path']!r}, and the name is not UTF-8",
                remedy=f"if it is in Windows-1252, {how_to_convert('WINDOWS-1252')}",
            )
        weight = _weight(row.get("weight") or "1", f"manifest {manifest!r}, line {reader.line_num}")
        yield LabelledFile(file, LABELS[label], row.get("group") or None, weight)


def _weight(text: str, place: str) -> float:
    try:
        weight = float(text)
    except ValueError:
        weight = -1.0
    if not 0 < weight <= 1:
        raise DatasetError(f"{place}: weight {text!r}", remedy="it takes a number above 0, up to 1")
    return weight


def _file_in(folder: str, name: str) -> FoundFile | FoundVideo:
    """Return the file that a manifest in that folder names: a local one if it exists, even if it looks like a URL."""
    path = os.path.join(folder, name)
    if stores.is_url(name) and not os.path.lexists(path):
        place = stores.locate(name)
    else:
        place = Location(local_name(path if os.path.lexists(path) else os.path.join(folder, local_name(name))))
    return FoundVideo(place) if has_video_suffix(place.path) else _animation_or_still(FoundFile(place))


def files_of_all(generators: Mapping[str, Sequence[LabelledFile]]) -> list[LabelledFile]:
    """Return the files of all generators, each once."""
    return _each_once(file for files in generators.values() for file in files)


def source_names(files: Sequence[LabelledFile]) -> tuple[str, ...]:
    """Return where each file comes from, for people: its source or large group, else its folder; never a path."""
    sizes: dict[str | None, int] = {}
    for file in files:
        sizes[file.group] = sizes.get(file.group, 0) + 1
    return tuple(
        file.source or _last_part(file.group if file.group and sizes[file.group] >= MIN_OF_GROUP else _folder(file))
        for file in files
    )


def _folder(file: LabelledFile) -> str:
    return os.path.dirname(file.file.path)


def _last_part(path: str) -> str:
    return os.path.basename(path.rstrip("/")) or "(unnamed)"
