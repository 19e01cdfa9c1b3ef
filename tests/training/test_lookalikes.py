"""Images that look the same are found; flat ones, of which all look the same, are passed over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from spectral_detect.extraction.one_file import Extraction, Extractor
from spectral_detect.sources.location import Location
from spectral_detect.training.dataset import Dataset, read_dataset
from spectral_detect.training.labelled_files import files_in_folders
from spectral_detect.training.lookalikes import groups_with_lookalikes, near_pairs

pytestmark = pytest.mark.usefixtures("in_this_process")


def with_fingerprints(*fingerprints: int) -> Dataset:
    n = len(fingerprints)
    samples = tuple(Extraction(Location(str(k)), f"{k:064x}", fingerprint=int(f)) for k, f in enumerate(fingerprints))
    return Dataset([np.empty(0)] * n, np.arange(n) % 2, np.arange(n), samples, ())


def pairs_in(dataset: Dataset) -> list[tuple[int, int]]:
    return [(int(i), int(j)) for block in near_pairs(dataset) for i, j in zip(*block, strict=True)]


def test_lookalikes_are_found_across_blocks(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = rng.integers(0, 2**63, 50, dtype=np.uint64)
    codes[40] = codes[3] ^ np.uint64(0b11111)
    codes[41] = codes[4] ^ np.uint64(0b111111)
    dataset = with_fingerprints(*codes)
    for rows in (7, 2048):
        monkeypatch.setattr("spectral_detect.training.lookalikes.ROWS_AT_ONCE", rows)
        assert pairs_in(dataset) == [(3, 40)]


def test_lookalikes_share_a_group() -> None:
    first = 0x0123456789ABCDEF
    assert groups_with_lookalikes(with_fingerprints(first, ~first % 2**64, first ^ 1)).tolist() == [0, 1, 0]


@pytest.mark.parametrize(("n_ones", "is_flat"), [(0, True), (6, True), (7, False), (57, False), (58, True), (64, True)])
def test_flat_images_are_no_lookalikes(n_ones: int, is_flat: bool) -> None:
    """Their fingerprints are nearly all 0 or all 1, whatever they show."""
    fingerprint = 2**n_ones - 1
    assert pairs_in(with_fingerprints(fingerprint, fingerprint)) == ([] if is_flat else [(0, 1)])


def test_skies_of_different_days_are_no_lookalikes(tmp_path: Path) -> None:
    """Two bright images, each with a dark corner: hardly a cell is brighter than the next."""
    for label, corner in (("real", 3), ("fake", 5)):
        (tmp_path / label).mkdir()
        sky = np.full((64, 64), 200, np.uint8)
        sky[-corner:, -corner:] = 0
        Image.fromarray(sky).save(tmp_path / label / "sky.png")
    dataset = read_dataset(files_in_folders([str(tmp_path / "real")], [str(tmp_path / "fake")]), Extractor(None))
    assert pairs_in(dataset) == []
