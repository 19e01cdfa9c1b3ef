"""Many videos become a stream of records: frames are judged where they are decoded, and vote on their video."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from spectral_detect._version import __version__
from spectral_detect.detector.model import Model
from spectral_detect.errors import VideoReadError
from spectral_detect.extraction.one_file import TOO_LITTLE_MEMORY, Extraction
from spectral_detect.lazy import cached_property
from spectral_detect.media.coding import Coding
from spectral_detect.media.limits import Limits
from spectral_detect.media.video import FrameOptions, Video, open_video
from spectral_detect.outputs.made_with import MadeWith
from spectral_detect.parallel.task import Cost
from spectral_detect.parallel.work import Work, work_through
from spectral_detect.records import BY_SCORE, LABELS, FrameRecord, VideoRecord
from spectral_detect.scanning.judge import GUESS, Judge, Judgement, hash_of_settings
from spectral_detect.scanning.names import contradictions
from spectral_detect.scanning.rules import Rules
from spectral_detect.scanning.thumbnails import Extremes, Thumbnail
from spectral_detect.scanning.video_provenance import video_provenance
from spectral_detect.scanning.voting import LEAST_VOTES, Ballot, VoteKind, count_votes, decide, doubts_in_words
from spectral_detect.sources.discovery import FoundVideo
from spectral_detect.sources.location import Location
from spectral_detect.sources.reading import VideoHash, hash_video
from spectral_detect.text import counted

RARE = f"faces in fewer than {LEAST_VOTES} frames count only where no other is seen more often"
TWO_PARTS = "some are so small that the model judged them by a part of its own, with other limits"


@dataclass(frozen=True)
class VideoResult:
    """A video's record, and what stands behind it.

    Attributes
    ----------
    record : VideoRecord
        Its verdict.
    frames : tuple of FrameRecord
        Those of its frames.
    highest, lowest : tuple of Thumbnail
        The frames with the highest and lowest scores, if they were wanted.
    hashes : tuple of (str, str)
        Name and hash of each frame of a folder, see `VideoHash.frames`.
    """

    record: VideoRecord
    frames: tuple[FrameRecord, ...] = ()
    highest: tuple[Thumbnail, ...] = ()
    lowest: tuple[Thumbnail, ...] = ()
    hashes: tuple[tuple[str, str], ...] = ()


def scan_videos(
    videos: Iterable[FoundVideo], judge: VideoJudge, *, work: Work | None = None
) -> Generator[VideoResult, None, None]:
    """Judge videos, lazily and in order, in parallel over videos."""
    return work_through(judge, videos, work or Work())


@dataclass(frozen=True, eq=False)
class VideoJudge:
    """The model, rules and vote of a scan of videos: a task that turns a video into its result.

    Attributes
    ----------
    judge : Judge
        Judges each frame.
    vote : {"majority", "mean", "pooled"}
        How the frames decide, see `count_votes`.
    frames : FrameOptions
        Which frames are looked at, and which part of them.
    limits : Limits
        What is refused.
    with_thumbnails : bool
        Whether to return reduced copies of the frames with the highest and lowest scores.

    Raises
    ------
    ModelFileError
        The vote is "pooled" and the model is not calibrated, or no frame can be as sure as the rules ask.
    """

    judge: Judge
    vote: VoteKind = "majority"
    frames: FrameOptions = field(default_factory=FrameOptions)
    limits: Limits = field(default_factory=Limits)
    with_thumbnails: bool = False

    cost: Cost = field(default="long", init=False)

    def __post_init__(self) -> None:
        replace(self.judge.rules, prevalence=None).check(self.judge.model)  # as each frame is judged
        if self.vote == "pooled":
            Rules(prevalence=0.5).check(self.judge.model)

    @property
    def model(self) -> Model:
        """The model that judges."""
        return self.judge.model

    @property
    def settings(self) -> dict[str, Any]:
        """All that turns a video into a verdict, as plain values; the vote and the choice of frames belong to it."""
        return self.judge.settings_and(vote=self.vote, frames=asdict(self.frames))

    @cached_property
    def settings_sha256(self) -> str:
        """Return the hash of `settings`."""
        return hash_of_settings(self.settings)

    @property
    def made_with(self) -> MadeWith:
        """What the records are made with."""
        return self.judge.made_with_settings(self.settings_sha256, self.vote)

    def failed(self, found: FoundVideo, reason: str) -> VideoResult:
        """Return the record of a video that could not be judged, and why."""
        return VideoResult(VideoRecord(path=found.path, **self._unknown(), error=reason))

    def __call__(self, found: FoundVideo) -> VideoResult:
        """Decode a video, judge its frames and count their votes; whatever is wrong with it is in the record."""
        known, hashed = {"path": found.path, **self._unknown()}, None
        extremes = Extremes(self.with_thumbnails)
        try:
            with open_video(found, self.frames, max_pixels=self.limits.max_pixels) as video:
                hashed = hash_video(found)
                known |= _facts(hashed, video)
                judged = self._judge_frames(video, known, extremes)
                known |= _counts(video, judged, self.frames)
                known["warnings"] += _of_sizes(found, judged)
        except (VideoReadError, MemoryError) as error:
            why = TOO_LITTLE_MEMORY if isinstance(error, MemoryError) else str(error)
            return _unread(found, known, hashed, why)
        said = video_provenance(found, video.facts.tags, (e.frame.index for e, _ in judged if e.frame))
        known |= {"provenance": said.line, "says_generated": said.says_generated}
        frames = tuple(_frame_record(found, extraction, judgement) for extraction, judgement in judged)
        judgements = [judgement for _, judgement in judged if judgement is not None]
        if not judgements:
            return VideoResult(VideoRecord(**known, error=_why_none(known, frames)), frames, hashes=hashed.frames)
        ballot = _elect(judged, self.vote, self.judge.rules, "face" if self.frames.crop == "face" else "frame")
        known |= self._verdict(ballot, judgements)
        against = self._improbable(ballot) or self._against_most(ballot)
        notes = (*_doubts(ballot, judgements, known), *against, *_remedy(ballot, judged))
        notes += self.judge.known_already(hashed.sha256)
        told = contradictions(None if known["class_name"] else ballot.verdict, said)
        known["warnings"] = (*told, *known["warnings"], *notes)
        return VideoResult(VideoRecord(**known), frames, *extremes.chosen(), hashed.frames)

    def _judge_frames(self, video: Video, known: dict[str, Any], extremes: Extremes) -> list[Judged]:
        """Judge frame after frame; the features of each are dropped at once."""
        # the prevalence is of videos: it counts once, for the verdict on this one
        judge = replace(self.judge, rules=replace(self.judge.rules, prevalence=None))
        extractor = judge.extractor()
        of_all = {"location": Location(known["path"]), "sha256": known["sha256"]}
        judged: list[Judged] = []
        for frame in video.frames():
            variants = extractor.of_frame(frame, of_all)
            judgement = None
            if variants[0].features is not None:
                if misfit := judge.misfit(variants[0]):
                    raise VideoReadError(misfit)
                judgement = judge.judge(variants)
                extremes.offer(frame, judgement.score)
            judged.append((replace(variants[0], features=None, tiles=None), judgement))
        return judged

    def _verdict(self, ballot: Ballot, judgements: Sequence[Judgement]) -> dict[str, Any]:
        """Return the columns of a record that the vote fills."""
        model, rules, ratio = self.model, self.judge.rules, ballot.log10_likelihood_ratio
        low, high = ballot.interval or (None, None)
        judged: Sequence[Judgement] = [j for j in judgements if _is_judged(j)] or judgements
        voters: Sequence[Judgement] = [
            j for j in judged if j.verdict != "inconclusive" and ballot.verdict in (j.verdict, "inconclusive")
        ]
        voters = voters or judged
        codings = Counter(j.such_files for j in voters if j.such_files)
        known = max(codings, key=codings.__getitem__, default=None)
        ((own, zone), _), *_others = Counter((j.model, j.undecided) for j in voters).most_common()
        low_score, high_score = zone or (None, None)
        return {
            "model_balanced_accuracy": own.balanced_accuracy,
            "undecided_low": low_score,
            "undecided_high": high_score,
            "verdict": ballot.verdict,
            "label": LABELS.get(ballot.verdict),
            "fake_fraction": ballot.fake_fraction,
            "fake_fraction_low": low,
            "fake_fraction_high": high,
            "mean_score": ballot.mean_score,
            "log10_likelihood_ratio": ratio,
            "posterior": None if rules.prevalence is None or ratio is None else rules.posterior(ratio),
            "n_judged": ballot.n_votes,
            "class_name": model.class_name(ballot.verdict),
            "verdict_right": known.right(ballot.verdict) if known else None,
            "such_files": known.line_for(model.class_names) if known else None,
        }

    def _improbable(self, ballot: Ballot) -> tuple[str, ...]:
        """Say so if a verdict is less probable than its opposite, by the mean likelihood ratio of its frames."""
        ratio, verdict = ballot.log10_likelihood_ratio, ballot.verdict
        if ratio is None or verdict == "inconclusive":
            return ()
        confidence = self.judge.rules.confidence(ratio, verdict)
        if confidence >= 0.5:
            return ()
        where = self.judge.rules.where(self.model, speaks_against=(verdict == "fake") != (ratio >= 0))
        name = self.model.class_name(verdict) or verdict
        return (f"called {name} by its frames, with a probability of only {confidence:.3f} by their mean ratio{where}",)

    def _against_most(self, ballot: Ballot) -> tuple[str, ...]:
        """Say so if a vote by scores or ratios comes out against most of the frames' verdicts."""
        share, is_fake = ballot.fake_fraction, ballot.verdict == "fake"
        if share is None or ballot.verdict == "inconclusive" or (share >= 0.5 if is_fake else share <= 0.5):
            return ()
        called, others = self.model.class_names[:: -1 if is_fake else 1]
        by = {"mean": "mean score", "pooled": "mean likelihood ratio"}.get(self.vote, self.vote)
        return (f"called {called} by the {by}, though most votes are {others}",)

    def _unknown(self) -> dict[str, Any]:
        """Return the columns of the record of a video that could not be read."""
        nothing = (
            "sha256", "size_bytes", "mtime_ns", "width", "height", "fps", "duration_s", "codec", "verdict", "label",
            "fake_fraction", "fake_fraction_low", "fake_fraction_high", "mean_score", "log10_likelihood_ratio",
            "posterior", "n_faces", "n_without_face", "provenance", "says_generated", "class_name",
        )  # fmt: skip
        low, high = self.judge.undecided or (None, None)
        return {
            **dict.fromkeys(nothing),
            **dict.fromkeys(("n_frames", "n_judged", "n_tracks"), 0),
            "vote": self.vote,
            "threshold": self.judge.rules.threshold_of(self.model),
            "model": self.model.name,
            "model_sha256": self.model.sha256,
            "model_balanced_accuracy": self.model.balanced_accuracy,
            "delivery": self.judge.delivery.title if self.judge.delivery else None,
            "spec_sha256": self.judge.spec.sha256,
            "settings_sha256": self.settings_sha256,
            "tool_version": __version__,
            "undecided_low": low,
            "undecided_high": high,
        }


