"""The scores of a video's frames as a row of a page holds them: few enough to draw, its extremes among them."""

from __future__ import annotations

from collections.abc import Sequence

from spectral_detect.records import FrameRecord

MOST_POINTS = 600  # of a timeline, which is at most 900 pixels wide

Point = tuple[float, float, str, int, int]  # seconds or number, score, initial of the verdict, face, number


def timeline_of(frames: Sequence[FrameRecord], most: int = MOST_POINTS) -> dict[str, object]:
    """Return the points of a timeline.

    Parameters
    ----------
    frames : sequence of FrameRecord
        The frames in their order.
    most : int
        Of more points than this, the lowest and the highest of each stretch are kept, for each face.

    Returns
    -------
    dict
        `points`; `has_times`; `n_frames` that have a score.
    """
    scored = [frame for frame in frames if frame.score is not None]
    has_times = all(frame.time_s is not None for frame in scored)
    tracks: dict[int, list[Point]] = {}
    for frame in scored:
        x = round(frame.time_s or 0.0, 3) if has_times else frame.frame
        point = (x, round(frame.score or 0.0, 4), (frame.verdict or "i")[0], frame.track, frame.frame)
        tracks.setdefault(frame.track, []).append(point)
    share = max(2, most // max(1, len(tracks)))
    points = [point for track in sorted(tracks) for point in _thinned(tracks[track], share)]
    return {"points": points, "has_times": has_times, "n_frames": len(scored)}


def _thinned(points: list[Point], most: int) -> list[Point]:
    """Return at most so many points: the lowest and the highest of each of equal stretches."""
    if len(points) <= most:
        return points
    n = most // 2
    kept = []
    for k in range(n):
        stretch = points[k * len(points) // n : (k + 1) * len(points) // n]
        ends = {min(stretch, key=lambda p: p[1]), max(stretch, key=lambda p: p[1])}
        kept += sorted(ends, key=lambda p: p[4])
    return kept
