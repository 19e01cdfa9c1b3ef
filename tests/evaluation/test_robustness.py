"""Evaluations after an edit of the images, and their pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import EXAMPLES, MODELS, Run

pytestmark = pytest.mark.usefixtures("in_this_process")

MODEL = MODELS / "photographs.pkl"
N_EACH = 8
IN_THIS_PROCESS = ("--jobs", 0)  # a worker would start for each edit, and take longer than the images do


@pytest.fixture
def centres(tmp_path: Path) -> Path:
    """`real/` and `fake/`, the central 128 x 128 pixels of some examples."""
    for label in ("real", "fake"):
        (tmp_path / label).mkdir()
        for path in sorted((EXAMPLES / label).glob("*.png"))[:N_EACH]:
            with Image.open(path) as picture:
                picture.crop((64, 64, 192, 192)).save(tmp_path / label / path.name)
    return tmp_path


def test_robustness_measures_every_edit(centres: Path, run: Run) -> None:
    picture = centres / "robustness.png"
    folders = ("--real", centres / "real", "--fake", centres / "fake")
    command = ("evaluate", MODEL, *folders, "--robustness", *IN_THIS_PROCESS)
    result = run(*command, "--json", "--plot", picture)
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)["robustness"]
    expected = [("none", None), *(("jpeg", q) for q in (95, 90, 75, 50)), *(("blur", s) for s in (1, 2, 4))]
    expected += [*(("resize", f) for f in (0.5, 0.75, 1.5)), ("crop", 0.75)]
    assert [(r["edit"], r["strength"]) for r in rows] == expected
    as_is = json.loads(result.stdout)
    assert rows[0]["auroc"] == as_is["auroc"]
    assert rows[0]["auroc"] > rows[7]["auroc"]  # blur of 4 pixels leaves nothing
    for row in rows:
        low, high = row["auroc_ci"]
        assert low <= row["auroc"] <= high
        assert row["balanced_accuracy"] == pytest.approx(1 - (row["false_alarm_rate"] + row["miss_rate"]) / 2)
    with Image.open(picture) as drawn:
        assert drawn.format == "PNG"
        assert np.asarray(drawn.convert("L")).std() > 10


def test_an_edit_that_leaves_nothing_loses_no_other_row(tmp_path: Path, run: Run, rng: np.random.Generator) -> None:
    for label in ("real", "fake"):
        (tmp_path / label).mkdir()
        for k in range(6):
            Image.fromarray(rng.integers(0, 256, (24, 24, 3), np.uint8)).save(tmp_path / label / f"{k}.png")
    folders = ("--real", tmp_path / "real", "--fake", tmp_path / "fake")
    command = ("evaluate", MODELS / "small.pkl", *folders, "--robustness", *IN_THIS_PROCESS)
    result = run(*command, "--json", "--plot", tmp_path / "p.png")
    assert result.exit_code == 0, result.output
    rows = {(r["edit"], r["strength"]): r for r in json.loads(result.stdout)["robustness"]}
    assert rows["resize", 0.5]["auroc"] is None  # 12 pixels
    assert rows["resize", 0.75]["auroc"] is not None
    assert (tmp_path / "p.png").stat().st_size > 1000
    table = run(*command).stdout
    for promised in ("false alarms", "jpeg 75 ", "no image of a class is large enough"):
        assert promised in table


def test_a_plot_is_refused_before_anything_is_computed(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("evaluate", MODEL, "--manifest", EXAMPLES / "manifest.csv")
    for output, message in ((tmp_path / "p.gif", "end it in .png"), (tmp_path / "no" / "p.png", "cannot be written")):
        refused = run(*command, "--robustness", "--plot", output)
        assert refused.exit_code == 2
        assert message in refused.stderr
    monkeypatch.setattr("spectral_detect.cli.shared.checks.find_spec", lambda name: None)
    missing = run(*command, "--robustness", "--plot", tmp_path / "p.png")
    assert missing.exit_code == 2
    assert "pip install '.[plot]' in the checkout" in missing.stderr
