"""The spectral loss on the detector's features, and between distributions: same numbers, right gradient, no bias."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from regularize.conftest import natural
from spectral_detect import SpectralLoss
from spectral_detect.errors import DatasetError, FeatureError
from spectral_detect.features.extract import extract_features
from spectral_detect.features.spec import FeatureSpec
from spectral_detect.regularize.bank import RealBank, real_bank, whitening_of
from spectral_detect.regularize.detector_features import DetectorFeatures
from spectral_detect.regularize.distances import BankDistance
from spectral_detect.regularize.gan.options import TrainingOptions
from spectral_detect.regularize.profiles import mean_profile

DISTANCES = ("bce", "mse", "l1", "energy", "mmd")
FEATURES = ("profile", "azimuthal", "residual")
NEW = [(f, d) for f, d in product(FEATURES, DISTANCES) if f != "profile" or d in ("energy", "mmd")]


def coloured(rng: np.random.Generator, n: int = 60, size: int = 32) -> np.ndarray:
    """(n, size, size, 3) uint8 with a falling spectrum, planes that go together but not wholly."""
    luma = natural(rng, n, size)
    own = [0.8 * luma + 0.2 * natural(rng, n, size) for _ in range(3)]
    return np.rint(255 * np.stack(own, axis=-1)).astype(np.uint8)


def as_batch(images: np.ndarray) -> torch.Tensor:
    """(N, H, W, 3) uint8 -> (N, 3, H, W) from -1 to 1."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


@pytest.fixture(scope="module")
def photographs() -> np.ndarray:
    return coloured(np.random.default_rng(0), 120)


@pytest.mark.parametrize("features", ["azimuthal", "residual"])
@pytest.mark.parametrize("shape", [(32, 32), (40, 33), (64, 64), (72, 96)])
def test_features_are_the_numbers_that_the_detector_gets(
    features: Any, shape: tuple[int, int], rng: np.random.Generator
) -> None:
    images = coloured(rng, 5, max(shape))[:, : shape[0], : shape[1]]
    images[0] = rng.integers(0, 256, (*shape, 3))
    expected = extract_features(np.ascontiguousarray(images), FeatureSpec.preset(features))
    if features == "residual":
        expected = expected.mean(axis=1)  # over tiles
    found = DetectorFeatures(features, shape)(255 * (as_batch(images) + 1) / 2).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-4)
    assert found[0] != pytest.approx(found[1], abs=0.1)


@pytest.mark.parametrize("features", ["azimuthal", "residual"])
def test_gray_images_have_the_features_of_gray_images(features: Any, rng: np.random.Generator) -> None:
    gray = coloured(rng, 3)[..., 0]
    expected = extract_features(np.ascontiguousarray(gray), FeatureSpec.preset(features))
    expected = expected.mean(axis=1) if features == "residual" else expected
    for tensor in (torch.from_numpy(gray).float(), torch.from_numpy(gray).float()[:, None]):
        np.testing.assert_allclose(DetectorFeatures(features, (32, 32))(tensor).numpy(), expected, atol=2e-4)


@pytest.mark.parametrize("features", ["azimuthal", "residual"])
def test_pixels_between_two_levels_are_rounded_as_in_a_file(features: Any, rng: np.random.Generator) -> None:
    images = torch.from_numpy(coloured(rng, 3)).permute(0, 3, 1, 2).float()
    shifted = images + torch.from_numpy(rng.uniform(-0.49, 0.49, images.shape)).float()
    network = DetectorFeatures(features, (32, 32))
    torch.testing.assert_close(network(shifted), network(images.clamp(0, 255)))
    assert not torch.allclose(DetectorFeatures(features, (32, 32), is_rounded=False)(shifted), network(images))


