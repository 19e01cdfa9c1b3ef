"""Files -> vectors: order, failures as results, worker processes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import EXAMPLES
from spectral_detect import FeatureSpec, extract_features
from spectral_detect.extraction.many_files import extract_files
from spectral_detect.extraction.one_file import CONSTANT_IMAGE, Extraction, Extractor
from spectral_detect.parallel.pool import LARGEST_CHUNK, MOST_AHEAD
from spectral_detect.parallel.work import Work
from spectral_detect.sources.discovery import FoundFile, find_images
from spectral_detect.sources.location import Location

SPEC = FeatureSpec.preset("azimuthal")


def test_one_file_gives_its_features_and_facts() -> None:
    path = EXAMPLES / "real" / "Aqua.png"
    (extraction,) = Extractor(SPEC).of_file(FoundFile(Location(str(path))))
    with Image.open(path) as image:
        expected = extract_features(np.asarray(image.convert("RGB")), SPEC)
    np.testing.assert_array_equal(extraction.features, expected)
    assert (extraction.width, extraction.height, extraction.format) == (256, 256, "PNG")
    assert extraction.size_bytes == path.stat().st_size
    assert extraction.error is None
    assert not extraction.warnings


def test_a_constant_image_is_marked(tmp_path: Path) -> None:
    Image.new("L", (20, 20), 7).save(tmp_path / "c.png")
    (extraction,) = Extractor(SPEC).of_file(FoundFile(Location(str(tmp_path / "c.png"))))
    assert extraction.is_constant
    assert extraction.warnings == (CONSTANT_IMAGE,)
    assert extraction.features is not None


def test_trouble_becomes_a_result(tmp_path: Path) -> None:
    Image.new("L", (3, 5)).save(tmp_path / "tiny.png")
    (tiny,) = Extractor(SPEC).of_file(FoundFile(Location(str(tmp_path / "tiny.png"))))
    assert tiny.error == "3x5 pixels: the features 'azimuthal' need at least 16 on the shorter side"
    assert tiny.sha256 is not None
    assert (tiny.width, tiny.height) == (3, 5)
    (gone,) = Extractor(SPEC).of_file(FoundFile(Location(str(tmp_path / "gone.png"))))
    assert gone.error == "cannot be read: No such file or directory"
    (unlisted,) = Extractor(SPEC).of_file(
        FoundFile(Location("folder"), "the folder cannot be listed: Permission denied")
    )
    assert unlisted.error == "the folder cannot be listed: Permission denied"


def mixed_files(folder: Path) -> list[FoundFile]:
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    files = list(find_images([Location(str(EXAMPLES))]))
    return [*files[:9], FoundFile(Location(str(folder / "broken.jpg"))), *files[9:]]


def as_tuple(extraction: Extraction) -> tuple[object, ...]:
    features = None if extraction.features is None else extraction.features.tobytes()
    return (extraction.path, extraction.sha256, features, extraction.error)


def test_any_number_of_workers_gives_the_same_in_the_same_order(tmp_path: Path) -> None:
    files = mixed_files(tmp_path)
    alone = [as_tuple(e) for e in extract_files(files, Extractor(SPEC), Work(jobs=0))]
    assert [path for path, *_ in alone] == [f.path for f in files]
    assert sum(error is not None for *_, error in alone) == 1
    for jobs in (1, 2, None):
        assert [as_tuple(e) for e in extract_files(files, Extractor(SPEC), Work(jobs=jobs))] == alone


def test_files_are_consumed_lazily(tmp_path: Path) -> None:
    taken = 0

    def endless() -> Iterator[FoundFile]:
        nonlocal taken
        while True:
            taken += 1
            yield FoundFile(Location(str(EXAMPLES / "real" / "Aqua.png")))

    results = extract_files(endless(), Extractor(SPEC), Work(jobs=2))
    for _ in range(40):
        assert next(results).error is None
    results.close()
    assert taken <= 40 + 2 * (MOST_AHEAD + 1) * LARGEST_CHUNK


def test_memory_that_runs_out_is_a_failure_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_memory(*args: object, **kwargs: object) -> None:
        raise MemoryError

    monkeypatch.setattr("spectral_detect.extraction.one_file.extract_features", no_memory)
    (extraction,) = Extractor(SPEC).of_file(FoundFile(Location(str(EXAMPLES / "real" / "Aqua.png"))))
    assert extraction.error is not None
    assert "not enough memory" in extraction.error
