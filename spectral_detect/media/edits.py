"""Edit decoded images, real and generated ones alike: blur, JPEG, crop, resize.

Edits serve to train on images as they arrive in the world, and to measure what each does to a detector.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Any

import numpy as np
import PIL.Image

from spectral_detect.errors import FeatureError
from spectral_detect.features.numpy_backend import ycc_to_rgb
from spectral_detect.features.reduced import in_8_bit
from spectral_detect.media.coding import Coding
from spectral_detect.media.images import DecodedImage, decode

WANG_MAX_SIGMA_PX = 3.0
WANG_QUALITIES = (30, 100)  # both included
WANG_CROP = 224 / 256
MIN_CROP_PX = 32  # nothing is cut from a smaller image


@dataclass(frozen=True)
class Edit:
    """Name an edit; `apply` does it.

    Attributes
    ----------
    name : str
        Name of the operation, such as "jpeg".
    strength : float or None
        The operation's quality, standard deviation in pixels, factor or share; None if it has none.
    seed : int
        Seed of the random choices, which also depend on the file's content: the same file is edited alike every time.
    """

    name: str
    strength: float | None = None
    seed: int = 0

    @property
    def title(self) -> str:
        """Return a title such as "jpeg 75"."""
        return self.name if self.strength is None else f"{self.name} {self.strength:g}"

    def apply(self, image: DecodedImage, content_sha256: str) -> DecodedImage:
        """Return the edited image; the size as displayed and the format stay those of the file."""
        rng = np.random.default_rng([self.seed, int(content_sha256[:15], 16)])
        pixels, is_ycc = OPERATIONS[self.name](image.pixels, image.is_ycc, self.strength, rng)
        metadata = image.metadata
        if metadata and self.name in ("jpeg", "phone"):
            quality = int(self.strength or 0)
            chroma = None if metadata.is_gray else "4:2:0"
            metadata = replace(metadata, jpeg_quality=quality, coding=Coding("JPEG", quality, chroma=chroma))
        return replace(image, pixels=pixels, is_ycc=is_ycc, metadata=metadata)


Pixels = tuple[np.ndarray, bool]  # (H, W) gray or (H, W, 3), and whether the channels are luma, Cb and Cr


def wang(pixels: np.ndarray, is_ycc: bool, probability: float | None, rng: np.random.Generator) -> Pixels:
    """Blur and compress an image, each with a probability, after a random crop: Wang et al., CVPR 2020, section 3.

    Gaussian blur with sigma uniform in [0, 3]; then JPEG with a quality uniform in 30..100, by OpenCV or Pillow at even
    odds. The crop keeps 224/256 of each side, as theirs of 224 from 256 pixels; nothing is resized.
    """
    chance = probability or 0.0
    image = random_crop(pixels, is_ycc, WANG_CROP, rng)
    sigma, quality = rng.uniform(0, WANG_MAX_SIGMA_PX), int(rng.integers(*WANG_QUALITIES, endpoint=True))
    does_blur, does_jpeg, by_opencv = rng.random(3) < (chance, chance, 0.5)
    if does_blur:
        image = blur(*image, sigma, rng)
    if does_jpeg:
        image = _through_jpeg(*image, quality, _encode_by_opencv if by_opencv else _encode_by_pillow)
    return image


def blur(pixels: np.ndarray, is_ycc: bool, sigma: float | None, rng: np.random.Generator) -> Pixels:
    """Blur with a Gaussian of standard deviation `sigma` in pixels, and round to 8 bit as an image file would be."""
    import cv2

    rgb = as_rgb(pixels, is_ycc)
    return (rgb if not sigma else np.asarray(cv2.GaussianBlur(rgb, (0, 0), sigma))), False


def jpeg(pixels: np.ndarray, is_ycc: bool, quality: float | None, rng: np.random.Generator) -> Pixels:
    """Save as JPEG by Pillow (4:2:0 chroma) and read again."""
    return _through_jpeg(pixels, is_ycc, int(quality or 0), _encode_by_pillow)


def resize(pixels: np.ndarray, is_ycc: bool, factor: float | None, rng: np.random.Generator) -> Pixels:
    """Resample to `factor` times the size with Lanczos' kernel."""
    picture = PIL.Image.fromarray(as_rgb(pixels, is_ycc))
    size = tuple(max(1, round(side * (factor or 1.0))) for side in picture.size)
    return np.asarray(picture.resize((size[0], size[1]), PIL.Image.Resampling.LANCZOS)), False


