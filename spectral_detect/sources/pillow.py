"""Use Pillow with none of its own limits and warnings, which are the whole process's."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import PIL.Image
import PIL.ImageFile

from spectral_detect.locks import SETTINGS_OF_THE_PROCESS


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Put aside Pillow's limit of pixels, its warnings and its switch for truncated files; they come back afterwards.

    A caller has limits of its own, in `max_pixels`; and whatever the program around has set, a file that ends early
    must not pass for a whole one. Threads take turns.
    """
    with SETTINGS_OF_THE_PROCESS:
        limit, PIL.Image.MAX_IMAGE_PIXELS = PIL.Image.MAX_IMAGE_PIXELS, None
        are_parts_taken, PIL.ImageFile.LOAD_TRUNCATED_IMAGES = PIL.ImageFile.LOAD_TRUNCATED_IMAGES, False
        try:
            with warnings.catch_warnings():  # about damaged metadata, which the verdict does not use
                warnings.simplefilter("ignore")
                yield
        finally:
            PIL.Image.MAX_IMAGE_PIXELS = limit
            PIL.ImageFile.LOAD_TRUNCATED_IMAGES = are_parts_taken
