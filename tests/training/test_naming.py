"""A model may learn to name the generators of images, and to refuse what is like none of them."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import Run, save_unchecked
from gaussian import SPEC
from spectral_detect import FAKE, REAL, Model, load_model, save_model, train_model
from spectral_detect.detector.naming import NONE_OF_THESE, Naming, NamingReport, softmax
from spectral_detect.errors import DatasetError, ModelFileError
from spectral_detect.extraction.one_file import Extraction
from spectral_detect.report.models import card_text, model_facts, naming_lines
from spectral_detect.scanning.judge import Judge
from spectral_detect.sources.location import Location
from spectral_detect.training.dataset import Dataset
from spectral_detect.training.naming.fit import fit_naming, spread

pytestmark = pytest.mark.usefixtures("in_this_process")

NAMES = ("real", "one", "two", "three")


def generator_data(n: int = 30, shift: float = 5.0, names: tuple[str, ...] = NAMES, seed: int = 0) -> Dataset:
    """Vectors of camera images and of generators, each moved along an axis of its own."""
    rng = np.random.default_rng(seed)
    at = np.repeat(np.arange(len(names)), n)
    X = rng.normal(size=(len(at), 12))
    X[np.arange(len(at)), at] += shift
    samples = tuple(
        Extraction(Location(f"{seed}-{k}"), sha256=f"{seed:032x}{k:032x}", width=64, height=64) for k in range(len(at))
    )
    y = np.where(at == 0, REAL, FAKE)
    return Dataset(X, y, np.arange(len(at)), samples, (), sources=tuple(names[k] for k in at))


def report_of(naming: Naming | None) -> NamingReport:
    assert naming is not None
    assert naming.report is not None
    return naming.report


@pytest.fixture(scope="module")
def model() -> Model:
    model = train_model(generator_data(), SPEC, attribute=True)
    assert model.experience is not None
    return replace(model, name="m", experience=replace(model.experience, codings={}))


@pytest.mark.parametrize("classifier", ["svm", "logreg"])
def test_images_of_known_generators_get_their_names(classifier: str) -> None:
    naming = fit_naming(generator_data(), classifier)  # type: ignore[arg-type]
    assert naming.names == ("camera", "one", "three", "two")
    new = generator_data(seed=1)
    called = [naming.name(image).generator for image in new.features]
    true = [name.replace("real", "camera") for name in new.sources]
    assert np.mean([a == b for a, b in zip(called, true, strict=True)]) > 0.85
    assert called.count(NONE_OF_THESE) < 0.15 * len(called)
    assert report_of(naming).accuracy == pytest.approx(np.mean(report_of(naming).recalls))
    assert report_of(naming).confusion.sum() == 120
    assert report_of(naming).n_files == (30, 30, 30, 30)


def test_a_name_is_as_probable_as_it_is_often_right() -> None:
    naming = fit_naming(generator_data(300, shift=1.5), "svm")
    new = generator_data(300, shift=1.5, seed=1)
    probabilities = softmax(naming.slope * naming.values_of(np.asarray(new.features)))
    order = ("camera", "one", "three", "two")
    right = [
        order[p.argmax()] == name.replace("real", "camera") for p, name in zip(probabilities, new.sources, strict=True)
    ]
    assert np.mean(right) == pytest.approx(probabilities.max(axis=1).mean(), abs=0.05)
    assert 0.4 < np.mean(right) < 0.9


def test_a_generator_that_was_not_learned_is_told_from_those_that_were() -> None:
    report = report_of(fit_naming(generator_data(), "svm"))
    assert set(report.open_set_auroc) == {"one", "two", "three"}
    assert min(report.open_set_auroc.values()) > 0.8
    alike = report_of(fit_naming(generator_data(shift=0.0), "svm"))
    assert np.mean(list(alike.open_set_auroc.values())) == pytest.approx(0.5, abs=0.15)
    assert alike.accuracy < 0.45


def test_what_lies_far_from_all_is_none_of_these() -> None:
    naming = fit_naming(generator_data(), "svm")
    assert naming.name(np.full(12, -40.0)).generator == NONE_OF_THESE
    assert naming.name(np.full(12, -40.0)).score is None


def test_groups_are_held_out_whole() -> None:
    """Images that differ by their group alone: with groups, nothing is left to learn."""
    data, rng = generator_data(40, shift=0.0), np.random.default_rng(0)
    group = np.arange(160) // 10
    data = replace(data, features=data.features + 6 * rng.normal(size=(16, 12))[group])
    assert report_of(fit_naming(data, "svm")).accuracy > 0.8
    assert report_of(fit_naming(replace(data, groups=group), "svm")).accuracy < 0.6


def test_a_class_of_two_groups_is_held_out_a_group_at_a_time() -> None:
    c, groups = np.repeat([0, 1, 2, 2], 6), np.array([*range(6), *[6] * 3, *[7] * 3, *[8] * 6, *[0] * 6])
    for seed in range(20):
        fold = spread(c, groups, seed)
        assert all(len(np.unique(fold[groups == g])) == 1 for g in np.unique(groups))
        assert all(set(c[fold != k]) == {0, 1, 2} for k in np.unique(fold))
        assert len(np.unique(fold[c == 0])) == 5


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("real", "one"), "1 generator with images"),
        (("real", "one", "camera"), "a generator is called 'camera'"),
        (("real", "one", NONE_OF_THESE), "a generator is called 'none of these'"),
    ],
)
def test_generators_that_cannot_be_named_are_refused(names: tuple[str, ...], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        fit_naming(generator_data(names=names), "svm")


def test_too_few_images_or_groups_are_refused() -> None:
    with pytest.raises(DatasetError, match="camera: 4 usable images in 4 groups"):
        fit_naming(generator_data(4), "svm")
    data = generator_data()
    with pytest.raises(DatasetError, match="one: 30 usable images in 1 groups"):
        fit_naming(replace(data, groups=np.where(np.arange(120) // 30 == 1, 0, data.groups)), "svm")
    with pytest.raises(DatasetError, match="ridge names no generators"):
        fit_naming(data, "ridge")


def test_a_file_of_two_generators_is_refused() -> None:
    data = generator_data()
    samples = [replace(sample, sha256="same") if k in (40, 70) else sample for k, sample in enumerate(data.samples)]
    with pytest.raises(DatasetError, match="the same file is of 'one' and 'two'"):
        fit_naming(replace(data, samples=tuple(samples)), "svm")


def test_a_record_names_the_generator(model: Model) -> None:
    image = generator_data(seed=3).features[45]
    record = Judge(model)([Extraction(Location("a.png"), width=64, height=64, features=image)])
    assert (record.verdict, record.generator) == ("fake", "one")
    assert record.generator_score is not None
    assert 0.4 < record.generator_score <= 1
    far = Judge(model)([Extraction(Location("a.png"), width=900, height=900, features=image)])
    assert (far.reason, far.generator, far.generator_score) == ("outside experience", None, None)


def test_a_record_says_that_verdict_and_name_contradict_each_other(model: Model) -> None:
    image = generator_data(seed=3).features[45]
    record = Judge(replace(model, threshold=1.0))([Extraction(Location("a"), width=64, height=64, features=image)])
    assert (record.verdict, record.generator) == ("real", "one")
    assert record.warnings[-1].endswith("of the classes that the model names it is most like one")


def test_a_model_file_keeps_the_naming(model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path / "m.pkl")
    kept = load_model(tmp_path / "m.pkl").naming
    assert kept is not None
    assert model.naming is not None
    X = np.asarray(generator_data(seed=2).features)
    assert kept.values_of(X) == pytest.approx(model.naming.values_of(X), abs=1e-9)
    assert (kept.names, kept.slope, kept.limit) == (model.naming.names, model.naming.slope, model.naming.limit)
    assert naming_lines(kept) == naming_lines(model.naming)
    assert model_facts(replace(model, naming=kept)) == model_facts(model)


@pytest.mark.parametrize(
    "changes",
    [
        {"names": ("camera", "one", "one", "two")},
        {"names": ("one", "two")},
        {"kind": "ridge"},
        {"slope": -1.0},
        {"limit": float("nan")},
        {"coefficients": np.zeros((3, 5))},
        {"gamma": np.ones(2)},
        {"report": None},
    ],
)
def test_a_damaged_naming_is_refused(model: Model, tmp_path: Path, changes: dict[str, object]) -> None:
    assert model.naming is not None
    save_unchecked(replace(model, naming=replace(model.naming, **changes)), tmp_path / "m.pkl")  # type: ignore[arg-type]
    with pytest.raises(ModelFileError, match="damaged"):
        load_model(tmp_path / "m.pkl")


def test_a_model_without_names_names_none(tmp_path: Path) -> None:
    plain = train_model(generator_data(), SPEC)
    save_model(plain, tmp_path / "m.pkl")
    assert load_model(tmp_path / "m.pkl").naming is None
    assert "names generators" not in card_text(plain)


# ---------------------------------------------------------------------------------------------------- the command line


@pytest.fixture
def three_generators(tmp_path: Path) -> Path:
    """Noise of camera images, and noise that three crude generators enlarged."""
    rng = np.random.default_rng(0)
    for name, side, resample in (
        ("camera", 64, Image.Resampling.NEAREST),
        ("nearest", 32, Image.Resampling.NEAREST),
        ("linear", 32, Image.Resampling.BILINEAR),
        ("cubic", 16, Image.Resampling.BICUBIC),
    ):
        folder = tmp_path / "generators" / name
        folder.mkdir(parents=True)
        for k in range(20):
            small = Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8))
            small.resize((64, 64), resample).save(folder / f"{k}.png")
    return tmp_path / "generators"


def test_the_command_learns_generators_and_scan_names_them(three_generators: Path, tmp_path: Path, run: Run) -> None:
    model = tmp_path / "names.pkl"
    trained = run("train", "--by", three_generators, "--attribute", "-o", model, "--jobs", 0)
    assert trained.exit_code == 0, trained.stderr
    assert "trained on           20 real, 60 fake images" in trained.stdout
    assert "names generators by svm" in trained.stdout
    assert "  4  nearest" in trained.stdout
    assert "names generators by svm" in run("models", model).stdout
    table = run("scan", three_generators / "linear" / "0.png", "--model", model, "--jobs", 0)
    assert table.stdout.splitlines()[0].split()[-2:] == ["generator", "path"]
    assert "linear" in table.stdout.splitlines()[1].split("  0.png")[0]
    told = run("explain", three_generators / "linear" / "0.png", "--model", model, "--jobs", 0).stdout
    assert "generator            Of the classes that the model names it is most like linear, with a probabil" in told
    by = run("evaluate", model, "--by", three_generators, "--jobs", 0)
    head, *rows_of_generators, mean = by.stdout.splitlines()[2:]
    assert head.endswith("named") and len(rows_of_generators) == 3, by.stderr
    shares = [float(row.split()[-1]) for row in rows_of_generators]
    assert float(mean.split()[-1]) == pytest.approx(sum(shares) / 3, abs=0.1)
    assert min(shares) >= 75
    folders = ("--real", three_generators / "camera", "--fake", three_generators / "cubic")
    text = run("evaluate", model, *folders, "--jobs", 0).stdout.splitlines()
    assert text[-2].startswith("real named") and " camera" in text[-2]
    assert text[-1].startswith("fake named") and " cubic" in text[-1]
    rows = run("scan", three_generators, "--model", model, "--format", "csv", "--jobs", 0).stdout.splitlines()
    named = [row["generator"] for row in csv.DictReader(rows)]
    assert {name: named.count(name) >= 15 for name in ("camera", "cubic", "linear", "nearest")} == dict.fromkeys(
        ("camera", "cubic", "linear", "nearest"), True
    )


def test_other_models_show_no_column_of_generators(three_generators: Path, tmp_path: Path, run: Run) -> None:
    model = tmp_path / "plain.pkl"
    trained = run("train", "--by", three_generators, "-o", model, "--jobs", 0, "--features", "azimuthal")
    assert trained.exit_code == 0, trained.stderr
    assert "names generators" not in trained.stdout
    table = run("scan", three_generators / "linear" / "0.png", "--model", model, "--jobs", 0).stdout
    assert "generator" not in table.splitlines()[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--attribute", "--real", "a", "--fake", "b"), "give --by FOLDER as well"),
        (("--by", "a", "--fake", "b"), "--by goes with --real"),
        (("--by", "a", "--manifest", "b"), "--by goes with --real"),
        (("--by", "a", "--attribute", "--classifier", "ridge"), "--classifier svm or logreg"),
        (("--by", "a", "--unlabelled", "b"), "without labelled images"),
    ],
)
def test_options_that_do_not_go_together(arguments: tuple[str, ...], message: str, run: Run) -> None:
    result = run("train", *arguments, "-o", "m.pkl")
    assert result.exit_code == 2
    assert message in result.stderr
