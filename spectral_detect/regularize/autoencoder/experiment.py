"""Train a grid of auto-encoders without the spectral loss and with it.

Down by two, up by two: Durall, Keuper, Keuper, "Watch Your Up-Convolution", CVPR 2020, section 4.1, figures 5 to 8,
20 and 21.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from threading import Event

import torch

from spectral_detect.regularize.autoencoder.images import SplitImages
from spectral_detect.regularize.autoencoder.options import Architecture, Settings
from spectral_detect.regularize.autoencoder.results import Cell, Reconstruction
from spectral_detect.regularize.autoencoder.training import spectral_loss, train_autoencoder


def run_grid(
    images: SplitImages,
    architectures: Iterable[Architecture],
    settings: Settings,
    device: torch.device | str = "cpu",
    *,
    jobs: int = 1,
) -> Generator[Cell, None, None]:
    """Train each architecture without the spectral loss and with it; everything else is the same.

    Parameters
    ----------
    images : SplitImages
        Images to train and to measure on.
    architectures : iterable of Architecture
        The networks.
    settings : Settings
        How they are trained.
    device : torch.device or str
        Where they are trained; on the CPU the same seed gives the same numbers.
    jobs : int
        Networks trained side by side on the CPU, each in one thread; no number depends on it.

    Yields
    ------
    Cell
        In the order of the architectures, each as soon as it is done; close the iterator to stop the training.

    Notes
    -----
    Networks as small as these gain little from several threads each, and on busy cores, where the threads of one
    network wait for each other in every layer, they took up to twenty times as long.
    """
    device = torch.device(device)
    spectral = spectral_loss(images, settings).to(device)
    stopped = Event()
    n_workers = jobs if device.type == "cpu" else 1
    with ThreadPoolExecutor(n_workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:

        def start(a: Architecture, weight: float) -> Future[Reconstruction]:
            weighted = replace(settings, spectral_weight=weight)
            return pool.submit(train_autoencoder, images, a, weighted, device, spectral, stopped=stopped)

        try:
            pairs = [(a, start(a, 0.0), start(a, settings.spectral_weight)) for a in architectures]
            for a, plain, corrected in pairs:
                yield Cell(a.upsampling, a.kernel, a.layers, plain.result(), corrected.result())
        finally:
            stopped.set()  # so that ctrl-C need not wait for the end of the training
