"""What Python shows of an object fits on a screen: no arrays."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spectral_detect
from conftest import EXAMPLES, MODELS
from gaussian import SPEC, gaussian_data
from spectral_detect import FeatureSpec, files_in_folders, load_model, read_dataset, read_image, train_model
from spectral_detect.extraction.one_file import Extraction
from spectral_detect.sources.location import Location
from spectral_detect.text import short_repr

PACKAGES = ("detector", "evaluation", "extraction", "training")
LONGEST = 600


def classes_with_arrays() -> Iterator[type[Any]]:
    for package in PACKAGES:
        folder = Path(spectral_detect.__file__).parent / package
        for found in pkgutil.iter_modules([str(folder)], f"spectral_detect.{package}."):
            for value in vars(importlib.import_module(found.name)).values():
                is_own = isinstance(value, type) and is_dataclass(value) and value.__module__ == found.name
                if is_own and any("np.ndarray" in str(field.type) for field in fields(value)):
                    yield value


def test_no_class_with_arrays_prints_them() -> None:
    found = list(classes_with_arrays())
    assert {"Model", "Svm", "LogisticRegression", "KMeans", "Fitted", "Calibration", "Dataset", "Extraction"} <= {
        c.__name__ for c in found
    }
    generated = [
        c.__name__ for c in found if hasattr(c.__repr__, "__wrapped__")
    ]  # `dataclass` guards against recursion
    assert generated == []


@pytest.mark.parametrize("classifier", ["svm", "logreg", "kmeans"])
def test_a_model_and_its_parts_are_one_paragraph(classifier: Any) -> None:
    model = train_model(gaussian_data(), SPEC, classifier)
    for part in (model, model.classifier, model.calibration, model.experience):
        assert len(repr(part)) < LONGEST
        assert "array(" not in repr(part)
    auroc = f"AUROC {100 * model.metrics['auroc']:.1f} %"
    for word in (classifier, "12 azimuthal features", "30 real and 30 fake images in 60 groups", auroc):
        assert word in repr(model)


def test_a_model_without_labels_tells_their_number() -> None:
    model = train_model(gaussian_data(labelled=False), SPEC, "kmeans")
    assert "60 unlabelled images" in repr(model)
    assert "not measured" in repr(model)


def test_models_data_sets_files_and_images_are_short() -> None:
    dataset = read_dataset(files_in_folders(EXAMPLES / "real", EXAMPLES / "fake"), FeatureSpec.preset("residual"))
    assert repr(dataset) == "<Dataset: 12 real, 12 fake of 24 samples in 24 groups, 472 residual features, 0 failures>"
    extraction = Extraction(Location("a.png"), features=np.zeros((64, 472), np.float32))
    assert "features=<float32 array (64, 472)>" in repr(extraction)
    image = read_image(EXAMPLES / "real" / "Aqua.png")
    for shown in (repr(load_model(MODELS / "faces.pkl")), repr(dataset.samples[0]), repr(image), repr(extraction)):
        assert len(shown) < LONGEST
        assert "array([" not in shown


def test_a_short_repr_leaves_out_what_is_empty_and_cuts_what_is_long() -> None:
    @dataclass
    class Example:
        number: float
        text: str
        none: None
        empty: tuple[int, ...]
        arrays: list[np.ndarray]
        many: list[int]
        __repr__ = short_repr

    shown = repr(Example(0.0, "x" * 1000, None, (), [np.zeros(3)], [1] * 1000))
    assert shown.startswith("Example(number=0.0, text='xxx")
    assert shown.endswith("xxx', arrays=(<float64 array (3,)>), many=<list of 1000>)")
    assert len(shown) < 250
