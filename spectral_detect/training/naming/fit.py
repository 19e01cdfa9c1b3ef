"""Learn to name the generators of images, and measure how well that works on images and generators held out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from spectral_detect.detector.classifiers import ClassifierName, feature_group_kernel, split_features
from spectral_detect.detector.experience import mean_of_tiles
from spectral_detect.detector.naming import CAMERA, NONE_OF_THESE, Naming, NamingKind, NamingReport, softmax
from spectral_detect.errors import DatasetError
from spectral_detect.records import REAL
from spectral_detect.text import visible
from spectral_detect.training.dataset import MIN_PER_CLASS, Dataset
from spectral_detect.training.fit import LOGREG_C, SVM_C, balanced

N_FOLDS = 5
KNOWN_REFUSED = 0.05  # share of each class's images held out that may be called none of these
MOST_IMAGES = 4000  # a kernel of them takes a few seconds
MOST_FOR_OPEN_SET = 800  # of all classes together: a naming is fitted for each generator and fold
SLOPES = (-4.0, 4.0)  # logarithms to the base of 10


def fit_naming(
    dataset: Dataset, classifier: ClassifierName, group_sizes: Sequence[int] | None = None, *, seed: int = 0
) -> Naming:
    """Fit a classifier for each generator and for camera images, of that class against the others.

    Parameters
    ----------
    dataset : Dataset
        Labelled images; the `sources` of the fakes are the names of their generators.
    classifier : {"svm", "logreg"}
        Kind of classifier.
    group_sizes : sequence of int, optional
        Number of features of each group; each has a kernel of its own. By default there is one group.
    seed : int
        Seed of the folds, and of the choice of images if there are more than `MOST_IMAGES`.

    Raises
    ------
    DatasetError
        There are fewer than two generators, too few images or groups of one, an image in two of them, or the classifier
        is of another kind.

    Notes
    -----
    The probabilities are a softmax of the decision values times a slope that is fitted to values out of fold
    (temperature scaling: Guo et al., "On calibration of modern neural networks", ICML 2017). An image is none of these
    if no classifier claims it: if its largest decision value is below the one that 95 % of the images held out reach,
    each class counting alike.
    """
    if classifier not in ("svm", "logreg"):
        raise DatasetError(f"{classifier} names no generators", remedy="use `classifier=svm` or `classifier=logreg`")
    kind: NamingKind = "svm" if classifier == "svm" else "logreg"
    names, of_sample = _classes(dataset)
    _require_enough(dataset, names, of_sample)
    kept = balanced(of_sample, MOST_IMAGES, seed)
    X = np.stack([mean_of_tiles(dataset.features[k]) for k in kept])
    images = _Images(X, of_sample[kept], dataset.groups[kept], kind, np.array(group_sizes or X.shape[1:]))
    held_out = _held_out(images, X[:0], seed)
    if held_out is None:
        raise DatasetError("too few groups to hold out images of each generator", remedy="put fewer into one group")
    limit = _limit(held_out)
    auroc, refused = _open_set(images.select(balanced(images.c, MOST_FOR_OPEN_SET, seed)), names, seed)
    report = NamingReport(
        n_files=_counts(of_sample, np.array([sample.path for sample in dataset.samples]), len(names)),
        n_groups=_counts(of_sample, dataset.groups, len(names)),
        confusion=_confusion(held_out, limit),
        open_set_auroc=auroc,
        open_set_refused=refused,
    )
    return replace(_fit(images), names=names, slope=_slope(held_out), limit=limit, report=report)


# ------------------------------------------------------------------------------------------------------------ classes


def _classes(dataset: Dataset) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the names of the classes, and the number of each sample's."""
    names = [CAMERA if y == REAL else dataset.source_of(k) for k, y in enumerate(dataset.y.tolist())]
    generators = sorted({name for name, y in zip(names, dataset.y.tolist(), strict=True) if y != REAL})
    for name in generators:
        if name.casefold() in (CAMERA, NONE_OF_THESE):
            raise DatasetError(
                f"a generator is called {name!r}", remedy="rename its folder: that name means no generator"
            )
    if len(generators) < 2:
        raise DatasetError(
            f"{len(generators)} generator with images that can be read", remedy="naming needs two or more"
        )
    numbers = {name: k for k, name in enumerate((CAMERA, *generators))}
    return tuple(numbers), np.array([numbers[name] for name in names])


