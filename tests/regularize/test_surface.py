"""`regularize surface`: planes, losses on them, and runs that cannot be drawn."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from conftest import Run
from regularize.conftest import SMALL
from spectral_detect.errors import CheckpointError
from spectral_detect.parallel.work import Work
from spectral_detect.regularize.gan.checkpoints import (
    CHECKPOINT_FILE,
    load_checkpoint,
    save_checkpoint,
    weights_file,
)
from spectral_detect.regularize.gan.networks import LATENT, Discriminator, Generator
from spectral_detect.regularize.gan.options import TrainingOptions
from spectral_detect.regularize.gan.run import Hooks, read_images, spectral_target, train_gan
from spectral_detect.regularize.gan.steps import Diverged, spectral_loss_of
from spectral_detect.regularize.surface.compute import SurfaceSettings, has_path, loss_surface
from spectral_detect.regularize.surface.directions import parameters_of, path_plane, random_plane
from spectral_detect.report.pictures.surface import plot_surfaces, range_of, surface_rows

pytestmark = pytest.mark.usefixtures("in_this_process")

QUICK = SurfaceSettings(points=3, n=16, device="cpu", threads=1)
RUN = TrainingOptions(
    "", size=32, channels=8, batch_size=16, epochs=3, n_watched=50, threads=1, device="cpu", keep_weights=1
)
DRAWN = ("--points", 3, "--n", 16, "--device", "cpu", "--threads", 1)


@pytest.fixture(scope="module")
def runs(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs `without` and `with` the spectral loss, which have kept their weights, and `bare`, which has not."""
    folder = tmp_path_factory.mktemp("runs")
    options = replace(RUN, data=str(faces))
    train_gan(options, folder / "without", Work(jobs=0), Hooks())
    train_gan(replace(options, spectral_weight=2.0, epochs=2), folder / "with", Work(jobs=0), Hooks())
    train_gan(replace(options, keep_weights=0, epochs=1, objective="lsgan"), folder / "bare", Work(jobs=0), Hooks())
    return folder


def test_random_directions_have_filters_as_long_as_the_networks() -> None:
    network = Generator(32, channels=8)
    plane = random_plane(network, 3)
    assert plane.centre.keys() == plane.first.keys() == dict(network.named_parameters()).keys()
    for module in network.modules():
        if not isinstance(module, nn.ConvTranspose2d | nn.Linear):
            continue
        name = next(name for name, p in network.named_parameters() if p is module.weight)
        outputs = 1 if isinstance(module, nn.ConvTranspose2d) else 0
        lengths = [torch.stack([f.norm() for f in t.unbind(outputs)]) for t in (module.weight, plane.first[name])]
        torch.testing.assert_close(*lengths)
        assert not torch.equal(plane.first[name], plane.second[name])
    flat = [name for name, p in network.named_parameters() if p.ndim == 1]
    assert flat and not any(plane.first[name].any() for name in flat)
    again, other = random_plane(network, 3), random_plane(network, 4)
    assert torch.equal(plane.second["start.weight"], again.second["start.weight"])
    assert not torch.equal(plane.second["start.weight"], other.second["start.weight"])


def test_a_path_in_a_plane_lies_in_the_plane_that_is_found() -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.Conv2d(1, 2, 3))
    centre = parameters_of(network)
    u, v = ({name: torch.randn_like(p) for name, p in centre.items()} for _ in range(2))
    path = [{name: p + a * u[name] + b * v[name] for name, p in centre.items()} for a, b in ((5, 1), (3, -1), (1, 0.5))]
    plane = path_plane(network, path, "run")
    assert plane.shares is not None
    assert plane.shares[0] > plane.shares[1]
    assert sum(plane.shares) == pytest.approx(1, abs=1e-5)
    assert plane.project(path[0])[0] > 0
    assert plane.project(centre) == (0, 0)
    for weights in path:
        found = plane.at(*plane.project(weights))
        for name in centre:
            torch.testing.assert_close(found[name], weights[name], atol=1e-4, rtol=1e-4)
    with pytest.raises(CheckpointError, match="do not lie on one line"):
        path_plane(network, [path[0], {name: (p + path[0][name]) / 2 for name, p in centre.items()}], "run")
    for too_few in ([], path[:1], [centre, centre]):
        with pytest.raises(
            CheckpointError, match="'run': `directions=path` needs weights kept at two or more earlier epochs"
        ):
            path_plane(network, too_few, "run")


