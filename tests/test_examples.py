"""The scripts under examples/ run and print what they promise."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from conftest import EXAMPLES, MODELS, ROOT
from spectral_detect import load_model

BENCHMARKS = ROOT / "examples" / "benchmarks"


# its few images need no more steps, and three folds ask about each group as well as five
QUICK_WORLD = """
import sys
sys.path.insert(0, sys.argv.pop(1))
import make_world_model
from spectral_detect.training.perceptron import fit as perceptron
make_world_model.N_FOLDS, perceptron.LEAST_STEPS = 3, 40
make_world_model.main()
"""


def printed(script: str, *arguments: object) -> str:
    command = [sys.executable, str(ROOT / "examples" / script), *map(str, arguments)]
    return printed_by(command)


def printed_by(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def printed_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a script in this process, which has loaded PyTorch and matplotlib; each takes seconds anew."""

    def run_script(script: str, *arguments: object) -> str:
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        capsys.readouterr()
        runpy.run_path(str(ROOT / "examples" / script), run_name="__main__")
        return capsys.readouterr().out

    return run_script


@pytest.mark.parametrize("script", sorted(path.name for path in BENCHMARKS.glob("*.py")))
def test_benchmarks_import_what_there_is_and_explain_themselves(
    script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process, which has loaded most of what they import; measuring takes long, and is for people."""
    if script == "spectral_loss.py":
        pytest.importorskip("torch")
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setattr(sys, "argv", [script, "--help"])
    try:
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(str(BENCHMARKS / script), run_name="__main__")
    finally:
        for path in BENCHMARKS.glob("*.py"):  # they import one another, by names as general as `memory`
            sys.modules.pop(path.stem, None)
    assert ended.value.code == 0
    usage, explained = capsys.readouterr().out.split("\n\n", maxsplit=1)
    assert f"examples/benchmarks/{script}" in explained
    for option in re.findall(r"\[(--[a-z-]+)", explained):
        assert f"[{option} " in usage


def table(printed: str, pattern: str) -> list[tuple[str | float, ...]]:
    """Return what the groups of a pattern found in each line, numbers as such."""
    lines = [re.fullmatch(pattern, line) for line in printed.splitlines()]
    assert all(lines), printed
    return [tuple(map(number_or_text, line.groups())) for line in lines if line]


def number_or_text(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text.strip()


def test_features_are_compared_with_the_published_algorithm() -> None:
    rows = table(
        printed("benchmarks/features.py", "--side", 256, "--repeats", 3),
        r"(.{22}) *([\d.]+) ms +([\d.]+) times as fast as published +([\d.]+) x azimuthal",
    )
    ms = {name: cost for name, cost, *_ in rows}
    assert list(ms) == [
        "published algorithm",
        "preset durall",
        "preset azimuthal",
        "preset residual",
        "rings of a new size",
        "bare float32 FFT",
    ]
    for name, cost, times_as_fast, times_azimuthal in rows:
        assert cost > 0, name
        assert times_as_fast == pytest.approx(ms["published algorithm"] / cost, rel=0.1, abs=0.1)
        assert times_azimuthal == pytest.approx(cost / ms["preset azimuthal"], rel=0.1, abs=0.1)


def test_the_stages_of_a_scan_add_up() -> None:
    model = MODELS / "photographs.pkl"
    arguments = (EXAMPLES, "--count", 4, "--features", "residual", "--model", model)
    outer, inner = printed("benchmarks/stages.py", *arguments).split("of the features", 1)
    ms = dict(table(outer, r"(.{24}) *(-?[\d.]+) ms"))
    assert list(ms) == ["read and hash", "decode", "features", "judge", "the rest", "all"]
    assert ms.pop("all") == pytest.approx(sum(ms.values()), abs=0.05)
    groups = dict(table(inner.split("\n", 1)[1], r"  (.{22}) *([\d.]+) ms"))
    assert {"dft", "power", "rings", "profile", "coherence"} <= set(groups)
    assert all(0 <= cost <= ms["features"] for cost in groups.values())


def test_startup_is_compared_with_click() -> None:
    ((click, shown, times),) = table(
        printed("benchmarks/startup.py", "--repeats", 1),
        r"import click (\d+) ms, spectral-detect --help (\d+) ms: ([\d.]+) times",
    )
    assert times == pytest.approx(shown / click, rel=0.1)


def test_growth_is_measured_drawn_and_extrapolated(tmp_path: Path) -> None:
    cells = tmp_path / "growth.json"
    model = MODELS / "small.pkl"
    arguments = ("--counts", "4,8", "--sides", 64, "--jobs", 1, "--model", model, "--json", cells)
    measured = printed("benchmarks/growth.py", EXAMPLES, *arguments).splitlines()
    assert [line.split()[:3] for line in measured[1:3]] == [["64", "4", "1"], ["64", "8", "1"]]
    assert [line.split()[:2] for line in measured[-2:]] == [["1,000,000", "64"], ["1,000,000,000", "64"]]
    of_one = json.loads(cells.read_text())
    of_two = [cell | {"jobs": 2, "seconds": cell["seconds"] / 2} for cell in of_one]
    cells.write_text(json.dumps([*of_one, *of_two]))
    drawn = printed("benchmarks/growth.py", "--from", cells, "--plot", tmp_path / "growth.png").splitlines()
    assert drawn[:3] == measured[:3]
    assert [line.split()[2] for line in drawn[1:5]] == ["1", "1", "2", "2"]
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


def test_gans_are_compared(tmp_path: Path, rng: np.random.Generator, printed_here: Callable[..., str]) -> None:
    (tmp_path / "faces").mkdir()
    for k in range(70):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)).save(tmp_path / "faces" / f"{k}.png")
    arguments = ["--output", tmp_path / "runs", "--objectives", "dcgan", "--size", 32, "--channels", 8]
    arguments += ["--batch-size", 16, "--threads", 1]
    networks = ["baseline", "baseline, spectral loss", "v4"]
    for epochs, chosen in ((1, networks), (2, networks[:1])):  # the second time the run goes on
        named = ["--networks", *chosen, "--epochs", epochs]
        lines = printed_here("spectral_gan/compare.py", tmp_path / "faces", *arguments, *named).splitlines()
        assert [line.split("|")[2].strip() for line in lines[2:]] == [*chosen, "other camera images"]
        with Image.open(tmp_path / "runs" / "comparison.png") as picture:
            assert picture.width > 300 * (1 + len(chosen))
    logs = [(tmp_path / "runs" / name / "log.jsonl").read_text() for name in ("dcgan-baseline", "dcgan-v4")]
    assert [log.count("\n") for log in logs] == [2, 1]


def test_spectral_losses_are_compared_and_what_is_done_is_not_done_again(
    tmp_path: Path, rng: np.random.Generator, printed_here: Callable[..., str]
) -> None:
    pytest.importorskip("torch")
    (tmp_path / "faces").mkdir()
    for k in range(110):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        coarse.resize((32, 32), Image.Resampling.BICUBIC).save(tmp_path / "faces" / f"{k}.png")
    arguments = [tmp_path / "faces", "--output", tmp_path / "runs", "--objectives", "dcgan", "--channels", 8, "--n", 50]
    arguments += ["--batch-size", 16, "--threads", 1, "--epochs", 1, "--losses", "none", "residual-energy"]
    nothing = printed_here("spectral_gan/ablation.py", *arguments, "--budget", 0).splitlines()
    assert len(nothing) == 3  # title, rule, other camera images
    lines = printed_here("spectral_gan/ablation.py", *arguments).splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert [(row[2], row[3]) for row in cells[2:]] == [
        ("none", "0"), ("residual-energy", "5"), ("other camera images", "-")
    ]  # fmt: skip
    assert len({len(row) for row in cells}) == 1
    assert float(cells[2][6]) > 3 * float(cells[-1][6])  # the mean profile of samples, and of camera images
    kept = tmp_path / "runs" / "dcgan-none-0-seed0" / "ablation.json"
    kept.write_text(json.dumps({**json.loads(kept.read_text()), "means": 77.0}))
    assert "77.000" in printed_here("spectral_gan/ablation.py", *arguments).splitlines()[2]
    with pytest.raises(SystemExit, match="was made with channels 8, not 16: name another --output"):
        printed_here("spectral_gan/ablation.py", *arguments, "--channels", 16)

    more = ["--weight", 3, "--seeds", 1, "--upsampling", "upconv-nearest", "--keep-weights", 1]
    lines = printed_here("spectral_gan/ablation.py", *arguments[:-2], "none", "profile-bce", *more).splitlines()
    assert [line.split("|")[4].strip() for line in lines[2:4]] == ["0", "3"]
    assert (tmp_path / "runs" / "dcgan-none-0-upconv-nearest-seed1" / "weights").is_dir()

    other = shutil.copytree(kept.parent, tmp_path / "runs" / "other")
    options, log = (json.loads((other / name).read_text()) for name in ("options.json", "log.jsonl"))
    (other / "options.json").write_text(json.dumps({**options, "seed": 9}))
    (other / "log.jsonl").write_text(json.dumps({**log, "fd": log["fd"] + 2, "diversity": 0.01}) + "\n")
    runs = sorted((tmp_path / "runs").iterdir())
    lines = printed_here("spectral_gan/course.py", *runs, "--output", tmp_path / "course.png").splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]
    assert [row[2] for row in rows if row[1] == "no spectral loss, transconv, baseline"] == ["2"]
    assert sorted(row[2] for row in rows) == ["1", "1", "1", "2"]
    both = next(row for row in rows if row[2] == "2")
    assert both[4] == f"{log['fd'] + 1:.3g} ({log['fd']:.3g} to {log['fd'] + 2:.3g})"
    assert both[6] == f"{1 + (log['diversity'] < 0.25)} of 2"
    with Image.open(tmp_path / "course.png") as picture:
        assert picture.height > picture.width


def test_clusters_are_set_beside_robustness(tmp_path: Path, rng: np.random.Generator) -> None:
    for source, k in product(("a", "b"), range(24)):
        for label in ("real", "fake"):
            (tmp_path / source / label).mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
            if label == "fake":
                pixels = pixels[::2, ::2].repeat(2, axis=0).repeat(2, axis=1)
            Image.fromarray(pixels).save(tmp_path / source / label / f"{k}.png")
    lines = printed("cluster_agreement.py", tmp_path, "--shots", 16, "--tested", 8).splitlines()
    rows = [line.split() for line in lines[1:5]]
    assert [row[:3] for row in rows] == [[s, p, "16"] for s in "ab" for p in ("azimuthal", "residual")]
    assert all(float(row[3]) == 1 and float(row[5]) == 1 for row in rows)  # doubled pixels are told by anything
    assert [line.split(":")[0] for line in lines[5:]] == [
        "rand2 and robust", "rand2 and lost", "purity10 and robust", "purity10 and lost"
    ]  # fmt: skip


def test_the_world_model_is_made_from_sources(tmp_path: Path) -> None:
    """Of small sources of smooth and of chequered noise: the card tells them apart, and the model is there."""
    rng = np.random.default_rng(0)
    rows = ["name,label,family,group,weight"]
    for k in range(22):
        label = ("real", "fake")[k % 2]
        folder = tmp_path / "corpus" / label / f"s{k}"
        folder.mkdir(parents=True)
        rows.append(f"s{k},{label},{'camera' if label == 'real' else 'chequers'},g{k},{0.2 if k >= 20 else 1}")
        coarse = Image.fromarray(rng.integers(0, 256, (60, 60, 3), np.uint8))
        pixels = np.asarray(coarse.resize((240, 240), Image.Resampling.BICUBIC), dtype=int)
        if label == "fake":
            pixels = np.clip(pixels + 40 * (np.indices((240, 240)).sum(axis=0) // 3 % 2)[..., None], 0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "0.png")
    for k in range(10):
        rows.append(f"o{k},outsider,blocks,o{k},1")
        (tmp_path / "corpus" / "outsider" / f"o{k}").mkdir(parents=True)
        blocks = Image.fromarray(rng.integers(0, 2, (8, 8, 3), np.uint8) * 255)
        blocks.resize((240, 240), Image.Resampling.NEAREST).save(tmp_path / "corpus" / "outsider" / f"o{k}" / "0.png")
    (tmp_path / "sources.csv").write_text("\n".join(rows) + "\n")
    arguments = (tmp_path / "corpus", "--sources", tmp_path / "sources.csv", "--work", tmp_path / "work")
    arguments = (*arguments, "--output", tmp_path / "models", "--jobs", 1)
    text = printed_by([sys.executable, "-c", QUICK_WORLD, str(ROOT / "examples"), *map(str, arguments)])
    model = load_model(tmp_path / "models" / "world.pkl")
    assert model.card in text
    assert model.outsiders is not None
    assert model.outsiders.found > 0.9
    assert "Of pictures that are no photographs, of sources left out, it finds 100 %." in text
    assert "10 sources of camera images" in text
    assert re.search(r"10 sources\s+of generated ones", text)
    assert re.search(r"Beside them \d+ files of less weight", text)
    assert re.search(r"chequers +10 +100\.0  100   0", text)
    assert re.search(r"chequers +1 +100\.0  100   0", text)  # of little weight, and measured apart
    assert len(list((tmp_path / "work" / "web").rglob("*.*"))) == 2 * 32
    assert model.experience is not None
    assert model.experience.least_side_px == 240

    arguments = (*arguments[:4], tmp_path / "small", *arguments[5:], "--kind", "small")
    text = printed_by([sys.executable, "-c", QUICK_WORLD, str(ROOT / "examples"), *map(str, arguments)])
    before, model = model, load_model(tmp_path / "models" / "world.pkl")
    assert (model.card, model.undecided) == (before.card, before.undecided)
    assert model.small is not None and model.small.experience is not None
    assert model.small.card in text and text.startswith("small: small images of unknown history")
    assert {each.name for each in (tmp_path / "small").iterdir()} == {
        "made.txt",
        "native",
        "still",
        "part",
        "video",
        "gray",
    }
    assert model.small.experience.least_side_px == 128
    assert (tmp_path / "models" / "world.md").read_text().count("```") == 4
    command = [
        sys.executable,
        str(ROOT / "examples" / "make_world_model.py"),
        *map(str, arguments),
        "--per-source",
        "9",
    ]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 1 and "was made otherwise" in refused.stderr

    def limit(corpus: str) -> subprocess.CompletedProcess[str]:
        given = (tmp_path / corpus, "--sources", tmp_path / "sources.csv", "--work", tmp_path / f"limit-{corpus}")
        command = [sys.executable, ROOT / "examples" / "limit_world_model.py", *given, *arguments[5:9]]
        return subprocess.run([*map(str, command)], capture_output=True, text=True)

    known = limit("corpus")
    assert known.returncode == 1 and "world knows images of fake/s1, " in known.stderr
    for path in sorted((tmp_path / "corpus").rglob("*.png")):
        later = tmp_path / "later" / path.relative_to(tmp_path / "corpus")
        later.parent.mkdir(parents=True)
        with Image.open(path) as image:
            ImageOps.mirror(image).save(later)
    done = limit("later")
    assert done.returncode == 0, done.stderr
    before, model = model, load_model(tmp_path / "models" / "world.pkl")
    assert before.undecided is not None and model.undecided is not None and model.small is not None
    assert model.undecided[0] <= before.undecided[0]
    assert model.undecided[1] == before.undecided[1] and model.small.card == before.small.card
    assert "It was asked about" in model.card and model.card in done.stdout
    again = limit("later")
    assert again.returncode == 1 and "has its limit by such sources already" in again.stderr


def test_whose_tables_jpeg_files_have_is_counted(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[271], exif[272] = "Maker", "Model\x1b"
    with Image.open(EXAMPLES / "real" / "Garden.png") as image:
        image.save(tmp_path / "a.jpg", quality=80, exif=exif)
        image.save(tmp_path / "b.jpg", quality="web_high")
    (tmp_path / "c.jpg").write_bytes(b"no image")
    lines = printed("jpeg_tables.py", tmp_path).splitlines()
    assert sorted(line.strip() for line in lines) == [
        "1  Photoshop, save for web, high: 1 (no camera)",
        "1  libjpeg: 1 Maker Model\\x1b",
    ]


def test_adversarial_crops_are_detected(tmp_path: Path) -> None:
    pytest.importorskip("foolbox")
    pytest.importorskip("onnx")
    few = ("--crops", 12, "--epochs", 4, "--cw-steps", 3)
    lines = printed("adversarial.py", "--work", tmp_path, *few).splitlines()
    assert lines[0].startswith("12 photographs; the network is right on")
    assert lines[2].split(maxsplit=3)[3] == "magnitude               phase     layer magnitude         layer phase"
    rows = {line.split()[0]: [float(word) for word in line.split()[4:]] for line in lines[3:6]}
    for name in ("FGSM", "BIM", "PGD"):
        aurocs = rows[name][::3]
        assert len(aurocs) == 4 and aurocs[0] > 90 and aurocs[2] > 80
    model = load_model(tmp_path / "FGSM-layer-phase.pkl")
    assert model.class_names == ("clean", "perturbed")
    assert model.spec.encoder is not None and (len(model.spec.encoder.layers), model.spec.encoder.spectrum) == (
        3,
        "phase",
    )


def test_naming_is_measured_on_sources_left_out(tmp_path: Path) -> None:
    rng, rows = np.random.default_rng(0), ["name,label,family,group"]
    for label, family, times in (("real", "camera", 1), ("fake", "twofold", 2), ("fake", "fourfold", 4)):
        for number in range(2):
            name = f"{family}{number}"
            rows.append(f"{name},{label},{family},{name}")
            (tmp_path / label / name).mkdir(parents=True)
            for k in range(6):
                small = rng.integers(0, 256, (64 // times, 64 // times, 3), dtype=np.uint8)
                large = np.kron(small, np.ones((times, times, 1), dtype=np.uint8))
                Image.fromarray(large).save(tmp_path / label / name / f"{k}.png")
    (tmp_path / "sources.csv").write_text("\n".join([*rows, "lonely,fake,alone,alone"]))
    shown = printed("name_generators.py", tmp_path, "--sources", tmp_path / "sources.csv", "--jobs", 0)
    assert shown.startswith("residual, svm, 36 images in 6 groups")
    found = {line.split()[0]: line.split()[1:] for line in shown.splitlines()[3:]}
    assert set(found) == {"camera", "twofold", "fourfold", "mean"}
    assert found["twofold"][:2] == ["12", "2"]
    assert min(float(found[name][2]) for name in ("camera", "twofold", "fourfold")) >= 80
    assert min(float(found[name][5]) for name in ("camera", "twofold", "fourfold")) >= 80


def test_grouping_is_measured_by_source(labelled_folder: Path) -> None:
    folders = (labelled_folder / "real", labelled_folder / "fake")
    shown = printed("group_sources.py", *folders, "--draws", 2, "--images", 10, "--jobs", 0)
    head, *lines = shown.splitlines()
    assert head.split() == ["features", "method", "ARI", "purity", "in", "one", "clusters"]
    rows = table("\n".join(lines), r"(\w+) +(HDBSCAN|average [\d.]+) +(-?[\d.]+) +([\d.]+|nan) +([\d.]+) +([\d.]+)")
    assert [row[0] for row in rows[::4]] == ["azimuthal", "residual", "world"] and len(rows) == 12
    found = {(features, method): numbers for features, method, *numbers in rows}
    index, purity, share, number = map(float, found["residual", "HDBSCAN"])
    assert index > 0.5 and purity == 1 and share > 0.5 and 2 <= number < 5
