"""`spectral-detect explain`."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from shutil import get_terminal_size

import click

from spectral_detect.atomic_write import check_target, write_aside
from spectral_detect.cli.shared.checks import check_output, require_matplotlib
from spectral_detect.cli.shared.failures import Failure, report_failure, worded
from spectral_detect.cli.shared.options import FiniteRange, judging_options, model_options
from spectral_detect.cli.shared.paths import expand
from spectral_detect.cli.shared.result_stream import result_stream
from spectral_detect.cli.shared.work_options import work_options
from spectral_detect.detector.model_file import load_default_model, load_model
from spectral_detect.explain.explanation import Explanation
from spectral_detect.explain.explanation import explain as explain_file
from spectral_detect.media.limits import Limits
from spectral_detect.media.region import Region
from spectral_detect.parallel.work import Work
from spectral_detect.report.sheet.text import WIDTH, explanation_text, verdict_line, what_was_judged
from spectral_detect.scanning.judge import Judge
from spectral_detect.scanning.rules import Rules
from spectral_detect.sources.discovery import FoundFile
from spectral_detect.text import visible

SUFFIXES = (".png", ".html", ".json", ".txt")


class RegionType(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic from click 8.4 on
    """Four whole numbers: x,y,width,height."""

    name = "X,Y,W,H"

    def convert(self, value: Region | str, param: click.Parameter | None, ctx: click.Context | None) -> Region:
        """Return the region."""
        if isinstance(value, Region):
            return value
        if not re.fullmatch(r"\d{1,9}(,\d{1,9}){3}", value):
            self.fail(f"{value!r} is not X,Y,W,H in pixels, such as 0,0,256,256", param, ctx)
        x, y, width, height = map(int, value.split(","))
        if min(width, height) < 1:
            self.fail(f"{value!r} is empty", param, ctx)
        return Region(x, y, width, height)


@click.command()
@click.argument("image", metavar="IMAGE")
@model_options
@click.option(
    "--output",
    metavar="FILE",
    help="Write the sheet to FILE: .png (a picture) and .html (one page, nothing else needed) with the extra plot; "
    ".json; .txt.",
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(("text", "json")),
    help="Print text or JSON; with --output, the suffix of FILE says it.  [default: text]",
)
@click.option(
    "--region", type=RegionType(), help="Judge only this part: left, top, width, height in pixels as displayed."
)
@click.option(
    "--threshold", type=FiniteRange(0, 1), help="Call a score at or above this fake.  [default: the model's threshold]"
)
@judging_options
@work_options
@click.pass_context
def explain(
    ctx: click.Context,
    image: str,
    model: str | None,
    encoder: str | None,
    output: str | None,
    kind: str | None,
    region: Region | None,
    threshold: float | None,
    rules: Rules,
    work: Work,
    limits: Limits,
) -> None:
    """Say why an image got its verdict, on one sheet.

    The sheet shows the image and its spectrum, what each kind of trace adds to the verdict, how it compares with the
    model's training images, and what to do next.

    \b
    Examples:
      spectral-detect explain examples/images/fake/Garden.png --model examples/models/photographs.pkl
      spectral-detect explain photo.jpg --output sheet.html
      spectral-detect explain photo.jpg --region 0,0,512,512
    """
    write = _writer(output, [image, model, encoder], kind)
    detector = load_default_model(encoder=encoder) if model is None else load_model(model, encoder=encoder)
    judge = Judge(detector, replace(rules, threshold=threshold))
    found = expand([image])
    if len(found) != 1 or found[0].is_folder or os.path.isdir(found[0].path):
        raise click.UsageError("explain takes one image; spectral-detect scan takes folders and patterns")
    explanation = explain_file(FoundFile(found[0]), judge, region=region, work=work, limits=limits)
    explanation = replace(explanation, record=worded(explanation.record))
    if explanation.record.error is not None:
        report_failure(explanation.record.path, explanation.record.error)
        ctx.exit(1)
    write(explanation)
    if output is not None:
        click.echo(f"{visible(output)}: {what_was_judged(explanation)}: {verdict_line(explanation)}")


def _writer(output: str | None, inputs: list[str | None], kind: str | None) -> Callable[[Explanation], None]:
    """Return what writes the sheet; `Failure`, before anything is computed, if it cannot be written."""
    if output is None:
        return _print_json if kind == "json" else _print_text
    if kind is not None:
        raise click.UsageError("--format is of what is printed: the suffix of --output says what is written")
    check_output(output, inputs)
    suffix = os.path.splitext(output)[1].lower()
    if suffix not in SUFFIXES:
        raise Failure(f"{visible(output)}: end it in {', '.join(SUFFIXES)}")
    check_target(output)
    if suffix in (".json", ".txt"):
        as_text = _as_json if suffix == ".json" else explanation_text
        return lambda explanation: write_aside(output, f"{as_text(explanation)}\n".encode("utf-8", "surrogateescape"))
    require_matplotlib()
    return partial(_draw, output=output, as_page=suffix == ".html")


def _as_json(explanation: Explanation) -> str:
    return json.dumps(explanation.to_dict(), indent=2)


def _print_json(explanation: Explanation) -> None:
    with result_stream(None) as stream:
        stream.write(f"{_as_json(explanation)}\n")


def _print_text(explanation: Explanation) -> None:
    """Print the text, no wider than the terminal if there is one."""
    with result_stream(None) as stream:
        width = get_terminal_size().columns if stream.isatty() else WIDTH
        stream.write(f"{explanation_text(explanation, width)}\n")


def _draw(explanation: Explanation, *, output: str, as_page: bool) -> None:
    from spectral_detect.report.sheet.page import write_page
    from spectral_detect.report.sheet.picture import write_picture

    (write_page if as_page else write_picture)(explanation, output)
