"""Through the command line: exit status, output, errors that name the remedy."""

from __future__ import annotations

import csv
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import EXAMPLES, MODELS, SHARED, Run, needs_shared, with_labelled_images
from spectral_detect import FeatureSpec, __version__, extract_features, load_model, read_image, scan
from spectral_detect.records import IMAGE_COLUMNS

MODEL = MODELS / "photographs.pkl"
COMMANDS = ("scan", "train", "evaluate", "audit", "extract", "models")


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory, run: Run) -> Path:
    """Train on the images of `labelled_folder`."""
    folder = with_labelled_images(tmp_path_factory.mktemp("labelled"), np.random.default_rng(0))
    output = folder / "detector.pkl"
    result = run("train", "--real", folder / "real", "--fake", folder / "fake", "--output", output)
    assert result.exit_code == 0, result.output
    return output


@pytest.fixture
def trained(labelled_folder: Path, detector: Path) -> Path:
    return Path(shutil.copy(detector, labelled_folder))


def records(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


# -------------------------------------------------------------------------------------------------------------- scan


def test_scan_gives_a_verdict_per_file_in_order(trained: Path, labelled_folder: Path, run: Run) -> None:
    result = run("scan", labelled_folder, "--model", trained, "--format", "jsonl")
    assert (result.exit_code, result.stderr) == (0, "")
    rows = records(result.stdout)
    assert [r["path"] for r in rows] == [
        str(labelled_folder / label / f"{k:02d}.png") for label in ("fake", "real") for k in range(12)
    ]
    assert [r["verdict"] for r in rows] == ["fake"] * 12 + ["real"] * 12
    assert [r["label"] for r in rows] == [1] * 12 + [0] * 12
    model = load_model(trained)
    assert {(r["model"], r["model_sha256"], r["spec_sha256"], r["tool_version"]) for r in rows} == {
        ("detector", model.sha256, model.spec.sha256, __version__)
    }
    assert all((r["score"] >= r["threshold"]) == (r["verdict"] == "fake") for r in rows)


def test_any_number_of_jobs_writes_the_same_bytes(trained: Path, labelled_folder: Path, run: Run) -> None:
    outputs = []
    for jobs in (1, 2):
        output = labelled_folder / f"{jobs}.csv"
        assert run("scan", labelled_folder, "--model", trained, "--jobs", jobs, "-o", output).exit_code == 0
        outputs.append(output.read_bytes())
    assert outputs[0] == outputs[1]
    assert outputs[0].decode().splitlines()[0] == ",".join(IMAGE_COLUMNS)


def test_the_table_ends_in_a_summary(trained: Path, labelled_folder: Path, run: Run) -> None:
    (labelled_folder / "real" / "notes.txt").write_text("nothing")
    result = run("scan", labelled_folder / "real", "--model", trained)
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["verdict", "score", "accuracy", "path"]
    assert lines[-1] == "12 images: 12 real, 0 fake, 0 inconclusive, 0 failed; 1 other file skipped: 1 .txt"
    assert "\x1b" not in result.stdout


def test_a_bad_file_fails_alone(trained: Path, labelled_folder: Path, run: Run) -> None:
    (labelled_folder / "real" / "05.png").write_bytes(b"text")
    Image.new("L", (40, 40), 3).save(labelled_folder / "real" / "06.png")
    result = run("scan", labelled_folder / "real", "--model", trained, "--format", "jsonl", "--fail-on-fake")
    assert result.exit_code == 1
    rows = {Path(str(r["path"])).name: r for r in records(result.stdout)}
    assert len(rows) == 12
    assert (rows["05.png"]["verdict"], rows["05.png"]["label"], rows["05.png"]["score"]) == (None, None, None)
    assert "not an image in a known format" in str(rows["05.png"]["error"])
    assert rows["05.png"]["sha256"] is not None
    assert (rows["06.png"]["verdict"], rows["06.png"]["label"]) == ("inconclusive", None)
    assert rows["06.png"]["warnings"] == ["constant image: there is no spectrum to judge"]
    assert f"error: {labelled_folder}/real/05.png: not an image" in result.stderr


def test_fail_on_fake(trained: Path, labelled_folder: Path, run: Run) -> None:
    for label, status in (("fake", 3), ("real", 0)):
        assert run("scan", labelled_folder / label, "--model", trained, "--fail-on-fake").exit_code == status
    assert run("scan", labelled_folder / "fake", "--model", trained).exit_code == 0


def test_a_threshold_in_place_of_the_models(trained: Path, labelled_folder: Path, run: Run) -> None:
    result = run("scan", labelled_folder, "--model", trained, "--threshold", "0", "--format", "jsonl")
    assert {(r["verdict"], r["threshold"]) for r in records(result.stdout)} == {("fake", 0.0)}
    for wrong in ("1.5", "nan", "-0.1"):
        assert run("scan", labelled_folder, "--model", trained, "--threshold", wrong).exit_code == 2


@pytest.mark.parametrize("end", ["\n", "\0"])
def test_paths_from_standard_input(trained: Path, labelled_folder: Path, run: Run, end: str) -> None:
    paths = [str(labelled_folder / "real" / "00.png"), str(labelled_folder / "gone.png")]
    null = ["-0"] if end == "\0" else []
    stdin = end.join(paths).encode()
    result = run("scan", "--files-from", "-", *null, "--model", trained, "--format", "jsonl", stdin=stdin)
    assert result.exit_code == 1
    assert [r["path"] for r in records(result.stdout)] == paths
    assert records(result.stdout)[1]["error"] == "cannot be read: No such file or directory"


def test_a_list_that_needs_minus_0_says_so_and_one_from_windows_is_read(
    trained: Path, labelled_folder: Path, run: Run
) -> None:
    path = str(labelled_folder / "real" / "00.png").encode()
    forgotten = run("scan", "--files-from", "-", "--model", trained, stdin=path + b"\0" + path)
    assert forgotten.exit_code == 2
    assert "the list holds NUL characters: give -0 as well" in forgotten.stderr
    windows = run("scan", "--files-from", "-", "--model", trained, stdin=path + b"\r\n" + path + b"\r\n")
    assert windows.exit_code == 0
    assert "2 images: 2 real" in windows.stdout
    assert run("scan", labelled_folder, "-0", "--model", trained).exit_code == 2


@pytest.mark.parametrize("end", ["\n", "\0", "\r\n"])
def test_a_byte_order_mark_is_no_part_of_a_path(trained: Path, labelled_folder: Path, run: Run, end: str) -> None:
    listing = f"{labelled_folder / 'real' / '00.png'}{end}".encode("utf-8-sig")
    null = ["-0"] if end == "\0" else []
    assert run("scan", "--files-from", "-", *null, "--model", trained, stdin=listing).exit_code == 0


@pytest.mark.parametrize(
    ("encoding", "named"),
    [("utf-16", "UTF-16"), ("utf-16-le", "UTF-16LE"), ("utf-16-be", "UTF-16BE"), ("utf-32", "UTF-32")],
)
def test_a_list_in_another_encoding_names_it(trained: Path, run: Run, encoding: str, named: str) -> None:
    result = run("scan", "--files-from", "-", "--model", trained, stdin="real/00.png\r\n".encode(encoding))
    assert result.exit_code == 2
    assert f"the list is in {named}, not in UTF-8; save it as UTF-8" in result.stderr


def test_names_of_one_character_between_nuls_are_no_utf16(trained: Path, run: Run) -> None:
    result = run("scan", "--files-from", "-", "-0", "--model", trained, "--format", "jsonl", stdin=b"a\0b\0c\0d\0")
    assert result.exit_code != 2
    assert [r["path"] for r in records(result.stdout)] == ["a", "b", "c", "d"]


def test_a_listed_name_that_is_not_utf8_is_read_or_says_so(trained: Path, labelled_folder: Path, run: Run) -> None:
    name = os.fsencode(labelled_folder) + b"/M\xfcller.png"
    missing = run("scan", "--files-from", "-", "--model", trained, "--format", "jsonl", stdin=name)
    assert "the name is not UTF-8: if it comes from a list in another encoding" in records(missing.stdout)[0]["error"]
    shutil.copy(labelled_folder / "real" / "00.png", os.fsdecode(name))
    assert run("scan", "--files-from", "-", "--model", trained, stdin=name).exit_code == 0


@needs_shared
def test_the_shared_lists(trained: Path, run: Run) -> None:
    lists = SHARED / "faults" / "lists"
    marked = run("scan", "--files-from", lists / "bom.txt", "--model", trained, "--format", "jsonl")
    assert [r["path"] for r in records(marked.stdout)] == ["names/with space.png"]
    wide = run("scan", "--files-from", lists / "utf16.txt", "--model", trained)
    assert "the list is in UTF-16, not in UTF-8" in wide.stderr


def test_training_warns_of_transparent_images(labelled_folder: Path, tmp_path: Path, run: Run) -> None:
    path = labelled_folder / "fake" / "03.png"
    with Image.open(path) as picture:
        picture.putalpha(100)
        picture.save(path)
    result = run("train", "--real", labelled_folder / "real", "--fake", labelled_folder / "fake", "-o", tmp_path / "m")
    assert f"more than 5 % of the pixels are transparent in 1 image, the first: {path}" in result.stderr


def test_an_output_never_replaces_an_image_or_an_input(trained: Path, labelled_folder: Path, run: Run) -> None:
    image = labelled_folder / "real" / "00.png"
    before = image.read_bytes()
    folders = ("--real", labelled_folder / "real", "--fake", labelled_folder / "fake")
    for command in (
        ["scan", labelled_folder, "--model", trained, "--format", "csv", "-o", image],
        ["train", *folders, "-o", image],
        ["scan", labelled_folder, "--model", trained, "--format", "csv", "-o", image],
    ):
        result = run(*command)
        assert result.exit_code == 2
        assert "would be overwritten; name another output" in result.stderr
        assert image.read_bytes() == before
    listing = labelled_folder / "list.txt"
    listing.write_text(str(image))
    result = run("scan", "--files-from", listing, "--model", trained, "-o", listing)
    assert result.exit_code == 2
    assert listing.read_text() == str(image)
    assert run("scan", image, "--model", trained, "--format", "csv", "-o", trained).exit_code == 2
    load_model(trained)
    manifest = labelled_folder / "m.csv"
    manifest.write_text("path,label\n")
    assert run("train", "--manifest", manifest, "-o", manifest).exit_code == 2
    assert manifest.read_text() == "path,label\n"


def test_patterns_are_expanded(trained: Path, labelled_folder: Path, run: Run) -> None:
    result = run("scan", labelled_folder / "*" / "0[12].png", "--model", trained, "--format", "jsonl")
    assert [Path(str(r["path"])).name for r in records(result.stdout)] == ["01.png", "02.png"] * 2


HOSTILE_NAMES = [b"new\nline.png", b"=cmd|'calc'!A0.png", b"\x1b[31mred.png", b"\xff\xfe.png", b"'quote\".png"]


@pytest.mark.parametrize("name", [*HOSTILE_NAMES, b"a" * 251 + b".png"])
def test_no_file_name_breaks_a_format(trained: Path, labelled_folder: Path, run: Run, name: bytes) -> None:
    folder = labelled_folder / "odd"
    folder.mkdir()
    path = os.path.join(os.fsencode(folder), name)
    with open(path, "wb") as stream:
        stream.write((labelled_folder / "real" / "00.png").read_bytes())
    as_json = run("scan", folder, "--model", trained, "--format", "jsonl")
    (row,) = records(as_json.stdout)
    assert os.fsencode(str(row["path"])) == path
    output = labelled_folder / "out.csv"
    assert run("scan", folder, "--model", trained, "-o", output).exit_code == 0
    text = output.read_bytes().decode("utf-8", "surrogateescape")
    _, cells = csv.reader(io.StringIO(text, newline=""))
    assert os.fsencode(cells[1]) == path
    table = run("scan", folder, "--model", trained).stdout
    assert table.isascii()
    assert "\x1b" not in table
    assert len(table.splitlines()) == 6  # a training image: said below


def test_a_formula_is_quoted_where_it_starts_a_cell(
    trained: Path, labelled_folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(labelled_folder / "real")
    os.rename("00.png", "=1+1.png")
    result = run("scan", "=1+1.png", "--model", trained, "--format", "csv")
    assert "'=1+1.png" in result.stdout.splitlines()[1]


# -------------------------------------------------------------------------------------------- train, evaluate, models


def test_train_says_what_it_did_and_is_reproducible(labelled_folder: Path, run: Run, trained: Path) -> None:
    again = labelled_folder / "again.pkl"
    folders = ("--real", labelled_folder / "real", "--fake", labelled_folder / "fake")
    result = run("train", *folders, "--output", again)
    assert "12 real, 12 fake images in 24 groups" in result.stdout
    assert "balanced accuracy" in result.stdout
    assert result.stderr == ""
    first, second = load_model(trained), load_model(again)
    np.testing.assert_array_equal(first.reference, second.reference)
    np.testing.assert_array_equal(first.scores(first.reference), second.scores(first.reference))


@pytest.mark.parametrize("classifier", ["svm", "logreg", "kmeans"])
@pytest.mark.parametrize(
    "options", [(), ("--features", "durall", "--bins", "80"), ("--features", "azimuthal", "--bins", "none")]
)
def test_every_classifier_and_feature_set_works(
    labelled_folder: Path, run: Run, classifier: str, options: tuple[str, ...]
) -> None:
    output = labelled_folder / "m.pkl"
    folders = ("--real", labelled_folder / "real", "--fake", labelled_folder / "fake")
    result = run("train", *folders, "--output", output, "--classifier", classifier, *options)
    assert result.exit_code == 0, result.output
    evaluated = run("evaluate", output, *folders, "--json")
    assert json.loads(evaluated.stdout)["balanced_accuracy"] == 1.0


def test_a_model_without_bins_refuses_images_of_another_size(labelled_folder: Path, run: Run, tmp_path: Path) -> None:
    output = labelled_folder / "m.pkl"
    run(
        "train",
        "--real",
        labelled_folder / "real",
        "--fake",
        labelled_folder / "fake",
        "-o",
        output,
        "--bins",
        "none",
        "--features",
        "azimuthal",
    )
    result = run("scan", EXAMPLES / "real" / "Aqua.png", "--model", output)
    assert result.exit_code == 1
    assert "trained on images of one other size" in result.stdout


def test_kmeans_without_labels(labelled_folder: Path, run: Run) -> None:
    output = labelled_folder / "m.pkl"
    result = run("train", "--classifier", "kmeans", "--unlabelled", labelled_folder, "--output", output)
    assert result.exit_code == 0
    assert "24 unlabelled images" in result.stdout
    assert "is a guess" in result.stdout
    assert "which cluster is called fake is a guess" in run("models", output).stdout
    scanned = run("scan", labelled_folder, "--model", output, "--format", "jsonl")
    assert ["is a guess" in str(r["warnings"]) for r in records(scanned.stdout)] == [True] * 24
    assert run("train", "--unlabelled", labelled_folder, "--output", output).exit_code == 2


def test_evaluate_prints_every_promised_number(trained: Path, labelled_folder: Path, run: Run) -> None:
    folders = ("--real", labelled_folder / "real", "--fake", labelled_folder / "fake")
    result = json.loads(run("evaluate", trained, *folders, "--json").stdout)
    metrics = ("accuracy", "balanced_accuracy", "average_precision", "auroc", "eer", "ece", "cllr")
    assert result["tpr_at_fpr_5"] is result["tpr_at_fpr_5_ci"] is None  # of twelve reals
    assert {"n_real", "n_fake", "threshold", "inconclusive_rate", "confusion", *metrics} <= set(result)
    assert all(len(result[f"{m}_ci"]) == 2 for m in metrics)
    assert (result["n_real"], result["n_fake"], result["inconclusive_rate"]) == (12, 12, 0.0)
    text = run("evaluate", trained, *folders)
    assert text.exit_code == 0
    for title in ("AUROC", "equal error rate", "TPR at 5 % FPR", "called fake"):
        assert title in text.stdout


def test_evaluate_with_a_manifest_counts_groups_and_goes_on_over_bad_files(
    trained: Path, labelled_folder: Path, run: Run
) -> None:
    rows = [f"{label}/{k:02d}.png,{label},{label}{k // 4}" for label in ("real", "fake") for k in range(12)]
    manifest = labelled_folder / "m.csv"
    manifest.write_text("\n".join(["path,label,group", *rows, "gone.png,real,x", ""]))
    Image.new("L", (64, 64)).save(labelled_folder / "real" / "00.png")
    result = run("evaluate", trained, "--manifest", manifest, "--json")
    assert result.exit_code == 1
    assert "gone.png: cannot be read" in result.stderr
    values = json.loads(result.stdout)
    assert (values["n_real"], values["n_groups"], values["n_failed"]) == (12, 6, 1)
    assert values["inconclusive_rate"] == pytest.approx(1 / 24)


def test_train_warns_of_classes_that_differ_in_size_or_format(labelled_folder: Path, run: Run) -> None:
    for path in sorted((labelled_folder / "fake").iterdir()):
        with Image.open(path) as image:
            image.resize((72, 72)).save(path.with_suffix(".jpg"))
        path.unlink()
    folders = ("--real", labelled_folder / "real", "--fake", labelled_folder / "fake")
    result = run("train", *folders, "--output", labelled_folder / "m.pkl")
    assert result.exit_code == 0
    for text in (result.stderr, run("evaluate", labelled_folder / "m.pkl", *folders).stderr):
        line, *others = text.splitlines()
        expected = ("no coding (JPEG, lossless, ...) of a like quality", "24 of 24 images were in the training")
        assert all(any(part in other for part in expected) for other in others)
        assert line.startswith("warning: format, width, height and 3 more tell the classes apart: metadata alone reach")
        assert "an AUROC of 1.000 (interval 0." in line


def test_models_lists_what_ships_and_shows_a_file(trained: Path, run: Run) -> None:
    listing = run("models")
    assert [line for line in listing.stdout.splitlines() if not line.startswith(" ")] == ["world"]
    assert "Not good for" in run("models", "world").stdout
    assert "every image counting alike:\n    balanced accuracy" in listing.stdout
    assert "\n    native 94.3 %, resaved 87.2 %, web 85.2 %, video 83.9 %" in listing.stdout  # of sources found later
    assert "in each condition" not in run("models", trained).stdout
    facts = json.loads(run("models", trained, "--json").stdout)
    assert facts["spec"] == FeatureSpec.preset("residual").to_dict()
    assert (facts["training"]["n_real"], facts["training"]["n_groups"]) == (12, 24)
    assert [model["name"] for model in json.loads(run("models", "--json").stdout)] == ["world"]


# ----------------------------------------------------------------------------------------------------------- extract


@pytest.mark.parametrize("options", [(), ("--features", "durall", "--bins", "80")])
def test_extract_writes_features_with_their_spec(tmp_path: Path, run: Run, options: tuple[str, ...]) -> None:
    npz, table = tmp_path / "f.npz", tmp_path / "f.csv"
    for output in (npz, table):
        result = run("extract", EXAMPLES, "--output", output, *options)
        said = f"{output}: 24 images, 0 failed\n"
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", said)
    with np.load(npz, allow_pickle=False) as content:
        spec = FeatureSpec.from_dict(json.loads(str(content["spec"])))
        paths, X = content["paths"].tolist(), content["X"]
        assert content["sizes"].tolist() == [[256, 256]] * 24
    with Image.open(paths[5]) as image:
        np.testing.assert_array_equal(X[5], extract_features(np.asarray(image.convert("RGB")), spec))
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    assert [row["path"] for row in rows] == paths == sorted(paths)
    assert FeatureSpec.from_dict(json.loads(rows[0]["spec"])) == spec
    values = np.array([[row[f"f{k}"] for k in range(X.shape[1])] for row in rows], dtype=X.dtype)
    np.testing.assert_array_equal(values, X)


@pytest.mark.parametrize("suffix", [".npz", ".csv"])
def test_extract_without_bins_needs_one_size(labelled_folder: Path, run: Run, suffix: str) -> None:
    Image.effect_noise((80, 80), 50).save(labelled_folder / "real" / "00.png")
    (labelled_folder / "real" / "01.png").write_bytes(b"")
    output = labelled_folder / f"f{suffix}"
    result = run("extract", labelled_folder, "--output", output, "--bins", "none")
    assert result.exit_code == 2
    assert "no bins) make no table; set --bins" in result.stderr
    assert run("extract", labelled_folder, "--output", output).exit_code == 1
    assert output.exists()


# ------------------------------------------------------------------------------------------------- errors and the end


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["scan"], "name files or folders"),
        (["scan", "nowhere"], "'nowhere': no such file or folder, and no file matches it as a pattern"),
        (["scan", "empty"], "no image found"),
        (["scan", "examples", "--model", "nowhere.pkl"], "nowhere.pkl' cannot be read: No such file"),
        (["scan", "examples", "--model", "text.pkl"], "text.pkl': not a model file"),
        (
            ["scan", "examples", "-o", "nowhere/out.csv"],
            "'nowhere/out.csv' cannot be written: there is no folder 'nowhere'; make it first",
        ),
        (["scan", "examples", "-o", "out.xml"], "end it in .csv, .jsonl or .txt, or give --format"),
        (["scan", "--files-from", "nowhere"], "nowhere: No such file"),
        (["train", "-o", "m.pkl"], "give --real DIR and --fake DIR, or --manifest CSV"),
        (["train", "--real", "examples", "-o", "m.pkl"], "give --real DIR and --fake DIR"),
        (["train", "--real", "x", "--manifest", "y", "-o", "m.pkl"], "not both"),
        (["train", "--real", "nowhere", "--fake", "examples", "-o", "m.pkl"], "nowhere"),
        (["train", "--real", "empty", "--fake", "examples", "-o", "m.pkl"], "no image found in 'empty'"),
        (["train", "--manifest", "text.pkl", "-o", "m.pkl"], "lacks label and path"),
        (["train", "--real", "examples", "--fake", "examples", "-o", "m.pkl"], "same file is real and fake"),
        (["train", "--real", "examples/real", "--fake", "examples/fake", "-o", "nowhere/m.pkl"], "cannot be written"),
        (["train", "--real", "a", "--fake", "b", "-o", "m.pkl", "--bins", "many"], "neither a whole number nor none"),
        (
            ["train", "--real", "examples", "--fake", "examples", "-o", "m.pkl", "--bins", "1"],
            "--bins 1: give 8 to 100000, or --bins none",
        ),
        (["evaluate", MODELS / "small.pkl", "--real", "examples/real", "--fake", "empty"], "no image found in 'empty'"),
        (["extract", "examples", "-o", "out.xls"], "end it in .npz or .csv"),
        (["extract", "examples", "-o", "nowhere/out.npz"], "cannot be written"),
        (["extract", "examples", "-o", "nowhere/out.csv"], "cannot be written"),
        (["extract", "empty", "-o", "out.csv"], "no image found"),
        (
            ["models", "nowhere"],
            "give the file of a model, or the name of a shipped one: world",
        ),
        (["models", ""], "the name of the model is empty"),
        (["scan", ""], "'': no such file or folder"),
        (["scan", "examples", "-o", ""], "the name of the output is empty"),
        (["scan", "examples", "--timeout", "1e300"], "86400"),
        (["scan", "examples", "--timeout", "nan"], "not a finite number"),
        (["train", "--real", "examples/real", "--fake", "examples/fake", "-o", "empty"], "Is a directory"),
        (["train", "--real", "a", "--fake", "b", "-o", "m.pkl", "--seed", "4294967296"], "4294967295"),
        (
            ["evaluate", MODELS / "small.pkl", "--real", "examples/real", "--fake", "examples/real"],
            "same file is real and fake",
        ),
    ],
)
def test_wrong_usage_is_status_2_with_a_message_and_no_output(
    arguments: list[str], message: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "examples").symlink_to(EXAMPLES)
    (tmp_path / "text.pkl").write_text("text")
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert result.stdout == ""
    assert sorted(os.listdir(tmp_path)) == ["empty", "examples", "text.pkl"]


