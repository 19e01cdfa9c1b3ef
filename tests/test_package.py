"""What is installed, and what importing it costs."""

from __future__ import annotations

import configparser
import subprocess
import sys
from pathlib import Path

import pytest

import spectral_detect
from conftest import ROOT

HEAVY = set("numpy scipy cv2 sklearn torch cupy matplotlib dask distributed PIL joblib tqdm fsspec".split())


@pytest.mark.parametrize(
    "code", ["import spectral_detect", "from spectral_detect.cli import main; main(['--help'], standalone_mode=False)"]
)
def test_importing_and_helping_load_no_numerical_library(code: str) -> None:
    assert not loaded_by(code) & HEAVY


def test_a_process_that_only_passes_records_on_loads_no_scipy() -> None:
    """It begins a third of a second earlier."""
    scan = f"['scan', {str(ROOT / 'examples' / 'images' / 'real')!r}, '--jobs', '1']"
    code = f"from spectral_detect.cli import main; main({scan}, standalone_mode=False)"
    assert not loaded_by(code) & (HEAVY - {"numpy", "PIL"})


def loaded_by(code: str) -> set[str]:
    """The top-level modules that are there after it."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('|', *sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    )
    return {name.split(".")[0] for name in done.stdout.split("|")[-1].split()}


def test_every_public_name_resolves() -> None:
    for name in spectral_detect.__all__:
        assert getattr(spectral_detect, name) is not None
    assert set(spectral_detect._HOME) - {"SpectralLoss"} <= set(spectral_detect.__all__)
    assert dir(spectral_detect) == sorted((*spectral_detect.__all__, "SpectralLoss"))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = spectral_detect.nothing


def test_setup_cfg_installs_every_package() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = set(config["options"]["packages"].split())
    folders = {p.parent for p in (ROOT / "spectral_detect").rglob("__init__.py")}
    packages = {".".join(folder.relative_to(ROOT).parts) for folder in folders}
    assert listed == packages | {"spectral_detect.models"}


def test_the_models_are_installed_with_the_package() -> None:
    from spectral_detect.detector.model_file import shipped_models

    package = Path(spectral_detect.__file__).parent
    folder = shipped_models()["world"].parent
    assert folder == (ROOT / "models" if package.parent == ROOT else package / "models")


def test_the_version_is_in_the_changelog() -> None:
    assert f"## {spectral_detect.__version__}" in (ROOT / "CHANGELOG.md").read_text()
