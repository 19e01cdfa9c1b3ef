"""Name the output where writing it fails. Apart, for every command line needs it, and a help text no more than that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, BinaryIO, TextIO, cast

from spectral_detect.errors import OutputError


@contextmanager
def naming_output(name: str) -> Iterator[None]:
    """Raise `OutputError` that names the output where writing it fails.

    Put only operations on the output inside: any `OSError` counts as theirs. A reader that has gone away stays a
    `BrokenPipeError`.
    """
    try:
        yield
    except OSError as error:
        raise _not_written(name, error) from None


def _not_written(name: str, error: OSError) -> BrokenPipeError | OutputError:
    """Return the error to raise; a reader that has gone away is no fault of the output."""
    if isinstance(error, BrokenPipeError):
        return error
    return OutputError(f"{name} cannot be written: {error.strerror or error}")


class OutputStream:
    """A stream whose `write`, `flush` and `close` raise `OutputError`; all else is as the stream below has it.

    Whoever writes to it among other work can tell a failure to write from any other `OSError`.

    Parameters
    ----------
    stream : IO
        Text or bytes.
    name : str
        The output as error messages name it.
    """

    def __init__(self, stream: IO[Any], name: str) -> None:
        self._stream = stream
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(self._stream, attribute)

    @property
    def buffer(self) -> BinaryIO:
        """The bytes below a stream of text, with the same errors."""
        return cast(BinaryIO, OutputStream(cast(TextIO, self._stream).buffer, self._name))

    def write(self, content: Any) -> int:
        """Write as the stream does."""
        try:  # a context manager takes longer than the writing of a row
            return self._stream.write(content)
        except OSError as error:
            raise _not_written(self._name, error) from None

    def flush(self) -> None:
        """Flush as the stream does."""
        try:
            self._stream.flush()
        except OSError as error:
            raise _not_written(self._name, error) from None

    def close(self) -> None:
        """Close as the stream does."""
        with naming_output(self._name):
            self._stream.close()
