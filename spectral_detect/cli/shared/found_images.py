"""The images that a command line names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from spectral_detect.cli.shared.failures import Failure
from spectral_detect.cli.shared.progress import shows_progress
from spectral_detect.cli.shared.resume_options import in_shard
from spectral_detect.sources.discovery import FoundFile, find_images, is_apple_double
from spectral_detect.sources.formats import is_video_file
from spectral_detect.sources.location import Location
from spectral_detect.sources.sharding import Shard
from spectral_detect.text import counted

VIDEOS = " (videos are for `spectral-detect video`)"


def video_note(n_videos: int) -> str:
    """Say how many of the skipped files are videos, and what judges them; nothing if none is."""
    if not n_videos:
        return ""
    return f", of which {counted(n_videos, 'video')} (for `spectral-detect video`)"


class FoundImages:
    """The images that the command line names, and videos if wanted; a failure, before any output, if there are none."""

    def __init__(
        self,
        named: Sequence[Location],
        listed: Iterable[Location],
        shard: Shard | None,
        *,
        is_countable: bool,
        with_videos: bool = False,
    ) -> None:
        self._named, self._shard, self._with_videos = named, shard, with_videos
        # lists are long, and a folder at a URL would be listed twice
        self._is_countable = is_countable and not any(place.is_remote for place in named)
        self.n_skipped = self.n_videos = 0
        found = find_images(chain(named, listed), with_videos=with_videos, on_skip=self._skip)
        first = next(found, None)
        if first is None:
            wanted = "image or video" if with_videos else "image"
            raise Failure(f"no {wanted} found; {self._skipped_in_words()}")
        self.files: Iterable[FoundFile] = in_shard(chain([first], found), shard)

    def _skip(self, path: str) -> None:
        self.n_skipped += 1
        self.n_videos += is_video_file(path) and not is_apple_double(path)

    def _skipped_in_words(self) -> str:
        if self.n_videos and self.n_videos == self.n_skipped:
            return f"{counted(self.n_videos, 'video')} skipped: judge them with `spectral-detect video`"
        note = "" if self._with_videos else video_note(self.n_videos) or VIDEOS
        return f"{counted(self.n_skipped, 'other file')} skipped{note}"

    def count(self) -> int | None:
        """Count the images for a progress bar; None if nobody sees it, or if that takes too long."""
        if not self._is_countable or not shows_progress():
            return None
        return sum(1 for _ in in_shard(find_images(self._named, with_videos=self._with_videos), self._shard))
