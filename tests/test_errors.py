"""An error says what is wrong and what to do; the command line says it with its options."""

from __future__ import annotations

import pickle

import pytest

from spectral_detect import errors
from spectral_detect.cli.shared.failures import OPTIONS, in_options, worded
from spectral_detect.errors import ImageReadError, SpectralDetectError
from spectral_detect.records import ImageRecord


def test_an_error_carries_its_remedy() -> None:
    error = ImageReadError("5 pixels, more than the limit of 4", remedy="raise `max_pixels`")
    assert str(error) == "5 pixels, more than the limit of 4; raise `max_pixels`"
    assert (error.problem, error.remedy) == ("5 pixels, more than the limit of 4", "raise `max_pixels`")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.remedy) == (ImageReadError, str(error), error.remedy)
    assert str(SpectralDetectError("alone")) == "alone"


@pytest.mark.parametrize("name", [n for n in dir(errors) if isinstance(getattr(errors, n), type)])
def test_every_error_of_the_library_is_one_tree(name: str) -> None:
    kind = getattr(errors, name)
    if kind.__module__ == errors.__name__:
        assert issubclass(kind, SpectralDetectError)
        assert kind("a", remedy="b").remedy == "b"


def test_the_command_line_names_its_options() -> None:
    assert in_options("see `max_pixels` and `jobs=0`") == "see --max-pixels and --jobs 0"
    assert in_options("`n_bins=5`, `n_bins=None`, `n_frames=None`") == "--bins 5, --bins none, --all"
    assert in_options("a file called `rm -rf` or `unknown`") == "a file called `rm -rf` or `unknown`"
    assert all(option.startswith("--") for option in OPTIONS.values())


def test_records_are_worded_where_they_have_an_error_or_a_warning() -> None:
    nothing = dict.fromkeys(ImageRecord.__dataclass_fields__)
    record = ImageRecord(**{**nothing, "path": "`jobs`", "warnings": ("`crop`",), "error": "see `timeout_s`"})
    assert (worded(record).path, worded(record).warnings) == ("`jobs`", ("--crop",))
    assert worded(record).error == "see --timeout"
