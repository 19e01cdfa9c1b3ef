"""Labelled folders, manifests, groups and folds."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from gaussian import gaussian_data
from spectral_detect import FAKE, REAL, FeatureSpec, evaluate_model, train_model
from spectral_detect.audit.duplicates import duplicates
from spectral_detect.errors import DatasetError
from spectral_detect.extraction.one_file import Extraction, Extractor
from spectral_detect.media.coding import Coding
from spectral_detect.media.delivery import Delivery
from spectral_detect.media.edits import Edit
from spectral_detect.media.header import Metadata
from spectral_detect.sources.location import Location
from spectral_detect.training.dataset import Dataset, folds, read_dataset, require_both_classes
from spectral_detect.training.labelled_files import (
    files_by_generator,
    files_in_folders,
    files_in_manifest,
    unlabelled_files,
)
from spectral_detect.training.naming.fit import fit_naming

pytestmark = pytest.mark.usefixtures("in_this_process")

SPEC = FeatureSpec.preset("azimuthal", n_bins=20)


def test_folders_become_labels(labelled_folder: Path) -> None:
    files = files_in_folders([str(labelled_folder / "real")], [str(labelled_folder / "fake")])
    dataset = read_dataset(files, Extractor(SPEC))
    assert np.shape(dataset.features) == (24, 20)
    assert (dataset.n_real, dataset.n_fake, dataset.n_groups) == (12, 12, 24)
    assert [s.path for s in dataset.samples] == [f.file.path for f in files]
    assert not dataset.failures
    turned = read_dataset(files[::-1], Extractor(SPEC))
    assert turned.sha256 == dataset.sha256
    assert read_dataset(files[:-1], Extractor(SPEC)).sha256 != dataset.sha256


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=f"no image found in '{tmp_path}'"):
        unlabelled_files([Location(str(tmp_path))])


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_manifest_is_relative_to_itself(labelled_folder: Path, end: str, mark: str) -> None:
    lines = ["path,label,group", "real/00.png,real,a", "real/01.png, Real ,a", f"{labelled_folder}/fake/00.png,fake,"]
    manifest = labelled_folder / "list.csv"
    manifest.write_bytes((mark + end.join(lines) + end).encode())
    files = files_in_manifest(str(manifest))
    assert [(f.label, f.group) for f in files] == [(REAL, "a"), (REAL, "a"), (FAKE, None)]
    dataset = read_dataset(files, Extractor(SPEC))
    assert not dataset.failures
    assert dataset.n_groups == 2


def test_a_manifest_may_say_how_much_a_file_counts(labelled_folder: Path) -> None:
    manifest = labelled_folder / "list.csv"
    manifest.write_text("path,label,weight\nreal/00.png,real,\nreal/01.png,real,0.25\nfake/00.png,fake,1\n")
    dataset = read_dataset(files_in_manifest(str(manifest)), Extractor(SPEC))
    assert dataset.weights.tolist() == [1, 0.25, 1]
    assert dataset.select(np.array([1])).weights.tolist() == [0.25]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,class\na.png,real\n", "lacks label; its first line must name"),
        ("a.png,real\n", "lacks label and path"),
        ("", "lacks label and path"),
        (
            "path,label\na.png,real\nb.png,genuine\n",
            "line 3: path 'b.png', label 'genuine'; it takes a path",
        ),
        ("path,label\na.png\n", "line 2"),
        ("path,label,weight\na.png,real,1\nb.png,real,2\n", "line 3: weight '2'; it takes a number above 0, up to 1"),
        ("path,label,weight\na.png,real,nan\n", "line 2: weight 'nan'"),
        ("path,label,weight\na.png,real,much\n", "line 2: weight 'much'"),
        ("path,label\n,real\n", "line 2"),
    ],
)
def test_a_manifest_that_makes_no_sense_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "m.csv").write_text(text)
    with pytest.raises(DatasetError, match=message):
        files_in_manifest(str(tmp_path / "m.csv"))


def test_a_missing_manifest_and_missing_files(tmp_path: Path, labelled_folder: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be read: No such file"):
        files_in_manifest(str(tmp_path / "none.csv"))
    (labelled_folder / "m.csv").write_text("path,label\nreal/00.png,real\ngone.png,fake\n")
    dataset = read_dataset(files_in_manifest(str(labelled_folder / "m.csv")), Extractor(SPEC))
    assert [f.error for f in dataset.failures] == ["cannot be read: No such file or directory"]
    (labelled_folder / "m.csv").write_text("path,label\ngone.png,fake\n")
    with pytest.raises(DatasetError, match=r"none of 1 files could be used; the first: '.*gone.png'"):
        read_dataset(files_in_manifest(str(labelled_folder / "m.csv")), Extractor(SPEC))


def test_a_file_that_is_named_twice_counts_once_and_has_one_label(labelled_folder: Path) -> None:
    real, fake = str(labelled_folder / "real"), str(labelled_folder / "fake")
    once = files_in_folders(real, fake)
    assert files_in_folders([real, f"{real}/", os.path.relpath(real), f"{real}/00.png"], fake) == once
    with pytest.raises(DatasetError, match=r"same file is real and fake: '.*00.png'; name it as one"):
        files_in_folders(real, [fake, f"{real}/00.png"])
    generators = labelled_folder / "generators"
    shutil.copytree(fake, generators / "one")
    shutil.copytree(real, generators / "one" / "shots")
    with pytest.raises(DatasetError, match=r"same file is real and fake: '.*00.png'"):
        files_by_generator(str(generators), [str(generators / "one" / "shots")])
    with pytest.raises(DatasetError, match=r"none': there is no such file or folder"):
        files_by_generator(str(generators), [str(labelled_folder / "none")])
    of_one = files_by_generator(str(generators), [real, real])["one"]
    assert sum(file.label == REAL for file in of_one) == len(once) - sum(file.label == FAKE for file in once)


@pytest.mark.parametrize("others", ["b,1", "a,0.5"])
def test_a_file_of_two_groups_or_weights_is_refused(labelled_folder: Path, others: str) -> None:
    (labelled_folder / "m.csv").write_text(
        f"path,label,group,weight\nreal/00.png,real,a,1\nreal/00.png,real,{others}\n"
    )
    with pytest.raises(DatasetError, match=r"has two groups or weights: '.*00.png'; name it once"):
        files_in_manifest(str(labelled_folder / "m.csv"))


def test_a_coding_counts_files_and_not_their_copies_or_frames() -> None:
    def read(name: str, quality: int, edit: Edit | None = None) -> Extraction:
        return Extraction(Location(name), metadata=Metadata("JPEG", 9, 9, coding=Coding("JPEG", quality)), edit=edit)

    samples = (read("a", 75), read("a", 75, Edit("jpeg", 50)), read("a", 90), read("b", 75))
    data = Dataset(np.zeros((4, 2)), np.zeros(4, dtype=int), np.arange(4), samples, ())
    assert data.codings_by_class() == [[Coding("JPEG", 75), Coding("JPEG", 90), Coding("JPEG", 75)]]


def test_images_smaller_than_a_profile_needs_are_read_all_the_same(tmp_path: Path, rng: np.random.Generator) -> None:
    Image.fromarray(rng.integers(0, 256, (12, 12, 3), np.uint8)).save(tmp_path / "a.png")
    spec = FeatureSpec.preset("azimuthal", n_bins=8, min_size_px=8)
    (sample,) = read_dataset(unlabelled_files([Location(str(tmp_path))]), Extractor(spec, with_profile=True)).samples
    assert sample.error is None and sample.profile is None


def test_copies_of_a_file_are_one_group_and_connect_groups(labelled_folder: Path) -> None:
    copy = labelled_folder / "real" / "copy.png"
    copy.write_bytes((labelled_folder / "real" / "00.png").read_bytes())
    rows = "real/00.png,real,a\nreal/01.png,real,a\nreal/copy.png,real,b\nreal/02.png,real,b\nfake/00.png,fake,c\n"
    (labelled_folder / "m.csv").write_text(f"path,label,group\n{rows}")
    groups = read_dataset(files_in_manifest(str(labelled_folder / "m.csv")), Extractor(SPEC)).groups
    assert len(set(groups[:4])) == 1
    assert groups[4] != groups[0]


def test_training_needs_enough_of_each_class_and_none_in_both(labelled_folder: Path) -> None:
    real, fake = str(labelled_folder / "real"), str(labelled_folder / "fake")
    files = files_in_folders([real], [fake])
    require_both_classes(read_dataset(files, Extractor(SPEC)))
    with pytest.raises(DatasetError, match="4 usable fake images; training needs at least 5"):
        require_both_classes(read_dataset(files[:16], Extractor(SPEC)))
    helpers = [replace(file, weight=0.5) if file.label == FAKE else file for file in files]
    with pytest.raises(DatasetError, match="0 usable fake images"):  # on helpers alone nothing can be measured
        require_both_classes(read_dataset(helpers, Extractor(SPEC)))
    (labelled_folder / "fake" / "same.png").write_bytes((labelled_folder / "real" / "03.png").read_bytes())
    with pytest.raises(DatasetError, match=r"same file is real and fake: '.*03.png' and '.*same.png'; remove it"):
        require_both_classes(read_dataset(files_in_folders([real], [fake]), Extractor(SPEC)))


def test_files_that_nobody_hashed_are_not_one_file() -> None:
    known = gaussian_data(40, shift=2.0)
    samples = tuple(replace(sample, sha256=None) for sample in known.samples)
    unhashed = replace(known, samples=samples, sources=("camera",) * 20 + ("a", "b") * 10)
    assert duplicates(unhashed).exact.across.n_pairs == 0
    assert fit_naming(unhashed, "logreg").names == ("camera", "a", "b")
    twice = replace(unhashed, samples=(known.samples[0],) * 2 + samples[2:])
    assert duplicates(twice).exact.real.n_pairs == 1


def test_without_bins_all_images_must_have_one_size(labelled_folder: Path) -> None:
    from PIL import Image

    Image.effect_noise((80, 80), 50).save(labelled_folder / "real" / "large.png")
    files = files_in_folders([str(labelled_folder / "real")], [str(labelled_folder / "fake")])
    with pytest.raises(DatasetError, match="different sizes"):
        read_dataset(files, Extractor(FeatureSpec.preset("azimuthal", n_bins=None)))


@settings(deadline=None, max_examples=40)
@given(
    labels=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 8)), min_size=4, max_size=60), seed=st.integers(0, 99)
)
def test_no_group_is_on_both_sides_of_a_fold(labels: list[tuple[int, int]], seed: int) -> None:
    y, groups = (np.array(v) for v in zip(*labels, strict=True))
    if len(np.unique(y)) < 2:
        return
    held_out = []
    for train, test in folds(y, groups, 5, seed):
        assert not set(groups[train]) & set(groups[test])
        assert set(y[train]) == {REAL, FAKE}
        held_out += test.tolist()
    assert len(held_out) == len(set(held_out))


def test_too_few_groups_give_no_folds() -> None:
    assert folds(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2]), 5, 0) == []


def test_a_folder_may_be_a_text_or_a_path_alone_or_in_a_list(labelled_folder: Path) -> None:
    real, fake = labelled_folder / "real", labelled_folder / "fake"
    in_lists = files_in_folders([str(real)], [str(fake)])
    assert len(in_lists) == 24
    assert files_in_folders(str(real), str(fake)) == in_lists
    assert files_in_folders(real, (fake,)) == in_lists
    (labelled_folder / "list.csv").write_text("path,label\nreal/00.png,real\n")
    assert files_in_manifest(labelled_folder / "list.csv") == files_in_manifest(str(labelled_folder / "list.csv"))
    with pytest.raises(DatasetError, match=r"manifest '.*none\.csv' cannot be read"):
        files_in_manifest(labelled_folder / "none.csv")


def test_a_spec_or_a_model_says_how_files_are_read(labelled_folder: Path) -> None:
    files = files_in_folders(labelled_folder / "real", labelled_folder / "fake")
    dataset = read_dataset(files, SPEC)
    assert np.array_equal(dataset.features, read_dataset(files, Extractor(SPEC)).features)
    model = replace(train_model(dataset, SPEC), delivery=Delivery(32, (75,)))
    delivered = read_dataset(files, model)
    assert np.array_equal(delivered.features, read_dataset(files, Extractor(SPEC, delivery=model.delivery)).features)
    assert not np.array_equal(delivered.features, dataset.features)
    assert train_model(delivered, SPEC).delivery == model.delivery
    assert evaluate_model(model, delivered).metrics.n_fake == 12
    with pytest.raises(DatasetError, match="not delivered as the model's own were; read them with the model"):
        evaluate_model(model, dataset)


def test_features_of_another_spec_are_refused_though_they_are_as_many(labelled_folder: Path) -> None:
    files = files_in_folders(labelled_folder / "real", labelled_folder / "fake")
    dataset, other = read_dataset(files, SPEC), FeatureSpec.preset("durall", n_bins=20)
    with pytest.raises(DatasetError, match="read for 'azimuthal' features, not for the spec 'durall'"):
        train_model(dataset, other)
    with pytest.raises(DatasetError, match="read for 'durall' features, not for the spec 'azimuthal'"):
        evaluate_model(train_model(dataset, SPEC), read_dataset(files, other))
    with pytest.raises(DatasetError, match="read for no features"):
        train_model(read_dataset(files, Extractor(None)), SPEC)
