"""Tell camera images from images made by neural networks, by the traces of up-sampling in the Fourier spectrum.

The names below are looked up on first use, so that importing the package loads no numerical library.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from spectral_detect._version import __version__
from spectral_detect.errors import TORCH_MISSING, ExtraMissingError, SpectralDetectError

if TYPE_CHECKING:
    from spectral_detect.audit.dataset_audit import audit_dataset
    from spectral_detect.detector.model import Model
    from spectral_detect.detector.model_file import load_default_model, load_model, save_model
    from spectral_detect.evaluation.compare import compare_detectors
    from spectral_detect.evaluation.evaluate import evaluate_model
    from spectral_detect.extraction.one_file import Extractor
    from spectral_detect.features.extract import extract_features
    from spectral_detect.features.spec import FeatureSpec
    from spectral_detect.features.spectrum import azimuthal_average, power_spectrum
    from spectral_detect.media.images import read_image
    from spectral_detect.media.limits import Limits
    from spectral_detect.media.video import FrameOptions
    from spectral_detect.parallel.work import Work
    from spectral_detect.records import FAKE, REAL, ImageRecord
    from spectral_detect.regularize.loss import SpectralLoss as SpectralLoss
    from spectral_detect.scanning.images import scan, scan_bytes
    from spectral_detect.scanning.rules import Rules
    from spectral_detect.scanning.scanner import Scanner
    from spectral_detect.training.dataset import Dataset, read_dataset
    from spectral_detect.training.labelled_files import LabelledFile, files_in_folders, files_in_manifest
    from spectral_detect.training.outsiders import Outsiders
    from spectral_detect.training.train import train_model

_HOME = {
    "Dataset": "training.dataset",
    "Extractor": "extraction.one_file",
    "FAKE": "records",
    "REAL": "records",
    "FeatureSpec": "features.spec",
    "FrameOptions": "media.video",
    "ImageRecord": "records",
    "LabelledFile": "training.labelled_files",
    "Limits": "media.limits",
    "Model": "detector.model",
    "Outsiders": "training.outsiders",
    "Rules": "scanning.rules",
    "Scanner": "scanning.scanner",
    "SpectralLoss": "regularize.loss",
    "Work": "parallel.work",
    "audit_dataset": "audit.dataset_audit",
    "azimuthal_average": "features.spectrum",
    "compare_detectors": "evaluation.compare",
    "evaluate_model": "evaluation.evaluate",
    "extract_features": "features.extract",
    "files_in_folders": "training.labelled_files",
    "files_in_manifest": "training.labelled_files",
    "load_model": "detector.model_file",
    "load_default_model": "detector.model_file",
    "power_spectrum": "features.spectrum",
    "read_dataset": "training.dataset",
    "read_image": "media.images",
    "save_model": "detector.model_file",
    "scan": "scanning.images",
    "scan_bytes": "scanning.images",
    "train_model": "training.train",
}

__all__ = [
    "FAKE",
    "REAL",
    "Dataset",
    "Extractor",
    "FeatureSpec",
    "FrameOptions",
    "ImageRecord",
    "LabelledFile",
    "Limits",
    "Model",
    "Outsiders",
    "Rules",
    "Scanner",
    "SpectralDetectError",
    "Work",
    "__version__",
    "audit_dataset",
    "azimuthal_average",
    "compare_detectors",
    "evaluate_model",
    "extract_features",
    "files_in_folders",
    "files_in_manifest",
    "load_default_model",
    "load_model",
    "power_spectrum",
    "read_dataset",
    "read_image",
    "save_model",
    "scan",
    "scan_bytes",
    "train_model",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ExtraMissingError(f"{name} {TORCH_MISSING}") from None


def __dir__() -> list[str]:
    needing_torch = ("SpectralLoss",) if find_spec("torch") else ()  # which `import *` leaves alone
    return sorted((*__all__, *needing_torch))
