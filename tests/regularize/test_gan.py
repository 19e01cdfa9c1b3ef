"""Networks, objectives, the steps of training, runs that are interrupted, and their commands."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import scipy.linalg
import torch
from PIL import Image
from torch import nn

from conftest import Run as RunCommand
from spectral_detect.errors import CheckpointError, ExtraMissingError, FeatureError, ModelFileError
from spectral_detect.parallel.work import Work
from spectral_detect.regularize.gan import inception as fid
from spectral_detect.regularize.gan import objectives
from spectral_detect.regularize.gan import run as running
from spectral_detect.regularize.gan.checkpoints import CHECKPOINT_FILE, load_checkpoint, save_checkpoint
from spectral_detect.regularize.gan.monitor import Watch, detector_auroc, frechet_distance
from spectral_detect.regularize.gan.networks import LATENT, Discriminator, Generator, extra_convolutions
from spectral_detect.regularize.gan.objectives import OBJECTIVES
from spectral_detect.regularize.gan.options import TrainingOptions, read_options
from spectral_detect.regularize.gan.run import LOG_FILE, Hooks, load_generator, read_log, train_gan
from spectral_detect.regularize.gan.steps import Diverged, Gan, sample_images, to_tensor, to_uint8
from spectral_detect.regularize.profiles import mean_profile
from spectral_detect.regularize.torch_device import choose_device

SMALL = ("--size", 32, "--channels", 8, "--batch-size", 16, "--n-watched", 50, "--threads", 1, "--device", "cpu")


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred images of 36x32 pixels with something in them."""
    folder = tmp_path_factory.mktemp("faces")
    rng = np.random.default_rng(0)
    for k in range(100):
        coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((36, 32), Image.Resampling.BICUBIC)
        noisy = np.asarray(image) + rng.normal(0, 6, (32, 36, 3))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{k:03d}.png")
    return folder


@pytest.fixture
def options(faces: Path) -> TrainingOptions:
    return TrainingOptions(
        str(faces), size=32, channels=8, batch_size=16, epochs=3, n_watched=50, threads=1, device="cpu"
    )


# networks


@pytest.mark.parametrize("size", [32, 64, 128])
@pytest.mark.parametrize("upsampling", ["transconv", "upconv-nearest", "upconv-bilinear"])
@pytest.mark.parametrize("topology", ["baseline", "v1", "v2", "v3", "v4"])
def test_generators_of_each_kind_give_images_of_the_size(size: int, upsampling: Any, topology: Any) -> None:
    torch.manual_seed(0)
    G = Generator(size, upsampling, topology, 8)
    with torch.no_grad():
        images = G(torch.randn(2, LATENT))
    assert images.shape == (2, 3, size, size)
    assert images.abs().max() <= 1
    assert not torch.equal(images[0], images[1])
    assert images.std() > 0
    n_up = {32: 3, 64: 4, 128: 5}[size]
    kernels = [m.kernel_size[0] for m in G.layers if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    assert kernels.count(5) == sum(extra_convolutions(topology, n_up))
    assert len(kernels) - kernels.count(5) == n_up


def test_the_topologies_are_those_of_the_supplement() -> None:
    assert [extra_convolutions(name, 4) for name in ("baseline", "v1", "v2", "v3", "v4")] == [  # type: ignore[arg-type]
        [0, 0, 0, 0],
        [0, 0, 1, 1],
        [0, 0, 0, 2],
        [1, 1, 1, 1],
        [0, 0, 0, 3],
    ]
    last = [m for m in Generator(32, "transconv", "v4", 8).layers if isinstance(m, nn.Conv2d)]
    assert [(m.in_channels, m.out_channels, m.kernel_size) for m in last] == [
        (32, 32, (5, 5)),
        (32, 32, (5, 5)),
        (32, 3, (5, 5)),
    ]


@pytest.mark.parametrize("size", [32, 64, 128])
def test_discriminators_judge_each_image(size: int) -> None:
    for normalisation in ("batch", "layer"):
        assert Discriminator(size, normalisation, 8)(torch.randn(2, 3, size, size)).shape == (2,)  # type: ignore[arg-type]


def test_where_a_penalty_needs_it_images_do_not_depend_on_one_another() -> None:
    x = torch.randn(4, 3, 32, 32)
    D = Discriminator(32, "layer", 8)
    torch.testing.assert_close(D(x)[:1], D(x[:1]))
    assert {name: o.normalisation for name, o in OBJECTIVES.items() if o.penalty} == {
        "dragan": "layer",
        "wgan-gp": "layer",
    }


def test_other_sizes_are_refused() -> None:
    with pytest.raises(FeatureError, match="size 48: it is one of 32, 64, 128"):
        Generator(48)
    with pytest.raises(FeatureError, match="upsampling 'sinc'"):
        Generator(32, "sinc")  # type: ignore[arg-type]


# objectives


def test_losses_are_those_of_the_papers() -> None:
    real, fake = torch.tensor([0.0, 2.0]), torch.tensor([1.0, -1.0])
    D = torch.sigmoid
    torch.testing.assert_close(objectives.dcgan_d(real, fake), -(D(real).log().mean() + (1 - D(fake)).log().mean()))
    torch.testing.assert_close(objectives.dcgan_g(fake), -D(fake).log().mean())
    torch.testing.assert_close(objectives.lsgan_d(real, fake), torch.tensor((1 + 1) / 2 / 2 + (1 + 1) / 2 / 2))
    torch.testing.assert_close(objectives.lsgan_g(fake), torch.tensor((0 + 4) / 2 / 2))
    torch.testing.assert_close(objectives.wgan_d(real, fake), torch.tensor(0.0 - 1.0))
    torch.testing.assert_close(objectives.wgan_g(fake), torch.tensor(0.0))


class Plane(nn.Module):
    """D(x) = w.x, whose gradient is w everywhere."""

    def __init__(self, norm: float) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.full((3, 4, 4), norm / 48**0.5))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (self.w * x).flatten(1).sum(1)


