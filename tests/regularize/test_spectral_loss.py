"""The spectral loss: the same rings as the detector's, a gradient that reaches the generator, the right direction."""

from __future__ import annotations

import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from regularize.conftest import natural
from spectral_detect import SpectralLoss, azimuthal_average, power_spectrum
from spectral_detect.errors import DatasetError, ExtraMissingError, FeatureError
from spectral_detect.regularize.bank import real_bank
from spectral_detect.regularize.gan.options import TrainingOptions
from spectral_detect.regularize.gan.steps import Gan
from spectral_detect.regularize.loss import RadialProfile
from spectral_detect.regularize.profiles import ROUNDING_POWER, RealProfile, log_profiles, mean_profile, radial_profiles

pytestmark = pytest.mark.usefixtures("in_this_process")

LOSSES = (("log", "bce"), ("log", "mse"), ("log", "l1"), ("paper", "bce"))


def as_batch(images: np.ndarray) -> torch.Tensor:
    """(N, H, W) from 0 to 1 -> (N, 3, H, W) from -1 to 1."""
    return torch.from_numpy(2 * images - 1).unsqueeze(1).expand(-1, 3, -1, -1).contiguous()


@pytest.fixture(scope="module")
def photographs() -> np.ndarray:
    return natural(np.random.default_rng(0))


