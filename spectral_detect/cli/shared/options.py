"""What several commands share: options, the reading of labelled images, progress."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from spectral_detect.atomic_write import PICTURE_SOFTWARE
from spectral_detect.errors import TORCH_MISSING
from spectral_detect.sources.urls import without_credentials
from spectral_detect.text import visible

if TYPE_CHECKING:
    from spectral_detect.extraction.work import Work
    from spectral_detect.features.spec import FeatureSpec
    from spectral_detect.sources.stores import Remote

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

FEATURES = ("azimuthal", "residual", "durall")
PLOT_SUFFIXES = (".png", ".pdf", ".svg")
FACE_FRACTION = 0.333


class Failure(click.ClickException):
    """Something named on the command line is missing, unusable or not writable."""

    exit_code = 2


class FiniteRange(click.FloatRange):
    """`click.FloatRange` lets NaN through."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


class BinCount(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic from click 8.4 on
    """A whole number, or `none` for one value per ring."""

    name = "N|none"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if isinstance(value, int):
            return value
        if value == "none":
            return "none"
        try:
            return int(value)
        except ValueError:
            self.fail(f"{value!r} is neither a whole number nor none", param, ctx)


def together(*options: Callable[[F], F]) -> Callable[[F], F]:
    """One decorator for several options, in the order given."""

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


_judging_options = together(
    click.option(
        "--min-confidence",
        type=FiniteRange(0.5, 1, max_open=True),
        help="Inconclusive unless the verdict is at least as probable as that, such as 0.9.",
    ),
    click.option(
        "--prevalence",
        type=FiniteRange(0, 1, min_open=True, max_open=True),
        help="Share of fakes among such images: tells what a verdict is worth there.  [default: half]",
    ),
    click.option(
        "--stability",
        is_flag=True,
        help="Inconclusive where mild recompression, a crop or resizing turns the verdict; takes four times as long.",
    ),
)


def judging_options(command: F) -> F:
    """`--min-confidence`, `--prevalence` and `--stability`, handed to the command as one `rules`."""

    @wraps(command)
    def with_rules(
        *args: Any, min_confidence: float | None, prevalence: float | None, stability: bool, **kwargs: Any
    ) -> Any:
        from spectral_detect.scanning.judging import Rules

        rules = Rules(min_confidence=min_confidence, prevalence=prevalence, stability=stability)
        return command(*args, rules=rules, **kwargs)

    return _judging_options(cast(F, with_rules))


labelled_options = together(
    click.option("--real", multiple=True, metavar="DIR", help="Folder (or URL) of camera images; may be repeated."),
    click.option("--fake", multiple=True, metavar="DIR", help="Folder (or URL) of generated images; may be repeated."),
    click.option("--manifest", metavar="CSV", help="File with the columns path,label[,group] in place of folders."),
    click.option(
        "--group-by", type=click.Choice(("parent",)), help="parent: images (frames) of one folder are a group."
    ),
)


_frame_options = together(
    click.option("--frames", type=click.IntRange(1), help="Of a video: so many, equally spaced.  [default: 20]"),
    click.option("--every", type=FiniteRange(0, min_open=True), metavar="SECONDS", help="Of a video: one so often."),
    click.option("--all", "all_frames", is_flag=True, help="Of a video: every frame."),
    click.option(
        "--crop",
        type=click.Choice(("none", "face", "centre")),
        default="none",
        show_default=True,
        help="Of a frame: all, the inner face, or the central square; never resampled.",
    ),
    click.option(
        "--faces",
        type=click.Choice(("largest", "all")),
        default="largest",
        show_default=True,
        help="With --crop face: the largest, or each apart.",
    ),
    click.option(
        "--face-fraction",
        type=FiniteRange(0, 1, min_open=True),
        default=FACE_FRACTION,
        show_default=True,
        help="With --crop face: the share of the box's sides that is judged.",
    ),
)


def frame_options(command: F) -> F:
    """`--frames`, `--every`, `--all` and `--crop` with its kin, put into the command's `work`."""

    @wraps(command)
    def with_frames(
        *args: Any,
        work: Work,
        frames: int | None,
        every: float | None,
        all_frames: bool,
        crop: Any,
        faces: Any,
        face_fraction: float,
        **kwargs: Any,
    ) -> Any:
        from spectral_detect.media.video import FrameOptions

        if sum((frames is not None, every is not None, all_frames)) > 1:
            raise click.UsageError("--frames, --every and --all choose frames each in its own way: give one of them")
        if crop != "face" and (faces != "largest" or face_fraction != FACE_FRACTION):
            raise click.UsageError("--faces and --face-fraction go with --crop face")
        n_frames = None if all_frames or every is not None else frames or 20
        chosen = FrameOptions(n_frames, every, crop, faces, face_fraction)
        return command(*args, work=replace(work, frames=chosen), **kwargs)

    return _frame_options(cast(F, with_frames))


def feature_options(default: str) -> Callable[[F], F]:
    """`--features` and `--bins`."""
    return together(
        click.option(
            "--features", type=click.Choice(FEATURES), default=default, show_default=True, help="Preset of features."
        ),
        click.option(
            "--bins",
            type=BinCount(),
            metavar="N|none",
            help="Length of the radial profile, 8 to 100000; none: one value per ring.  [default: the preset's]",
        ),
    )


def feature_spec(features: str, bins: int | str | None) -> FeatureSpec:
    """The spec that `--features` and `--bins` name."""
    from spectral_detect.features.spec import FeatureSpec

    changes = {} if bins is None else {"n_bins": None if bins == "none" else bins}
    return FeatureSpec.preset(features, **changes)


def report_failure(path: str, error: str | None) -> None:
    """Name a file that failed, and why, on stderr."""
    click.echo(f"error: {visible(path)}: {visible(str(error))}", err=True)


def expand(paths: Iterable[str]) -> list[str | Remote]:
    """Files and folders that exist, also at URLs, patterns expanded; `Failure` for what is not there."""
    from spectral_detect.sources.discovery import expand_arguments

    try:
        return expand_arguments(paths)
    except FileNotFoundError as error:
        raise _not_there(str(error)) from None


def expand_local(paths: Iterable[str], reason: str) -> list[str]:
    """`expand` where URLs cannot be read, for that reason."""
    from spectral_detect.sources import discovery as finding
    from spectral_detect.sources.stores import is_url

    found: list[str] = []
    for path in paths:
        if is_url(path):
            raise Failure(f"'{visible(without_credentials(path))}': {reason}")
        try:
            found += finding.expand_local(path)
        except FileNotFoundError as error:
            raise _not_there(str(error)) from None
    return found


def _not_there(path: str) -> Failure:
    from spectral_detect.sources.stores import is_url

    if "://" in path and not is_url(path):
        return Failure(f"'{visible(without_credentials(path))}': no such file, and no store is known by such a URL")
    return Failure(f"'{visible(path)}': no such file or folder, and no file matches it as a pattern")


def check_output(output: str, inputs: Iterable[str | None] = ()) -> None:
    """`Failure` where `output` cannot be written, or doing so would destroy an input or any other image."""
    from spectral_detect.sources.formats import SIGNATURE_BYTES, has_image_signature

    if not output:
        raise Failure("the name of the output is empty")
    if not os.path.isfile(output):
        return
    with open(output, "rb") as stream:
        is_image = has_image_signature(stream.read(SIGNATURE_BYTES)) and not _is_own_picture(output)
    if is_image or any(path and os.path.exists(path) and os.path.samefile(output, path) for path in inputs):
        raise Failure(f"{visible(output)} is an image or an input, and would be overwritten; name another output")


def _is_own_picture(path: str) -> bool:
    """Drawn by an earlier run of this program, which may draw it again."""
    from spectral_detect.errors import ImageReadError
    from spectral_detect.media.images import read_image

    try:
        metadata = read_image(path).metadata
    except ImageReadError:
        return False
    return metadata is not None and metadata.software == PICTURE_SOFTWARE


def check_plot(output: str, inputs: Iterable[str | None] = ()) -> None:
    """`Failure`, before anything is computed, where a picture cannot be drawn or written to `output`."""
    from spectral_detect.atomic_write import check_target

    check_output(output, inputs)
    if os.path.splitext(output)[1].lower() not in PLOT_SUFFIXES:
        raise Failure(f"{visible(output)}: end it in {', '.join(PLOT_SUFFIXES)}")
    require_matplotlib()
    check_target(output)


def check_plot_folder(folder: str) -> None:
    """`Failure`, before anything is computed, where pictures cannot be drawn into `folder`, which is made if new."""
    require_matplotlib()
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise Failure(f"{visible(folder)} cannot be made: {error.strerror}") from None
    if not os.access(folder, os.W_OK):
        raise Failure(f"{visible(folder)} cannot be written to")


def require_matplotlib() -> None:
    """`Failure` where plots cannot be drawn."""
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise Failure("plots need the extra that draws them: pip install 'spectral-detect[plot]'")


def require_torch() -> None:
    """`Failure` where nothing can be trained; before torch is imported, since its threads are set up then."""
    from importlib.util import find_spec

    if find_spec("torch") is None or find_spec("safetensors") is None:
        raise Failure(f"regularize {TORCH_MISSING}")
    # threads that wait by spinning take the cores from one another: two runs on two cores were twenty times as slow
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def shows_progress() -> bool:
    """Progress is for terminals only."""
    return sys.stderr is not None and sys.stderr.isatty()


def progress(
    items: Iterable[T],
    *,
    total: int | None = None,
    hidden: bool = False,
    unit: str = "images",
    note: Callable[[T], str] | None = None,
) -> Iterator[T]:
    """Pass items on; show their rate and the time left when stderr is a terminal, and what `note` says of the last."""
    if hidden or not shows_progress():
        yield from items
        return
    from tqdm import tqdm

    with tqdm(total=total, unit=f" {unit}", dynamic_ncols=True, leave=False, smoothing=0.1) as bar:
        for item in items:
            if note is not None:
                bar.set_postfix_str(note(item), refresh=False)
            bar.update()
            yield item
