"""What a manifest says of a video beside its record, and how it differs from what is there now."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from spectral_detect.custody.chain import LONGEST_LINE, canonical, is_count
from spectral_detect.custody.hashing import Hashed
from spectral_detect.errors import VideoReadError
from spectral_detect.parallel.task import Cost
from spectral_detect.scanning.videos import VideoResult
from spectral_detect.sources.discovery import FoundVideo
from spectral_detect.sources.reading import hash_video
from spectral_detect.text import visible

MOST_BYTES = LONGEST_LINE // 3  # of each member
MOST_TOLD = 20  # differences of one kind in one video that are told one by one
OF_FRAME = ("verdict", "score")
MEMBERS = ("frames", "files")

Members = dict[str, Any]
IsSame = Callable[[dict[str, Any], dict[str, Any], str], bool]


def members_of(result: VideoResult) -> Members:
    """Return what stands beside the record of a video.

    Returns
    -------
    dict
        `frames`, a list of number, face, verdict and score of each; `files`, a list of name and hash of each frame of a
        folder. None in place of a list that is too long for a line.
    """
    frames = [[frame.frame, frame.track, frame.verdict, frame.score] for frame in result.frames]
    return {"frames": _if_short(frames), "files": _if_short([list(pair) for pair in result.hashes])}


def _if_short(value: list[Any]) -> list[Any] | None:
    return value if len(canonical(value)) <= MOST_BYTES else None


def are_members(members: Members) -> bool:
    """Tell whether members that were read are of the right kind."""
    frames, files = members.get("frames"), members.get("files")
    return (frames is None or _is_list(frames, 4, _is_frame)) and (files is None or _is_list(files, 2, _is_file))


def _is_list(value: Any, length: int, is_right: Callable[[list[Any]], bool]) -> bool:
    return isinstance(value, list) and all(isinstance(v, list) and len(v) == length and is_right(v) for v in value)


def _is_frame(value: list[Any]) -> bool:
    number, face, verdict, score = value
    is_score = score is None or (isinstance(score, int | float) and not isinstance(score, bool))
    return is_count(number) and is_count(face) and (verdict is None or isinstance(verdict, str)) and is_score


def _is_file(value: list[Any]) -> bool:
    return all(isinstance(text, str) for text in value)


def file_differences(was: Members, now: Members) -> Iterator[str]:
    """Yield how the frames of a folder differ as files; nothing if one of both does not list them."""
    before, after = was.get("files"), now.get("files")
    if not before or not after:
        return
    old, new = dict(before), dict(after)
    for name in sorted({*old, *new}):
        shown = f"the frame {visible(name)}"
        if name not in new:
            yield f"{shown} is not there"
        elif name not in old:
            yield f"{shown} was not recorded: SHA-256 {new[name]}"
        elif old[name] != new[name]:
            yield f"{shown}: SHA-256 recorded {old[name]}, now {new[name]}"


def frame_differences(was: Members, now: Members, is_same: IsSame, shown: Callable[[Any], str]) -> Iterator[str]:
    """Yield how the results of frames differ; nothing if one of both does not list them."""
    if was.get("frames") is None or now.get("frames") is None:
        return
    before, after = _by_place(was["frames"]), _by_place(now["frames"])
    for place in sorted({*before, *after}):
        name = f"frame {place[0]}" + (f", face {place[1]}" if place[1] else "")
        if place not in after:
            yield f"{name}: recorded, and now not judged"
        elif place not in before:
            yield f"{name}: not recorded, and now judged"
        else:
            was_here, is_here = before[place], after[place]
            for column in OF_FRAME:
                if not is_same(was_here, is_here, column):
                    yield f"{name}: {column}: recorded {shown(was_here[column])}, now {shown(is_here[column])}"
    if len(was["frames"]) != len(before):
        yield "a frame is recorded twice"


def _by_place(frames: list[list[Any]]) -> dict[tuple[int, int], dict[str, Any]]:
    return {(number, face): {"verdict": verdict, "score": score} for number, face, verdict, score in frames}


@dataclass(frozen=True)
class VideoHasher:
    """Hashes a video file or a folder of frames: a task for workers."""

    cost: Cost = field(default="long", init=False)

    def __call__(self, found: FoundVideo) -> Hashed:
        """Hash a video; whatever is wrong with it becomes `Hashed.error`."""
        if found.problem:
            return Hashed(error=found.problem)
        try:
            hashed = hash_video(found)
        except (VideoReadError, MemoryError) as error:
            return Hashed(error=str(error) or "not enough memory")
        return Hashed(hashed.sha256, hashed.size_bytes, files=hashed.frames)

    def failed(self, found: FoundVideo, reason: str) -> Hashed:
        """Return the result of a video that could not be read for this reason."""
        return Hashed(error=reason)
