"""One file becomes feature vectors; whatever is wrong with it becomes part of the result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import numpy as np

from spectral_detect.arguments import require_choice, require_type
from spectral_detect.errors import FeatureError, ImageReadError, VideoReadError
from spectral_detect.features.common_profile import common_profile, least_px_of
from spectral_detect.features.extract import extract_features, tile_corners
from spectral_detect.features.spec import FeatureSpec
from spectral_detect.media.coding import Coding
from spectral_detect.media.delivery import Delivery
from spectral_detect.media.edits import Edit
from spectral_detect.media.face_detection import is_portrait
from spectral_detect.media.header import Metadata
from spectral_detect.media.images import DecodedImage, decode, fingerprint, luma, shows_no_colour
from spectral_detect.media.limits import Limits
from spectral_detect.media.region import Region
from spectral_detect.media.video import Frame, FrameOptions, open_video
from spectral_detect.parallel.task import Cost
from spectral_detect.provenance.findings import Depth, Provenance
from spectral_detect.provenance.look import look
from spectral_detect.provenance.picture.pixels import with_pixels
from spectral_detect.sources.discovery import FoundFile, FoundVideo
from spectral_detect.sources.location import Location
from spectral_detect.sources.reading import read_file, video_sha256
from spectral_detect.text import short_repr

TOO_LITTLE_MEMORY = "not enough memory for this image; see `max_pixels` and `jobs`"
NO_FRAME = "no frame could be judged; see `crop`, or get an intact copy"
CONSTANT_IMAGE = "constant image: there is no spectrum to judge"


@dataclass(frozen=True)
class FramePlace:
    """Which frame of a video, or which face in it: see `video.Frame`."""

    index: int
    time_s: float | None
    track: int
    box: tuple[int, int, int, int] | None
    is_face: bool = False


@dataclass(frozen=True)
class Extraction:
    """The features of one image, or the reason why there are none.

    Attributes
    ----------
    location : Location
        Where the file is.
    is_constant : bool
        Whether all pixels are alike.
    features : array or None
        (n_features,) or (n_tiles, n_features), see `extract_features`.
    tiles : array or None
        (n_tiles, 3) left edge, upper edge and side in pixels, before the EXIF orientation; None if the spec cuts no
        tiles.
    fingerprint : int or None
        See `images.fingerprint`.
    edit : Edit or None
        The edit that was applied to the image before.
    metadata : Metadata or None
        What else the file's header says.
    frame : FramePlace or None
        Where in a video the image is; None for a still.
    transparent_share : float
        Share of the image's pixels whose alpha is below full, 0 to 1.
    is_portrait : bool or None
        See `face_detection.is_portrait`; None if nobody looked.
    provenance : Provenance or None
        What the file says of its origin; None if that was not asked.
    profile : (n_bins,) array or None
        See `common_profile`, of the image before any edit; None if nobody asked.
    part_px : (int, int) or None
        Width and height, as displayed, of the part of the image that was looked at, where the file ends early or a
        region was asked for; None if it was the whole.
    edited_px : (int, int) or None
        Width and height, as displayed, after the edit; None without one.
    """

    location: Location
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
    __repr__ = short_repr
    transparent_share: float = 0.0
    is_portrait: bool | None = None
    provenance: Provenance | None = None
    profile: np.ndarray | None = None
    part_px: tuple[int, int] | None = None
    edited_px: tuple[int, int] | None = None

    @property
    def path(self) -> str:
        """The path as records show it."""
        return self.location.path

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height of what was looked at, before any edit; 0 where they are not known."""
        return self.part_px or (self.width or 0, self.height or 0)

    @property
    def judged_px(self) -> tuple[int, int]:
        """Width and height of what the features are of; 0 where they are not known."""
        return self.edited_px or self.size_px

    @property
    def coding(self) -> Coding | None:
        """How the pixels were compressed; None if nothing is known."""
        return self.metadata.coding if self.metadata else None


Edits = tuple[Edit | None, ...]
Variants = tuple[Extraction, ...]  # of one file: a result for each edit, of a video for each frame and edit
Prepared = tuple[Extraction, DecodedImage | None]  # what is known so far; no image if something is wrong
Found = FoundFile | FoundVideo


