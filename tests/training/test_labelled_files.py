"""Folders of generators and their labels."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from conftest import EXAMPLES
from spectral_detect import FAKE, REAL
from spectral_detect.errors import DatasetError
from spectral_detect.training.labelled_files import files_by_generator


def test_folders_of_generators_are_labelled_by_their_names(tmp_path: Path, generators: Path) -> None:
    found = files_by_generator(str(generators))
    assert list(found) == ["one", "two"]
    for files in found.values():
        assert [sum(f.label == label for f in files) for label in (REAL, FAKE)] == [12, 6]
    shutil.copytree(generators / "one", generators / "three" / "dogs" / "1_fake")
    shutil.copytree(generators / "two", generators / "three" / "dogs" / "0_real")
    own = files_by_generator(str(generators))["three"]
    assert [sum(f.label == label for f in own) for label in (REAL, FAKE)] == [6, 6]
    shutil.rmtree(generators / "0_real")
    with pytest.raises(DatasetError, match="one': not both real and fake images; name the folder"):
        files_by_generator(str(generators))
    with pytest.raises(DatasetError, match="has no sub-folders"):
        files_by_generator(str(generators / "one"), [str(EXAMPLES / "real")])
    with pytest.raises(DatasetError, match="cannot be listed"):
        files_by_generator(str(tmp_path / "nowhere"))
