"""Define the results that the program hands out, as frozen records of plain values."""

from __future__ import annotations

from dataclasses import dataclass
from math import log10, nextafter
from typing import Any, Literal

REAL, FAKE = 0, 1
LABELS = {"real": REAL, "fake": FAKE}
CLASS_NAMES = ("real", "fake")  # unless a model has names of its own

Verdict = Literal["real", "fake", "inconclusive"]
Reason = Literal[
    "constant image",
    "useless model",
    "transparent",
    "outside experience",
    "low confidence",
    "undecided",
    "depends on delivery",
]
BY_SCORE = frozenset(("low confidence", "undecided", "depends on delivery"))  # the others leave the score no meaning

BELOW_ALL, ABOVE_ALL = nextafter(0, -1), nextafter(1, 2)  # limits that no score reaches
LEAST_LOG10_RATIO = log10(2)  # below it a verdict is weak

IMAGE_SCHEMA = "spectral-detect/image/1"


def is_contradicted(verdict: str | None, says_generated: str | None, class_name: str | None) -> bool:
    """Return whether a file says that AI made or edited it, and is called real by a model of cameras and generators."""
    return verdict == "real" and says_generated == "yes" and not class_name


def is_improbable(verdict: str | None, posterior: float | None) -> bool:
    """Return whether the opposite of a verdict is more probable, at the prevalence that the scan was given."""
    if posterior is None:
        return False
    return (verdict == "fake" and posterior < 0.5) or (verdict == "real" and posterior > 0.5)


def is_weak(verdict: str | None, log10_likelihood_ratio: float | None) -> bool:
    """Return whether the score of a verdict is less than twice as frequent in its class as in the other."""
    return verdict in LABELS and log10_likelihood_ratio is not None and abs(log10_likelihood_ratio) < LEAST_LOG10_RATIO


@dataclass(frozen=True)
class ImageRecord:
    """Hold one scanned image. A file that could not be read has an `error` and neither verdict nor score.

    Attributes
    ----------
    path : str
        As the file was found; bytes that are not UTF-8 stand as lone surrogates (`os.fsdecode`). A URL is without
        credentials.
    sha256 : str or None
        Hash of the file's bytes.
    size_bytes : int or None
        Size of the file.
    mtime_ns : int or None
        Time of modification, nanoseconds since 1970; None also for a URL whose store does not tell.
    width, height : int or None
        In pixels, as displayed (after the EXIF orientation).
    format : str or None
        Name of the file format.
    verdict : {"real", "fake", "inconclusive"} or None
        The judgement.
    label : int or None
        REAL (0), FAKE (1), or None without a verdict or with an inconclusive one.
    score : float or None
        0 to 1, higher is more fake; the verdict is "fake" if score >= threshold, and of a model that leaves scores
        undecided, such as `world`, if it lies above those.
    threshold : float or None
        That of the model, unless the scan was given another.
    model, model_sha256 : str or None
        Name of the model, and hash of its file.
    spec_sha256 : str
        Hash of the model's features.
    settings_sha256 : str
        Hash of all that the verdict depends on besides the file and the version, see `scanning.judge.Judge`: records
        stand together in one output only if it is the same.
    tool_version : str
        Version of this program.
    log10_likelihood_ratio : float or None
        Decimal logarithm of p(image | fake) / p(image | real), no stronger than the training images support; None if
        the model's scores are not calibrated.
    posterior : float or None
        Probability of fake at the prevalence that the scan was given; None without one.
    warnings : tuple of str
        What a reader of the verdict should know.
    error : str or None
        Why the file could not be judged, and the remedy.
    coding : str or None
        How the pixels of the file were compressed, see `Coding.title`.
    model_balanced_accuracy : float or None
        Balanced accuracy of the model, cross-validated when it was trained; None if that could not be measured.
    delivery : str or None
        What the image went through before its features, see `Delivery.title`; None if it was judged as it is.
    provenance : str or None
        What the file says of its origin, see `Provenance.line`; empty if it says nothing, None if it was not asked.
    says_generated : {"yes", "no"} or None
        Whether the file says that it was made or edited by AI; None if it says nothing of that.
    verdict_right : float or None
        Share of the model's verdicts like this one, on such files that it had not seen, half of them fake,
        that were right; None if it is inconclusive or the model holds no `TrackRecord`.
    such_files : str or None
        What such files are, and how the model did on them, in words.
    reason : Reason or None
        Why the verdict is inconclusive, in a word; None if it is not.
    parts : str or None
        Name and decimal log likelihood ratio of each part of a fused model; None for other models.
    generator : str or None
        The class of the model that the image is most like, `camera` or the name of a generator, or `none of these`;
        None if the model names no generators or cannot judge such an image.
    generator_score : float or None
        How probable that class is among those of the model, each equally frequent; None if it is none of these.
    class_name : str or None
        What the model itself calls the class of the verdict, where it has names of its own for real and fake; else
        None.
    undecided_low, undecided_high : float or None
        Scores between these are inconclusive, lower ones real and higher ones fake, both ends included; None if each
        score decides, by the threshold.
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
    coding: str | None = None
    model_balanced_accuracy: float | None = None
    delivery: str | None = None
    provenance: str | None = None
    says_generated: Literal["yes", "no"] | None = None
    verdict_right: float | None = None
    such_files: str | None = None
    reason: Reason | None = None
    parts: str | None = None
    generator: str | None = None
    generator_score: float | None = None
    class_name: str | None = None
    undecided_low: float | None = None
    undecided_high: float | None = None

    @property
    def score_has_meaning(self) -> bool:
        """Whether the model could judge such an image at all, though its score may decide nothing."""
        return self.reason is None or self.reason in BY_SCORE

    @property
    def is_contradicted(self) -> bool:
        """Whether the file says that it was made or edited by AI, and the verdict is "real"."""
        return is_contradicted(self.verdict, self.says_generated, self.class_name)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values in the order of the columns."""
        return {"schema": IMAGE_SCHEMA, **vars(self), "warnings": list(self.warnings)}


