"""Read labelled files into vectors, labels and groups; split them so that groups stay together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from hashlib import sha256

import numpy as np

from spectral_detect.arguments import require_type
from spectral_detect.detector.model import Model
from spectral_detect.errors import DatasetError
from spectral_detect.extraction.many_files import extract_then, require_one_length
from spectral_detect.extraction.one_file import Extraction, Extractor, Keep
from spectral_detect.features.spec import FeatureSpec
from spectral_detect.media.coding import Coding
from spectral_detect.media.delivery import Delivery
from spectral_detect.media.edits import Edit
from spectral_detect.parallel.work import Work
from spectral_detect.records import FAKE, LABELS, REAL
from spectral_detect.text import counted
from spectral_detect.training.labelled_files import LabelledFile, source_names

MIN_PER_CLASS = 5
N_REFERENCE = 8

Progress = Callable[[Iterable[tuple[Extraction, ...]]], Iterable[tuple[Extraction, ...]]]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Features of the files that could be read, and the files that could not.

    Attributes
    ----------
    features : sequence of np.ndarray
        (n_features,) of each sample, or (n_tiles, n_features) if the spec cuts tiles.
    y : np.ndarray
        (n_samples,) REAL or FAKE; -1 if unlabelled.
    groups : np.ndarray
        (n_samples,) small integers; samples of one group belong on one side of any split. Copies of one file (equal
        hashes) are in one group.
    samples : tuple of Extraction
        The facts of each sample's file, without its features.
    failures : tuple of Extraction
        The files that gave no features.
    edits : tuple of Edit or None
        The edits of the images; each file gives one sample for each of them.
    extractor : Extractor or None
        How the files were read; None if the samples were made in another way.
    weights : np.ndarray
        (n_samples,), see `LabelledFile`; 1 if none are given.
    sources : tuple of str
        Where each sample comes from, for people; empty if nobody said.
    """

    features: Sequence[np.ndarray]
    y: np.ndarray
    groups: np.ndarray
    samples: tuple[Extraction, ...]
    failures: tuple[Extraction, ...]
    edits: tuple[Edit | None, ...] = (None,)
    extractor: Extractor | None = None
    weights: np.ndarray = field(default_factory=lambda: np.empty(0))
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not len(self.weights):
            object.__setattr__(self, "weights", np.ones(len(self.y)))
        counts = {name: len(getattr(self, name)) for name in ("features", "y", "groups", "samples", "weights")}
        if len(set(counts.values())) > 1:
            told = ", ".join(f"{n} {name}" for name, n in counts.items())
            raise DatasetError(f"{told}: a data set has one of each for a sample", remedy="`read_dataset` makes one")
        if not np.isin(self.y, (-1, REAL, FAKE)).all():
            raise DatasetError("a label is neither REAL (0) nor FAKE (1), nor -1 for unlabelled")

    def __repr__(self) -> str:
        """Describe the data set in a line."""
        spec = self.extractor.spec if self.extractor else None
        n_features = self.features[0].shape[-1] if len(self.features) else 0
        return (
            f"<Dataset: {self.n_real} real, {self.n_fake} fake of {counted(len(self.y), 'sample')} in "
            f"{counted(self.n_groups, 'group')}, {n_features} {spec.name + ' ' if spec else ''}features, "
            f"{counted(len(self.failures), 'failure')}>"
        )

    def select(self, at: np.ndarray) -> Dataset:
        """Return the samples at these indices, or those for which a mask is true."""
        chosen = np.arange(len(self.y))[at]
        return replace(
            self,
            features=[self.features[k] for k in chosen],
            y=self.y[chosen],
            groups=self.groups[chosen],
            weights=self.weights[chosen],
            samples=tuple(self.samples[k] for k in chosen),
            failures=(),
            sources=tuple(self.sources[k] for k in chosen) if self.sources else (),
        )

    def some_vectors(self) -> np.ndarray:
        """Return (`N_REFERENCE`, n_features) vectors of samples spread over the data set, of tiles the first."""
        at = np.linspace(0, len(self.features) - 1, N_REFERENCE).astype(int)
        return np.array([np.atleast_2d(self.features[k])[0] for k in at], dtype=np.float64)

    def source_of(self, sample: int) -> str:
        """Return where a sample comes from, for people."""
        return self.sources[sample] if self.sources else "(unnamed)"

    @property
    def files(self) -> list[object]:
        """Return what tells the samples' files apart: the hash, or of a file that nobody hashed its place."""
        return [k if sample.sha256 is None else sample.sha256 for k, sample in enumerate(self.samples)]

    @property
    def n_real(self) -> int:
        """Return the number of real samples."""
        return int(np.sum(self.y == REAL))

    @property
    def n_fake(self) -> int:
        """Return the number of fake samples."""
        return int(np.sum(self.y == FAKE))

    @property
    def n_groups(self) -> int:
        """Return the number of groups."""
        return len(np.unique(self.groups))

    @property
    def delivery(self) -> Delivery | None:
        """What the images went through before their features."""
        return self.extractor.delivery if self.extractor else None

    def require_features(self, spec: FeatureSpec) -> None:
        """Raise `DatasetError` if the files are known to have been read for another spec."""
        if self.extractor is not None and self.extractor.spec != spec:
            found = f"{self.extractor.spec.name!r} features" if self.extractor.spec else "no features"
            raise DatasetError(
                f"the images were read for {found}, not for the spec {spec.name!r} (or for another setting of it)",
                remedy="read them again with that spec",
            )

    def codings_by_class(self) -> list[list[Coding | None]]:
        """Return the codings of the files of each label that there is; those of one file that agree count once."""
        labelled = list(zip(self.samples, self.y.tolist(), strict=True))
        of_files = (dict.fromkeys((s.path, s.coding) for s, y in labelled if y == label) for label in np.unique(self.y))
        return [[coding for _, coding in of_class] for of_class in of_files]

    @property
    def sha256(self) -> str:
        """Return a hash of the sorted hashes of the files: it tells whether two models saw the same images."""
        return sha256("\n".join(sorted(str(s.sha256) for s in self.samples)).encode()).hexdigest()


