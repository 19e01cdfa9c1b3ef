"""The FID, with a small network in place of Inception."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from regularize.conftest import random_images
from spectral_detect.errors import ExtraMissingError, ModelFileError
from spectral_detect.parallel.work import Work
from spectral_detect.regularize.gan import inception as fid
from spectral_detect.regularize.gan.log import read_log
from spectral_detect.regularize.gan.options import TrainingOptions
from spectral_detect.regularize.gan.run import Hooks, train_gan

pytestmark = pytest.mark.usefixtures("in_this_process")


def test_a_new_run_without_the_weights_is_refused_and_one_that_was_begun_goes_on(
    options: TrainingOptions, tmp_path: Path
) -> None:
    notes: list[str] = []
    chosen = replace(options, epochs=1, fid=str(tmp_path / "none.pth"))
    with pytest.raises(ModelFileError, match=r"none\.pth': no such file"):
        train_gan(chosen, tmp_path / "run", Work(jobs=0), Hooks())
    assert not (tmp_path / "run").exists()
    train_gan(replace(chosen, fid=None), tmp_path / "run", Work(jobs=0), Hooks())
    assert train_gan(
        replace(chosen, epochs=2), tmp_path / "run", Work(jobs=0), Hooks(on_note=notes.append), resume=True
    )
    assert notes[0].startswith("the FID is not measured")
    assert [row["fid"] for row in read_log(tmp_path / "run")] == [None, None]


def test_what_is_wrong_with_the_weights_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelFileError, match="no such file; `fid` takes weights-inception"):
        fid.load_inception(str(tmp_path / "none.pth"), torch.device("cpu"))
    (tmp_path / "some.pth").write_bytes(b"nothing")
    monkeypatch.setitem(sys.modules, "torch_fidelity", None)
    with pytest.raises(ExtraMissingError, match=r"pip install '\.\[fid\]'"):
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
    with pytest.raises(ModelFileError, match="holds other things than tensors, and was not loaded"):
        fid.load_inception(str(weights), torch.device("cpu"))
    assert not (tmp_path / "was_here").exists()
    torch.save({"other": torch.zeros(2)}, weights)
    with pytest.raises(ModelFileError, match="does not hold Inception's weights"):
        fid.load_inception(str(weights), torch.device("cpu"))