def _require_enough(dataset: Dataset, names: tuple[str, ...], of_sample: np.ndarray) -> None:
    for k, name in enumerate(names):
        groups = dataset.groups[of_sample == k]
        if len(groups) < MIN_PER_CLASS or len(np.unique(groups)) < 2:
            raise DatasetError(
                f"{visible(name)}: {len(groups)} usable images in {len(np.unique(groups))} groups",
                remedy=f"naming needs at least {MIN_PER_CLASS} images of each generator, in two groups or more",
            )
    seen: dict[object, tuple[int, str]] = {}
    for k, sample, file in zip(of_sample.tolist(), dataset.samples, dataset.files, strict=True):
        first, path = seen.setdefault(file, (k, sample.path))
        if first != k:
            raise DatasetError(
                f"the same file is of {names[first]!r} and {names[k]!r}: {path!r} and {sample.path!r}",
                remedy="remove it from one generator",
            )


def _counts(of_sample: np.ndarray, things: np.ndarray, n_classes: int) -> tuple[int, ...]:
    """Return the number of different things of each class."""
    return tuple(len(np.unique(things[of_sample == k])) for k in range(n_classes))


# ---------------------------------------------------------------------------------------------------------- one naming


@dataclass(frozen=True, eq=False)
class _Images:
    """Features (n_images, n_features) of images, their classes from 0 on and groups, and how to tell the classes."""

    X: np.ndarray
    c: np.ndarray
    groups: np.ndarray
    kind: NamingKind
    group_sizes: np.ndarray

    def select(self, at: np.ndarray) -> _Images:
        """Return some of the images; the classes that are left are numbered anew."""
        c = np.unique(self.c[at], return_inverse=True)[1]
        return replace(self, X=self.X[at], c=c, groups=self.groups[at])


def _fit(images: _Images) -> Naming:
    """Fit the classifiers; names, slope, limit and report are still to come."""
    mean, scale = images.X.mean(axis=0), images.X.std(axis=0)
    scale[scale < 1e-12] = 1.0
    Z, sizes = (images.X - mean) / scale, images.group_sizes
    fitted = _fit_svms(Z, images.c, sizes) if images.kind == "svm" else _fit_regressions(Z, images.c, sizes)
    coefficients, intercepts, support_vectors, gamma = fitted
    return Naming(
        names=(),
        kind=images.kind,
        mean=mean,
        scale=scale,
        coefficients=coefficients,
        intercepts=intercepts,
        support_vectors=support_vectors,
        gamma=gamma,
        group_sizes=sizes.astype(float),
    )


_Arrays = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # coefficients, intercepts, support vectors, gamma


def _fit_svms(Z: np.ndarray, c: np.ndarray, sizes: np.ndarray) -> _Arrays:
    from sklearn.svm import SVC

    parts = split_features(Z, sizes)
    gamma = np.array([1 / max(part.shape[1] * part.var(), 1e-12) for part, _ in parts])
    kernel = feature_group_kernel(parts, parts, gamma)
    classes = np.unique(c)
    coefficients, intercepts = np.zeros((len(classes), len(Z))), np.zeros(len(classes))
    for k, label in enumerate(classes):
        svc = SVC(C=SVM_C, kernel="precomputed", class_weight="balanced").fit(kernel, c == label)
        coefficients[k, svc.support_] = svc.dual_coef_[0]
        intercepts[k] = svc.intercept_[0]
    used = np.any(coefficients != 0, axis=0)
    return coefficients[:, used], intercepts, Z[used], gamma


def _fit_regressions(Z: np.ndarray, c: np.ndarray, sizes: np.ndarray) -> _Arrays:
    from sklearn.linear_model import LogisticRegression

    regressions = [
        LogisticRegression(C=LOGREG_C, max_iter=10_000, class_weight="balanced").fit(Z, c == label)
        for label in np.unique(c)
    ]
    coefficients = np.stack([regression.coef_[0] for regression in regressions])
    intercepts = np.array([float(regression.intercept_[0]) for regression in regressions])
    return coefficients, intercepts, np.zeros((0, Z.shape[1])), np.ones(len(sizes))


# ------------------------------------------------------------------------------------------------------------ held out


@dataclass(frozen=True, eq=False)
class _HeldOut:
    """Classes and decision values, (n, n_classes), of images held out, by classifiers that did not see them.

    `of_others` are the values of images of no class, by the same classifiers.
    """

    c: np.ndarray
    values: np.ndarray
    of_others: np.ndarray


