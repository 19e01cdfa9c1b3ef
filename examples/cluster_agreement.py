"""Ask whether clusters of a detector's training images foretell how robust the detector is.

    python examples/cluster_agreement.py MATCHED [--shots 20 100] [--tested 100]

MATCHED/<source>/real and MATCHED/<source>/fake hold images of which both classes have one size and one JPEG history.
For each source, for the presets `azimuthal` and `residual` and for each number of training images, a detector is
trained. Its training images, clean, standardised as the classifier sees them, are put into clusters by k-means, which
knows no labels. Two numbers say how well the clusters agree with the classes: the adjusted Rand index of two clusters,
and the purity of ten (the share of images in the class that is the more frequent one in their cluster). They are set
beside the detector's mean balanced accuracy on held-out images after the edits of `evaluate --robustness`, and beside
what that loses against clean images. At the end: Spearman's rank correlations, with 95 % intervals from resampling
whole sources, whose detectors are not independent.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import sklearn.cluster
from scipy.stats import spearmanr
from sklearn.metrics import adjusted_rand_score

from spectral_detect import FAKE, REAL, FeatureSpec, train_model
from spectral_detect.detector.experience import mean_of_tiles
from spectral_detect.evaluation.evaluate import evaluate_model
from spectral_detect.extraction.one_file import Extractor
from spectral_detect.media.edits import ROBUSTNESS
from spectral_detect.parallel.work import Work
from spectral_detect.training.dataset import Dataset, read_dataset
from spectral_detect.training.labelled_files import LabelledFile, files_in_folders

PRESETS = ("azimuthal", "residual")
INDICATORS = ("rand2", "purity10")
OUTCOMES = ("robust", "lost")
N_CLUSTERS, N_RESAMPLED = 10, 2000
Row = dict[str, float | str]


def agreement(dataset: Dataset) -> tuple[float, float]:
    """Return how well clusters of the training images agree with the classes: Rand index of two, purity of ten."""
    X = np.stack([mean_of_tiles(features) for features in dataset.features])
    sd = X.std(axis=0)
    Z = (X - X.mean(axis=0)) / np.where(sd > 1e-12, sd, 1)
    two, ten = (
        sklearn.cluster.KMeans(min(n, len(Z) // 2), n_init=10, random_state=0).fit_predict(Z) for n in (2, N_CLUSTERS)
    )
    larger = [max(np.sum(dataset.y[ten == k] == label) for label in (REAL, FAKE)) for k in np.unique(ten)]
    return float(adjusted_rand_score(dataset.y, two)), float(np.sum(larger) / len(Z))


def split(
    files: list[LabelledFile], shots: list[int], n_tested: int
) -> tuple[list[list[LabelledFile]], list[LabelledFile]]:
    """Draw images to train on, for each number of them, and others to test on, as many of each class."""
    rng = np.random.default_rng(0)
    train: list[list[LabelledFile]] = [[] for _ in shots]
    tested: list[LabelledFile] = []
    for label in (REAL, FAKE):
        own = [file for file in files if file.label == label]
        order = [own[k] for k in rng.permutation(len(own))]
        tested += order[: n_tested // 2]
        left = order[n_tested // 2 :]
        for part, n in zip(train, shots, strict=True):
            part += left[: n // 2]
            left = left[n // 2 :] if len(left) >= n // 2 + max(shots) // 2 else left
    return train, tested


def detectors(source: Path, preset: str, shots: list[int], n_tested: int, work: Work) -> list[Row]:
    """Train the detectors of a source, and measure them clean and after each edit."""
    spec = FeatureSpec.preset(preset)
    train, tested = split(files_in_folders(source / "real", source / "fake"), shots, n_tested)
    clean = read_dataset(tested, Extractor(spec), work)
    edited = [read_dataset(tested, Extractor(spec, (edit,)), work) for edit in ROBUSTNESS]
    rows: list[Row] = []
    for files, n in zip(train, shots, strict=True):
        dataset = read_dataset(files, Extractor(spec), work)
        model = train_model(dataset, spec)
        rand, purity = agreement(dataset)
        accuracy = evaluate_model(model, clean).metrics.balanced_accuracy.value
        robust = float(np.mean([evaluate_model(model, part).metrics.balanced_accuracy.value for part in edited]))
        rows.append(
            {"source": source.name, "preset": preset, "shots": n, "rand2": rand, "purity10": purity, "clean": accuracy,
             "robust": robust, "lost": accuracy - robust}
        )  # fmt: skip
    return rows


def correlation(rows: list[Row], indicator: str, outcome: str) -> tuple[float, float, float]:
    """Return Spearman's rank correlation, and the 95 % interval from resampling sources."""
    by_source: dict[str, list[Row]] = {}
    for row in rows:
        by_source.setdefault(str(row["source"]), []).append(row)
    groups, rng = list(by_source.values()), np.random.default_rng(0)

    def of(some: list[Row]) -> float:
        x, y = ([float(row[name]) for row in some] for name in (indicator, outcome))
        return float(spearmanr(x, y).statistic) if len(set(x)) > 1 and len(set(y)) > 1 else 0.0

    drawn = [
        of([row for k in rng.integers(0, len(groups), len(groups)) for row in groups[k]]) for _ in range(N_RESAMPLED)
    ]
    return of(rows), *map(float, np.quantile(drawn, (0.025, 0.975)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("matched", type=Path)
    parser.add_argument("--shots", type=int, nargs="+", default=[20, 100])
    parser.add_argument("--tested", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=0, help="worker processes; 0: none")
    args = parser.parse_args()
    rows: list[Row] = []
    print(f"{'source':22} {'features':10} shots  rand2 purity10  clean robust   lost")
    for source in sorted(path for path in args.matched.iterdir() if (path / "real").is_dir()):
        for preset in PRESETS:
            for row in detectors(source, preset, args.shots, args.tested, Work(jobs=args.jobs)):
                rows.append(row)
                values = " ".join(f"{row[name]:{width}.3f}" for name, width in zip(
                    ("rand2", "purity10", "clean", "robust", "lost"), (6, 8, 6, 6, 6), strict=True
                ))  # fmt: skip
                print(f"{row['source']:22} {row['preset']:10} {row['shots']:5} {values}", flush=True)
    for indicator in INDICATORS:
        for outcome in OUTCOMES:
            found, low, high = correlation(rows, indicator, outcome)
            interval = f"{found:.2f} ({low:.2f} to {high:.2f})"
            print(f"{indicator} and {outcome}: rank correlation {interval}, {len(rows)} detectors")


if __name__ == "__main__":
    main()
