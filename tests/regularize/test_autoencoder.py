"""The auto-encoder experiment: networks, measure and grid."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from spectral_detect.errors import DatasetError, FeatureError
from spectral_detect.regularize.autoencoder.experiment import run_grid
from spectral_detect.regularize.autoencoder.fidelity import compare_profiles, measure_fidelity
from spectral_detect.regularize.autoencoder.images import SplitImages, split_images
from spectral_detect.regularize.autoencoder.network import AutoEncoder, seeded_network
from spectral_detect.regularize.autoencoder.options import Architecture, Settings
from spectral_detect.regularize.autoencoder.results import Experiment
from spectral_detect.regularize.autoencoder.training import train_autoencoder
from spectral_detect.regularize.choices import Upsampling
from spectral_detect.regularize.loss import SpectralLoss
from spectral_detect.regularize.profiles import UPPER_QUARTER
from spectral_detect.report.autoencoder import table_row, write_numbers, write_pictures

UPSAMPLINGS: tuple[Upsampling, ...] = ("transconv", "upconv-nearest", "upconv-bilinear")
SMALL = Architecture("transconv", 3, 1, channels=8)
QUICK = Settings(epochs=1, batch_size=16)
COMMAND = ("regularize", "autoencoder")
TINY = ("--size", 32, "--kernels", 3, "--channels", 4, "--epochs", 1, "--batch-size", 16, "--threads", 1)


@pytest.fixture(scope="module")
def images(tiles: list[Image.Image]) -> SplitImages:
    return split_images(np.stack([np.asarray(tile)[:32, :32] for tile in tiles[:60]]), 60, seed=0)


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("kernel", [1, 3, 5, 11])
def test_the_output_has_the_shape_of_the_images(upsampling: Upsampling, layers: int, kernel: int) -> None:
    network = AutoEncoder(Architecture(upsampling, kernel, layers, channels=4))
    assert network(torch.zeros(2, 3, 16, 24)).shape == (2, 3, 16, 24)
    kernels = [tuple(p.shape[2:]) for name, p in network.decoder.named_parameters() if name.endswith("weight")]
    assert kernels == [(kernel, kernel)] * layers


def test_the_code_is_half_as_wide_and_high() -> None:
    assert AutoEncoder(Architecture("transconv", 5, 1)).encoder(torch.zeros(1, 3, 16, 24)).shape == (1, 32, 8, 12)


def test_an_untrained_transconv_adds_high_frequencies_to_a_smooth_code() -> None:
    """Constant images in: zeros between the code's pixels are what the kernel must fill in evenly, and does not."""
    grey = torch.zeros(1, 3, 32, 32)
    spread = {}
    for upsampling in ("transconv", "upconv-nearest"):
        output = seeded_network(Architecture(upsampling, 5, 1), 0)(grey).detach()[..., 8:24, 8:24]  # type: ignore[arg-type]
        spread[upsampling] = float(output.std(dim=(2, 3)).max())
    assert spread["upconv-nearest"] < 1e-6 < 0.01 < spread["transconv"]


@pytest.mark.parametrize("wrong", [{"kernel": 4}, {"kernel": -1}, {"layers": 0}, {"upsampling": "bicubic"}])
def test_networks_that_do_not_exist_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(FeatureError, match="kernel is odd, layers at least 1, upsampling transconv, upconv-nearest"):
        AutoEncoder(replace(SMALL, **wrong))  # type: ignore[arg-type]


def test_the_seed_chooses_the_weights_and_leaves_other_random_numbers_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    weights = [seeded_network(SMALL, seed).decoder[0].weight for seed in (1, 1, 2)]
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_the_loss_turns_the_gradient_of_the_network(images: SplitImages) -> None:
    spectral = SpectralLoss.from_images(images.training, distance="mse")
    x = torch.from_numpy(images.training[:16]).permute(0, 3, 1, 2).float() / 127.5 - 1

    def gradient(weight: float) -> torch.Tensor:
        network = seeded_network(SMALL, 0)
        output = network(x)
        (torch.nn.functional.mse_loss(output, x) + weight * spectral(output, x)).backward()
        return torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])

    cosine = torch.nn.functional.cosine_similarity(gradient(0), gradient(0.1), dim=0)
    assert cosine < 0.9


def test_images_are_as_their_originals_are(rng: np.random.Generator) -> None:
    images = rng.random((5, 32, 32, 3))
    fidelity = measure_fidelity(images, images)
    assert (fidelity.mse, fidelity.difference.per_image, fidelity.difference.signed) == (0, 0, 0)
    assert fidelity.frequency.shape == fidelity.mean_log.shape == fidelity.sd_log.shape


@pytest.mark.parametrize("gain", [0.5, 2.0])
def test_a_gain_above_the_bound_is_measured_as_its_logarithm(rng: np.random.Generator, gain: float) -> None:
    """Amplitudes times g: the log profile differs by 2 ln g, in the upper quarter and nowhere else.

    The noise of rounding that it holds, 1.3e-6, is a few ten thousandths of a power of 0.01.
    """
    images = np.repeat(0.5 + 0.1 * rng.standard_normal((6, 64, 64, 1)), 3, axis=3)
    radius = np.hypot(np.fft.fftfreq(64)[:, None], np.fft.fftfreq(64)[None, :])
    transform = np.fft.fft2(images, axes=(1, 2))
    filtered = np.fft.ifft2(transform * np.where(radius >= 0.5, gain, 1)[..., None], axes=(1, 2)).real
    difference = measure_fidelity(filtered, images).difference
    assert difference.signed == pytest.approx(2 * np.log(gain), abs=1e-3)
    assert difference.per_image == pytest.approx(2 * abs(np.log(gain)), abs=1e-3)
    below = np.fft.ifft2(transform * np.where(radius < 0.5, gain, 1)[..., None], axes=(1, 2)).real
    assert measure_fidelity(below, images).difference.per_image == pytest.approx(0, abs=1e-6)