def test_messages_about_hostile_names_are_safe(run: Run) -> None:
    result = run("scan", "\x1b[2Jgone")
    assert "\x1b" not in result.stderr
    assert r"\x1b[2Jgone" in result.stderr


def program(*arguments: object, **options: object) -> subprocess.Popen[bytes]:
    # a shell starts what it puts into the background with ctrl-C ignored; this one is to hear it
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from spectral_detect.cli import main; main()"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)


@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_leaves_whole_lines_and_status_130(tmp_path: Path, jobs: int) -> None:
    output = tmp_path / "out.jsonl"
    paths = [EXAMPLES] * 500
    scanning = program("scan", *paths, "-o", output, "--jobs", jobs, start_new_session=True)
    deadline = time.monotonic() + 60
    while not (output.exists() and output.stat().st_size > 10_000):
        assert time.monotonic() < deadline
        assert scanning.poll() is None
        time.sleep(0.02)
    os.killpg(scanning.pid, signal.SIGINT)
    _, stderr = scanning.communicate(timeout=60)
    assert scanning.returncode == 130
    assert stderr.decode().strip() == "interrupted; what was written so far is complete"
    content = output.read_text()
    assert content.endswith("\n")
    assert 5 < len(records(content)) < 500 * 24  # each takes a kilobyte