Judged = tuple[Extraction, "Judgement | None"]


def _unread(found: FoundVideo, known: dict[str, Any], hashed: VideoHash | None, error: str) -> VideoResult:
    """Return the record of a video that cannot be read; a file that can be hashed all the same is."""
    if hashed is None and not (found.problem or found.location.is_remote):
        with suppress(VideoReadError):
            hashed = hash_video(found)
    if hashed is not None:
        known |= hashed.facts
    return VideoResult(VideoRecord(**known, error=error), hashes=hashed.frames if hashed else ())


def _facts(hashed: VideoHash, video: Video) -> dict[str, Any]:
    facts: dict[str, Any] = {name: getattr(video.facts, name) for name in ("width", "height", "codec")}
    for name in ("fps", "duration_s"):
        value = getattr(video.facts, name)
        facts[name] = None if value is None else round(value, 6)
    return hashed.facts | facts


def _counts(video: Video, judged: Sequence[Judged], options: FrameOptions) -> dict[str, Any]:
    looks_for_faces = options.crop == "face"
    tracks = {e.frame.track for e, _ in judged if e.frame}
    coding = judged[0][0].coding if judged else None
    return {
        "n_frames": video.n_sampled,
        "n_faces": len(judged) if looks_for_faces else None,
        "n_without_face": video.n_without_face if looks_for_faces else None,
        "n_tracks": len(tracks) if looks_for_faces else 0,
        "warnings": tuple(video.warnings),
        "coding": coding.title if coding else None,
    }


