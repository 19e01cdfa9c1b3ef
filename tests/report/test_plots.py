"""Pictures say what they show: names, units, whole scales; and the same figure gives the same bytes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from conftest import EXAMPLES, MODELS
from spectral_detect.detector.metric_values import Estimate
from spectral_detect.report import autoencoder, evaluation_plots, plots
from spectral_detect.report.plots import new_figure, shifted_edges, whole_numbers, write_figure
from spectral_detect.sources.discovery import FoundVideo
from spectral_detect.sources.location import Location

pytest.importorskip("matplotlib")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that would be written."""
    figures: list[Any] = []
    for module in (plots, evaluation_plots):
        monkeypatch.setattr(module, "write_figure", lambda figure, _: figures.append(figure))
    return figures


@pytest.mark.parametrize("epochs", [(1,), (1, 2), (0.125, 0.5, 2.0), tuple(range(1, 40))])
def test_epochs_are_whole_numbers(epochs: tuple[float, ...]) -> None:
    axes = new_figure(4, 3).add_subplot()
    axes.plot(epochs, epochs)
    whole_numbers(axes, epochs)
    ticks = axes.get_xticks()
    assert (ticks == np.rint(ticks)).all()
    low, high = axes.get_xlim()
    assert any(low <= tick <= high for tick in ticks)


@pytest.mark.parametrize(("worst", "lowest"), [(0.27, 20), (0.5, 50), (0.9, 50)])
def test_the_matrix_shows_values_below_guessing(worst: float, lowest: float, drawn: list[Any]) -> None:
    rows = [
        SimpleNamespace(trained_on=name, results={"a": SimpleNamespace(auroc=Estimate(value, 0, 1))})
        for name, value in (("a", 0.99), ("b", worst))
    ]
    evaluation_plots.plot_matrix(SimpleNamespace(generators=("a",), rows=rows), "m.png")  # type: ignore[arg-type]
    image = drawn[0].axes[0].images[0]
    assert (image.norm.vmin, image.norm.vmax) == (lowest, 100)
    assert "per cent" in drawn[0].axes[1].get_ylabel()


def test_a_timeline_names_its_model_and_why_frames_are_inconclusive(drawn: list[Any]) -> None:
    from spectral_detect.detector.model_file import load_model
    from spectral_detect.scanning.judge import Judge
    from spectral_detect.scanning.rules import Rules
    from spectral_detect.scanning.videos import VideoJudge

    frames = tuple(map(str, sorted((EXAMPLES / "real").glob("*.png"))))
    judge = VideoJudge(Judge(load_model(MODELS / "photographs.pkl"), Rules(min_confidence=0.95)))
    result = judge(FoundVideo(Location(str(EXAMPLES / "real")), frames))
    plots.plot_timeline(result, "t.png")
    (figure,) = drawn
    words = "\n".join(text.get_text() for axes in figure.axes for text in axes.texts)
    assert "model photographs" in figure.get_suptitle()
    assert "frames inconclusive" in words
    legend = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert any(entry.startswith("inconclusive (") for entry in legend)
    assert f"threshold {result.record.threshold:.3f}" in legend
    judged = replace(result.frames[0], verdict="fake")
    alone = replace(result, frames=(judged,), record=replace(result.record, n_judged=1, fake_fraction=1.0))
    plots.plot_timeline(alone, "t.png")
    assert "100 % of 1 vote fake" in drawn.pop().get_suptitle()
    crowded = replace(result.record, warnings=("a long note " * 200,))
    plots.plot_timeline(replace(result, record=crowded), "t.png")
    assert "more in the record" in drawn[1].axes[1].texts[0].get_text()


@pytest.mark.parametrize("n", [31, 32, 64])
def test_a_frequency_lies_in_the_middle_of_its_pixel(n: int) -> None:
    left, right = shifted_edges(n)
    middles = left + (np.arange(n) + 0.5) / n * (right - left)
    np.testing.assert_allclose(middles, np.fft.fftshift(np.fft.fftfreq(n)), atol=1e-12)


def test_differences_are_in_gray_levels() -> None:
    real = np.zeros((2, 3, 3))
    assert autoencoder.luma_difference(real + 0.1, real) == pytest.approx(np.full((2, 3), 25.5))
    green = real.copy()
    green[..., 1] = -1
    assert autoencoder.luma_difference(green, real) == pytest.approx(np.full((2, 3), -0.587 * 255))


def some_figure() -> Any:
    figure = new_figure(3, 2)
    axes = figure.add_subplot(title="a title")
    axes.plot([0, 1], [0, 1], label="a curve", marker="o")
    axes.fill_between([0, 1], [0, 1], [1, 2], hatch="//", alpha=0.2)
    axes.legend()
    return figure


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_the_same_figure_gives_the_same_bytes(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    names = [str(tmp_path / f"{k}.{kind}") for k in range(3)]
    for name in names[:2]:
        write_figure(some_figure(), name)
    first, second = (Path(name).read_bytes() for name in names[:2])
    assert first == second
    assert not re.search(rb"CreationDate|<dc:date>", first)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    write_figure(some_figure(), names[2])
    dated = Path(names[2]).read_bytes()
    assert kind == "png" or b"1970-01-02" in dated or b"D:19700102" in dated


def test_a_font_of_the_system_draws_what_the_own_one_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "HELPING_FONTS", ("not there", "STIXGeneral"))
    figure = plots.new_figure(4, 1)
    name, plain = figure.text(0, 0, "\u8bc1\u636e.jpg"), figure.text(0, 0.5, "a.jpg")
    plots.picture_uri(figure)
    assert name.get_fontfamily()[-1] == "STIXGeneral"
    assert "STIXGeneral" not in plain.get_fontfamily()


def test_letters_in_a_pdf_stay_letters(tmp_path: Path) -> None:
    """Journals refuse fonts of type 3."""
    write_figure(some_figure(), str(tmp_path / "a.pdf"))
    content = (tmp_path / "a.pdf").read_bytes()
    assert b"/Type3" not in content and b"/CIDFontType2" in content


def test_no_number_of_an_epoch_touches_the_next() -> None:
    pytest.importorskip("torch")
    from spectral_detect.report.gan import epoch_heading, epoch_line

    line = epoch_line({"epoch": 3, "loss_g": -1234567.5, "fd": None, "diversity": 1662159.25, "seconds": 12.0})
    assert len(line) == len(epoch_heading())
    assert line.split() == ["3", "-", "-1e+06", "-", "-", "-", "-", "-", "-", "-", "2e+06", "12.0"]


def test_the_spectral_loss_of_a_run_stands_on_its_own_scale_where_there_is_one() -> None:
    from spectral_detect.report.gan import _losses

    rows = [{"epoch": k, "loss_d": 1.0, "loss_g": 2.0, "spectral_loss": 0.1 / k} for k in (1, 2, 3)]
    for given in (rows, [row | {"spectral_loss": None} for row in rows]):
        figure = new_figure(4.0, 3.0)
        _losses(figure.add_subplot(), given)
        drawn = [list(line.get_ydata()) for axes in figure.axes for line in axes.lines]
        spectral = [row["spectral_loss"] for row in given if row["spectral_loss"] is not None]
        assert drawn == [[1.0] * 3, [2.0] * 3, *([spectral] if spectral else [])]
        assert len(figure.axes) == 1 + bool(spectral)
