"""The results that the program hands out, as frozen records of plain values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

REAL, FAKE = 0, 1
LABELS = {"real": REAL, "fake": FAKE}

Verdict = Literal["real", "fake", "inconclusive"]

IMAGE_SCHEMA = "spectral-detect/image/1"


@dataclass(frozen=True)
class ImageRecord:
    """One scanned image. A file that could not be read has an `error` and neither verdict nor score.

    Attributes
    ----------
    path : as found; bytes that are not UTF-8 stand as lone surrogates (`os.fsdecode`). A URL is without credentials.
    mtime_ns : None also of a URL whose store does not tell.
    width, height : pixels, as displayed (after the EXIF orientation).
    label : REAL (0), FAKE (1), or None without a verdict or with an inconclusive one.
    score : 0 to 1, higher is more fake; the verdict is "fake" where score >= threshold.
    log10_likelihood_ratio : decimal logarithm of p(image | fake) / p(image | real), no stronger than the training
        images support; None where the model's scores are not calibrated. `posterior` is the probability of fake at the
        prevalence that the scan was given, None without one.
    model : name of the model that judged it, with its threshold; None for a file that a scan which picks its models
        could not read. `model_sha256` is the hash of its file, `spec_sha256` of its features.
    settings_sha256 : hash of all that the verdict depends on besides the file and the version, see
        `judging.settings_sha256`: records stand together in one output only where it is the same.
    """

    path: str
    sha256: str | None
    size_bytes: int | None
    mtime_ns: int | None
    width: int | None
    height: int | None
    format: str | None
    verdict: Verdict | None
    label: int | None
    score: float | None
    threshold: float | None
    model: str | None
    model_sha256: str | None
    spec_sha256: str
    settings_sha256: str
    tool_version: str
    log10_likelihood_ratio: float | None = None
    posterior: float | None = None
    warnings: tuple[str, ...] = ()
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values in the order of the columns."""
        return {"schema": IMAGE_SCHEMA, **vars(self), "warnings": list(self.warnings)}


IMAGE_COLUMNS = ("schema", *ImageRecord.__dataclass_fields__)

VIDEO_SCHEMA = "spectral-detect/video/1"


@dataclass(frozen=True)
class FrameRecord:
    """One judged frame, or one face in it.

    Attributes
    ----------
    frame : number in the video, from 0; `file` : of a folder of frames, which image it is.
    time_s : presentation time; None in a folder of frames.
    track : number of the face, from 0.
    box : x, y, width, height of what was judged, in pixels of the frame; None where it was the whole frame.
    width, height : of what was judged.
    """

    path: str
    frame: int
    file: str | None
    time_s: float | None
    track: int
    box: tuple[int, int, int, int] | None
    width: int
    height: int
    verdict: Verdict | None
    score: float | None
    log10_likelihood_ratio: float | None
    warnings: tuple[str, ...] = ()
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values in the order of the columns."""
        values = dict(vars(self))
        x, y, box_width, box_height = self.box or (None,) * 4
        values |= {"x": x, "y": y, "box_width": box_width, "box_height": box_height, "warnings": list(self.warnings)}
        return {name: values[name] for name in FRAME_COLUMNS}


FRAME_COLUMNS = (
    "path", "frame", "file", "time_s", "track", "x", "y", "box_width", "box_height", "width", "height", "verdict",
    "score", "log10_likelihood_ratio", "warnings", "error",
)  # fmt: skip


@dataclass(frozen=True)
class VideoRecord:
    """One judged video. A file that could not be read has an `error` and neither verdict nor score.

    Attributes
    ----------
    path : a video file, or a folder of frames; its `sha256` is then that of the names and hashes of the frames.
    width, height : pixels of a frame, as displayed.
    fps, duration_s, codec : as the file announces them; None of a folder.
    n_frames : frames that were looked at. `n_faces` : faces judged in them (None without a search for faces);
        `n_without_face` : frames in which none was found.
    n_judged : frames or faces with a verdict of their own, the votes.
    vote : how the verdict was made: by majority, the mean score, or the pooled likelihood ratio.
    fake_fraction : share of fakes among the votes, with `fake_fraction_low` and `fake_fraction_high`, its 95 % interval
        (Wilson) if frames were independent, which they are not. Of several tracks, those of the one most often fake.
    mean_score : over the votes. `log10_likelihood_ratio` : mean over them, as of one image: frames of one video share
        most of what speaks for or against them.
    posterior : probability of fake by that ratio, at the prevalence that the scan was given; None without one.
    n_tracks : faces followed.
    settings_sha256 : as of an image; the vote and the choice of frames belong to it.
    """

    path: str
    sha256: str | None
    size_bytes: int | None
    mtime_ns: int | None
    width: int | None
    height: int | None
    fps: float | None
    duration_s: float | None
    codec: str | None
    verdict: Verdict | None
    label: int | None
    vote: str
    fake_fraction: float | None
    fake_fraction_low: float | None
    fake_fraction_high: float | None
    mean_score: float | None
    log10_likelihood_ratio: float | None
    posterior: float | None
    n_frames: int
    n_judged: int
    n_faces: int | None
    n_without_face: int | None
    n_tracks: int
    threshold: float | None
    model: str | None
    model_sha256: str | None
    spec_sha256: str
    settings_sha256: str
    tool_version: str
    warnings: tuple[str, ...] = ()
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values in the order of the columns."""
        return {"schema": VIDEO_SCHEMA, **vars(self), "warnings": list(self.warnings)}


VIDEO_COLUMNS = ("schema", *VideoRecord.__dataclass_fields__)

# of CSV with features; then, where images are cut in tiles, TILE_COLUMNS, then f0, f1, ...
FEATURE_COLUMNS = ("path", "width", "height", "sha256", "size_bytes", "mtime_ns", "tool_version", "spec")
TILE_COLUMNS = ("tile_x", "tile_y", "tile_side")