@pytest.mark.parametrize("features", ["azimuthal", "residual"])
def test_the_gradient_of_features_is_that_of_finite_differences(features: Any, rng: np.random.Generator) -> None:
    images = torch.from_numpy(rng.uniform(50, 200, (1, 3, 32, 32))).requires_grad_()
    direction = torch.from_numpy(rng.normal(size=(1, 3, 32, 32)))
    network = DetectorFeatures(features, (32, 32), is_rounded=False)
    weights = torch.from_numpy(rng.normal(size=network(images).shape[-1]))

    def value(x: torch.Tensor) -> torch.Tensor:
        return (network(x) @ weights).sum()

    value(images).backward()
    assert images.grad is not None
    step = 1e-5
    with torch.no_grad():
        slope = (value(images + step * direction) - value(images - step * direction)) / (2 * step)
    assert (images.grad * direction).sum().item() == pytest.approx(slope.item(), rel=1e-3)


@pytest.mark.parametrize(("features", "distance"), NEW)
def test_camera_images_are_nearer_to_others_than_blurred_ones(
    features: Any, distance: Any, photographs: np.ndarray, rng: np.random.Generator
) -> None:
    loss = SpectralLoss.from_images(photographs, features=features, distance=distance)
    others = coloured(rng, 64)
    blurred = [gaussian_filter(others, (0, s, s, 0), mode="wrap") for s in (0.0, 0.5, 1.0)]
    values = [loss(as_batch(x)).item() - loss.floor for x in blurred]
    assert values == sorted(values)
    assert values[2] > 5 * abs(values[0])


@pytest.mark.parametrize(("features", "distance"), NEW)
def test_descending_on_it_brings_images_nearer(features: Any, distance: Any, photographs: np.ndarray) -> None:
    loss = SpectralLoss.from_images(photographs, features=features, distance=distance)
    blurred = as_batch(gaussian_filter(photographs[:16], (0, 0.7, 0.7, 0), mode="wrap"))
    images = blurred.clone().requires_grad_()
    adam = torch.optim.Adam([images], 0.01)
    before = loss(images).item() - loss.floor
    for _ in range(40):
        adam.zero_grad()
        loss(images).backward()
        assert torch.isfinite(images.grad).all()  # type: ignore[arg-type]
        adam.step()
    assert loss(images).item() - loss.floor < 0.7 * before


@pytest.mark.parametrize("distance", ["energy", "mmd"])
def test_a_right_mean_is_not_enough_for_a_distribution(distance: Any, rng: np.random.Generator) -> None:
    """Images that are all alike have no distance from the mean profile, and a large one from the distribution."""
    vectors = rng.normal(size=(1000, 4))
    bank = RealBank((8, 8), "profile", vectors.astype(np.float32), vectors.mean(axis=0), whitening_of(vectors))
    alike = torch.from_numpy(np.tile(vectors.mean(axis=0), (64, 1)))
    assert BankDistance(bank, "mse", "batch")(alike).item() == pytest.approx(0, abs=1e-9)
    measured = BankDistance(bank, distance, "batch")
    others = [measured(torch.from_numpy(rng.normal(size=(64, 4)))).item() for _ in range(50)]
    assert measured(alike).item() > 10 * max(others)
    assert abs(np.mean(others)) < 3 * np.std(others) / np.sqrt(len(others)) + 2e-3  # no bias, though batches are small


@pytest.mark.parametrize("features", FEATURES)
def test_images_come_nearer_by_deceiving_a_network_that_learns_in_turn(features: Any, photographs: np.ndarray) -> None:
    torch.manual_seed(0)
    loss = SpectralLoss.from_images(photographs, features=features, distance="discriminator")
    judge = torch.optim.Adam(loss.parameters(), 0.002, (0.5, 0.999))
    images = as_batch(gaussian_filter(photographs[:32], (0, 0.7, 0.7, 0), mode="wrap")).requires_grad_()
    adam = torch.optim.Adam([images], 0.01, (0.5, 0.999))
    reals = as_batch(photographs[:64])
    energy = SpectralLoss.from_images(photographs, features=features, distance="energy")
    before = energy(images).item()
    for step in range(150):
        judge.zero_grad()
        own = loss.discriminator_loss(reals, images)
        own.backward()
        judge.step()
        if step == 50:
            assert images.grad is None  # its own loss has no gradient there
            assert own.item() < 0.5 * 2 * np.log(2)  # it has learned to tell them
            assert loss(images).item() > 2 * loss.floor > 3 * loss(reals).item()
        if step >= 50:
            adam.zero_grad()
            loss(images).backward()
            adam.step()
    assert energy(images).item() < 0.2 * before


