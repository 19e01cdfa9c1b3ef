"""Measure how well a detector trained on few images does on your images when size and compression say nothing.

    python examples/matched_protocol.py --real DIR --fake DIR [--size 128] [--quality 90] [--groups stem]
                                        [--features azimuthal] [--classifier svm] [--shots 20,100] [--seeds 3]

Both classes are matched as by `spectral-detect audit --fix`: gray images and exact copies are dropped, every image is
cut to one square about its centre (the largest that nine tenths of each class can fill, or --size; nothing is
resampled) and saved as JPEG at one quality, and as many are left of each class. Then, per seed, half of each class is
set apart for training, as many images as --shots are drawn from it, and the rest is the test.
Images whose names share a group (--groups prefix: the name up to the first "_"; stem: the whole name, across both
classes, as for one photograph before and after) stay on one side.

A cut about the centre keeps an image's own JPEG grid only if it starts at a multiple of 16, and it does. What it cannot
undo is a class that was resampled before: see to it that both come from their source at a size of their own.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from spectral_detect import FAKE, REAL, FeatureSpec, train_model
from spectral_detect.audit.matched_copy import MANIFEST, write_matched
from spectral_detect.audit.matched_format import choose_format
from spectral_detect.extraction.one_file import Extractor
from spectral_detect.features.spec import PRESETS
from spectral_detect.training.dataset import Dataset, read_dataset
from spectral_detect.training.labelled_files import LabelledFile, files_in_folders, files_in_manifest


def group_of(found: LabelledFile, groups: str) -> str | None:
    stem = Path(found.file.path).stem
    return {"none": None, "prefix": f"{found.label}:{stem.split('_')[0]}", "stem": stem}[groups]


def matched_files(args: argparse.Namespace, target: Path) -> list[LabelledFile]:
    found = files_in_folders(args.real, args.fake)
    dataset = read_dataset([replace(f, group=group_of(f, args.groups)) for f in found], Extractor(None))
    matched = choose_format(dataset, side_px=args.size, quality=args.quality)
    copy = write_matched(dataset, target, matched)
    print(f"{copy.n_real} real and {copy.n_fake} fake images; dropped: {copy.n_dropped or 'none'}")
    print(f"both classes: centre square of {matched.side_px} px, JPEG quality {args.quality}")
    return files_in_manifest(str(target / MANIFEST))


def draw(dataset: Dataset, shots: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of `shots` training images, half of each class, and of all images of the other groups."""
    kinds: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for group in np.unique(dataset.groups):
        kinds[tuple(np.unique(dataset.y[dataset.groups == group]))].append(group)
    to_train = np.concatenate([rng.permutation(g)[: len(g) // 2] for _, g in sorted(kinds.items())])
    for_training = np.isin(dataset.groups, to_train)
    train = [rng.permutation(np.flatnonzero(for_training & (dataset.y == c)))[: shots // 2] for c in (REAL, FAKE)]
    return np.concatenate(train), np.flatnonzero(~for_training)


def one_run(dataset: Dataset, spec: FeatureSpec, classifier: str, shots: int, seed: int) -> tuple[float, float]:
    train, test = draw(dataset, shots, np.random.default_rng([seed, shots]))
    model = train_model(dataset.select(train), spec, classifier, seed=seed)
    tested = dataset.select(test)
    scores, y = model.scores(tested.features), tested.y
    return balanced_accuracy_score(y, scores >= model.threshold), roc_auc_score(y, scores)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--real", action="append", required=True)
    parser.add_argument("--fake", action="append", required=True)
    parser.add_argument("--size", type=int, help="side of the square in pixels")
    parser.add_argument("--quality", type=int, default=90, help="of JPEG, default: 90")
    parser.add_argument("--groups", choices=("none", "prefix", "stem"), default="none")
    parser.add_argument("--features", action="append", choices=PRESETS, help="default: all")
    parser.add_argument(
        "--classifier", action="append", choices=("svm", "logreg", "kmeans"), help="default: svm, logreg"
    )
    parser.add_argument("--shots", default="20,100", help="numbers of training images, default: 20,100")
    parser.add_argument("--seeds", type=int, default=3, help="default: 3")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = matched_files(args, Path(folder))
        print(f"{'features':<12}{'classifier':<12}{'images':>7}{'balanced accuracy':>20}{'AUROC':>16}   (mean, spread)")
        for name in args.features or ["residual", "azimuthal", "durall"]:
            spec = FeatureSpec.preset(name)
            dataset = read_dataset(files, Extractor(spec))
            for classifier in args.classifier or ["svm", "logreg"]:
                for shots in map(int, args.shots.split(",")):
                    runs = [one_run(dataset, spec, classifier, shots, seed) for seed in range(args.seeds)]
                    (accuracy, auroc), (spread_a, spread_r) = 100 * np.mean(runs, 0), 100 * np.std(runs, 0)
                    print(
                        f"{name:<12}{classifier:<12}{shots:>7}{accuracy:>13.1f} ±{spread_a:4.1f} %"
                        f"{auroc:>8.1f} ±{spread_r:4.1f} %",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
