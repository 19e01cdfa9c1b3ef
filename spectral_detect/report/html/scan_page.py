"""The content of the report of an image scan."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar

from spectral_detect.media.limits import Limits
from spectral_detect.provenance.findings import Depth
from spectral_detect.records import IMAGE_COLUMNS
from spectral_detect.report.html import words
from spectral_detect.report.html.row_table import RowKind
from spectral_detect.report.html.second_look import THUMBNAIL_PX, SecondLook, look_again
from spectral_detect.report.html.table_page import meanings_of, rules_in_words
from spectral_detect.scanning.judge import Judge

IMAGE_ROWS = RowKind(IMAGE_COLUMNS, words.reasons_of)
SOUGHT: dict[Depth, str] = {
    "none": "was not looked for",
    "header": "was looked for in their headers; invisible watermarks, thumbnails and earlier JPEGs were not "
    "(--provenance full)",
    "full": "was looked for in their headers and pixels",
}


@dataclass(frozen=True)
class ScanContent:
    """What is said of images; see `table_page.Content`.

    Attributes
    ----------
    judge : Judge
        Its models and rules.
    limits : Limits
        What was refused.
    """

    judge: Judge
    limits: Limits

    noun: ClassVar[str] = "image"
    template: ClassVar[str] = "scan.html.j2"
    script: ClassVar[str] = "scan.js"
    rows: ClassVar[RowKind] = IMAGE_ROWS
    words: ClassVar[ModuleType] = words
    thumbnail_px: ClassVar[int] = THUMBNAIL_PX

    @property
    def settings_sha256(self) -> str:
        """The hash of the settings."""
        return self.judge.settings_sha256

    @property
    def settings(self) -> list[tuple[str, str]]:
        """The settings in words."""
        return [
            *rules_in_words(self.judge.rules, self.judge.class_names),
            ("what files say of their origin", SOUGHT[self.judge.provenance]),
            *meanings_of(self.judge),
        ]

    @property
    def sought(self) -> str:
        """How far was looked for what files say of their origin, as a sentence."""
        return f"What files say of their origin {SOUGHT[self.judge.provenance]}."

    def look(self, record: dict[str, Any], more: dict[str, Any] | None, *, wants_picture: bool) -> SecondLook:
        """Read an image again."""
        return look_again(record, self.limits, wants_picture=wants_picture)
