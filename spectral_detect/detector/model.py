"""Hold a trained detector: everything that turns features into a score and a verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from spectral_detect.detector.calibration import Calibration
from spectral_detect.detector.classifiers import Classifier, Fitted
from spectral_detect.detector.experience import Experience, FeatureCloud, OutsiderCheck
from spectral_detect.detector.memory.files import MAX_MARKS, UNKNOWN_FILES, is_marked
from spectral_detect.detector.memory.summary import TrainingSummary
from spectral_detect.detector.naming import Naming
from spectral_detect.detector.track_record import TrackRecord
from spectral_detect.errors import FeatureError, OptionError
from spectral_detect.features.spec import FeatureSpec
from spectral_detect.media.delivery import Delivery
from spectral_detect.records import CLASS_NAMES, LABELS
from spectral_detect.text import cut_in_the_middle, visible

CHANCE = 0.5  # AUROC
LONGEST_NAME = 80
LEAST_GRAY = 0.01  # share of the training images; with fewer, nothing is known of such images
MIN_TILES = 4  # of fewer, the deviation says little


@dataclass(frozen=True, eq=False)
class Model:
    """Hold a trained detector: everything that turns features into a score and a verdict.

    Attributes
    ----------
    spec : FeatureSpec
        The features it was trained on, the only ones that it may be given.
    classifier : Classifier
        Takes standardised features, gives decision values.
    mean, scale : (n_features,) array
        Standardisation, X -> (X - mean) / scale.
    calibration : Calibration
        Turns a decision value into the score.
    threshold : float
        A score at or above it is fake.
    training : dict
        What it was trained on (counts, groups, hash of the file hashes, settings).
    metrics : dict
        The cross-validated estimate made at training.
    experience : Experience or None
        The images it has seen; None if there were too few groups to tell.
    undecided : (float, float) or None
        Scores between these two decide nothing, see `undecided_range`; None if every score decides.
    track_record : tuple of TrackRecord
        How often it was right, by the coding of the files, the narrowest first; empty if it decides every score.
    cloud : FeatureCloud or None
        Where their features lie; None without experience.
    outsiders : OutsiderCheck or None
        Tells images of kinds that it was not made for; None if it was not trained with such.
    delivery : Delivery or None
        What each image goes through before its features, as its training images did; None if they were taken as they
        are.
    parts : tuple of Model
        The models of a fused one: its classifier takes their log likelihood ratios, as `inputs` gives them, and an
        image must lie in the experience of each; empty for any other.
    small : Model or None
        What judges images that are too small for the `experience` of this one: on the same features, in the same file,
        with calibration, range of undecided scores and track record of its own; None if nothing does.
    class_names : (str, str)
        What its two classes are called, label 0 first; "real" and "fake" unless it has names of its own.
    naming : Naming or None
        Names the generator of an image; None if it was not trained with `attribute`.
    summary : TrainingSummary or None
        What its training images were like, for `explain`; None if it was trained without labels, or before there was
        one.
    file_marks : (n,) array
        See `memory.files.marks_of`: by which it knows its training files again; empty in files made before there were
        such.
    reference : (n, n_features) array
        A few training vectors; the file stores their scores, and loading checks them.
    card : str
        Text for people: what the model is good for.
    created : str
        Time of saving, UTC.
    libraries : dict
        Versions of the libraries at that time.
    name, sha256 : str
        Name and hash of the file it was loaded from; empty before it is saved.
    """

    spec: FeatureSpec
    classifier: Classifier
    mean: np.ndarray
    scale: np.ndarray
    calibration: Calibration
    threshold: float
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    experience: Experience | None = None
    cloud: FeatureCloud | None = None
    undecided: tuple[float, float] | None = None
    track_record: tuple[TrackRecord, ...] = ()
    delivery: Delivery | None = None
    outsiders: OutsiderCheck | None = None
    parts: tuple[Model, ...] = ()
    small: Model | None = None
    class_names: tuple[str, str] = CLASS_NAMES
    naming: Naming | None = None
    summary: TrainingSummary | None = None
    file_marks: np.ndarray = field(default_factory=lambda: np.empty(0))
    reference: np.ndarray = field(default_factory=lambda: np.empty((0, 0)))
    card: str = ""
    created: str = ""
    libraries: dict[str, str] = field(default_factory=dict)
    name: str = ""
    sha256: str = ""

    def __repr__(self) -> str:
        """Return one paragraph: what it is, what it was trained on, how good it was on images held out."""
        name = cut_in_the_middle(visible(self.name), LONGEST_NAME) or "(not saved)"
        kind = f"{self.classifier.kind} on {self.n_features} {visible(self.spec.name)} features"
        return f"<Model {name}: {kind}, {self._trained_on}; threshold {self.threshold:.3f}, {self._held_out}>"

    @property
    def _trained_on(self) -> str:
        names = {"n_real": "real", "n_fake": "fake", "n_unlabelled": "unlabelled"}
        counts = [f"{self.training[key]} {name}" for key, name in names.items() if self.training.get(key)]
        return visible(
            f"trained on {' and '.join(counts) or 'unknown'} images in {self.training.get('n_groups')} groups"
        )

    @property
    def _held_out(self) -> str:
        if self.balanced_accuracy is None or self.metrics.get("auroc") is None:
            return "not measured on images held out"
        low, high = self.metrics["auroc_ci"]
        return (
            f"held-out balanced accuracy {100 * self.balanced_accuracy:.1f} %, "
            f"AUROC {100 * self.metrics['auroc']:.1f} % (95 % interval {100 * low:.1f} to {100 * high:.1f} %)"
        )

    def class_name(self, verdict: str) -> str | None:
        """Return the model's own name for a verdict; None if it has none."""
        if self.class_names == CLASS_NAMES or verdict not in LABELS:
            return None
        return self.class_names[LABELS[verdict]]

    @property
    def knows_no_gray(self) -> bool:
        """Whether it looks at colours, and hardly an image that it was trained and measured on was without them."""
        n_gray, n = self.training.get("n_gray"), sum(self.training.get(name, 0) for name in ("n_real", "n_fake"))
        return self.spec.needs_colour and n_gray is not None and bool(n_gray < LEAST_GRAY * n)

    @property
    def base(self) -> Mapping[str, Any]:
        """Return what its file says of the model that it went on from; empty if from none."""
        base = self.training.get("onto")
        return base if isinstance(base, dict) else {}

    @property
    def training_warnings(self) -> tuple[str, ...]:
        """Return what its training warned of, in words that anybody may have written."""
        notes = self.training.get("warnings")
        own = tuple(note for note in notes if isinstance(note, str)) if isinstance(notes, list) else ()
        return (*own, *(note for part in self.parts for note in part.training_warnings))

    @property
    def is_guess(self) -> bool:
        """Tell whether it was trained without labels: which of its two clusters is called fake is then a guess."""
        return bool(self.training.get("n_unlabelled")) or any(part.is_guess for part in self.parts)

    @property
    def needs_portrait(self) -> bool:
        """Tell whether an image must show a large face to be judged."""
        return self.experience is not None and self.experience.needs_portrait

    @property
    def n_features(self) -> int:
        """The length of the feature vectors that it takes."""
        return sum(part.n_features for part in self.parts) if self.parts else len(self.mean)

    def of_parts(self, image: np.ndarray) -> list[np.ndarray]:
        """Return the features of an image for each of the parts of a fused model."""
        split = np.split(np.asarray(image), np.cumsum([part.n_features for part in self.parts])[:-1], axis=-1)
        own = zip(self.parts, split, strict=True)
        return [
            (some if part.spec.gives_tiles else np.atleast_2d(some)[0]).astype(part.spec.precision)
            for part, some in own
        ]

    def ratios_of_parts(self, image: np.ndarray) -> list[float | None]:
        """Return the decimal log likelihood ratio of an image by each of the parts of a fused model."""
        scored = [
            float(part.calibration.scores(part.decision_values([some]))[0])
            for part, some in zip(self.parts, self.of_parts(image), strict=True)
        ]
        return [part.calibration.log10_likelihood_ratio(score) for part, score in zip(self.parts, scored, strict=True)]

    def parts_line(self, image: np.ndarray) -> str | None:
        """Return name and ratio of each of the parts of a fused model, in words; None for any other."""
        if not self.parts:
            return None
        ratios = zip(self.parts, self.ratios_of_parts(image), strict=True)
        return "; ".join(f"{part.name} {ratio:+.3f}" for part, ratio in ratios if ratio is not None)

    def inputs(self, image: np.ndarray) -> np.ndarray:
        """Return what the classifier takes of an image: its features, or the ratios by the parts of a fused model."""
        return np.array(self.ratios_of_parts(image), dtype=np.float64) if self.parts else np.asarray(image)

    def with_small(self, small: Model) -> Model:
        """Return this model with one beside it that judges the images that are too small for it.

        Where every score has to decide, both do by the threshold of this one; the smaller leaves undecided what lies
        between its own limits and that. What lies outside its experience is told by the sizes that the two judge
        together.

        Raises
        ------
        OptionError
            They have not the same features, classes and delivery; one does not know which sizes it has seen, or is made
            of others; only one is calibrated; or the smaller leaves no score undecided.
        """
        pair = (self, small)
        if any(getattr(self, name) != getattr(small, name) for name in ("spec", "class_names", "delivery")):
            raise OptionError("the model for small images has other features, classes or deliveries")
        if any(one.experience is None or one.needs_portrait for one in pair):
            raise OptionError("a model for small images, and the one beside it, know which sizes they have seen")
        if len({one.calibration.kind == "none" for one in pair}) > 1:
            raise OptionError("of a model for small images and the one beside it only one is calibrated")
        if any(one.parts or one.small or one.naming for one in pair):
            raise OptionError("a model for small images, and the one beside it, are not made of others")
        if small.undecided is None:
            raise OptionError("the model for small images decides every score")
        assert self.experience and small.experience
        most_px = max(self.experience.max_side_px, small.experience.max_side_px)
        experience = replace(small.experience, max_side_px=most_px)
        records = tuple(replace(record, below_px=self.experience.least_side_px) for record in small.track_record)
        low, high = min(small.undecided[0], self.threshold), max(small.undecided[1], self.threshold)
        own = replace(
            small, threshold=self.threshold, undecided=(low, high), experience=experience, track_record=records
        )
        return replace(self, small=own)

    def of_size(self, width: int, height: int) -> Model:
        """Return what judges images of such a size, in pixels: itself, or the model for `small` ones."""
        if self.small is None or self.experience is None or min(width, height) >= self.experience.least_side_px:
            return self
        return self.small

    @property
    def balanced_accuracy(self) -> float | None:
        """The balanced accuracy, cross-validated at training; None if that could not be measured."""
        value = self.metrics.get("balanced_accuracy")
        return None if value is None else float(value)

    @property
    def unseen(self) -> str:
        """Say on which files the track record was measured: on other sources only if training images came in groups."""
        n_images, n_groups = (self.training.get(key) or 0 for key in ("n_real", "n_groups"))
        n_images += self.training.get("n_fake") or 0
        if n_groups and 2 * n_groups <= n_images:
            return "from sources that it had not seen"
        return "that it had not seen, though perhaps others of their sources"

    @property
    def why_useless(self) -> str | None:
        """Why the model decides nothing: its cross-validated AUROC may be that of chance; None if it is not."""
        if self.metrics.get("auroc") is None:
            return None
        low, high = self.metrics["auroc_ci"]
        if low > CHANCE:
            return None
        interval = f"95 % interval {100 * low:.1f} to {100 * high:.1f} %"
        return f"no better than chance: cross-validated AUROC {100 * self.metrics['auroc']:.1f} %, {interval}"

    def was_trained_on(self, sha256: str | None, features: np.ndarray | None) -> bool:
        """Tell whether an image is known for a training image, by the hash of its file or by its features.

        One that is not known may be one all the same, unless the model `knows_its_files`.
        """
        if is_marked(sha256, self.file_marks) or (self.small and self.small.was_trained_on(sha256, features)):
            return True
        own = self.of_parts(features) if self.parts and features is not None else [None] * len(self.parts)
        if any(part.was_trained_on(sha256, some) for part, some in zip(self.parts, own, strict=True)):
            return True
        if features is None or self.summary is None or self.cloud is None:
            return False
        return self.summary.holds(self.cloud.position(features))

    @property
    def knows_its_files(self) -> bool:
        """Tell whether the model knows each of its training files again."""
        is_told = 0 < len(self.file_marks) < MAX_MARKS and not self.training.get(UNKNOWN_FILES)
        return is_told and all(other.knows_its_files for other in (*self.parts, *((self.small,) if self.small else ())))

    def decision_values(self, features: Iterable[np.ndarray]) -> np.ndarray:
        """Return (n_samples,) raw margins of images, each given as `extract_features` returns it."""
        return Fitted(self.mean, self.scale, self.classifier).decision_values(map(self.inputs, features))

    def tile_values(self, image: np.ndarray) -> np.ndarray:
        """Return the (n_tiles,) raw margins of the tiles of an image, whose mean is its decision value."""
        return Fitted(self.mean, self.scale, self.classifier).tile_values(image)

    def distance(self, features: np.ndarray) -> float:
        """Return how far an image lies from the training images, in multiples of the limit; 0 without a `cloud`."""
        if self.parts:
            return max(part.distance(some) for part, some in zip(self.parts, self.of_parts(features), strict=True))
        return self.cloud.distance(features) if self.cloud else 0.0

    def outsider(self, features: np.ndarray) -> str | None:
        """Return why an image is of a kind that the model was not made for; None if it is not."""
        if self.parts:
            found = [part.outsider(some) for part, some in zip(self.parts, self.of_parts(features), strict=True)]
            return next(filter(None, found), None)
        is_one = self.outsiders is not None and self.outsiders.is_outsider(features)
        return f"it looks like {self.outsiders.kinds}" if self.outsiders and is_one else None

    def scores(self, features: Iterable[np.ndarray]) -> np.ndarray:
        """Return (n_samples,) scores in [0, 1], higher is more fake.

        Parameters
        ----------
        features : sequence of arrays
            Of each image, as `extract_features` returns them: (n_features,) or (n_tiles, n_features). Put those of one
            image into a list: each row of a single array is taken for an image.

        Raises
        ------
        FeatureError
            They are not the model's, or not finite.
        """
        return self.calibration.scores(self.decision_values(map(self._checked, features)))

    def _checked(self, image: np.ndarray) -> np.ndarray:
        image = np.asarray(image)
        if image.shape[-1:] != (self.n_features,) or image.ndim > 2 or not len(image):
            shape = f"({self.n_features},) or (n_tiles, {self.n_features})"
            raise FeatureError(
                f"features of shape {image.shape}: the model takes {visible(self.spec.name)!r} features, {shape}",
                remedy="scores are of several images: put one into a list",
            )
        if not np.isfinite(image).all():
            raise FeatureError("the features hold values that are not finite (NaN or infinity)")
        return image
