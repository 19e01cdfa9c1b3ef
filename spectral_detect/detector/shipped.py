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
    """Return the path of a model file, given as a path or as a shipped model's name; an existing file wins over a name.

    Raises
    ------
    ModelFileError
        If the name is empty.
    """
    if not name_or_path:
        raise ModelFileError("the name of the model is empty")
    shipped = shipped_models()
    return Path(name_or_path) if Path(name_or_path).exists() else shipped.get(name_or_path, Path(name_or_path))
