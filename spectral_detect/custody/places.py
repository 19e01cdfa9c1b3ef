"""Where the files of a manifest are now, and which others lie among them."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from spectral_detect.custody.run import Run
from spectral_detect.outputs.row_index import RowIndex, key_of
from spectral_detect.sources.discovery import FoundFile, FoundVideo, expand_local, find_images, find_videos, video_at
from spectral_detect.sources.location import Location
from spectral_detect.sources.sharding import Shard
from spectral_detect.sources.stores import is_url, locate

MOST_RECURSIVE = 2  # `**` in a pattern


@dataclass(frozen=True)
class Places:
    """Finds files under the folder that stands for the one of the recorded run.

    Attributes
    ----------
    root : str or None
        The folder under which each path is looked for, absolute ones too; None takes the paths as they are.
    """

    root: str | None = None

    def of(self, path: str) -> FoundFile:
        """Return the file of a recorded path."""
        location = locate(path) if self.root is None or is_url(path) else Location(self._local(path))
        if not location.is_remote and os.path.isdir(location.path):
            first = next(find_images([location]), None)  # a folder has an entry if it cannot be listed
            if first is not None and first.problem and first.path == location.path:
                return first
        return FoundFile(location)

    @property
    def hint(self) -> str:
        """Say where files were looked for that are missing, and how to look elsewhere."""
        if self.root is None:
            return (
                "recorded paths that are not absolute begin at the folder where this runs: run it where the scan ran, "
                "or name that folder, or the one in which the files lie now in the same way, by `root`"
            )
        return (
            "all recorded paths were looked for below the folder given by `root`: it stands for the folder where the "
            "scan ran, or for / where recorded paths are absolute"
        )

    def is_outside(self, path: str) -> bool:
        """Tell whether a recorded path leads out of the folder that stands for the one of the run."""
        return self.root is not None and not is_url(path) and os.path.normpath(path.lstrip("/")).split("/")[0] == ".."

    def not_sought(self, run: Run) -> list[str]:
        """Return the arguments of a run among whose files no others are looked for: a manifest may come from anybody.

        They lead out of the folder, or are patterns that may stand for more paths than can be looked at.
        """
        return [named for named in dict.fromkeys(run.inputs) if self.is_outside(named) or _is_endless(named)]

    def video_of(self, path: str, group_by: str | None) -> FoundVideo:
        """Return the video of a recorded path: a file, or a folder with the frames that lie in it now."""
        found = self.of(path)
        if found.location.is_remote or found.problem:
            return FoundVideo(found.location, problem=found.problem)
        return video_at(found.location.path, group_by_parent=group_by is not None)

    def extra(self, run: Run, recorded: RowIndex) -> Iterator[str]:
        """Give the images or videos in the folders of a run that have no entry, as it would have written their paths.

        Files at URLs, and those in a list, are not looked for.
        """
        recorded.add_inputs(key_of(path) for path in self._found(run))
        recorded.sort_rows()
        recorded.sort_inputs()
        return recorded.missing()

    def _found(self, run: Run) -> Iterator[str]:
        shard = None if run.shard is None else Shard.parse(run.shard)
        left_out = {*self.not_sought(run), *filter(is_url, run.inputs)}
        for named in dict.fromkeys(run.inputs):
            if named in left_out:
                continue
            for found in self._found_in(self._expanded(named), run):
                path = self._as_recorded(found.path)
                if shard is None or shard.holds(path):
                    yield path

    def _found_in(self, places: list[Location], run: Run) -> Iterable[FoundFile | FoundVideo]:
        if run.is_of_videos:
            return find_videos(places, group_by_parent=run.group_by is not None)
        return find_images(places)

    def _expanded(self, named: str) -> list[Location]:
        """Return what an argument of the run stands for now; nothing if it has gone, which its entries tell."""
        place = self._local(named)
        try:
            if os.path.lexists(place) or self.root is None:
                return expand_local(place)
            return expand_local(f"{glob.escape(self._prefix)}{named}")
        except FileNotFoundError:
            return []

    @property
    def _prefix(self) -> str:
        return "" if self.root is None else f"{self.root.rstrip('/')}/"

    def _local(self, path: str) -> str:
        return self._prefix + path

    def _as_recorded(self, path: str) -> str:
        return path[len(self._prefix) :]


def _is_endless(pattern: str) -> bool:
    """Tell whether a pattern may grow with a power of the number of files: up again after a wildcard, many `**`."""
    parts = pattern.split("/")
    first = next((k for k, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    return ".." in parts[first:] or parts.count("**") > MOST_RECURSIVE
