"""The content of the report of a video scan."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, ClassVar

import PIL.Image

from spectral_detect.records import VIDEO_COLUMNS
from spectral_detect.report.html import video_words
from spectral_detect.report.html.row_table import RowKind
from spectral_detect.report.html.second_look import SecondLook, jpeg_uri, look_at_video_again
from spectral_detect.report.html.table_page import meanings_of, rules_in_words
from spectral_detect.report.html.timeline import timeline_of
from spectral_detect.scanning.judge import Judge
from spectral_detect.scanning.thumbnails import THUMBNAIL_PX, Thumbnail
from spectral_detect.scanning.videos import VideoJudge, VideoResult
from spectral_detect.sources.discovery import FoundVideo

VIDEO_ROWS = RowKind(VIDEO_COLUMNS, video_words.reasons_of, ("votes", "timeline", "picture_of"))
JPEG_QUALITY = 70
VOTES = {
    "majority": "what most of the frames that voted were called; inconclusive if chance could have turned it",
    "mean": "the mean score of the frames that voted, against the threshold",
    "pooled": "the mean log likelihood ratio of the frames that the model can judge, against 0",
}


@dataclass(frozen=True)
class VideoContent:
    """What is said of videos; see `table_page.Content`.

    Attributes
    ----------
    video_judge : VideoJudge
        Its models, rules and vote.
    found : mapping of str to FoundVideo
        The videos by their paths.
    """

    video_judge: VideoJudge
    found: Mapping[str, FoundVideo] = field(default_factory=dict)

    noun: ClassVar[str] = "video"
    template: ClassVar[str] = "video.html.j2"
    script: ClassVar[str] = "video.js"
    rows: ClassVar[RowKind] = VIDEO_ROWS
    words: ClassVar[ModuleType] = video_words
    thumbnail_px: ClassVar[int] = THUMBNAIL_PX
    sought: ClassVar[str] = ""

    @property
    def judge(self) -> Judge:
        """The models and rules of each frame."""
        return self.video_judge.judge

    @property
    def settings_sha256(self) -> str:
        """The hash of the settings, the vote and the choice of frames among them."""
        return self.video_judge.settings_sha256

    @property
    def settings(self) -> list[tuple[str, str]]:
        """The settings in words."""
        return [
            ("vote", f"{self.video_judge.vote}: {VOTES[self.video_judge.vote]}"),
            ("frames", self._frames_in_words()),
            ("part of a frame", self._part_in_words()),
            *rules_in_words(self.judge.rules, self.judge.class_names),
            *meanings_of(self.judge),
        ]

    def _frames_in_words(self) -> str:
        options = self.video_judge.frames
        if options.every_s is not None:
            return f"one every {options.every_s:g} seconds"
        return "all" if options.n_frames is None else f"at most {options.n_frames}, equally spaced"

    def _part_in_words(self) -> str:
        options = self.video_judge.frames
        if options.crop != "face":
            return {"none": "the whole frame", "centre": "the largest central square"}[options.crop]
        of = "of the largest face" if options.faces == "largest" else "of each face, followed on its own"
        return f"the inner {options.face_fraction:.2f} of the width and height {of}"

    def look(self, record: dict[str, Any], more: dict[str, Any] | None, *, wants_picture: bool) -> SecondLook:
        """Hash a video again; its picture was made when it was judged."""
        picture = more.pop("picture", None) if more else None
        found = self.found.get(record["path"])
        return look_at_video_again(record, found, picture if wants_picture else None)


def more_of(result: VideoResult) -> dict[str, Any]:
    """Return what a row says beside the record of a video: its votes, its timeline, its picture."""
    verdicts = Counter("failed" if frame.verdict is None else frame.verdict for frame in result.frames)
    shown = result.highest[0] if result.highest else None
    return {
        "votes": {name: verdicts[name] for name in ("fake", "real", "inconclusive", "failed")},
        "timeline": timeline_of(result.frames),
        "picture": None if shown is None else jpeg_uri(_jpeg(shown)),
        "picture_of": None if shown is None else _place(shown),
    }


def _place(shown: Thumbnail) -> str:
    at = "" if shown.time_s is None else f", at {shown.time_s:.2f} s"
    return f"frame {shown.frame}{at}, which has the highest score: {shown.score:.3f}"


def _jpeg(shown: Thumbnail) -> bytes:
    stream = io.BytesIO()
    PIL.Image.fromarray(shown.pixels).save(stream, "JPEG", quality=JPEG_QUALITY)
    return stream.getvalue()