def random_crop(pixels: np.ndarray, is_ycc: bool, share: float | None, rng: np.random.Generator) -> Pixels:
    """Cut a window of `share` of each side at a random place, which need not lie on the grid of JPEG."""
    height, width = (max(min(side, MIN_CROP_PX), round(side * (share or 1.0))) for side in pixels.shape[:2])
    top = int(rng.integers(pixels.shape[0] - height, endpoint=True))
    left = int(rng.integers(pixels.shape[1] - width, endpoint=True))
    return np.ascontiguousarray(pixels[top : top + height, left : left + width]), is_ycc


def centre_crop(pixels: np.ndarray, is_ycc: bool, side: float | None, rng: np.random.Generator) -> Pixels:
    """Cut the centre square of `side` pixels, or as much of it as there is."""
    height, width = (min(length, int(side or length)) for length in pixels.shape[:2])
    top, left = round((pixels.shape[0] - height) / 2), round((pixels.shape[1] - width) / 2)
    return np.ascontiguousarray(pixels[top : top + height, left : left + width]), is_ycc


def unsharp(pixels: np.ndarray, is_ycc: bool, amount: float | None, rng: np.random.Generator) -> Pixels:
    """Sharpen: add `amount` times the difference to a blurred copy (sigma 1)."""
    import cv2

    rgb = as_rgb(pixels, is_ycc)
    weight = amount or 0.0
    return np.asarray(cv2.addWeighted(rgb, 1 + weight, cv2.GaussianBlur(rgb, (0, 0), 1.0), -weight, 0)), False


def denoise(pixels: np.ndarray, is_ycc: bool, size: float | None, rng: np.random.Generator) -> Pixels:
    """Smooth by a bilateral filter of diameter `size` in pixels, which keeps edges."""
    import cv2

    return np.asarray(cv2.bilateralFilter(as_rgb(pixels, is_ycc), int(size or 5), 25, 25)), False


def phone(pixels: np.ndarray, is_ycc: bool, quality: float | None, rng: np.random.Generator) -> Pixels:
    """Do what a phone's camera and a messenger do to a picture: denoise, sharpen, halve, save as JPEG."""
    image = unsharp(*denoise(pixels, is_ycc, 5, rng), 0.7, rng)
    return jpeg(*resize(*image, 0.5, rng), quality, rng)


Operation = Callable[[np.ndarray, bool, float | None, np.random.Generator], Pixels]
OPERATIONS: dict[str, Operation] = {
    "wang": wang,
    "blur": blur,
    "jpeg": jpeg,
    "resize": resize,
    "crop": random_crop,
    "centre": centre_crop,
    "sharpen": unsharp,
    "denoise": denoise,
    "phone": phone,
}

COPIES = 4


def augmentation(name: str, copies: int | None = None, seed: int = 0) -> tuple[Edit | None, ...]:
    """Return the edits of `train --augment`: "none", or "wang" with its probability, such as "wang0.5".

    Parameters
    ----------
    name : str
        "none" gives (None,), the image as it is.
    copies : int, optional
        Number of edited copies of each image; default `COPIES`.
    seed : int
        Different seeds give different copies.
    """
    if name == "none":
        return (None,)
    probability = float(name.removeprefix("wang"))
    return tuple(Edit("wang", probability, (seed << 16) + copy) for copy in range(copies or COPIES))


ROBUSTNESS = (
    *(Edit("jpeg", quality) for quality in (95, 90, 75, 50)),
    *(Edit("blur", sigma) for sigma in (1, 2, 4)),
    *(Edit("resize", factor) for factor in (0.5, 0.75, 1.5)),
    Edit("crop", 0.75),
)
CENTRE_224 = Edit("centre", 224)  # the test images of Wang et al.


def as_rgb(pixels: np.ndarray, is_ycc: bool) -> np.ndarray:
    """Return 8 bit pixels, (H, W) gray or (H, W, 3) RGB."""
    return ycc_to_rgb(in_8_bit(pixels)) if is_ycc else in_8_bit(pixels)


def _through_jpeg(pixels: np.ndarray, is_ycc: bool, quality: int, encode: Callable[[np.ndarray, int], bytes]) -> Pixels:
    image = decode(encode(as_rgb(pixels, is_ycc), quality), colour=True)
    return image.pixels, image.is_ycc


def _encode_by_pillow(rgb: np.ndarray, quality: int) -> bytes:
    stream = BytesIO()
    PIL.Image.fromarray(rgb).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def _encode_by_opencv(rgb: np.ndarray, quality: int) -> bytes:
    import cv2

    bgr: Any = rgb if rgb.ndim == 2 else rgb[..., ::-1]
    done, content = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise FeatureError("OpenCV could not save the image as JPEG")
    return bytes(content)