def test_the_loss_at_the_last_weights_is_that_of_training(runs: Path, faces: Path) -> None:
    surface = loss_surface(runs / "with", QUICK, Hooks())
    checkpoint = load_checkpoint(runs / "with" / CHECKPOINT_FILE)
    G, D = Generator(32, channels=8), Discriminator(32, channels=8)
    G.load_state_dict(checkpoint.part("G"))
    D.load_state_dict(checkpoint.part("D"))
    images = G(torch.randn(16, LATENT, generator=torch.Generator().manual_seed(0)))
    adversarial = nn.functional.softplus(-D(images)).mean().item()
    spectral = spectral_loss_of(
        surface.options, *spectral_target(surface.options, read_images(surface.options, Work(jobs=0), Hooks()))
    )
    assert surface.last.adversarial == pytest.approx(adversarial, rel=1e-4)
    assert surface.last.total == pytest.approx(adversarial + 2 * spectral(images).item(), rel=1e-4)
    middle = surface.grid[4]
    assert (middle.x, middle.y) == (0, 0)
    assert middle.total == pytest.approx(surface.last.total, rel=1e-5)
    assert len({point.total for point in surface.grid}) == 9
    values = surface.values("total")
    assert values[0, 2] == surface.grid[2].total and (surface.grid[2].x, surface.grid[2].y) == (1, -1)
    assert surface.values("adversarial")[1, 1] == pytest.approx(adversarial, rel=1e-4)


def test_a_spectral_discriminator_judges_as_it_did_at_the_end(faces: Path, tmp_path: Path) -> None:
    options = replace(RUN, data=str(faces), epochs=1, spectral_weight=2.0, distance="discriminator")
    train_gan(options, tmp_path, Work(jobs=0), Hooks())
    checkpoint = load_checkpoint(tmp_path / CHECKPOINT_FILE)
    surface = loss_surface(tmp_path, replace(QUICK, loss="spectral"), Hooks())
    G = Generator(32, channels=8)
    G.load_state_dict(checkpoint.part("G"))
    images = G(torch.randn(16, LATENT, generator=torch.Generator().manual_seed(0)))
    spectral = spectral_loss_of(options, *spectral_target(options, read_images(options, Work(jobs=0), Hooks())))
    untrained = spectral(images).item()
    spectral.load_state_dict(checkpoint.part("spectral"))
    assert surface.last.spectral == pytest.approx(spectral(images).item(), rel=1e-4)
    assert surface.last.spectral != pytest.approx(untrained, rel=1e-2)


def test_the_path_leads_from_the_first_weights_to_the_last(runs: Path) -> None:
    assert has_path(runs / "without") and not has_path(runs / "bare")
    surface = loss_surface(runs / "without", replace(QUICK, directions="path"), Hooks())
    assert [epoch for epoch, _ in surface.path] == [0, 1, 2]
    assert surface.epoch == 3
    assert surface.shares is not None and 0.5 < sum(surface.shares) <= 1 + 1e-6
    first = surface.path[0][1]
    assert first.x > 0
    assert surface.x[0] < 0 < first.x < surface.x[-1]
    assert surface.last.total != first.total
    adversarial = replace(QUICK, directions="path", loss="adversarial")
    assert loss_surface(runs / "without", adversarial, Hooks()).grid == surface.grid


