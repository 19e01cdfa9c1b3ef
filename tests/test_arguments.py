"""What a caller of the library gives: what has no meaning is refused in words, and nothing passes as something else."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spectral_detect
from conftest import EXAMPLES, MODELS
from gaussian import gaussian_data
from spectral_detect import (
    Dataset,
    Extractor,
    FeatureSpec,
    FrameOptions,
    Model,
    Outsiders,
    Rules,
    SpectralDetectError,
    Work,
    azimuthal_average,
    compare_detectors,
    evaluate_model,
    extract_features,
    files_in_folders,
    load_model,
    power_spectrum,
    read_dataset,
    read_image,
    scan,
    train_model,
)
from spectral_detect.errors import ArgumentError, DatasetError, FeatureError, ImageReadError, OptionError, PathError
from spectral_detect.records import FAKE, REAL

GARDEN = EXAMPLES / "real" / "Garden.png"
AZIMUTHAL = FeatureSpec.preset("azimuthal")
HERE = Work(jobs=0)
GAUSSIAN = FeatureSpec.preset("azimuthal", n_bins=12)


@pytest.fixture(scope="module")
def photographs() -> Model:
    return load_model(MODELS / "photographs.pkl")


@pytest.fixture(scope="module")
def examples() -> Dataset:
    return read_dataset(files_in_folders(EXAMPLES / "real", EXAMPLES / "fake"), AZIMUTHAL, HERE)


def test_an_unknown_classifier_is_not_another_one(examples: Dataset) -> None:
    anything: Any = "Logreg"
    with pytest.raises(OptionError, match="classifier is 'Logreg'; it must be one of svm, logreg, ridge"):
        train_model(examples, AZIMUTHAL, anything)
    with pytest.raises(OptionError, match="a classifier is 'Logreg'"):
        compare_detectors([examples], ["svm", anything])
    with pytest.raises(OptionError, match="classifiers is 'svm'; it must be a list of names"):
        compare_detectors([examples], anything.replace("Logreg", "svm"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target_fpr": 2}, "target_fpr is 2; it must be above 0 and at most 0.5"),
        ({"target_fpr": 0}, "target_fpr is 0;"),
        ({"verdict_errors": (5, -1)}, "verdict_errors is 5;"),
        ({"verdict_errors": (0.1,)}, "give two rates, of reals and of fakes"),
        ({"verdict_errors": 0.1}, "verdict_errors is float 0.1, not tuple or list; give two rates"),
        ({"max_tile_vectors": 0}, "max_tile_vectors is 0; it must be a whole number from 2 on"),
    ],
)
def test_rates_and_counts_of_a_training_have_a_meaning(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SpectralDetectError, match=message):
        train_model(gaussian_data(30), GAUSSIAN, **settings)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FrameOptions(crop="center"), "crop is 'center'; it must be one of none, face, centre"),  # type: ignore[arg-type]
        (lambda: FrameOptions(faces="two"), "faces is 'two'"),  # type: ignore[arg-type]
        (lambda: FrameOptions(n_frames=2.5), "n_frames is 2.5; it must be a whole number from 1 on, or None for all"),  # type: ignore[arg-type]
        (lambda: Work(jobs=1.5), "jobs is 1.5"),  # type: ignore[arg-type]
        (lambda: Rules(threshold=2), "threshold is 2; it must be a number from 0 to 1"),
        (lambda: Rules(threshold="0.5"), "threshold is '0.5'; it must be a number from 0 to 1"),  # type: ignore[arg-type]
        (lambda: Work(timeout_s="5"), "timeout_s is '5'; it must be a number of seconds"),  # type: ignore[arg-type]
        (lambda: Extractor(AZIMUTHAL, provenance="deep"), "provenance is 'deep'; it must be one of none, header, full"),  # type: ignore[arg-type]
        (lambda: Extractor("azimuthal"), "spec is str 'azimuthal', not FeatureSpec; `FeatureSpec.preset` gives"),  # type: ignore[arg-type]
    ],
)
def test_settings_without_a_meaning_are_refused(make: Callable[[], object], message: str) -> None:
    with pytest.raises(SpectralDetectError, match=message):
        make()


def test_a_name_is_not_the_object(photographs: Model, examples: Dataset) -> None:
    name: Any = "photographs.pkl"
    calls: list[tuple[Callable[[], object], str]] = [
        (lambda: scan(GARDEN, name), "model is str 'photographs.pkl', not Model; `load_model` reads one"),
        (lambda: evaluate_model(name, examples), "model is str"),
        (lambda: train_model(examples, name), "spec is str"),
        (lambda: read_dataset([], name), "extractor is str"),
        (lambda: extract_features(np.zeros((64, 64)), name), "spec is str"),
    ]
    for call, message in calls:
        with pytest.raises(ArgumentError, match=message):
            call()


def test_what_is_not_there_is_said_with_its_name(tmp_path: Path, photographs: Model) -> None:
    with pytest.raises(PathError, match=r"'nope\*.png': no such file or folder, and no file matches it as a pattern"):
        scan("nope*.png", photographs)
    with pytest.raises(FileNotFoundError):
        scan(tmp_path / "nope.png", photographs)
    with pytest.raises(DatasetError, match="no_such': there is no such file or folder"):
        files_in_folders(EXAMPLES / "real", tmp_path / "no_such")
    (tmp_path / "bad.png").write_bytes(b"bad")
    for name in ("nope.png", "bad.png"):
        with pytest.raises(ImageReadError, match=f"{name}': "):
            read_image(tmp_path / name)


def test_features_come_from_what_was_read_as_it_was_read(tmp_path: Path) -> None:
    from PIL import Image

    with Image.open(GARDEN) as picture:
        picture.save(tmp_path / "a.jpg", quality=95)
    image = read_image(tmp_path / "a.jpg", colour=True)
    assert image.is_ycc
    for name in ("azimuthal", "residual", "world"):
        spec = FeatureSpec.preset(name)
        np.testing.assert_array_equal(extract_features(image, spec), extract_features(image.pixels, spec, is_ycc=True))


@pytest.mark.parametrize("scale", [1 / 255, 2 / 255, 257, 1e300])
def test_floating_values_on_another_scale_are_refused(scale: float) -> None:
    pixels = read_image(GARDEN, colour=True).pixels.astype(float) * scale - (1 if scale == 2 / 255 else 0)
    with pytest.raises(FeatureError, match=r"floating values from .* to .*: expected the scale 0 to 255"):
        extract_features(pixels)


def test_dark_images_and_half_precision_are_taken() -> None:
    dark = np.zeros((64, 64))
    dark[::2] = 1.0
    assert np.isfinite(extract_features(dark)).all()
    pixels = read_image(GARDEN, colour=True).pixels
    for name in ("azimuthal", "residual", "world"):
        spec = FeatureSpec.preset(name)
        np.testing.assert_array_equal(
            extract_features(pixels.astype(np.float16), spec), extract_features(pixels.astype(np.float32), spec)
        )


def test_scores_are_of_features_of_the_model(photographs: Model) -> None:
    tiles = extract_features(read_image(GARDEN, colour=True), photographs.spec)
    for wrong in ([tiles[:, :300]], tiles[0]):
        with pytest.raises(FeatureError, match="the model takes 'residual' features"):
            photographs.scores(wrong)
    with pytest.raises(FeatureError, match="not finite"):
        photographs.scores([tiles * np.nan])


def test_what_a_cache_holds_cannot_be_changed() -> None:
    power = power_spectrum(np.random.default_rng(0).normal(size=(64, 64)))
    _, frequency = azimuthal_average(power, 64)
    with pytest.raises(ValueError, match="read-only"):
        frequency /= 0.5
    for settings in ({"centre": "middle"}, {"ring_width": -1}, {"ring_width": np.nan}):
        with pytest.raises(FeatureError, match=next(iter(settings))):
            azimuthal_average(power, 64, **settings)
    with pytest.raises(FeatureError, match=r"an array of shape \(64, 64, 3\): expected gray images"):
        power_spectrum(np.zeros((64, 64, 3)))


def test_stability_is_not_judged_without_its_edits(photographs: Model) -> None:
    files = files_in_folders(EXAMPLES / "real", EXAMPLES / "fake")
    rules = Rules(stability=True)
    with pytest.raises(DatasetError, match=r"were not read with the edits of these rules; `read_dataset\(files, Extr"):
        evaluate_model(photographs, read_dataset(files, photographs, HERE), rules)
    extractor = Extractor(photographs.spec, rules.edits, delivery=photographs.delivery)
    found = evaluate_model(photographs, read_dataset(files, extractor, HERE), rules)
    scanned = [record.reason for record in scan([EXAMPLES / "real", EXAMPLES / "fake"], photographs, rules=rules)]
    assert found.inconclusive == {"depends on delivery": scanned.count("depends on delivery")}


def test_a_data_set_agrees_with_itself(photographs: Model, examples: Dataset) -> None:
    with pytest.raises(DatasetError, match="24 features, 23 y, 24 groups, 24 samples, 24 weights: a data set has one"):
        replace(examples, y=examples.y[1:])
    with pytest.raises(DatasetError, match="a label is neither REAL"):
        replace(examples, y=examples.y + 1)
    with pytest.raises(DatasetError, match="some features are not finite"):
        train_model(replace(examples, features=[one * np.nan for one in examples.features]), AZIMUTHAL)
    nobody_hashed = tuple(replace(sample, sha256=None) for sample in examples.samples)
    assert train_model(replace(examples, samples=nobody_hashed), AZIMUTHAL).training["n_real"] == 12
    with pytest.raises(DatasetError, match="holds no image"):
        evaluate_model(photographs, replace(examples.select(np.array([], dtype=int)), extractor=None))
    assert examples == examples
    assert {examples, examples} == {examples}


def test_generators_of_files_are_read(examples: Dataset) -> None:
    files = files_in_folders(EXAMPLES / "real", EXAMPLES / "fake")
    anything: Any = (file for file in files)
    assert read_dataset(anything, AZIMUTHAL, HERE).y.tolist() == [REAL] * 12 + [FAKE] * 12
    datasets: Any = (dataset for dataset in [examples])
    assert compare_detectors(datasets, ["logreg"]).best.classifier == "logreg"


def test_outsiders_have_the_features_of_the_model(examples: Dataset) -> None:
    files = files_in_folders(EXAMPLES / "real", EXAMPLES / "fake")
    others = read_dataset(files, FeatureSpec.preset("durall"), HERE)
    with pytest.raises(DatasetError, match="the images were read for 'durall' features"):
        train_model(examples, AZIMUTHAL, outsiders=Outsiders(others, "others"))


def test_a_spec_takes_lists_and_refuses_what_gives_no_number() -> None:
    assert FeatureSpec("own", groups=["profile"], scales=[]) == FeatureSpec("own")  # type: ignore[arg-type]
    assert FeatureSpec.preset(name="residual").tiles_per_side is not None
    with pytest.raises(FeatureError, match="min_size_px 16: magnitude looks at blocks of 32 pixels"):
        FeatureSpec.preset("azimuthal", groups=("magnitude",))
    with pytest.raises(FeatureError, match="orientation 99: EXIF has 1 to 8"):
        extract_features(np.zeros((64, 64)), orientation=99)


def test_help_works_without_pytorch() -> None:
    code = "import sys; sys.modules['torch'] = None\nimport importlib.util as u, spectral_detect as s, inspect\n"
    code += "find = u.find_spec\ns.find_spec = lambda name: None if name == 'torch' else find(name)\n"
    code += "assert 'SpectralLoss' not in dir(s); inspect.getmembers(s); import pydoc; pydoc.render_doc(s)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert set(spectral_detect.__all__) <= set(dir(spectral_detect))
