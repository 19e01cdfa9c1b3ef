"""Features of an encoder: a network in an ONNX file, of which nothing is believed before it was checked."""

from __future__ import annotations

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from conftest import MODELS
from made_onnx import (
    FLOAT,
    UINT8,
    attribute,
    detail,
    field,
    image_input,
    means,
    network,
    node,
    of_one_node,
    port,
    saved,
    tensor,
)
from spectral_detect import FeatureSpec, extract_features, load_model, read_image
from spectral_detect.errors import FeatureError
from spectral_detect.features.encoder import network as networks
from spectral_detect.features.encoder.file import MAX_FILE_BYTES
from spectral_detect.features.encoder.find import find_encoder, read_encoder
from spectral_detect.features.encoder.map_spectra import spectra
from spectral_detect.features.encoder.onnx_header import layers_of, read_header
from spectral_detect.features.encoder.settings import IMAGENET_DEVIATION, IMAGENET_MEAN, Encoder
from spectral_detect.features.spec import PRESETS


def spec_of(path: Path) -> FeatureSpec:
    return FeatureSpec.preset("encoder", encoder=read_encoder(path))


def with_settings(path: Path, **settings: object) -> Path:
    Path(f"{path}.json").write_text(json.dumps(settings))
    return path


@pytest.fixture(autouse=True)
def _without_other_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "is_installed", lambda package: False)


@pytest.fixture
def picture(rng: np.random.Generator) -> np.ndarray:
    """Not square, with other content in each corner and channel."""
    return np.asarray(cv2.resize(rng.integers(0, 256, (6, 9, 3), dtype=np.uint8), (180, 120)))


# ------------------------------------------------------------------------------------------------ what the network sees


def test_the_network_sees_the_channels_less_their_mean_by_their_deviation(tmp_path: Path) -> None:
    spec = spec_of(saved(tmp_path / "net.onnx", means(32)))
    rgb = np.full((32, 32, 3), (200, 100, 50), np.uint8)
    expected = (np.array([200, 100, 50]) / 255 - IMAGENET_MEAN) / IMAGENET_DEVIATION
    features = extract_features(rgb, spec)
    np.testing.assert_allclose(features, expected, rtol=1e-5)
    assert features.dtype == np.float32
    gray = extract_features(rgb[..., 0], spec)
    np.testing.assert_allclose(gray, (200 / 255 - np.array(IMAGENET_MEAN)) / IMAGENET_DEVIATION, rtol=1e-5)
    deep = extract_features(rgb.astype(np.uint16) * 257, spec)
    np.testing.assert_allclose(deep, expected, rtol=1e-5)
    ycc = cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]]
    np.testing.assert_allclose(extract_features(ycc, spec, is_ycc=True), expected, atol=0.03)


def test_threads_get_the_vectors_of_their_own_images(tmp_path: Path) -> None:
    spec = spec_of(saved(tmp_path / "net.onnx", detail(96, gives_maps=False)))
    rng = np.random.default_rng(1)
    images = [(rng.integers(0, 256, (96, 96, 3)) * (k + 1) / 4).astype(np.uint8) for k in range(4)]
    alone = [extract_features(image, spec) for image in images]
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda k: extract_features(images[k % 4], spec), range(200)))
    np.testing.assert_array_equal(found, [alone[k % 4] for k in range(200)])


def test_the_middle_is_cut_from_the_reduced_image_and_the_corners_if_asked_for(
    tmp_path: Path, picture: np.ndarray
) -> None:
    path = with_settings(saved(tmp_path / "net.onnx", means()), side=60, crop=40, mean=[0, 0, 0], deviation=[1, 1, 1])
    small = cv2.resize(picture, (90, 60), interpolation=cv2.INTER_AREA).astype(float) / 255
    middle = small[10:50, 25:65].mean(axis=(0, 1))
    np.testing.assert_allclose(extract_features(picture, spec_of(path)), middle, atol=1e-4)
    with_settings(path, side=60, crop=40, tiles=5, mean=[0, 0, 0], deviation=[1, 1, 1])
    corners = [small[y : y + 40, x : x + 40].mean(axis=(0, 1)) for y in (0, 20) for x in (0, 50)]
    np.testing.assert_allclose(extract_features(picture, spec_of(path)), np.mean([middle, *corners], axis=0), atol=1e-4)


