"""Settings of features: presets, hashes, JSON, nonsense."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import numpy as np
import pytest

from spectral_detect import FeatureSpec
from spectral_detect.errors import FeatureError
from spectral_detect.features.encoder.settings import Encoder
from spectral_detect.features.spec import PRESETS

HUGE = pytest.param(10**400, id="huge")


def test_a_spec_survives_json_and_names_itself_by_its_hash() -> None:
    spec = FeatureSpec.preset("azimuthal", n_bins=80)
    again = FeatureSpec.from_dict(json.loads(json.dumps(spec.to_dict())))
    assert again == spec
    assert again.sha256 == spec.sha256
    assert len({FeatureSpec.preset(n, n_bins=b).sha256 for n in PRESETS for b in (80, 300)}) == 2 * len(PRESETS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_bins": 7}, "`n_bins=7`: give 8 to 100000, or `n_bins=None`"),
        ({"filter": "sobel"}, "filter 'sobel': it is one of none, laplacian"),
        ({"groups": ()}, "groups"),
        ({"groups": ("profile", "noise")}, "groups .* one or more of profile, chroma_profile"),
        ({"groups": ("profile", "profile")}, "none twice"),
        ({"tiles_per_side": 0}, "tiles_per_side 0: it is None or 1 to 64"),
        ({"n_bins": None, "tiles_per_side": 2}, "goes with a profile alone"),
        ({"n_bins": None, "groups": ("profile", "coherence")}, "goes with a profile alone"),
        ({"min_size_px": 2}, "min_size_px 2"),
        ({"version": 1}, "version 1; this program knows version 4"),
        ({"bins": 3}, "has no bins"),
        ({"scales": (224,)}, "scales go with tiles"),
        ({"scales": (8,), "tiles_per_side": 8}, "scales .* from `min_size_px` on"),
        ({"scales": (112.0,), "tiles_per_side": 8}, "scales .* whole numbers"),
        ({"groups": ("profile", "cooccurrence")}, "cooccurrence: beside those of reduced images only"),
        (
            {"groups": ("cooccurrence", "profile"), "scales": (64,), "tiles_per_side": 8},
            "cooccurrence: after other groups",
        ),
        ({"scales": (64, 128), "tiles_per_side": 8}, "the largest first"),
        ({"scales": (64, 64), "tiles_per_side": 8}, "none twice"),
        ({"groups": ("cooccurrence",), "scales": (64,), "tiles_per_side": 8}, "cooccurrence: after other groups"),
        ({"groups": ("profile", "square_cooccurrence")}, "beside those of reduced images only"),
        (
            {"groups": ("profile", "square_cooccurrence", "cooccurrence"), "scales": (64,), "tiles_per_side": 8},
            "in the order cooccurrence, square_cooccurrence",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(FeatureError, match=message):
        FeatureSpec.preset("azimuthal", **changes)


def test_whole_numbers_of_numpy_are_whole_numbers() -> None:
    spec = FeatureSpec.preset("azimuthal", n_bins=np.int64(80), min_size_px=np.uint8(32))
    assert spec == FeatureSpec.preset("azimuthal", n_bins=80, min_size_px=32)
    assert type(spec.n_bins) is type(spec.min_size_px) is int
    assert json.loads(json.dumps(spec.to_dict()))["n_bins"] == 80


def test_an_unknown_preset_is_refused_with_the_known_ones() -> None:
    known = "azimuthal, residual, world, magnitude, durall"
    with pytest.raises(FeatureError, match=f"no feature preset 'fancy': there are {known}"):
        FeatureSpec.preset("fancy")


@pytest.mark.parametrize("value", [10.5, 16.0, "x", True, ("x",), ["x"], b"16", object(), HUGE])
@pytest.mark.parametrize("field", [field.name for field in fields(FeatureSpec)])
def test_no_field_takes_another_type(field: str, value: object) -> None:
    if (field, type(value)) in {("name", str), ("min_size_px", int)}:
        return
    with pytest.raises(FeatureError, match=rf"{field}|version"):
        replace(PRESETS["residual"], **{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [10.5, "x", True, (16,), [16], HUGE])
@pytest.mark.parametrize("field", [field.name for field in fields(Encoder) if field.name != "path"])
def test_no_field_of_an_encoder_takes_another_type(field: str, value: object) -> None:
    if (field, type(value)) == ("name", str):
        return
    with pytest.raises(FeatureError, match=field.removesuffix("s")):
        Encoder(**{"name": "a.onnx", "sha256": "0" * 64, "n_features": 8, field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("mean", [pytest.param((0.5, 0.5, 10**400), id="huge"), (0.5, 0.5, float("nan")), (0.5, 0.5)])
def test_the_mean_of_an_encoder_is_three_finite_numbers(mean: tuple[float, ...]) -> None:
    with pytest.raises(FeatureError, match="mean: three numbers"):
        Encoder("a.onnx", "0" * 64, 8, mean=mean)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change", [{"n_bins": "80"}, {"n_bins": True}, {"name": 3}, {"groups": 7}, {"tiles_per_side": 2.0}, {"extra": 1}]
)
def test_a_damaged_spec_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(FeatureError):
        FeatureSpec.from_dict(FeatureSpec.preset("azimuthal").to_dict() | change)
