"""Pictures put together of a photograph and its up-scaled version, and damaged summaries."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import EXAMPLES, MODELS, save_unchecked
from spectral_detect import Work, load_model
from spectral_detect.errors import ModelFileError
from spectral_detect.explain.explanation import Explanation, explain
from spectral_detect.explain.tiles import TileScores
from spectral_detect.scanning.judge import Judge
from spectral_detect.sources.discovery import FoundFile
from spectral_detect.sources.location import Location

pytestmark = pytest.mark.usefixtures("in_this_process")

MODEL = MODELS / "photographs.pkl"
NAME = "picosdeeuropa_by_Aitzol_Berasategi.png"


def explained(path: Path) -> Explanation:
    return explain(FoundFile(Location(str(path))), Judge(load_model(MODEL)), work=Work(0))


def test_a_picture_of_two_halves_is_said_to_be_mixed(tmp_path: Path) -> None:
    with Image.open(EXAMPLES / "real" / NAME) as real, Image.open(EXAMPLES / "fake" / NAME) as fake:
        whole = real.convert("RGB")
        whole.paste(fake.convert("RGB").crop((128, 0, 256, 256)), (128, 0))
    whole.save(tmp_path / "mixed.png")
    found = explained(tmp_path / "mixed.png")
    assert found.tiles is not None and found.tiles.is_mixed
    assert "this picture may be mixed" in found.record.warnings[-1]
    assert "score its parts with --region, and compare them" in found.next_steps
    of_fake = [box[0] >= 128 for box in found.tiles.boxes]
    assert np.mean(found.tiles.scores[of_fake]) > 0.8 > 0.3 > np.mean(found.tiles.scores[np.invert(of_fake)])


@pytest.mark.parametrize("label", ["real", "fake"])
def test_untouched_pictures_are_not(label: str) -> None:
    found = explained(EXAMPLES / label / NAME)
    assert found.tiles is not None and not found.tiles.is_mixed
    assert found.record.warnings == ()
    assert {neighbour.label for neighbour in found.neighbours[:3]} == {label}


def test_few_tiles_or_no_limit_say_nothing() -> None:
    scores = np.array([0.1, 0.9, 0.1])
    assert not TileScores((), scores, 5.0, 1.0).is_mixed
    assert not TileScores((), np.tile(scores, 2), 5.0, None).is_mixed
    assert TileScores((), np.tile(scores, 2), 5.0, 1.0).is_mixed


@pytest.mark.parametrize(
    "damage",
    [
        {"labels": np.full(256, 2)},
        {"source_of": np.full(256, 99)},
        {"positions": np.zeros((255, 8))},
        {"feature_deviations": np.full((2, 472), -1.0)},
        {"profile_means": np.zeros((2, 63))},
        {"feature_means": np.zeros((2, 471))},
    ],
)
def test_damaged_summaries_are_refused(tmp_path: Path, damage: dict[str, np.ndarray]) -> None:
    model = load_model(MODEL)
    assert model.summary is not None
    save_unchecked(replace(model, summary=replace(model.summary, **damage)), tmp_path / "m.pkl")  # type: ignore[arg-type]
    with pytest.raises(ModelFileError, match="what it holds of its training images does not fit; train it again"):
        load_model(tmp_path / "m.pkl")