def test_a_reader_that_goes_away_is_no_crash(labelled_folder: Path) -> None:
    scanning = program("scan", *[EXAMPLES] * 50, "--jobs", 1, "--format", "jsonl")
    assert scanning.stdout is not None
    scanning.stdout.readline()
    scanning.stdout.close()
    assert scanning.wait(timeout=60) == 141
    assert scanning.stderr is not None
    assert scanning.stderr.read() == b""
    scanning.stderr.close()


def test_a_full_disk_is_an_error_with_a_name() -> None:
    scanning = program("scan", EXAMPLES, "-o", "/dev/full", "--format", "jsonl")
    _, stderr = scanning.communicate(timeout=60)
    assert scanning.returncode == 2
    assert stderr.decode().strip() == "Error: '/dev/full' cannot be written: No space left on device"


@pytest.mark.parametrize("arguments", [f"scan {EXAMPLES}", "models world", "--help", "scan --help"])
def test_a_standard_output_that_takes_nothing_is_status_2(arguments: str) -> None:
    command = f"{sys.executable} -m spectral_detect {arguments} > /dev/full"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.strip() == "Error: standard output cannot be written: No space left on device"


def test_closed_standard_streams() -> None:
    command = f"{sys.executable} -m spectral_detect scan {EXAMPLES} --format csv"
    for closed, status, n_lines in (("2>&-", 0, 25), ("0<&- 2>&-", 0, 25), (">&-", 2, 0)):
        done = subprocess.run(["bash", "-c", f"{command} {closed}"], capture_output=True, text=True)
        assert (done.returncode, len(done.stdout.splitlines())) == (status, n_lines), (closed, done.stderr)


