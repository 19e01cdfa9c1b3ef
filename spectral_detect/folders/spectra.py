"""Average the two-dimensional spectra of folders, of what a high-pass filter leaves of each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from spectral_detect.errors import DatasetError, FeatureError
from spectral_detect.extraction.one_file import Extraction, Extractor, with_error
from spectral_detect.features.common_profile import gray_of
from spectral_detect.features.feature_groups import POWER_FLOOR
from spectral_detect.features.numpy_backend import numpy_backend
from spectral_detect.features.spectrum import power_spectrum
from spectral_detect.folders.reading import ImageFolder, OnFailure, Progress, each_image
from spectral_detect.media.delivery import central_window
from spectral_detect.media.images import DecodedImage
from spectral_detect.media.limits import Limits
from spectral_detect.parallel.work import Work
from spectral_detect.text import short_repr

HighPass = Literal["median", "laplacian"]
SMALLEST_SIDE_PX = 16
MEDIAN_PX = 3


@dataclass(frozen=True, eq=False)
class FolderSpectrum:
    """The mean spectrum of a folder's images.

    Attributes
    ----------
    name : str
        Name of the folder.
    n_images : int
        Number of images.
    level : (side, side) array
        Mean over the images of the natural logarithm of |DFT|^2 / side^2; the zero frequency is in row and column
        side // 2.
    """

    name: str
    n_images: int
    level: np.ndarray
    __repr__ = short_repr


@dataclass(frozen=True)
class SpectrumExtractor(Extractor):
    """Turns files into the log power spectra of their centres: the features are half a spectrum, (side, side // 2 + 1).

    Attributes
    ----------
    side_px : int
        Side of the square that is cut from the centre of each image.
    high_pass : {"median", "laplacian"}
        What is subtracted or applied before the transform, see `high_passed`.
    """

    side_px: int = 256
    high_pass: HighPass = "median"

    def _extract(self, extraction: Extraction, image: DecodedImage | None) -> Extraction:
        if image is None:
            return extraction
        try:
            return replace(extraction, features=log_spectrum(_gray(image), self.side_px, self.high_pass))
        except (FeatureError, MemoryError) as error:
            return with_error(extraction, error)


def mean_spectra(
    folders: Sequence[ImageFolder],
    side_px: int,
    high_pass: HighPass = "median",
    work: Work | None = None,
    *,
    limits: Limits | None = None,
    progress: Progress = iter,
    on_failure: OnFailure,
) -> list[FolderSpectrum]:
    """Return the mean log power spectrum of each folder's images.

    Parameters
    ----------
    folders : sequence of ImageFolder
        Where the images are.
    side_px, high_pass
        See `SpectrumExtractor`; a smaller image is a failure.
    work, progress, on_failure
        See `each_image`.
    limits : Limits, optional
        Which images are refused.

    Raises
    ------
    DatasetError
        No image of a folder is large enough.

    References
    ----------
    Wang et al., "CNN-generated images are surprisingly easy to spot... for now", CVPR 2020, figure 7.
    """
    sums = np.zeros((len(folders), side_px, side_px // 2 + 1))
    counts = [0] * len(folders)
    extractor = SpectrumExtractor(None, limits=limits or Limits(), side_px=side_px, high_pass=high_pass)
    for k, image in each_image(folders, extractor, work, progress=progress, on_failure=on_failure):
        sums[k] += image.features
        counts[k] += 1
    return [
        FolderSpectrum(folder.name, n, centred(total / n))
        for folder, n, total in zip(folders, counts, sums, strict=True)
    ]


def common_side(
    folders: Sequence[ImageFolder],
    work: Work | None = None,
    *,
    limits: Limits | None = None,
    progress: Progress = iter,
    on_failure: OnFailure,
) -> tuple[int, str]:
    """Return the largest power of two of pixels that fits into every image, and the path of the smallest.

    Images below 16 pixels do not count where there are others: one icon shall not narrow the spectra of a folder.
    Failures are left to whoever reads the images for their spectra, unless it comes to nothing.

    Raises
    ------
    DatasetError
        No image of a folder can be read.
    """
    smallest = (True, 2**31, "")  # what counts comes first
    extractor = Extractor(None, limits=limits or Limits())
    failures: list[tuple[str, str]] = []
    try:
        for _, image in each_image(
            folders, extractor, work, progress=progress, on_failure=lambda *failure: failures.append(failure)
        ):
            side_px = min(image.width or 0, image.height or 0)
            smallest = min(smallest, (side_px < SMALLEST_SIDE_PX, side_px, image.path))
    except DatasetError:
        for path, reason in failures:
            on_failure(path, reason)
        raise
    _, side_px, path = smallest
    return max(SMALLEST_SIDE_PX, 1 << max(0, side_px.bit_length() - 1)), path


def log_spectrum(gray: np.ndarray, side_px: int, high_pass: HighPass = "median") -> np.ndarray:
    """Return half of the log power spectrum of the centre of a gray image.

    Parameters
    ----------
    gray : (H, W) float32 array
        On the scale 0 to 255.
    side_px : int
        Side of the centre.
    high_pass : {"median", "laplacian"}
        See `high_passed`.

    Returns
    -------
    (side_px, side_px // 2 + 1) float32 array
        Natural logarithm of |DFT|^2 / side_px^2, and a floor of `POWER_FLOOR` far below the noise of rounding.

    Raises
    ------
    FeatureError
        The image is smaller.
    """
    height, width = gray.shape
    if min(height, width) < side_px:
        raise FeatureError(f"{width}x{height} pixels: smaller than the {side_px}x{side_px} of the spectra")
    residual = central_window(high_passed(gray, high_pass), side_px)
    return np.asarray(np.log(power_spectrum(residual) + POWER_FLOOR), dtype=np.float32)


def high_passed(gray: np.ndarray, high_pass: HighPass) -> np.ndarray:
    """Return what a filter leaves of an (H, W) float32 image.

    "median": the image less its median over 3x3 pixels; "laplacian": as the features have it.
    """
    import cv2

    if high_pass == "laplacian":
        return np.asarray(numpy_backend().laplacian(gray[None], "float32")[0])
    return np.asarray(gray - cv2.medianBlur(np.ascontiguousarray(gray), MEDIAN_PX))


def centred(half: np.ndarray) -> np.ndarray:
    """Return the whole of a spectrum from its half, (N, N // 2 + 1) -> (N, N), the zero frequency in the middle."""
    n = len(half)
    mirrored = np.arange(n // 2 + 1, n)
    whole = np.concatenate([half, half[-np.arange(n)[:, None] % n, (n - mirrored)[None]]], axis=1)
    return np.asarray(np.fft.fftshift(whole))


def _gray(image: DecodedImage) -> np.ndarray:
    """Return the (H, W) luma in single precision, on the scale 0 to 255."""
    scale = np.float32(257 if image.pixels.dtype == np.uint16 else 1)
    return gray_of(image.pixels.astype(np.float32) / scale, is_ycc=image.is_ycc)