@dataclass(frozen=True)
class Extractor:
    """Turns files into feature vectors: a task for workers.

    Attributes
    ----------
    spec : FeatureSpec or None
        The features; None extracts none (an empty vector), for a look at the file alone.
    edits : tuple of Edit or None
        What is done to each image before; None leaves it as it is. A file gives a result for each.
    examine : bool
        Whether to find its fingerprint, and whether it shows any colour, as well.
    limits : Limits
        What is refused.
    frames : FrameOptions
        Which frames of a video are looked at, and which part of them.
    delivery : Delivery or None
        What each image goes through first, before any edit.
    seeks_faces : bool or None
        Whether to look for a face in each image as delivered; None does where a data set for training is read.
    provenance : {"none", "header", "full"}
        How far to look for what each file says of its origin.
    trust_anchors : str
        PEM certificates of those whose signatures of C2PA manifests are trusted.
    region : Region or None
        The part of a still image that is looked at, in place of the whole; before any delivery.
    with_profile : bool
        Whether to find its `common_profile` as well.

    Raises
    ------
    ArgumentError, OptionError
        The spec is none, or there is no such depth.
    """

    spec: FeatureSpec | None
    edits: Edits = (None,)
    examine: bool = False
    limits: Limits = field(default_factory=Limits)
    frames: FrameOptions = field(default_factory=FrameOptions)
    delivery: Delivery | None = None
    seeks_faces: bool | None = None
    provenance: Depth = "none"
    trust_anchors: str = ""
    region: Region | None = None
    with_profile: bool = False

    cost: Cost = field(default="short", init=False)

    def __post_init__(self) -> None:
        if self.spec is not None:
            require_type("spec", self.spec, FeatureSpec, "`FeatureSpec.preset` gives that of a name")
        require_choice("provenance", self.provenance, get_args(Depth))

    def __call__(self, found: Found) -> Variants:
        """Extract the features of a file; whatever is wrong with it becomes `Extraction.error`."""
        return self.of_video(found) if isinstance(found, FoundVideo) else self.of_file(found)

    def failed(self, found: Found, reason: str) -> Variants:
        """Return a failure for each edit."""
        return self._failed({"location": found.location}, reason)

    def of_file(self, found: FoundFile) -> Variants:
        """Read, hash and decode a still image, and extract its features once for each edit."""
        return tuple(self._extract(*prepared) for prepared in self.prepare(found))

    def with_image(self, found: FoundFile) -> tuple[Variants, DecodedImage | None]:
        """Do what `of_file` does, and return the image of the first edit as well; None if something is wrong."""
        prepared = list(self.prepare(found))
        return tuple(self._extract(*each) for each in prepared), prepared[0][1]

    def of_video(self, found: FoundVideo) -> Variants:
        """Extract the features of a video's frames (or faces), once for each edit; all have its location and hash.

        A video that cannot be read gives one failure for each edit.
        """
        try:
            with open_video(found, self.frames, max_pixels=self.limits.max_pixels) as video:
                sha256, size_bytes, mtime_ns = video_sha256(found)
                known = {
                    "location": found.location,
                    "sha256": sha256,
                    "size_bytes": size_bytes,
                    "mtime_ns": mtime_ns,
                }
                extracted = [variant for frame in video.frames() for variant in self.of_frame(frame, known)]
                if not extracted:
                    raise VideoReadError(NO_FRAME)
                notes = tuple(video.warnings)
                return tuple(replace(variant, warnings=notes + variant.warnings) for variant in extracted)
        except VideoReadError as error:
            return self.failed(found, str(error))
        except MemoryError:
            return self.failed(found, TOO_LITTLE_MEMORY)

    def of_frame(self, frame: Frame, video: dict[str, Any]) -> Variants:
        """Extract the features of one frame, once for each edit.

        Parameters
        ----------
        video : dict
            Fields of `Extraction` that all frames of the video share.
        """
        image = frame.image
        place = FramePlace(frame.index, frame.time_s, frame.track, frame.box, frame.is_face)
        known = {**video, "width": image.width, "height": image.height, "format": image.format, "frame": place}
        known |= {"metadata": image.metadata, "transparent_share": image.transparent_share, "warnings": image.warnings}
        if self.examine:
            known["fingerprint"] = fingerprint(image)
        if image.is_constant:
            known |= {"is_constant": True, "warnings": (*image.warnings, CONSTANT_IMAGE)}
        return tuple(self._extract(*prepared) for prepared in self._variants(image, known))

    def prepare(self, found: FoundFile) -> Iterator[Prepared]:
        """Read and decode a still image, and yield it after each edit: `of_file` up to the features."""
        known: dict[str, Any] = {"location": found.location}
        try:
            image = self._in_region(self._decode(found, known), known)
        except ImageReadError as error:
            return ((failure, None) for failure in self._failed(known, str(error)))
        except MemoryError:
            return ((failure, None) for failure in self._failed(known, TOO_LITTLE_MEMORY))
        if image.is_constant:
            known |= {"is_constant": True, "warnings": (*image.warnings, CONSTANT_IMAGE)}
        return self._variants(image, known)

    def _variants(self, image: DecodedImage, known: dict[str, Any]) -> Iterator[Prepared]:
        """Deliver the image, and yield it after each edit."""
        try:
            image = self.delivery.apply(image, known["sha256"]) if self.delivery else image
            if self.seeks_faces:
                known = known | {"is_portrait": _is_face(known) or is_portrait(luma(image), image.orientation)}
            if self.with_profile and self.spec is not None and min(image.pixels.shape[:2]) >= least_px_of(self.spec):
                known = known | {"profile": common_profile(image.pixels, self.spec, is_ycc=image.is_ycc)}
        except (ImageReadError, MemoryError) as error:
            failed = [with_error(Extraction(**known, edit=edit), error) for edit in self.edits]
            return ((extraction, None) for extraction in failed)
        return (_edited(image, edit, known) for edit in self.edits)

    def _decode(self, found: FoundFile, known: dict[str, Any]) -> DecodedImage:
        """Decode the image, and add to what is known of it, step by step."""
        if found.problem:
            raise ImageReadError(found.problem)
        read = read_file(found.location, self.limits.max_bytes)
        known |= {"sha256": read.sha256, "size_bytes": len(read.content), "mtime_ns": read.mtime_ns}
        if self.provenance != "none":
            known["provenance"] = look(read.content, self.trust_anchors)
        colour = (
            self.examine
            or self.delivery is not None
            or self.edits != (None,)
            or self.provenance == "full"
            or self.spec is None
            or self.spec.needs_colour
        )
        image = decode(read.content, max_pixels=self.limits.max_pixels, colour=colour)
        known |= {"width": image.width, "height": image.height, "format": image.format, "warnings": image.warnings}
        known |= {"metadata": image.metadata, "transparent_share": image.transparent_share}
        if len(image.pixels) < image.n_rows:
            known["part_px"] = image.pixels_px
        if self.provenance == "full":
            known["provenance"] = with_pixels(known["provenance"], read.content, image)
        if self.examine:
            known["fingerprint"] = fingerprint(image)
        if image.metadata and image.pixels.ndim == 3:
            known["metadata"] = replace(image.metadata, is_gray=shows_no_colour(image))
        return image

    def _in_region(self, image: DecodedImage, known: dict[str, Any]) -> DecodedImage:
        """Return the part of the image that is looked at; its size takes the place of the whole's."""
        if self.region is None:
            return image
        part, where = self.region.crop(image)
        note = f"only a part was judged: {','.join(map(str, where.box))} (left, top, width, height)"
        note += "" if where == self.region else ", as parts begin on the grid of a JPEG's blocks"
        part = replace(part, warnings=(*part.warnings, note))
        known |= {"width": part.width, "height": part.height, "warnings": part.warnings}
        known |= {"transparent_share": part.transparent_share, "part_px": (part.width, part.height)}
        return part

    def _extract(self, extraction: Extraction, image: DecodedImage | None) -> Extraction:
        if image is None:
            return extraction
        if self.spec is None:
            return replace(extraction, features=np.empty(0, np.float32))
        try:
            features = extract_features(image.pixels, self.spec, is_ycc=image.is_ycc, orientation=image.orientation)
            found = {"features": features, "tiles": places_of_tiles(image.pixels, self.spec)}
            return Extraction(**(vars(extraction) | found))  # `replace` takes twice as long
        except (FeatureError, MemoryError) as error:
            return with_error(extraction, error)

    def _failed(self, known: dict[str, Any], reason: str) -> Variants:
        return tuple(Extraction(**known, edit=edit, error=reason) for edit in self.edits)


