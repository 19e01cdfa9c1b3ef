"""Cut a part out of an image, and turn boxes as they are displayed."""

from __future__ import annotations

from dataclasses import dataclass, replace

from spectral_detect.errors import ImageReadError
from spectral_detect.media.images import DecodedImage, with_transparency_notes
from spectral_detect.media.stills.transparency import transparency_notes
from spectral_detect.orientation import TURNS

GRID_PX = 8  # a block of JPEG: a part that begins on this grid keeps the blocks whole

Box = tuple[int, int, int, int]  # left edge, upper edge, width and height in pixels


@dataclass(frozen=True)
class Region:
    """A part of an image, in pixels as displayed.

    Attributes
    ----------
    x, y : int
        Its upper left corner.
    width, height : int
        Its size.
    """

    x: int
    y: int
    width: int
    height: int

    @property
    def box(self) -> Box:
        """The four numbers."""
        return self.x, self.y, self.width, self.height

    def crop(self, image: DecodedImage) -> tuple[DecodedImage, Region]:
        """Return that part of an image, begun on the grid of JPEG's blocks, and where it lies.

        Raises
        ------
        ImageReadError
            If it does not lie within the image.
        """
        rows, columns = image.pixels.shape[:2]
        left, top, width, height = as_stored(self.box, (columns, rows), image.orientation)
        if min(left, top) < 0 or min(width, height) < 1 or left + width > columns or top + height > rows:
            raise ImageReadError(
                f"the region {','.join(map(str, self.box))} does not lie within {image.width}x{image.height} pixels",
                remedy="give x,y,width,height in pixels as displayed, from the upper left corner",
            )
        right, bottom = left + width, top + height
        left, top = left // GRID_PX * GRID_PX, top // GRID_PX * GRID_PX
        box = as_displayed((left, top, right - left, bottom - top), (columns, rows), image.orientation)
        return cut(image, box), Region(*box)


def cut(image: DecodedImage, box: Box) -> DecodedImage:
    """Return the part of an image within a box as displayed; its pixels stay as stored.

    So no feature depends on how an image is displayed. The part keeps none of the whole's pixels in memory, and the
    warnings of transparent pixels are its own.
    """
    rows, columns = image.pixels.shape[:2]
    left, top, width, height = as_stored(box, (columns, rows), image.orientation)
    place = slice(top, top + height), slice(left, left + width)
    hidden = None if image.hidden is None or not image.hidden[place].any() else image.hidden[place].copy()
    of_whole = transparency_notes(image.transparent_share)
    notes = tuple(note for note in image.warnings if note not in of_whole)
    part = replace(image, pixels=image.pixels[place].copy(), width=box[2], height=box[3], hidden=hidden, warnings=notes)
    return with_transparency_notes(part)


def as_displayed(box: Box, stored_size: tuple[int, int], orientation: int) -> Box:
    """Return where a box of the stored image, of that width and height, lies in the displayed one."""
    exchanged, mirrored_columns, mirrored_rows = TURNS[orientation]
    (x, y, width, height), (columns, rows) = box, stored_size
    if exchanged:
        x, y, width, height, columns, rows = y, x, height, width, rows, columns
    x = columns - x - width if mirrored_columns else x
    y = rows - y - height if mirrored_rows else y
    return x, y, width, height


def as_stored(box: Box, stored_size: tuple[int, int], orientation: int) -> Box:
    """Return where a box of the displayed image lies in the stored one, which has that width and height."""
    exchanged, mirrored_columns, mirrored_rows = TURNS[orientation]
    (x, y, width, height), (columns, rows) = box, stored_size
    if exchanged:
        columns, rows = rows, columns
    x = columns - x - width if mirrored_columns else x
    y = rows - y - height if mirrored_rows else y
    return (y, x, height, width) if exchanged else (x, y, width, height)
