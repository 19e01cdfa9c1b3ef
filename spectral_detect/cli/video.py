"""`spectral-detect video`."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import click

from spectral_detect.atomic_write import check_target
from spectral_detect.cli.shared.options import (
    Failure,
    FiniteRange,
    check_output,
    check_plot_folder,
    expand_local,
    frame_options,
    judging_options,
    progress,
    report_failure,
    shows_progress,
)
from spectral_detect.cli.shared.result_stream import FORMATS, format_of
from spectral_detect.cli.shared.resume_options import (
    KnownBy,
    check_named_once,
    earlier_rows,
    in_shard,
    open_records,
    remaining,
    resume_options,
    shard_option,
)
from spectral_detect.cli.shared.work_options import VIDEO_TIMEOUT_S, work_options

if TYPE_CHECKING:
    from spectral_detect.extraction.work import Work
    from spectral_detect.outputs.writer import StreamFormat
    from spectral_detect.scanning.judging import Rules
    from spectral_detect.scanning.videos import VideoResult
    from spectral_detect.sources.discovery import FoundVideo
    from spectral_detect.sources.sharding import Shard


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--model",
    metavar="MODEL",
    help="A model file, or the name of a shipped one.  [default: the shipped one for such frames]",
)
@click.option("--group-by", type=click.Choice(("parent",)), help="parent: each folder of images in a tree is a video.")
@click.option(
    "--vote",
    type=click.Choice(("majority", "mean", "pooled")),
    default="majority",
    show_default=True,
    help="Of the frames' verdicts, their mean score, or their pooled likelihood ratio.",
)
@click.option("--threshold", type=FiniteRange(0, 1), help="A frame with this score is fake.  [default: the model's]")
@judging_options
@click.option(
    "--format", "stream_format", type=click.Choice(FORMATS), help="[default: by suffix of --output, or table]"
)
@click.option("-o", "--output", metavar="FILE", help="Write there instead of standard output; replaces the file.")
@resume_options
@shard_option
@click.option("--per-frame", metavar="FILE", help="Also a row for each frame: time, box, score (.csv or .jsonl).")
@click.option("--plot", metavar="DIR", help="Also draw the scores of each video over time, into this folder (PNG).")
@click.option("--fail-on-fake", is_flag=True, help="Exit with status 3 if a video is called fake and none failed.")
@partial(work_options, timeout_s=VIDEO_TIMEOUT_S)
@frame_options
@click.pass_context
def video(
    ctx: click.Context,
    paths: tuple[str, ...],
    model: str | None,
    group_by: str | None,
    vote: Any,
    threshold: float | None,
    rules: Rules,
    stream_format: str | None,
    output: str | None,
    resume: bool,
    known_by: KnownBy,
    shard: Shard | None,
    per_frame: str | None,
    plot: str | None,
    fail_on_fake: bool,
    work: Work,
) -> None:
    """Give a verdict on each video, by a vote of its frames: files, folders of them, or a folder of frames.

    A folder that holds images and no video is one video, its images the frames, in the order of their numbers. An
    inconclusive frame does not vote. A verdict is worth what its model is worth on such frames: video compression takes
    away much of what a model trained on stills looks for; train on videos.

    \b
    Examples:
      spectral-detect video clips/ --model my.pkl --crop face
      spectral-detect video clips/ --resume verdicts.csv --per-frame frames.csv
      spectral-detect video clip.mp4 --all --per-frame frames.csv --plot timelines/
    """
    from spectral_detect.detector.model_file import load_model, load_shipped_models
    from spectral_detect.outputs import rows as outputs
    from spectral_detect.outputs.table import frame_layout, video_layout
    from spectral_detect.scanning.images import checked_models
    from spectral_detect.scanning.judging import origin_of
    from spectral_detect.scanning.videos import scan_videos, video_settings_sha256

    detector = load_shipped_models() if model is None else load_model(model)
    _check_outputs(output, per_frame, [*paths, model])
    if plot is not None:
        check_plot_folder(plot)
    skipped: Counter[str] = Counter()
    found = list(in_shard(_find(paths, group_by == "parent", skipped), shard))
    if resume and per_frame is not None:
        check_named_once(video.path for video in found)
    chosen = cast("StreamFormat", stream_format or format_of(output))
    frame_format = cast("StreamFormat", format_of(per_frame))
    rules = replace(rules, threshold=threshold)
    models = checked_models(detector, rules)
    origin = origin_of(models, rules, video_settings_sha256(models, rules, vote, work.frames), vote)
    with ExitStack() as stack:
        earlier = stack.enter_context(earlier_rows(resume, output, chosen, outputs.VIDEOS, origin, known_by))
        earlier_frames = stack.enter_context(
            earlier_rows(resume and per_frame is not None, per_frame, frame_format, outputs.FRAMES, None, known_by)
        )
        left = list(remaining(earlier, found, known_by, earlier_frames))
        results = scan_videos(
            [video for _, video in left], models, rules=rules, vote=vote, work=work, with_thumbnails=plot is not None
        )
        stack.enter_context(closing(results))
        layout = video_layout(with_posterior=rules.prevalence is not None, with_model=model is None)
        records, stream = open_records(stack, ctx, output, chosen, layout, earlier)
        frames = None
        if per_frame is not None:
            frames, _ = open_records(stack, ctx, per_frame, frame_format, frame_layout(), earlier_frames)
        shown = progress(results, total=len(left), unit="videos", note=_frames_so_far())
        for (number, _), result in zip(left, shown, strict=True):
            # the record last: what has one has all the rest as well
            if frames is not None:
                for frame in result.frames:
                    frames.write(frame)
            if plot is not None:
                _draw(result, plot, number)
            records.write(result.record)
            if result.record.error and chosen != "table":
                report_failure(result.record.path, result.record.error)
        if chosen == "table":
            stream.write(f"\n{records.summary(skipped['other'])}\n")
    if chosen != "table" and shows_progress():
        click.echo(records.summary(skipped["other"]), err=True)
    ctx.exit(1 if records.outcomes["failed"] else 3 if fail_on_fake and records.outcomes["fake"] else 0)


def _check_outputs(output: str | None, per_frame: str | None, inputs: list[str | None]) -> None:
    """All of them, before any is opened."""
    for name in filter(None, (output, per_frame)):
        check_output(name, inputs)
        check_target(name)
    if per_frame is None:
        return
    if format_of(per_frame) == "table":
        raise click.UsageError("--per-frame writes rows: end its name in .csv or .jsonl")
    if output is not None and os.path.realpath(output) == os.path.realpath(per_frame):
        raise click.UsageError("--output and --per-frame name the same file")


def _find(paths: tuple[str, ...], group_by_parent: bool, skipped: Counter[str]) -> list[FoundVideo]:
    from spectral_detect.media.video import VIDEOS_ARE_LOCAL
    from spectral_detect.sources.discovery import find_videos

    def skip(path: str) -> None:
        skipped.update(other=1)

    found = list(find_videos(expand_local(paths, VIDEOS_ARE_LOCAL), group_by_parent=group_by_parent, on_skip=skip))
    if not found:
        raise Failure(
            f"no video found; {skipped['other']} other files; for folders of frames in a tree: --group-by parent"
        )
    return found


def _frames_so_far() -> Callable[[VideoResult], str]:
    n_frames = 0

    def note(result: VideoResult) -> str:
        nonlocal n_frames
        n_frames += result.record.n_frames
        return f"{n_frames} frames"

    return note


def _draw(result: VideoResult, folder: str, number: int) -> None:
    """A picture with a name that no video's name can spoil; none of a video without frames."""
    from spectral_detect.report.plots import plot_timeline

    if not result.frames:
        return
    stem = re.sub(r"[^A-Za-z0-9-]+", "_", os.path.splitext(os.path.basename(result.record.path))[0])[:60]
    plot_timeline(result, os.path.join(folder, f"{number:04d}_{stem}.png"))