@pytest.mark.parametrize("name", ["dragan", "wgan-gp"])
def test_the_penalty_is_the_squared_excess_of_the_gradients_norm(name: Any) -> None:
    penalty = OBJECTIVES[name].penalty
    assert penalty is not None
    x, fake = torch.randn(5, 3, 4, 4), torch.randn(5, 3, 4, 4)
    for norm in (1.0, 3.0, 0.5):
        D = Plane(norm)
        value = penalty(D, x, fake, torch.Generator().manual_seed(0))
        assert value.item() == pytest.approx((norm - 1) ** 2, abs=1e-5)
    value.backward()  # type: ignore[no-untyped-call]
    assert D.w.grad is not None
    assert (D.w.grad < 0).all()  # too flat: it becomes steeper


def test_where_the_penalties_look() -> None:
    seen = []

    class Spy(Plane):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            seen.append(x.detach())
            return super().forward(x)

    x, fake = torch.zeros(50, 3, 4, 4), torch.ones(50, 3, 4, 4)
    objectives.wgan_gp_penalty(Spy(1), x, fake, torch.Generator().manual_seed(0))
    assert torch.equal(seen[0], seen[0][:, :1, :1, :1].expand_as(seen[0]))  # one place between for each image
    assert 0 <= seen[0].min() < 0.2
    assert 0.8 < seen[0].max() <= 1
    x = torch.randn(50, 3, 4, 4)
    objectives.dragan_penalty(Spy(1), x, fake, torch.Generator().manual_seed(0))
    away = seen[1] - x
    assert away.min() >= 0
    assert 0.3 * x.std() < away.max() <= 0.5 * x.std()


# steps


def random_images(n: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 32, 32, 3), dtype=np.uint8)


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


def test_critics_step_more_often(faces: Path, options: TrainingOptions, tmp_path: Path) -> None:
    run = running.Run(replace(options, objective="wgan-gp"), tmp_path, random_images(96), mean_profile(random_images()))
    (row, *_) = run.epochs(lambda: False, lambda losses: None)
    assert run.n_batches == 6
    assert row["penalty"] is not None
    assert int(run.gan.adam_g.state_dict()["state"][0]["step"]) == 3  # one in each of three epochs
    assert int(run.gan.adam_d.state_dict()["state"][0]["step"]) == 18