def _of_sizes(found: FoundVideo, judged: Sequence[Judged]) -> tuple[str, ...]:
    """Ask whether a folder of images of several sizes is one video; a file's own reader tells of a change of size."""
    sizes = {(e.width, e.height) for e, _ in judged if e.frame and e.frame.box is None}
    notes = []
    if found.has_images_below:
        notes.append("folders in it hold images too, which were not judged: see `group_by_parent`")
    if found.frames and len(sizes) > 1:
        notes.append(
            f"images of {len(sizes)} sizes: if they are no frames of one video, judge each by spectral-detect scan"
        )
    return tuple(notes)


def _why_none(known: dict[str, Any], frames: Sequence[FrameRecord]) -> str:
    if frames:
        return f"none of {len(frames)} frames could be judged; the first: {frames[0].error}"
    if known["n_without_face"]:
        return f"no face found in {counted(known['n_without_face'], 'frame')}; `crop=none` judges whole frames"
    return "no frame could be decoded; get an intact copy"


def _elect(judged: Sequence[Judged], vote: VoteKind, rules: Rules, of: str) -> Ballot:
    """Return the ballot of the face, or of the whole frames, that decides.

    Beside faces that are in `LEAST_VOTES` frames, those in fewer do not count: the detector errs now and then.
    """
    tracks: dict[int, list[Judgement]] = {}
    for extraction, judgement in judged:
        if judgement is not None and extraction.frame is not None:
            tracks.setdefault(extraction.frame.track, []).append(judgement)
    seen_often = [judgements for judgements in tracks.values() if len(judgements) >= LEAST_VOTES]
    return decide([count_votes(judgements, vote, rules, of) for judgements in seen_often or tracks.values()])