def read_dataset(
    files: Sequence[LabelledFile],
    extractor: Extractor | FeatureSpec | Model,
    work: Work | None = None,
    *,
    progress: Progress = iter,
) -> Dataset:
    """Extract the features of labelled files.

    Parameters
    ----------
    files : sequence of LabelledFile
        Images and videos.
    extractor : FeatureSpec, Model or Extractor
        A spec gives its features, to train on; a model gives the features and the delivery that it takes, to evaluate
        it. An `Extractor` says more, such as the frames of videos. Its spec None reads the files without features, for
        an audit. Each of its edits gives one sample of every file (None leaves the image as it is); the samples of a
        file share its group.
    work : Work, optional
        How to run.
    progress : callable
        Passes the results on, a file at a time, to show progress.

    Returns
    -------
    Dataset
        The samples in the order of the files.

    Raises
    ------
    DatasetError
        No file gave features, or they differ in length (a spec with `n_bins=None` and images of unequal size).
    ArgumentError
        `extractor` is none of the three, or `files` are not labelled.
    """
    files, extractor = list(files), _as_extractor(extractor)
    for file in files[:1]:
        require_type("a file", file, LabelledFile, "`files_in_folders` and `files_in_manifest` find them")
    seeks_faces = extractor.spec is not None if extractor.seeks_faces is None else extractor.seeks_faces
    extractor = replace(extractor, examine=True, seeks_faces=seeks_faces)
    with closing(extract_then([f.file for f in files], extractor, Keep(), work)) as stream:
        extractions = [(f, e) for f, results in zip(files, progress(stream), strict=True) for e in results]
    read = [(f, e) for f, e in extractions if e.features is not None]
    failures = tuple({e.path: e for _, e in extractions if e.features is None}.values())
    if not read:
        first = f"; the first: {failures[0].path!r}: {failures[0].error}" if failures else ""
        raise DatasetError(f"none of {len(files)} files could be used{first}")
    require_one_length(e.features for _, e in read if e.features is not None)
    source = dict(zip(files, source_names(files), strict=True))
    return Dataset(
        features=[e.features for _, e in read if e.features is not None],
        y=np.array([-1 if f.label is None else f.label for f, _ in read]),
        groups=_group_numbers((f.group, str(e.sha256)) for f, e in read),
        samples=tuple(replace(e, features=None, tiles=None) for _, e in read),
        failures=failures,
        edits=extractor.edits,
        extractor=extractor,
        weights=np.array([f.weight for f, _ in read]),
        sources=tuple(source[f] for f, _ in read),
    )