def test_pixels_survive_the_way_to_tensors_and_back() -> None:
    images = random_images(4)
    np.testing.assert_array_equal(to_uint8(to_tensor(images, torch.device("cpu"))), images)


def test_each_image_is_shown_once_an_epoch_some_mirrored(options: TrainingOptions, tmp_path: Path) -> None:
    images = random_images(64)
    run = running.Run(options, tmp_path, images, mean_profile(images))
    shown = np.concatenate([to_uint8(x) for x in run._batches()])
    known = {image.tobytes(): k for k, image in enumerate(images)}
    mirrored = {np.ascontiguousarray(image[:, ::-1]).tobytes(): k for k, image in enumerate(images)}
    as_they_are = [known[x.tobytes()] for x in shown if x.tobytes() in known]
    turned = [mirrored[x.tobytes()] for x in shown if x.tobytes() in mirrored]
    assert sorted(as_they_are + turned) == list(range(64))
    assert 16 < len(turned) < 48
    again = np.concatenate([to_uint8(x) for x in run._batches()])
    np.testing.assert_array_equal(shown, again)
    run.progress.epoch = 1
    assert not np.array_equal(shown, np.concatenate([to_uint8(x) for x in run._batches()]))


def test_the_spectral_loss_brings_the_spectrum_to_the_reals(
    options: TrainingOptions, tmp_path: Path, faces: Path
) -> None:
    distances = {}
    for weight in (0.0, 2.0):
        folder = tmp_path / str(weight)
        folder.mkdir()
        chosen = replace(options, epochs=8, spectral_weight=weight)
        train_gan(chosen, folder, Work(jobs=0), Hooks())
        distances[weight] = read_log(folder)[-1]["spectral_distance"]
    assert distances[2.0] < 0.6 * distances[0.0]


def test_samples_do_not_depend_on_how_many_are_made() -> None:
    G = Generator(32, channels=8)
    many = np.concatenate(list(sample_images(G, 70, 5)))
    few = np.concatenate(list(sample_images(G, 3, 5)))
    np.testing.assert_array_equal(many[:3], few)
    assert many.shape == (70, 32, 32, 3)
    assert G.training
    assert not np.array_equal(np.concatenate(list(sample_images(G, 3, 6))), few)


# measures


def test_frechet_distance_of_normal_distributions(rng: np.random.Generator) -> None:
    X, Y = rng.normal(size=(300, 5)) @ rng.normal(size=(5, 5)), 2 + rng.normal(size=(200, 5))
    cov_x, cov_y = np.cov(X.T), np.cov(Y.T)
    root = scipy.linalg.sqrtm(cov_x @ cov_y).real
    expected = np.square(X.mean(0) - Y.mean(0)).sum() + np.trace(cov_x + cov_y - 2 * root)
    assert frechet_distance(X, Y) == pytest.approx(expected)
    assert frechet_distance(X, X + 3) == pytest.approx(5 * 9)
    few = rng.normal(size=(4, 5))  # fewer samples than features
    assert frechet_distance(few, few) == pytest.approx(0, abs=1e-9)


def test_the_detector_separates_what_is_separable(rng: np.random.Generator) -> None:
    X = rng.normal(size=(100, 20))
    assert detector_auroc(X, X + 3) > 0.99
    assert 0.3 < detector_auroc(X, rng.normal(size=(100, 20))) < 0.7