def _is_judged(judgement: Judgement) -> bool:
    return judgement.reason is None or judgement.reason in BY_SCORE


def _doubts(ballot: Ballot, judgements: Sequence[Judgement], known: dict[str, Any]) -> tuple[str, ...]:
    notes = doubts_in_words(judgements, "face" if known["n_faces"] is not None else "frame")
    fake = judgements[0].model.class_names[1]
    if ballot.doubt:
        notes.insert(0, ballot.doubt)
    if len({(j.model, j.undecided) for j in judgements if _is_judged(j)}) > 1:
        notes.append(TWO_PARTS)
    if ballot.verdict != "inconclusive" and ballot.n_votes < LEAST_VOTES:
        notes.append(f"decided by {counted(ballot.n_votes, 'vote')} alone: take it for a hint, or judge more frames")
    if known["n_tracks"] > 1:
        first = f"one called {fake} if there is one, else an inconclusive one"
        notes.append(
            f"{known['n_tracks']} faces followed; the votes are those of the face that decides: {first}; {RARE}"
        )
    if judgements[0].model.is_guess:
        notes.append(GUESS)
    return tuple(notes)


def _remedy(ballot: Ballot, judged: Sequence[Judged]) -> tuple[str, ...]:
    """Say what to do if a video stays undecided because the model has not seen frames coded like its own."""
    unseen = Counter(e.coding.kind for e, j in judged if j and e.coding and not _has_seen(j.model, e.coding))
    if ballot.verdict != "inconclusive" or not unseen:
        return ()
    (kind, _), *_others = unseen.most_common(1)
    return (
        f"to judge such videos, train a model on videos coded as {kind}, both classes compressed alike: "
        "spectral-detect train --real REAL_VIDEOS --fake FAKE_VIDEOS --output my.pkl; then name it: --model my.pkl",
    )


def _has_seen(model: Model, coding: Coding) -> bool:
    return model.experience is None or coding.kind in model.experience.codings


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
        class_name=judgement.model.class_name(judgement.verdict) if judgement else None,
    )
