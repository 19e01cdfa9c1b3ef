"""Text that is shortened: after whole words, and never longer than asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectral_detect.outputs.table import LONGEST_SAID, image_layout
from spectral_detect.provenance.findings import LONGEST_LINE, Finding, Provenance, shown
from spectral_detect.records import ImageRecord
from spectral_detect.text import cut_at_word, cut_between_words, file_stem

CLAIM = "C2PA manifest unchanged since it was signed, of an unknown signer; signed by Example Camera Works"
LINE = "; ".join([CLAIM] * 12)


@given(st.text(alphabet="ab ,;.\u00e9", max_size=90), st.integers(8, 60))
def test_no_cut_text_is_longer_than_asked_for(text: str, longest: int) -> None:
    for cut in (cut_at_word(text, longest), cut_between_words(text, longest)):
        assert len(cut) <= longest and (cut == text) == (len(text) <= longest)


@pytest.mark.parametrize("longest", range(20, 110))
def test_words_stay_whole(longest: int) -> None:
    words = set(LINE.replace(";", " ").replace(",", " ").split())
    for cut in (cut_at_word(LINE, longest), cut_between_words(LINE, longest)):
        assert "..." in cut
        kept = cut.replace("...", " ").replace(";", " ").replace(",", " ").split()
        assert set(kept) <= words


def test_text_without_words_is_cut_where_it_must() -> None:
    assert cut_at_word("x" * 300, 40) == "x" * 37 + "..."
    assert cut_at_word("short " + "x" * 300, 80) == "short " + "x" * 71 + "..."
    assert len(cut_between_words("x" * 300, 41)) == 41
    assert cut_at_word("one two three", 10) == "one two..."
    assert cut_at_word("one two", 7) == "one two"


def test_what_a_file_says_ends_at_a_word_in_each_place() -> None:
    said = Provenance(tuple(Finding("C2PA", f"{CLAIM} {k}", "JPEG APP11 at byte 20", "yes") for k in range(9)))
    for line in (said.line, said.claim):
        assert len(line) <= LONGEST_LINE and line.endswith("...")
        assert line[-4] in "abcdefghijklmnopqrstuvwxyzA0123456789)"
        assert f"{said.findings[0]}".startswith(line[:40])
    blank = ImageRecord(*("x" for _ in range(7)), "fake", *(None for _ in range(5)), "", "", "")  # type: ignore[arg-type]
    row = image_layout().said(replace(blank, provenance=LINE, says_generated="yes"))
    assert row == f"the file says: {cut_at_word(LINE, LONGEST_SAID)}" and row.endswith("of an unknown...")
    actions = ", ".join(f"edited by Program {k}" for k in range(30))
    assert set(shown(actions).replace("...", " ").replace(",", "").split()) <= set(actions.replace(",", "").split())


@given(st.text(st.characters(categories=["Lo", "Lu", "Po", "Zs", "Cc", "Cf", "Cs", "So"]), max_size=90))
def test_a_stem_holds_letters_of_any_script_and_nothing_that_names_another_place(name: str) -> None:
    stem = file_stem(f"folder/{name}.mp4", 60)
    assert len(stem) <= 60 and all(c.isalnum() or c in "_-" for c in stem)


def test_the_stem_of_a_name_in_another_script_is_that_name() -> None:
    assert file_stem("clips/\u753b\u9762 \u4e00.mp4", 60) == "\u753b\u9762_\u4e00"