def _held_out(images: _Images, others: np.ndarray, seed: int) -> _HeldOut | None:
    """Return the values of images and of others by classifiers of each fold; None if groups are too few."""
    c, values, of_others = [], [], []
    fold = spread(images.c, images.groups, seed)
    for k in np.unique(fold):
        train, test = fold != k, fold == k
        if len(np.unique(images.c[train])) < len(np.unique(images.c)):
            continue
        fitted = _fit(images.select(train))
        c.append(images.c[test])
        values.append(fitted.values_of(images.X[test]))
        of_others.append(fitted.values_of(others))
    if not c:
        return None
    return _HeldOut(np.concatenate(c), np.concatenate(values), np.concatenate(of_others))


def spread(c: np.ndarray, groups: np.ndarray, seed: int) -> np.ndarray:
    """Return the fold of each image, so that the groups of every class lie in as many folds as can be.

    A class of two groups is then learned from one while the other is held out, which a cross-validation that mixes the
    classes alike does not promise.
    """
    n_groups_of = np.array([len(np.unique(groups[c == k])) for k in range(c.max() + 1)])
    members = [np.flatnonzero(groups == g) for g in np.random.default_rng(seed).permutation(np.unique(groups))]
    members.sort(key=lambda at: n_groups_of[c[at]].min())
    fold, n_images = np.zeros(len(c), dtype=int), np.zeros(N_FOLDS)
    n_here = np.zeros((len(n_groups_of), N_FOLDS), dtype=int)  # groups of each class in each fold
    for at in members:
        classes = sorted(np.unique(c[at]), key=lambda k: int(n_groups_of[k]))
        chosen = min(range(N_FOLDS), key=lambda k: (*n_here[classes, k], n_images[k]))
        fold[at] = chosen
        n_here[classes, chosen] += 1
        n_images[chosen] += len(at)
    return fold


def _slope(held_out: _HeldOut) -> float:
    """Return the slope that makes the true classes most probable, each class counting alike."""
    from scipy.optimize import minimize_scalar

    weights, true = _class_weights(held_out.c), (np.arange(len(held_out.c)), held_out.c)

    def loss(log_slope: float) -> float:
        probabilities = softmax(10**log_slope * held_out.values)[true]
        return float(-(weights * np.log(np.maximum(probabilities, 1e-300))).sum())

    return float(10 ** minimize_scalar(loss, bounds=SLOPES, method="bounded").x)


def _limit(held_out: _HeldOut) -> float:
    """Return the largest decision value that all but `KNOWN_REFUSED` of the images reach, each class counting alike."""
    largest = held_out.values.max(axis=1)
    order = np.argsort(largest)
    below = np.cumsum(_class_weights(held_out.c)[order])
    return float(largest[order][np.searchsorted(below, KNOWN_REFUSED, side="right")])


def _class_weights(c: np.ndarray) -> np.ndarray:
    """Return (n_images,) weights that add up to the same for each class, and to 1 in all."""
    counts = Counter(c.tolist())
    return np.array([1 / (counts[k] * len(counts)) for k in c.tolist()])


def _confusion(held_out: _HeldOut, limit: float) -> np.ndarray:
    n = held_out.values.shape[1]
    called = np.where(held_out.values.max(axis=1) < limit, n, held_out.values.argmax(axis=1))
    counts = np.zeros((n, n + 1), dtype=int)
    np.add.at(counts, (held_out.c, called), 1)
    return counts


def _open_set(images: _Images, names: tuple[str, ...], seed: int) -> tuple[dict[str, float], dict[str, float]]:
    """Return how well a naming without a generator tells its images from others held out, and the share it refuses."""
    from sklearn.metrics import roc_auc_score

    auroc, refused = {}, {}
    for k, name in enumerate(names):
        if name == CAMERA:
            continue
        held_out = _held_out(images.select(images.c != k), images.X[images.c == k], seed)
        if held_out is None:
            continue
        known, new = held_out.values.max(axis=1), held_out.of_others.max(axis=1)
        is_known = np.repeat([1, 0], [len(known), len(new)])
        auroc[name] = float(roc_auc_score(is_known, np.concatenate([known, new])))
        refused[name] = float(np.mean(new < _limit(held_out)))
    return auroc, refused
