"""One file -> feature vectors; whatever is wrong with it becomes part of the result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from spectral_detect.errors import FeatureError, ImageReadError, VideoReadError
from spectral_detect.features.extract import extract_features, tile_corners
from spectral_detect.features.spec import FeatureSpec
from spectral_detect.media.edits import Edit
from spectral_detect.media.header import Metadata
from spectral_detect.media.images import MAX_PIXELS, DecodedImage, decode, fingerprint, shows_no_colour
from spectral_detect.media.video import Frame, FrameOptions, open_video
from spectral_detect.sources.discovery import FoundFile, FoundVideo
from spectral_detect.sources.reading import read_file, video_sha256
from spectral_detect.sources.stores import Remote

TOO_LITTLE_MEMORY = "not enough memory for this image; see --max-pixels and --jobs"
NO_FRAME = "no frame could be judged; see --crop, or get an intact copy"
CONSTANT_IMAGE = "constant image: there is no spectrum to judge"


@dataclass(frozen=True)
class FramePlace:
    """A frame of a video, or a face in it: see `video.Frame`."""

    index: int
    time_s: float | None
    track: int
    box: tuple[int, int, int, int] | None


@dataclass(frozen=True)
class Extraction:
    """What one file gave: features, or the reason why there are none.

    Attributes
    ----------
    features : (n_features,) or (n_tiles, n_features), see `extract_features`.
    edit : what was done to the image before.
    metadata : what else its header says.
    frame : where in a video the image is; None of a still.
    remote : where it was read, if at a URL.
    tiles : (n_tiles, 3) left edge, upper edge and side in pixels, as stored; None where the spec cuts no tiles.
    """

    path: str
    sha256: str | None = None
    size_bytes: int | None = None
    mtime_ns: int | None = None
    width: int | None = None
    height: int | None = None
    format: str | None = None
    is_constant: bool = False
    features: np.ndarray | None = None
    tiles: np.ndarray | None = None
    warnings: tuple[str, ...] = ()
    error: str | None = None
    fingerprint: int | None = None
    edit: Edit | None = None
    metadata: Metadata | None = None
    frame: FramePlace | None = None
    remote: Remote | None = None


Edits = Sequence[Edit | None]
Variants = tuple[Extraction, ...]  # of one file: a result for each edit, of a video for each frame and edit


def extract_file(
    file: FoundFile,
    spec: FeatureSpec | None,
    max_pixels: int = MAX_PIXELS,
    *,
    edits: Edits = (None,),
    examine: bool = False,
) -> Variants:
    """Read, hash and decode one file, and transform it once for each edit.

    Parameters
    ----------
    spec : None extracts no features (an empty vector), for a look at the file alone.
    edits : what is done to the image before; None leaves it as it is.
    examine : also find its fingerprint, and whether it shows any colour.

    Returns
    -------
    A result for each edit; whatever is wrong with the file or the edited image becomes `Extraction.error`.
    """
    prepared = prepare_file(file, spec, max_pixels, edits, examine)
    return tuple(_transform(extraction, image, spec) for extraction, image in prepared)


Prepared = tuple[Extraction, DecodedImage | None]  # what is known so far; no image where something is wrong


def prepare_file(
    file: FoundFile, spec: FeatureSpec | None, max_pixels: int, edits: Edits, examine: bool
) -> Iterator[Prepared]:
    """The part of `extract_file` before the features: one edited image after another."""
    known: dict[str, Any] = {"path": file.path, "remote": file.remote}
    try:
        if file.problem:
            raise ImageReadError(file.problem)
        read = read_file(file.remote or file.path)
        known |= {"sha256": read.sha256, "size_bytes": len(read.content), "mtime_ns": read.mtime_ns}
        colour = examine or edits != (None,) or spec is None or spec.needs_colour
        image = decode(read.content, max_pixels=max_pixels, colour=colour)
        known |= {"width": image.width, "height": image.height, "format": image.format, "warnings": image.warnings}
        known["metadata"] = image.metadata
        if examine:
            known["fingerprint"] = fingerprint(image)
            known["metadata"] = replace(image.metadata, is_gray=shows_no_colour(image)) if image.metadata else None
    except ImageReadError as error:
        return ((failed, None) for failed in failed(known, str(error), edits))
    except MemoryError:
        return ((failed, None) for failed in failed(known, TOO_LITTLE_MEMORY, edits))
    if image.is_constant:
        known |= {"is_constant": True, "warnings": (*image.warnings, CONSTANT_IMAGE)}
    return (_prepare(image, edit, known) for edit in edits)


def extract_video(
    found: FoundVideo,
    spec: FeatureSpec | None,
    options: FrameOptions,
    max_pixels: int = MAX_PIXELS,
    *,
    edits: Edits = (None,),
    examine: bool = False,
) -> Variants:
    """`extract_file` of a video: a result for each frame (or face) and edit, all with the path and hash of the video.

    A video that cannot be read gives one result for each edit, with `Extraction.error`.
    """
    try:
        with open_video(found, options, max_pixels=max_pixels) as video:
            sha256, size_bytes, mtime_ns = video_sha256(found)
            known = {"path": found.path, "sha256": sha256, "size_bytes": size_bytes, "mtime_ns": mtime_ns}
            frames = [result for f in video.frames() for result in extract_frame(f, spec, known, edits, examine)]
            if not frames:
                raise VideoReadError(NO_FRAME)
            notes = tuple(video.warnings)
            return tuple(replace(frame, warnings=notes + frame.warnings) for frame in frames)
    except VideoReadError as error:
        return failed({"path": found.path}, str(error), edits)


def extract_frame(
    frame: Frame, spec: FeatureSpec | None, video: dict[str, Any], edits: Edits = (None,), examine: bool = False
) -> Iterator[Extraction]:
    """One frame, once for each edit; `video` holds what is known of all frames."""
    image = frame.image
    place = FramePlace(frame.index, frame.time_s, frame.track, frame.box)
    known = {**video, "width": image.width, "height": image.height, "format": image.format, "frame": place}
    known["metadata"] = image.metadata or Metadata(image.format, image.width, image.height)
    if examine:
        known["fingerprint"] = fingerprint(image)
    if image.is_constant:
        known |= {"is_constant": True, "warnings": (CONSTANT_IMAGE,)}
    return (_transform(*_prepare(image, edit, known), spec) for edit in edits)


def _prepare(image: DecodedImage, edit: Edit | None, known: dict[str, Any]) -> Prepared:
    try:
        if edit:
            image = edit.apply(image, known["sha256"])
            known = known | {"metadata": image.metadata or known["metadata"]}
        return Extraction(**known, edit=edit), image
    except (ImageReadError, FeatureError, MemoryError) as error:
        return with_error(Extraction(**known, edit=edit), error), None


def _transform(extraction: Extraction, image: DecodedImage | None, spec: FeatureSpec | None) -> Extraction:
    if image is None:
        return extraction
    if spec is None:
        return replace(extraction, features=np.empty(0, np.float32))
    try:
        features = extract_features(image.pixels, spec, is_ycc=image.is_ycc)
        return replace(extraction, features=features, tiles=places_of_tiles(image.pixels, spec))
    except (FeatureError, MemoryError) as error:
        return with_error(extraction, error)


def with_error(extraction: Extraction, error: Exception) -> Extraction:
    reason = TOO_LITTLE_MEMORY if isinstance(error, MemoryError) else str(error)
    return replace(extraction, error=reason, features=None, tiles=None)


def failed(known: dict[str, Any], error: str, edits: Edits) -> Variants:
    return tuple(Extraction(**known, edit=edit, error=error) for edit in edits)


def places_of_tiles(pixels: np.ndarray, spec: FeatureSpec) -> np.ndarray | None:
    if spec.tiles_per_side is None:
        return None
    side, corners = tile_corners((pixels.shape[0], pixels.shape[1]), spec)
    return np.array([(x, y, side) for y, x in corners], dtype=np.int32)


def as_extracted(variants: Variants) -> Variants:
    """For `extract_each`: all that one file gave together."""
    return variants
