"""Options that several commands have, each group handed to the command as one object of the library."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any, TypeVar, cast

import click

from spectral_detect.features.spec import ENCODER, PRESET_NAMES, FeatureSpec
from spectral_detect.media.video import FrameOptions
from spectral_detect.scanning.rules import Rules

F = TypeVar("F", bound=Callable[..., Any])

FRAMES = FrameOptions()


class FiniteRange(click.FloatRange):
    """A range of numbers; `click.FloatRange` lets NaN through."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return number


class BinCount(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic from click 8.4 on
    """A whole number, or `none` for one value per ring."""

    name = "N|none"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        """Return the number, or "none"."""
        if isinstance(value, int):
            return value
        if value == "none":
            return "none"
        try:
            return int(value)
        except ValueError:
            self.fail(f"{value!r} is neither a whole number nor none", param, ctx)


def together(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Return one decorator for several options, in the order given."""

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


error_rate_options = together(
    click.option(
        "--target-fpr",
        type=FiniteRange(0, 0.5, min_open=True),
        help="Choose the threshold for this rate of false alarms.  [default: as many misses as false alarms]",
    ),
    click.option(
        "--verdict-errors",
        type=(FiniteRange(0, 0.5), FiniteRange(0, 0.5)),
        metavar="FPR MISSES",
        help="Leave scores undecided at which more than these shares of images held out would be called fake though "
        "real, or real though fake.",
    ),
)


labelled_options = together(
    click.option(
        "--real",
        multiple=True,
        metavar="DIR",
        help="Read camera images from a folder, a file or a URL; repeatable.",
    ),
    click.option(
        "--fake",
        multiple=True,
        metavar="DIR",
        help="Read generated images from a folder, a file or a URL; repeatable.",
    ),
    click.option(
        "--manifest",
        metavar="CSV",
        help="Read paths and labels from columns path,label[,group[,weight]] instead of folders.",
    ),
    click.option(
        "--group-by",
        type=click.Choice(("parent",)),
        help="parent: keep the images (frames) of one folder together in any split.",
    ),
)


list_options = together(
    click.option(
        "--files-from", metavar="FILE", help="Read paths or URLs, one a line, no patterns; - is standard input."
    ),
    click.option(
        "-0", "--null", is_flag=True, help="Expect NUL instead of a new line after each path in --files-from."
    ),
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object in place of the table.")


def seed_option(text: str) -> Callable[[F], F]:
    """Return the option `--seed`, with its help text."""
    return click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help=text)


# ------------------------------------------------------------------------------------------------- rules of a verdict

_judging_options = together(
    click.option(
        "--min-confidence",
        type=FiniteRange(0.5, 1, max_open=True),
        help="Call a verdict inconclusive unless it is at least this probable, such as 0.9.",
    ),
    click.option(
        "--prevalence",
        type=FiniteRange(0, 1, min_open=True, max_open=True),
        help="State the share of fakes among such images, to learn what a verdict is worth there.  [default: half]",
    ),
    click.option(
        "--stability",
        is_flag=True,
        help="Call a verdict inconclusive if mild recompression, a crop or resizing turns it, or leaves its score "
        "undecided (four times slower).",
    ),
)


def judging_options(command: F) -> F:
    """Hand `--min-confidence`, `--prevalence` and `--stability` to the command as one `rules`."""

    @wraps(command)
    def with_rules(
        *args: Any, min_confidence: float | None, prevalence: float | None, stability: bool, **kwargs: Any
    ) -> Any:
        rules = Rules(min_confidence=min_confidence, prevalence=prevalence, stability=stability)
        return command(*args, rules=rules, **kwargs)

    return _judging_options(cast(F, with_rules))


# --------------------------------------------------------------------------------------------------- frames of a video

_frame_options = together(
    click.option(
        "--frames",
        type=click.IntRange(1),
        help=f"Take so many frames of a video, equally spaced.  [default: {FRAMES.n_frames}]",
    ),
    click.option(
        "--every", type=FiniteRange(0, min_open=True), metavar="SECONDS", help="Take one frame every SECONDS seconds."
    ),
    click.option("--all", "all_frames", is_flag=True, help="Take every frame of a video."),
    click.option(
        "--crop",
        type=click.Choice(("none", "face", "centre")),
        default=FRAMES.crop,
        show_default=True,
        help="Look at the whole frame, the inner part of a face, or the central square; nothing is resampled.",
    ),
    click.option(
        "--faces",
        type=click.Choice(("largest", "all")),
        default=FRAMES.faces,
        show_default=True,
        help="With --crop face: follow the largest face, or each face on its own.",
    ),
    click.option(
        "--face-fraction",
        type=FiniteRange(0, 1, min_open=True),
        help="With --crop face: look at this share of the width and height of the face's box.  [default: a third]",
    ),
)


def frame_options(command: F) -> F:
    """Hand `--frames`, `--every`, `--all`, `--crop`, `--faces` and `--face-fraction` to the command as one `frames`."""

    @wraps(command)
    def with_frames(
        *args: Any,
        frames: int | None,
        every: float | None,
        all_frames: bool,
        crop: Any,
        faces: Any,
        face_fraction: float | None,
        **kwargs: Any,
    ) -> Any:
        if sum((frames is not None, every is not None, all_frames)) > 1:
            raise click.UsageError("--frames, --every and --all choose frames each in its own way: give one of them")
        if crop != "face" and (faces != FRAMES.faces or face_fraction is not None):
            raise click.UsageError("--faces and --face-fraction go with --crop face")
        n_frames = None if all_frames or every is not None else frames or FRAMES.n_frames
        chosen = FrameOptions(n_frames, every, crop, faces, face_fraction or FRAMES.face_fraction)
        return command(*args, frames=chosen, **kwargs)

    return _frame_options(cast(F, with_frames))


# ------------------------------------------------------------------------------------------------------------ features


def feature_options(default: str) -> Callable[[F], F]:
    """Return the options `--features`, `--encoder` and `--bins`."""
    return together(
        click.option(
            "--features",
            type=click.Choice(PRESET_NAMES),
            default=default,
            show_default=True,
            help="Choose a preset of features; encoder: those of --encoder.",
        ),
        encoder_option("With --features encoder: take the features of this network (ONNX)."),
        click.option(
            "--bins",
            type=BinCount(),
            metavar="N|none",
            help="Set the length of the radial profile, 8 to 100000; none: a value per ring.  [default: the preset's]",
        ),
    )


def encoder_option(text: str) -> Callable[[F], F]:
    """Return the option `--encoder`, with its help text."""
    return click.option("--encoder", metavar="FILE.onnx", help=text)


encoder_of_model = encoder_option(
    "Take this file for the encoder of a model that needs one.  [default: the one beside the model]"
)


model_options = together(
    click.option(
        "--model",
        metavar="MODEL",
        help="Judge by this model file, or by the shipped model of this name.  [default: world]",
    ),
    encoder_of_model,
)


def feature_spec(features: str, bins: int | str | None, encoder: str | None = None) -> FeatureSpec:
    """Return the spec that `--features`, `--bins` and `--encoder` name."""
    if (encoder is None) == (features == ENCODER):
        raise click.UsageError("--features encoder and --encoder FILE.onnx go together")
    changes: dict[str, Any] = {} if bins is None else {"n_bins": None if bins == "none" else bins}
    if encoder is None:
        spec = FeatureSpec.preset(features)
        if changes and not {"profile", "chroma_profile"}.intersection(spec.groups):
            raise click.UsageError(f"--bins goes with a radial profile, which --features {features} does not have")
        return replace(spec, **changes)
    from spectral_detect.features.encoder.find import read_encoder  # loads OpenCV

    if bins is not None:
        raise click.UsageError("--bins goes with a radial profile, not with --encoder")
    return FeatureSpec.preset(features, encoder=read_encoder(encoder))
