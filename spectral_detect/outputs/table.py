"""How records of each kind are laid out: their columns in CSV, and a table for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from spectral_detect.outputs.rows import FRAMES, IMAGES, VIDEOS, RowKind
from spectral_detect.records import CLASS_NAMES, LABELS, FrameRecord, ImageRecord, VideoRecord
from spectral_detect.text import cut_at_word, cut_in_the_middle, visible

LONGEST_SAID = 160  # characters
NOTHING = "-"  # in a cell
LONGEST_GENERATOR = 18

Record = TypeVar("Record", ImageRecord, VideoRecord, FrameRecord)


@dataclass(frozen=True)
class Column(Generic[Record]):
    """A column of the table.

    Attributes
    ----------
    title : str
        Its heading.
    alignment : str
        A format specification, such as ">6".
    text : callable
        Gives the cell of a record.
    """

    title: str
    alignment: str
    text: Callable[[Record], str]


@dataclass(frozen=True)
class Layout(Generic[Record]):
    """How records of one kind are shown.

    Attributes
    ----------
    kind : RowKind
        What the records are about; it gives the columns of CSV.
    columns : tuple of Column
        The columns of the table between the verdict and the path.
    is_contradicted : callable
        Tells whether a record's own file contradicts its verdict.
    said : callable
        Gives what a record's file says of its origin, where a reader of the verdict should know it.
    words : mapping of str to str
        Verdict -> what the model itself calls it, where it has names of its own.
    told_below : str
        A warning that many records share: their rows leave it out, as it stands once below the table.
    in_short : mapping of str to str
        Warning -> what rows hold in its place, as it stands once below the table.
    """

    kind: RowKind
    columns: tuple[Column[Record], ...]
    is_contradicted: Callable[[Record], bool] = lambda record: False
    said: Callable[[Record], str] = lambda record: ""
    words: Mapping[str, str] = field(default_factory=dict)
    told_below: str = ""
    in_short: Mapping[str, str] = field(default_factory=dict)

    def head(self) -> str:
        """Return the headings of the table."""
        titles = "".join(f"  {c.title:{c.alignment}}" for c in self.columns)
        return f"{'verdict':<12}{titles}  path\n"

    def cells(self, record: Record) -> str:
        """Return the cells of a record between its verdict and its path."""
        return "".join(f"  {c.text(record):{c.alignment}}" for c in self.columns)


def image_layout(
    *,
    with_posterior: bool = False,
    with_generator: bool = False,
    class_names: tuple[str, str] = CLASS_NAMES,
    accuracy: str = NOTHING,
    told_below: str = "",
    in_short: Mapping[str, str] | None = None,
) -> Layout[ImageRecord]:
    """Lay out records of still images; `accuracy` is for verdicts of which no record tells how often they are right."""
    columns: list[Column[ImageRecord]] = [Column("score", ">7", _score)]
    if with_posterior:
        columns.append(_posterior_column(class_names))
    columns.append(_accuracy_column(accuracy))
    if with_generator:
        columns.append(Column("generator", "<24", _generator))
    words = words_of(class_names)
    return Layout(
        IMAGES, tuple(columns), lambda record: record.is_contradicted, _said, words, told_below, in_short or {}
    )


def _posterior_column(class_names: tuple[str, str]) -> Column[Any]:
    title = f"P({words_of(class_names)['fake']})"
    return Column(title, f">{len(title)}", lambda r: _three_digits(_decided(r, r.posterior)))


def words_of(class_names: tuple[str, str]) -> dict[str, str]:
    """Return verdict -> what a model with these names for its classes calls it, fit to be shown."""
    return {name: visible(own) for name, own in zip(CLASS_NAMES, class_names, strict=True)}


def _generator(record: ImageRecord) -> str:
    """Return the name of the generator, and how probable it is among those of the model."""
    score = "" if record.generator_score is None else f" {record.generator_score:.3f}"
    return cut_in_the_middle(visible(record.generator or "-"), LONGEST_GENERATOR) + score


def _accuracy_column(otherwise: str) -> Column[Any]:
    def text(record: ImageRecord | VideoRecord) -> str:
        if record.verdict not in LABELS:
            return NOTHING
        return _percent(record.verdict_right) if record.such_files else otherwise

    return Column("accuracy", ">8", text)


def _score(record: ImageRecord) -> str:
    """Return the score; in brackets if it decides nothing, and none if the model could not judge such an image."""
    return _in_brackets(record, record.score if record.score_has_meaning else None)


def _in_brackets(record: ImageRecord | VideoRecord, score: float | None) -> str:
    digits = _three_digits(score)
    return digits if score is None or record.verdict in LABELS else f"({digits})"


def _decided(record: ImageRecord | VideoRecord, value: float | None) -> float | None:
    """Return a number that goes with a verdict; None beside an inconclusive one."""
    return value if record.verdict in LABELS else None


def video_layout(
    *, with_posterior: bool = False, class_names: tuple[str, str] = CLASS_NAMES, accuracy: str = NOTHING
) -> Layout[VideoRecord]:
    """Lay out records of videos; `accuracy` as in `image_layout`."""
    words = words_of(class_names)
    columns: list[Column[VideoRecord]] = [
        Column(
            words["fake"],
            f">{max(5, len(words['fake']))}",
            _share_of_fakes,
        ),
        Column("score", ">7", lambda r: _in_brackets(r, r.mean_score)),
        Column("votes", ">7", lambda r: f"{r.n_judged}/{r.n_frames if r.n_faces is None else r.n_faces}"),
    ]
    if with_posterior:
        columns.append(_posterior_column(class_names))
    columns.append(_accuracy_column(accuracy))
    return Layout(VIDEOS, tuple(columns), lambda record: record.is_contradicted, _said, words)


def _share_of_fakes(record: VideoRecord) -> str:
    return NOTHING if record.fake_fraction is None else f"{100 * record.fake_fraction:.0f} %"


def frame_layout() -> Layout[FrameRecord]:
    """Lay out records of single frames."""
    return Layout(FRAMES, (Column("score", ">6", lambda r: _three_digits(r.score)),))


def _said(record: ImageRecord | VideoRecord) -> str:
    """Return what the file says of its origin if it tells whether AI took part, and no warning repeats it."""
    is_agreed = (record.verdict, record.says_generated) not in (("real", "yes"), ("fake", "no"))
    if not (record.says_generated and record.provenance and is_agreed):
        return ""
    return f"the file says: {cut_at_word(record.provenance, LONGEST_SAID)}"


def _percent(share: float | None) -> str:
    return NOTHING if share is None else f"{100 * share:.1f} %"


def _three_digits(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3f}"
