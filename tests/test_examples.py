"""The scripts under examples/ run and print what they promise."""

from __future__ import annotations

import shutil
import subprocess
import sys
from io import BytesIO
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import EXAMPLES, ROOT


def printed(script: str, *arguments: object) -> str:
    command = [sys.executable, str(ROOT / "examples" / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("script", "arguments", "promised"),
    [
        ("benchmarks/features.py", ("--side", 128, "--repeats", 3), "times as fast as published"),
        ("benchmarks/scan.py", (EXAMPLES, "--count", 24, "--jobs", 1, "--repeats", 1), "x decode and FFT"),
        ("benchmarks/cluster.py", (EXAMPLES, "--jobs", 1, "--repeats", 1), " times"),
        ("benchmarks/memory.py", ("--few", 5, "--many", 20, "--jobs", 1), "largest worker"),
        ("benchmarks/resume.py", (EXAMPLES / "real" / "Aqua.png", "--few", 3, "--many", 2001), "us a record"),
        ("benchmarks/stages.py", (EXAMPLES, "--count", 4), "the rest"),
        ("benchmarks/startup.py", ("--repeats", 1), "spectral-detect --help"),
        ("benchmarks/video.py", ("--frames", 40, "--repeats", 1), "of decoding alone"),
        ("benchmarks/spectral_loss.py", ("--size", 32, "--batch", 8, "--channels", 8, "--repeats", 1), "the loss adds"),
    ],
)
def test_benchmarks_print_ratios(script: str, arguments: tuple[object, ...], promised: str) -> None:
    assert promised in printed(script, *arguments)


def test_growth_is_measured_drawn_and_reckoned(tmp_path: Path) -> None:
    counts = ("--counts", "4,8", "--sides", 64, "--jobs", "1,2")
    files = ("--plot", tmp_path / "growth.png", "--json", tmp_path / "growth.json")
    measured = printed("benchmarks/growth.py", EXAMPLES, *counts, *files)
    assert [line.split()[:3] for line in measured.splitlines()[1:5]] == [
        ["64", count, jobs] for jobs in "12" for count in "48"
    ]
    assert [line.split()[0] for line in measured.splitlines()[-2:]] == ["1,000,000", "1,000,000,000"]
    assert printed("benchmarks/growth.py", "--from", tmp_path / "growth.json") == measured
    with Image.open(tmp_path / "growth.png") as picture:
        assert picture.width > 1000


def test_the_benchmark_of_a_gpu_says_why_there_is_none() -> None:
    from spectral_detect.features.cupy_backend import device_problem

    problem = device_problem()
    if problem is None:
        pytest.skip("there is a GPU; the benchmark takes minutes")
    done = subprocess.run([sys.executable, ROOT / "examples/benchmarks/gpu.py"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == f"{problem}\n"


def test_the_papers_tables_from_a_file_of_features(tmp_path: Path, rng: np.random.Generator) -> None:
    y = np.repeat([0, 1], 1000)
    X = rng.normal(size=(2000, 80)) * 0.01 + y[:, None]
    np.savez(tmp_path / "rows.npz", X=X, y=y)
    rows = printed("paper_tables.py", tmp_path / "rows.npz", "--repeats", 1).splitlines()[1:]
    assert len(rows) == 9
    assert all(row.split()[2] == "100.0" for row in rows)


def test_the_papers_table_of_videos(tmp_path: Path, rng: np.random.Generator) -> None:
    y = np.repeat([0, 1], 500)
    np.savez(tmp_path / "rows.npz", X=rng.normal(size=(1000, 300)) * 0.01 + y[:, None], y=y)
    rows = printed("paper_tables.py", tmp_path / "rows.npz", "--repeats", 1).splitlines()[1:]
    assert [row.split()[:2] for row in rows] == [[c, n] for c in ("svm", "logreg") for n in ("1000", "200", "20")]


def test_models_are_made_from_matched_folders(tmp_path: Path) -> None:
    for label in ("real", "fake"):
        for path in (EXAMPLES / label).glob("*.png"):
            with Image.open(path) as picture:
                centre = BytesIO()
                picture.crop((64, 64, 192, 192)).save(centre, "PNG")
            for source, copy in product(("photos", "cars"), "abc"):
                target = tmp_path / source / label / f"{copy}_{path.name}"
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(centre.getvalue() + f"{source}{copy}".encode())  # another file of the same image
    out = tmp_path / "models"
    out.mkdir()
    arguments = ("--model", "both=photos:none,cars:stem", "--control", f"both={EXAMPLES / 'real'}:stem")
    text = printed("make_models.py", tmp_path, *arguments, "--output", out, "--jobs", 0)
    for promised in ("Trained without the source", "jpeg 75", "phone 85", "reduced and enlarged 4x", "Not good for"):
        assert promised in text
    assert sorted(p.name for p in out.iterdir()) == ["both.md", "both.pkl"]


def test_false_alarms_with_and_without_controls(tmp_path: Path) -> None:
    for photograph in (EXAMPLES / "real").glob("*.png"):
        with Image.open(photograph) as picture:
            picture.resize((64, 64)).resize((256, 256), Image.Resampling.LANCZOS).save(tmp_path / photograph.name)
    arguments = ("--real", EXAMPLES / "real", "--fake", EXAMPLES / "fake", "--control", tmp_path)
    rows = printed("false_alarms.py", *arguments).splitlines()
    assert [row.split()[0] for row in rows[1:]] == ["no", "yes"]
    assert all("of 12" in row for row in rows[1:])


def test_fair_splits_count_accusations(tmp_path: Path) -> None:
    for number, path in enumerate(sorted((EXAMPLES / "real").glob("*.png"))):
        with Image.open(path) as picture:
            picture.save(tmp_path / f"{path.stem}.jpg", quality=75 + 10 * (number % 2))
    (line,) = printed("fair_splits.py", "--folder", tmp_path, "--splits", 10).splitlines()
    assert line.startswith(f"{tmp_path}: 0 of 10 fair splits of 12 images accused; metadata AUROC 0.")


def test_trust_measures_calibration_and_refusals(tmp_path: Path) -> None:
    for label in ("real", "fake"):
        shutil.copytree(EXAMPLES / label, tmp_path / "photos" / label)
    arguments = ("--source", "photos:stem", "--features", "azimuthal", "--shots", 12, "--seeds", 1)
    head, row = (line.split() for line in printed("trust.py", tmp_path, *arguments).splitlines())
    assert head[1:4] == ["ece", "floor", "brier"]
    assert row[0] == "photos"
    assert 0 <= float(row[1]) <= 1
    assert row[-2] == "nan"  # no other source


def test_the_ablation_measures_its_candidates(tmp_path: Path) -> None:
    for label in ("real", "fake"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for path in (EXAMPLES / label).glob("*.png"):
            for copy in "ab":
                (tmp_path / "photos" / label / f"{copy}_{path.name}").write_bytes(path.read_bytes() + copy.encode())
    only = ("--only", "azimuthal", "--only", "only coherence")
    text = printed("ablation.py", tmp_path, "--source", "photos:stem", *only)
    assert text.count("photos") == text.count("mean") == 2
    assert " ms" in text


def test_gans_are_compared(tmp_path: Path, rng: np.random.Generator) -> None:
    (tmp_path / "faces").mkdir()
    for k in range(70):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(tmp_path / "faces" / f"{k}.png")
    arguments = ["--output", tmp_path / "runs", "--objectives", "dcgan", "--size", 32, "--channels", 8]
    arguments += ["--batch-size", 16, "--threads", 1]
    networks = ["baseline", "baseline, spectral loss", "v4", "v4, spectral loss"]
    for epochs, chosen in ((1, networks), (2, networks[:1])):  # the second time the run goes on
        named = ["--networks", *chosen, "--epochs", epochs]
        lines = printed("spectral_gan/compare.py", tmp_path / "faces", *arguments, *named).splitlines()
        assert [line.split("|")[2].strip() for line in lines[2:]] == [*chosen, "other camera images"]
        with Image.open(tmp_path / "runs" / "comparison.png") as picture:
            assert picture.width > 300 * (1 + len(chosen))
    logs = [(tmp_path / "runs" / name / "log.jsonl").read_text() for name in ("dcgan-baseline", "dcgan-v4")]
    assert [log.count("\n") for log in logs] == [2, 1]