def test_an_image_is_not_enlarged_to_the_side_but_to_the_crop(tmp_path: Path, picture: np.ndarray) -> None:
    unscaled = {"mean": [0, 0, 0], "deviation": [1, 1, 1]}
    path = with_settings(saved(tmp_path / "net.onnx", means()), side=150, crop=110, **unscaled)
    as_it_is = picture[5:115, 35:145].mean(axis=(0, 1)) / 255
    np.testing.assert_allclose(extract_features(picture, spec_of(path)), as_it_is, atol=1e-4)
    with_settings(path, side=None, crop=110, **unscaled)
    np.testing.assert_allclose(extract_features(picture, spec_of(path)), as_it_is, atol=1e-4)
    with_settings(path, side=200, crop=200, **unscaled)
    whole = picture[:, 30:150].mean(axis=(0, 1)) / 255
    np.testing.assert_allclose(extract_features(picture, spec_of(path)), whole, atol=0.01)
    long = np.zeros((16, 200_000, 3), np.uint8)  # as wide as that times 200 / 16, it would take 1.5 GB
    assert extract_features(long, spec_of(path)).tolist() == [0, 0, 0]


def test_a_turned_photograph_gives_the_features_of_the_upright_one(tmp_path: Path, picture: np.ndarray) -> None:
    weights = np.random.default_rng(0).normal(size=(5, 3, 40, 40)).astype(np.float32)
    content = network(
        [node("Conv", "image kernels", "pooled"), node("Flatten", "pooled", "vector")],
        inputs=[image_input(40)], outputs=[port("vector", (1, 5))], weights=[tensor("kernels", weights)],
    )  # fmt: skip
    spec = spec_of(saved(tmp_path / "net.onnx", content))
    expected = extract_features(picture, spec)
    turned = np.ascontiguousarray(np.rot90(picture))  # orientation 6: a quarter turn clockwise puts it upright
    np.testing.assert_allclose(extract_features(turned, spec, orientation=6), expected, rtol=1e-3, atol=0.2)
    assert not np.allclose(extract_features(turned, spec), expected, rtol=1e-3, atol=0.2)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(turned).save(tmp_path / "turned.png", exif=exif)
    assert read_image(tmp_path / "turned.png").orientation == 6


def test_maps_give_mean_and_deviation_and_outputs_are_joined(tmp_path: Path, picture: np.ndarray) -> None:
    path = saved(tmp_path / "net.onnx", detail(64))
    last = extract_features(picture, spec_of(path))
    assert last.shape == (4,)
    both = extract_features(picture, spec_of(with_settings(path, output=["vector", "maps"])))
    assert both.shape == (12,)
    np.testing.assert_allclose(both[:4], last, rtol=1e-5)
    np.testing.assert_allclose(both[4:8], last, rtol=1e-4)  # the means of the maps
    assert (both[8:] > 0).all()


def test_layers_are_taken_by_the_names_of_tensors_or_nodes(tmp_path: Path, picture: np.ndarray) -> None:
    path = saved(tmp_path / "net.onnx", detail(64, gives_maps=False))
    assert "maps" not in {each.name for each in read_header(path.read_bytes()).outputs}
    expected = extract_features(picture, spec_of(with_settings(saved(tmp_path / "d.onnx", detail(64)), output="maps")))
    for name in ("maps", "make_maps"):
        encoder = read_encoder(with_settings(path, layers=[name]))
        assert encoder.layers == ("maps",)
        np.testing.assert_array_equal(extract_features(picture, spec_of(path)), expected)
    joined = extract_features(picture, spec_of(with_settings(path, output="vector", layers=["maps", "differences"])))
    np.testing.assert_array_equal(joined[4:12], expected)
    np.testing.assert_allclose(joined[:4], expected[:4], rtol=1e-5)
    assert (joined[12:16] < joined[4:8]).all()  # before the absolute values


