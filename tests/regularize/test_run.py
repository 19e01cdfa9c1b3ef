"""Runs: the same numbers after an interruption, divergence, other images, other devices."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from spectral_detect.errors import CheckpointError, FeatureError
from spectral_detect.parallel.work import Work
from spectral_detect.regularize.gan.checkpoints import CHECKPOINT_FILE, load_checkpoint
from spectral_detect.regularize.gan.log import LOG_FILE, read_log
from spectral_detect.regularize.gan.objectives import OBJECTIVES
from spectral_detect.regularize.gan.options import TrainingOptions, read_options
from spectral_detect.regularize.gan.run import Hooks, train_gan
from spectral_detect.regularize.gan.steps import Diverged, rate_factor

pytestmark = pytest.mark.usefixtures("in_this_process")


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """The log without what the clock says."""
    return [{key: value for key, value in row.items() if key != "seconds"} for row in read_log(folder)]


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


def test_the_rate_falls_from_a_tenth_in_the_last_epochs() -> None:
    assert [rate_factor(epoch, 5, 2) for epoch in range(1, 6)] == [1.0, 1.0, 1.0, 0.1, 0.05]
    assert rate_factor(3, 3, 0) == 1.0


def test_the_last_epochs_learn_slowly(options: TrainingOptions, tmp_path: Path) -> None:
    for n in (0, 1):
        train_gan(replace(options, final_epochs=n), tmp_path / str(n), Work(jobs=0), Hooks())
    plain, settled = (read_log(tmp_path / str(n)) for n in (0, 1))
    for row in (*plain, *settled):
        row.pop("seconds")
    assert plain[:2] == settled[:2] and plain[2] != settled[2]
    steps = [abs(rows[2]["spectral_distance"] - rows[1]["spectral_distance"]) for rows in (settled, plain)]
    assert steps[0] < steps[1]
    with pytest.raises(FeatureError, match="`final_epochs` 4: it is a whole number up to `epochs`, which is 3"):
        replace(options, final_epochs=4).check()


def test_the_spectral_loss_begins_in_the_epoch_that_is_named(options: TrainingOptions, tmp_path: Path) -> None:
    whole = replace(options, spectral_weight=2.0)
    runs = {"late": replace(whole, spectral_from=2), "never": options, "whole": whole}
    rows = {}
    for name, chosen in runs.items():
        train_gan(chosen, tmp_path / name, Work(jobs=0), Hooks())
        rows[name] = rows_of(tmp_path / name)
    assert rows["late"][0] == rows["never"][0] != rows["whole"][0]
    assert rows["late"][1] != rows["never"][1]
    assert runs["late"].weight_in_words == "spectral weight 2 from epoch 2"
    with pytest.raises(FeatureError, match="spectral_from 0: it is a whole number from 1"):
        replace(options, spectral_from=0).check()


@pytest.mark.parametrize(("distance", "first"), [("bce", 3), ("discriminator", 2)])
def test_a_late_spectral_loss_is_resumed_to_the_same_numbers(
    distance: Any, first: int, options: TrainingOptions, tmp_path: Path
) -> None:
    late = replace(options, spectral_weight=2.0, spectral_from=first, distance=distance)
    train_gan(late, tmp_path / "whole", Work(jobs=0), Hooks())
    train_gan(replace(late, epochs=2), tmp_path / "parts", Work(jobs=0), Hooks())
    train_gan(late, tmp_path / "parts", Work(jobs=0), Hooks(), resume=True)
    assert rows_of(tmp_path / "parts") == rows_of(tmp_path / "whole")
    reported = [row["spectral_loss"] is not None for row in rows_of(tmp_path / "whole")]
    assert reported == [distance != "discriminator" or epoch >= first for epoch in (1, 2, 3)]


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
    message = "diverged in epoch 2, batch 3: loss_g nan; the checkpoint is that of epoch 1; lower `learning_rate`"
    with pytest.raises(Diverged, match=message):
        train_gan(options, tmp_path, Work(jobs=0), Hooks())
    assert all(torch.isfinite(t).all() for t in load_checkpoint(tmp_path / CHECKPOINT_FILE).part("G").values())
    assert [row["epoch"] for row in read_log(tmp_path)] == [1]


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
    assert notes == ["the run is complete: 3 epochs; raise `epochs` to go on"]
    assert read_options(tmp_path).epochs == 3


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