def test_measures_of_reals_of_doubled_pixels_and_of_a_collapse() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (200, 32, 32, 3), dtype=np.uint8)
    watch = Watch(images[:100], inception=lambda x: x.mean(axis=(1, 2)))
    same, other = watch.measure(images[:100]), watch.measure(images[100:])
    doubled = watch.measure(np.repeat(np.repeat(images[100:, ::2, ::2], 2, axis=1), 2, axis=2))
    assert same.spectral_distance == 0
    assert same.fid == pytest.approx(0, abs=1e-6)
    assert other.spectral_distance < 0.1
    assert 0.3 < other.detector_auroc < 0.7
    assert doubled.high_frequency_distance > doubled.spectral_distance > 10 * other.spectral_distance
    assert doubled.detector_auroc > 0.99
    assert doubled.spectral_frechet > 10 * other.spectral_frechet
    assert other.fid is not None
    assert not doubled.warnings
    assert watch.measure(np.repeat(images[:1], 100, axis=0)).warnings == [
        "collapse: samples vary 0.00 times as much as camera images do"
    ]


# runs


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """The log without what the clock says."""
    return [{key: value for key, value in row.items() if key != "seconds"} for row in read_log(folder)]


@pytest.mark.parametrize("objective", ["dcgan", "wgan-gp"])
def test_an_interrupted_run_goes_on_to_the_same_numbers(
    objective: Any, options: TrainingOptions, tmp_path: Path
) -> None:
    options = replace(options, objective=objective, spectral_weight=1.0)
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    assert train_gan(options, tmp_path / "whole", Work(jobs=0), Hooks())
    n_steps = 0

    def stop_at(step: int) -> Callable[[], bool]:
        def should_stop() -> bool:
            nonlocal n_steps
            n_steps += 1
            return n_steps == step

        return should_stop

    parts = tmp_path / "parts"
    for step in (4, 13):  # in the middle of the first epoch, and of the third
        n_steps = n_steps if step > 4 else 0
        assert not train_gan(options, parts, Work(jobs=0), Hooks(should_stop=stop_at(step)), resume=step > 4)
    assert len(rows_of(parts)) == 2
    with open(parts / LOG_FILE, "a") as log:  # as if it had been killed between log and checkpoint
        log.write(json.dumps({"epoch": 3}) + '\n{"epo')
    assert train_gan(options, parts, Work(jobs=0), Hooks(), resume=True)
    assert rows_of(parts) == rows_of(tmp_path / "whole")
    ends = [load_checkpoint(tmp_path / name / CHECKPOINT_FILE).tensors for name in ("whole", "parts")]
    assert set(ends[0]) == set(ends[1])
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_more_epochs_can_be_added(options: TrainingOptions, tmp_path: Path) -> None:
    for name in ("whole", "parts"):
        (tmp_path / name).mkdir()
    train_gan(options, tmp_path / "whole", Work(jobs=0), Hooks())
    train_gan(replace(options, epochs=2), tmp_path / "parts", Work(jobs=0), Hooks())
    train_gan(options, tmp_path / "parts", Work(jobs=0), Hooks(), resume=True)
    assert rows_of(tmp_path / "parts") == rows_of(tmp_path / "whole")


def test_the_seed_decides(options: TrainingOptions, tmp_path: Path) -> None:
    rows = []
    for number, seed in enumerate((0, 0, 1)):
        folder = tmp_path / str(number)
        folder.mkdir()
        train_gan(replace(options, epochs=1, seed=seed), folder, Work(jobs=0), Hooks())
        rows.append(rows_of(folder))
    assert rows[0] == rows[1] != rows[2]