def test_a_layer_counts_by_the_spectra_of_its_maps(tmp_path: Path, picture: np.ndarray) -> None:
    ports = {"inputs": [image_input(16)], "outputs": [port("output", (1, 3, 16, 16))]}
    path = saved(tmp_path / "net.onnx", network([node("Relu", "image", "output")], **ports))
    settings = {"mean": [0, 0, 0], "deviation": [1, 1, 1]}
    image = picture[:16, :16]
    spectrum = np.fft.rfft2(image.transpose(2, 0, 1) / 255)
    for kind, expected in (("magnitude", np.log(np.abs(spectrum) / 16 + 1e-3)), ("phase", np.angle(spectrum))):
        spec = spec_of(with_settings(path, layers=["output"], spectrum=kind, **settings))
        features = extract_features(image, spec).reshape(3, 16, 9)
        np.testing.assert_allclose(np.exp(1j * features), np.exp(1j * expected), atol=1e-3)  # pi and -pi are one angle
        assert spec.encoder is not None
        assert FeatureSpec.from_dict(spec.to_dict()) == spec
        assert spec.encoder.to_dict()["spectrum"] == kind
    pooled = extract_features(image, spec_of(with_settings(path, spectrum="magnitude", pool=4, **settings)))
    assert pooled.shape == (3 * 4 * 3,)
    level = np.log(np.abs(spectrum) / 16 + 1e-3)
    assert pooled.reshape(3, -1).mean(axis=1) == pytest.approx(level.mean(axis=(1, 2)), abs=1e-4)


def test_encoders_without_layers_keep_their_settings() -> None:
    """Models hold them, and the hash of the features is made of them."""
    assert not {"layers", "spectrum", "pool"} & set(Encoder("net.onnx", "0" * 64, 3).to_dict())
    values = Encoder("net.onnx", "0" * 64, 3, layers=("a",), spectrum="magnitude", pool=4).to_dict()
    assert (values["layers"], values["spectrum"], values["pool"]) == (["a"], "magnitude", 4)
    assert Encoder.from_dict(values) == Encoder("net.onnx", "0" * 64, 3, layers=("a",), spectrum="magnitude", pool=4)


def test_maps_of_nothing_have_a_spectrum() -> None:
    for kind in ("magnitude", "phase"):
        found = spectra(np.zeros((2, 5, 7), np.float32), kind)  # type: ignore[arg-type]
        assert found.shape == (2 * 5 * 4,) and np.isfinite(found).all()


def test_of_tokens_the_first_counts(tmp_path: Path) -> None:
    shape = tensor("shape", np.array([1, 4, 48], np.int64))
    content = network(
        [node("Reshape", "image shape", "tokens")],
        inputs=[image_input(8)], outputs=[port("tokens", (1, 4, 48))], weights=[shape],
    )  # fmt: skip
    spec = spec_of(saved(tmp_path / "net.onnx", content))
    features = extract_features(np.full((16, 16, 3), (255, 0, 0), np.uint8), spec)
    assert features.shape == (48,)
    np.testing.assert_allclose(features, (1 - IMAGENET_MEAN[0]) / IMAGENET_DEVIATION[0], rtol=1e-5)


def test_an_encoder_joins_features_of_a_reduced_image(tmp_path: Path, picture: np.ndarray) -> None:
    encoder = read_encoder(saved(tmp_path / "net.onnx", means(32)))
    world = FeatureSpec.preset("world")
    both = FeatureSpec.preset("world", groups=(*world.groups, "encoder"), encoder=encoder)
    features = extract_features(picture, both)
    np.testing.assert_array_equal(features[:-3], extract_features(picture, world))
    alone = FeatureSpec.preset("encoder", encoder=encoder)
    np.testing.assert_array_equal(features[-3:], extract_features(picture, alone))
    assert both.group_sizes == (*world.group_sizes, 3)
    batch = extract_features(np.stack([picture, picture[::-1]]), alone)
    np.testing.assert_array_equal(batch[0], features[-3:])