IMAGE_COLUMNS = ("schema", *ImageRecord.__dataclass_fields__)

PROVENANCE_SCHEMA = "spectral-detect/provenance/1"


@dataclass(frozen=True)
class ProvenanceRecord:
    """Hold what one file says of its origin. A file that could not be read has an `error`.

    Attributes
    ----------
    path, sha256, size_bytes, mtime_ns
        As in `ImageRecord`.
    format : str or None
        Name of the file format, "VIDEO" for a video; None if the pixels were not looked at or could not be read.
    says_generated : {"yes", "no"} or None
        Whether the file says that it was made or edited by AI; None if it says nothing of that.
    findings : tuple of dict
        The plain values of each `Finding`: kind, text, place and says_generated.
    tool_version : str
        Version of this program.
    error : str or None
        Why the file or its picture could not be read; what its bytes say stands in `findings` all the same.
    """

    path: str
    sha256: str | None
    size_bytes: int | None
    mtime_ns: int | None
    format: str | None
    says_generated: Literal["yes", "no"] | None
    findings: tuple[dict[str, Any], ...]
    tool_version: str
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values in the order of the columns."""
        findings = [dict(finding) for finding in self.findings]
        return {"schema": PROVENANCE_SCHEMA, **vars(self), "findings": findings}


PROVENANCE_COLUMNS = ("schema", *ProvenanceRecord.__dataclass_fields__)

VIDEO_SCHEMA = "spectral-detect/video/1"


@dataclass(frozen=True)
class FrameRecord:
    """Hold one judged frame, or one face in it.

    Attributes
    ----------
    path : str
        The video.
    frame : int
        Number in the video, from 0.
    file : str or None
        Which image it is, in a folder of frames.
    time_s : float or None
        Presentation time in seconds; None in a folder of frames.
    track : int
        Number of the face, from 0.
    box : (int, int, int, int) or None
        x, y, width, height of the judged part, in pixels of the frame; None if the whole frame was judged.
    width, height : int
        Size of the judged part in pixels.
    verdict, score, log10_likelihood_ratio, warnings, error, class_name
        As in `ImageRecord`.
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
    class_name: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values in the order of the columns."""
        values = dict(vars(self))
        x, y, box_width, box_height = self.box or (None,) * 4
        values |= {"x": x, "y": y, "box_width": box_width, "box_height": box_height, "warnings": list(self.warnings)}
        return {name: values[name] for name in FRAME_COLUMNS}


FRAME_COLUMNS = (
    "path", "frame", "file", "time_s", "track", "x", "y", "box_width", "box_height", "width", "height", "verdict",
    "score", "log10_likelihood_ratio", "warnings", "error", "class_name",
)  # fmt: skip


@dataclass(frozen=True)
class VideoRecord:
    """Hold one judged video. A file that could not be read has an `error` and neither verdict nor score.

    Attributes
    ----------
    path, sha256, size_bytes, mtime_ns
        A video file, or a folder of frames; the hash of a folder is that of the names and hashes of its frames.
    width, height : int or None
        Size of a frame in pixels, as displayed.
    fps, duration_s, codec
        As the file announces them: frames per second, seconds, four letters; None for a folder.
    verdict, label
        As in `ImageRecord`.
    vote : str
        How the verdict was made: by majority, the mean score, or the pooled likelihood ratio.
    fake_fraction, fake_fraction_low, fake_fraction_high : float or None
        Share of fakes among the votes, and its 95 % interval (Wilson) if frames were independent, which they are not.
        With several tracks, those of the track that is most often fake.
    mean_score : float or None
        Mean over the votes.
    log10_likelihood_ratio : float or None
        Mean over the frames that the model can judge, with a vote or not, as for one image: frames of one video share
        most of what speaks for or against them.
    posterior : float or None
        Probability of fake by that ratio, at the prevalence that the scan was given; None without one.
    n_frames : int
        Frames that were looked at.
    n_judged : int
        Frames or faces with a verdict of their own, the votes.
    n_faces : int or None
        Faces judged; None without a search for faces.
    n_without_face : int or None
        Frames in which none was found.
    n_tracks : int
        Faces followed.
    threshold, model, model_sha256, spec_sha256, tool_version, warnings, error
        As in `ImageRecord`.
    settings_sha256 : str
        As in `ImageRecord`; the vote and the choice of frames belong to it.
    coding, model_balanced_accuracy, delivery
        As in `ImageRecord`; the coding is that of the first frame that was looked at.
    provenance, says_generated
        As in `ImageRecord`; of a folder, what the frames that were looked at say.
    class_name
        As in `ImageRecord`.
    verdict_right, such_files
        As in `ImageRecord`, of single frames: how often whole videos are right is not measured.
    undecided_low, undecided_high
        As in `ImageRecord`, of the scores of frames.
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
    coding: str | None = None
    model_balanced_accuracy: float | None = None
    delivery: str | None = None
    provenance: str | None = None
    says_generated: Literal["yes", "no"] | None = None
    class_name: str | None = None
    verdict_right: float | None = None
    such_files: str | None = None
    undecided_low: float | None = None
    undecided_high: float | None = None

    @property
    def is_contradicted(self) -> bool:
        """Whether the file says that it was made or edited by AI, and the verdict is "real"."""
        return is_contradicted(self.verdict, self.says_generated, self.class_name)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values in the order of the columns."""
        return {"schema": VIDEO_SCHEMA, **vars(self), "warnings": list(self.warnings)}


VIDEO_COLUMNS = ("schema", *VideoRecord.__dataclass_fields__)

# columns of CSV with features; if images are cut into tiles, TILE_COLUMNS follow; then f0, f1, ...
FEATURE_COLUMNS = ("path", "width", "height", "sha256", "size_bytes", "mtime_ns", "tool_version", "spec")
TILE_COLUMNS = ("tile_x", "tile_y", "tile_side")