def test_a_loss_that_is_no_number_ends_the_run(
    options: TrainingOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_calls = 0

    def breaks(d_fake: torch.Tensor) -> torch.Tensor:
        nonlocal n_calls
        n_calls += 1
        return d_fake.mean() * (float("nan") if n_calls == 9 else 1.0)

    monkeypatch.setitem(OBJECTIVES, "dcgan", replace(OBJECTIVES["dcgan"], loss_g=breaks))
    message = "diverged in epoch 2, batch 3: loss_g nan; the checkpoint is that of epoch 1; lower --learning-rate"
    with pytest.raises(Diverged, match=message):
        train_gan(options, tmp_path, Work(jobs=0), Hooks())
    assert all(torch.isfinite(t).all() for t in load_checkpoint(tmp_path / CHECKPOINT_FILE).part("G").values())
    assert [row["epoch"] for row in read_log(tmp_path)] == [1]


def test_checkpoints_of_others_are_refused(options: TrainingOptions, tmp_path: Path) -> None:
    options = replace(options, epochs=1)
    train_gan(options, tmp_path, Work(jobs=0), Hooks())
    with pytest.raises(CheckpointError, match="trained with other options: topology 'v3', not 'baseline'"):
        train_gan(replace(options, topology="v3"), tmp_path, Work(jobs=0), Hooks(), resume=True)
    path = tmp_path / CHECKPOINT_FILE
    content = path.read_bytes()
    path.write_bytes(content.replace(b'\\"topology\\": \\"baseline\\"', b'\\"topology\\": \\"v4\\"      '))
    with pytest.raises(CheckpointError, match="the generator in the checkpoint is of another size or topology"):
        load_generator(tmp_path)
    path.write_bytes(content.replace(b'\\"topology\\": \\"baseline\\"', b'\\"topology\\": \\"v9\\"      '))
    with pytest.raises(FeatureError, match="topology 'v9'"):
        load_generator(tmp_path)
    for damaged in (content[:-100], content[:50], b"", b"\x80\x04K\x01.", np.random.default_rng(0).bytes(1000)):
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="is damaged or not a checkpoint of this program"):
            load_generator(tmp_path)
    path.unlink()
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        load_generator(tmp_path)


def test_checkpoints_with_mad_contents_are_refused(options: TrainingOptions, tmp_path: Path) -> None:
    train_gan(replace(options, epochs=1), tmp_path, Work(jobs=0), Hooks())
    path = tmp_path / CHECKPOINT_FILE
    whole = load_checkpoint(path)
    for progress in ({"epoch": -5}, {"batch": "x"}, {"batch": 10**6}, {"other": 1}, None):
        save_checkpoint(path, whole.tensors, {**whole.values, "progress": progress})
        with pytest.raises(CheckpointError, match="does not say how far the run had come"):
            train_gan(options, tmp_path, Work(jobs=0), Hooks(), resume=True)
    save_checkpoint(path, whole.tensors, {**whole.values, "options": {**options.to_dict(), "channels": 10**9}})
    with pytest.raises(FeatureError, match="channels 1000000000: it is a whole number from 1 to 512"):
        load_generator(tmp_path)
    stored = {name: tensor.clone() for name, tensor in whole.tensors.items()}
    path.write_bytes(safetensors.torch.save(stored, metadata={"spectral_detect": "[" * 100_000}))
    with pytest.raises(CheckpointError, match="is damaged or not a checkpoint"):
        load_generator(tmp_path)
    stored["G.start.weight"].fill_(float("nan"))
    save_checkpoint(path, stored, whole.values)
    with pytest.raises(Diverged, match="values that are no numbers"):
        list(sample_images(load_generator(tmp_path), 2, 0))


def test_other_images_are_noticed(options: TrainingOptions, tmp_path: Path, faces: Path) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(faces, data)
    options = replace(options, data=str(data))
    train_gan(replace(options, epochs=1), run, Work(jobs=0), Hooks())
    moved = data.rename(tmp_path / "moved")
    assert train_gan(replace(options, data=str(moved), epochs=2), run, Work(jobs=0), Hooks(), resume=True)
    (moved / "000.png").write_bytes((moved / "001.png").read_bytes())
    with pytest.raises(CheckpointError, match="was trained on other images than those of"):
        train_gan(replace(options, data=str(moved)), run, Work(jobs=0), Hooks(), resume=True)


def test_a_complete_run_says_so(options: TrainingOptions, tmp_path: Path) -> None:
    notes: list[str] = []
    train_gan(options, tmp_path, Work(jobs=0), Hooks())
    assert train_gan(replace(options, epochs=2), tmp_path, Work(jobs=0), Hooks(on_note=notes.append), resume=True)
    assert notes == ["the run is complete: 3 epochs; raise --epochs to go on"]
    assert read_options(tmp_path).epochs == 3


