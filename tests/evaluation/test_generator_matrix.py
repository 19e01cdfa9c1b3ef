"""What carries over from one generator to another."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import EXAMPLES, Run
from gaussian import SPEC, gaussian_data
from spectral_detect import FAKE, REAL
from spectral_detect.errors import DatasetError
from spectral_detect.evaluation.generator_matrix import ALL, OTHERS, cross_generators
from spectral_detect.media.images import decode
from spectral_detect.training.dataset import Dataset

pytestmark = pytest.mark.usefixtures("in_this_process")


def test_the_matrix_shows_what_carries_over() -> None:
    """Generators A and B leave the same trace, C leaves another: only C's own detector finds it."""
    rng = np.random.default_rng(0)
    n = 80
    reals = rng.normal(size=(n, 12))
    fakes = {"a": rng.normal(size=(n, 12)), "b": rng.normal(size=(n, 12)), "c": rng.normal(size=(n, 12))}
    for name, column in (("a", 3), ("b", 3), ("c", 7)):
        fakes[name][:, column] += 4
    template = gaussian_data(4 * n)
    y = np.repeat([REAL, FAKE, FAKE, FAKE], n)
    X = np.concatenate([reals, *fakes.values()])
    dataset = Dataset(X, y, np.arange(4 * n), template.samples, ())
    members = {name: np.r_[0:n, (k + 1) * n : (k + 2) * n] for k, name in enumerate(fakes)}
    result = cross_generators(dataset, members, SPEC, "logreg")
    table = {row.trained_on: {g: metrics.auroc.value for g, metrics in row.results.items()} for row in result.rows}
    assert list(table) == ["a", "b", "c", ALL, OTHERS]
    assert min(table["a"]["b"], table["b"]["a"], table["c"]["c"], table[ALL]["c"], table[OTHERS]["a"]) > 0.95
    assert max(table["a"]["c"], table["c"]["a"], table[OTHERS]["c"]) < 0.75
    with pytest.raises(DatasetError, match="needs two or more"):
        cross_generators(dataset, {"a": members["a"]}, SPEC)
    few = {"a": members["a"], "b": np.r_[0:n, 2 * n : 2 * n + 6]}
    with pytest.raises(DatasetError, match=r"^'b': as three of ten are held out, 5\d real and [0-4] fake images that"):
        cross_generators(dataset, few, SPEC)
    for taken in (ALL, OTHERS):
        with pytest.raises(DatasetError, match=f"a generator is called '{taken}', as the row of several is; rename"):
            cross_generators(dataset, {"a": members["a"], taken: members["b"]}, SPEC)


def test_the_matrix_command_draws_and_prints(generators: Path, tmp_path: Path, run: Run) -> None:
    for source in [*generators.glob("*/*.png")]:  # more images: each also mirrored
        with Image.open(source) as picture:
            picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(source.with_name(f"m_{source.name}"))
    command = ("matrix", generators, "--features", "azimuthal", "--classifier", "logreg", "--plot", tmp_path / "m.png")
    result = run(*command)
    assert result.exit_code == 0, result.output
    assert "all others" in result.stdout
    assert decode((tmp_path / "m.png").read_bytes()).width > 300
    found = json.loads(run(*command, "--json").stdout)
    assert found["generators"] == ["one", "two"]  # and the picture was drawn again
    shutil.copy(EXAMPLES / "real" / "Aqua.png", tmp_path / "m.png")
    assert "would be overwritten" in run(*command).stderr
    assert run("matrix", generators / "one").exit_code == 2
