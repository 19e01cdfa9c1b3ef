"""The example that trains a network as Wang et al. 2020, and exports it for `--features encoder`."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import sys
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from conftest import EXAMPLES
from spectral_detect.errors import CheckpointError

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")


@pytest.fixture
def wang2020(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(EXAMPLES.parent)  # where it finds its networks
    found = importlib.util.spec_from_file_location("wang2020", EXAMPLES.parent / "wang2020.py")
    assert found is not None and found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules["wang2020"] = module
    found.loader.exec_module(module)
    yield module
    del sys.modules["wang2020"]


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Camera images of noise, and fakes whose pixels come in twos; `generators/` has others of two kinds."""
    for place, times in (("real/a", 1), ("fake/b", 2), ("cam", 1), ("generators/pairs", 2), ("generators/noise", 1)):
        (tmp_path / place).mkdir(parents=True)
        for k in range(20):
            small = rng.integers(0, 256, (48 // times, 60 // times, 3), dtype=np.uint8)
            large = np.kron(small, np.ones((times, times, 1), dtype=np.uint8))
            Image.fromarray(large).save(tmp_path / place / f"{k}.png")
    return tmp_path


def run(module: ModuleType, monkeypatch: pytest.MonkeyPatch, folder: Path, work: str, *options: object) -> None:
    fixed = ("--crop", 32, "--batch", 8, "--rate", 0.003, "--augment", 0.1)
    arguments = [folder, "--work", folder / work, *fixed, *options]
    monkeypatch.setattr(sys, "argv", ["wang2020.py", *map(str, arguments)])
    module.main()


def refused(module: ModuleType, capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Return the only line that the script writes before it ends with exit status 2."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "argv", ["wang2020.py", *map(str, arguments)])
        patched.setattr(module, "train", lambda *_: pytest.fail("it trains"))
        with pytest.raises(SystemExit) as ended:
            module.main()
    out, err = capsys.readouterr()
    assert (ended.value.code, out, err.count("\n")) == (2, "", 1), err
    return err.removeprefix("wang2020.py: ").rstrip()


@pytest.fixture
def _without_export(wang2020: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wang2020, "write_encoder", lambda *_: "nothing")  # it takes long


@pytest.mark.usefixtures("_without_export")
def test_a_network_learns_and_its_average_precision_is_printed(
    wang2020: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    test = ("--test", folder / "generators", "--real", folder / "cam")
    run(wang2020, monkeypatch, folder, "w", "--epochs", 8, *test)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "20 real, 20 fake images; 0 epochs done before"
    rows = {line[:28].strip(): line[28:].split() for line in lines[-3:]}
    assert rows["pairs"][:2] == rows["noise"][:2] == ["20", "20"]
    pairs, noise, mean = (float(rows[name][-1]) for name in ("pairs", "noise", "mean (mAP)"))
    assert pairs > 95 > noise
    assert mean == pytest.approx((pairs + noise) / 2, abs=0.11)


@pytest.mark.usefixtures("_without_export")
def test_a_run_that_was_interrupted_ends_the_same(
    wang2020: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(wang2020, monkeypatch, folder, "whole", "--epochs", 2)
    for n_epochs in (1, 2):
        run(wang2020, monkeypatch, folder, "parts", "--epochs", n_epochs)
    whole, parts = (torch.load(folder / name / "state.pt", weights_only=True) for name in ("whole", "parts"))
    assert whole["epoch"] == parts["epoch"] == 2
    for name, tensor in whole["network"].items():
        assert torch.equal(tensor, parts["network"][name]), name


@pytest.mark.usefixtures("_without_export")
def test_a_state_of_another_run_is_refused(
    wang2020: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, work = folder / "weights.pth", folder / "w"
    torch.save(wang2020.Small().state_dict(), weights)
    run(wang2020, monkeypatch, folder, "w", "--epochs", 1)
    before = (work / "state.pt").read_bytes()
    capsys.readouterr()

    def refusal(train: Path, *options: object) -> str:
        fixed = {"--crop": 32, "--batch": 8, "--rate": 0.003, "--augment": 0.1, "--epochs": 2}
        given = fixed | dict(zip(options[::2], options[1::2], strict=True))
        words = refused(wang2020, capsys, train, "--work", work, *chain.from_iterable(given.items()))
        start, end = f"{work / 'state.pt'} is of another run: ", "; give the same, or another --work"
        assert words.startswith(start)
        assert words.endswith(end)
        return words.removeprefix(start).removesuffix(end)

    assert refusal(folder, "--crop", 48, "--augment", 0.5) == "--augment 0.1, not 0.5; --crop 32, not 48"
    assert re.fullmatch("--weights none, not of hash [0-9a-f]{12}", refusal(folder, "--weights", weights))
    other = folder / "other"
    for name in ("real", "fake"):
        shutil.copytree(folder / name, other / name)
    images = "training images 40 [(]hash [0-9a-f]{12}[)], not "
    (other / "real" / "a" / "0.png").rename(other / "real" / "a" / "20.png")
    assert re.fullmatch(f"{images}40 [(]hash [0-9a-f]{{12}}[)]", refusal(other))
    (other / "real" / "a" / "20.png").unlink()
    assert re.fullmatch(f"{images}39 [(]hash [0-9a-f]{{12}}[)]", refusal(other))
    torch.save({"settings": "network=small", "network": {}}, work / "state.pt")  # as they once were
    assert "does not say what it was begun with; give another --work" in refused(
        wang2020, capsys, folder, "--work", work
    )
    (work / "state.pt").write_bytes(before)
    moved = folder.rename(folder.parent / "moved")  # the same images elsewhere are the same run
    run(wang2020, monkeypatch, moved, "w", "--epochs", 1)
    assert capsys.readouterr().out.startswith("20 real, 20 fake images; 1 epochs done before")


def test_the_rate_of_learning_falls_when_nothing_is_gained(wang2020: ModuleType, tmp_path: Path) -> None:
    going = wang2020.Run(wang2020.Small(), tmp_path, {}, 1e-4)
    for accuracy in (0.7, *[0.7005] * 4):
        going.judge(accuracy)
    assert going.rate == 1e-4
    going.judge(0.7)
    assert going.rate == pytest.approx(1e-5) == going.optimiser.param_groups[0]["lr"]
    going.judge(0.8)
    assert (going.best, going.waited) == (0.8, 0)


def test_the_residual_network_is_that_of_the_paper(wang2020: ModuleType, tmp_path: Path) -> None:
    network = wang2020.ResNet50().eval()
    assert sum(tensor.numel() for tensor in network.parameters()) == 25_557_032 - 1000 * 2049 + 2049
    tensors = network.state_dict()
    assert {"layer1.0.downsample.0.weight", "layer3.5.bn3.running_var", "layer4.2.conv2.weight"} <= set(tensors)
    assert network.features(torch.zeros(1, 3, 64, 64)).shape == (1, 2048)
    of_imagenet = {f"module.{name}": tensor + 1 for name, tensor in tensors.items()} | {"module.fc.bias": torch.ones(9)}
    torch.save({"model": of_imagenet}, tmp_path / "w.pth")
    wang2020.begin_with(network, tmp_path / "w.pth")
    assert torch.equal(network.state_dict()["layer2.0.conv1.weight"], of_imagenet["module.layer2.0.conv1.weight"])
    assert torch.equal(network.state_dict()["fc.bias"], tensors["fc.bias"])
    with pytest.raises(CheckpointError, match="no tensors that fit"):
        wang2020.begin_with(wang2020.Small(), tmp_path / "w.pth")


@pytest.mark.parametrize(("content", "words"), [(b"", "cannot be read"), (b"no tensors", "cannot be read")])
def test_weights_that_are_none_are_refused(wang2020: ModuleType, tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=words):
        wang2020.begin_with(wang2020.Small(), tmp_path / "w.pth")
    torch.save(torch.zeros(3), tmp_path / "t.pth")
    with pytest.raises(CheckpointError, match="holds no tensors by name"):
        wang2020.begin_with(wang2020.Small(), tmp_path / "t.pth")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off"])
def test_a_state_that_was_cut_off_is_said(
    wang2020: ModuleType, folder: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    (folder / "w").mkdir()
    (folder / "w" / "state.pt").write_bytes(content)
    assert "state.pt cannot be read as tensors" in refused(wang2020, capsys, folder, "--work", folder / "w")


def test_crops_are_blurred_and_compressed_as_often_as_asked(wang2020: ModuleType, rng: np.random.Generator) -> None:
    window = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    shape, n = (56, 56, 3), 400
    for probability, least, most in ((0.0, 400, 400), (0.1, 290, 355), (0.5, 70, 135)):
        seen = [wang2020.augmented(window, 56, probability, rng) for _ in range(n)]
        assert {crop.shape for crop in seen} == {shape}
        whole = {
            window[y : y + 56, x : x + 56][:, ::step].tobytes() for y in range(9) for x in range(9) for step in (1, -1)
        }
        as_they_are = sum(crop.tobytes() in whole for crop in seen)
        assert least <= as_they_are <= most, probability
    assert wang2020.augmented(window[:20, :30], 56, 0.0, rng).shape == shape


def test_the_export_is_an_encoder(
    wang2020: ModuleType, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from spectral_detect import FeatureSpec, extract_features, read_image
    from spectral_detect.features.encoder.find import read_encoder
    from spectral_detect.features.encoder.pixels import squares

    run(wang2020, monkeypatch, folder, "w", "--epochs", 1)
    assert json.loads((folder / "w" / "wang.onnx.json").read_text()) == {"side": None, "crop": 32, "tiles": 1}
    encoder = read_encoder(folder / "w" / "wang.onnx")
    assert (encoder.n_features, encoder.side, encoder.crop) == (128, None, 32)
    network = wang2020.Small()
    network.load_state_dict(torch.load(folder / "w" / "state.pt", weights_only=True)["network"])
    image = read_image(folder / "cam" / "0.png", colour=True).pixels
    with torch.no_grad():
        expected = network.eval().features(torch.from_numpy(squares(image, encoder)))[0].numpy()
    np.testing.assert_allclose(
        extract_features(image, FeatureSpec.preset("encoder", encoder=encoder)), expected, atol=1e-5
    )


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--augment", 5, "a probability from 0 to 1"),
        ("--augment", "nan", "a probability from 0 to 1"),
        ("--side", 33, "crops of 224 need 256 or more"),
        ("--crop", 0, "whole numbers of pixels up to 2048"),
        ("--epochs", -1, "a whole number from 0"),
        ("--batch", 1, "a whole number from 2"),
        ("--rate", 0, "a number above 1e-06"),
        ("--device", "abacus", "Expected one of cpu"),
        ("--weights", "nothere.pth", "cannot be read as tensors"),
        ("--test", "nothere", "cannot be listed: No such file or directory"),
        ("--test", "generators", "not both real and fake images"),
    ],
)
def test_what_cannot_be_done_is_said_before_training(
    wang2020: ModuleType,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    option: str,
    value: object,
    words: str,
) -> None:
    monkeypatch.chdir(folder)
    said = refused(wang2020, capsys, ".", "--work", "w", option, value)
    assert words in said
    assert str(value) in said or option == "--crop"
    assert not Path("w").exists()


def test_folders_that_are_missing_are_said_before_training(
    wang2020: ModuleType, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work, cam = ("--work", folder / "w"), folder / "cam"
    remedy = "is no folder; TRAIN is a folder with real/ and fake/ in it"
    for train, lacking in ((folder / "nothere", "real"), (folder / "cam", "real")):
        assert refused(wang2020, capsys, train, *work) == f"{train / lacking} {remedy}"
    (cam / "real").mkdir()
    assert refused(wang2020, capsys, cam, *work) == f"{cam / 'fake'} {remedy}"
    said = refused(wang2020, capsys, folder, *work, "--test", folder / "generators", "--real", folder / "nothere")
    assert said == f"'{folder / 'nothere'}' is not there; give a folder of camera images with --real"
    for path in list((folder / "fake" / "b").iterdir())[9:]:
        path.unlink()
    assert "fewer than 10 images of a class" in refused(wang2020, capsys, folder, *work)


def test_a_generator_whose_images_cannot_be_read_has_no_precision(
    wang2020: ModuleType, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (folder / "generators" / "pairs").iterdir():
        path.write_bytes(b"")
    generators = wang2020.generators_to_test(str(folder / "generators"), [str(folder / "cam")])
    wang2020.average_precisions(wang2020.Small(), generators, wang2020.preparation(32, None))
    rows = {line[:28].strip(): line[28:].split() for line in capsys.readouterr().out.splitlines()}
    assert rows["pairs"] == ["20", "0", "nan"]
    assert rows["noise"][:2] == ["20", "20"]
    assert rows["mean (mAP)"] == ["nan"]
