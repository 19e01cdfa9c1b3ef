"""The command line: the only home of click, and the only place that prints."""

from __future__ import annotations

import errno
import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from spectral_detect._version import __version__
from spectral_detect.cli.shared.failures import Failure, in_options
from spectral_detect.cli.shared.lazy_group import LazyGroup
from spectral_detect.cli.shared.result_stream import checked_stdout
from spectral_detect.errors import OutputError, SpectralDetectError
from spectral_detect.parallel.silence import own_stderr
from spectral_detect.parallel.threads import ONE_THREAD
from spectral_detect.text import printable, visible

ENDINGS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "hung up"}

COMMANDS = {
    "scan": ("spectral_detect.cli.scan:scan", "Give a verdict on each image."),
    "explain": ("spectral_detect.cli.evidence.explain:explain", "Say why an image got its verdict, on one sheet."),
    "video": ("spectral_detect.cli.video:video", "Give a verdict on each video, by a vote of its frames."),
    "train": ("spectral_detect.cli.train:train", "Train a detector from labelled images."),
    "fuse": ("spectral_detect.cli.fuse:fuse", "Make one model of two, that judges by both."),
    "evaluate": ("spectral_detect.cli.evaluate:evaluate", "Measure a model on labelled images."),
    "compare": ("spectral_detect.cli.compare:compare", "Try features and classifiers, and name the best."),
    "audit": ("spectral_detect.cli.audit:audit", "Find what else than the generator tells two classes apart."),
    "matrix": ("spectral_detect.cli.matrix:matrix", "Train on each generator and measure on each other."),
    "extract": ("spectral_detect.cli.extract:extract", "Write the features of images as NPZ or CSV."),
    "provenance": (
        "spectral_detect.cli.evidence.provenance:provenance",
        "Print what each file says of its own origin.",
    ),
    "group": ("spectral_detect.cli.evidence.group:group", "Find which images come from one pipeline, without labels."),
    "verify": (
        "spectral_detect.cli.evidence.verify:verify",
        "Repeat a recorded run of `scan` or `video`, and tell what differs.",
    ),
    "models": ("spectral_detect.cli.models:models", "Say which model ships, or describe a model."),
    "plot": ("spectral_detect.cli.plot:plot", "Draw the figures of the field (extra plot)."),
    "merge": ("spectral_detect.cli.merge:merge", "Join the outputs of shards into one."),
    "regularize": (
        "spectral_detect.cli.regularize:regularize",
        "Train generators with a right spectrum (needs the extra torch).",
    ),
}


@contextmanager
def _signals_unwind() -> Iterator[list[int]]:
    """Turn ctrl-C and SIGTERM into an exception, so that workers are stopped and temporary files removed.

    Yields the list of the signals that came: an exception out of the middle of an import may change its kind on the
    way.
    """
    received: list[int] = []

    def unwind(number: int, _: object) -> None:
        received.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # somebody else's program: its signals are its own
        yield received
        return
    before = {s: signal.getsignal(s) for s in ENDINGS if signal.getsignal(s) is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, unwind)
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _open_standard_streams() -> None:
    """Open those that the caller closed: their numbers would go to the next file opened, a worker's pipe for one."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number


def _as_reported(error: OSError) -> str:
    """Name the file or folder, if the error has one, and the reason."""
    reason = error.strerror or str(error) or type(error).__name__
    if error.errno == errno.EMFILE:
        reason += "; raise the limit of open files (ulimit -n), or give fewer --jobs"
    if error.errno == errno.ENOSPC and not error.filename:
        folder = visible(tempfile.gettempdir())
        reason += f": where the output is, or in {folder}, the folder for temporary files (TMPDIR names another)"
    named = isinstance(error.filename, str | bytes) and error.filename
    return f"{visible(os.fsdecode(error.filename))}: {printable(reason)}" if named else printable(reason)


class Commands(LazyGroup):
    """Turns the library's errors, signals and a reader that goes away into messages and exit statuses."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Parse the arguments; --help and --version are printed here."""
        try:
            with checked_stdout():
                return super().make_context(*args, **kwargs)
        except OutputError as error:
            raise Failure(str(error)) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        if os.environ.get("NO_COLOR"):
            ctx.color = False
        for name, value in ONE_THREAD.items():
            os.environ.setdefault(name, value)
        _open_standard_streams()
        own_stderr()
        with _signals_unwind() as received:
            try:
                with checked_stdout():
                    return super().invoke(ctx)
            except BaseException as error:
                if received:
                    click.echo(f"{ENDINGS[signal.Signals(received[0])]}; what was written so far is complete", err=True)
                    ctx.exit(128 + received[0])
                if isinstance(error, BrokenPipeError):
                    ctx.exit(128 + signal.SIGPIPE)
                if type(error) is click.UsageError:  # click repeats what was typed
                    raise click.UsageError(printable(error.message), error.ctx) from None
                if isinstance(error, OSError):
                    raise Failure(_as_reported(error)) from None
                if isinstance(error, SpectralDetectError):
                    raise Failure(printable(in_options(str(error)))) from None
                raise


@click.group(
    cls=Commands,
    places=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="spectral-detect")
def main() -> None:
    """Tell camera images from images made by neural networks.

    Up-sampling layers leave traces in the Fourier spectrum, and a small classifier finds them.

    Exit status: 0 all processed, whatever the verdict; 1 some file failed; 2 wrong usage, nothing found, bad model,
    an extra, GPU or scheduler missing, output not writable; 3 a fake, a bias or a file that says AI made it
    was found, no file failed, and --fail-on-fake, --fail-on-bias or --fail-on-generated was given; 129, 130 or 143
    after SIGHUP, ctrl-C or SIGTERM; 141 when the reader of the output has gone.

    \b
    Example: spectral-detect scan examples/images
    """
