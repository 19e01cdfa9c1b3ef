"""`spectral-detect video`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import click

from spectral_detect.atomic_write import check_target
from spectral_detect.cli.evidence.recording import check_manifest, manifest_option, recording
from spectral_detect.cli.shared.checks import check_output, check_plot_folder
from spectral_detect.cli.shared.failures import Failure, report_failure, worded
from spectral_detect.cli.shared.found_images import Skipped
from spectral_detect.cli.shared.options import FiniteRange, frame_options, judging_options, model_options
from spectral_detect.cli.shared.paths import expand_local
from spectral_detect.cli.shared.progress import progress, show_counts
from spectral_detect.cli.shared.report_options import Wish, check_apart, facts_of_run, report_options, reporting
from spectral_detect.cli.shared.result_stream import format_of
from spectral_detect.cli.shared.resume_options import (
    Target,
    check_named_once,
    earlier_rows,
    in_shard,
    open_records,
    remaining,
    shard_option,
    target_options,
)
from spectral_detect.cli.shared.work_options import VIDEO_TIMEOUT_S, work_options
from spectral_detect.custody.manifest_writer import Recorder
from spectral_detect.custody.run import Given, this_run
from spectral_detect.detector.model_file import load_default_model, load_model
from spectral_detect.media.limits import Limits
from spectral_detect.media.video import VIDEOS_ARE_LOCAL, FrameOptions
from spectral_detect.outputs.rows import FRAMES, VIDEOS
from spectral_detect.outputs.table import frame_layout, video_layout
from spectral_detect.outputs.writer import RecordStream
from spectral_detect.parallel.work import Work
from spectral_detect.records import FrameRecord, VideoRecord
from spectral_detect.report.metrics import accuracy_interval, accuracy_text
from spectral_detect.report.plots import plot_timeline
from spectral_detect.scanning.judge import Judge
from spectral_detect.scanning.rules import Rules
from spectral_detect.scanning.videos import VideoJudge, VideoResult, scan_videos
from spectral_detect.scanning.voting import VoteKind
from spectral_detect.sources.discovery import FoundVideo, find_videos
from spectral_detect.sources.location import Location
from spectral_detect.sources.sharding import Shard
from spectral_detect.text import file_stem

if TYPE_CHECKING:
    from spectral_detect.report.html.video_page import VideoContent


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@model_options
@click.option("--group-by", type=click.Choice(("parent",)), help="parent: take each folder of images as a video.")
@click.option(
    "--vote",
    type=click.Choice(("majority", "mean", "pooled")),
    default="majority",
    show_default=True,
    help="Decide by the majority of the frames' verdicts, by their mean score, or by their pooled likelihood ratio.",
)
@click.option(
    "--threshold", type=FiniteRange(0, 1), help="Call a frame with this score fake.  [default: the model's threshold]"
)
@judging_options
@target_options
@manifest_option
@report_options
@shard_option
@click.option("--per-frame", metavar="FILE", help="Also write time, box and score of each frame (.csv or .jsonl).")
@click.option("--plot", metavar="DIR", help="Also draw the scores of each video over time, into this folder (PNG).")
@click.option("--fail-on-fake", is_flag=True, help="Exit with status 3 if a video is called fake and none failed.")
@partial(work_options, timeout_s=VIDEO_TIMEOUT_S)
@frame_options
@click.pass_context
def video(
    ctx: click.Context,
    paths: tuple[str, ...],
    model: str | None,
    encoder: str | None,
    group_by: str | None,
    vote: VoteKind,
    threshold: float | None,
    rules: Rules,
    target: Target,
    manifest: str | None,
    report: Wish | None,
    shard: Shard | None,
    per_frame: str | None,
    plot: str | None,
    fail_on_fake: bool,
    work: Work,
    limits: Limits,
    frames: FrameOptions,
) -> None:
    """Give a verdict on each video, by a vote of its frames.

    PATH is a video file or an animated image, a folder of them, or a folder of frames: a folder that holds images and
    no video is one video, its images the frames, in the order of their numbers. An inconclusive frame does not vote.
    A verdict is worth what its model is worth on such frames: video compression takes away much of what a model
    trained on stills looks for; train on videos.

    \b
    Examples:
      spectral-detect video clips/ --model my.pkl --crop face
      spectral-detect video clips/ --resume verdicts.csv --per-frame frames.csv
      spectral-detect video clips/ --output verdicts.jsonl --report report.html --case 26/117
      spectral-detect video clips/ --manifest clips.manifest.jsonl
      spectral-detect video clip.mp4 --all --per-frame frames.csv --plot timelines/
    """
    detector = load_default_model(encoder=encoder) if model is None else load_model(model, encoder=encoder)
    outputs = _checked_outputs(target, per_frame, plot, [*paths, model, encoder])
    check_manifest(manifest, target, [*paths, model, encoder, target.output, per_frame])
    check_apart(manifest=manifest, per_frame=per_frame)
    if report is not None:
        report.check([*paths, model, encoder], output=target.output, per_frame=per_frame, manifest=manifest)
    skipped = Skipped()
    found = list(in_shard(_find(paths, group_by == "parent", skipped), shard))
    if plot is not None:
        read = [Location(path) for path in paths] if group_by == "parent" else []
        check_plot_folder(plot, [*read, *(video.location for video in found if video.frames)])
    if target.is_resumed and per_frame is not None:
        check_named_once(video.path for video in found)
    frame_judge = Judge(detector, replace(rules, threshold=threshold))
    with_thumbnails = plot is not None or (report is not None and report.n_thumbnails > 0)
    judge = VideoJudge(frame_judge, vote, frames, limits, with_thumbnails=with_thumbnails)
    recorders: list[AbstractContextManager[Recorder]] = []
    if manifest is not None:
        given = Given(paths, False, shard, target.is_resumed, group_by)
        recorders.append(recording(manifest, partial(this_run, "video", judge, given, limits, work.timeout_s), target))
    if report is not None:
        facts, content = partial(facts_of_run, ctx, paths, None, target), partial(_content, judge, found)
        recorders.append(reporting(report, facts, content, target, limits, VideoRecord))
    records = _scan(ctx, found, judge, outputs, recorders, work, skipped=skipped)
    ctx.exit(1 if records["failed"] else 3 if fail_on_fake and records["fake"] else 0)


@dataclass(frozen=True)
class _Outputs:
    """Where records go, rows of frames, and pictures."""

    records: Target
    frames: Target | None
    plot: str | None


def _content(judge: VideoJudge, found: Iterable[FoundVideo]) -> VideoContent:
    from spectral_detect.report.html.video_page import VideoContent  # a run without a report loads nothing for it

    return VideoContent(judge, {video.path: video for video in found})


def _checked_outputs(target: Target, per_frame: str | None, plot: str | None, inputs: list[str | None]) -> _Outputs:
    """Check all outputs before any is opened."""
    for name in filter(None, (target.output, per_frame)):
        check_output(name, inputs)
        check_target(name)
    if per_frame is None:
        return _Outputs(target, None, plot)
    frames = replace(target, output=per_frame, row_format=format_of(per_frame))
    if frames.is_table:
        raise click.UsageError("--per-frame writes rows: end its name in .csv or .jsonl")
    if target.output is not None and os.path.realpath(target.output) == os.path.realpath(per_frame):
        raise click.UsageError("--output and --per-frame name the same file")
    return _Outputs(target, frames, plot)


def _scan(
    ctx: click.Context,
    found: Sequence[FoundVideo],
    judge: VideoJudge,
    outputs: _Outputs,
    recorders: Iterable[AbstractContextManager[Recorder]],
    work: Work,
    *,
    skipped: Skipped,
) -> Counter[str]:
    """Write the record of each video, the rows of its frames and its picture; return the counts of outcomes."""
    target, earlier_frames, frames = outputs.records, None, None
    with ExitStack() as stack:
        taking = list(map(stack.enter_context, recorders))  # the last to end: when the rows are in order
        earlier = stack.enter_context(earlier_rows(target, VIDEOS, judge.made_with))
        if outputs.frames is not None:
            earlier_frames = stack.enter_context(earlier_rows(outputs.frames, FRAMES, None))
        left = list(remaining(earlier, found, target.known_by, earlier_frames))
        results = stack.enter_context(closing(scan_videos([video for _, video in left], judge, work=work)))
        layout = video_layout(
            with_posterior=judge.judge.rules.prevalence is not None,
            class_names=judge.judge.class_names,
            accuracy=accuracy_interval(judge.judge),
        )
        records, stream = open_records(stack, ctx, target, layout, earlier)
        if outputs.frames is not None:
            frames, _ = open_records(stack, ctx, outputs.frames, frame_layout(), earlier_frames)
        shown = progress(results, total=len(left), unit="videos", note=_frames_so_far())
        for (number, _), result in zip(left, shown, strict=True):
            if frames is not None:
                _write_frames(frames, result)
            record = worded(result.record)
            if outputs.plot is not None:
                _draw(replace(result, record=record), outputs.plot, number)
            records.write(record)  # the last of rows: a video that has one has all the rest as well
            for recorder in taking:
                recorder.add(record.to_dict(), result)
            if record.error and not target.is_table:
                report_failure(record.path, record.error)
        for recorder in taking:
            recorder.end(records.outcomes, skipped.n)
        summary = records.summary(skipped.clause())
        if target.is_table:
            has_stills = any(video.frames for video in found)
            said = accuracy_text(judge.judge, records.outcomes, "frames", has_stills=has_stills)
            stream.write(f"\n{said}{summary}\n")
    if not target.is_table or target.output is not None:
        show_counts(summary, target.output)
    return records.outcomes


def _write_frames(frames: RecordStream[FrameRecord], result: VideoResult) -> None:
    for frame in result.frames:
        frames.write(worded(frame))


def _find(paths: tuple[str, ...], group_by_parent: bool, skipped: Skipped) -> list[FoundVideo]:
    places = expand_local(paths, VIDEOS_ARE_LOCAL)
    found = list(find_videos(places, group_by_parent=group_by_parent, on_skip=skipped.add))
    if not found:
        raise Failure(f"no video found; {skipped}; for folders of frames in a tree: --group-by parent")
    return found


def _frames_so_far() -> Callable[[VideoResult], str]:
    n_frames = 0

    def note(result: VideoResult) -> str:
        nonlocal n_frames
        n_frames += result.record.n_frames
        return f"{n_frames} frames"

    return note


def _draw(result: VideoResult, folder: str, number: int) -> None:
    """Draw a picture with a name that no video's name can spoil; none of a video without frames."""
    if not result.frames:
        return
    plot_timeline(result, os.path.join(folder, f"{number:04d}_{file_stem(result.record.path, 60)}.png"))