@pytest.mark.parametrize("shape", [(32, 32), (31, 33), (24, 40), (64, 64)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rings_and_profile_are_those_of_the_detector(
    shape: tuple[int, int], dtype: torch.dtype, rng: np.random.Generator
) -> None:
    images = rng.random((3, *shape))
    expected, frequency = azimuthal_average(power_spectrum(images), shape[1])
    operator = RadialProfile(shape)
    profile = operator(torch.from_numpy(images).to(dtype)).numpy()
    np.testing.assert_allclose(profile, expected, rtol=1e-4 if dtype == torch.float32 else 1e-12)
    np.testing.assert_array_equal(operator.frequency, frequency)


def test_the_profiles_of_the_loss_are_those_of_gray_images_from_0_to_1(rng: np.random.Generator) -> None:
    colour = rng.integers(0, 256, (50, 16, 16, 3), dtype=np.uint8)
    loss = SpectralLoss.from_images(colour)
    batch = torch.from_numpy(colour).permute(0, 3, 1, 2).float() / 127.5 - 1
    np.testing.assert_allclose(loss.profiles(batch).numpy(), radial_profiles(colour)[0], rtol=1e-4)
    from_0_to_1 = SpectralLoss.from_images(colour, value_range=(0.0, 1.0))
    torch.testing.assert_close(from_0_to_1((batch + 1) / 2), loss(batch), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("normalisation", "distance"), LOSSES)
@pytest.mark.parametrize("per", ["batch", "image"])
@pytest.mark.parametrize("has_target", [False, True])
def test_the_gradient_is_that_of_finite_differences(
    normalisation: Any, distance: Any, per: Any, has_target: bool, rng: np.random.Generator
) -> None:
    loss = SpectralLoss.from_images(natural(rng, 50, 10), normalisation=normalisation, distance=distance, per=per)
    images = as_batch(natural(rng, 2, 10)).requires_grad_()
    like = as_batch(natural(rng, 2, 10)) if has_target else None
    assert torch.autograd.gradcheck(lambda x: loss(x, like), (images,))


def test_the_direction_of_the_generators_gradient_changes_with_the_weight(rng: np.random.Generator) -> None:
    """Of the published code only its length does: there the loss is a constant to the graph."""
    reals = mean_profile(natural(rng, 50, 32))
    gradients = {}
    for weight in (0.0, 0.5, 2.0):
        gan = Gan(TrainingOptions("", size=32, channels=8, spectral_weight=weight), reals, torch.device("cpu"))
        gan.random.manual_seed(0)
        gan.step_g(8)
        gradients[weight] = torch.cat([p.grad.flatten() for p in gan.G.parameters()])  # type: ignore[union-attr]
    cosines = [torch.cosine_similarity(gradients[0.0], gradients[w], dim=0).item() for w in (0.5, 2.0)]
    assert cosines[1] < cosines[0] < 0.99
    # and what comes on top is the gradient of the loss, in proportion to its weight
    added = [gradients[w] - gradients[0.0] for w in (0.5, 2.0)]
    torch.testing.assert_close(4 * added[0], added[1], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("normalisation", "distance"), LOSSES)
def test_it_rises_when_high_frequencies_go_and_falls_when_they_come_back(
    normalisation: Any, distance: Any, photographs: np.ndarray
) -> None:
    loss = SpectralLoss.from_images(photographs, normalisation=normalisation, distance=distance)
    values = [loss(as_batch(gaussian_filter(photographs, (0, s, s), mode="wrap"))).item() for s in (1.0, 0.7, 0.4, 0.0)]
    assert values == sorted(values, reverse=True)
    assert values[0] > values[-1]


def test_it_rises_when_high_frequencies_are_added(photographs: np.ndarray, rng: np.random.Generator) -> None:
    loss = SpectralLoss.from_images(photographs)
    noise = rng.normal(size=photographs.shape)
    noise -= gaussian_filter(noise, (0, 1, 1), mode="wrap")
    values = [loss(as_batch(photographs + amount * noise)).item() for amount in (0.0, 0.05, 0.2)]
    assert values == sorted(values)


def test_descending_on_it_corrects_the_spectrum(photographs: np.ndarray) -> None:
    loss = SpectralLoss.from_images(photographs)
    blurred = as_batch(gaussian_filter(photographs[:4], (0, 1, 1), mode="wrap"))
    images = blurred.clone().requires_grad_()
    adam = torch.optim.Adam([images], 0.01)
    before = loss(images).item()
    for _ in range(60):
        adam.zero_grad()
        loss(images).backward()
        adam.step()
    assert loss(images).item() - loss.floor < 0.2 * (before - loss.floor)
    mean = loss.reals.mean_log
    gaps = [np.abs(log_profiles(loss.profiles(x).detach().numpy()).mean(0) - mean).mean() for x in (blurred, images)]
    assert gaps[1] < 0.3 * gaps[0]


@pytest.mark.parametrize(("normalisation", "distance"), LOSSES)
def test_the_floor_is_reached_by_the_mean_profile_itself(normalisation: Any, distance: Any) -> None:
    flat = np.full(11, 0.01)
    reals = RealProfile((16, 16), 50, flat, np.log(flat + ROUNDING_POWER), np.full(11, 0.3), flat)
    loss = SpectralLoss(reals, normalisation=normalisation, distance=distance)
    profile = torch.from_numpy(np.concatenate([[1.0], flat]))[None]
    assert loss._distance(profile, None).item() == pytest.approx(loss.floor, abs=1e-6)
    assert loss._distance(profile * 2, None).item() >= loss.floor


def test_an_image_is_at_no_distance_from_itself(photographs: np.ndarray) -> None:
    batch = as_batch(photographs[:4])
    for distance in ("mse", "l1"):
        loss = SpectralLoss.from_images(photographs, distance=distance, per="image")
        assert loss(batch, like=batch).item() == 0
        assert loss(batch, like=batch.flip(0)).item() > 0


def test_per_batch_images_may_differ_as_camera_images_do(photographs: np.ndarray) -> None:
    """The reals themselves are at the floor; by the paper's way images that are all alike would be better than they."""
    whole = as_batch(photographs)
    losses = {per: SpectralLoss.from_images(photographs, distance="mse", per=per) for per in ("batch", "image")}  # type: ignore[arg-type]
    assert losses["batch"](whole).item() == pytest.approx(0, abs=1e-9)
    assert losses["image"](whole).item() == pytest.approx(np.square(losses["image"].reals.sd_log).mean())
    assert losses["batch"](whole, like=whole.flip(0)).item() == pytest.approx(0, abs=1e-9)


def test_the_papers_normalisation_lies_between_0_and_1(rng: np.random.Generator) -> None:
    loss = SpectralLoss.from_images(rng.random((50, 16, 16)), normalisation="paper")
    assert 0 < loss.reals.mean_ratio.min() <= loss.reals.mean_ratio.max() < 1
    for images in (torch.rand(2, 16, 16) * 2 - 1, torch.ones(2, 16, 16), -torch.ones(2, 16, 16)):
        assert torch.isfinite(loss(images))


def test_half_precision_is_computed_in_single(photographs: np.ndarray) -> None:
    loss = SpectralLoss.from_images(photographs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(as_batch(photographs).bfloat16())
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(loss(as_batch(photographs)).item(), abs=0.05)


def test_black_images_have_a_finite_loss_and_gradient(photographs: np.ndarray) -> None:
    for normalisation, distance in LOSSES:
        loss = SpectralLoss.from_images(photographs, normalisation=normalisation, distance=distance)
        black = torch.full((2, 3, 32, 32), -1.0, requires_grad=True)
        loss(black).backward()
        assert torch.isfinite(black.grad).all()


def test_wrong_use_is_named(photographs: np.ndarray) -> None:
    with pytest.raises(DatasetError, match="49 images: a mean profile needs at least 50"):
        mean_profile(photographs[:49])
    with pytest.raises(FeatureError, match="features 'pixels': it is one of profile, azimuthal, residual"):
        SpectralLoss.from_images(photographs, features="pixels")  # type: ignore[arg-type]
    with pytest.raises(FeatureError, match="normalisation 'cubic'"):
        SpectralLoss.from_images(photographs, normalisation="cubic")
    with pytest.raises(FeatureError, match="per 'pixel': it is one of batch, image"):
        SpectralLoss.from_images(photographs, per="pixel")
    with pytest.raises(FeatureError, match="goes with normalisation 'log'"):
        SpectralLoss.from_images(photographs, normalisation="paper", distance="l1")
    loss = SpectralLoss.from_images(photographs)
    for shape in ((2, 3, 16, 16), (2, 4, 32, 32), (0, 3, 32, 32), (32, 32), (2, 3, 1, 32, 32)):
        with pytest.raises(FeatureError, match=r"a tensor of shape .* of 32x32 pixels"):
            loss(torch.zeros(shape))
    with pytest.raises(FeatureError, match="a ndarray: this loss is for"):
        loss(photographs)
    with pytest.raises(FeatureError, match="like holds 3 images, and there are 2"):
        loss(torch.zeros(2, 32, 32), like=torch.zeros(3, 32, 32))
    for value_range in ((1.0, 1.0), (1.0, 0.0), (0.0, float("nan"))):
        with pytest.raises(FeatureError, match="the values of black and of white"):
            SpectralLoss.from_images(photographs, value_range=value_range)


@pytest.mark.parametrize(
    "scaled", [lambda x: 2 * x - 1, lambda x: 255 * x, lambda x: x * np.nan, lambda x: (9 * x).astype(int)]
)
def test_reals_on_another_scale_are_refused(scaled: Any, photographs: np.ndarray) -> None:
    with pytest.raises(FeatureError, match="that are not uint8 nor all from 0 to 1"):
        SpectralLoss.from_images(scaled(photographs))


def test_reals_of_another_shape_are_refused(photographs: np.ndarray) -> None:
    for images in (photographs[..., None], np.zeros((60, 3, 32, 32)), list(photographs), photographs[0]):
        with pytest.raises(FeatureError, match=r"expected an array \(N, H, W, 3\) or \(N, H, W\)"):
            SpectralLoss.from_images(images)  # type: ignore[arg-type]


def test_without_torch_the_library_says_how_to_get_it() -> None:
    code = "import sys; sys.modules['torch'] = None; from spectral_detect import SpectralLoss"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ExtraMissingError: SpectralLoss needs PyTorch: pip install '.[torch]' in the checkout" in done.stderr
    assert issubclass(ExtraMissingError, ImportError)


@pytest.mark.parametrize(
    "module",
    [
        "reals",
        "profiles",
        "gan.options",
        "gan.monitor",
        "gan.log",
        "autoencoder.options",
        "autoencoder.images",
        "autoencoder.fidelity",
        "autoencoder.results",
    ],
)
def test_what_needs_no_torch_does_not_load_it(module: str) -> None:
    """The worker processes that read images import `reals`; the command line and the reports import the others."""
    code = f"import sys, spectral_detect.regularize.{module}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_without_torch_all_else_works() -> None:
    code = (
        "import spectral_detect as s, sys\n"
        "[getattr(s, name) for name in s.__all__ if name != 'SpectralLoss']\n"
        "from spectral_detect.cli.regularize import autoencoder, sample, train\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("largest", [0, 255])
def test_camera_images_that_do_not_differ_are_refused(largest: int, rng: np.random.Generator) -> None:
    one = rng.integers(0, largest + 1, (1, 32, 32, 3), dtype=np.uint8)
    with pytest.raises(DatasetError, match="80 images whose spectra do not differ"):
        SpectralLoss.from_images(np.repeat(one, 80, axis=0))
    with pytest.raises(DatasetError, match="80 images whose 'azimuthal' features do not differ"):
        real_bank(np.repeat(one, 80, axis=0), "azimuthal")


@pytest.mark.parametrize(
    ("scale", "offset", "said"),
    [(1.0, 0.0, None), (3.0, 0.0, None), (0.5, 0.5, "none of them dark, for"), (127.5, 127.5, "far beyond")],
)
def test_values_of_another_range_are_warned_of_once(
    scale: float, offset: float, said: str | None, photographs: np.ndarray
) -> None:
    loss = SpectralLoss.from_images(photographs)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            loss(as_batch(photographs[:8]) * scale + offset)
    assert [str(w.message).partition(", ")[2].partition(" value_range")[0] for w in caught] == [said][: bool(said)]
    assert all(w.filename == __file__ for w in caught)


def test_an_array_of_another_order_is_told_how_to_turn(rng: np.random.Generator) -> None:
    with pytest.raises(FeatureError, match=r"shape \(60, 3, 32, 32\): .*`\.transpose\(0, 2, 3, 1\)`"):
        SpectralLoss.from_images(rng.random((60, 3, 32, 32)))
    with pytest.raises(FeatureError, match=r"a Tensor: .*`\.numpy\(\)` makes one"):
        SpectralLoss.from_images(torch.zeros(60, 32, 32, 3))  # type: ignore[arg-type]