# ----------------------------------------------------------------------------------------------------------- the spec


def test_a_spec_knows_the_file_by_its_hash_and_not_by_its_place(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    here = spec_of(saved(tmp_path / "net.onnx", means(32)))
    there = spec_of(saved(tmp_path / "other" / "net.onnx", means(32)))
    changed = spec_of(saved(tmp_path / "other" / "net.onnx", means(40)))
    assert here == there and hash(here) == hash(there) and here.sha256 == there.sha256
    assert here != changed and here.sha256 != changed.sha256
    assert str(tmp_path) not in json.dumps(here.to_dict())
    again = FeatureSpec.from_dict(json.loads(json.dumps(here.to_dict())))
    assert again == here and again.sha256 == here.sha256
    assert pickle.loads(pickle.dumps(here)).encoder.path == str(tmp_path / "net.onnx")
    with pytest.raises(FeatureError, match=r"is not known; name it with `encoder`"):
        extract_features(np.zeros((32, 32), np.uint8), again)


def test_specs_without_an_encoder_keep_their_hash() -> None:
    assert all("encoder" not in spec.to_dict() for spec in PRESETS.values())
    assert load_model(MODELS / "photographs.pkl").spec == PRESETS["residual"]


def test_an_encoder_and_its_features_go_together(tmp_path: Path) -> None:
    encoder = read_encoder(saved(tmp_path / "net.onnx", means(32)))
    with pytest.raises(FeatureError, match="need its file; name an ONNX file: `encoder`"):
        FeatureSpec.preset("encoder")
    with pytest.raises(FeatureError, match="goes with `features=encoder`"):
        FeatureSpec.preset("azimuthal", encoder=encoder)
    with pytest.raises(FeatureError, match="does not go with features of tiles"):
        FeatureSpec.preset("residual", groups=("profile", "encoder"), encoder=encoder)
    with pytest.raises(FeatureError, match="there are azimuthal, residual, world, magnitude, durall, encoder"):
        FeatureSpec.preset("clip")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "../net.onnx"}, "name: the name of a file"),
        ({"name": ".."}, "name: the name of a file"),
        ({"name": "C:\\net.onnx"}, "name: the name of a file"),
        ({"sha256": "ab"}, "64 hexadecimal digits"),
        ({"n_features": 0}, "n_features"),
        ({"n_features": True}, "n_features"),
        ({"side": 10}, "not smaller than crop"),
        ({"crop": 10**9, "side": None}, "whole numbers of pixels"),
        ({"tiles": 3}, "tiles: 1, the middle, or 5"),
        ({"mean": [0, 0]}, "mean: three numbers"),
        ({"mean": "abc"}, "mean: three numbers"),
        ({"deviation": [1, 0, 1]}, "deviation: three numbers above 0"),
        ({"deviation": [1, float("nan"), 1]}, "deviation: three numbers above 0"),
        ({"outputs": [1]}, "output: a name"),
        ({"runtime": "shell"}, "runtime: opencv or onnxruntime"),
        ({"path": "/etc/passwd"}, "an encoder has the fields"),
        ({"layers": "maps"}, "layers: up to 16 names"),
        ({"layers": [f"l{k}" for k in range(17)]}, "layers: up to 16 names"),
        ({"spectrum": "power"}, "spectrum: magnitude or phase"),
        ({"pool": 8}, "pool: a whole number of rows, with the magnitude alone"),
        ({"pool": True, "spectrum": "magnitude"}, "pool: a whole number of rows"),
        ({"pool": 8, "spectrum": "phase"}, "with the magnitude alone"),
        ({"spectrum": "phase", "tiles": 5}, "phases have no mean"),
    ],
)
def test_what_a_model_file_says_of_its_encoder_is_checked(change: dict[str, object], words: str) -> None:
    sound = Encoder("net.onnx", "0" * 64, 3).to_dict()
    assert Encoder.from_dict(sound) == Encoder("net.onnx", "0" * 64, 3)
    with pytest.raises(FeatureError, match=words):
        Encoder.from_dict(sound | change)


