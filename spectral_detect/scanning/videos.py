"""Many videos -> a stream of records: frames are judged where they are decoded, and vote on their video."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from spectral_detect._version import __version__
from spectral_detect.detector.model import Model
from spectral_detect.errors import VideoReadError
from spectral_detect.extraction.one_file import TOO_LITTLE_MEMORY, Extraction, extract_frame
from spectral_detect.extraction.work import Work, work_through
from spectral_detect.media.edits import as_rgb
from spectral_detect.media.video import Frame, FrameOptions, Video, open_video
from spectral_detect.records import LABELS, FrameRecord, VideoRecord
from spectral_detect.scanning.images import checked_models
from spectral_detect.scanning.judging import GUESS, Judgement, Rules, judge, posterior_of, settings_sha256
from spectral_detect.scanning.voting import Ballot, VoteKind, count_votes, decide, doubts_in_words
from spectral_detect.sources.discovery import FoundVideo
from spectral_detect.sources.reading import video_sha256

THUMBNAIL_PX = 120
N_THUMBNAILS = 3  # of the highest and of the lowest scores


@dataclass(frozen=True)
class Thumbnail:
    """A reduced frame for a picture; `pixels` is (H, W) or (H, W, 3) RGB, uint8."""

    frame: int
    time_s: float | None
    score: float
    pixels: np.ndarray


@dataclass(frozen=True)
class VideoResult:
    """A video's record, those of its frames, and the frames with the highest and lowest scores."""

    record: VideoRecord
    frames: tuple[FrameRecord, ...] = ()
    highest: tuple[Thumbnail, ...] = ()
    lowest: tuple[Thumbnail, ...] = ()


def scan_videos(
    videos: Iterable[FoundVideo],
    model: Model | Sequence[Model],
    *,
    rules: Rules | None = None,
    vote: VoteKind = "majority",
    work: Work | None = None,
    with_thumbnails: bool = False,
) -> Generator[VideoResult, None, None]:
    """Judge videos, lazily and in order, in parallel over videos.

    Parameters
    ----------
    model : of several models of one spec, each frame is judged by that in whose experience it lies.
    vote : how the frames decide, see `count_votes`.
    work : `Work.frames` says which frames are looked at, and what of them.
    with_thumbnails : also reduced copies of the frames with the highest and lowest scores.

    Raises
    ------
    ModelFileError : several models of different features; `Rules.check`; "pooled" with a model without calibration.
    """
    rules, work = rules or Rules(), work or Work()
    models = checked_models(model, rules)
    if vote == "pooled":
        Rules(prevalence=0.5).check(models)
    settings = video_settings_sha256(models, rules, vote, work.frames)
    unknown = _unknown(models, vote, settings)
    task = partial(
        judge_video, models=models, rules=rules, vote=vote, options=work.frames, max_pixels=work.max_pixels,
        settings=settings, with_thumbnails=with_thumbnails,
    )  # fmt: skip
    return work_through(videos, task, work, partial(_lost, unknown=unknown), few=0)


def video_settings_sha256(models: Sequence[Model], rules: Rules, vote: VoteKind, options: FrameOptions) -> str:
    """`settings_sha256` of a scan of videos."""
    return settings_sha256(models, rules, vote=vote, frames=asdict(options))


def _lost(found: FoundVideo, reason: str, unknown: dict[str, Any]) -> VideoResult:
    return VideoResult(VideoRecord(path=found.path, **unknown, error=reason))


def _unknown(models: Sequence[Model], vote: VoteKind, settings: str) -> dict[str, Any]:
    """The columns of a record of which nothing could be read."""
    nothing = (
        "sha256", "size_bytes", "mtime_ns", "width", "height", "fps", "duration_s", "codec", "verdict", "label",
        "fake_fraction", "fake_fraction_low", "fake_fraction_high", "mean_score", "log10_likelihood_ratio", "posterior",
        "n_faces", "n_without_face", "threshold", "model", "model_sha256",
    )  # fmt: skip
    counts = dict.fromkeys(("n_frames", "n_judged", "n_tracks"), 0)
    spec = models[0].spec.sha256
    known = {"vote": vote, "spec_sha256": spec, "settings_sha256": settings, "tool_version": __version__}
    return {**dict.fromkeys(nothing), **counts, **known}


