"""A row for each generator, and their means."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from conftest import EXAMPLES, MODELS, Run
from spectral_detect.media.edits import CENTRE_224
from spectral_detect.media.images import DecodedImage
from spectral_detect.text import cut_in_the_middle

pytestmark = pytest.mark.usefixtures("in_this_process")

MODEL = MODELS / "photographs.pkl"
MANIFEST = EXAMPLES / "manifest.csv"


def test_rows_by_generator_and_their_unweighted_mean(generators: Path, run: Run) -> None:
    shutil.rmtree(generators / "two")
    shutil.copytree(EXAMPLES / "fake", generators / "two")
    result = run("evaluate", MODEL, "--by", generators, "--protocol", "wang", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [(r["generator"], r["n_real"], r["n_fake"]) for r in found["generators"]] == [
        ("one", 12, 6),
        ("two", 12, 12),
    ]
    for name in ("average_precision", "auroc", "fake_accuracy", "ece"):
        assert found["mean"][name] == pytest.approx(np.mean([r[name] for r in found["generators"]]))
    assert found["mean"]["tpr_at_fpr_5"] is None  # twelve reals
    wang = found["wang"]
    assert wang["generators"][0]["average_precision_no_crop"] == found["generators"][0]["average_precision"]
    crops = [r["average_precision_crop_224"] for r in wang["generators"]]
    assert wang["mean"]["average_precision_crop_224"] == pytest.approx(np.mean(crops))
    table = run("evaluate", MODEL, "--by", generators, "--protocol", "wang").stdout
    assert "AP, crop 224" in table
    assert table.count("mean") >= 2
    assert run("evaluate", MODEL, "--by", generators, "--curve").exit_code == 2
    assert "give --by" in run("evaluate", MODEL, "--manifest", MANIFEST, "--protocol", "wang").stderr


def test_rules_count_for_each_generator(generators: Path, run: Run) -> None:
    command = ("evaluate", MODEL, "--by", generators, "--real", generators / "0_real")
    strict = run(*command, "--min-confidence", "0.9", "--prevalence", "0.1")
    assert strict.exit_code == 0, strict.output
    head = strict.stdout.splitlines()[1].split()
    assert head[-2:] == ["inconcl.", "PPV"]
    shares = [float(line.split()[-2]) for line in strict.stdout.splitlines()[2:4]]
    plain = [float(line.split()[-1]) for line in run(*command).stdout.splitlines()[2:4]]
    assert all(a > b for a, b in zip(shares, plain, strict=True))


def test_the_centre_crop_is_that_of_torchvision() -> None:
    pixels = np.arange(300 * 257, dtype=np.uint16).reshape(300, 257)
    image = DecodedImage(pixels, 257, 300, "PNG")
    np.testing.assert_array_equal(CENTRE_224.apply(image, "0" * 64).pixels, pixels[38:262, 16:240])
    small = DecodedImage(pixels[:100], 257, 100, "PNG")
    assert CENTRE_224.apply(small, "0" * 64).pixels.shape == (100, 224)


def test_long_names_are_told_apart_by_their_ends() -> None:
    names = ["stylegan2_ffhq_truncation_psi_0.5", "stylegan2_ffhq_truncation_psi_0.7"]
    short = [cut_in_the_middle(name, 24) for name in names]
    assert short == ["stylegan2_..._psi_0.5"[:10] + "..." + name[-11:] for name in names]
    assert all(len(name) == 24 for name in short)