# ---------------------------------------------------------------------------------------------- files that do not serve


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not an ONNX file"),
        (b"\x89PNG\r\n\x1a\n", "not an ONNX file"),
        (means()[:-20], "not an ONNX file"),
        (of_one_node("NoSuchNode"), r"OpenCV cannot read it \(.*\); the extra onnx may"),
        (network([], inputs=[], outputs=[]), r"it has 0 inputs \(none\), not one image"),
        (
            network([], inputs=[image_input(), port("tokens", (1, 77), 7)], outputs=[]),
            r"it has 2 inputs \('image', 'tokens'\), not one image; export it with one input",
        ),
        (network([], inputs=[port("x", (1, 1, 8, 8))], outputs=[]), r"'x' \(1, 1, 8, 8; float32\) is no RGB image"),
        (network([], inputs=[port("x", (1, 8, 8, 3))], outputs=[]), "is no RGB image; export it with one input of"),
        (network([], inputs=[port("x", (4, 3, 8, 8))], outputs=[]), "is no RGB image"),
        (network([], inputs=[port("x", (1, 3, 8, 8), UINT8)], outputs=[]), "elements of kind 2"),
        (network([], inputs=[port("x", (1, 3, 8, 9))], outputs=[]), "is no square"),
        (network([], inputs=[port("x", (1, 3, 9000, 9000))], outputs=[]), "is larger than 2048 pixels"),
        (network([], inputs=[image_input(8)], outputs=[]), "it has no output"),
        (
            network(
                [node("Abs", "image", "y")], inputs=[image_input(8)], outputs=[port("y", (1, 3, 8, 8))],
                weights=[tensor("w", np.zeros(3, np.float32), elsewhere=True)],
            ),
            "its weights lie in other files.*save it as one file",
        ),
        (
            network(
                [node("Constant", "", "w", value=tensor("w", np.zeros(3, np.float32), elsewhere=True))],
                inputs=[image_input(8)], outputs=[port("y", (1, 3, 8, 8))],
            ),
            "its weights lie in other files",
        ),
        (
            network(
                [node("Neg", "image", "a"), node("Log", "a", "b"), node("Flatten", "b", "y")],
                inputs=[image_input(8)], outputs=[port("y", (1, 192))],
            ),
            r"its output is not finite \(NaN or infinity\)",
        ),
    ],
)  # fmt: skip
def test_a_file_that_is_no_encoder_is_refused_with_the_reason(tmp_path: Path, content: bytes, words: str) -> None:
    path = saved(tmp_path / "net.onnx", content)
    with pytest.raises(FeatureError, match=rf"the encoder '.*net\.onnx': .*{words}"):
        read_encoder(path)


def test_opencv_writes_nothing_of_its_own(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FeatureError, match="OpenCV cannot read it"):
        read_encoder(saved(tmp_path / "net.onnx", of_one_node("NoSuchNode")))
    assert capfd.readouterr().err == ""


