"""Build the judge of a recorded run again, from its model and its settings."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast, get_args

from spectral_detect._version import __version__
from spectral_detect.custody.chain import is_count
from spectral_detect.custody.differences import Report, in_head
from spectral_detect.custody.run import Run
from spectral_detect.detector.model import Model
from spectral_detect.detector.model_file import find_model, load_model, shipped_models
from spectral_detect.errors import ImageReadError, ManifestError, ModelFileError
from spectral_detect.media.video import FrameOptions
from spectral_detect.provenance.findings import Depth
from spectral_detect.scanning.judge import Judge, hash_of_settings
from spectral_detect.scanning.rules import Rules
from spectral_detect.scanning.videos import VideoJudge
from spectral_detect.scanning.voting import VoteKind
from spectral_detect.sources.location import Location
from spectral_detect.sources.reading import read_file

CHANGED_SETTINGS = "the settings do not fit their hash: one of them was changed"


def check_settings(run: Run, report: Report) -> None:
    """Report settings that do not fit their own hash, or the models of the run."""
    if hash_of_settings(run.settings) != run.settings_sha256:
        report(in_head("head", CHANGED_SETTINGS))
    if run.settings.get("models") != [model["sha256"] for model in run.models]:
        report(in_head("head", "the models are not those of the settings: one of them was changed"))


def same_judge(
    run: Run, named: Sequence[str], report: Report, *, encoder: str | None = None
) -> Judge | VideoJudge | None:
    """Return the judge of a run; None, with the reason reported, if it cannot be had.

    Parameters
    ----------
    run : Run
        The facts of the run.
    named : sequence of str
        Model files, or names of shipped models, to look among; the shipped models if there are none.
    report : callable
        Called with each difference.
    encoder : str, optional
        The file of the models' encoder, see `load_model`.
    """
    (recorded,) = run.models
    model = _same_model(recorded["name"], recorded["sha256"], named, encoder, report)
    if model is None:
        return None
    try:
        of_images = Judge(model, rules_of(run.settings.get("rules")), _depth(run.settings))
        judge = _of_videos(of_images, run.settings) if run.is_of_videos else of_images
    except (ManifestError, ModelFileError) as error:
        report(in_head("head", f"the scores cannot be computed again: {error}"))
        return None
    if judge.settings != run.settings:
        why = "" if run.tool_version == __version__ else f" (made by version {run.tool_version}, this is {__version__})"
        report(in_head("head", f"these models and rules give other settings here{why}"))
    return judge


def rules_of(values: Any) -> Rules:
    """Return the rules in settings, once they are known to be of the right kind.

    Raises
    ------
    ManifestError
        They are not.
    """
    if not isinstance(values, dict) or set(values) != set(asdict(Rules())):
        raise ManifestError("the rules are not those of this version")
    numbers = [values[name] for name in ("threshold", "min_confidence", "prevalence")]
    if isinstance(values["stability"], bool) and all(value is None or _is_number(value) for value in numbers):
        with suppress(ValueError):
            return Rules(**values)
    raise ManifestError("a rule has a value that no option gives")


def _of_videos(judge: Judge, settings: dict[str, Any]) -> VideoJudge:
    """Return the judge of videos of a run, once its vote and its choice of frames are known to be of the right kind."""
    vote, frames = settings.get("vote"), settings.get("frames")
    if vote not in get_args(VoteKind):
        raise ManifestError("the vote is none that an option gives")
    if not isinstance(frames, dict) or set(frames) != set(asdict(FrameOptions())):
        raise ManifestError("the choice of frames is not that of this version")
    are_right = (
        frames["n_frames"] is None or is_count(frames["n_frames"]),
        frames["every_s"] is None or _is_number(frames["every_s"]),
        frames["crop"] in ("none", "face", "centre"),
        frames["faces"] in ("largest", "all"),
        _is_number(frames["face_fraction"]),
    )
    if all(are_right):
        with suppress(ValueError):
            return VideoJudge(judge, cast(VoteKind, vote), FrameOptions(**frames))
    raise ManifestError("the choice of frames has a value that no option gives")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _depth(settings: dict[str, Any]) -> Depth:
    depth = settings.get("provenance", "header")
    if depth not in ("none", "header", "full"):
        raise ManifestError("the provenance has a value that no option gives")
    return cast(Depth, depth)


def _same_model(name: str, sha256: str, named: Sequence[str], encoder: str | None, report: Report) -> Model | None:
    """Return the model with this hash, under its recorded name, which may stand in warnings."""
    places = list(map(find_model, named)) if named else list(shipped_models().values())
    hashes = {place: _hash_of(place) for place in places}
    place = next((place for place in places if hashes[place] == sha256), None)
    if place is None:
        report(in_head("model", _not_found(name, sha256, hashes, are_named=bool(named))))
        return None
    try:
        return replace(load_model(place, encoder=encoder), name=name)
    except ModelFileError as error:
        report(in_head("model", str(error)))
        return None


def _hash_of(place: Path) -> str:
    try:
        return read_file(Location(str(place))).sha256
    except ImageReadError as error:
        raise ModelFileError(f"{str(place)!r} {error.problem}", remedy=error.remedy) from None


def _not_found(name: str, sha256: str, hashes: dict[Path, str], *, are_named: bool) -> str:
    recorded = f"judged by {name!r} with SHA-256 {sha256}"
    if are_named:
        found = ", ".join(f"{place.name!r} has {digest}" for place, digest in hashes.items())
        return f"{recorded}; {found}"
    of_that_name = [digest for place, digest in hashes.items() if place.stem == name]
    shipped = f"; the shipped one has {of_that_name[0]}" if of_that_name else ""
    return f"{recorded}, which no shipped model has{shipped}; name its file: `model`"
