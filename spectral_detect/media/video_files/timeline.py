"""List the frames that a video file holds, in order of presentation, and which of them are sound."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import numpy as np

from spectral_detect.media.video_files.packets import Packets, gaps, is_doubtful
from spectral_detect.media.video_files.reader import FrameReader

SAME_TIME_S = 1e-6
N_COMPARED = 8  # of frames: AVI numbers the packets of H.264 as they are decoded, not as they are shown
COUNTED = frozenset(("mov,mp4,m4a,3gp,3g2,mj2", "avi"))  # formats that list their frames: a longer step is meant
STRUCTURED = "matroska,webm"  # every byte belongs to an element: if they are whole, a longer step is meant


@dataclass(frozen=True)
class Order:
    """Say how the frames of a timeline were stored; all arrays have (n_frames,) entries in order of presentation.

    Attributes
    ----------
    times_s : float64 array
        Times of presentation, strictly rising, in seconds from the start of the stream.
    decoded_s : float64 array
        Times of decoding, by which files are sought.
    rank : int array
        Place in the order of decoding.
    is_key : bool array
        The frame decodes without others.
    is_sound : bool array
        False where a frame is damaged or built on a damaged one. `lose` changes it.
    """

    times_s: np.ndarray
    decoded_s: np.ndarray
    rank: np.ndarray
    is_key: np.ndarray
    is_sound: np.ndarray

    def index_at(self, time_s: float) -> int:
        """Return the last frame that is shown no later than this time; -1 if there is none, or no time."""
        if np.isnan(time_s):
            return -1
        return int(np.searchsorted(self.times_s, time_s + SAME_TIME_S, side="right")) - 1

    def lose(self, index: int) -> None:
        """Note that a frame is damaged: no frame is sound that is decoded after it, up to the next key frame."""
        first = self.rank[max(index, 0)]
        later_keys = self.rank[self.is_key & (self.rank > first)]
        end = later_keys.min() if len(later_keys) else np.inf
        self.is_sound[(self.rank >= first) & (self.rank < end)] = False

    def key_before(self, index: int) -> int:
        """Return the last key frame up to this frame; -1 if there is none."""
        keys = np.flatnonzero(self.is_key[: index + 1])
        return int(keys[-1]) if len(keys) else -1


@dataclass(frozen=True)
class Timeline:
    """Hold the frames of a file.

    Attributes
    ----------
    n_frames : int
        Number of frames.
    times_s : (n_frames,) float64 array or None
        Strictly rising, in seconds from the start of the video; None for a stream without time stamps.
    order : Order or None
        How they were stored; None if only decoding told which frames there are.
    """

    n_frames: int
    times_s: np.ndarray | None = None
    order: Order | None = None


def read_timeline(packets: Packets, reader: FrameReader, *, is_whole: bool) -> tuple[Timeline, list[str]]:
    """Return the frames of a video, and what is to be said of gaps and damage.

    They are read from the packets if the first ones are the first frames that are decoded; if not, or if the time
    stamps do not rise, all of the file is decoded.

    Parameters
    ----------
    packets : Packets
        All of the file.
    reader : FrameReader
        At the start of the file; used up.
    is_whole : bool
        Whether the structure of the file shows no damage.
    """
    usable = np.flatnonzero(packets.is_shown & ~np.isnan(packets.times_s))
    stored = usable[np.argsort(packets.times_s[usable], kind="stable")]
    times = packets.times_s[stored]
    first = [decoded.time_s for decoded in islice(reader, N_COMPARED) if decoded.frame is not None]
    rises = len(usable) == packets.is_shown.sum() and bool((np.diff(times) > 0).all())
    if not len(times) or not rises or not _begins_with(times, first):
        return _by_decoding(reader), []
    container = reader.container.format.name
    holes = [] if container in COUNTED or (container == STRUCTURED and is_whole) else gaps(times)
    is_after_hole = np.zeros(len(packets), bool)
    is_after_hole[[int(np.argmax(packets.times_s > at + SAME_TIME_S)) for at, _ in holes]] = True
    is_sound = ~is_doubtful(packets, is_after_hole)[stored]
    order = Order(times, packets.decoded_s[stored], stored, packets.is_key[stored], is_sound)
    return Timeline(len(times), times, order), [*_of_holes(holes), *_of_doubt(is_sound)]


def _begins_with(times: np.ndarray, first: list[float]) -> bool:
    n = min(len(times), len(first))
    return n > 0 and bool((np.abs(times[:n] - first[:n]) <= SAME_TIME_S).all())


def _by_decoding(reader: FrameReader) -> Timeline:
    reader.restart()
    times = np.array([decoded.time_s for decoded in reader if decoded.frame is not None])
    rises = len(times) > 1 and bool((np.diff(times) > 0).all())
    return Timeline(len(times), times if rises else None)


def _of_holes(holes: list[tuple[float, float]]) -> list[str]:
    if not holes:
        return []
    at, length = max(holes, key=lambda hole: hole[1])
    number = "a gap" if len(holes) == 1 else f"{len(holes)} gaps"
    return [f"truncated or damaged: {number} in the time stamps, the longest of {length:.2f} s after {at:.2f} s"]


def _of_doubt(is_sound: np.ndarray) -> list[str]:
    n_lost = int((~is_sound).sum())
    if not n_lost:
        return []
    return [
        f"truncated or damaged: {n_lost} of {len(is_sound)} frames left out, after damaged or missing data, up to the "
        "next key frame"
    ]
