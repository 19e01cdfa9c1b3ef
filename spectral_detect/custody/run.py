"""The facts of a run that its manifest begins with."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any

from spectral_detect._version import __version__
from spectral_detect.atomic_write import time_of_writing
from spectral_detect.custody.chain import SCHEMA, is_sha256
from spectral_detect.detector.content.model_content import LIBRARIES, library_versions
from spectral_detect.errors import ManifestError
from spectral_detect.media.limits import Limits
from spectral_detect.scanning.judge import Judge
from spectral_detect.scanning.videos import VideoJudge
from spectral_detect.sources.sharding import Shard
from spectral_detect.sources.stores import is_url
from spectral_detect.sources.urls import local_name, without_credentials
from spectral_detect.text import cut_in_the_middle

MOST_NAMED, LONGEST_NAME = 5, 80  # inputs in the line about a run
OPTIONAL = frozenset(("group_by",))  # members that stand in a head only where they say something
COMPUTING = ("av", "pillow-heif", "c2pa-python", "cupy-cuda12x", "onnxruntime")


@dataclass(frozen=True)
class Run:
    """The facts of a run.

    Attributes
    ----------
    tool_version : str
        Version of this program.
    command : str
        The command that wrote the manifest.
    inputs : sequence of str
        The files, folders, patterns and URLs that it was given, without credentials.
    has_list : bool
        Whether it read further paths from a list.
    shard : str or None
        The part that it took of them, I/N.
    settings, settings_sha256
        See `Judge.settings`.
    limits : dict
        What was refused or given up: `max_pixels`, `max_bytes`, `timeout_s`.
    models : sequence of dict
        `name` and `sha256` of the model that judged: one entry.
    libraries, platform : dict
        The versions of what computed, and on what.
    is_resumed : bool
        Whether entries may be kept from an earlier run.
    started : str
        Time in UTC.
    group_by : str or None
        `parent` if each folder of images was a video; in the head only then.
    """

    tool_version: str
    command: str
    inputs: Sequence[str]
    has_list: bool
    shard: str | None
    settings: dict[str, Any]
    settings_sha256: str
    limits: dict[str, Any]
    models: Sequence[dict[str, str]]
    libraries: dict[str, str]
    platform: dict[str, str]
    is_resumed: bool
    started: str
    group_by: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        values = {"schema": SCHEMA, **vars(self)}
        return {name: value for name, value in values.items() if name not in OPTIONAL or value is not None}

    @property
    def line(self) -> str:
        """Return in words what was run, for people who read what its results are worth."""
        named = [repr(cut_in_the_middle(text, LONGEST_NAME)) for text in self.inputs[:MOST_NAMED]]
        inputs = ", ".join(named) + ", ..." * (len(self.inputs) > MOST_NAMED)
        part = f", part {self.shard}" if self.shard else ""
        (model,) = self.models
        rules = self.settings.get("rules")
        own = rules.get("threshold") if isinstance(rules, dict) else None
        threshold = "" if own is None else f", at a threshold of {cut_in_the_middle(repr(own), LONGEST_NAME)}"
        by = f"by {cut_in_the_middle(model['name'], LONGEST_NAME)} ({model['sha256'][:16]}...){threshold}"
        started = cut_in_the_middle(self.started, LONGEST_NAME)
        return f"{cut_in_the_middle(self.command, LONGEST_NAME)} of {inputs or 'a list'}{part} {by}, begun {started}"

    @property
    def is_of_videos(self) -> bool:
        """Whether its entries are about videos."""
        return self.command == "video"

    @property
    def is_from_here(self) -> bool:
        """Whether this version, these libraries and this platform made it."""
        return self.tool_version == __version__ and not self.differences_of_place()

    def differences_of_place(self) -> list[str]:
        """Return in words which libraries, and what of the platform, were others than here."""
        here, there = library_versions((*LIBRARIES, *COMPUTING)) | _platform(), {**self.libraries, **self.platform}
        return [
            f"{name} {there.get(name, 'none')}, here {here.get(name, 'none')}"
            for name in sorted({*here, *there})
            if here.get(name) != there.get(name)
        ]


@dataclass(frozen=True)
class Given:
    """What a command was given: its arguments, and the members of `Run` of the same names."""

    arguments: Sequence[str]
    has_list: bool
    shard: Shard | None
    is_resumed: bool
    group_by: str | None = None


def this_run(command: str, judge: Judge | VideoJudge, given: Given, limits: Limits, timeout_s: float) -> Run:
    """Return the facts of a run that begins now."""
    return Run(
        tool_version=__version__,
        command=command,
        inputs=[without_credentials(text) if is_url(text) else local_name(text) for text in given.arguments],
        has_list=given.has_list,
        shard=None if given.shard is None else f"{given.shard.number}/{given.shard.total}",
        settings=judge.settings,
        settings_sha256=judge.settings_sha256,
        limits={**vars(limits), "timeout_s": timeout_s},
        models=[{"name": judge.model.name, "sha256": judge.model.sha256}],
        libraries=library_versions((*LIBRARIES, *COMPUTING)),
        platform=_platform(),
        is_resumed=given.is_resumed,
        started=time_of_writing(),
        group_by=given.group_by,
    )


def run_of(head: dict[str, Any]) -> Run:
    """Return the facts in a head, once they are known to be of the right kind.

    Raises
    ------
    ManifestError
        They are not.
    """
    values = {name: value for name, value in head.items() if name != "schema"}
    names = {f.name for f in fields(Run)}
    wrong = (names ^ set(values)) - OPTIONAL or {n for n in values if not _is_right(n, values[n])}
    if wrong:
        raise ManifestError(f"the head has no sound `{sorted(wrong)[0]}`")
    return Run(**values)


def _is_right(name: str, value: Any) -> bool:
    if name == "inputs":
        return isinstance(value, list) and all(isinstance(text, str) for text in value)
    if name == "models":
        return isinstance(value, list) and len(value) == 1 and _is_model(value[0])
    if name in ("settings", "limits"):
        return isinstance(value, dict)
    if name in ("libraries", "platform"):
        return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())
    if name in ("has_list", "is_resumed"):
        return isinstance(value, bool)
    if name == "group_by":
        return value in (None, "parent")
    if name == "shard":
        return value is None or (isinstance(value, str) and _is_shard(value))
    return is_sha256(value) if name == "settings_sha256" else isinstance(value, str)


def _is_model(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("name"), str) and is_sha256(value.get("sha256"))


def _is_shard(text: str) -> bool:
    try:
        Shard.parse(text)
    except ValueError:
        return False
    return True


def _platform() -> dict[str, str]:
    return {"system": platform.system(), "machine": platform.machine(), "processor": _processor()}


def _processor() -> str:
    """Return the name of the processor: libraries choose their code, and so the last digits, by it."""
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as stream:
        for line in islice(stream, 1000):
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
