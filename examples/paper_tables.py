"""Tables 3 and 4 of Durall et al., CVPR 2020, for CelebA: the authors' published features, their classifiers.

    python examples/paper_tables.py celeba_durall_80.npz [--repeats 10]

The file holds `X` (2000, 80), the features that the authors published for 1000 CelebA faces and 1000 images of their
DCGAN, and `y` (0 real, 1 fake). A sample of each size is split 80/20 at random, several times, and the accuracy on the
fifth that was held out is averaged; k-means, which has no labels, is fitted and measured on the whole sample, each
cluster being named by its majority.

These accuracies are NOT those of a matched comparison: the two classes behind the file differ in size (178x218 against
128x128 pixels), which the features see.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sklearn.model_selection import train_test_split

from spectral_detect import FAKE, REAL
from spectral_detect.classifiers import ClassifierName, Fitted
from spectral_detect.training import fit_classifier

PAPER: dict[
    ClassifierName, dict[int, int]
] = {  # Durall et al., tables 3 (classifiers) and 4 (clustering), accuracy in %
    "svm": {2000: 100, 100: 100, 20: 100},
    "logreg": {2000: 100, 100: 95, 20: 85},
    "kmeans": {2000: 96, 100: 100, 20: 100},
}


def sample(y: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """Indices of `size` rows, half of each class."""
    return np.concatenate([rng.permutation(np.flatnonzero(y == label))[: size // 2] for label in (REAL, FAKE)])


def fit(name: ClassifierName, X: np.ndarray, y: np.ndarray, seed: int) -> Fitted:
    return fit_classifier(X, y, name, paper_settings=True, seed=seed)


def accuracy(name: ClassifierName, X: np.ndarray, y: np.ndarray, seed: int) -> float:
    if name == "kmeans":
        return float(np.mean((fit(name, X, y, seed).decision_values(X) >= 0) == y))
    train, test = train_test_split(np.arange(len(y)), test_size=0.2, stratify=y, random_state=seed)
    return float(np.mean((fit(name, X[train], y[train], seed).decision_values(X[test]) >= 0) == y[test]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("features")
    parser.add_argument("--repeats", type=int, default=10)
    args = parser.parse_args()
    if not Path(args.features).is_file():
        parser.error(f"{args.features}: no such file; the rows come from cc-hpc-itwm/DeepFakeDetection")
    with np.load(args.features) as published:
        X, y = published["X"], published["y"].astype(int)
    print(f"{'classifier':<12}{'samples':>8}{'measured':>18}{'paper':>8}")
    for name, rows in PAPER.items():
        for size, published_accuracy in rows.items():
            runs = []
            for seed in range(args.repeats):
                at = sample(y, size, np.random.default_rng(seed))
                runs.append(accuracy(name, X[at], y[at], seed))
            print(
                f"{name:<12}{size:>8}{100 * np.mean(runs):>9.1f} ±{100 * np.std(runs):5.1f} %{published_accuracy:>6} %",
                flush=True,
            )


if __name__ == "__main__":
    main()
