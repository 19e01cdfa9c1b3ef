"""Failures in the words of the command line: an exit status, a file on stderr, options in place of parameters."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from spectral_detect.text import visible

if TYPE_CHECKING:  # a help text needs none of it
    from spectral_detect.records import FrameRecord, ImageRecord, VideoRecord

Record = TypeVar("Record", "ImageRecord", "VideoRecord", "FrameRecord")

OPTIONS = {  # the parameters that messages of the library name, in backticks, and the options that set them
    "batch_size": "--batch-size",
    "crop": "--crop",
    "device": "--device",
    "directions": "--directions",
    "encoder": "--encoder",
    "engine": "--engine",
    "epochs": "--epochs",
    "features": "--features",
    "fake": "--fake",
    "fid": "--fid",
    "folder": "--output",
    "frames": "--frames",
    "group_by_parent": "--group-by parent",
    "jobs": "--jobs",
    "keep_weights": "--keep-weights",
    "learning_rate": "--learning-rate",
    "max_pixels": "--max-pixels",
    "method": "--method",
    "min_confidence": "--min-confidence",
    "min_size": "--min-size",
    "model": "--model",
    "n_bins": "--bins",
    "n_bins=None": "--bins none",
    "n_frames": "--frames",
    "n_frames=None": "--all",
    "n_watched": "--n-watched",
    "perplexity": "--perplexity",
    "prevalence": "--prevalence",
    "provenance": "--provenance",
    "real": "--real",
    "remote": "--remote",
    "resume": "--resume",
    "root": "--root",
    "scheduler": "--scheduler",
    "size": "--size",
    "spectral_from": "--spectral-from",
    "spectral_weight": "--spectral-weight",
    "stability": "--stability",
    "threshold": "--threshold",
    "timeout_s": "--timeout",
    "vote": "--vote",
}
PARAMETER = re.compile(r"`(\w+)(?:=([\w.+-]+))?`")


MOST_NAMED = 20  # files that cannot be used


class Failure(click.ClickException):
    """Something named on the command line is missing, unusable or not writable."""

    exit_code = 2


COMPARE_MODELS = (
    "To compare models, write the scores of each (spectral-detect evaluate a.pkl --manifest test.csv --scores a.csv; "
    "the same with b.pkl), and draw both (spectral-detect plot scores a.csv b.csv)."
)


class HintedCommand(click.Command):
    """A command that says what to do when it is given more arguments than it takes, or an argument as an option.

    Parameters
    ----------
    hint : str
        Sentences that follow click's message.
    """

    def __init__(self, *args: Any, hint: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.hint = hint

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as every command does."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            given = next((p for p in self.params if f"--{p.name}" == error.option_name), None)
            if isinstance(given, click.Argument):
                raise click.UsageError(
                    f"{given.human_readable_name} is no option: give it without --{given.name}", ctx
                ) from None
            raise
        except click.UsageError as error:
            if error.message.startswith("Got unexpected extra argument"):
                raise click.UsageError(f"{error.message}. {self.hint}", ctx) from None
            raise


def in_options(text: str) -> str:
    """Return a message of the library with options in the place of its parameters: `jobs=0` becomes --jobs 0."""
    if "`" not in text:
        return text

    def option(found: re.Match[str]) -> str:
        name, value = found.groups()
        if (whole := found[0].strip("`")) in OPTIONS:
            return OPTIONS[whole]
        return f"{OPTIONS[name]} {value}" if name in OPTIONS else found[0]

    return PARAMETER.sub(option, text)


def worded(record: Record) -> Record:
    """Return a record whose error and warnings name options in the place of parameters."""
    if record.error is None and not record.warnings:
        return record
    error = None if record.error is None else in_options(record.error)
    return replace(record, error=error, warnings=tuple(map(in_options, record.warnings)))


def report_failure(path: str, error: str | None) -> None:
    """Name a file that failed, and why, on stderr."""
    click.echo(f"error: {visible(path)}: {visible(in_options(str(error)))}", err=True)


class NamedFailures:
    """Name the first files that cannot be used, and count all of them: folders of training hold thousands."""

    def __init__(self) -> None:
        self.n = 0

    def __call__(self, path: str, reason: str) -> None:
        """Count a file, and name it if it is one of the first."""
        self.n += 1
        if self.n <= MOST_NAMED:
            report_failure(path, reason)

    def say_rest(self) -> None:
        """Say how many there were, if not all are named."""
        if self.n > MOST_NAMED:
            click.echo(f"note: {self.n} files could not be used, of which {MOST_NAMED} are named above", err=True)
