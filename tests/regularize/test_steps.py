"""Steps of training, and the trainer's batches."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from regularize.conftest import random_images
from spectral_detect.errors import SpectralDetectError
from spectral_detect.regularize.bank import real_bank
from spectral_detect.regularize.gan.options import TrainingOptions
from spectral_detect.regularize.gan.samples import to_uint8
from spectral_detect.regularize.gan.steps import Gan, to_tensor
from spectral_detect.regularize.gan.trainer import Trainer
from spectral_detect.regularize.profiles import mean_profile
from spectral_detect.regularize.torch_device import choose_device


@pytest.mark.parametrize("objective", ["dcgan", "lsgan", "dragan", "wgan-gp"])
@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_a_step_trains_one_network_and_leaves_the_other(
    objective: Any, weight: float, options: TrainingOptions
) -> None:
    chosen = replace(options, objective=objective, spectral_weight=weight)
    gan = Gan(chosen, mean_profile(random_images()), torch.device("cpu"))
    weights = {net: nn.utils.parameters_to_vector(net.parameters()).clone() for net in (gan.G, gan.D)}

    def has_changed(net: nn.Module) -> bool:
        return not torch.equal(nn.utils.parameters_to_vector(net.parameters()), weights[net])

    losses = gan.step_d(to_tensor(random_images(8), gan.device))
    assert has_changed(gan.D)
    assert not has_changed(gan.G)
    assert ("penalty" in losses) == (objective in ("dragan", "wgan-gp"))
    weights[gan.D] = nn.utils.parameters_to_vector(gan.D.parameters()).clone()
    losses = gan.step_g(8)
    assert has_changed(gan.G)
    assert not has_changed(gan.D)
    assert set(losses) == {"loss_g", "spectral_loss"}
    assert losses["spectral_loss"].requires_grad == (weight > 0)


def test_a_spectral_discriminator_learns_with_d_from_the_first_epoch_of_its_loss_on(options: TrainingOptions) -> None:
    images = random_images()
    chosen = replace(options, spectral_weight=2.0, spectral_from=2, distance="discriminator")
    gan = Gan(chosen, mean_profile(images), torch.device("cpu"), real_bank(images, "profile"))

    def weights() -> torch.Tensor:
        return nn.utils.parameters_to_vector(gan.spectral.parameters()).clone()

    x, initial = to_tensor(images[:8], gan.device), weights()
    gan.begin_epoch(1)
    gan.step_d(x)
    assert torch.equal(weights(), initial)
    gan.begin_epoch(2)
    gan.step_d(x)
    learned = weights()
    assert not torch.equal(learned, initial)
    gan.step_g(8)
    assert torch.equal(weights(), learned)


def test_critics_step_more_often(faces: Path, options: TrainingOptions, tmp_path: Path) -> None:
    trainer = Trainer(replace(options, objective="wgan-gp"), tmp_path, random_images(96), mean_profile(random_images()))
    (losses, *_) = trainer.epochs(lambda: False, lambda step: None)
    assert trainer.n_batches == 6
    assert losses.penalty is not None
    assert int(trainer.gan.adam_g.state_dict()["state"][0]["step"]) == 3  # one in each of three epochs
    assert int(trainer.gan.adam_d.state_dict()["state"][0]["step"]) == 18


def test_too_few_batches_for_a_step_of_the_generator_are_refused(options: TrainingOptions, tmp_path: Path) -> None:
    images = random_images(79)  # four batches, and the critic makes five steps first
    with pytest.raises(SpectralDetectError, match="would never learn; give `batch_size=15` or less"):
        Trainer(replace(options, objective="wgan-gp"), tmp_path, images, mean_profile(images))


def test_pixels_survive_the_way_to_tensors_and_back() -> None:
    images = random_images(4)
    np.testing.assert_array_equal(to_uint8(to_tensor(images, torch.device("cpu"))), images)


def test_each_image_is_shown_once_an_epoch_some_mirrored(options: TrainingOptions, tmp_path: Path) -> None:
    images = random_images(64)
    trainer = Trainer(options, tmp_path, images, mean_profile(images))
    shown = np.concatenate([to_uint8(x) for x in trainer._batches()])
    known = {image.tobytes(): k for k, image in enumerate(images)}
    mirrored = {np.ascontiguousarray(image[:, ::-1]).tobytes(): k for k, image in enumerate(images)}
    as_they_are = [known[x.tobytes()] for x in shown if x.tobytes() in known]
    turned = [mirrored[x.tobytes()] for x in shown if x.tobytes() in mirrored]
    assert sorted(as_they_are + turned) == list(range(64))
    assert 16 < len(turned) < 48
    again = np.concatenate([to_uint8(x) for x in trainer._batches()])
    np.testing.assert_array_equal(shown, again)
    trainer.progress.epoch = 1
    assert not np.array_equal(shown, np.concatenate([to_uint8(x) for x in trainer._batches()]))


def test_a_gpu_that_is_not_there_is_said() -> None:
    assert choose_device("cpu", 1).type == "cpu"
    if torch.cuda.is_available():
        assert choose_device("gpu", 1).type == "cuda"
        return
    assert choose_device("auto", 1).type == "cpu"
    with pytest.raises(Exception, match=r"`device=gpu`: .*; use `device=cpu`"):
        choose_device("gpu", 1)