def _as_extractor(source: Extractor | FeatureSpec | Model) -> Extractor:
    require_type(
        "extractor", source, (FeatureSpec, Model, Extractor), "`FeatureSpec.preset` and `load_model` take a name"
    )
    if isinstance(source, Model):
        return Extractor(source.spec, delivery=source.delivery, seeks_faces=source.needs_portrait)
    return Extractor(source, with_profile=True) if isinstance(source, FeatureSpec) else source


def members_of(dataset: Dataset, generators: Mapping[str, Sequence[LabelledFile]]) -> dict[str, np.ndarray]:
    """Return the indices of each generator's samples in a data set that holds the samples of all generators."""
    indices: dict[str, list[int]] = {}
    for k, sample in enumerate(dataset.samples):
        indices.setdefault(sample.path, []).append(k)
    return {
        name: np.array([k for file in files for k in indices.get(file.file.path, ())], dtype=int)
        for name, files in generators.items()
    }


def _group_numbers(keys: Iterable[tuple[str | None, str]]) -> np.ndarray:
    """Return the group number of each sample: files of one named group, and copies of one file, share theirs."""
    nodes: dict[tuple[str, str], int] = {}
    links = []
    for group, file_hash in keys:
        copy = nodes.setdefault(("sha256", file_hash), len(nodes))
        named = nodes.setdefault(("group", group), len(nodes)) if group is not None else copy
        links.append((copy, named))
    first, second = np.array(links).T
    return np.asarray(connected(first, second, len(nodes))[first])


def connected(first: np.ndarray, second: np.ndarray, n_nodes: int) -> np.ndarray:
    """Return (n_nodes,) numbers, equal for nodes that a chain of the links `first[k]` - `second[k]` connects."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    graph = coo_matrix((np.ones(len(first)), (first, second)), shape=(n_nodes, n_nodes))
    return np.asarray(connected_components(graph, directed=False)[1])


def require_both_classes(dataset: Dataset) -> None:
    """Raise `DatasetError` unless a detector can be trained: enough groups of each class, and no image in both.

    Files of a weight below 1 help, but nothing can be measured on them alone.
    """
    for name, label in LABELS.items():
        is_of_class = (dataset.y == label) & (dataset.weights >= 1)
        n, n_groups = int(is_of_class.sum()), len(np.unique(dataset.groups[is_of_class]))
        if n_groups < MIN_PER_CLASS:
            together = (
                f" in {counted(n_groups, 'group')} (a video is one, and so are copies of one file)"
                if n_groups < n
                else ""
            )
            raise DatasetError(
                f"{n} usable {name} images{together}",
                remedy=f"training needs at least {MIN_PER_CLASS} of each class, in as many groups",
            )
    refuse_contradictions(dataset)
    require_variety(dataset)


def require_variety(dataset: Dataset) -> None:
    """Raise `DatasetError` if the features of all images are the same."""
    features = dataset.features
    if len(features) > 1 and all(np.array_equal(one, features[0]) for one in features):
        raise DatasetError("the features of all images are the same", remedy="choose other features or other images")


def refuse_contradictions(dataset: Dataset) -> None:
    """Raise `DatasetError` if one file is in both classes."""
    seen: dict[object, tuple[int, str]] = {}
    for label, sample, file in zip(dataset.y, dataset.samples, dataset.files, strict=True):
        first_label, first_path = seen.setdefault(file, (label, sample.path))
        if first_label != label:
            raise DatasetError(
                f"the same file is real and fake: {first_path!r} and {sample.path!r}", remedy="remove it from one class"
            )


def folds(y: np.ndarray, groups: np.ndarray, n_splits: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return (train, test) indices of a stratified cross-validation that keeps groups together.

    Folds whose training part lacks a class are left out; the list is empty if there are too few groups.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    groups_per_class = Counter(label for label, _ in {*zip(y.tolist(), groups.tolist(), strict=True)})
    n_splits = min(n_splits, *groups_per_class.values())
    if n_splits < 2:
        return []
    split = StratifiedGroupKFold(n_splits, shuffle=True, random_state=seed).split(y, y, groups)
    return [(train, test) for train, test in split if len(np.unique(y[train])) == 2]
