"""Detecting faces, and following them from frame to frame."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawn_faces import drawn_face, frame_with_faces
from spectral_detect.media.face_detection import FaceBox, detect_faces, inner_box, is_portrait, overlap
from spectral_detect.media.face_tracks import Tracker
from spectral_detect.media.images import luma, read_image

A, B = (100, 100, 60, 60), (400, 50, 90, 90)


def follow(tracker: Tracker[int], detections: list[list[FaceBox]]) -> list[dict[int, FaceBox]]:
    """The boxes of each frame; checks on the way that frames come out in order and few are held back."""
    settled = []
    for frame, boxes in enumerate(detections):
        settled += tracker.push(frame, boxes)
        assert len(settled) >= frame + 1 - tracker.patience
    settled += tracker.flush()
    assert [frame for frame, _ in settled] == list(range(len(detections)))
    return [boxes for _, boxes in settled]


# --------------------------------------------------------------------------------------------------------- detection


@pytest.mark.parametrize("side", [100, 240, 400])
def test_a_face_is_found_where_it_is(side: int) -> None:
    frame = frame_with_faces((500, 200, side))
    (box,) = detect_faces(frame)
    assert overlap(box, (500, 200, side, side)) > 0.85
    assert overlap(detect_faces(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))[0], box) > 0.9


def test_the_largest_face_comes_first() -> None:
    large, small = detect_faces(frame_with_faces((100, 100, 150), (700, 100, 300)))
    assert large[2] > small[2]
    assert large[0] > 600


def test_no_face_no_box(rng: np.random.Generator) -> None:
    assert detect_faces(np.full((1, 1, 3), 9, np.uint8)) == []
    assert detect_faces(rng.integers(0, 256, (90, 2000), dtype=np.uint8)) == []


# ---------------------------------------------------------------------------------------------------------- portraits

AS_STORED = {  # orientation -> how an upright image is stored with it: the inverse of what a viewer does
    1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud,
    5: np.transpose, 6: lambda a: np.rot90(a, 1), 7: lambda a: np.rot90(a, 2).T, 8: lambda a: np.rot90(a, -1),
}  # fmt: skip


@pytest.mark.parametrize("orientation", AS_STORED)
def test_a_portrait_is_one_however_it_is_stored(orientation: int) -> None:
    portrait = np.pad(drawn_face(300)[..., 0], ((60, 10), (50, 90)), constant_values=120)
    stored = np.ascontiguousarray(AS_STORED[orientation](portrait))
    assert is_portrait(stored, orientation)
    assert is_portrait(stored.astype(np.uint16) * 257, orientation)
    assert is_portrait(stored) == (orientation < 5)  # the cascade takes a drawn face upside down for one


@pytest.mark.parametrize("suffix", ["jpg", "tif", "png"])
def test_files_tell_how_their_portraits_are_stored(suffix: str, tmp_path: Path) -> None:
    portrait = np.pad(drawn_face(300)[..., 0], ((60, 10), (50, 90)), constant_values=120)
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / f"a.{suffix}"
    PIL.Image.fromarray(np.ascontiguousarray(AS_STORED[6](portrait))).save(path, exif=exif)
    image = read_image(path)
    assert (image.orientation, image.width, image.height) == (6, 440, 370)
    assert is_portrait(luma(image), image.orientation)


def test_a_small_face_is_no_portrait(rng: np.random.Generator) -> None:
    assert detect_faces(frame_with_faces((500, 200, 120)))
    assert not is_portrait(frame_with_faces((500, 200, 120))[..., 0])
    assert not is_portrait(np.full((1, 1), 9, np.uint8))
    assert not is_portrait(rng.integers(0, 256, (300, 200), dtype=np.uint8))


# ------------------------------------------------------------------------------------------------------------- boxes


def test_the_inner_box_is_the_central_part() -> None:
    assert inner_box((30, 60, 90, 90), 1 / 3, (480, 640)) == (60, 90, 30, 30)
    assert inner_box((30, 60, 90, 90), 1, (480, 640)) == (30, 60, 90, 90)
    assert inner_box((-30, -30, 90, 90), 1, (480, 640, 3)) == (0, 0, 60, 60)


@given(
    st.tuples(*(st.integers(-500, 1500),) * 2, *(st.integers(1, 900),) * 2),
    st.floats(0.01, 1),
    st.tuples(st.integers(1, 1000), st.integers(1, 1000)),
)
def test_the_inner_box_lies_in_the_frame(box: FaceBox, fraction: float, shape: tuple[int, int]) -> None:
    x, y, width, height = inner_box(box, fraction, shape)
    assert 0 <= x < x + width <= shape[1]
    assert 0 <= y < y + height <= shape[0]


def test_overlap_is_intersection_over_union() -> None:
    assert overlap((0, 0, 10, 10), (0, 0, 10, 10)) == 1
    assert overlap((0, 0, 10, 10), (5, 0, 10, 10)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 10, 10), (10, 0, 10, 10)) == 0


# ---------------------------------------------------------------------------------------------------------- tracking


@pytest.mark.parametrize("n_missed", [1, 2, 3])
def test_missed_detections_are_bridged_on_a_straight_line(n_missed: int) -> None:
    step = 20 / (n_missed + 1)
    far = (120, 100, 100, 100)  # overlaps by less than half: followed at once, not smoothed
    boxes = follow(Tracker(), [[A], *[[]] * n_missed, [far]])
    for k, box in enumerate(boxes):
        assert box == {0: pytest.approx((100 + k * step, 100, 60 + 2 * k * step, 60 + 2 * k * step), abs=0.51)}


def test_what_is_missed_longer_is_forgotten() -> None:
    boxes = follow(Tracker("all"), [[A], *[[]] * 4, [A]])
    assert boxes == [{0: A}, {}, {}, {}, {}, {1: A}]


def test_the_first_and_the_last_frames_get_the_nearest_box() -> None:
    assert follow(Tracker(), [[], [], [A], [], []]) == [{0: A}] * 5
    late = follow(Tracker(), [*[[]] * 5, [A], *[[]] * 5])
    assert late == [*[{}] * 5, {0: A}, *[{}] * 5]


def test_a_face_that_comes_later_is_not_put_into_the_frames_before() -> None:
    assert follow(Tracker("all"), [[A], [A, B]]) == [{0: A}, {0: A, 1: B}]
    assert follow(Tracker("largest"), [[A], [B]]) == [{0: A}, {0: B}]


def test_jitter_is_smoothed() -> None:
    jittering = [[(100 + 4 * (-1) ** k, 100, 60, 60)] for k in range(20)]
    lefts = [boxes[0][0] for boxes in follow(Tracker(), jittering)]
    assert np.std(lefts[3:]) < 0.7 * 4


def test_all_faces_keep_their_tracks_whatever_the_order() -> None:
    moved_a, moved_b = (110, 100, 60, 60), (390, 50, 90, 90)
    boxes = follow(Tracker("all"), [[B, A], [moved_a, moved_b], [B], [A, B]])
    assert [set(b) for b in boxes] == [{0, 1}] * 4
    assert all(b[0][0] > 350 and b[1][0] < 120 for b in boxes)


def test_the_largest_face_is_followed_until_another_is_twice_as_large() -> None:
    slightly_larger, far_larger = (400, 50, 70, 70), (400, 50, 200, 200)
    boxes = follow(Tracker("largest"), [[A], [slightly_larger, A], [far_larger, A], []])
    assert boxes == [{0: A}, {0: A}, {0: far_larger}, {0: far_larger}]


@given(st.lists(st.lists(st.tuples(*(st.integers(0, 300),) * 2, *(st.integers(1, 200),) * 2), max_size=3), max_size=12))
def test_every_frame_comes_out_once_and_no_detection_is_lost(detections: list[list[FaceBox]]) -> None:
    for faces in ("largest", "all"):
        boxes = follow(Tracker(faces), detections)
        for found, followed in zip(detections, boxes, strict=True):
            assert len(followed) >= (len(found) if faces == "all" else bool(found))