def test_opposite_differences_cancel_in_the_means_only() -> None:
    frequency = np.array([0.1, 0.6, 0.7])
    outputs = np.array([[9.0, 1, 3], [9, -1, 1]])
    difference = compare_profiles(outputs, np.zeros((2, 3)), frequency)
    assert difference.per_image == 1.5
    assert difference.of_means == difference.signed == 1.0
    assert pytest.approx(0.5303, abs=1e-4) == UPPER_QUARTER


def test_profiles_of_other_images_are_refused() -> None:
    with pytest.raises(FeatureError, match="one per image of each"):
        compare_profiles(np.zeros((2, 3)), np.zeros((1, 3)), np.zeros(3))


def test_the_mse_is_of_pixels_from_minus_one_to_one() -> None:
    assert measure_fidelity(np.full((1, 16, 16, 3), 0.75), np.full((1, 16, 16, 3), 0.5)).mse == 0.25


def test_no_image_is_both_trained_on_and_measured_on(rng: np.random.Generator) -> None:
    images = np.broadcast_to(np.arange(100, dtype=np.uint8)[:, None, None, None], (100, 16, 16, 3))
    split = split_images(images, 80, seed=3)
    training, held_out = (set(part[:, 0, 0, 0].tolist()) for part in (split.training, split.held_out))
    assert (len(training), len(held_out), training & held_out) == (72, 8, set())
    with pytest.raises(DatasetError, match="54 images: 5 of them are held out, and at least 50"):
        split_images(images, 54, seed=0)


def test_the_same_seed_gives_the_same_numbers_for_any_number_of_jobs(images: SplitImages) -> None:
    architectures = [SMALL, replace(SMALL, upsampling="upconv-nearest")]
    once, again = (list(run_grid(images, architectures, QUICK, jobs=jobs)) for jobs in (1, 2))
    for a, b in zip(once, again, strict=True):
        assert (a.upsampling, a.plain.history, a.corrected.history) == (
            b.upsampling,
            b.plain.history,
            b.corrected.history,
        )
        assert np.array_equal(a.corrected.examples, b.corrected.examples)
    other = train_autoencoder(images, SMALL, replace(QUICK, seed=1, spectral_weight=0.0))
    assert other.history != once[0].plain.history


def test_the_pair_differs_in_the_loss_alone(images: SplitImages) -> None:
    cell = next(run_grid(images, [SMALL], replace(QUICK, spectral_weight=1e-12)))
    assert cell.plain.spectral_weight == 0
    assert cell.plain.history[-1].mse == pytest.approx(cell.corrected.history[-1].mse, rel=1e-4)
    assert cell.mse_ratio == pytest.approx(1, rel=1e-4)


def test_the_loss_brings_the_spectrum_closer(images: SplitImages) -> None:
    """Nearest up-sampling and one small convolution remove high frequencies, and the loss brings them back."""
    architecture = Architecture("upconv-nearest", 3, 1, channels=16)
    cell = next(run_grid(images, [architecture], Settings(epochs=30, batch_size=8), jobs=2))
    assert cell.plain.fidelity is not None and cell.plain.fidelity.difference.signed < -1
    assert cell.times_closer is not None and cell.times_closer > 1.5
    assert cell.corrected.history[-1].spectral < cell.plain.history[-1].spectral
    assert cell.plain.history[-1].mse < cell.plain.history[0].mse / 3
    assert [m.epoch for m in cell.plain.history][-2:] == [29, 30]


def test_warm_up_delays_the_loss(images: SplitImages) -> None:
    weighted = replace(QUICK, epochs=2, spectral_weight=1.0)
    early = {
        name: train_autoencoder(images, SMALL, settings).history[0].spectral
        for name, settings in {
            "none": replace(weighted, spectral_weight=0.0),
            "late": replace(weighted, warm_up=2.0),
            "at once": weighted,
        }.items()
    }
    assert early["none"] == pytest.approx(early["late"], rel=1e-6)  # the weight of the first step is 0
    assert early["at once"] != pytest.approx(early["none"], rel=1e-3)


@pytest.mark.parametrize(
    "change",
    [{"normalisation": "paper", "distance": "bce"}, {"distance": "bce"}, {"distance": "l1", "target": "mean"}],
)
def test_other_losses_train(images: SplitImages, change: dict[str, str]) -> None:
    trained = train_autoencoder(images, SMALL, replace(QUICK, **change))  # type: ignore[arg-type]
    assert trained.fidelity is not None
    assert np.isfinite(trained.history[-1].spectral)


def test_a_network_that_diverges_is_noticed(images: SplitImages, tmp_path: Path) -> None:
    cell = next(run_grid(images, [SMALL], replace(QUICK, learning_rate=1e30)))
    assert cell.has_diverged and cell.times_closer is None and cell.mse_ratio is None
    assert cell.plain.diverged_in is not None and cell.plain.diverged_in <= 1
    assert "diverged" in table_row(cell)
    assert cell.numbers()["plain_mse"] is None
    experiment = Experiment(measure_fidelity(images.originals, images.originals), images.originals[:2], (cell,))
    write_numbers(experiment, {}, str(tmp_path))
    write_pictures(experiment, str(tmp_path))
    assert "NaN" not in (tmp_path / "results.json").read_text()
    assert not (tmp_path / "profiles.png").exists()


def test_closing_the_grid_stops_its_training(images: SplitImages) -> None:
    cells = run_grid(images, [SMALL, replace(SMALL, kernel=5)], replace(QUICK, epochs=2), jobs=2)
    assert next(cells).kernel == 3
    cells.close()
    assert list(cells) == []
