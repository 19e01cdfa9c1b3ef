"""What can be checked before anything is computed: outputs, pictures, extras."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib.util import find_spec

from spectral_detect._version import PROGRAM
from spectral_detect.atomic_write import check_target
from spectral_detect.cli.shared.failures import Failure
from spectral_detect.errors import TORCH_MISSING, ImageReadError
from spectral_detect.media.images import read_image
from spectral_detect.sources.formats import (
    SIGNATURE_BYTES,
    SUFFIXES,
    VIDEO_SUFFIXES,
    has_image_signature,
    is_video_file,
)
from spectral_detect.sources.location import Location
from spectral_detect.text import visible

LARGEST_DRAWING = 2**26  # bytes that are looked at
PLOT_SUFFIXES = (".png", ".pdf", ".svg")


def check_output(output: str, inputs: Iterable[str | None] = ()) -> None:
    """Raise `Failure` if writing `output` would destroy an input or any image or video, or if its name is empty."""
    if not output:
        raise Failure("the name of the output is empty")
    if not os.path.isfile(output):
        return
    with open(output, "rb") as stream:
        is_image = has_image_signature(stream.read(SIGNATURE_BYTES)) and not _is_own_picture(output)
    is_input = any(path and os.path.exists(path) and os.path.samefile(output, path) for path in inputs)
    if is_image or is_input or is_video_file(output):
        kind = "an image, a video or an input"
        raise Failure(f"{visible(output)} is {kind}, and would be overwritten; name another output")


def check_model_output(output: str, inputs: Iterable[str | None] = ()) -> None:
    """Raise `Failure`, before anything is computed, if a model cannot be written to `output`, or is named otherwise."""
    check_output(output, inputs)
    suffix = os.path.splitext(output)[1].lower()
    if suffix in SUFFIXES | VIDEO_SUFFIXES:
        kind = "a video" if suffix in VIDEO_SUFFIXES else "an image"
        raise Failure(f"--output {visible(output)}: a model named like {kind} would be read as one; end it in .pkl")
    check_target(output)


def _is_own_picture(path: str) -> bool:
    """Return whether an earlier run of this program has drawn the picture, which may then be drawn again."""
    try:
        metadata = read_image(path).metadata
    except ImageReadError:
        return False
    return metadata is not None and metadata.software == PROGRAM


def _is_own_drawing(path: str) -> bool:
    """Return whether a PDF or an SVG names this program, as those that it has drawn do, or the file is empty."""
    with open(path, "rb") as stream:
        content = stream.read(LARGEST_DRAWING)
    return not content or (content.startswith((b"%PDF", b"<?xml")) and PROGRAM.encode() in content)


def check_plot(output: str, inputs: Iterable[str | None] = ()) -> None:
    """Raise `Failure`, before anything is computed, if a picture cannot be drawn or written to `output`."""
    check_output(output, inputs)
    if os.path.splitext(output)[1].lower() not in PLOT_SUFFIXES:
        raise Failure(f"{visible(output)}: end it in {', '.join(PLOT_SUFFIXES)}")
    if os.path.isfile(output) and not (_is_own_drawing(output) or _is_own_picture(output)):
        raise Failure(f"{visible(output)} is no picture that {PROGRAM} has drawn; name another output")
    require_matplotlib()
    check_target(output)


def check_outside(output: str, places: Iterable[Location]) -> None:
    """Raise `Failure` if an output would lie in a folder whose images are read: the next run would read it as well."""
    target = os.path.join(os.path.realpath(output), "")
    for place in places:
        if not place.is_remote and target.startswith(os.path.join(os.path.realpath(place.path), "")):
            raise Failure(f"{visible(output)} lies in {visible(place.path)}, whose images are read; name another place")


def check_plot_folder(folder: str, places: Iterable[Location]) -> None:
    """Raise `Failure`, before anything is computed, if pictures cannot be drawn into `folder`, which is made if new.

    None is drawn into a folder whose images are read, one of `places`.
    """
    require_matplotlib()
    check_outside(folder, places)
    if os.path.isfile(folder):
        raise Failure(f"{visible(folder)} is a file; name a folder")
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise Failure(f"{visible(folder)} cannot be made: {error.strerror}") from None
    if not os.access(folder, os.W_OK):
        raise Failure(f"{visible(folder)} cannot be written to")


def require_matplotlib() -> None:
    """Raise `Failure` if plots cannot be drawn."""
    if find_spec("matplotlib") is None:
        raise Failure("plots need the extra that draws them: pip install '.[plot]' in the checkout")


def require_torch() -> None:
    """Raise `Failure` if PyTorch is missing; call it before torch is imported, which sets up its threads."""
    if find_spec("torch") is None or find_spec("safetensors") is None:
        raise Failure(f"regularize {TORCH_MISSING}")
    # threads that wait by spinning take the cores from one another: two runs on two cores were twenty times as slow
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
