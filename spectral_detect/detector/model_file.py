"""Save and load a model file, a pickle of one dictionary of plain values (see `content.model_content`).

Model files come from strangers, so nothing but plain values is unpickled.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np

from spectral_detect.arguments import require_type
from spectral_detect.atomic_write import write_aside
from spectral_detect.detector.content.model_content import from_plain, to_plain
from spectral_detect.detector.content.plain_pickle import unpickle_plain
from spectral_detect.detector.model import Model
from spectral_detect.errors import FeatureError, ModelFileError
from spectral_detect.features.spec import FeatureSpec, FusedSpec
from spectral_detect.sources.urls import looks_like_url, without_credentials

MAX_FILE_BYTES = 256 * 2**20
SUFFIX = ".pkl"
EXAMPLES = Path(__file__).parent.parent.parent / "examples" / "models"  # of a checkout; not installed
DEFAULT = "world"  # ships, and judges where no model is named


# ------------------------------------------------------------------------------------------- shipped with the program


def shipped_models() -> dict[str, Path]:
    """Return name -> file of the models that come with the program."""
    package = Path(__file__).parent.parent
    folders = (package / "models", package.parent / "models")  # installed; a checkout
    return {p.stem: p for folder in folders[::-1] if folder.is_dir() for p in sorted(folder.glob(f"*{SUFFIX}"))}


def find_model(name_or_path: str) -> Path:
    """Return the path of a model file, given as a path or as a shipped model's name; the name wins over a file.

    So nothing that lies in the working folder, such as evidence, can take the place of a shipped model; a file of such
    a name is given as `./NAME`.

    Raises
    ------
    ModelFileError
        If the name is empty.
    """
    if not name_or_path:
        raise ModelFileError("the name of the model is empty")
    return shipped_models().get(name_or_path, Path(name_or_path))


def is_shipped(model: Model) -> bool:
    """Tell whether a model is a shipped one, whose users have never seen the names of its training folders."""
    path = shipped_models().get(model.name)
    return path is not None and hashlib.sha256(path.read_bytes()).hexdigest() == model.sha256


# ----------------------------------------------------------------------------------------------------------- saving


def save_model(model: Model, path: str | os.PathLike[str]) -> None:
    """Write a model file under a temporary name, then rename it.

    The time of creation is that of SOURCE_DATE_EPOCH if it is set, so that the same training gives the same bytes.

    Raises
    ------
    OutputError
        If the file cannot be written.
    ModelFileError
        If it could not be loaded again: too large, or a value in it is not valid.
    """
    content, name = pickle.dumps(to_plain(model), protocol=4), os.fspath(path)
    if len(content) > MAX_FILE_BYTES:
        raise ModelFileError(
            f"{name!r} would have {len(content)} bytes, more than any model ({MAX_FILE_BYTES})",
            remedy="train on fewer images, or with another classifier",
        )
    _of_bytes(content, name)
    write_aside(path, content)


# ---------------------------------------------------------------------------------------------------------- loading


def load_model(name_or_path: str | os.PathLike[str], *, encoder: str | os.PathLike[str] | None = None) -> Model:
    """Read a model file as `read_model` does, and find the encoder that it needs, if it needs one.

    Parameters
    ----------
    name_or_path : str or path-like
        A file, or the name of a shipped model; a file of such a name is given as `./NAME`.
    encoder : str or path-like, optional
        The ONNX file of the model's encoder; default the file of the encoder's name beside the model.

    Raises
    ------
    ModelFileError
        As `read_model` does, and if the encoder is missing or another one.
    ArgumentError
        That is neither a name nor a path.
    """
    model = read_model(name_or_path)
    if not any(part.spec.encoder for part in (model, *model.parts)):
        if encoder is not None:
            raise ModelFileError(f"the model {model.name!r} needs no encoder", remedy="leave `encoder` out")
        return model
    path = str(find_model(os.fspath(name_or_path)))
    if not model.parts:
        return replace(model, spec=_with_encoder(model.spec, path, encoder))
    needed = {part.spec.encoder for part in model.parts if part.spec.encoder}
    parts = tuple(
        replace(part, spec=_with_encoder(part.spec, path, encoder, are_several=len(needed) > 1)) for part in model.parts
    )
    return replace(model, parts=parts, spec=FusedSpec.of([part.spec for part in parts]))


def _with_encoder(
    spec: FeatureSpec, path: str, named: str | os.PathLike[str] | None, *, are_several: bool = False
) -> FeatureSpec:
    """Return a spec whose encoder, if it has one, was found: where it is named, else beside the model.

    A fused model may need several, of which one is named: the others lie beside it.
    """
    from spectral_detect.features.encoder.find import find_encoder, is_file_of, places_beside

    if spec.encoder is None:
        return spec
    own = None if are_several and named is not None and not is_file_of(spec.encoder, named) else named
    try:
        return replace(spec, encoder=find_encoder(spec.encoder, places_beside(spec.encoder, path, own)))
    except FeatureError as error:
        raise ModelFileError(f"{path!r}: {error.problem}", remedy=error.remedy) from None


def read_model(name_or_path: str | os.PathLike[str]) -> Model:
    """Read a model file without running anything from it, and check that it still scores as when it was saved.

    It looks for no encoder: the model can be described, but one with an encoder cannot judge images.

    Parameters
    ----------
    name_or_path : str or path-like
        As for `load_model`.

    Raises
    ------
    ModelFileError
        If the file is missing, not a model file, hostile, damaged or of another version, or if its reference vectors
        now score differently by more than 1e-6.
    ArgumentError
        That is neither a name nor a path.
    """
    require_type("name_or_path", name_or_path, (str, os.PathLike), "give the name of a shipped model, or a file")
    given = os.fspath(name_or_path)
    if looks_like_url(given) and not os.path.lexists(given):
        raise ModelFileError(
            f"{without_credentials(given)!r}: models are read from local files", remedy="download it first"
        )
    name = str(find_model(given))
    content = _read(name)
    return replace(_of_bytes(content, name), name=Path(name).stem, sha256=hashlib.sha256(content).hexdigest())


def _of_bytes(content: bytes, name: str) -> Model:
    """Return the model in the content of a file; `ModelFileError` names the file if there is none, or a damaged one."""
    try:
        with np.errstate(all="ignore"):  # damaged numbers may be too large for whole ones
            return from_plain(unpickle_plain(content))
    except ModelFileError as error:
        raise ModelFileError(f"{name!r}: {error.problem}", remedy=error.remedy) from None
    except FeatureError as error:
        raise ModelFileError(f"{name!r}: {error}", remedy="train it again") from None
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError) as error:
        raise ModelFileError(
            f"{name!r} is damaged ({type(error).__name__}: {error})", remedy="train it again"
        ) from None


def load_default_model(*, encoder: str | os.PathLike[str] | None = None) -> Model:
    """Load the model that judges where none is named; `encoder` as for `load_model`.

    Raises
    ------
    ModelFileError
        If it is missing or damaged.
    """
    if DEFAULT not in shipped_models():
        raise ModelFileError(
            f"the shipped model {DEFAULT!r} is missing", remedy="reinstall, or name a file with `model`"
        )
    return load_model(DEFAULT, encoder=encoder)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            content = stream.read(min(size, MAX_FILE_BYTES))
    except OSError as error:
        shipped = ", ".join(shipped_models()) or "none"
        raise ModelFileError(
            f"{path!r} cannot be read: {error.strerror}",
            remedy=(
                f"give the file of a model, or the name of a shipped one: {shipped} (spectral-detect models says more)"
                f"{_hint_of_example(path)}"
            ),
        ) from None
    if size > MAX_FILE_BYTES:
        raise ModelFileError(f"{path!r} is larger than any model ({MAX_FILE_BYTES} bytes)")
    return content


def _hint_of_example(name: str) -> str:
    """Return the remedy for the name of a model that lies among the examples of the checkout; empty if none does."""
    example = EXAMPLES / f"{name.removesuffix(SUFFIX)}{SUFFIX}"
    if os.path.dirname(name) or not example.is_file():
        return ""
    return f"; {example.stem} is not shipped, and lies in the checkout: {os.path.relpath(example)}"