def test_a_file_that_is_missing_or_too_large_is_named(tmp_path: Path) -> None:
    with pytest.raises(FeatureError, match=r"none\.onnx' cannot be read: No such file"):
        read_encoder(tmp_path / "none.onnx")
    with pytest.raises(FeatureError, match="cannot be read: Is a directory"):
        read_encoder(tmp_path)
    with open(tmp_path / "net.onnx", "wb") as stream:
        stream.truncate(MAX_FILE_BYTES + 1)
    with pytest.raises(FeatureError, match=f"more than {MAX_FILE_BYTES}"):
        read_encoder(tmp_path / "net.onnx")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "are no JSON"),
        ("[]", "give an object with side, crop, tiles, mean, deviation, output"),
        ('{"resize": 3}', "give an object with"),
        ('{"crop": 31}', "its input is 32x32 pixels, but its settings have crop 31"),
        ('{"crop": "32"}', "its settings have crop '32'"),
        ('{"side": 16}', "side: not smaller than crop"),
        ('{"side": 48.5}', "whole numbers of pixels"),
        ('{"tiles": 9}', "tiles: 1, the middle, or 5"),
        ('{"mean": 3}', "mean: three numbers"),
        ('{"mean": [1e999, 0, 0]}', "mean: three numbers"),
        ('{"output": "maps"}', "it has no output 'maps'; it has 'means'"),
        ('{"output": 3}', "output: a name"),
        ('{"layers": "maps"}', "it has no layer 'maps'; it has 'pooled', 'make_pooled', 'means', 'make_means'"),
        ('{"layers": [3]}', "it has no layer 3"),
        ('{"spectrum": "power"}', "spectrum: magnitude or phase"),
        ('{"spectrum": "phase"}', "has no maps; name layers that have maps"),
        ('{"layers": ["image"]}', "it has no layer 'image'"),
    ],
)
def test_settings_beside_the_file_are_checked(tmp_path: Path, text: str, words: str) -> None:
    path = saved(tmp_path / "net.onnx", means(32))
    (tmp_path / "net.onnx.json").write_text(text)
    with pytest.raises(FeatureError, match=words):
        read_encoder(path)


def test_no_bytes_crash_the_reader_of_the_layers() -> None:
    sound = detail()
    assert layers_of(sound)["maps"] == layers_of(sound)["make_maps"] == "maps"
    for end in range(len(sound)):
        try:
            found = layers_of(sound[:end])
        except FeatureError as error:
            assert "not an ONNX file" in str(error)
        else:  # the end lies between two fields
            assert found == layers_of(sound)


@given(content=st.binary(max_size=200), at=st.integers(0, 400), with_network=st.booleans())
def test_no_bytes_crash_the_reader_of_the_header(content: bytes, at: int, with_network: bool) -> None:
    sound = detail()
    damaged = sound[:at] + content + sound[at + len(content) :] if with_network else content
    try:
        read_header(damaged)
    except FeatureError as error:
        assert "not an ONNX file" in str(error)


def test_lengths_that_are_left_open_are_those_of_an_rgb_image(tmp_path: Path) -> None:
    nodes = [node("GlobalAveragePool", "x", "pooled"), node("Flatten", "pooled", "y")]
    open_input = network(nodes, inputs=[port("x", (None,) * 4)], outputs=[port("y", (None, None))])
    encoder = read_encoder(saved(tmp_path / "net.onnx", open_input))
    assert (encoder.crop, encoder.side, encoder.n_features) == (224, 224, 3)


def test_the_header_is_read_as_it_was_written() -> None:
    weight = tensor("kernel", np.zeros((1, 2), np.float32))
    old = [image_input(), port("kernel", (1, 2))]  # old exporters list weights among the inputs
    header = read_header(network([], inputs=old, outputs=[port("y", (1, None))], weights=[weight]))
    assert [(p.name, p.kind, p.shape) for p in header.inputs] == [("image", FLOAT, (1, 3, None, None))]
    assert [(p.name, p.shape) for p in header.outputs] == [("y", (1, None))]
    assert not header.has_weights_elsewhere
    branch = field(1, "then") + field(20, 5) + field(6, field(5, tensor("w", np.zeros(1, np.float32), elsewhere=True)))
    nested = field(4, "If") + field(5, branch) + field(5, attribute("axis", 1))
    assert read_header(network([nested], inputs=old, outputs=[])).has_weights_elsewhere


# ------------------------------------------------------------------------------------------------- finding, and running


def test_the_file_of_a_saved_encoder_is_found_by_its_hash(tmp_path: Path) -> None:
    wanted = read_encoder(saved(tmp_path / "net.onnx", means(32)))
    other = saved(tmp_path / "other.onnx", means(40))
    assert find_encoder(wanted, [tmp_path / "none.onnx", tmp_path / "net.onnx"]).path == str(tmp_path / "net.onnx")
    with pytest.raises(
        FeatureError, match=r"'net.onnx' \(SHA-256 .*\) is not there: '.*none.onnx' is no file; put its file beside"
    ):
        find_encoder(wanted, [tmp_path / "none.onnx"])
    with pytest.raises(FeatureError, match=r"is needed, and '.*other.onnx' is another file"):
        find_encoder(wanted, [other])


