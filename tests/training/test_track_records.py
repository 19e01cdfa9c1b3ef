"""A model knows how often it was right about files in such a coding, of groups that it had not seen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from conftest import MODELS, save_unchecked
from spectral_detect import FAKE, REAL, load_model, save_model
from spectral_detect.detector.track_record import TrackRecord, track_record_of
from spectral_detect.errors import ModelFileError
from spectral_detect.media.coding import UNCOMPRESSED, Coding
from spectral_detect.training.track_records import MIN_GROUPS, track_records

N = 100  # files of a class
JPEG_75, JPEG_95 = Coding("JPEG", 75), Coding("JPEG", 95)


def records(verdicts: list[int], *, n_groups: int = 2 * MIN_GROUPS) -> tuple[TrackRecord, ...]:
    """Of reals, then of fakes, all JPEG 75, in groups of equal size."""
    y = np.repeat([REAL, FAKE], N)
    groups = np.arange(2 * N) % (n_groups // 2) + np.repeat([0, n_groups], N)
    return track_records(y, np.array(verdicts), groups, [JPEG_75] * 2 * N)


def test_shares_of_right_verdicts_are_counted_by_coding() -> None:
    verdicts = [REAL] * 60 + [FAKE] * 10 + [-1] * 30 + [FAKE] * 40 + [REAL] * 20 + [-1] * 40
    rng = np.random.default_rng(0)
    mixed = [*rng.permutation(verdicts[:N]).tolist(), *rng.permutation(verdicts[N:]).tolist()]
    jpeg, everything = records(mixed)
    assert (jpeg.coding, jpeg.qualities, jpeg.n_files, jpeg.n_groups) == ("JPEG", (70, 87), 2 * N, 2 * MIN_GROUPS)
    assert (everything.coding, everything.n_files) == (None, 2 * N)
    for record in (jpeg, everything):  # each group counts alike, and here they are nearly of one size
        assert record.decided == pytest.approx(0.65, abs=0.02)
        assert record.right("fake") == pytest.approx(0.8, abs=0.03)
        assert record.right("real") == pytest.approx(0.75, abs=0.03)
        assert record.right("inconclusive") is None


def test_no_verdict_at_all_is_no_share() -> None:
    jpeg, _ = records([-1] * 2 * N)
    assert (jpeg.decided, jpeg.fake_right, jpeg.real_right) == (0.0, None, None)
    assert jpeg.line == "JPEG, quality 70 to 87: decided 0 % of 200"


def test_of_few_groups_no_share_can_be_told() -> None:
    assert records([REAL] * N + [FAKE] * N, n_groups=2 * MIN_GROUPS - 2) == ()


def test_a_coding_of_few_groups_has_no_record_of_its_own() -> None:
    y, groups = np.repeat([REAL, FAKE], N), np.arange(2 * N) // 5
    codings = [JPEG_75 if group % 20 < 2 else JPEG_95 for group in groups.tolist()]
    found = track_records(y, y, groups, codings)
    assert [(record.coding, record.qualities) for record in found] == [("JPEG", (88, 100)), (None, None)]
    assert found[-1].line == "all files: decided 100 % of 200; fake right 100 %, real right 100 %"


def test_a_large_group_counts_as_much_as_a_small_one() -> None:
    y = np.repeat([REAL, FAKE], N)
    groups = np.concatenate([[0] * 93, np.arange(1, 8), np.arange(N) % 8 + 8])
    everything = track_records(y, np.array([FAKE] * 93 + [REAL] * 7 + [FAKE] * N), groups, [JPEG_75] * 2 * N)[-1]
    assert everything.fake_right == pytest.approx(8 / 9)  # one of eight cameras is called fake


def test_no_share_is_more_than_all() -> None:
    """Weights such as 1/18 add up to a little more than one, and such a model could not be loaded."""
    for n_groups in range(MIN_GROUPS, 60):
        y, groups = np.repeat([REAL, FAKE], 12 * n_groups), np.repeat(np.arange(2 * n_groups), 12)
        *_, everything = track_records(y, y, groups, [JPEG_75] * len(y))
        assert (everything.decided, everything.fake_right) == pytest.approx((1, 1))
        assert max(everything.decided, everything.fake_right or 0, everything.real_right or 0) <= 1


def test_the_record_of_a_file_is_that_of_its_coding_and_quality() -> None:
    kinds = [("JPEG", (70, 87)), ("lossless", None), (None, None)]
    narrow, lossless, everything = held = [TrackRecord(kind, q, 100, 20, 0.5, 0.9, 0.8) for kind, q in kinds]
    assert track_record_of(held, JPEG_75) is narrow
    assert track_record_of(held, UNCOMPRESSED) is lossless
    for coding in (JPEG_95, Coding("JPEG"), Coding("WebP", 75), None):
        assert track_record_of(held, coding) is everything
    assert track_record_of([], JPEG_75) is None


def test_a_model_file_keeps_it(tmp_path: Path) -> None:
    model = load_model(MODELS / "photographs.pkl")
    held = (TrackRecord("JPEG", (70, 87), 100, 20, 0.5, None, 0.8), TrackRecord(None, None, 9, 3, 0.0, None, None))
    save_model(replace(model, track_record=held), tmp_path / "m.pkl")
    assert load_model(tmp_path / "m.pkl").track_record == held
    wrong = replace(model, track_record=(replace(held[0], decided=1.5),))
    with pytest.raises(ModelFileError, match="track record"):
        save_model(wrong, tmp_path / "damaged.pkl")
    assert not (tmp_path / "damaged.pkl").exists()
    save_unchecked(wrong, tmp_path / "damaged.pkl")
    with pytest.raises(ModelFileError, match="track record"):
        load_model(tmp_path / "damaged.pkl")
