"""`regularize measure`: the measures of a training for images of any origin."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import Run
from spectral_detect.errors import DatasetError
from spectral_detect.regularize.measuring import compare_folders

pytestmark = pytest.mark.usefixtures("in_this_process")


@pytest.fixture(scope="module")
def doubled(faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same images with each pixel made four, as an up-sampling without a convolution does."""
    folder = tmp_path_factory.mktemp("doubled")
    for path in sorted(faces.glob("*.png"))[:60]:
        with Image.open(path) as image:
            pixels = np.asarray(image)[::2, ::2]
        Image.fromarray(pixels.repeat(2, axis=0).repeat(2, axis=1)).save(folder / path.name)
    return folder


def test_folders_are_compared_with_camera_images(run: Run, faces: Path, doubled: Path, tmp_path: Path) -> None:
    same = shutil.copytree(faces, tmp_path / "same")
    command = ("regularize", "measure", "--real", faces, "--fake", doubled, "--fake", same)
    result = run(*command, "-o", tmp_path / "m.json")
    assert result.exit_code == 0
    heading, reals, first, second = (line.split() for line in result.stdout.splitlines())
    assert heading == ["distance", "high", "freq", "AUROC", "Frechet", "FID", "FD", "diversity"]
    assert result.stderr == "50 images of each, 32 px\n"
    distances = [float(row[1]) for row in (reals, first, second)]
    assert distances[1] > 5 * max(distances[0], distances[2])
    assert float(first[3]) > 0.99 > 0.8 > float(second[3])
    stored = json.loads((tmp_path / "m.json").read_text())
    assert json.loads(run(*command, "-o", "-").stdout) == stored
    assert (stored["n"], stored["size"], list(stored["folders"])) == (50, 32, [str(doubled), str(same)])
    assert stored["folders"][str(doubled)]["spectral_distance"] == pytest.approx(distances[1], abs=5e-4)


def test_what_cannot_be_compared_is_refused(run: Run, faces: Path, doubled: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    result = run("regularize", "measure", "--real", faces, "--fake", tmp_path / "none")
    assert result.exit_code == 2 and "holds no image that can be read" in result.stderr
    result = run("regularize", "measure", "--real", faces, "--fake", doubled, "--fid", tmp_path / "none.pth")
    assert result.exit_code == 2 and "--fid takes weights-inception" in result.stderr
    for same in (doubled, f"{doubled}/."):
        result = run("regularize", "measure", "--real", doubled, "--fake", same)
        assert result.exit_code == 2 and "is the folder of --real and of --fake" in result.stderr
    for output, said in (("m.png", "end it in .json"), (doubled / "m.json", "whose images are read")):
        result = run("regularize", "measure", "--real", faces, "--fake", doubled, "-o", output)
        assert result.exit_code == 2 and said in result.stderr
    result = run("regularize", "measure", "--real", faces, "--fake", tmp_path / "nowhere")
    assert result.exit_code == 2 and "is not a folder" in result.stderr
    result = run("regularize", "measure", "--real", faces, "--fake", doubled, "--size", 64)
    assert result.stderr.count("smaller than the 64") == 20
    with pytest.raises(DatasetError, match="at least 50 are needed"):
        compare_folders(str(faces), [str(doubled)], n=50, size=64)