def test_options_of_strangers_are_checked(tmp_path: Path, options: TrainingOptions) -> None:
    path = tmp_path / "options.json"
    for content, message in (
        ("nothing", "damaged: not JSON"),
        ("[]", "does not hold the options"),
        ("{}", "not the options of a training run of this version"),
        (json.dumps({**options.to_dict(), "code": 1}), "not the options of a training run of this version"),
    ):
        path.write_text(content)
        with pytest.raises(CheckpointError, match=message):
            read_options(tmp_path)
    path.write_text(json.dumps(options.to_dict()))
    assert read_options(tmp_path) == options
    path.write_text("[" * 100_000)
    with pytest.raises(CheckpointError, match="damaged: not JSON"):
        read_options(tmp_path)
    path.write_text(json.dumps({**options.to_dict(), "threads": 10**9}))
    with pytest.raises(FeatureError, match="threads 1000000000"):
        read_options(tmp_path)
    path.write_text(json.dumps({**options.to_dict(), "channels": "8"}))
    with pytest.raises(FeatureError, match="channels '8': it is a whole number"):
        read_options(tmp_path)


def test_a_gpu_that_is_not_there_is_said() -> None:
    assert choose_device("cpu", 1).type == "cpu"
    if torch.cuda.is_available():
        assert choose_device("gpu", 1).type == "cuda"
        return
    assert choose_device("auto", 1).type == "cpu"
    with pytest.raises(Exception, match=r"--device gpu: .*; use --device cpu"):
        choose_device("gpu", 1)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_trains_as_a_cpu_does(options: TrainingOptions, tmp_path: Path) -> None:
    rows = {}
    for device in ("cpu", "gpu"):
        folder = tmp_path / device
        folder.mkdir()
        train_gan(replace(options, epochs=1, device=device, spectral_weight=1.0), folder, Work(jobs=0), Hooks())  # type: ignore[arg-type]
        rows[device] = read_log(folder)[0]
    assert rows["gpu"]["loss_d"] == pytest.approx(rows["cpu"]["loss_d"], rel=0.1)
    assert rows["gpu"]["spectral_loss"] == pytest.approx(rows["cpu"]["spectral_loss"], rel=0.1)


# the FID


def test_without_weights_or_their_library_the_run_goes_on(options: TrainingOptions, tmp_path: Path) -> None:
    notes: list[str] = []
    chosen = replace(options, epochs=1, fid=str(tmp_path / "none.pth"))
    assert train_gan(chosen, tmp_path, Work(jobs=0), Hooks(on_note=notes.append))
    assert notes[0].startswith("the FID is not measured")
    assert read_log(tmp_path)[0]["fid"] is None


def test_what_is_wrong_with_the_weights_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelFileError, match="no such file; --fid takes weights-inception"):
        fid.load_inception(str(tmp_path / "none.pth"), torch.device("cpu"))
    (tmp_path / "some.pth").write_bytes(b"nothing")
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(ExtraMissingError, match=r"pip install 'spectral-detect\[fid\]'"):
        fid.load_inception(str(tmp_path / "some.pth"), torch.device("cpu"))


