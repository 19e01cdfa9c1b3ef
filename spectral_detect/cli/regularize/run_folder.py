"""Check the folder of a run before anything is computed."""

from __future__ import annotations

import os
from pathlib import Path

from spectral_detect.atomic_write import OPTIONS_FILE
from spectral_detect.cli.shared.failures import Failure
from spectral_detect.regularize.gan.log import LOG_FILE, REALS_FILE, WEIGHTS_FOLDER
from spectral_detect.text import visible

# without a checkpoint to resume
BEFORE_THE_FIRST_EPOCH = {OPTIONS_FILE, LOG_FILE, REALS_FILE, WEIGHTS_FOLDER, "samples", "profiles"}


def check_apart(folder: str | Path, data: str) -> None:
    """Refuse a run among its own images: `Failure`."""
    run = Path(folder).resolve()
    if Path(data).resolve() in (run, *run.parents):
        raise Failure(
            f"{visible(str(folder))} lies in {visible(data)}: its pictures would be trained on; name another RUN"
        )


def check_unused(folder: Path) -> None:
    """Refuse to overwrite a folder that holds a run already, or anything else: `Failure`."""
    if folder.is_dir() and set(os.listdir(folder)) - BEFORE_THE_FIRST_EPOCH:
        raise Failure(f"{visible(str(folder))} is not empty: --resume continues the run in it; or name a new folder")
