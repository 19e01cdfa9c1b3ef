"""Save and load the state of a training run: tensors and text in one safetensors file, which holds no code."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from spectral_detect.atomic_write import write_aside
from spectral_detect.errors import CheckpointError
from spectral_detect.regularize.gan.log import WEIGHTS_FOLDER

CHECKPOINT_FILE = "checkpoint.safetensors"
WEIGHTS_FILE = re.compile(r"epoch-(\d{4,9})\.safetensors")
KEY = "spectral_detect"  # our JSON in the file's metadata


@dataclass(frozen=True)
class Checkpoint:
    """Hold the content of a checkpoint: named tensors, and plain values that were stored as JSON."""

    tensors: dict[str, Tensor]
    values: dict[str, Any]

    def part(self, name: str) -> dict[str, Tensor]:
        """Return the tensors `name.*`, without that prefix."""
        start = f"{name}."
        return {key.removeprefix(start): tensor for key, tensor in self.tensors.items() if key.startswith(start)}


def save_checkpoint(path: Path, tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> None:
    """Write a checkpoint under a temporary name and rename it.

    Raises
    ------
    OutputError
        The file cannot be written.
    """
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_aside(path, safetensors.torch.save(stored, metadata={KEY: json.dumps(values)}))


def load_checkpoint(path: Path) -> Checkpoint:
    """Read what `save_checkpoint` wrote.

    Raises
    ------
    CheckpointError
        The file is missing, damaged, or not a checkpoint of this program.
    """
    try:
        content = path.read_bytes()
        length = int.from_bytes(content[:8], "little")  # the header is a JSON object; the tensors follow
        values = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][KEY])
        return Checkpoint(safetensors.torch.load(content), values)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise CheckpointError(f"{str(path)!r}: there is no checkpoint", remedy="name the folder of a run") from None
    except OSError as error:
        raise CheckpointError(f"{str(path)!r} cannot be read: {error.strerror}") from None
    except (safetensors.SafetensorError, KeyError, ValueError, TypeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{str(path)!r} is damaged or not a checkpoint of this program ({reason})") from None


def weights_file(run: Path, epoch: int) -> Path:
    """Return where a run keeps the generator's weights of an epoch; epoch 0 is before the first."""
    return run / WEIGHTS_FOLDER / f"epoch-{epoch:04d}.safetensors"


def kept_weights(run: Path, before: int) -> dict[int, Path]:
    """Return the files with the generator's weights by epoch, in its order, of the epochs before that one.

    Later ones are not of this run: it was begun anew, or an older checkpoint was put back.
    """
    folder = run / WEIGHTS_FOLDER
    named = [(WEIGHTS_FILE.fullmatch(path.name), path) for path in folder.iterdir()] if folder.is_dir() else []
    found = {int(name[1]): path for name, path in named if name}
    return {epoch: found[epoch] for epoch in sorted(found) if epoch < before}


def module_tensors(name: str, module: nn.Module) -> dict[str, Tensor]:
    """Return parameters and buffers of a module as `name.*`."""
    return {f"{name}.{key}": tensor for key, tensor in module.state_dict().items()}


def load_module(module: nn.Module, tensors: Mapping[str, Tensor], name: str) -> None:
    """Put parameters and buffers back into a module.

    Raises
    ------
    CheckpointError
        The tensors are those of another network; the message calls it `name`.
    """
    try:
        module.load_state_dict(dict(tensors))
    except RuntimeError as error:
        line = str(error).splitlines()[-1].strip()[:160]
        raise CheckpointError(f"the {name} in the checkpoint is of another size or topology ({line})") from None


def optimizer_tensors(name: str, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return an optimiser's memory of each parameter as `name.<number>.*`."""
    state = optimizer.state_dict()["state"]
    return {f"{name}.{number}.{key}": value for number, part in state.items() for key, value in part.items()}


def load_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` gave; settings such as the learning rate stay the optimiser's own."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        number, _, field = key.partition(".")
        state.setdefault(int(number), {})[field] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
