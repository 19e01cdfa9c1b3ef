"""Folders of generators and their labels."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from conftest import EXAMPLES
from spectral_detect import FAKE, REAL
from spectral_detect.errors import DatasetError
from spectral_detect.training.labelled_files import files_by_generator, files_in_manifest


def test_folders_of_generators_are_labelled_by_their_names(tmp_path: Path, generators: Path) -> None:
    found = files_by_generator(str(generators))
    assert list(found) == ["one", "two"]
    for files in found.values():
        assert [sum(f.label == label for f in files) for label in (REAL, FAKE)] == [12, 6]
    shutil.copytree(generators / "one", generators / "three" / "dogs" / "1_fake")
    shutil.copytree(generators / "two", generators / "three" / "dogs" / "0_real")
    own = files_by_generator(str(generators))["three"]
    assert [sum(f.label == label for f in own) for label in (REAL, FAKE)] == [6, 6]
    shutil.rmtree(generators / "0_real")
    with pytest.raises(DatasetError, match="one': not both real and fake images; name the folder"):
        files_by_generator(str(generators))
    with pytest.raises(DatasetError, match="has no sub-folders"):
        files_by_generator(str(generators / "one"), [str(EXAMPLES / "real")])
    with pytest.raises(DatasetError, match="cannot be listed"):
        files_by_generator(str(tmp_path / "nowhere"))


def test_a_cell_without_end_names_the_line_where_it_begins(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text('path,label\na.png,real\n"b.png,fake\n' + "c.png,real\n" * 20_000)
    with pytest.raises(DatasetError, match=r"m\.csv', line 3: field larger .* is a quotation mark not closed there\?"):
        files_in_manifest(tmp_path / "m.csv")


@pytest.mark.parametrize("mark", [";", "\t"])
def test_a_manifest_of_a_spreadsheet_may_part_columns_otherwise(tmp_path: Path, mark: str) -> None:
    rows = (("label", '"path"', "group"), ("real", "a,b.png", "1"), ("fake", '"c;d.png"', "2"))
    (tmp_path / "m.csv").write_text("\n".join(map(mark.join, rows)) + "\n")
    files = files_in_manifest(tmp_path / "m.csv")
    found = [(Path(f.file.path).name, f.label, f.group) for f in files]
    assert found == [("a,b.png", REAL, "1"), ("c;d.png", FAKE, "2")]


def test_a_manifest_is_read_with_a_byte_order_mark_and_with_names_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"M\xfcller.png")).write_bytes(b"")
    manifest = tmp_path / "m.csv"
    manifest.write_bytes(b"\xef\xbb\xbfpath,label\r\ngone.png,real\r\nM\xfcller.png,fake\r\n")
    found = files_in_manifest(str(manifest))
    assert [os.fsencode(os.path.basename(f.file.path)) for f in found] == [b"gone.png", b"M\xfcller.png"]
    assert [f.label for f in found] == [REAL, FAKE]


@pytest.mark.parametrize(
    ("encoding", "named"),
    [("utf-16", "UTF-16"), ("utf-16-le", "UTF-16LE"), ("utf-16-be", "UTF-16BE"), ("utf-32", "UTF-32")],
)
def test_a_manifest_in_another_encoding_names_it(tmp_path: Path, encoding: str, named: str) -> None:
    (tmp_path / "m.csv").write_text("path,label\na.png,real\n", encoding=encoding)
    with pytest.raises(DatasetError, match=f"is in {named}, not in UTF-8; save it as UTF-8, .*iconv -f {named} "):
        files_in_manifest(str(tmp_path / "m.csv"))


def test_a_name_in_windows_1252_that_is_no_file_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "M\u00fcller.png").write_bytes(b"")
    (tmp_path / "m.csv").write_text("path,label\nM\u00fcller.png,real\n", encoding="cp1252")
    with pytest.raises(DatasetError, match=r"line 2: .*name is not UTF-8; if it is in Windows-1252, save it as UTF-8"):
        files_in_manifest(str(tmp_path / "m.csv"))
