"""Model files: faithful, and harmless whoever made them."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

from conftest import MODELS
from gaussian import gaussian_data
from spectral_detect import FeatureSpec, Model, load_model, save_model, train_model
from spectral_detect.detector import model_file
from spectral_detect.detector.content.model_content import FORMAT, content_sha256
from spectral_detect.detector.model_file import MAX_FILE_BYTES, find_model, load_default_model, shipped_models
from spectral_detect.errors import ModelFileError, OutputError

SPEC = FeatureSpec.preset("azimuthal", n_bins=12)


@pytest.fixture(scope="module")
def model() -> Model:
    return train_model(gaussian_data(), SPEC)


@pytest.fixture
def saved(model: Model, tmp_path: Path) -> Path:
    save_model(model, tmp_path / "m.pkl")
    return tmp_path / "m.pkl"


def test_a_model_that_has_scored_travels_no_heavier() -> None:
    model = load_model(MODELS / "small.pkl")
    before = model.scores(model.reference)
    unscored = pickle.dumps(replace(model.classifier))
    assert len(pickle.dumps(model.classifier)) == len(unscored)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).scores(model.reference), before)


@pytest.mark.parametrize("name", ["svm", "logreg", "kmeans"])
@pytest.mark.parametrize("paper", [False, True])
def test_what_is_loaded_is_what_was_saved(name: str, paper: bool, tmp_path: Path) -> None:
    trained = replace(train_model(gaussian_data(), SPEC, name, paper_settings=paper), card="A card.\nTwo lines.")
    save_model(trained, tmp_path / "detector.pkl")
    loaded = load_model(tmp_path / "detector.pkl")
    X = gaussian_data(seed=4).features
    np.testing.assert_array_equal(loaded.scores(X), trained.scores(X))
    for field in ("spec", "threshold", "training", "metrics", "card"):
        assert getattr(loaded, field) == getattr(trained, field)
    assert loaded.name == "detector"
    assert len(loaded.sha256) == 64
    assert "scikit-learn" in loaded.libraries


def test_the_file_is_a_pickle_of_plain_values(saved: Path) -> None:
    values = pickle.loads(saved.read_bytes())
    assert set(values) == {"format", "format_version", "header", "arrays", "sha256"}
    assert json.loads(values["header"])["labels"] == {"real": 0, "fake": 1}
    assert all(isinstance(a, bytes) for a in values["arrays"].values())


def test_source_date_epoch_makes_files_reproducible(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    for name in ("a.pkl", "b.pkl"):
        save_model(model, tmp_path / name)
    assert (tmp_path / "a.pkl").read_bytes() == (tmp_path / "b.pkl").read_bytes()
    assert load_model(tmp_path / "a.pkl").created == "2001-09-09T01:46:40Z"


def test_saving_replaces_whole_or_not_at_all(model: Model, tmp_path: Path) -> None:
    (tmp_path / "m.pkl").write_bytes(b"old")
    save_model(model, tmp_path / "m.pkl")
    load_model(tmp_path / "m.pkl")
    assert os.listdir(tmp_path) == ["m.pkl"]
    assert (tmp_path / "m.pkl").stat().st_mode & 0o777 == 0o666 & ~current_umask()
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match=r"folder' cannot be written: Is a directory"):
        save_model(model, tmp_path / "folder")
    with pytest.raises(OutputError, match="cannot be written: there is no folder"):
        save_model(model, tmp_path / "nowhere" / "m.pkl")
    assert sorted(os.listdir(tmp_path)) == ["folder", "m.pkl"]


def current_umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask


# ----------------------------------------------------------------------------------------------------------- hostile


class _Bomb:
    def __reduce__(self) -> Any:
        return os.mkdir, (os.environ["BOMB_TARGET"],)


@pytest.fixture
def bomb_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    target = tmp_path / "exploded"
    monkeypatch.setenv("BOMB_TARGET", str(target))
    return target


def test_a_model_is_shown_in_one_line(saved: Path) -> None:
    shown = repr(load_model(saved))
    assert re.fullmatch(r"<Model m: \w+ on \d+ \w+ features, trained on .* held-out balanced accuracy .*>", shown)
    assert len(shown) < 250


def refused(path: Path, content: bytes, match: str) -> None:
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=match) as caught:
        load_model(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("nested", [False, True])
def test_no_pickle_runs_code(protocol: int, nested: bool, tmp_path: Path, bomb_target: Path) -> None:
    hostile: Any = _Bomb()
    if nested:
        hostile = {"format": FORMAT, "format_version": 2, "header": "{}", "arrays": {"mean": [hostile]}}
    refused(tmp_path / "m.pkl", pickle.dumps(hostile, protocol=protocol), "not a model file|refused, nothing was run")
    assert not bomb_target.exists()


def test_the_refusal_names_what_was_named(tmp_path: Path, bomb_target: Path) -> None:
    content = pickle.dumps({"format": FORMAT, "x": _Bomb()}, protocol=4)
    refused(tmp_path / "m.pkl", content, r"STACK_GLOBAL \('posix.mkdir'\)")
    assert not bomb_target.exists()


@pytest.mark.parametrize("compress", [0, "zlib", "lzma"])
def test_joblib_files_are_refused(compress: Any, tmp_path: Path, bomb_target: Path) -> None:
    stream = io.BytesIO()
    joblib.dump(_Bomb(), stream, compress=compress)
    refused(tmp_path / "m.pkl", stream.getvalue(), "not a model file|refused")
    assert not bomb_target.exists()


def test_memory_is_not_claimed_by_a_few_bytes(tmp_path: Path) -> None:
    for content, match in (
        (b"\x80\x04r\xff\xff\xff\x7f.", "LONG_BINPUT|damaged"),
        (b"\x80\x05\x96" + (2**40).to_bytes(8, "little") + b".", "BYTEARRAY8|damaged"),
        (b"\x80\x04B\xff\xff\xff\x7f", "damaged"),
        (b"\x80\x04" + b"}" * 5000 + b".", "more pickle instructions"),
        (b"\x80\x04]]a.", "EMPTY_LIST"),
    ):
        refused(tmp_path / "m.pkl", content, match)


def test_nested_tuples_cannot_be_hashed_without_end(tmp_path: Path) -> None:
    bomb: Any = ()
    for _ in range(60):
        bomb = (bomb, bomb)
    content = pickle.dumps({"format": FORMAT, "x": bomb}, protocol=4)
    refused(tmp_path / "m.pkl", content, "EMPTY_TUPLE")


def test_other_files_are_no_models(tmp_path: Path) -> None:
    refused(tmp_path / "m.pkl", b"", "not a model file; `spectral-detect train` makes one")
    refused(tmp_path / "m.pkl", b"\x89PNG\r\n", "not a model file")
    refused(tmp_path / "m.pkl", pickle.dumps({"format": "another"}, protocol=4), "not a model of this program")
    refused(tmp_path / "m.pkl", pickle.dumps("text", protocol=4), "not a model of this program")
    with pytest.raises(ModelFileError, match="cannot be read: No such file"):
        load_model(tmp_path / "gone.pkl")
    with open(tmp_path / "zeros", "wb") as stream:
        stream.truncate(MAX_FILE_BYTES * 4)
    with pytest.raises(ModelFileError, match="larger than any model"):
        load_model(tmp_path / "zeros")


def test_bytes_behind_the_end_are_noticed(saved: Path) -> None:
    refused(saved, saved.read_bytes() + b"x", "damaged: something follows the end of the model")


def test_a_link_is_followed_and_a_pipe_is_left_alone(model: Model, tmp_path: Path) -> None:
    (tmp_path / "link.pkl").symlink_to(tmp_path / "target.pkl")
    save_model(model, tmp_path / "link.pkl")
    assert (tmp_path / "link.pkl").is_symlink()
    load_model(tmp_path / "target.pkl")
    os.mkfifo(tmp_path / "pipe.pkl")
    for special in (tmp_path / "pipe.pkl", Path("/dev/null")):
        with pytest.raises(OutputError, match="it is not a regular file"):
            save_model(model, special)
        assert not special.is_file()
    with pytest.raises(OutputError, match="the name of the output is empty"):
        save_model(model, "")


def test_a_single_flipped_bit_is_noticed(saved: Path) -> None:
    content = saved.read_bytes()
    rng = np.random.default_rng(0)
    for at in rng.integers(0, len(content), 200):
        flipped = bytearray(content)
        flipped[at] ^= 1 << int(rng.integers(8))
        refused(saved, bytes(flipped), "damaged|refused|not a model|format version")


def test_a_truncated_file_is_damaged(saved: Path) -> None:
    content = saved.read_bytes()
    for length in (2, 3, 20, 60, len(content) // 2, len(content) - 1):
        refused(saved, content[:length], "damaged|not a model")


def changed(saved: Path, change: Any) -> bytes:
    values = pickle.loads(saved.read_bytes())
    header = json.loads(values["header"])
    change(values, header)
    if values["header"] is not None:
        values["header"] = json.dumps(header)
        values["sha256"] = content_sha256(values["header"], values["arrays"])
    return pickle.dumps(values, protocol=4)


def set_array(name: str, value: float) -> Any:
    def change(values: dict[str, Any], header: dict[str, Any]) -> None:
        array = np.frombuffer(values["arrays"][name], header["types"][name]).copy()
        array[0] = value
        values["arrays"][name] = array.tobytes()

    return change


def many_codings(_: dict[str, Any], header: dict[str, Any]) -> None:
    header["experience"].update(codings=dict.fromkeys(map(str, range(200))))


def nobody_called(_: dict[str, Any], header: dict[str, Any]) -> None:
    none = {"real": 0, "fake": 0}
    header["metrics"].update(n_real=0, n_fake=0, confusion={"real": none, "fake": none})


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda v, h: v.update(format_version=8), "reads 7; update spectral-detect"),
        (lambda v, h: v.update(format_version="7"), "reads 7"),
        (lambda v, h: h["spec"].update(version=2), "version 2; this program knows version 4; train it again"),
        (lambda v, h: h["spec"].update(filter="magic"), "filter 'magic'"),
        (lambda v, h: h["spec"].update(n_bins=13), "do not fit together"),
        (lambda v, h: h.update(labels={"real": 1, "fake": 0}), "labels"),
        (lambda v, h: h.update(threshold="high"), "not a finite number"),
        (lambda v, h: h.update(threshold=float("nan")), "not a finite number"),
        (lambda v, h: h.update(threshold=10**400), "not a finite number"),
        (lambda v, h: h["metrics"].update(auroc_ci=[0.5, 10**400]), "not a finite number"),
        (lambda v, h: h["calibration"].update(n_real=10**300), "not a finite number"),
        (lambda v, h: h["calibration"].update(n_real=10**17), "not a whole number"),
        (lambda v, h: h["experience"].update(min_side_px=0.5), "not a whole number"),
        (lambda v, h: h["calibration"].update(slope=-1.0), "its calibration is not valid"),
        (lambda v, h: h["calibration"].update(kind="magic"), "its calibration is not valid"),
        (lambda v, h: h["calibration"].update(n_real="many"), "not a finite number"),
        (lambda v, h: h["experience"].update(codings={"JPEG": [1]}), "damaged"),
        (set_array("calibration_values", float("nan")), "holds NaN, infinity"),
        (lambda v, h: h["metrics"].update(auroc="good"), "not a finite number"),
        (lambda v, h: h["metrics"].update(auroc_ci=[1]), "damaged"),
        (lambda v, h: h["classifier"].update(kind="forest"), "damaged .KeyError"),
        (lambda v, h: h["classifier"].update(bias=1.0), "damaged .TypeError"),
        (lambda v, h: h.pop("mean", h.pop("threshold")), "damaged .KeyError: 'threshold'"),
        (lambda v, h: h["shapes"].update(mean=[10**9, 10**9]), "damaged .ValueError"),
        (lambda v, h: h["shapes"].update(mean=[10**30]), "damaged .(Overflow|Value)Error"),
        (lambda v, h: h["shapes"].update(dual_coef=[1, 1]), "damaged"),
        (lambda v, h: v.update(header=None), "refused, nothing was run"),
        (lambda v, h: v["arrays"].pop("mean"), "damaged .KeyError"),
        (lambda v, h: h["types"].update(mean="O"), "unknown type"),
        (set_array("mean", float("nan")), "holds NaN, infinity"),
        (set_array("support_vectors", float("inf")), "holds NaN, infinity"),
        (set_array("scale", 0.0), "do not fit together"),
        (set_array("scale", 5e-324), "do not fit together"),
        (set_array("dual_coef", 1e308), "a number beyond 1e30"),
        (lambda v, h: h["calibration"].update(slope=1e300), "not a finite number of a usual size"),
        (lambda v, h: h["training"].update(seed=float("nan")), "not a finite number"),
        (lambda v, h: h["experience"].update(codings={"\ud800x": None}), "no file can hold"),
        (lambda v, h: h.update(card="half \udfff"), "no file can hold"),
        (lambda v, h: h["experience"].update(codings={"C" * 6000: None}), "a name of 6000 characters"),
        (many_codings, "more codings than there are"),
        (nobody_called, "its counts do not fit together"),
        (set_array("summary_labels", 2.0), "what it holds of its training images does not fit"),
        (set_array("summary_source_of", 99.0), "what it holds of its training images does not fit"),
        (set_array("summary_source_of", -1.0), "what it holds of its training images does not fit"),
        (set_array("reference", 99.0), "no longer gives the scores stored in it"),
        (set_array("reference_scores", 0.123), "no longer gives the scores stored in it"),
        (set_array("dual_coef", 3.0), "no longer gives the scores stored in it"),
    ],
)
def test_every_damage_is_noticed(saved: Path, change: Any, match: str) -> None:
    refused(saved, changed(saved, change), match)


def test_names_of_folders_that_are_not_utf_8_can_be_kept(saved: Path) -> None:
    saved.write_bytes(changed(saved, lambda v, h: h["training"].update(folder="x\udce9")))
    assert load_model(saved).training["folder"] == "x\udce9"


def test_a_header_nested_without_end_is_damaged(saved: Path) -> None:
    values = pickle.loads(saved.read_bytes())
    values["header"] = "[" * 100_000
    values["sha256"] = content_sha256(values["header"], values["arrays"])
    refused(saved, pickle.dumps(values, protocol=4), "damaged .RecursionError|damaged .JSONDecodeError")


# ----------------------------------------------------------------------------------------------------------- shipped


def test_a_model_is_found_by_name_or_path(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_model("world") == shipped_models()["world"]
    assert find_model(str(saved)) == saved
    monkeypatch.chdir(tmp_path)
    (tmp_path / "world").touch()
    assert find_model("world") == shipped_models()["world"]  # evidence cannot take its place
    assert find_model("./world") == Path("world")


def test_no_folder_or_file_takes_the_place_of_the_default_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = load_default_model().sha256
    monkeypatch.chdir(tmp_path)
    (tmp_path / "world").mkdir()
    assert load_default_model().sha256 == load_model("world").sha256 == expected


def test_one_model_ships() -> None:
    assert set(shipped_models()) == {"world"}
    folder = shipped_models()["world"].parent
    assert {path.name for path in folder.iterdir() if path.suffix in (".pkl", ".md")} == {"world.pkl", "world.md"}


def test_the_shipped_model_judges_the_sizes_at_which_it_was_right() -> None:
    world = load_default_model()
    assert world.experience is not None and world.small is not None and world.small.experience is not None
    assert (world.experience.least_side_px, world.small.experience.least_side_px) == (240, 128)


EXAMPLE_MODELS = sorted(MODELS.glob("*.pkl"))


def test_the_example_models_are_named_by_their_files() -> None:
    assert [load_model(path).name for path in EXAMPLE_MODELS] == ["faces", "photographs", "small"]
    assert not {path.stem for path in EXAMPLE_MODELS} & set(shipped_models())
    assert sum(path.stat().st_size for path in EXAMPLE_MODELS) < 5_000_000


@pytest.mark.parametrize("path", [*shipped_models().values(), *EXAMPLE_MODELS], ids=lambda path: path.stem)
def test_every_model_in_the_repository_has_a_card(path: Path) -> None:
    model = load_model(path)
    assert "Not good for" in model.card
    assert model.training["n_real"] >= 100
    assert all(one.card in path.with_suffix(".md").read_text() for one in (model, model.small) if one)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("nowhere.pkl", ""),
        ("in/photographs.pkl", ""),
        ("photographs", "; photographs is not shipped, and lies in the checkout: {}/photographs.pkl"),
        ("photographs.pkl", "; photographs is not shipped, and lies in the checkout: {}/photographs.pkl"),
    ],
)
def test_what_is_neither_a_file_nor_ships_says_what_to_name(
    name: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelFileError, match=f"'{name}' cannot be read: .*the name of a shipped one: world") as found:
        load_model(name)
    folder = os.path.relpath(EXAMPLE_MODELS[0].parent)
    hint = hint if model_file.EXAMPLES.is_dir() else ""  # an installed program has no checkout
    assert str(found.value).endswith(f"world (spectral-detect models says more){hint.format(folder)}")
