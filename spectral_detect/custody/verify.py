"""Repeat a recorded run: the chain, the hashes of the files, the scores."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any, cast

from spectral_detect.custody.chain import is_count
from spectral_detect.custody.comparison import TOLERANCE, Comparison, Verified
from spectral_detect.custody.differences import Difference, Report
from spectral_detect.custody.hashing import Hashed, Hasher
from spectral_detect.custody.manifest_reader import Entry, Manifest, open_manifest
from spectral_detect.custody.places import Places
from spectral_detect.custody.run import Run
from spectral_detect.custody.same_judge import check_settings, same_judge
from spectral_detect.custody.videos import Members, VideoHasher, members_of
from spectral_detect.media.limits import Limits
from spectral_detect.outputs.row_index import IndexedRow, RowIndex, index_errors, key_of
from spectral_detect.parallel.work import Work, work_through
from spectral_detect.records import ImageRecord
from spectral_detect.scanning.images import scan_files
from spectral_detect.scanning.judge import Judge
from spectral_detect.scanning.videos import VideoJudge, VideoResult, scan_videos
from spectral_detect.sources.discovery import FoundFile, FoundVideo

OUTSIDE = "its path leads out of the folder given by `root`"
URL_UNCHECKED = "it is at a URL, and URLs that a manifest names are read only if that is asked for: `remote`"

AnyJudge = Judge | VideoJudge
Found = FoundFile | FoundVideo
Waiting = deque[tuple[Entry, Found]]
Result = ImageRecord | VideoResult | Hashed


@dataclass(frozen=True)
class Checks:
    """What is checked, and how.

    Attributes
    ----------
    places : Places
        Where the files are now.
    with_scores : bool
        Whether scores are computed again.
    models : sequence of str
        See `same_judge`.
    reads_urls : bool
        Whether URLs that a manifest names are read.
    expected_hash : str or None
        The final hash, if it was written down.
    work, video_work : Work
        How files, and how videos, are worked through.
    limits : Limits
        What is refused, also if the manifest says otherwise: it may come from anybody.
    worded : callable
        Turns a record into the words in which records were written.
    encoder : str or None
        See `same_judge`.
    """

    places: Places = field(default_factory=Places)
    with_scores: bool = True
    models: Sequence[str] = ()
    reads_urls: bool = False
    expected_hash: str | None = None
    work: Work = field(default_factory=Work)
    video_work: Work = field(default_factory=Work)
    limits: Limits = field(default_factory=Limits)
    worded: Callable[[Any], Any] = lambda record: record
    encoder: str | None = None


def verify_manifest(name: str, checks: Checks, report: Report) -> Verified:
    """Report each difference between a manifest and what is there now, as it is found, and count them.

    Raises
    ------
    ManifestError
        The file is no manifest, or cannot be read.
    ModelFileError
        A model that `checks` names is not there.
    """
    verified = Verified()

    def count(difference: Difference) -> None:
        verified.differences[difference.kind] += 1
        report(difference)

    with open_manifest(name, count) as manifest:
        judge = _judge(manifest.run, checks, count, verified)
        _compare_files(manifest, judge, checks, count, verified)
    verified.n_files = manifest.check.n_files
    if 2 * verified.differences["missing"] > verified.n_files:
        verified.notes.append(checks.places.hint)
    verified.final_hash = manifest.check.final_hash
    if checks.expected_hash not in (None, verified.final_hash):
        count(Difference("chain", f"the final hash is {verified.final_hash}, not {checks.expected_hash}"))
    return verified


def _judge(run: Run | None, checks: Checks, report: Report, verified: Verified) -> AnyJudge | None:
    """Check the head, and return the judge of the run if scores are computed again."""
    if run is None:
        return None
    verified.run = run.line
    check_settings(run, report)
    judge = same_judge(run, checks.models, report, encoder=checks.encoder) if checks.with_scores else None
    verified.has_scores = judge is not None
    others = run.differences_of_place()
    if judge is not None and others:
        verified.notes.append(f"recorded elsewhere, so numbers may differ by {TOLERANCE}: {'; '.join(others)}")
    if run.has_list:
        verified.notes.append("the run also read a list of paths: other files beside those are not looked for")
    if left_out := checks.places.not_sought(run):
        verified.notes.append(f"other files are not looked for where the run named {', '.join(map(repr, left_out))}")
    if judge is not None and _limit(run, "max_pixels", 0) > checks.limits.max_pixels:
        verified.notes.append(f"the run took larger images: `max_pixels={_limit(run, 'max_pixels', 0)}`")
    return judge


def _limits(run: Run | None, checks: Checks) -> Limits:
    """Return the limits of the run where they are the narrower ones."""
    if run is None:
        return checks.limits
    return Limits(**{name: min(most, _limit(run, name, most)) for name, most in vars(checks.limits).items()})


def _limit(run: Run, name: str, otherwise: int) -> int:
    value = run.limits.get(name)
    return value if is_count(value) and value else otherwise


def _compare_files(
    manifest: Manifest, judge: AnyJudge | None, checks: Checks, report: Report, verified: Verified
) -> None:
    """Compare each file with its entry, and look for files that have none."""
    run, waiting = manifest.run, Waiting()
    compare = Comparison(report, verified, is_exact=run is not None and run.is_from_here)
    files, limits = _files(manifest, checks, waiting, report), _limits(run, checks)
    if run is not None and run.is_of_videos:
        results = _of_videos(cast(Iterator[FoundVideo], files), cast(VideoJudge | None, judge), limits, checks)
    else:
        results = _results(cast(Iterator[FoundFile], files), cast(Judge | None, judge), limits, checks.work)
    with index_errors(), closing(RowIndex()) as recorded, closing(results):
        for result in results:
            entry, found = waiting.popleft()
            recorded.add([IndexedRow(key_of(entry.path), 0, 0)])
            compare(entry, found, _plain(result, run, checks), _members(result))
        for path in () if run is None else checks.places.extra(run, recorded):
            report(Difference("extra", "a file that was not recorded", path=path))


def _files(manifest: Manifest, checks: Checks, waiting: Waiting, report: Report) -> Iterator[Found]:
    """Give the file of each entry; the entries wait for the results, which come in the same order."""
    for entry in manifest.entries():
        if checks.places.is_outside(entry.path):
            report(entry.difference("unchecked", OUTSIDE))
            continue
        found = _place_of(entry, manifest.run, checks)
        if found.location.is_remote and not checks.reads_urls:
            report(entry.difference("unchecked", URL_UNCHECKED))
            continue
        waiting.append((entry, found))
        yield found


def _place_of(entry: Entry, run: Run | None, checks: Checks) -> Found:
    if run is not None and run.is_of_videos:
        return checks.places.video_of(entry.path, run.group_by)
    return checks.places.of(entry.path)


def _of_videos(
    videos: Iterator[FoundVideo], judge: VideoJudge | None, limits: Limits, checks: Checks
) -> Generator[Result, None, None]:
    if judge is not None:
        yield from scan_videos(videos, replace(judge, limits=limits), work=checks.video_work)
    else:
        yield from work_through(VideoHasher(), videos, checks.video_work)


def _results(
    files: Iterator[FoundFile], judge: Judge | None, limits: Limits, work: Work
) -> Generator[Result, None, None]:
    if judge is not None:
        yield from scan_files(files, judge, work=work, limits=limits)
    else:
        yield from work_through(Hasher(limits), files, work)


def _members(result: Result) -> Members | None:
    """Return what stands beside the record of a video."""
    if isinstance(result, VideoResult):
        return members_of(result)
    return {"files": result.files} if isinstance(result, Hashed) else None


def _plain(result: Result, run: Run | None, checks: Checks) -> dict[str, Any]:
    """Return the columns to compare; those of settings are compared without computing scores as well."""
    if not isinstance(result, Hashed):
        record: Any = result.record if isinstance(result, VideoResult) else result
        plain: dict[str, Any] = checks.worded(record).to_dict()
        return plain
    settings = {} if run is None else {"settings_sha256": run.settings_sha256}
    return result.to_dict() | settings
