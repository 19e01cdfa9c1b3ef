"""Read, check and decode still images; the only home of decoding stills."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from io import BytesIO

import numpy as np
import PIL.Image
import PIL.ImageFile

from spectral_detect.errors import ImageReadError
from spectral_detect.media.header import Metadata, read_metadata, tiff_metadata
from spectral_detect.media.pixels import holds_gray, orientation_of, read_pixels
from spectral_detect.media.stills.announced_size import announced_size
from spectral_detect.media.stills.bare_files import bare_picture_of, picture_of
from spectral_detect.media.stills.refusals import refusal, too_large
from spectral_detect.media.stills.remedies import INTACT_COPY
from spectral_detect.media.stills.transparency import hidden_pixels, transparency_notes
from spectral_detect.media.tiff.camera_raw import refuse_camera_raw
from spectral_detect.media.tiff.directories import read_directories
from spectral_detect.media.tiff.layout import Layout, deep_layout
from spectral_detect.media.tiff.samples import read_samples
from spectral_detect.orientation import UPRIGHT, as_stored, displayed_size
from spectral_detect.parallel.silence import libraries_silenced
from spectral_detect.sources.formats import FORMATS
from spectral_detect.sources.pillow import quiet_pillow
from spectral_detect.sources.reading import read_file
from spectral_detect.sources.stores import locate
from spectral_detect.text import short_repr

MAX_PIXELS = 120_000_000  # phones reach 108 million; an image of that size takes 4 GB and 20 s
GRAY_TOLERANCE = 8  # on the scale 0 to 255
GRAY_SAMPLES = 128  # pixels that are looked at along the shorter side, or up to twice as many
JPEG_FILL = 128  # libjpeg's gray for missing blocks
SEVERAL_FRAMES = "several frames: only the first is judged"
SEVERAL_PAGES = "several pages: only the first is judged"
DIMMEST = 2**14 - 1  # the brightest that 14 bits hold
MCU_ROWS = 16  # at most so many rows are coded together


@dataclass(frozen=True, eq=False)
class DecodedImage:
    """Hold pixels as the features take them, with the facts of the header.

    Attributes
    ----------
    pixels : (H, W) or (H, W, 3) array
        Gray or RGB; uint8 or uint16, in which 65535 is white. A JPEG gives its own luma plane, or with colour its own
        luma, Cb and Cr. Alpha is dropped and the orientation that EXIF or TIFF tells not applied.
    width, height : int
        In pixels as displayed, after the orientation.
    format : str
        Name of the file format, such as "JPEG"; "VIDEO" for a frame of a video file.
    warnings : tuple of str
        What a reader of the verdict should know.
    is_ycc : bool
        The three channels are luma, Cb and Cr.
    metadata : Metadata or None
        More facts of the header.
    hidden : (H, W) bool array or None
        Which pixels, as stored, have an alpha below full; None if none has.
    orientation : int
        1 to 8, as EXIF or TIFF tells it.
    """

    pixels: np.ndarray
    width: int
    height: int
    format: str
    warnings: tuple[str, ...] = ()
    is_ycc: bool = False
    metadata: Metadata | None = None
    __repr__ = short_repr
    hidden: np.ndarray | None = None
    orientation: int = UPRIGHT

    @property
    def transparent_share(self) -> float:
        """Return the share of the pixels whose alpha is below full, 0 to 1."""
        return 0.0 if self.hidden is None else float(self.hidden.mean())

    @property
    def pixels_px(self) -> tuple[int, int]:
        """Return the width and height, as displayed, of the pixels that are there."""
        return displayed_size(self.pixels.shape[1], self.pixels.shape[0], self.orientation)

    @property
    def n_rows(self) -> int:
        """Return how many rows the header announces, in the order of the file; fewer are there if it ends early."""
        return displayed_size(self.width, self.height, self.orientation)[1]  # exchanged twice: as stored

    @property
    def is_constant(self) -> bool:
        """Tell whether all pixels are alike."""
        first = self.pixels[0, 0]
        return bool((self.pixels[0] == first).all() and (self.pixels == first).all())


def decode(content: bytes, *, max_pixels: int = MAX_PIXELS, colour: bool = False) -> DecodedImage:
    """Decode the first frame of an image file.

    Parameters
    ----------
    content : bytes
        The whole file.
    max_pixels : int
        An image whose header announces more is refused before it is decoded.
    colour : bool
        Whether the chroma planes of a JPEG are wanted; other formats give what they hold.

    Returns
    -------
    DecodedImage
        With a warning if only part of the file could be judged.

    Raises
    ------
    ImageReadError
        If the content is not an image, damaged, too large, or holds pixels of a kind that has no defined gray.
    """
    if not content:
        raise ImageReadError("the file is empty", remedy="copy it again from its source")
    with quiet_pillow(), libraries_silenced():
        try:
            return _decode_what_is_sound(content, max_pixels, colour)
        except ImageReadError:
            raise
        except MemoryError:
            raise ImageReadError("not enough memory for this image", remedy="see `max_pixels` and `jobs`") from None
        except Exception as error:  # hostile bytes may make a decoder raise anything
            raise refusal(content, error) from None


def read_image(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS, colour: bool = False) -> DecodedImage:
    """Read and decode one image file as a scan does; its `pixels` are what `extract_features` takes.

    Threads decode in turn: for several cores use processes, as `scan` does.

    Parameters
    ----------
    path : str or path-like
        A local file, or a URL.
    max_pixels, colour
        See `decode`.

    Returns
    -------
    DecodedImage
        Its pixels are read-only; copy them to change them.

    Raises
    ------
    ImageReadError
        See `read_file` and `decode`; the message names the file.
    """
    place = locate(os.fspath(path))
    try:
        return decode(read_file(place).content, max_pixels=max_pixels, colour=colour)
    except ImageReadError as error:
        raise ImageReadError(f"{place.path!r}: {error.problem}", remedy=error.remedy) from None


def _decode_what_is_sound(content: bytes, max_pixels: int, colour: bool) -> DecodedImage:
    """Decode an image file without whatever is not its picture and would spoil it; raises whatever Pillow raises."""
    directories = read_directories(content)
    refuse_camera_raw(content, directories)
    layout = deep_layout(directories[0]) if directories else None
    if layout is not None:
        return _decode_deep_tiff(content, layout, max_pixels)
    size = announced_size(content)
    if size is not None and size[0] * size[1] > max_pixels:
        raise too_large(size, max_pixels)
    picture, notes = picture_of(content)
    try:
        image = _decode_quietly(picture, content, max_pixels, colour)
    except ImageReadError:
        raise
    except Exception as error:  # broken metadata make Pillow raise many kinds
        if isinstance(error, OSError) and "truncated" in str(error) and not directories:
            image = _decode_truncated(picture, content, max_pixels, colour)
        else:
            image, notes = _decode_bare(error, picture, content, max_pixels, colour)
    return replace(image, warnings=(*image.warnings, *notes)) if notes else image


def _decode_bare(
    error: Exception, picture: bytes, content: bytes, max_pixels: int, colour: bool
) -> tuple[DecodedImage, tuple[str, ...]]:
    """Decode the picture without its metadata, and return it with what to say of that; else raise the first error."""
    bare, notes = bare_picture_of(content)
    if bare == picture or isinstance(error, MemoryError):
        raise error
    try:
        return _decode_quietly(bare, content, max_pixels, colour), notes
    except ImageReadError:
        raise
    except Exception:  # so it was not the metadata
        raise error from None


def _decode_quietly(picture_content: bytes, content: bytes, max_pixels: int, colour: bool) -> DecodedImage:
    """Decode the picture of a file with the facts of the whole file; raises whatever Pillow raises."""
    with PIL.Image.open(BytesIO(picture_content), formats=FORMATS) as picture:
        width, height = picture.size
        if width * height > max_pixels:
            raise too_large((width, height), max_pixels)
        image_format = "JPEG" if picture.format == "MPO" else str(picture.format)  # a JPEG with other views behind it
        has_several = picture.format != "MPO" and getattr(picture, "is_animated", False)
        several = SEVERAL_PAGES if image_format == "TIFF" else SEVERAL_FRAMES
        notes: tuple[str, ...] = (several,) if has_several else ()
        is_gray = holds_gray(picture)  # before a draft changes it
        turned = orientation_of(picture) if image_format == "TIFF" else UPRIGHT  # Pillow turns it, and forgets how
        pixels = read_pixels(picture, image_format, picture_content, colour=colour)
        notes += _dim_notes(pixels)
        orientation = orientation_of(picture)
        width, height = displayed_size(width, height, orientation)
        metadata = read_metadata(picture, content, image_format, (width, height), is_gray=is_gray)
        is_ycc = image_format == "JPEG" and picture.mode == "YCbCr"
        hidden = hidden_pixels(picture, pixels, metadata.coding.bits)
        hidden = None if hidden is None else np.ascontiguousarray(as_stored(hidden, turned))
        orientation = max(turned, orientation)
        image = DecodedImage(pixels, width, height, image_format, notes, is_ycc, metadata, hidden, orientation)
        return with_transparency_notes(image)


def _decode_deep_tiff(content: bytes, layout: Layout, max_pixels: int) -> DecodedImage:
    """Decode a TIFF file with more than 8 bits a channel."""
    if layout.width * layout.height > max_pixels:
        raise too_large((layout.width, layout.height), max_pixels)
    deep = read_samples(content, layout)
    notes: tuple[str, ...] = (SEVERAL_PAGES,) if layout.directory.has_next else ()
    notes += () if deep.is_scale_told else _dim_notes(deep.colours)
    metadata = tiff_metadata(layout)
    image = DecodedImage(
        deep.colours,
        *layout.displayed_size,
        "TIFF",
        notes,
        metadata=metadata,
        hidden=deep.hidden,
        orientation=layout.orientation,
    )
    return with_transparency_notes(image)


def with_transparency_notes(image: DecodedImage) -> DecodedImage:
    """Return the image with a warning if some of its pixels are transparent."""
    notes = transparency_notes(image.transparent_share)
    return replace(image, warnings=(*image.warnings, *notes)) if notes else image


def _dim_notes(pixels: np.ndarray) -> tuple[str, ...]:
    """Return a warning if pixels of 16 bits may hold fewer: then they were taken for darker than they are."""
    if pixels.dtype != np.uint16 or (brightest := int(pixels.max())) > DIMMEST:
        return ()
    return (
        f"no pixel is brighter than {brightest} of 65535: perhaps the file holds fewer than 16 bits; it does not tell, "
        "and was judged as 16 bit",
    )


def _decode_truncated(picture_content: bytes, content: bytes, max_pixels: int, colour: bool) -> DecodedImage:
    """Decode the intact rows of a JPEG that ends early, as files carved from a disk often do."""
    PIL.ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        image = _decode_quietly(picture_content, content, max_pixels, colour)
    finally:
        PIL.ImageFile.LOAD_TRUNCATED_IMAGES = False
    if image.format != "JPEG" or not (image.is_ycc or image.pixels.ndim == 2) or _is_progressive(content):
        problem = f"{image.format}: truncated; of such a file no part can be judged for certain"
        raise ImageReadError(problem, remedy=INTACT_COPY)
    n_rows = len(image.pixels)
    decoded = np.flatnonzero((luma(image) != JPEG_FILL).any(axis=1))
    n_intact = int(decoded[-1]) // MCU_ROWS * MCU_ROWS if len(decoded) else 0  # without the row where the file ends
    if not n_intact:
        raise ImageReadError("JPEG: truncated before its first rows", remedy=INTACT_COPY)
    note = f"truncated: only the upper {n_intact} of {n_rows} rows are there and were judged"
    return replace(image, pixels=image.pixels[:n_intact], warnings=(*image.warnings, note))


def _is_progressive(content: bytes) -> bool:
    """Tell whether a JPEG is progressive: without the last of its scans the whole image is blurred."""
    with PIL.Image.open(BytesIO(content), formats=FORMATS) as picture:
        return "progressive" in picture.info


def shows_no_colour(image: DecodedImage) -> bool:
    """Tell whether the channels are alike, up to `GRAY_TOLERANCE`, in every cell of a reduced copy of 32x32 pixels."""
    import cv2

    if image.pixels.ndim == 2:
        return image.metadata is None or image.metadata.is_gray
    step = max(1, min(image.pixels.shape[:2]) // GRAY_SAMPLES)
    pixels = image.pixels[::step, ::step]
    scale = 257 if pixels.dtype == np.uint16 else 1
    cells = cv2.resize(pixels.astype(np.float32) / scale, (32, 32), interpolation=cv2.INTER_AREA)
    if image.is_ycc:
        return bool(np.abs(cells[..., 1:] - 128).max() <= GRAY_TOLERANCE / 2)
    return bool(np.abs(np.diff(cells, axis=2)).max() <= GRAY_TOLERANCE)


def fingerprint(image: DecodedImage) -> int:
    """Return the difference hash of an image: 64 bits that recompression and resizing change little.

    Each bit says whether one of 8x8 cells of the gray image is brighter than the next to its right.
    """
    import cv2

    cells = cv2.resize(luma(image).astype(np.float32), (9, 8), interpolation=cv2.INTER_AREA)
    return int.from_bytes(np.packbits(cells[:, :-1] > cells[:, 1:]).tobytes(), "big")


def luma(image: DecodedImage) -> np.ndarray:
    """Return the (H, W) gray or luma plane; for RGB the green one."""
    return image.pixels if image.pixels.ndim == 2 else image.pixels[..., 0 if image.is_ycc else 1]
