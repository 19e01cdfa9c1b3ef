"""The images that a command line names."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain

from spectral_detect.atomic_write import asides
from spectral_detect.cli.shared.failures import Failure
from spectral_detect.cli.shared.progress import shows_progress
from spectral_detect.cli.shared.resume_options import in_shard
from spectral_detect.sources.discovery import FoundFile, find_images, is_apple_double
from spectral_detect.sources.formats import is_video_file
from spectral_detect.sources.location import Location
from spectral_detect.sources.sharding import Shard
from spectral_detect.text import counted, visible

FOR_VIDEOS = "for `spectral-detect video`"
MOST_KINDS = 8  # of skipped files are named
LONGEST_SUFFIX = 12


class Skipped:
    """Count the files that are left aside, by the suffix of their names."""

    def __init__(self) -> None:
        self.n = self.n_videos = 0
        self._kinds: Counter[str] = Counter()

    def add(self, path: str) -> None:
        """Count a file, unless it is one that this run is writing itself."""
        if asides and os.path.realpath(path) in asides:
            return
        is_double, suffix = is_apple_double(path), os.path.splitext(path)[1].lower()
        self.n += 1
        self.n_videos += is_video_file(path) and not is_double
        self._kinds["._*" if is_double else suffix if 1 < len(suffix) <= LONGEST_SUFFIX else ""] += 1

    def __str__(self) -> str:
        """Return `2 other files skipped: 1 .csv, 1 .md`."""
        if not self.n:
            return "no other file"
        named = sorted((item for item in self._kinds.items() if item[0]), key=lambda item: (-item[1], item[0]))
        named = named[:MOST_KINDS]
        n_left = self.n - sum(n for _, n in named)
        kinds = [f"{n} {visible(suffix)}" for suffix, n in named] + ([f"{n_left} more"] if named and n_left else [])
        return f"{counted(self.n, 'other file')} skipped" + (f": {', '.join(kinds)}" if kinds else "")

    def clause(self) -> str:
        """Return what goes behind a summary; nothing if nothing was skipped."""
        return f"; {self}{self.video_note()}" if self.n else ""

    def video_note(self) -> str:
        """Say how many of the files are videos, and what judges them; nothing if none is."""
        return f" ({counted(self.n_videos, 'video')}: {FOR_VIDEOS})" if self.n_videos else ""


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
        self.skipped = Skipped()
        found = find_images(chain(named, listed), with_videos=with_videos, on_skip=self.skipped.add)
        first = next(found, None)
        if first is None:
            wanted = "image or video" if with_videos else "image"
            raise Failure(f"no {wanted} found; {self._why_none()}")
        self.files: Iterable[FoundFile] = in_shard(chain([first], found), shard)

    def _why_none(self) -> str:
        skipped = self.skipped
        if not self._named and not skipped.n:
            return "the list names none"
        if skipped.n_videos and skipped.n_videos == skipped.n:
            return f"{counted(skipped.n, 'video')} skipped: judge them with `spectral-detect video`"
        none = str(skipped) if skipped.n else "there is no other file either"
        return f"{none}{'' if self._with_videos else skipped.video_note() or f' (videos are {FOR_VIDEOS})'}"

    def count(self) -> int | None:
        """Count the images for a progress bar; None if nobody sees it, or if that takes too long."""
        if not self._is_countable or not shows_progress():
            return None
        return sum(1 for _ in in_shard(find_images(self._named, with_videos=self._with_videos), self._shard))