def _is_face(known: Mapping[str, Any]) -> bool:
    """Tell whether the image is a face that was found in a frame."""
    return known.get("frame") is not None and known["frame"].is_face


def _edited(image: DecodedImage, edit: Edit | None, known: dict[str, Any]) -> Prepared:
    try:
        if edit:
            image = edit.apply(image, known["sha256"])
            known = known | {"metadata": image.metadata or known["metadata"], "edited_px": image.pixels_px}
        return Extraction(**known, edit=edit), image
    except (ImageReadError, FeatureError, MemoryError) as error:
        return with_error(Extraction(**known, edit=edit), error), None


def with_error(extraction: Extraction, error: Exception) -> Extraction:
    """Return the same without features, and why."""
    reason = TOO_LITTLE_MEMORY if isinstance(error, MemoryError) else str(error)
    return replace(extraction, error=reason, features=None, tiles=None)


def places_of_tiles(pixels: np.ndarray, spec: FeatureSpec) -> np.ndarray | None:
    """Return (n_tiles, 3) left edge, upper edge and side of each tile in pixels; None if the spec cuts none."""
    if not spec.gives_tiles:
        return None
    side, corners = tile_corners((pixels.shape[0], pixels.shape[1]), spec)
    return np.array([(x, y, side) for y, x in corners], dtype=np.int32)


def lost(variants: Variants, reason: str) -> Variants:
    """Return the same as failures, for that reason."""
    return tuple(replace(v, features=None, tiles=None, error=reason) for v in variants)


@dataclass(frozen=True)
class Keep:
    """The task after extraction that hands everything on."""

    cost: Cost = field(default="trivial", init=False)

    def __call__(self, variants: Variants) -> Variants:
        """Return all that one file gave."""
        return variants

    def failed(self, variants: Variants, reason: str) -> Variants:
        """Return the same as failures."""
        return lost(variants, reason)