def test_a_file_that_changes_after_it_was_found_is_not_run(tmp_path: Path, picture: np.ndarray) -> None:
    spec = spec_of(saved(tmp_path / "net.onnx", means(32)))
    saved(tmp_path / "net.onnx", means(40))
    networks._network_of.cache_clear()
    with pytest.raises(FeatureError, match="has changed since; put the earlier file back"):
        extract_features(picture, spec)


@pytest.fixture
def other_runtime(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """An ONNX Runtime that gives the mean of each channel twice, whatever the network, and notes what it is given."""
    noted = SimpleNamespace(options={}, threads=None)

    class SessionOptions:
        intra_op_num_threads = 0

        def add_session_config_entry(self, name: str, value: str) -> None:
            noted.options[name] = value

    class InferenceSession:
        def __init__(self, content: bytes, options: SessionOptions, providers: list[str]) -> None:
            noted.threads, noted.providers = options.intra_op_num_threads, providers

        def get_inputs(self) -> list[SimpleNamespace]:
            return [SimpleNamespace(name="image")]

        get_outputs = get_inputs

        def run(self, names: list[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
            if inputs["image"].max() > 2.5:
                raise RuntimeError("overflow\nat line 3")
            return [np.repeat(inputs["image"].mean(axis=(2, 3)), 2, axis=1)]

    fake = SimpleNamespace(SessionOptions=SessionOptions, InferenceSession=InferenceSession)
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", fake)
    monkeypatch.setattr(networks, "is_installed", lambda package: True)
    return noted


def test_what_opencv_cannot_run_goes_to_onnx_runtime(
    tmp_path: Path, other_runtime: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = spec_of(saved(tmp_path / "net.onnx", of_one_node("NoSuchNode")))
    assert spec.encoder is not None and (spec.encoder.runtime, spec.encoder.n_features) == ("onnxruntime", 6)
    assert (other_runtime.threads, other_runtime.providers) == (1, ["CPUExecutionProvider"])
    red = extract_features(np.zeros((16, 16, 3), np.uint8), spec)
    np.testing.assert_allclose(red[:2], -IMAGENET_MEAN[0] / IMAGENET_DEVIATION[0], rtol=1e-5)
    with pytest.raises(FeatureError, match=r"ONNX Runtime cannot run it \(overflow\)$"):
        extract_features(np.full((16, 16, 3), 255, np.uint8), spec)
    by_opencv = read_encoder(saved(tmp_path / "means.onnx", means(8)))
    assert by_opencv.runtime == "opencv"
    monkeypatch.setattr(networks, "is_installed", lambda package: False)
    with pytest.raises(FeatureError, match=r"OpenCV cannot run it; the extra onnx may: pip install"):
        find_encoder(spec.encoder, [tmp_path / "net.onnx"])


def test_onnx_runtime_gives_what_opencv_gives(tmp_path: Path, picture: np.ndarray) -> None:
    pytest.importorskip("onnxruntime", exc_type=ImportError)
    spec = spec_of(saved(tmp_path / "net.onnx", detail(64)))
    assert spec.encoder is not None
    content = (tmp_path / "net.onnx").read_bytes()
    image = np.random.default_rng(0).normal(size=(1, 3, 64, 64)).astype(np.float32)
    expected = networks._opencv(content, spec.encoder)(image)
    np.testing.assert_allclose(networks._onnxruntime(content, spec.encoder)(image)[0], expected[0], rtol=1e-4)
    inner = replace(spec.encoder, outputs=(), layers=("differences", "pooled"))
    content = detail(64, gives_maps=False)
    for one, other in zip(
        networks._opencv(content, inner)(image), networks._onnxruntime(content, inner)(image), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-4)