def judge_video(
    found: FoundVideo,
    models: Sequence[Model],
    rules: Rules,
    vote: VoteKind,
    options: FrameOptions,
    max_pixels: int,
    settings: str,
    with_thumbnails: bool = False,
) -> VideoResult:
    """Decode one video, judge its frames and count their votes; whatever is wrong with it is in the record.

    `settings` is the hash of all these, for the record.
    """
    known = {"path": found.path, **_unknown(models, vote, settings)}
    extremes = _Extremes(with_thumbnails)
    try:
        with open_video(found, options, max_pixels=max_pixels) as video:
            known |= _facts(found, video)
            judges = _judges_of(video, models)
            judged = _judge_frames(video, found, str(known["sha256"]), judges, rules, extremes)
            known |= _counts(video, judged, options)
    except VideoReadError as error:
        return VideoResult(VideoRecord(**known, error=str(error)))
    except MemoryError:
        return VideoResult(VideoRecord(**known, error=TOO_LITTLE_MEMORY))
    frames = tuple(_frame_record(found, extraction, judgement) for extraction, judgement in judged)
    judgements = [judgement for _, judgement in judged if judgement is not None]
    if not judgements:
        return VideoResult(VideoRecord(**known, error=_why_none(known, frames)), frames)
    ballot = _elect(judged, vote)
    known |= _verdict(ballot, judgements, rules)
    known["warnings"] += _doubts(ballot, judgements, known)
    return VideoResult(VideoRecord(**known), frames, *extremes.chosen())


Judged = tuple[Extraction, "Judgement | None"]


def _facts(found: FoundVideo, video: Video) -> dict[str, Any]:
    sha256, size_bytes, mtime_ns = video_sha256(found)
    facts = {name: getattr(video.facts, name) for name in ("width", "height", "codec")}
    for name in ("fps", "duration_s"):
        value = getattr(video.facts, name)
        facts[name] = None if value is None else round(value, 6)
    return {"sha256": sha256, "size_bytes": size_bytes, "mtime_ns": mtime_ns, **facts}


def _judges_of(video: Video, models: Sequence[Model]) -> Sequence[Model]:
    """Of several models, only those that have seen more than JPEGs judge a video file."""
    if video.facts.codec is None or len(models) == 1:
        return models
    others = [m for m in models if m.experience is None or m.experience.has_seen_others]
    return others or models


def _judge_frames(
    video: Video, found: FoundVideo, sha256: str, models: Sequence[Model], rules: Rules, extremes: _Extremes
) -> list[Judged]:
    judged: list[Judged] = []
    for frame in video.frames():
        variants = list(extract_frame(frame, models[0].spec, {"path": found.path, "sha256": sha256}, rules.edits))
        judgement = None
        if variants[0].features is not None:
            if variants[0].features.shape[-1:] != models[0].mean.shape:
                raise VideoReadError(
                    "the model was trained on images of one other size, without bins; train one with --bins"
                )
            judgement = judge(variants, models, rules)
            extremes.offer(frame, judgement.score)
        judged.append((replace(variants[0], features=None, tiles=None), judgement))
    return judged


def _counts(video: Video, judged: Sequence[Judged], options: FrameOptions) -> dict[str, Any]:
    looks_for_faces = options.crop == "face"
    tracks = {e.frame.track for e, _ in judged if e.frame}
    return {
        "n_frames": video.n_sampled,
        "n_faces": len(judged) if looks_for_faces else None,
        "n_without_face": video.n_without_face if looks_for_faces else None,
        "n_tracks": len(tracks) if looks_for_faces else 0,
        "warnings": tuple(video.warnings),
    }


def _why_none(known: dict[str, Any], frames: Sequence[FrameRecord]) -> str:
    if frames:
        return f"none of {len(frames)} frames could be judged; the first: {frames[0].error}"
    if known["n_without_face"]:
        return f"no face found in {known['n_without_face']} frames; --crop none judges whole frames"
    return "no frame could be decoded; get an intact copy"


