"""Read the packets of a video file, without decoding: when its frames are shown, and what is damaged or missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from spectral_detect.media.video_files.ffmpeg import open_container, packets_of, picture_stream

BLANK = bytes(64)  # no codec writes so many zero bytes at the start of a picture
ESCAPED_CODECS = ("h264", "hevc")  # in which three zero bytes never follow each other
LONG_BLANK = bytes(512)
DENSE_CODECS = ("vp8", "vp9", "av1", "mpeg4", "prores")  # which never write that many, nor fill up with them
UNCODED = ("rawvideo", "v210", "v410", "r210")  # black may be zero
REGULAR = 0.9  # the share of the steps that must be alike before a longer one is a gap
SAME_STEP = 0.25  # of a step; Matroska rounds time stamps to milliseconds
GAP_STEPS, GAP_S = 4.5, 0.1  # a camera drops a frame or two by itself
END_TOLERANCE_S = 0.25


@dataclass(frozen=True)
class Packets:
    """Hold the packets of the pictures, in the order of the file.

    Attributes
    ----------
    times_s, decoded_s : (n_packets,) float64 array
        Times of presentation and of decoding, in seconds from the start of the stream; NaN where there are none.
    is_key : (n_packets,) bool array
        The picture decodes without others.
    is_shown : (n_packets,) bool array
        False where an edit list hides the picture.
    is_bad : (n_packets,) bool array
        The container says that a part is missing, or the content is no coded picture.
    n_bad_sound : int
        Packets of sound of which a part is missing.
    end_s : float
        End of the last packet of pictures or sound, in seconds from the start of the file.
    """

    times_s: np.ndarray
    decoded_s: np.ndarray
    is_key: np.ndarray
    is_shown: np.ndarray
    is_bad: np.ndarray
    n_bad_sound: int
    end_s: float

    def __len__(self) -> int:
        return len(self.times_s)


def read_packets(path: str) -> Packets:
    """Read all packets of a file that opens; little more work than reading the file."""
    rows: list[tuple[float, float, bool, bool, bool]] = []
    n_bad_sound, end_s = 0, 0.0
    with open_container(path) as container:
        stream: Any = picture_stream(container)
        start = stream.start_time or 0
        step, is_blank = float(stream.time_base), _BlankTest(stream)
        for packet in packets_of(container):
            if packet.stream.type in ("video", "audio"):
                end_s = max(end_s, _end_s(packet))
                n_bad_sound += packet.is_corrupt and packet.stream.type == "audio"
            if packet.stream_index == stream.index and packet.size:
                shown = packet.pts if packet.pts is not None else packet.dts
                times = ((t - start) * step if t is not None else np.nan for t in (shown, packet.dts))
                is_bad = packet.is_corrupt or is_blank(packet)
                rows.append((*times, packet.is_keyframe, not packet.is_discard, is_bad))
    columns = np.array(rows, dtype=float).reshape(-1, 5).T
    is_key, is_shown, is_bad = columns[2:].astype(bool)
    return Packets(columns[0], columns[1], is_key, is_shown, is_bad, n_bad_sound, end_s)


def _end_s(packet: Any) -> float:
    stamp = packet.pts if packet.pts is not None else packet.dts
    return 0.0 if stamp is None else float((stamp + (packet.duration or 0)) * packet.time_base)


class _BlankTest:
    """Tell whether a packet was overwritten with zero bytes, as a failing disk or an interrupted copy leaves them."""

    def __init__(self, stream: Any) -> None:
        context = stream.codec_context
        codec = context.codec.canonical_name
        self._is_uncoded = codec in UNCODED
        has_lengths = bytes(context.extradata or b"\0")[0] == 1  # before each unit, in place of filled gaps between
        self._inside = LONG_BLANK if codec in DENSE_CODECS else None
        if codec in ESCAPED_CODECS and has_lengths:
            self._inside = BLANK

    def __call__(self, packet: Any) -> bool:
        if self._is_uncoded or packet.size < len(BLANK):
            return False
        content = bytes(packet)
        return content.startswith(BLANK) or (self._inside is not None and self._inside in content)


def gaps(times_s: np.ndarray) -> list[tuple[float, float]]:
    """Return where frames are missing from a regular rhythm: the time before each gap and its length, in seconds.

    A recording of a variable rate has no rhythm, so that nothing can be said about it.

    Parameters
    ----------
    times_s : (n_frames,) array
        Rising.
    """
    steps = np.diff(times_s)
    if len(steps) < 2:
        return []
    usual = float(np.median(steps))
    is_usual = np.abs(steps - usual) <= max(SAME_STEP * usual, 0.0015)
    is_gap = steps > max(GAP_STEPS * usual, GAP_S)
    if is_usual.mean() < REGULAR and is_usual.sum() + is_gap.sum() < len(steps):
        return []
    return [(float(times_s[k]), float(steps[k])) for k in np.flatnonzero(is_gap)]


def is_doubtful(packets: Packets, lost_before: np.ndarray) -> np.ndarray:
    """Return for each packet whether its picture may be built on damage: from a bad packet to the next key frame.

    Parameters
    ----------
    packets : Packets
        In the order of decoding.
    lost_before : (n_packets,) bool array
        Packets before which others are missing.
    """
    doubtful = np.zeros(len(packets), bool)
    in_doubt = False
    for k in np.flatnonzero(packets.is_bad | packets.is_key | lost_before).tolist():
        in_doubt = bool(packets.is_bad[k] or (lost_before[k] and not packets.is_key[k]))
        doubtful[k:] = in_doubt
    return doubtful
