"""Choose where torch computes: the device, its threads and its precision."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, TypeVar, cast

import torch

from spectral_detect.errors import SpectralDetectError
from spectral_detect.parallel.work import available_cores
from spectral_detect.regularize.choices import DeviceName

Network = TypeVar("Network", bound=torch.nn.Module)


def choose_device(name: DeviceName = "auto", threads: int | None = None) -> torch.device:
    """Return the device of that name, and set the process up for it.

    Parameters
    ----------
    name : {"auto", "cpu", "gpu"}
        "auto" takes a CUDA device if there is one.
    threads : int, optional
        Threads of the CPU, one per core by default. Sums depend on their number in the last digits.

    Raises
    ------
    SpectralDetectError
        "gpu" was asked for, and there is none.
    """
    torch.set_num_threads(threads or available_cores())
    if name == "cpu" or (name == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if not torch.cuda.is_available():
        built = "this PyTorch is built without CUDA" if torch.version.cuda is None else "no CUDA device answers"
        raise SpectralDetectError(f"`device=gpu`: {built}", remedy="use `device=cpu`, or install PyTorch for your GPU")
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    return torch.device("cuda")


def mixed_precision(device: torch.device) -> AbstractContextManager[object]:
    """Compute in bfloat16 if the GPU can, which needs no scaling of losses; in single precision otherwise."""
    is_on = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=is_on)


def put_on(device: torch.device, network: Network) -> Network:
    """Move the network to a device, in the memory format that is fastest there."""
    return cast(Network, cast(Any, network).to(device, memory_format=memory_format(device)))


def memory_format(device: torch.device) -> torch.memory_format:
    """Return `channels_last` for a GPU, whose convolutions are faster in it."""
    return torch.channels_last if device.type == "cuda" else torch.contiguous_format