@pytest.mark.parametrize(
    "arguments",
    [
        ("scan", EXAMPLES, "--jobs", 0, "-o", "out.jsonl"),
        ("scan", EXAMPLES, "--jobs", 0, "-o", "out.csv"),
        ("extract", EXAMPLES, "--jobs", 0, "-o", "out.csv"),
        ("extract", EXAMPLES, "--jobs", 0, "-o", "out.npz"),
        ("train", "--manifest", EXAMPLES / "manifest.csv", "--jobs", 0, "-o", "out.pkl"),
    ],
)
def test_a_disk_that_fills_up_leaves_whole_lines_or_nothing(tmp_path: Path, arguments: tuple[object, ...]) -> None:
    limit = (8192, 8192)
    writing = program(*arguments, cwd=tmp_path, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
    _, stderr = writing.communicate(timeout=120)
    output = str(arguments[-1])
    assert writing.returncode == 2
    assert f"{output}" in stderr.decode()
    assert "cannot be written: File too large" in stderr.decode()
    if output.endswith((".npz", ".pkl")):
        assert os.listdir(tmp_path) == []
        return
    lines = (tmp_path / output).read_text().splitlines(keepends=True)
    assert len(lines) >= 1
    assert all(line.endswith("\n") for line in lines)
    if output.endswith(".jsonl"):
        assert all(json.loads(line)["schema"] for line in lines)


def test_help_has_an_example_for_every_command(run: Run) -> None:
    assert __version__ in run("--version").stdout
    listing = run("--help").stdout
    for command in COMMANDS:
        assert command in listing
        text = run(command, "--help").stdout
        assert f"spectral-detect {command}" in text.split("Example", 1)[1]


def test_the_library_scans_without_the_command_line() -> None:
    found = list(scan([str(EXAMPLES / "real")], load_model(MODEL)))
    assert len(found) == 12
    assert {r.verdict for r in found} <= {"real", "fake"}
    with pytest.raises(FileNotFoundError):
        scan(["nowhere"], load_model(MODEL))


def test_read_image_gives_what_a_scan_sees() -> None:
    model = load_model(MODEL)
    path = EXAMPLES / "fake" / "Garden.png"
    (record,) = scan([str(path)], model)
    features = extract_features(read_image(path).pixels, model.spec)
    assert model.scores(features[None])[0] == pytest.approx(record.score, abs=1e-6)  # its BLAS has several threads