def _elect(judged: Sequence[Judged], vote: VoteKind) -> Ballot:
    """The ballot of the face, or of the whole frames, that decides."""
    tracks: dict[int, list[Judgement]] = {}
    for extraction, judgement in judged:
        if judgement is not None and extraction.frame is not None:
            tracks.setdefault(extraction.frame.track, []).append(judgement)
    return decide([count_votes(judgements, vote) for judgements in tracks.values()])


def _verdict(ballot: Ballot, judgements: Sequence[Judgement], rules: Rules) -> dict[str, Any]:
    """The columns of a record that the vote fills; the model is the one that judged most frames."""
    by_model = Counter(j.model.name for j in judgements)
    ruling = next(j for j in judgements if j.model.name == by_model.most_common(1)[0][0])
    low, high = ballot.interval or (None, None)
    ratio = ballot.log10_likelihood_ratio
    return {
        "verdict": ballot.verdict,
        "label": LABELS.get(ballot.verdict),
        "fake_fraction": ballot.fake_fraction,
        "fake_fraction_low": low,
        "fake_fraction_high": high,
        "mean_score": ballot.mean_score,
        "log10_likelihood_ratio": ballot.log10_likelihood_ratio,
        "posterior": None if rules.prevalence is None or ratio is None else posterior_of(ratio, rules.prevalence),
        "n_judged": ballot.n_votes,
        "threshold": ruling.threshold,
        "model": ruling.model.name,
        "model_sha256": ruling.model.sha256,
    }


def _doubts(ballot: Ballot, judgements: Sequence[Judgement], known: dict[str, Any]) -> tuple[str, ...]:
    notes = doubts_in_words(judgements)
    if ballot.n_votes and ballot.has_too_few:
        notes.insert(0, f"only {ballot.n_votes} of {ballot.n_frames} frames have a vote: too few to decide")
    seen = judgements[0].model.experience
    if known["codec"] and seen and not seen.has_seen_others:
        notes.append("the model was trained on JPEG files, and a video is compressed in another way: train on videos")
    if known["n_tracks"] > 1:
        notes.append(f"{known['n_tracks']} faces followed; the votes are those of the one most often called fake")
    if any(j.model.is_guess for j in judgements):
        notes.append(GUESS)
    return tuple(notes)


def _frame_record(found: FoundVideo, extraction: Extraction, judgement: Judgement | None) -> FrameRecord:
    place = extraction.frame
    assert place is not None
    return FrameRecord(
        path=extraction.path,
        frame=place.index,
        file=found.frames[place.index] if found.frames else None,
        time_s=None if place.time_s is None else round(place.time_s, 6),
        track=place.track,
        box=place.box,
        width=extraction.width or 0,
        height=extraction.height or 0,
        verdict=judgement.verdict if judgement else None,
        score=judgement.score if judgement else None,
        log10_likelihood_ratio=judgement.log10_likelihood_ratio if judgement else None,
        warnings=extraction.warnings + (judgement.warnings if judgement else ()),
        error=extraction.error,
    )


@dataclass
class _Extremes:
    """The frames with the highest and the lowest scores so far."""

    is_wanted: bool
    highest: list[Thumbnail] = field(default_factory=list)
    lowest: list[Thumbnail] = field(default_factory=list)

    def offer(self, frame: Frame, score: float) -> None:
        if not self.is_wanted:
            return
        for kept, sign in ((self.highest, 1), (self.lowest, -1)):
            if len(kept) < N_THUMBNAILS or sign * score > sign * kept[-1].score:
                kept.append(_thumbnail(frame, score))
                kept.sort(key=lambda t: -sign * t.score)
                del kept[N_THUMBNAILS:]

    def chosen(self) -> tuple[tuple[Thumbnail, ...], tuple[Thumbnail, ...]]:
        return tuple(self.highest), tuple(self.lowest)


def _thumbnail(frame: Frame, score: float) -> Thumbnail:
    import cv2

    pixels = as_rgb(frame.image.pixels, frame.image.is_ycc)
    scale = THUMBNAIL_PX / max(pixels.shape[:2])
    size = tuple(max(1, round(scale * side)) for side in pixels.shape[1::-1])
    reduced = cv2.resize(pixels, (size[0], size[1]), interpolation=cv2.INTER_AREA)
    return Thumbnail(frame.index, frame.time_s, score, np.asarray(reduced))
