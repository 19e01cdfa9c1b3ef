"""The exceptions that users of the library may want to catch."""

from __future__ import annotations

DASK_MISSING = "needs Dask: pip install '.[dask]' in the checkout"
TORCH_MISSING = "needs PyTorch: pip install '.[torch]' in the checkout"


class SpectralDetectError(Exception):
    """Base of every error that this package raises on purpose.

    Parameters
    ----------
    problem : str
        What is wrong, and the value seen.
    remedy : str
        What to do about it. Both name parameters of the library in backticks, such as `jobs=0`; the command line puts
        its options in their place.

    Attributes
    ----------
    problem, remedy : str
        As given; `str(error)` joins them by a semicolon.
    """

    def __init__(self, problem: str = "", *, remedy: str = "") -> None:
        super().__init__(f"{problem}; {remedy}" if remedy else problem)
        self.problem, self.remedy = problem, remedy


class ImageReadError(SpectralDetectError):
    """An image file could not be read, or is not fit for the features asked of it."""


class RemoteError(SpectralDetectError):
    """A URL that cannot be read or listed; the message says why, without the credentials in it."""


class VideoReadError(SpectralDetectError):
    """A video, or a folder of frames, could not be read, or holds no frame that could be judged."""


class FeatureError(SpectralDetectError, ValueError):
    """An array or a `FeatureSpec` from which no features can be computed."""


class OptionError(SpectralDetectError, ValueError):
    """A setting of a function or of a class that it does not take."""


class ArgumentError(SpectralDetectError, TypeError):
    """Something else than the object that a function takes, such as a name in its place."""


class PathError(SpectralDetectError, FileNotFoundError):
    """Nothing has this name, and nothing matches it as a pattern."""


class DatasetError(SpectralDetectError):
    """A labelled folder or a manifest that cannot be used."""


class ModelFileError(SpectralDetectError):
    """A model file that is damaged, hostile, from a later version, or disagrees with itself."""


class ExtraMissingError(SpectralDetectError, ImportError):
    """An optional library that this needs is not installed; the message says how to install it."""


class ClusterError(SpectralDetectError):
    """A Dask cluster that cannot be reached, was lost, or whose workers cannot do this work."""


class DeviceError(SpectralDetectError):
    """A GPU that was asked for and cannot be used, or that failed."""


class CheckpointError(SpectralDetectError):
    """A checkpoint of a training run that is damaged, missing, or of another network."""


class ManifestError(SpectralDetectError):
    """A manifest of a run that cannot be read, or cannot be written as it should."""


class OutputError(SpectralDetectError):
    """A result that could not be written where it was asked for."""
