"""Define how an image becomes a feature vector: every setting, with the named presets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from numbers import Integral
from types import NoneType
from typing import Any, Literal, get_args

from spectral_detect.errors import FeatureError
from spectral_detect.features.encoder.settings import Encoder
from spectral_detect.features.spectrum import MAX_FREQUENCY, Centre
from spectral_detect.lazy import cached_property
from spectral_detect.text import printable

SPEC_VERSION = 4
MIN_BINS, MAX_BINS = 8, 100_000  # a cubic spline needs a few
MAX_TILES_PER_SIDE = 64
MAX_SCALES = 8
COLOUR_BINS = 33
PATCH_PX = 16
MAGNITUDE_PX = 32
BLOCK_PX = 8  # a block of JPEG; tiles lie on its grid
FEATURE_GROUP_SIZES: dict[str, int | None] = {
    "profile": None,  # as many as it has bins
    "chroma_profile": 2 * COLOUR_BINS,
    "coherence": 3 * COLOUR_BINS,
    "block_spectrum": BLOCK_PX**2 - 1,
    "block_peakedness": BLOCK_PX**2 - 1,
    "patch_spectrum": (PATCH_PX // 2 + 1) ** 2,
    "magnitude": 3 * MAGNITUDE_PX * (MAGNITUDE_PX // 2 + 1),
    "colour_cooccurrence": 378,
    "chroma_cooccurrence": 234,
    "cooccurrence": 234,
    "normalised_luma": 69,
    "square_cooccurrence": 39,
    "square_colour_cooccurrence": 63,
    "square_chroma_cooccurrence": 39,
    "encoder": None,  # as many as the encoder gives
}
ENCODER = "encoder"  # group and preset
RESIDUAL_GROUPS = (
    "profile", "chroma_profile", "coherence", "block_spectrum", "block_peakedness", "patch_spectrum"
)  # fmt: skip
GROUPS_AT_EACH_SCALE = ("cooccurrence", "normalised_luma")
GROUPS_OF_RGB = ("colour_cooccurrence", "chroma_cooccurrence")  # at the first scale
GROUPS_OF_MIDDLE = (  # of the middle of the image as it is
    "square_cooccurrence", "square_colour_cooccurrence", "square_chroma_cooccurrence"
)  # fmt: skip
UNCUT_GROUPS = (*GROUPS_OF_RGB, *GROUPS_AT_EACH_SCALE, *GROUPS_OF_MIDDLE)  # of what is not cut into tiles for them
COLOUR_FEATURE_GROUPS = frozenset(
    ("chroma_profile", "coherence", "magnitude", *GROUPS_OF_RGB, *GROUPS_OF_MIDDLE[1:], ENCODER)
)

TYPE_NAMES = {int: "a whole number", NoneType: "None", str: "a text", tuple: "a tuple", Encoder: "an `Encoder`"}
FIELD_TYPES: dict[str, tuple[type, ...]] = {  # of fields that have no list of choices
    "name": (str,),
    "version": (int,),
    "groups": (tuple,),
    "scales": (tuple,),
    "tiles_per_side": (int, NoneType),
    "n_bins": (int, NoneType),
    "min_size_px": (int,),
    "encoder": (Encoder, NoneType),
}

Filter = Literal["none", "laplacian"]
Scale = Literal["log_of_mean", "mean_of_log", "durall_db"]
Normalisation = Literal["none", "mean", "first"]
Precision = Literal["float32", "float64"]


@dataclass(frozen=True)
class FeatureSpec:
    """Hold every setting that turns an image into a feature vector; stored in each model.

    Attributes
    ----------
    name : str
        The preset that it comes from.
    version : int
        Version of the meaning of these fields; a spec of another version is refused.
    groups : tuple of str
        Feature groups, joined in this order: names of functions in `feature_groups`. In an SVM each has a kernel of its
        own, `GROUPS_AT_EACH_SCALE` at each of the `scales`.
    scales : tuple of int
        Shorter sides in pixels to which the image is reduced, the largest first, see `reduced.reduced`: it then gives
        one vector, the mean over its tiles and the groups that look at the whole image at the first scale, and
        `GROUPS_AT_EACH_SCALE` again at each other; then `GROUPS_OF_MIDDLE`, of the image as it is.
        Empty: the image as it is.
    tiles_per_side : int or None
        Each tile of an image gives a vector of its own, with at most so many tiles along a side, see
        `extract.tile_corners`; a score is made of the mean over the tiles. None: one vector of the whole image.
    filter : str
        Applied to the pixels before the FFT. "laplacian" cuts the leakage of the image border.
    scale : str
        Scale of the profile. With P = |DFT|^2 / (H W): "log_of_mean", ln of the mean of P over a ring; "mean_of_log",
        the mean of ln P; "durall_db", the published mean of 20 ln|DFT + 1e-8|.
    centre : str
        Where rings are centred, see `spectrum.azimuthal_average`.
    n_bins : int or None
        Length of each profile after resampling by a cubic spline; None keeps one value per ring, so that images of
        different sizes give vectors of different lengths.
    normalisation : str
        "mean" subtracts the profile's mean, so that contrast drops out; "first" divides by the first value.
    precision : str
        Floating dtype of the FFT and of the features.
    min_size_px : int
        Least length of the shorter side.
    encoder : Encoder or None
        The network that gives the features of the group "encoder", the last of the groups; None without that group.

    Raises
    ------
    FeatureError
        If a field has a value that it does not take.
    """

    name: str
    version: int = SPEC_VERSION
    groups: tuple[str, ...] = ("profile",)
    scales: tuple[int, ...] = ()
    tiles_per_side: int | None = None
    filter: Filter = "none"
    scale: Scale = "log_of_mean"
    centre: Centre = "zero_frequency"
    n_bins: int | None = 300
    normalisation: Normalisation = "mean"
    precision: Precision = "float32"
    min_size_px: int = 16
    encoder: Encoder | None = None

    def __post_init__(self) -> None:
        for field, kinds in FIELD_TYPES.items():
            value = getattr(self, field)
            if tuple in kinds and isinstance(value, list):
                object.__setattr__(self, field, tuple(value))
            elif int in kinds and type(value) is not bool and isinstance(value, Integral):
                object.__setattr__(self, field, int(value))  # a whole number of NumPy is one
            elif type(value) not in kinds:
                expected = " or ".join(TYPE_NAMES[kind] for kind in kinds)
                raise FeatureError(f"{field} {value!r}: it is {expected}")
        if self.version != SPEC_VERSION:
            raise FeatureError(_other_version(self.version))
        choices = {"filter": Filter, "scale": Scale, "centre": Centre, "normalisation": Normalisation}
        for field, allowed in {**choices, "precision": Precision}.items():
            if getattr(self, field) not in get_args(allowed):
                raise FeatureError(f"{field} {getattr(self, field)!r}: it is one of {', '.join(get_args(allowed))}")
        known = all(group in tuple(FEATURE_GROUP_SIZES) for group in self.groups)
        if not self.groups or not known or len(set(self.groups)) < len(self.groups):
            raise FeatureError(f"groups {self.groups!r}: one or more of {', '.join(FEATURE_GROUP_SIZES)}, none twice")
        if self.tiles_per_side is not None and not 1 <= self.tiles_per_side <= MAX_TILES_PER_SIDE:
            raise FeatureError(f"tiles_per_side {self.tiles_per_side}: it is None or 1 to {MAX_TILES_PER_SIDE}")
        if self.n_bins is None and (len(self.groups) > 1 or self.tiles_per_side is not None):
            raise FeatureError(
                "`n_bins=None`, a value for each ring, goes with a profile alone",
                remedy="use `features=azimuthal` or `features=durall`, or give a number of bins",
            )
        if self.n_bins is not None and not MIN_BINS <= self.n_bins <= MAX_BINS:
            raise FeatureError(f"`n_bins={self.n_bins}`: give {MIN_BINS} to {MAX_BINS}, or `n_bins=None`")
        if self.min_size_px < 8:
            raise FeatureError(f"min_size_px {self.min_size_px}: below 8 pixels there are too few rings")
        if "magnitude" in self.groups and self.min_size_px < MAGNITUDE_PX:
            raise FeatureError(f"min_size_px {self.min_size_px}: magnitude looks at blocks of {MAGNITUDE_PX} pixels")
        self._check_scales()
        self._check_encoder()

    def _check_encoder(self) -> None:
        if self.encoder is None and ENCODER in self.groups:
            raise FeatureError("the features of an encoder need its file", remedy="name an ONNX file: `encoder`")
        if self.encoder is not None and self.groups[-1] != ENCODER:
            raise FeatureError("an encoder goes with `features=encoder`")
        if self.encoder is not None and len(self.groups) > 1 and self.tiles_per_side is not None and not self.scales:
            raise FeatureError("an encoder sees the whole image: it does not go with features of tiles")

    def _check_scales(self) -> None:
        if len(self.scales) > MAX_SCALES or not all(type(s) is int and s >= self.min_size_px for s in self.scales):
            raise FeatureError(f"scales {self.scales!r}: up to {MAX_SCALES} whole numbers from `min_size_px` on")
        if self.scales and self.tiles_per_side is None:
            raise FeatureError("scales go with tiles", remedy="give `tiles_per_side`")
        cut = self.groups_of_pixels
        whole = tuple(name for name in cut if name in UNCUT_GROUPS)
        if whole and not self.scales:
            raise FeatureError(f"{', '.join(whole)}: beside those of reduced images only", remedy="give `scales`")
        if list(self.scales) != sorted(set(self.scales), reverse=True):
            raise FeatureError(f"scales {self.scales!r}: the largest first, none twice")
        in_order = [name for name in UNCUT_GROUPS if name in whole]
        if whole and (whole == cut or cut[-len(whole) :] != whole or list(whole) != in_order):
            raise FeatureError(f"{', '.join(whole)}: after other groups, and in the order {', '.join(in_order)}")

    @classmethod
    def preset(cls, name: str = "azimuthal", **changes: Any) -> FeatureSpec:
        """Return the named preset, with `changes` to its fields.

        Parameters
        ----------
        name : str
            "azimuthal", the default: gray, a Laplacian against the leakage of the image border, log of the mean power
            of each ring about the zero frequency, 300 bins, mean subtracted so that contrast drops out; each choice
            measured, see `PRESETS`. "residual": six feature groups of luma and chroma from each tile of the image.
            "world": seven groups of the image reduced to two small sizes, and three of its middle as it is, for images
            of unknown history. "magnitude": the log magnitude spectrum of 32x32 pixels, for adversarial perturbations.
            "durall": exactly the published computation. "encoder": what a network gives, which `encoder` names.
        **changes
            Values of fields in place of the preset's.

        Raises
        ------
        FeatureError
            If there is no such preset or field, or a field does not take the value.
        """
        if name not in PRESET_NAMES:
            raise FeatureError(f"no feature preset {name!r}: there are {', '.join(PRESET_NAMES)}")
        unknown = set(changes) - {f.name for f in fields(cls)}
        if unknown:
            raise FeatureError(f"a FeatureSpec has no {', '.join(sorted(unknown))}")
        if name == ENCODER:
            return cls(**{"name": ENCODER, "groups": (ENCODER,), **changes})
        return replace(PRESETS[name], **changes)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FeatureSpec:
        """Return the spec that `to_dict` gave these values.

        Raises
        ------
        FeatureError
            If a field is missing, unknown or of the wrong kind.
        """
        if values.get("version") != SPEC_VERSION:
            raise FeatureError(_other_version(values.get("version")))
        expected = {f.name for f in fields(cls)} - ({ENCODER} - set(values))
        if set(values) != expected:
            raise FeatureError(f"a feature spec has the fields {sorted(expected)}, not {sorted(map(str, values))}")
        try:
            encoder = {ENCODER: Encoder.from_dict(values[ENCODER])} if ENCODER in values else {}
            groups, scales = tuple(values["groups"]), tuple(values["scales"])
            return cls(**{**values, "groups": groups, "scales": scales, **encoder})
        except TypeError as error:
            raise FeatureError(f"not a feature spec: {error}") from None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for a model file or JSON."""
        values = {**asdict(self), "groups": list(self.groups), "scales": list(self.scales)}
        if self.encoder is None:
            del values[ENCODER]  # so that other specs keep the hash that they had before there were encoders
            return values
        return {**values, ENCODER: self.encoder.to_dict()}

    @cached_property
    def sha256(self) -> str:
        """Return the hash of all fields, which records carry: equal hashes mean comparable features."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    @property
    def needs_colour(self) -> bool:
        """Tell whether a feature group looks at chroma; a gray image has none, and such a spec sees that."""
        return not COLOUR_FEATURE_GROUPS.isdisjoint(self.groups)

    @property
    def needs_cpu(self) -> bool:
        """Tell whether the features are computed on the CPU alone: those of reduced images, and of an encoder."""
        return bool(self.scales) or self.encoder is not None

    @property
    def groups_of_pixels(self) -> tuple[str, ...]:
        """Return the groups without that of the encoder."""
        return tuple(name for name in self.groups if name != ENCODER)

    @property
    def gives_tiles(self) -> bool:
        """Tell whether each tile of an image gives a vector of its own."""
        return self.tiles_per_side is not None and not self.scales

    @property
    def places(self) -> list[tuple[str, int | None]]:
        """Return name and scale of each group, in the order of the features; the scale is None if it has none."""
        first, others = (self.scales[0], self.scales[1:]) if self.scales else (None, ())
        at_first = [name for name in self.groups_of_pixels if name not in GROUPS_OF_MIDDLE]
        again = [name for name in self.groups if name in GROUPS_AT_EACH_SCALE]
        unscaled = [name for name in self.groups if name in (*GROUPS_OF_MIDDLE, ENCODER)]
        return [
            *((name, first) for name in at_first),
            *((name, scale) for scale in others for name in again),
            *((name, None) for name in unscaled),
        ]

    @property
    def group_sizes(self) -> tuple[int, ...] | None:
        """Return the number of features of each group, those of tiles at the first scale alone.

        None if it depends on the image's size.
        """
        sizes = [FEATURE_GROUP_SIZES[name] or self.n_bins for name, _ in self.places if name != ENCODER]
        sizes += [self.encoder.n_features] if self.encoder else []
        return None if None in sizes else tuple(size for size in sizes if size is not None)

    @property
    def ring_width(self) -> float | None:
        """Return the distance of the bins in cycles per pixel, the width of rings unless the image's own are wider."""
        return None if self.n_bins is None else MAX_FREQUENCY / (self.n_bins - 1)