def test_surfaces_side_by_side(run: Run, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(runs)
    output = tmp_path / "both.png"
    result = run("regularize", "surface", "without", "with", "-o", output, *DRAWN)
    assert result.exit_code == 0
    assert "--loss adversarial compares one and the same" in result.stderr
    lines = result.stdout.splitlines()
    assert [line.split(": ")[1] for line in lines] == [
        "without (epoch 3, path of 3 earlier weights)",
        "with (epoch 2, path of 2 earlier weights)",
    ]
    with Image.open(output) as picture:
        assert picture.width > picture.height > 500
        colours = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    assert len(np.unique(colours, axis=0)) > 500
    rows = list(csv.DictReader((tmp_path / "both.csv").read_text().splitlines()))
    assert [(row["run"], row["kind"]) for row in rows] == [
        *[("without", "grid")] * 9, *[("without", "path")] * 3, ("without", "last"),
        *[("with", "grid")] * 9, *[("with", "path")] * 2, ("with", "last"),
    ]  # fmt: skip
    assert rows[0]["spectral"] == "" and float(rows[0]["x"]) < 0
    last = {name: float(rows[-1][name]) for name in ("x", "y", "adversarial", "spectral", "total")}
    assert last["x"] == last["y"] == 0
    assert last["total"] == pytest.approx(last["adversarial"] + 2 * last["spectral"], rel=1e-4)
    content = output.read_bytes()
    assert run("regularize", "surface", "without", "with", "-o", output, *DRAWN).exit_code == 0
    assert output.read_bytes() == content


def test_random_directions_where_not_all_have_a_path(run: Run, runs: Path, tmp_path: Path) -> None:
    result = run("regularize", "surface", runs / "bare", "-o", tmp_path / "one.svg", *DRAWN)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "random direction 1" in (tmp_path / "one.svg").read_text()
    grid = [row for row in csv.DictReader((tmp_path / "one.csv").read_text().splitlines()) if row["kind"] == "grid"]
    assert {float(row["x"]) for row in grid} == {-1, 0, 1}
    spectral = run("regularize", "surface", runs / "bare", "--loss", "spectral", "-o", tmp_path / "two.png", *DRAWN)
    assert "spectral loss" in spectral.stdout
    result = run("regularize", "surface", runs / "bare", "--directions", "path", "-o", tmp_path / "x.png", *DRAWN)
    assert result.exit_code == 2
    assert f"'{runs / 'bare'}': --directions path needs weights kept" in result.stderr
    assert "train with --keep-weights, or use --directions random" in result.stderr
    arguments = ("regularize", "surface", runs / "without", "-o", tmp_path / "x.png")
    assert "--extent goes with --directions random" in run(*arguments, "--extent", 2, *DRAWN).stderr
    result = run("regularize", "surface", runs / "without", runs / "bare", "-o", tmp_path / "x.png", *DRAWN)
    assert result.exit_code == 2
    assert "different objectives (dcgan, lsgan), whose losses do not compare" in result.stderr
    assert not (tmp_path / "x.png").exists()


def test_what_is_no_run_is_refused(run: Run, runs: Path, faces: Path, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    assert run("regularize", "train", faces, "-o", begun, *SMALL, "--dry-run").exit_code == 0
    (tmp_path / "empty").mkdir()
    damaged = shutil.copytree(runs / "without", tmp_path / "damaged")
    (damaged / CHECKPOINT_FILE).write_bytes((damaged / CHECKPOINT_FILE).read_bytes()[:-50])
    for folder, message in (
        (begun, "there is no checkpoint, as the run has not come to the end of its first epoch"),
        (tmp_path / "empty", "there is no checkpoint; name the folder of a run"),
        (tmp_path / "none", "there is no checkpoint; name the folder of a run"),
        (damaged, "is damaged or not a checkpoint of this program"),
        (faces / "000.png", "is damaged or not a checkpoint of this program"),
    ):
        result = run("regularize", "surface", folder, "-o", tmp_path / "x.png", *DRAWN)
        assert result.exit_code == 2
        assert message in result.stderr
    result = run("regularize", "surface", *[runs / "without"] * 5, "-o", tmp_path / "x.png")
    assert "5 runs: name up to 4" in result.stderr
    result = run("regularize", "surface", runs / "without", "-o", faces / "x.png", *DRAWN)
    assert result.exit_code == 2
    assert "whose images are read" in result.stderr


def test_weights_that_do_not_fit_are_refused(runs: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(runs / "without", tmp_path / "run")
    settings = replace(QUICK, directions="path")
    file = weights_file(folder, 1)
    whole = load_checkpoint(file)
    for name, tensor, message in (
        ("G.start.weight", torch.zeros(3, 3), r"holds another generator than the run's checkpoint \(start.weight\)"),
        ("G.start.weight", torch.full_like(whole.tensors["G.start.weight"], torch.nan), "are not finite"),
    ):
        save_checkpoint(file, {**whole.tensors, name: tensor}, whole.values)
        with pytest.raises(CheckpointError, match=message):
            loss_surface(folder, settings, Hooks())
    file.write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=r"epoch-0001\.safetensors' is damaged"):
        loss_surface(folder, settings, Hooks())
    file.unlink()
    assert [epoch for epoch, _ in loss_surface(folder, settings, Hooks()).path] == [0, 2]

    path = folder / CHECKPOINT_FILE
    checkpoint = load_checkpoint(path)
    save_checkpoint(path, checkpoint.tensors, {**checkpoint.values, "progress": {"epoch": "x"}})
    with pytest.raises(CheckpointError, match="does not say how far the run had come"):
        loss_surface(folder, settings, Hooks())
    options = {**checkpoint.values["options"], "channels": 16}
    save_checkpoint(path, checkpoint.tensors, {**checkpoint.values, "options": options})
    with pytest.raises(CheckpointError, match=r"of another run than its options\.json \(channels 8, not 16\)"):
        loss_surface(folder, QUICK, Hooks())
    lost = {**checkpoint.tensors, "G.start.weight": torch.full_like(checkpoint.tensors["G.start.weight"], torch.nan)}
    save_checkpoint(path, lost, checkpoint.values)
    with pytest.raises(Diverged, match="the last weights give no finite loss"):
        loss_surface(folder, QUICK, Hooks())


def test_the_spectral_loss_needs_the_same_images(run: Run, runs: Path, faces: Path, tmp_path: Path) -> None:
    data = shutil.copytree(faces, tmp_path / "data")
    arguments = ("regularize", "surface", runs / "with", "-o", tmp_path / "x.png", *DRAWN, "--data", data)
    assert run(*arguments).exit_code == 0
    (data / "000.png").write_bytes((data / "001.png").read_bytes())
    result = run(*arguments)
    assert result.exit_code == 2
    assert f"was trained on other images than those of '{data}'" in result.stderr
    shutil.rmtree(data)
    result = run(*arguments)
    assert result.exit_code == 2
    assert "is not a folder" in result.stderr
    assert run(*arguments, "--loss", "adversarial").exit_code == 0


def test_losses_that_are_not_finite_are_counted_and_drawn_in_gray(runs: Path, tmp_path: Path) -> None:
    surface = loss_surface(runs / "without", QUICK, Hooks())
    lost = replace(surface.grid[0], total=float("inf"))
    shown = replace(surface, grid=(lost, *surface.grid[1:]))
    low, high, n_lost = range_of(shown, "total")
    assert n_lost == 1
    assert low == min(point.total for point in surface.grid[1:]) and np.isfinite(high)
    assert "inf" in surface_rows([shown])
    flat = replace(surface, grid=tuple(replace(point, total=surface.last.total) for point in surface.grid))
    for name, drawn in (("lost", shown), ("flat", flat)):
        plot_surfaces([drawn, surface], "total", str(tmp_path / f"{name}.png"))
    with Image.open(tmp_path / "lost.png") as picture, Image.open(tmp_path / "flat.png") as other:
        gray = [np.all(np.asarray(p.convert("RGB")) == 204, axis=2).sum() for p in (picture, other)]
    assert gray[0] > gray[1] + 1000
