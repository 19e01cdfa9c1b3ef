"""Measure what each part of the preset `residual` is worth, and what it costs.

    python examples/ablation.py MATCHED --source celeba-dcgan:none --source ffhq-stylegan2:prefix ... [--only NAME]

MATCHED/<source>/real and MATCHED/<source>/fake hold images of which both classes have one size and one JPEG history;
after the colon, how its images are grouped (examples/make_models.py says more). For each candidate, in per cent:
balanced accuracy at the model's own threshold / AUROC with 20 and with 100 training images, the mean of 5 seeds, per
source and in the mean over the sources; and the milliseconds that its features take for one image of 256x256 pixels
on one core, decoding apart. A difference of half a point between two rows is within the noise of five draws.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from make_models import labelled
from matched_protocol import draw
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from spectral_detect import FAKE, REAL, FeatureSpec, extract_features, train_model
from spectral_detect.extraction.one_file import Extractor
from spectral_detect.features.spec import RESIDUAL_GROUPS
from spectral_detect.training.dataset import Dataset, read_dataset

SHOTS, SEEDS, MOST_TESTED = (20, 100), 5, 200
MAX_TILE_VECTORS = 1500  # fewer than by default, so that the whole table takes half an hour


def candidates() -> dict[str, FeatureSpec]:
    residual = FeatureSpec.preset("residual")
    specs = {name: FeatureSpec.preset(name) for name in ("durall", "azimuthal", "residual")}
    specs["residual, not in tiles"] = replace(residual, tiles_per_side=None)
    specs["residual, 16 tiles"] = replace(residual, tiles_per_side=4)
    specs["residual, no Laplacian"] = replace(residual, filter="none")
    for group in RESIDUAL_GROUPS:
        specs[f"without {group}"] = replace(residual, groups=tuple(g for g in RESIDUAL_GROUPS if g != group))
    for group in RESIDUAL_GROUPS:
        specs[f"only {group}"] = replace(residual, groups=(group,))
    return specs


def milliseconds(spec: FeatureSpec) -> float:
    image = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    extract_features(image, spec, is_ycc=True)
    times = []
    for _ in range(20):
        start = time.perf_counter()
        extract_features(image, spec, is_ycc=True)
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def one_run(dataset: Dataset, spec: FeatureSpec, shots: int, seed: int) -> tuple[float, float]:
    rng = np.random.default_rng([seed, shots])
    train, test = draw(dataset, shots, rng)
    test = np.concatenate([rng.permutation(test[dataset.y[test] == c])[:MOST_TESTED] for c in (REAL, FAKE)])
    model = train_model(dataset.select(train), spec, "svm", max_tile_vectors=MAX_TILE_VECTORS, seed=seed)
    tested = dataset.select(test)
    scores = model.scores(tested.features)
    return balanced_accuracy_score(tested.y, scores >= model.threshold), roc_auc_score(tested.y, scores)


def source_row(folder: Path, source: str, groups: str, spec: FeatureSpec) -> np.ndarray:
    """Return (2, 2): balanced accuracy and AUROC with 20 and with 100 images."""
    files = [
        f for label, part in ((REAL, "real"), (FAKE, "fake")) for f in labelled(folder / part, source, groups, label)
    ]
    dataset = read_dataset(files, Extractor(spec))
    jobs = [(shots, seed) for shots in SHOTS for seed in range(SEEDS)]
    runs = Parallel(n_jobs=-1)(delayed(one_run)(dataset, spec, shots, seed) for shots, seed in jobs)
    return 100 * np.array(runs).reshape(len(SHOTS), SEEDS, 2).mean(axis=1)


def cells(values: np.ndarray) -> str:
    return "".join(f"{accuracy:>8.1f} / {auroc:4.1f}" for accuracy, auroc in values)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("matched", type=Path)
    parser.add_argument("--source", action="append", required=True, metavar="NAME:GROUPS")
    parser.add_argument("--only", action="append", choices=candidates(), help="default: every candidate")
    args = parser.parse_args()
    for name in args.only or candidates():
        spec = candidates()[name]
        print(f"{name}: {milliseconds(spec):.2f} ms{'20 images':>20}{'100 images':>16}", flush=True)
        rows = []
        for source, groups in (item.split(":") for item in args.source):
            rows.append(source_row(args.matched / source, source, groups, spec))
            print(f"  {source:<24}{cells(rows[-1])}", flush=True)
        print(f"  {'mean':<24}{cells(np.mean(rows, axis=0))}\n", flush=True)


if __name__ == "__main__":
    main()