@dataclass(frozen=True)
class FusedSpec(FeatureSpec):
    """Hold the specs whose features stand side by side, for a model that judges by two others.

    Where one cuts tiles, each tile's row holds the vector of the other, of the whole image, as well.

    Attributes
    ----------
    parts : tuple of FeatureSpec
        In the order of their features.
    """

    parts: tuple[FeatureSpec, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(isinstance(part, FusedSpec) for part in self.parts):
            raise FeatureError("a fused model is not fused again", remedy="fuse the models that it was made of")
        if any(part.group_sizes is None for part in self.parts):
            raise FeatureError("features without bins are not fused: their number depends on the image's size")
        if len({part.tiles_per_side for part in self.parts if part.gives_tiles}) > 1:
            raise FeatureError("features of other tiles are not fused")

    @classmethod
    def of(cls, parts: Sequence[FeatureSpec]) -> FusedSpec:
        """Return the spec of these specs."""
        name, least = " + ".join(part.name for part in parts), max(part.min_size_px for part in parts)
        return cls(name, min_size_px=least, parts=tuple(parts))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {"name": self.name, "version": self.version, "parts": [part.to_dict() for part in self.parts]}

    @property
    def needs_colour(self) -> bool:
        """Tell whether a part looks at chroma."""
        return any(part.needs_colour for part in self.parts)

    @property
    def needs_cpu(self) -> bool:
        """Fused features are computed on the CPU."""
        return True

    @property
    def group_sizes(self) -> tuple[int, ...]:
        """Return the numbers of features of the parts' groups, joined."""
        return tuple(size for part in self.parts for size in part.group_sizes or ())


def _other_version(version: Any) -> str:
    return f"feature spec of version {printable(str(version))[:20]}; this program knows version {SPEC_VERSION}"


# The choices in "azimuthal" are measured: mean balanced accuracy of a standardised SVM (C = 10) over the six
# development sources of the matched protocol, 8 draws each, with 20 / 100 training images. Mean of the log power, no
# filter: 70.6 / 79.4 (3 draws); its mean subtracted and a Laplacian first: 75.2 / 81.5; log of the mean power instead:
# 75.3 / 83.7; borders of the Laplacian left out: 76.1 / 83.9. The preset "durall": 68.0 / 77.6.
# The feature groups in "residual" are measured by `examples/ablation.py`. Chroma by its profile: 84.7 / 92.2; by 126
# numbers of cosine blocks and 81 of the spread over patches: 84.5 / 92.4 (12 draws). Colour in the middle 32x32 pixels
# of the tiles of FFHQ (1024 pixels): 74.8 / 84.9; in 64x64: 74.8 / 85.5 (40 draws).
PRESETS: dict[str, FeatureSpec] = {
    "azimuthal": FeatureSpec("azimuthal", filter="laplacian"),
    "residual": FeatureSpec("residual", groups=RESIDUAL_GROUPS, tiles_per_side=8, filter="laplacian", n_bins=100),
    "world": FeatureSpec(
        "world",
        groups=("coherence", "block_spectrum", "patch_spectrum", *UNCUT_GROUPS),
        scales=(224, 112),
        tiles_per_side=8,
        filter="laplacian",
        n_bins=100,
    ),
    "magnitude": FeatureSpec("magnitude", groups=("magnitude",), min_size_px=MAGNITUDE_PX),
    "durall": FeatureSpec(
        "durall", scale="durall_db", centre="array_centre", normalisation="first", precision="float64"
    ),
}
PRESET_NAMES = (*PRESETS, ENCODER)  # the last one needs an encoder
