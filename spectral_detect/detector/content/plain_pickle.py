"""Read pickles that hold plain values alone, for a pickle can run code.

Every instruction is looked at before anything is unpickled. The file is refused if one of them could name or call
anything, claim memory that it does not fill, or nest values so that they unfold without end.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import warnings
from typing import Any

from spectral_detect.errors import ModelFileError
from spectral_detect.locks import SETTINGS_OF_THE_PROCESS

MAX_INSTRUCTIONS = 1000
PLAIN_INSTRUCTIONS = frozenset(
    "PROTO FRAME STOP MEMOIZE MARK EMPTY_DICT SETITEM SETITEMS BININT1 "  # no list, tuple, reference, name or call
    "SHORT_BINUNICODE BINUNICODE SHORT_BINBYTES BINBYTES".split()
)


def unpickle_plain(content: bytes) -> Any:
    """Return the value of a pickle that consists of dictionaries, texts and bytes alone.

    Raises
    ------
    ModelFileError
        If it holds anything else, or is damaged; nothing of it was run.
    """
    if content[:1] != b"\x80":
        raise ModelFileError("not a model file", remedy="`spectral-detect train` makes one")
    with SETTINGS_OF_THE_PROCESS, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about odd escapes in texts that are refused anyway
        _refuse_all_but_plain(content)
    try:
        values = _PlainUnpickler(io.BytesIO(content)).load()
    except Exception as error:  # a pickle of plain instructions in the wrong order may raise anything
        raise ModelFileError(
            f"damaged: {type(error).__name__}: {error}", remedy="get it again or train it anew"
        ) from None
    return values


def _refuse_all_but_plain(content: bytes) -> None:
    strings: list[Any] = ["?", "?"]
    try:
        for count, (instruction, argument, at) in enumerate(pickletools.genops(content)):
            if "UNICODE" in instruction.name:
                strings = [strings[1], argument]
            if instruction.name not in PLAIN_INSTRUCTIONS:
                named = argument if instruction.name == "GLOBAL" else ".".join(map(str, strings))
                what = f" ({str(named)[:80]!r})" if "GLOBAL" in instruction.name else ""
                raise ModelFileError(
                    "refused, nothing was run: the file holds more than plain numbers and text, the pickle "
                    f"instruction {instruction.name}{what}",
                    remedy="do not open it with other programs",
                )
            if count > MAX_INSTRUCTIONS:
                raise ModelFileError("refused: more pickle instructions than any model has")
            if instruction.name == "STOP" and at != len(content) - 1:
                raise ModelFileError("damaged: something follows the end of the model", remedy="get it again")
    except ModelFileError:
        raise
    except Exception as error:  # the reader of instructions was not written for hostile files
        raise ModelFileError(f"damaged: {error}", remedy="get it again or train it anew") from None


class _PlainUnpickler(pickle.Unpickler):
    """Refuse every name once more, should an instruction that names one get past the first check."""

    def find_class(self, module: str, name: str) -> Any:
        raise ModelFileError(f"refused, nothing was run: the file names {module}.{name}")
