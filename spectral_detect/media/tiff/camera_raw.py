"""Refuse cameras' raw files: they show a preview, and what the sensor counted has to be developed first."""

from __future__ import annotations

from collections.abc import Sequence

from spectral_detect.errors import ImageReadError
from spectral_detect.media.tiff.directories import SUB_DIRECTORIES, Directory
from spectral_detect.sources.formats import raw_format

# TIFF/EP (ISO 12234-2) and the DNG specification
PHOTOMETRIC, MAKE, DNG_VERSION = 262, 271, 50706
COLOUR_FILTER_ARRAY, LINEAR_RAW = 32803, 34892
PHASE_ONE_MARKS, PHASE_ONE_MAKERS = (b"IIII", b"MMMM"), ("phase one", "leaf", "mamiya")

FORMAT_OF_MAKER = {
    "nikon": "NEF", "sony": "ARW", "pentax": "PEF", "ricoh": "PEF", "samsung": "SRW", "hasselblad": "3FR",
    "seiko epson": "ERF", "kodak": "DCR", "eastman kodak": "DCR", "mamiya": "MEF", "leaf": "MOS", "phase one": "IIQ",
    "canon": "CR2", "olympus": "ORF", "panasonic": "RW2",
}  # fmt: skip


def refuse_camera_raw(content: bytes, directories: Sequence[Directory]) -> None:
    """Raise `ImageReadError` if a file is a camera's raw file, or if its first image is only a preview.

    A thumbnail or a pyramid in sub-directories is no mark of a raw file.

    Parameters
    ----------
    content : bytes
        The whole file.
    directories : sequence of Directory
        Those of a TIFF file; none of any other.
    """
    name = raw_format(content) or _raw_tiff(content, directories)
    if name is not None:
        raise ImageReadError(
            f"a camera's raw file ({name}): only its embedded preview could be judged",
            remedy="develop it first, and judge the result",
        )
    if directories and directories[0].is_reduced and _has_full_image(directories):
        raise ImageReadError(
            "TIFF: its first image is a preview, and the full image lies in another directory",
            remedy="save the full image as a file of its own; develop a camera's raw file first",
        )


def _raw_tiff(content: bytes, directories: Sequence[Directory]) -> str | None:
    """Return the name of the raw format that the tags of a TIFF file show, or None."""
    if any(DNG_VERSION in directory.tags for directory in directories):
        return "DNG"
    maker = next((make for directory in directories if (make := directory.text(MAKE).strip("\0 ").lower())), "")
    if content[8:12] in PHASE_ONE_MARKS and maker.startswith(PHASE_ONE_MAKERS):
        return "IIQ"
    if not any(map(_is_undeveloped, directories)):
        return None
    return next((name for start, name in FORMAT_OF_MAKER.items() if maker.startswith(start)), "TIFF/EP")


def _is_undeveloped(directory: Directory) -> bool:
    """Tell whether an image holds one colour a pixel, or the sensor's own colours."""
    return directory.number(PHOTOMETRIC, -1) in (COLOUR_FILTER_ARRAY, LINEAR_RAW)


def _has_full_image(directories: Sequence[Directory]) -> bool:
    """Tell whether the first directory, a preview, names sub-directories or is followed by an image that is none."""
    return bool(directories[0].numbers(SUB_DIRECTORIES)) or any(not d.is_reduced for d in directories[1:])
