"""The models that come with the program."""

from __future__ import annotations

from pathlib import Path

from spectral_detect.errors import ModelFileError

SUFFIX = ".pkl"


def shipped_models() -> dict[str, Path]:
    """Name -> file of the models that come with the program."""
    package = Path(__file__).parent.parent
    folders = (package / "models", package.parent / "models")  # installed; a checkout
    return {p.stem: p for folder in folders[::-1] if folder.is_dir() for p in sorted(folder.glob(f"*{SUFFIX}"))}


def find_model(name_or_path: str) -> Path:
    """A model file: any by its path, a shipped one by its name; an existing file wins over a name."""
    if not name_or_path:
        raise ModelFileError("the name of the model is empty")
    shipped = shipped_models()
    return Path(name_or_path) if Path(name_or_path).exists() else shipped.get(name_or_path, Path(name_or_path))
