"""Edits: what Wang et al. say, label-blind, repeatable."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from conftest import EXAMPLES
from spectral_detect.audit.dataset_audit import audit_dataset
from spectral_detect.extraction.one_file import Extractor
from spectral_detect.features.spec import FeatureSpec
from spectral_detect.media.edits import OPERATIONS, ROBUSTNESS, Edit, as_rgb, augmentation
from spectral_detect.media.images import DecodedImage, read_image
from spectral_detect.training.dataset import read_dataset
from spectral_detect.training.labelled_files import files_in_folders

HASH = "5" * 64
PROCESSING = (Edit("sharpen", 1), Edit("denoise", 5), Edit("phone", 85))


@pytest.fixture(scope="module")
def photograph() -> DecodedImage:
    return read_image(EXAMPLES / "real" / "Aqua.png", colour=True)


def noise(height: int = 64, width: int = 80, seed: int = 0) -> DecodedImage:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return DecodedImage(pixels, width, height, "PNG")


def power_above(image: DecodedImage, frequency: float) -> float:
    gray = as_rgb(image.pixels, image.is_ycc).mean(axis=2)
    power = np.abs(np.fft.fft2(gray - gray.mean())) ** 2
    radius = np.hypot(np.fft.fftfreq(gray.shape[0])[:, None], np.fft.fftfreq(gray.shape[1])[None, :])
    return float(power[radius > frequency].mean())


def test_blur_has_the_gain_of_a_gaussian() -> None:
    """Its transfer function at the frequency f is exp(-2 (pi sigma f)^2), so 0.21 for sigma 1 at 0.28."""
    image = noise(256, 256)
    edited = Edit("blur", 1).apply(image, HASH)
    ring = [power_above(i, 0.27) - power_above(i, 0.29) for i in (image, edited)]
    assert ring[0] != 0
    assert power_above(edited, 0.4) < 0.01 * power_above(image, 0.4)
    assert power_above(edited, 0.05) / power_above(image, 0.05) < 0.1


def test_jpeg_leaves_luma_and_chroma_planes_and_costs_more_at_lower_quality(photograph: DecodedImage) -> None:
    original = as_rgb(photograph.pixels, photograph.is_ycc).astype(float)
    errors = []
    for quality in (95, 75, 50):
        edited = Edit("jpeg", quality).apply(photograph, HASH)
        assert edited.is_ycc
        errors.append(np.abs(as_rgb(edited.pixels, True) - original).mean())
    assert 0 < errors[0] < errors[1] < errors[2] < 10


def test_resize_and_crop_give_the_size_they_say() -> None:
    image = noise(100, 140)
    assert Edit("resize", 0.5).apply(image, HASH).pixels.shape == (50, 70, 3)
    assert Edit("resize", 1.5).apply(image, HASH).pixels.shape == (150, 210, 3)
    assert Edit("crop", 0.75).apply(image, HASH).pixels.shape == (75, 105, 3)
    assert Edit("crop", 0.5).apply(noise(40, 140), HASH).pixels.shape == (32, 70, 3)  # no less than 32
    assert Edit("crop", 0.5).apply(noise(20, 20), HASH).pixels.shape == (20, 20, 3)


def test_a_crop_is_a_window_of_the_image_and_lies_anywhere() -> None:
    image = noise(64, 64)
    corners = set()
    for seed in range(40):
        window = Edit("crop", 0.75, seed).apply(image, HASH).pixels
        places = [
            (y, x) for y in range(17) for x in range(17) if (image.pixels[y : y + 48, x : x + 48] == window).all()
        ]
        assert len(places) == 1
        corners.update(places)
    assert len(corners) > 30
    assert {y % 8 for y, _ in corners} == set(range(8))


def test_processing_changes_what_it_says(photograph: DecodedImage) -> None:
    before = power_above(photograph, 0.3)
    assert power_above(Edit("sharpen", 1).apply(photograph, HASH), 0.3) > 1.5 * before
    assert power_above(Edit("denoise", 5).apply(photograph, HASH), 0.3) < before
    assert Edit("phone", 85).apply(photograph, HASH).pixels.shape == (128, 128, 3)


@pytest.mark.parametrize("edit", [*ROBUSTNESS, *PROCESSING, Edit("wang", 1.0)], ids=lambda e: e.title)
@pytest.mark.parametrize("kind", ["gray", "deep", "float", "ycc"])
def test_every_edit_takes_every_kind_of_image(edit: Edit, kind: str) -> None:
    pixels = noise(48, 64).pixels
    pixels = {
        "gray": pixels[..., 0],
        "deep": pixels.astype(np.uint16) * 257,
        "float": pixels[..., 0].astype(np.float32),
        "ycc": pixels,
    }[kind]
    before = pixels.copy()
    edited = edit.apply(DecodedImage(pixels, 64, 48, "PNG", is_ycc=kind == "ycc"), HASH)
    assert np.isfinite(edited.pixels).all()
    assert edited.pixels.ndim == pixels.ndim
    np.testing.assert_array_equal(pixels, before)


def test_wang_edits_as_often_as_its_probability_says(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = {"blur": [], "jpeg": []}

    def blur(pixels: np.ndarray, is_ycc: bool, sigma: float, rng: object) -> tuple[np.ndarray, bool]:
        calls["blur"].append(sigma)
        return pixels, is_ycc

    def jpeg(pixels: np.ndarray, is_ycc: bool, quality: int, encode: object) -> tuple[np.ndarray, bool]:
        calls["jpeg"].append((quality, encode.__name__))
        return pixels, is_ycc

    monkeypatch.setattr("spectral_detect.media.edits.blur", blur)
    monkeypatch.setattr("spectral_detect.media.edits._through_jpeg", jpeg)
    image, n = noise(40, 40), 2000
    for seed in range(n):
        edited = Edit("wang", 0.1, seed).apply(image, HASH)
        assert edited.pixels.shape == (35, 35, 3)
    assert 0.07 * n < len(calls["blur"]) < 0.13 * n
    assert 0.07 * n < len(calls["jpeg"]) < 0.13 * n
    assert 0 <= min(calls["blur"]) < 0.2
    assert 2.8 < max(calls["blur"]) <= 3
    qualities = [q for q, _ in calls["jpeg"]]
    assert 30 <= min(qualities) < 36
    assert 94 < max(qualities) <= 100
    by_opencv = np.mean([name == "_encode_by_opencv" for _, name in calls["jpeg"]])
    assert 0.35 < by_opencv < 0.65


def test_an_edit_depends_on_seed_and_content_and_nothing_else() -> None:
    image = noise()
    edit = Edit("wang", 0.5, 3)
    first, again = (edit.apply(image, HASH).pixels for _ in range(2))
    np.testing.assert_array_equal(first, again)
    others = [edit.apply(image, "6" * 64), Edit("wang", 0.5, 4).apply(image, HASH)]
    assert all(o.pixels.shape != first.shape or (o.pixels != first).any() for o in others)


def test_augmentation_names() -> None:
    assert augmentation("none") == (None,)
    edits = augmentation("wang0.1", 3, seed=7)
    assert [(e.name, e.strength) for e in edits if e] == [("wang", 0.1)] * 3
    assert len({e.seed for e in edits if e} | {e.seed for e in augmentation("wang0.1", 3, seed=8) if e}) == 6
    assert set(OPERATIONS) >= {e.name for e in (*ROBUSTNESS, *PROCESSING)}


def test_the_copies_of_an_image_stay_in_one_group() -> None:
    files = files_in_folders([str(EXAMPLES / "real")], [str(EXAMPLES / "fake")])
    spec = FeatureSpec.preset("azimuthal", n_bins=20)
    dataset = read_dataset(files, Extractor(spec, augmentation("wang0.5", 3)))
    assert len(dataset.y) == 72
    assert dataset.n_groups == read_dataset(files, Extractor(spec)).n_groups
    for path in {s.path for s in dataset.samples}:
        mine = [k for k, s in enumerate(dataset.samples) if s.path == path]
        assert len(mine) == 3
        assert len(set(dataset.groups[mine])) == 1
        assert len({dataset.y[k] for k in mine}) == 1
        assert len({dataset.features[k].tobytes() for k in mine}) == 3


def test_copies_of_a_lookalike_are_one_pair() -> None:
    files = files_in_folders([str(EXAMPLES / "real")], [str(EXAMPLES / "fake")])
    spec = FeatureSpec.preset("azimuthal", n_bins=20)
    result = audit_dataset(read_dataset(files, Extractor(spec, (None, Edit("jpeg", 90), Edit("jpeg", 50)))))
    assert (result.n_real, result.n_fake) == (12, 12)
    assert 11 <= result.duplicates.near.across.n_pairs <= 12


def test_a_file_that_fails_fails_once(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    files = files_in_folders([str(EXAMPLES / "real"), str(tmp_path)], [str(EXAMPLES / "fake")])
    dataset = read_dataset(files, Extractor(FeatureSpec.preset("azimuthal"), augmentation("wang0.5", 2)))
    assert [f.path for f in dataset.failures] == [str(tmp_path / "bad.png")]
    assert len(dataset.y) == 48
