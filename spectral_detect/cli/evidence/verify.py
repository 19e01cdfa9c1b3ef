"""`spectral-detect verify`."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import click
from click.core import ParameterSource

from spectral_detect.cli.shared.failures import in_options, worded
from spectral_detect.cli.shared.options import encoder_of_model
from spectral_detect.cli.shared.result_stream import result_stream
from spectral_detect.cli.shared.work_options import VIDEO_TIMEOUT_S, device_option, work_options
from spectral_detect.custody.differences import Difference
from spectral_detect.custody.places import Places
from spectral_detect.custody.verify import Checks, verify_manifest
from spectral_detect.media.limits import Limits
from spectral_detect.parallel.work import Work
from spectral_detect.report.custody import JsonReport, difference_text, verified_text


class Sha256Param(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic from click 8.4 on
    """A hash in hexadecimal digits."""

    name = "SHA256"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the hash in lower case."""
        text = str(value).lower()
        if not re.fullmatch("[0-9a-f]{64}", text):
            self.fail(f"{value!r} is not a SHA-256 in 64 hexadecimal digits", param, ctx)
        return text


@click.command()
@click.argument("manifest")
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False),
    metavar="DIR",
    help="Look for each recorded path below DIR, absolute ones too.  [default: the paths as they are]",
)
@click.option("--no-scores", is_flag=True, help="Check the chain and the files' hashes; compute no score again.")
@click.option(
    "--model",
    multiple=True,
    metavar="MODEL",
    help="Compute scores with this model file if its hash is the recorded one; may be given several times.  "
    "[default: the shipped model with that hash]",
)
@encoder_of_model
@click.option(
    "--final-hash",
    type=Sha256Param(),
    help="Expect this hash of the closing entry, as it was signed or written down.",
)
@click.option("--remote", is_flag=True, help="Read the URLs that the manifest names.")
@click.option(
    "--format",
    "report_format",
    type=click.Choice(("text", "json")),
    default="text",
    show_default=True,
    help="Write a line for each difference, or one JSON object.",
)
@work_options
@device_option
@click.pass_context
def verify(
    ctx: click.Context,
    manifest: str,
    root: str | None,
    no_scores: bool,
    model: tuple[str, ...],
    encoder: str | None,
    final_hash: str | None,
    remote: bool,
    report_format: str,
    work: Work,
    limits: Limits,
) -> None:
    """Repeat a recorded run of `scan` or `video`, and tell what differs.

    MANIFEST is what `--manifest` wrote. Checked are the chain of its entries; the SHA-256 of each file, whether files
    are missing, and whether the folders hold others; and each result (of a video also the score of each frame),
    computed again with the same model and settings. The exit status is 0 if all is as recorded, and 1 if anything
    differs or could not be checked. A manifest is no signature: whoever can write it can write another one, unless its
    final hash is kept elsewhere. Videos have 600 seconds each, unless --timeout is given.

    \b
    Examples:
      spectral-detect scan evidence/ --manifest evidence.manifest.jsonl
      spectral-detect verify evidence.manifest.jsonl
      spectral-detect verify evidence.manifest.jsonl --root /mnt/copy --no-scores
    """
    if no_scores and (model or encoder):
        raise click.UsageError("--model and --encoder are for scores, which --no-scores leaves out")
    has_own_timeout = ctx.get_parameter_source("timeout") is not ParameterSource.DEFAULT
    video_work = work if has_own_timeout else replace(work, timeout_s=VIDEO_TIMEOUT_S)
    checks = Checks(Places(root), not no_scores, model, remote, final_hash, work, video_work, limits, worded, encoder)
    as_json = JsonReport() if report_format == "json" else None
    with result_stream(None) as stream:

        def tell(difference: Difference) -> None:
            if difference.kind != "result":  # recorded values are in these words already
                difference = replace(difference, text=in_options(difference.text))
            stream.write(difference_text(difference) if as_json is None else as_json.difference(difference))
            stream.flush()

        verified = verify_manifest(manifest, checks, tell)
        verified.notes = list(map(in_options, verified.notes))
        stream.write(verified_text(verified) if as_json is None else as_json.end(verified))
        stream.flush()
    ctx.exit(1 if verified.n_differences else 0)
