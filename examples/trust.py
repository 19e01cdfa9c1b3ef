"""Measure how far a detector's scores and refusals can be trusted, on images that it has not seen.

    python examples/trust.py MATCHED --source celeba-dcgan:none --source ffhq-stylegan2:prefix ...
                                     [--features residual] [--classifier svm] [--shots 100] [--seeds 3]

Per source and draw, a detector is trained on `--shots` images, half of each class, from half of the groups, and judges
the others. Printed, as means over the draws: the calibration of its scores (ECE, Brier score, Cllr and the Cllr of the
best calibration; `floor` is the ECE that perfectly calibrated scores of so many images would show), the share of those
images that it refuses as outside its experience, and the share that it refuses of the images of each other source whose
sides are more than a quarter longer or shorter, and of pure noise of its own size.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from make_models import labelled
from matched_protocol import draw

from spectral_detect import FAKE, REAL, FeatureSpec, Model, extract_features, train_model
from spectral_detect.detector.calibration_metrics import expected_calibration_error
from spectral_detect.detector.classifiers import ClassifierName
from spectral_detect.detector.experience import SIZE_TOLERANCE
from spectral_detect.evaluation.evaluate import evaluate_model, judge_dataset
from spectral_detect.extraction.one_file import Extraction, Extractor
from spectral_detect.media.header import Metadata
from spectral_detect.scanning.judge import Judge
from spectral_detect.scanning.rules import Rules
from spectral_detect.sources.location import Location
from spectral_detect.training.dataset import Dataset, read_dataset

N_NOISE, N_OTHERS = 20, 100
NUMBERS = ("ece", "floor", "brier", "cllr", "cllr_min", "balanced_accuracy")


def read_source(folder: Path, groups: str, spec: FeatureSpec) -> Dataset:
    parts = ((REAL, "real"), (FAKE, "fake"))
    return read_dataset(
        [f for label, part in parts for f in labelled(folder / part, "", groups, label)], Extractor(spec)
    )


def refused(model: Model, dataset: Dataset) -> float:
    return float(np.mean([j.reason == "outside experience" for j in judge_dataset(model, dataset, Rules())[1]]))


def refused_noise(model: Model, metadata: Metadata, rng: np.random.Generator) -> float:
    """Return the refused share of white noise, uniform and normal, gray and coloured, in files like the source's."""
    side = min(metadata.width, metadata.height)
    refusals = []
    for k in range(N_NOISE):
        shape = (side, side, 3) if k % 2 else (side, side)
        noise = rng.integers(0, 256, shape) if k % 4 < 2 else np.clip(rng.normal(128, 40, shape), 0, 255)
        features = extract_features(noise.astype(np.uint8), model.spec)
        noise_file = Extraction(Location("noise"), width=side, height=side, features=features, metadata=metadata)
        refusals.append(Judge(model).judge([noise_file]).reason == "outside experience")
    return float(np.mean(refusals))


def ece_floor(scores: np.ndarray, rng: np.random.Generator) -> float:
    """Return the mean ECE of images that are fake with exactly the probability of their scores."""
    even = np.full((1, len(scores)), 1 / len(scores))
    return float(
        np.mean([expected_calibration_error(rng.random(len(scores)) < scores, scores, even) for _ in range(100)])
    )


def shorter_side(dataset: Dataset) -> float:
    return float(np.median([min(s.width or 0, s.height or 0) for s in dataset.samples]))


def one_draw(
    dataset: Dataset,
    others: list[Dataset],
    metadata: Metadata,
    spec: FeatureSpec,
    classifier: ClassifierName,
    shots: int,
    seed: int,
) -> list[float]:
    """Return `NUMBERS` of a detector trained on some images, and the shares that it refuses."""
    rng = np.random.default_rng([seed, shots])
    train, test = draw(dataset, shots, rng)
    model = train_model(dataset.select(train), spec, classifier, seed=seed)
    tested = dataset.select(test)
    values = evaluate_model(model, tested).metrics.to_dict()
    values["floor"] = ece_floor(model.scores(tested.features), rng)
    some = [d.select(rng.permutation(len(d.y))[:N_OTHERS]) for d in others]
    of_others = float(np.mean([refused(model, d) for d in some])) if some else np.nan
    return [*(values[n] for n in NUMBERS), refused(model, tested), of_others, refused_noise(model, metadata, rng)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("matched", type=Path)
    parser.add_argument("--source", action="append", required=True, metavar="NAME:GROUPS")
    parser.add_argument("--features", default="residual")
    parser.add_argument("--classifier", choices=("svm", "logreg"), default="svm")
    parser.add_argument("--shots", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    spec = FeatureSpec.preset(args.features)
    sources = {
        name: read_source(args.matched / name, groups, spec) for name, groups in (s.split(":") for s in args.source)
    }
    print(f"{'source':<24}" + "".join(f"{name:>19}" for name in (*NUMBERS, "refused", "of other sizes", "noise")))
    for name, dataset in sources.items():
        side, own = shorter_side(dataset), dataset.samples[0].metadata
        assert own is not None
        ratios = {other: shorter_side(d) / side for other, d in sources.items()}
        others = [d for other, d in sources.items() if max(ratios[other], 1 / ratios[other]) > SIZE_TOLERANCE]
        draws = [one_draw(dataset, others, own, spec, args.classifier, args.shots, seed) for seed in range(args.seeds)]
        print(f"{name:<24}" + "".join(f"{value:>19.3f}" for value in np.mean(draws, axis=0)), flush=True)


if __name__ == "__main__":
    main()