def test_distances_have_the_values_of_their_equations(rng: np.random.Generator) -> None:
    vectors, x = rng.normal(size=(60, 3)), rng.normal(size=(5, 3)) + 1
    bank = RealBank((8, 8), "profile", vectors.astype(np.float32), np.zeros(3), np.eye(3))

    def between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.asarray(np.linalg.norm(a[:, None] - b[None], axis=-1))

    def of_pairs(values: np.ndarray) -> float:
        return float(values[~np.eye(len(values), dtype=bool)].mean())

    among = of_pairs(between(vectors, vectors))
    energy = (2 * between(x, vectors).mean() - of_pairs(between(x, x)) - among) / among
    assert BankDistance(bank, "energy", "batch")(torch.from_numpy(x)).item() == pytest.approx(energy, abs=1e-4)

    off = ~np.eye(60, dtype=bool)
    median = np.sort((between(vectors, vectors) ** 2)[off])[(off.sum() - 1) // 2]

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        widths = np.array([0.25, 0.5, 1, 2, 4])[:, None, None]
        return np.asarray(np.exp(-(between(a, b) ** 2) / (2 * widths * median)).mean(axis=0))

    mmd = of_pairs(kernel(x, x)) - 2 * kernel(x, vectors).mean() + of_pairs(kernel(vectors, vectors))
    assert BankDistance(bank, "mmd", "batch")(torch.from_numpy(x)).item() == pytest.approx(mmd, abs=1e-4)


def test_whitened_vectors_have_unit_variance_in_all_directions_that_vary(rng: np.random.Generator) -> None:
    mixed = rng.normal(size=(2000, 3)) @ rng.normal(size=(3, 6)) * np.array([1, 1, 100, 1, 0.01, 0])  # rank 3
    whitened = (mixed - mixed.mean(axis=0)) @ whitening_of(mixed)
    assert whitened.shape[1] == 3
    np.testing.assert_allclose(np.cov(whitened.T), np.eye(3), atol=0.05)


@pytest.mark.parametrize(("features", "distance"), [(f, d) for f, d in NEW if d != "bce"])
def test_an_image_is_at_no_distance_from_itself(features: Any, distance: Any, photographs: np.ndarray) -> None:
    loss = SpectralLoss.from_images(photographs, features=features, distance=distance)
    batch = as_batch(photographs[:20])
    blurred = as_batch(gaussian_filter(photographs[:20], (0, 1, 1, 0), mode="wrap"))
    assert loss(batch, like=batch).item() < loss(batch, like=blurred).item()
    if distance in ("mse", "l1"):
        assert loss(batch, like=batch).item() == 0


def test_half_precision_is_computed_in_single(photographs: np.ndarray) -> None:
    for features, distance in NEW:
        loss = SpectralLoss.from_images(photographs, features=features, distance=distance)  # type: ignore[arg-type]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert loss(as_batch(photographs[:8]).bfloat16()).dtype == torch.float32


def test_images_without_detail_have_a_finite_loss_and_gradient(photographs: np.ndarray) -> None:
    for features, distance in NEW:
        loss = SpectralLoss.from_images(photographs, features=features, distance=distance)  # type: ignore[arg-type]
        for level in (-1.0, 0.0, 1.0):
            flat = torch.full((3, 3, 32, 32), level, requires_grad=True)
            loss(flat).backward()
            assert torch.isfinite(flat.grad).all(), (features, distance)  # type: ignore[arg-type]


def test_wrong_use_is_named(photographs: np.ndarray) -> None:
    with pytest.raises(FeatureError, match="distance 'discriminator' is between distributions: it goes with per"):
        SpectralLoss.from_images(photographs, distance="discriminator", per="image")
    for distance in ("energy", "mmd"):
        with pytest.raises(FeatureError, match=f"distance '{distance}' is between distributions: it goes with per"):
            SpectralLoss.from_images(photographs, distance=distance, per="image")  # type: ignore[arg-type]
        loss = SpectralLoss.from_images(photographs, distance=distance)  # type: ignore[arg-type]
        with pytest.raises(FeatureError, match="give a batch of 2 or more"):
            loss(as_batch(photographs[:1]))
    learning = SpectralLoss.from_images(photographs, distance="discriminator")
    batch = as_batch(photographs[:2])
    with pytest.raises(FeatureError, match="'discriminator' compares with all camera images: leave `like` out"):
        learning(batch, like=batch)
    with pytest.raises(FeatureError, match="distance 'bce' learns nothing: this is for 'discriminator'"):
        SpectralLoss.from_images(photographs).discriminator_loss(batch, batch)
    with pytest.raises(FeatureError, match="features 'azimuthal' are logarithms: they go with normalisation 'log'"):
        SpectralLoss.from_images(photographs, features="azimuthal", normalisation="paper")
    with pytest.raises(FeatureError, match="compares with a bank of 'azimuthal' of camera images of 32x32 pixels"):
        SpectralLoss(mean_profile(photographs), features="azimuthal")
    with pytest.raises(FeatureError, match="compares with a bank of 'azimuthal'"):
        SpectralLoss(mean_profile(photographs), features="azimuthal", bank=real_bank(photographs, "profile"))
    with pytest.raises(FeatureError, match="compares with a bank of 'profile' of camera images of 16x16"):
        small = np.ascontiguousarray(photographs[:, :16, :16])
        SpectralLoss(mean_profile(small), distance="mmd", bank=real_bank(photographs, "profile"))
    with pytest.raises(DatasetError, match="49 images: a bank needs at least 50"):
        real_bank(photographs[:49], "profile")
    with pytest.raises(FeatureError, match="8x8 pixels: 'azimuthal' needs 16 at least"):
        DetectorFeatures("azimuthal", (8, 8))
    with pytest.raises(FeatureError, match="512x512 pixels: 'residual' has a gradient below 512 only"):
        DetectorFeatures("residual", (512, 512))


def test_reals_in_floating_point_are_rounded_as_in_a_file(photographs: np.ndarray) -> None:
    np.testing.assert_array_equal(
        real_bank(photographs / 255, "residual").vectors, real_bank(photographs, "residual").vectors
    )


def test_options_that_no_loss_has_are_refused_before_any_image_is_read() -> None:
    for changes in ({"features": "pixels"}, {"distance": "mmd", "per": "image"}, {"distance": "cosine"}):
        with pytest.raises(FeatureError):
            TrainingOptions("", **changes).check()  # type: ignore[arg-type]


def test_a_run_begun_before_features_could_be_chosen_compares_profiles() -> None:
    values = TrainingOptions("faces").to_dict()
    del values["features"]
    assert TrainingOptions.from_dict(values).features == "profile"


def test_a_folder_gives_the_same_loss_as_its_images(tmp_path: Any, photographs: np.ndarray) -> None:
    from PIL import Image

    for k, image in enumerate(photographs[:60]):
        Image.fromarray(image).save(tmp_path / f"{k:03d}.png")
    batch = as_batch(photographs[60:70])
    of_folder = SpectralLoss.from_folder(tmp_path, 32, features="azimuthal", distance="energy")
    of_images = SpectralLoss.from_images(photographs[:60], features="azimuthal", distance="energy")
    torch.testing.assert_close(of_folder(batch), of_images(batch))
