"""A row for each generator, and their means."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conftest import EXAMPLES, MODELS, Run
from spectral_detect import load_model, save_model
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


def test_images_of_one_folder_may_be_one_group(generators: Path, run: Run) -> None:
    apart, together = (
        json.loads(run("evaluate", MODEL, "--by", generators, *more, "--json").stdout)["generators"]
        for more in ((), ("--group-by", "parent"))
    )
    for one, other in zip(apart, together, strict=True):
        assert one["auroc"] == other["auroc"]
        assert one["auroc_ci"] != other["auroc_ci"]


def test_rules_count_for_each_generator(generators: Path, run: Run) -> None:
    command = ("evaluate", MODEL, "--by", generators, "--real", generators / "0_real")
    strict = run(*command, "--min-confidence", "0.9", "--prevalence", "0.1")
    assert strict.exit_code == 0, strict.output
    head = strict.stdout.splitlines()[2].split()
    assert head[-2:] == ["inconcl.", "PPV"]
    shares = [float(line.split()[-2]) for line in strict.stdout.splitlines()[3:5]]
    plain = [float(line.split()[-1]) for line in run(*command).stdout.splitlines()[3:5]]
    assert all(a > b for a, b in zip(shares, plain, strict=True))


@pytest.mark.parametrize("names", [("real", "fake"), ("clean", "upscaled by some network")])
def test_no_two_columns_have_one_title(names: tuple[str, str], generators: Path, run: Run, tmp_path: Path) -> None:
    save_model(replace(load_model(MODEL), class_names=names), tmp_path / "own.pkl")
    table = run("evaluate", tmp_path / "own.pkl", "--by", generators, "--protocol", "wang").stdout
    legend, (head, row) = " ".join(table.splitlines()[:2]), table.splitlines()[2:4]
    titles = re.split(r" {2,}", head)
    assert titles[1:3] == [f"n {name}" for name in names] and len(set(titles)) == len(titles)
    assert all(f"{name} right" in titles and f"{name} right" in legend for name in names)
    ends = [found.end() for found in re.finditer(r"\S+( \S+)*", head)]
    assert ends[1:] == [found.end() for found in re.finditer(r"\S+", row)][1:]  # each number below its title
    assert names == ("real", "fake") or not re.search(r"\b(real|fake)\b", table)


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


def test_files_that_failed_are_counted_once_for_all_generators(generators: Path, run: Run) -> None:
    (generators / "one" / "zz.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    result = run("evaluate", MODEL, "--by", generators, "--real", generators / "0_real", "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, found["n_failed"]) == (1, 1)
    assert not any("n_failed" in row for row in found["generators"])