class Inception(nn.Module):
    """In place of torch-fidelity's, which takes the weights as it does and gives features as it does."""

    def __init__(self, name: str, features_list: list[str], feature_extractor_weights_path: Any) -> None:
        super().__init__()
        assert (name, features_list) == ("inception-v3-compat", ["2048"])
        self.weight = nn.Parameter(torch.empty(3, 2048))
        self.load_state_dict(torch.load(feature_extractor_weights_path, weights_only=False))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        assert images.dtype == torch.uint8
        return (images.float().mean(dim=(2, 3)) @ self.weight,)


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_the_fid_is_that_of_inceptions_features(
    options: TrainingOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = ModuleType("torch_fidelity.feature_extractor_inceptionv3")
    module.FeatureExtractorInceptionV3 = Inception  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch_fidelity", ModuleType("torch_fidelity"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    weights = tmp_path / "weights.pth"
    torch.save({"weight": torch.randn(3, 2048)}, weights)
    embed = fid.load_inception(str(weights), torch.device("cpu"))
    images = random_images(120)
    expected = images.mean(axis=(1, 2)) @ torch.load(weights)["weight"].numpy()
    np.testing.assert_allclose(embed(images), expected, rtol=1e-4, atol=1e-3)
    (tmp_path / "run").mkdir()
    train_gan(replace(options, epochs=1, fid=str(weights)), tmp_path / "run", Work(jobs=0), Hooks())
    assert read_log(tmp_path / "run")[0]["fid"] > json.loads((tmp_path / "run" / "reals.json").read_text())["fid"] > 0

    torch.save({"weight": Hostile(tmp_path / "was_here")}, weights)
    with pytest.raises(ModelFileError, match="holds something else than tensors, and was not loaded"):
        fid.load_inception(str(weights), torch.device("cpu"))
    assert not (tmp_path / "was_here").exists()
    torch.save({"other": torch.zeros(2)}, weights)
    with pytest.raises(ModelFileError, match="does not hold Inception's weights"):
        fid.load_inception(str(weights), torch.device("cpu"))


# commands


def test_train_and_sample(run: RunCommand, faces: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    result = run("regularize", "train", faces, "-o", folder, *SMALL, "--epochs", 2, "--spectral-weight", 2)
    assert result.exit_code == 0
    assert result.stderr == ""
    printed, heading, reals, first, second = result.stdout.rsplit("\n", 5)[:5]
    facts = json.loads(printed)
    assert facts["topology"] == "v4"
    assert facts["learning_rate"] == 2e-4
    assert heading.split()[:3] == ["epoch", "loss", "D"]
    assert [line.split()[0] for line in (reals, first, second)] == ["reals", "1", "2"]
    stored = json.loads((folder / "options.json").read_text())
    assert stored["spectral_weight"] == 2
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    pictures = {f"{kind}/epoch-000{k}.png" for kind in ("samples", "profiles") for k in (1, 2)}
    assert names == {"options.json", "log.jsonl", "reals.json", CHECKPOINT_FILE, "summary.png"} | pictures
    with Image.open(folder / "samples" / "epoch-0001.png") as grid:
        assert grid.size == (7 * 32, 7 * 32)
    with Image.open(folder / "summary.png") as summary:
        assert summary.width > 1000

    result = run("regularize", "sample", folder, "--n", 5, "-o", tmp_path / "fakes", "--seed", 3, "--device", "cpu")
    assert result.exit_code == 0
    assert sorted(os.listdir(tmp_path / "fakes")) == [f"00000{k}.png" for k in range(5)]
    run("regularize", "sample", folder / CHECKPOINT_FILE, "--n", 2, "-o", tmp_path / "again", "--seed", 3)
    for name in os.listdir(tmp_path / "again"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "fakes" / name).read_bytes()
    result = run("regularize", "sample", folder, "--n", 4, "-o", tmp_path / "more", "--reals", tmp_path / "reals")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1] == f"wrote 4 camera images to {tmp_path / 'reals'}"
    with Image.open(tmp_path / "reals" / "000003.png") as image:
        assert (image.size, image.mode) == ((32, 32), "RGB")
    result = run("regularize", "sample", folder, "-o", tmp_path / "fakes")
    assert result.exit_code == 2
    assert "is not empty" in result.stderr


def test_a_dry_run_stops_before_the_first_step(run: RunCommand, faces: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    result = run("regularize", "train", faces, "-o", folder, *SMALL, "--dry-run")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["batches_per_epoch"] == 6
    assert os.listdir(folder) == ["options.json"]
    result = run("regularize", "train", faces, "-o", folder, *SMALL, "--epochs", 1)
    assert result.exit_code == 0


def test_a_run_is_not_written_over_and_can_be_resumed(run: RunCommand, faces: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    train = ("regularize", "train", faces, "-o", folder)
    assert run(*train, *SMALL, "--epochs", 1).exit_code == 0
    result = run(*train, *SMALL)
    assert result.exit_code == 2
    assert "is not empty: --resume continues the run in it" in result.stderr
    result = run(*train, "--resume", "--topology", "v3")
    assert result.exit_code == 2
    assert "was begun otherwise (topology 'v3', not 'baseline'): start a new run" in result.stderr
    result = run(*train, "--resume", "--epochs", 2)
    assert result.exit_code == 0
    assert [row["epoch"] for row in read_log(folder)] == [1, 2]
    result = run("regularize", "train", faces, "-o", tmp_path / "none", "--resume")
    assert result.exit_code == 2
    assert "name the folder of a run" in result.stderr


def test_bad_folders(run: RunCommand, faces: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "three").mkdir()
    for k in range(3):
        (tmp_path / "three" / f"{k}.png").write_bytes((faces / f"{k:03d}.png").read_bytes())
    for data, message in (
        ("empty", "holds 0 images of at least 32x32 pixels; 50 are the least"),
        ("three", "holds 3 images of at least 32x32 pixels; 50 are the least"),
        ("none", "is not a folder"),
    ):
        result = run("regularize", "train", tmp_path / data, "-o", tmp_path / f"run-{data}", *SMALL)
        assert result.exit_code == 2
        assert message in result.stderr
    result = run("regularize", "train", faces, "-o", tmp_path / "run", *SMALL, "--size", 64)
    assert result.exit_code == 2
    assert "36x32 pixels, smaller than the 64 asked for" in result.stderr
    assert "holds 0 images of at least 64x64 pixels, and 100 that could not be used" in result.stderr
    result = run("regularize", "train", faces, "-o", tmp_path / "run2", *SMALL, "--batch-size", 200)
    assert result.exit_code == 2
    assert "--batch-size 200: there are only 100 images" in result.stderr
    result = run("regularize", "train", faces, "-o", faces / "run", *SMALL)
    assert result.exit_code == 2
    assert "its pictures would be trained on" in result.stderr
    result = run("regularize", "train", faces, "-o", tmp_path / "no" / "such", *SMALL)
    assert result.exit_code == 2
    assert "cannot be made" in result.stderr


def test_a_bad_file_costs_the_exit_status_alone(run: RunCommand, faces: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for path in faces.glob("*.png"):
        (data / path.name).write_bytes(path.read_bytes())
    (data / "000.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    result = run("regularize", "train", data, "-o", tmp_path / "run", *SMALL, "--epochs", 1)
    assert result.exit_code == 1
    assert "000.png: not an image" in result.stderr
    assert len(read_log(tmp_path / "run")) == 1


def test_without_torch_it_says_how_to_get_it(run: RunCommand, faces: Path, tmp_path: Path, monkeypatch: Any) -> None:
    import importlib.util

    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "torch" else found(name, *a))
    for arguments in (("train", faces), ("sample", tmp_path)):
        result = run("regularize", *arguments, "-o", tmp_path / "run")
        assert result.exit_code == 2
        assert "regularize needs PyTorch: pip install 'spectral-detect[torch]'" in result.stderr
    assert not (tmp_path / "run").exists()


def start(faces: Path, folder: Path, *more: object, limit_bytes: int | None = None) -> subprocess.Popen[str]:
    """The command in a process of its own, in which no file may grow over `limit_bytes`."""
    command = ["regularize", "train", faces, "-o", folder, *SMALL, "--epochs", 3, *more]

    def limit() -> None:
        if limit_bytes is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    return subprocess.Popen(
        [sys.executable, "-m", "spectral_detect", *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit,
    )


def test_ctrl_c_saves(faces: Path, tmp_path: Path) -> None:
    with start(faces, tmp_path / "run", "--epochs", 500) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("    1"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume continues" in errors
    n = len(read_log(tmp_path / "run"))
    stopped = load_checkpoint(tmp_path / "run" / CHECKPOINT_FILE).values["progress"]
    assert stopped["epoch"] == n >= 1


def test_a_full_disk_leaves_whole_files(faces: Path, tmp_path: Path) -> None:
    with start(faces, tmp_path / "run", limit_bytes=100_000) as process:
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "cannot be written: File too large" in errors
    names = set(os.listdir(tmp_path / "run"))
    assert CHECKPOINT_FILE not in names
    assert not [name for name in names if name.startswith(".")]
    assert all(line.endswith("}") for line in (tmp_path / "run" / LOG_FILE).read_text().splitlines())
