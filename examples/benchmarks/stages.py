"""Where the time of a scan goes: milliseconds an image of each stage in one process, as a worker does them.

    python examples/benchmarks/stages.py FOLDER [--features azimuthal] [--count 200] [--model MODEL]

Medians over the images; the model, unless named, is trained on the example images with these features.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
from features import settle_memory
from scan import images_in, trained
from threadpoolctl import threadpool_limits

from spectral_detect.detector.model_file import load_model
from spectral_detect.extraction import one_file as extraction
from spectral_detect.features import extract as features
from spectral_detect.features import feature_groups as groups
from spectral_detect.features.numpy_backend import numpy_backend
from spectral_detect.scanning.judge import Judge
from spectral_detect.sources.discovery import FoundFile
from spectral_detect.sources.location import Location

WHOLE, REST = "all", "the rest"
OUTER = ("read and hash", "decode", "features", "judge")


class Clock:
    """Seconds that each stage took for the present image."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = defaultdict(float)

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*args, **options)
            finally:
                self.spent[stage] += time.perf_counter() - started

        return call


def one_image(path: str, judge: Judge, clock: Clock) -> dict[str, float]:
    """Seconds of each stage, in the order in which they come."""
    clock.spent = defaultdict(float)
    make_record = clock.timed("judge", judge)

    def work() -> None:
        make_record(judge.extractor().of_file(FoundFile(Location(path))))

    clock.timed(WHOLE, work)()
    return dict(clock.spent)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="+")
    parser.add_argument("--features", default="azimuthal")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--model")
    args = parser.parse_args()
    settle_memory()
    cv2.setNumThreads(1)
    threadpool_limits(1)
    paths = images_in(args.folder, parser)[: args.count]
    judge = Judge(load_model(args.model or trained(args.features)))
    clock, cpu = Clock(), numpy_backend()
    stages = ("laplacian", "dft", "cross_power", "power")
    timed_cpu = replace(cpu, **{name: clock.timed(name, getattr(cpu, name)) for name in stages})
    groups_timed = {name: clock.timed(name, group) for name, group in groups.FEATURE_GROUPS.items()}
    with (
        patch.object(extraction, "read_file", clock.timed("read and hash", extraction.read_file)),
        patch.object(extraction, "decode", clock.timed("decode", extraction.decode)),
        patch.object(features, "numpy_backend", lambda: timed_cpu),
        patch.object(extraction, "extract_features", clock.timed("features", extraction.extract_features)),
        patch.object(groups, "apply_rings", clock.timed("rings", groups.apply_rings)),
        patch.dict(groups.FEATURE_GROUPS, groups_timed if args.features == "residual" else {}),
    ):
        one_image(paths[0], judge, clock)  # fills the caches
        spent = [one_image(path, judge, clock) for path in paths]
    medians = {name: 1000 * float(np.median([s.get(name, 0.0) for s in spent])) for name in spent[0]}
    whole, outer = medians.pop(WHOLE), {name: medians.pop(name) for name in OUTER}
    for name, cost in {**outer, REST: whole - sum(outer.values()), WHOLE: whole}.items():
        print(f"{name:<24}{cost:8.2f} ms")
    print("of the features (transforms and rings are also in the groups that ask for them first):")
    for name, cost in medians.items():
        print(f"  {name:<22}{cost:8.2f} ms")


if __name__ == "__main__":
    main()
