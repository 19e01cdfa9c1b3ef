"""Find the models that come with the program."""

from __future__ import annotations

from pathlib import Path

from spectral_detect.errors import ModelFileError

SUFFIX = ".pkl"
DEFAULT = "world"  # judges where no model is named; the others are for images of one kind


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
