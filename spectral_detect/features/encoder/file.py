"""Read and hash the file of an encoder."""

from __future__ import annotations

import hashlib
import os
from functools import lru_cache

from spectral_detect.errors import FeatureError
from spectral_detect.features.encoder.settings import Encoder

MAX_FILE_BYTES = 2**30


def sha256_of(path: str) -> str:
    """Return the hash of a file, computed once per process as long as the file stays the same."""
    status = os.stat(path)
    return _sha256_of(path, status.st_mtime_ns, status.st_size, status.st_ino)


@lru_cache(16)
def _sha256_of(path: str, *_: int) -> str:
    return hashlib.sha256(read_content(path)).hexdigest()


def content_of(encoder: Encoder) -> bytes:
    """Return the bytes of an encoder's file, in the process that runs it.

    Raises
    ------
    FeatureError
        If the file is gone or has become another one.
    """
    if not encoder.path:
        raise FeatureError(f"the file of the encoder {encoder.name!r} is not known", remedy="name it with `encoder`")
    content = read_content(encoder.path)
    if hashlib.sha256(content).hexdigest() != encoder.sha256:
        raise FeatureError(f"the encoder {encoder.path!r} has changed since", remedy="put the earlier file back")
    return content


def read_content(path: str) -> bytes:
    """Return the bytes of an ONNX file.

    Raises
    ------
    FeatureError
        If it cannot be read, or is too large.
    """
    try:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            if size > MAX_FILE_BYTES:
                raise FeatureError(
                    f"the encoder {path!r} has {size} bytes, more than {MAX_FILE_BYTES}", remedy="use a smaller one"
                )
            return stream.read(MAX_FILE_BYTES)
    except OSError as error:
        raise FeatureError(
            f"the encoder {path!r} cannot be read: {error.strerror}", remedy="name an ONNX file"
        ) from None
