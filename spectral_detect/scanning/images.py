"""Many images become a stream of records."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass

from spectral_detect.arguments import require_type
from spectral_detect.detector.model import Model
from spectral_detect.errors import PathError
from spectral_detect.extraction.many_files import extract_then
from spectral_detect.extraction.one_file import Variants
from spectral_detect.media.limits import Limits
from spectral_detect.outputs.rows import RowFormat
from spectral_detect.outputs.writer import ReadyRow, ready_row
from spectral_detect.parallel.task import Cost
from spectral_detect.parallel.work import Work
from spectral_detect.provenance.findings import Depth
from spectral_detect.records import ImageRecord
from spectral_detect.scanning.judge import Judge
from spectral_detect.scanning.rules import Rules
from spectral_detect.sources.discovery import FoundFile, expand_arguments, find_images
from spectral_detect.sources.location import Location, Places, each_place


def scan(
    paths: Places,
    model: Model,
    *,
    rules: Rules | None = None,
    work: Work | None = None,
    limits: Limits | None = None,
    on_skip: Callable[[str], None] = lambda path: None,
    provenance: Depth = "header",
) -> Generator[ImageRecord, None, None]:
    """Score images, lazily and in order.

    Parameters
    ----------
    paths : str or path-like, or an iterable of them
        Files, folders (searched recursively) and patterns; also URLs. A `pathlib.Path` is taken as it is: names that
        strangers chose are given so, as they may look like a pattern or a URL.
    model : Model
        What judges.
    rules : Rules, optional
        How a score becomes a verdict: a threshold, the least confidence, the prevalence of fakes, a check of stability.
    work : Work, optional
        Worker processes, their time limit, a GPU or a cluster.
    limits : Limits, optional
        What is refused before it is read or decoded.
    on_skip : callable, optional
        Called with the path of each file in a folder that is no image.
    provenance : {"none", "header", "full"}
        How far to look for what each file says of its origin; see `Judge`.

    Returns
    -------
    generator of ImageRecord
        One record per image; a file that cannot be read gives a record with `error`. Closing it stops the workers.

    Raises
    ------
    PathError
        Nothing has that name or matches that pattern; at the call, before any image is read.
    ModelFileError
        The model does not give what the rules need.
    ArgumentError, OptionError
        The model, a path or a setting is none.

    Notes
    -----
    The names are looked up at the call, an iterator of them read to its end. Files are opened as the generator is read,
    relative names then beginning at the current folder.
    """
    require_settings(model, rules, work, limits)
    try:
        places = expand_arguments(each_place(paths))
    except PathError:
        raise
    except FileNotFoundError as error:
        raise PathError(f"{str(error)!r}: no such file or folder, and no file matches it as a pattern") from None
    files = find_images(places, on_skip=on_skip)
    return scan_files(files, Judge(model, rules or Rules(), provenance), work=work, limits=limits)


def scan_bytes(
    content: bytes,
    model: Model,
    *,
    name: str = "",
    rules: Rules | None = None,
    limits: Limits | None = None,
    provenance: Depth = "header",
) -> ImageRecord:
    """Score one image that is in memory, in this process, without touching a disk.

    Parameters
    ----------
    content : bytes
        The whole file.
    name : str
        What its record calls it; never opened.
    model, rules, limits, provenance
        As `scan` takes them.

    Returns
    -------
    ImageRecord
        That of `scan`, without `mtime_ns`; with `error` if the content is no image that can be read.

    Raises
    ------
    ModelFileError, ArgumentError, OptionError
        As `scan` does.
    """
    require_settings(model, rules, None, limits)
    judge, found = Judge(model, rules or Rules(), provenance), content_of(content, name)
    return scan_here(found, judge, limits)


def scan_here(found: FoundFile, judge: Judge, limits: Limits | None) -> ImageRecord:
    """Score one file in this process."""
    return next(scan_files([found], judge, work=Work(jobs=0, device="cpu"), limits=limits))


def content_of(content: bytes, name: str) -> FoundFile:
    """Return a file that is in memory; raise `ArgumentError` for something else."""
    require_type("content", content, bytes, "give the whole file as bytes; `scan` takes paths")
    require_type("name", name, str, "give what the record shall call it")
    return FoundFile(Location(name, content=content))


def require_settings(model: object, rules: object, work: object, limits: object) -> None:
    """Raise `ArgumentError` unless each is what its name says, or None where it may be."""
    require_type("model", model, Model, "`load_model` reads one from its file")
    for name, value, kind in (("rules", rules, Rules), ("work", work, Work), ("limits", limits, Limits)):
        if value is not None:
            require_type(name, value, kind, f"give a `{kind.__name__}`")


def scan_files(
    files: Iterable[FoundFile], judge: Judge, *, work: Work | None = None, limits: Limits | None = None
) -> Generator[ImageRecord, None, None]:
    """Do what `scan` does with files that were already found; `files` is consumed lazily."""
    return extract_then(files, judge.extractor(limits), judge, work)


@dataclass(frozen=True, eq=False)
class RowJudge:
    """A judge that also makes the row of each record: a task, so that it is done in the workers.

    A record with a message that names a parameter comes as it is: whoever writes it has a word for that of their own.
    So does one with an error, which is also shown.

    Attributes
    ----------
    judge : Judge
        What makes the records.
    row_format : {"csv", "jsonl"}
        What their rows look like.
    """

    judge: Judge
    row_format: RowFormat

    @property
    def cost(self) -> Cost:
        """That of the judge."""
        return self.judge.cost

    def __call__(self, variants: Variants) -> ReadyRow | ImageRecord:
        """Return the row of one image, or its record."""
        return self._row(self.judge(variants))

    def failed(self, variants: Variants, reason: str) -> ReadyRow | ImageRecord:
        """Return the record of an image that could not be judged, and why."""
        return self._row(self.judge.failed(variants, reason))

    def _row(self, record: ImageRecord) -> ReadyRow | ImageRecord:
        is_final = record.error is None and not any("`" in warning for warning in record.warnings)
        return ready_row(record, self.row_format) if is_final else record


def scan_to_rows(
    files: Iterable[FoundFile], judge: Judge, row_format: RowFormat, *, work: Work | None = None, limits: Limits
) -> Generator[ReadyRow | ImageRecord, None, None]:
    """Do what `scan_files` does, with rows in place of the records that need nothing more than to be written."""
    return extract_then(files, judge.extractor(limits), RowJudge(judge, row_format), work)
