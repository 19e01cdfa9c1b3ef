"""Checkpoints, options and samples of a run, also those that a stranger wrote."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from spectral_detect.atomic_write import OPTIONS_FILE
from spectral_detect.errors import CheckpointError, FeatureError, OutputError
from spectral_detect.parallel.work import Work
from spectral_detect.regularize.gan.checkpoints import (
    CHECKPOINT_FILE,
    kept_weights,
    load_checkpoint,
    save_checkpoint,
    weights_file,
)
from spectral_detect.regularize.gan.log import WEIGHTS_FOLDER
from spectral_detect.regularize.gan.networks import Generator
from spectral_detect.regularize.gan.options import TrainingOptions, read_options
from spectral_detect.regularize.gan.run import Hooks, train_gan
from spectral_detect.regularize.gan.samples import load_generator, sample_images
from spectral_detect.regularize.gan.steps import Diverged

pytestmark = pytest.mark.usefixtures("in_this_process")


def test_samples_do_not_depend_on_how_many_are_made() -> None:
    G = Generator(32, channels=8)
    many = np.concatenate(list(sample_images(G, 70, 5)))
    few = np.concatenate(list(sample_images(G, 3, 5)))
    np.testing.assert_array_equal(many[:3], few)
    assert many.shape == (70, 32, 32, 3)
    assert G.training
    assert not np.array_equal(np.concatenate(list(sample_images(G, 3, 6))), few)


def test_checkpoints_of_others_are_refused(options: TrainingOptions, tmp_path: Path) -> None:
    options = replace(options, epochs=1)
    train_gan(options, tmp_path, Work(jobs=0), Hooks())
    with pytest.raises(CheckpointError, match="trained with other options: topology 'v3', not 'baseline'"):
        train_gan(replace(options, topology="v3"), tmp_path, Work(jobs=0), Hooks(), resume=True)
    path = tmp_path / CHECKPOINT_FILE
    content = path.read_bytes()
    path.write_bytes(content.replace(b'\\"topology\\": \\"baseline\\"', b'\\"topology\\": \\"v4\\"      '))
    with pytest.raises(CheckpointError, match="the generator in the checkpoint is of another size or topology"):
        load_generator(path)
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
    with pytest.raises(Diverged, match="values that are not finite"):
        list(sample_images(load_generator(tmp_path), 2, 0))


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


def test_a_checkpoint_of_another_run_than_the_options_beside_it_is_refused(
    options: TrainingOptions, tmp_path: Path
) -> None:
    train_gan(replace(options, epochs=1), tmp_path, Work(jobs=0), Hooks())
    (tmp_path / OPTIONS_FILE).write_text(json.dumps(replace(options, epochs=9, seed=5).to_dict()))
    with pytest.raises(CheckpointError, match=r"of another run than its options\.json \(seed 5, not 0\)"):
        load_generator(tmp_path)
    load_generator(tmp_path / CHECKPOINT_FILE)


def test_weights_are_kept_every_so_many_epochs(options: TrainingOptions, tmp_path: Path) -> None:
    train_gan(options, tmp_path, Work(jobs=0), Hooks())
    assert kept_weights(tmp_path, 100) == {}
    train_gan(replace(options, epochs=6, keep_weights=2), tmp_path, Work(jobs=0), Hooks(), resume=True)
    assert list(kept_weights(tmp_path, 100)) == [4, 6]
    assert list(kept_weights(tmp_path, 6)) == [4]
    last = load_checkpoint(kept_weights(tmp_path, 100)[6]).part("G")
    whole = load_checkpoint(tmp_path / CHECKPOINT_FILE).part("G")
    assert set(last) == set(whole)
    assert all(torch.equal(last[name], whole[name]) for name in whole)
    generators = load_generator(weights_file(tmp_path, 6)), load_generator(tmp_path)
    of_epoch, of_run = (next(sample_images(G, 2, 0)) for G in generators)
    np.testing.assert_array_equal(of_epoch, of_run)
    earlier = load_checkpoint(kept_weights(tmp_path, 100)[4]).part("G")
    assert not torch.equal(earlier["start.weight"], whole["start.weight"])
    for name in ("epoch-0005.safetensors.part", "epoch-x.safetensors"):
        (tmp_path / WEIGHTS_FOLDER / name).touch()
    assert list(kept_weights(tmp_path, 100)) == [4, 6]
    with pytest.raises(FeatureError, match="keep_weights -1: it is a whole number from 0 on"):
        replace(options, keep_weights=-1).check()


def test_the_initial_weights_are_kept_and_the_run_has_the_same_numbers(
    options: TrainingOptions, tmp_path: Path
) -> None:
    for every in (0, 1):
        train_gan(replace(options, epochs=1, keep_weights=every), tmp_path / str(every), Work(jobs=0), Hooks())
    assert list(kept_weights(tmp_path / "1", 100)) == [0, 1]
    initial = load_checkpoint(weights_file(tmp_path / "1", 0)).part("G")
    torch.manual_seed(options.seed)
    fresh = Generator(options.size, channels=options.channels).state_dict()
    assert all(torch.equal(initial[name], fresh[name]) for name in fresh)
    ends = [load_checkpoint(tmp_path / str(every) / CHECKPOINT_FILE).part("G") for every in (0, 1)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in fresh)


def test_weights_that_cannot_be_kept_are_named(options: TrainingOptions, tmp_path: Path) -> None:
    (tmp_path / WEIGHTS_FOLDER).write_text("a file")
    with pytest.raises(OutputError, match=r"weights.* cannot be written"):
        train_gan(replace(options, keep_weights=1), tmp_path, Work(jobs=0), Hooks())
