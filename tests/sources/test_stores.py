"""Images at URLs: a server on this machine, files in memory, and names that only look like URLs."""

from __future__ import annotations

import base64
import csv
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conftest import EXAMPLES, MODELS, Run
from spectral_detect.errors import ExtraMissingError, ImageReadError, RemoteError
from spectral_detect.media import images
from spectral_detect.outputs.resume import stamp_of
from spectral_detect.sources import reading, urls
from spectral_detect.sources import stores as remote
from spectral_detect.sources.discovery import FoundFile, expand_arguments, find_images
from spectral_detect.sources.location import Location
from spectral_detect.sources.sharding import Shard
from spectral_detect.sources.stores import locate

fsspec = pytest.importorskip("fsspec", reason="the extra remote is not installed")
pytest.importorskip("aiohttp", reason="fsspec needs it to read over HTTP")

MODEL = MODELS / "photographs.pkl"
NAMES = ("Aqua.png", "Garden.png", "sunset_by_Aitzol_Berasategi.png")
PASSWORD, SIGNATURE = "s3cr3t", "0123abcd"
SIGNED = f"X-Amz-Algorithm=AWS4&X-Amz-Signature={SIGNATURE}&version=2"


@pytest.fixture(autouse=True)
def model_of_the_examples() -> Iterator[None]:
    """Let the model judge that decides on each example."""
    with (
        pytest.MonkeyPatch.context() as patch
    ):  # a patch of its own, so that those of a test are undone before its site
        patch.setattr("spectral_detect.detector.model_file.DEFAULT", MODEL.stem)
        patch.setattr("spectral_detect.detector.model_file.shipped_models", lambda: {MODEL.stem: MODEL})
        yield


class Handler(SimpleHTTPRequestHandler):
    """The files of a folder, and some bad manners at certain names."""

    def log_message(self, *_: object) -> None:
        self.server.requests.append(f"{self.command} {self.path}")  # type: ignore[attr-defined]

    def do_HEAD(self) -> None:
        if not self._misbehave():
            super().do_HEAD()

    def do_GET(self) -> None:
        if not self._misbehave():
            super().do_GET()

    def _misbehave(self) -> bool:
        name = self.path.rpartition("/")[2].partition("?")[0]
        if name == "announced_small.png":
            self._say(200, b"x" * (10 if self.command == "HEAD" else 5000))
        elif name == "announced_huge.png":
            self._say(200, b"", n_bytes=2**40)
        elif name == "cut_off.png":
            self._say(200, b"x" * 100, n_bytes=200)
        elif name == "hanging.png":
            self.server.hangs.set()  # type: ignore[attr-defined]
            self.server.is_over.wait(30)  # type: ignore[attr-defined]
        elif name == "forbidden.png":
            self._say(403, b"")
        elif name == "failing.png":
            self._say(500, b"")
        elif name == "locked.png":
            told = base64.b64encode(f"bob:{PASSWORD}".encode()).decode()
            if self.headers.get("Authorization") == f"Basic {told}":
                return False
            self._say(401, b"")
        elif self.path == "/elsewhere/":
            self._say(200, self.server.page.encode(), kind="text/html")  # type: ignore[attr-defined]
        else:
            return False
        return True

    def _say(self, status: int, content: bytes, n_bytes: int | None = None, kind: str = "image/png") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content) if n_bytes is None else n_bytes))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that has read enough goes away."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[SimpleNamespace]:
    """A served folder with three photographs and a text: `url`, `folder`, `server`."""
    folder = tmp_path / "site"
    (folder / "photos").mkdir(parents=True)
    for name in NAMES:
        shutil.copy(EXAMPLES / "real" / name, folder / "photos" / name)
    (folder / "photos" / "notes.txt").write_text("no image")
    server = Server(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
    server.requests, server.is_over, server.hangs = [], threading.Event(), threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield SimpleNamespace(url=f"http://127.0.0.1:{server.server_port}", folder=folder, server=server)
    server.is_over.set()  # type: ignore[attr-defined]
    server.shutdown()
    server.server_close()
    thread.join()
    fsspec.get_filesystem_class("http").clear_instance_cache()


@pytest.fixture
def memory() -> Iterator[object]:
    """The store `memory://`, empty before and after."""
    store = fsspec.filesystem("memory")
    store.store.clear()
    yield store
    store.store.clear()
    store.pseudo_dirs[:] = [""]


def records_of(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def without_place(record: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in record.items() if name not in ("path", "mtime_ns")}


def found(*paths: str | Location) -> tuple[list[str], list[str]]:
    skipped: list[str] = []
    places = [locate(path) if isinstance(path, str) else path for path in paths]
    return [f.path for f in find_images(places, on_skip=skipped.append)], skipped


# ---------------------------------------------------------------------------------------------------- the command line


@pytest.mark.parametrize("jobs", [0, 1])
def test_a_scan_over_http_gives_the_records_of_a_local_one(site: SimpleNamespace, run: Run, jobs: int) -> None:
    remote_scan = run("scan", f"{site.url}/photos", "--format", "jsonl", "--jobs", jobs)
    local_scan = run("scan", site.folder / "photos", "--format", "jsonl", "--jobs", jobs)
    assert (remote_scan.exit_code, remote_scan.stderr) == (0, "")
    over_http, local = records_of(remote_scan.stdout), records_of(local_scan.stdout)
    assert [without_place(r) for r in over_http] == [without_place(r) for r in local]
    assert [r["path"] for r in over_http] == [f"{site.url}/photos/{name}" for name in NAMES]
    assert [r["mtime_ns"] for r in over_http] == [int(r["mtime_ns"]) // 10**9 * 10**9 for r in local]


def test_the_summary_counts_what_is_no_image(site: SimpleNamespace, run: Run) -> None:
    result = run("scan", f"{site.url}/photos/", "--jobs", 0)
    assert result.stdout.endswith("3 images: 3 real, 0 fake, 0 inconclusive, 0 failed; 1 other file skipped: 1 .txt\n")


def test_a_file_scheme_needs_no_fsspec_and_gives_local_paths(tmp_path: Path, run: Run) -> None:
    odd = tmp_path / "a b"
    odd.mkdir()
    shutil.copy(EXAMPLES / "real" / NAMES[0], odd)
    for name in (f"file://{odd}", f"file://localhost{tmp_path}/a%20b", f"file://{tmp_path}/a*/*.png"):
        (record,) = records_of(run("scan", name, "--format", "jsonl", "--jobs", 0).stdout)
        assert record["path"] == str(odd / NAMES[0])
    result = run("scan", "file://photos/x.png")
    assert (result.exit_code, "no such file" in result.stderr) == (2, True)


def test_patterns_over_http(site: SimpleNamespace, run: Run) -> None:
    result = run("scan", f"{site.url}/ph*/[AG]*.png", "--format", "jsonl", "--jobs", 0)
    assert [r["path"] for r in records_of(result.stdout)] == [f"{site.url}/photos/{name}" for name in NAMES[:2]]


@pytest.mark.parametrize("name", ["photos/gone.png", "photos/gone*.png", "nowhere/", "nowhere/*.png"])
def test_a_missing_url_is_not_found_before_an_output_is_made(
    site: SimpleNamespace, run: Run, tmp_path: Path, name: str
) -> None:
    output = tmp_path / "out.csv"
    result = run("scan", f"{site.url}/photos", f"{site.url}/{name}", "--output", output)
    assert result.exit_code == 2
    assert f"'{site.url}/{name}': no such file or folder" in result.stderr
    assert not output.exists()


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:9/a.png", "Cannot connect to host 127.0.0.1:9"),
        ("{site}/forbidden.png", "permission denied (HTTP 403); give the store's credentials"),
        ("{site}/failing.png", "the server answers HTTP 500; try again later"),
        ("zip://a.png::{site}/a.zip", "URLs within URLs"),
        ("simplecache::{site}/photos/Aqua.png", "URLs within URLs"),
    ],
)
def test_a_url_that_cannot_be_told_is_refused_with_the_reason(
    site: SimpleNamespace, run: Run, url: str, says: str
) -> None:
    result = run("scan", url.format(site=site.url))
    assert result.exit_code == 2
    assert says in result.stderr


def _without_s3fs(scheme: str) -> object:
    raise ImportError("Install s3fs to access S3")


def test_a_package_that_is_missing_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fsspec, "get_filesystem_class", _without_s3fs)
    result = run("scan", "s3://bucket/a.png")
    assert result.exit_code == 2
    assert result.stderr == "Error: s3:// needs a package that is not installed: pip install 'fsspec[s3]'\n"
    monkeypatch.setitem(sys.modules, "fsspec", None)
    remote._known_schemes.cache_clear()
    result = run("scan", "s3://bucket/a.png")
    remote._known_schemes.cache_clear()
    assert (result.exit_code, "pip install '.[remote]' in the checkout" in result.stderr) == (2, True)


def test_files_that_fail_in_the_middle_are_records(site: SimpleNamespace, run: Run) -> None:
    reasons = {
        "gone.png": "cannot be read: no such file",
        "forbidden.png": "cannot be read: permission denied (HTTP 403)",
        "announced_huge.png": "cannot be read: 1099511627776 bytes: files over",
        "cut_off.png": "cannot be read: the server broke off in the middle; try again",
        "notes.txt": "not an image in a known format",
    }
    listed = "\n".join(f"{site.url}/photos/{name}" for name in (NAMES[0], *reasons, NAMES[1]))
    result = run("scan", "--files-from", "-", "--format", "jsonl", "--jobs", 0, stdin=listed.encode())
    first, *failed, last = records_of(result.stdout)
    assert (result.exit_code, first["verdict"], last["verdict"]) == (1, "real", "real")
    for record, (name, reason) in zip(failed, reasons.items(), strict=True):
        assert record["path"] == f"{site.url}/photos/{name}"
        assert str(record["error"]).startswith(reason)


def test_a_server_that_hangs_costs_one_file(site: SimpleNamespace, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that stands still, however busy the machine is, until the server has hung for two seconds."""
    began: list[float] = []

    def clock() -> float:
        if site.server.hangs.is_set() and not began:
            began.append(time.monotonic())
        return 1000.0 if began and time.monotonic() - began[0] > 2 else 0.0

    monkeypatch.setattr("spectral_detect.parallel.pool.time", SimpleNamespace(monotonic=clock))
    listed = "\n".join(f"{site.url}/photos/{name}" for name in (NAMES[0], "hanging.png", NAMES[1]))
    arguments = ("--files-from", "-", "--format", "jsonl", "--jobs", 1, "--timeout", 1)
    records = records_of(run("scan", *arguments, stdin=listed.encode()).stdout)
    assert [r["error"] for r in records] == [None, "given up after 1 s; see --timeout", None]


def test_lists_take_local_files_files_at_urls_and_folders_that_end_in_a_slash(site: SimpleNamespace, run: Run) -> None:
    listed = f"{site.folder}/photos/{NAMES[0]}\n{site.url}/photos/{NAMES[0]}\n{site.url}/photos/\n{site.url}/photos\n"
    result = run("scan", "--files-from", "-", "--format", "jsonl", "--jobs", 0, stdin=listed.encode())
    records = records_of(result.stdout)
    assert [r["verdict"] for r in records] == ["real"] * 5 + [None]
    assert "the URL of a folder ends in /" in str(records[-1]["error"])


def test_a_video_at_a_url_is_refused(site: SimpleNamespace, run: Run, tmp_path: Path) -> None:
    result = run("video", f"{site.url}/photos/clip.mp4", "--output", tmp_path / "out.csv")
    assert result.exit_code == 2
    assert "videos are read from local files only; download it first" in result.stderr
    assert not (tmp_path / "out.csv").exists()


def test_features_and_labelled_images_come_from_urls(site: SimpleNamespace, run: Run, tmp_path: Path) -> None:
    extracted = [tmp_path / f"{name}.csv" for name in ("http", "local")]
    for place, output in zip((f"{site.url}/photos", site.folder / "photos"), extracted, strict=True):
        assert run("extract", place, "--output", output, "--jobs", 0).exit_code == 0
    over_http, local = (list(csv.DictReader(output.read_text().splitlines())) for output in extracted)
    assert [without_place(r) for r in over_http] == [without_place(r) for r in local]
    manifest = tmp_path / "manifest.csv"
    rows = [f"{site.url}/photos/{NAMES[0]},real", f"site/photos/{NAMES[1]},real", f"{EXAMPLES}/fake/{NAMES[0]},fake"]
    manifest.write_text("path,label\n" + "\n".join(rows))
    result = run("evaluate", MODEL, "--manifest", manifest, "--json", "--jobs", 0)
    assert (json.loads(result.stdout)["n_real"], json.loads(result.stdout)["n_failed"]) == (2, 0)
    result = run("audit", "--real", f"{site.url}/nowhere", "--fake", EXAMPLES / "fake", "--jobs", 0)
    assert (result.exit_code, "there is no such file or folder" in result.stderr) == (2, True)


# ---------------------------------------------------------------------------------------------------------- credentials


def test_a_password_reaches_the_server_and_nothing_else(site: SimpleNamespace, run: Run, tmp_path: Path) -> None:
    shutil.copy(EXAMPLES / "real" / NAMES[0], site.folder / "photos" / "locked.png")
    url = site.url.replace("://", f"://bob:{PASSWORD}@")
    listed = "\n".join([f"{url}/photos/locked.png?{SIGNED}", f"{url}/photos/gone.png?{SIGNED}"])
    for jobs in (0, 1):
        output = tmp_path / f"{jobs}.jsonl"
        result = run("scan", "--files-from", "-", "--output", output, "--jobs", jobs, stdin=listed.encode())
        good, bad = records_of(output.read_text())
        assert (good["verdict"], good["path"]) == ("real", f"{site.url}/photos/locked.png?version=2")
        assert bad["error"] == "cannot be read: no such file"
        for secret in (PASSWORD, SIGNATURE, "bob"):
            assert secret not in output.read_text() + result.stderr
    assert any(SIGNATURE in request for request in site.server.requests)


@pytest.mark.parametrize("pattern", ["photos/*.png", "photos/**/*.png", "**/*.png"])
def test_a_page_that_links_to_itself_is_walked_once(site: SimpleNamespace, pattern: str) -> None:
    links = "".join(f'<a href="{name}">' for name in ("/photos//", "./", *NAMES))
    (site.folder / "photos" / "index.html").write_text(links)
    paths = [location.path for location in remote.expand(f"{site.url}/{pattern}")]
    assert paths == [f"{site.url}/photos/{name}" for name in sorted(NAMES)]


def test_a_scheme_in_capitals_is_the_same(site: SimpleNamespace, run: Run) -> None:
    url = site.url.replace("http", "HTTP")
    output = run("scan", f"{url}/photos/{NAMES[0]}", "--format", "jsonl").stdout
    assert records_of(output)[0]["path"] == f"{site.url}/photos/{NAMES[0]}"


@pytest.mark.parametrize("name", ["gone.png", "forbidden.png", "ph*/none*.png"])
def test_errors_hide_credentials(site: SimpleNamespace, run: Run, name: str) -> None:
    url = site.url.replace("://", f"://bob:{PASSWORD}@")
    result = run("scan", f"{url}/{name}?{SIGNED}")
    assert result.exit_code == 2
    assert name in result.stderr
    assert not any(secret in result.output for secret in (PASSWORD, SIGNATURE))
    assert not any(secret in repr(Location.at_url(f"{url}?{SIGNED}")) for secret in (PASSWORD, SIGNATURE))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("ftp://bob:pw@host/a@b:c.jpg", "ftp://bob@host/a@b:c.jpg"),
        ("ftp://bob:p@w:x@host/a.jpg", "ftp://bob@host/a.jpg"),
        ("https://token@host/a.jpg", "https://host/a.jpg"),
        ("https://host/a.jpg?id=1&sig=x&se=2030&v=2", "https://host/a.jpg?id=1&v=2"),
        ("https://host/a.jpg?se=2030", "https://host/a.jpg?se=2030"),
        ("https://host/a.jpg?Expires=1&Signature=x&Key-Pair-Id=K", "https://host/a.jpg"),
        ("https://host?token=x", "https://host"),
        ("s3://bucket/a?token=x@y", "s3://bucket/a?token=x@y"),
        ("gist://:TOKEN@id/file", "gist://id/file"),
        ("github://org:repo@main/a.png", "github://org:repo@main/a.png"),
        ("abfs://container@account.dfs.core.windows.net/a.png", "abfs://container@account.dfs.core.windows.net/a.png"),
        ("/local/bob:pw@host?sig=x", "/local/bob:pw@host?sig=x"),
        ("HTTPS://bob:pw@host/a.jpg", "HTTPS://host/a.jpg"),
        ("https://host/a.jpg?v=2#access_token=x", "https://host/a.jpg?v=2"),
        ("zip://a@b.png::https://bob:pw@host/x.zip?token=x", "zip://a@b.png::https://host/x.zip"),
        ("simplecache::Https://bob:pw@host/a.png", "simplecache::Https://host/a.png"),
    ],
)
def test_what_is_shown_of_a_url(url: str, shown: str) -> None:
    assert urls.without_credentials(url) == shown


def test_what_a_library_says_is_scrubbed() -> None:
    url = f"https://bob:p%40ss@host/a.png?X-Amz-Signature={SIGNATURE}"
    told = f"401 for {url}, user bob, password p@ss, {SIGNATURE}"
    assert urls.scrubbed(told, url) == "401 for https://host/a.png, user ***, password ***, ***"


def test_rows_are_known_again_whatever_the_signature(site: SimpleNamespace, run: Run, tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    for signature, says in (("first", ""), ("second", "1 row kept, 0 files to do")):
        url = f"{site.url}/photos/{NAMES[0]}?X-Amz-Date={signature}&X-Amz-Signature={signature}"
        result = run("scan", url, "--resume", output, "--jobs", 0)
        assert (result.exit_code, says in result.stderr) == (0, True)


# ------------------------------------------------------------------------------------------------------------- security


def test_names_in_a_local_folder_are_never_fetched(
    site: SimpleNamespace, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    host = site.url.partition("//")[2]
    inside = tmp_path / "http:" / host / "photos"
    inside.mkdir(parents=True)
    shutil.copy(EXAMPLES / "fake" / NAMES[0], inside / NAMES[0])
    (inside / "gone.png").symlink_to("nowhere")
    local = [f"http:/{host}/photos/{name}" for name in (NAMES[0], "gone.png")]
    listed = f"{site.url}/photos/{NAMES[0]}\n"
    for arguments in (["http:"], ["http:/"], ["http://"], [f"{site.url}/photos"], ["h*"], ["file://" + str(tmp_path)]):
        result = run("scan", *arguments, "--format", "jsonl", "--jobs", 0)
        records = [r for r in records_of(result.stdout) if "/site/" not in str(r["path"])]
        assert [(str(r["path"]).removeprefix(f"{tmp_path}/"), r["verdict"]) for r in records] == list(
            zip(local, ("fake", None), strict=True)
        )
    result = run("scan", "--files-from", "-", "--format", "jsonl", "--jobs", 0, stdin=listed.encode())
    assert [(r["path"], r["verdict"]) for r in records_of(result.stdout)] == [(local[0], "fake")]
    assert site.server.requests == []


def test_a_found_path_is_local_unless_its_place_was_found_with_it(site: SimpleNamespace) -> None:
    with pytest.raises(ImageReadError, match="No such file"):
        reading.read_file(Location(f"{site.url}/photos/{NAMES[0]}"))
    assert site.server.requests == []
    assert images.read_image(f"{site.url}/photos/{NAMES[0]}").width == 256


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1))
def test_what_lies_below_a_folder_is_no_url(name: str) -> None:
    """As `os.scandir` joins it."""
    assert not urls.looks_like_url(os.path.join(".", name))
    assert not urls.looks_like_url(os.path.join("http:", name.lstrip("/")))
    assert not urls.looks_like_url(os.path.join(urls.local_name("http:/host"), name.lstrip("/")))


@pytest.mark.parametrize("path", ["a.png", "C:/a.png", "c://a.png", "a: //b", "://a", "1http://a", "HTTP//a", "é://a"])
def test_what_is_no_url(path: str) -> None:
    assert not remote.is_url(path)
    assert urls.local_name(path) == path


def test_only_what_fsspec_knows_is_a_url() -> None:
    assert remote.is_url("s3://bucket/a.png")
    assert not remote.is_url("whatever://bucket/a.png")
    assert not remote.is_url("file:///a.png")


def test_a_page_leads_nowhere_else(site: SimpleNamespace) -> None:
    with Server(("127.0.0.1", 0), partial(Handler, directory=str(site.folder))) as other:
        other.requests = []  # type: ignore[attr-defined]
        thread = threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        here = "in/a.png in/a.png#part https.png a%26b.png deep/er/c.png in/ odd&amp;.png".split()
        away = f"http://127.0.0.1:{other.server_port}/photos/ //127.0.0.1:{other.server_port}/x.png ftp://h/x.png"
        above = (
            "../ ../photos/ /photos/Aqua.png ?C=N;O=D . ./ # %2e%2e/photos/ ..%2fphotos/x.png javascript:x() a.png?x"
        )
        links = [*here, *away.split(), *above.split(), f"{site.url}/elsewhere/whole.png"]
        site.server.page = "".join(f"<a class=x href='{link}'>x</a>" for link in links)
        files, skipped = found(f"{site.url}/elsewhere/")
        other.shutdown()
        thread.join()
    names = ["a%26b.png", "deep/er/c.png", "https.png", "in", "in/a.png", "odd&.png", "whole.png"]
    assert files == [f"{site.url}/elsewhere/{name}{'/' if name == 'in' else ''}" for name in names]
    assert skipped == []
    assert other.requests == []  # type: ignore[attr-defined]
    assert {request.split()[1] for request in site.server.requests} == {"/elsewhere/", "/elsewhere/in/"}


def test_a_server_without_end_comes_to_one() -> None:
    with pytest.raises(RemoteError, match="more than 100 folders in one another"):
        remote.list_folder(Location.at_url("http://host/" + "x/" * 101, is_folder=True))


# -------------------------------------------------------------------------------------------------------------- reading


def test_more_than_was_announced_is_not_taken_in(site: SimpleNamespace) -> None:
    place = Location.at_url(f"{site.url}/announced_small.png")
    assert len(reading.read_file(place).content) == 5000  # HEAD was wrong, and the answer itself complete
    with pytest.raises(ImageReadError, match=r"announced as 10 bytes and larger: files over 4000 are refused"):
        reading.read_file(place, max_bytes=4000)


def test_a_huge_file_is_not_asked_for(site: SimpleNamespace) -> None:
    with pytest.raises(ImageReadError, match=r"1099511627776 bytes: files over \d+ are refused"):
        reading.read_file(Location.at_url(f"{site.url}/announced_huge.png"))
    assert site.server.requests == ["HEAD /announced_huge.png"]


def test_a_store_that_gives_less_than_it_announced(memory: object, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.pipe("/a.png", b"12345")  # type: ignore[attr-defined]
    monkeypatch.setattr(type(memory), "info", lambda *_: {"name": "/a.png", "size": 9, "type": "file"})
    with pytest.raises(ImageReadError, match=r"only 5 of 9 bytes came; try again"):
        reading.read_file(Location.at_url("memory://a.png"))


def test_the_start_of_a_file_is_all_that_is_asked_for(site: SimpleNamespace) -> None:
    shutil.copy(EXAMPLES / "real" / NAMES[0], site.folder / "photos" / "unnamed")
    assert f"{site.url}/photos/unnamed" in found(f"{site.url}/photos/")[0]
    assert (
        remote.read_start(Location.at_url(f"{site.url}/photos/unnamed"), 8) == b"\x89PNG\r\n\x1a\n"
    )  # this server knows no parts


@pytest.mark.parametrize(
    ("info", "seconds"),
    [
        ({"Last-Modified": "Thu, 01 Jan 1970 00:01:00 GMT"}, 60),
        ({"LastModified": datetime(1970, 1, 1, 0, 1, 0, 999, timezone.utc)}, 60),
        ({"updated": "1970-01-01T00:01:00.123Z"}, 60),
        ({"modify": "19700101000100"}, 60),
        ({"mtime": 60.9}, 60),
        ({"mtime": datetime(1970, 1, 1, 0, 1)}, 60),
        ({"mtime": None, "modified": "whenever"}, None),
        ({"mtime": 1e300}, None),
        ({"created": datetime(1970, 1, 1)}, None),
    ],
)
def test_the_time_of_a_file_in_whole_seconds(info: dict[str, object], seconds: int | None) -> None:
    assert remote._mtime_ns(info) == (None if seconds is None else seconds * 10**9)


# ------------------------------------------------------------------------------------------------- listing and patterns


@pytest.fixture
def tree(memory: object) -> object:
    png = (EXAMPLES / "real" / NAMES[0]).read_bytes()
    for name, content in (
        ("b/2.PNG", png),
        ("b/10.png", png),
        ("a.jpg", b"text"),
        ("b.png", png),
        ("c/no_suffix", png),
        ("c/notes.txt", b"BMW and other cars"),
        ("c/.hidden.png", png),
        ("z.mp4", b"\x00\x00\x00\x20ftypisom"),
    ):
        memory.pipe(f"/tree/{name}", content)  # type: ignore[attr-defined]
    return memory


def test_a_folder_is_searched_as_a_local_one_is(tree: object, tmp_path: Path) -> None:
    tree.get("/tree", str(tmp_path / "tree"), recursive=True)  # type: ignore[attr-defined]
    (place,) = expand_arguments(["memory://tree"])
    files, skipped = found(place)
    local_files, local_skipped = found(str(tmp_path / "tree"))
    assert files == [f"memory://{os.path.relpath(path, tmp_path)}" for path in local_files]
    assert skipped == [f"memory://{os.path.relpath(path, tmp_path)}" for path in local_skipped]
    assert files == found("memory://tree/")[0]
    assert len(files) == 6


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*/*.png", ["b/10.png"]),
        ("*/*.[Pp]*", ["b/10.png", "b/2.PNG"]),
        ("b/?.PNG", ["b/2.PNG"]),
        ("**/*.png", ["b/10.png", "b.png"]),
        ("c/.*", ["c/.hidden.png"]),
        ("b*", ["b", "b.png"]),
        ("**", [""]),
        ("a.jpg", ["a.jpg"]),
    ],
)
def test_patterns(tree: object, pattern: str, names: list[str]) -> None:
    assert [place.path.rstrip("/") for place in expand_arguments([f"memory://tree/{pattern}"])] == [
        f"memory://tree/{name}".rstrip("/") for name in names
    ]


def test_a_pattern_that_is_a_file_is_that_file(memory: object) -> None:
    for name in ("a[1].png", "a1.png"):
        memory.pipe(f"/{name}", b"x")  # type: ignore[attr-defined]
    assert [place.path for place in expand_arguments(["memory://a[1].png"])] == ["memory://a[1].png"]  # type: ignore[union-attr]
    with pytest.raises(FileNotFoundError, match=r"memory://a\?\?\.png"):
        expand_arguments(["memory://a??.png"])


def test_a_folder_that_cannot_be_listed_is_a_problem_and_the_rest_goes_on(
    tree: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = type(tree).ls

    def refuse(store: object, path: str, **options: object) -> object:
        if path.rstrip("/").endswith("/b"):
            raise PermissionError("not yours")
        return whole(store, path, **options)

    monkeypatch.setattr(type(tree), "ls", refuse)
    problems = [f for f in find_images([locate("memory://tree/")]) if f.problem]
    assert [f.path for f in problems] == ["memory://tree/b"]
    assert "the folder cannot be listed: permission denied (not yours)" in str(problems[0].problem)
    assert len(found("memory://tree/")[0]) == 5


def test_a_pattern_passes_over_a_dead_link(site: SimpleNamespace) -> None:
    shutil.copytree(site.folder / "photos", site.folder / "elsewhere" / "in")
    site.server.page = "<a href='gone/'>x</a><a href='in/'>x</a><a href='in/deep.png'>x</a>"
    (place,) = expand_arguments([f"{site.url}/elsewhere/*/A*.png"])
    assert place.is_remote
    assert place.path == f"{site.url}/elsewhere/in/{NAMES[0]}"


def test_an_address_in_brackets_is_no_pattern() -> None:
    assert urls.pattern_parts("http://[::1]:80/a.png") == ("http://[::1]:80/a.png", [])
    assert urls.pattern_parts("http://[::1]:80/a?x=*") == ("http://[::1]:80/a?x=*", [])
    assert urls.pattern_parts("s3://b/c/d?/*") == ("s3://b/c/", ["d?", "*"])


# ------------------------------------------------------------------------------------------------- resuming and shards


def test_resuming_twice_does_nothing_where_the_server_tells_a_time(
    site: SimpleNamespace, run: Run, tmp_path: Path
) -> None:
    output = tmp_path / "out.jsonl"
    for number, says in enumerate(("", "3 rows kept, 0 files to do", "2 rows kept, 1 file to do")):
        if number == 2:
            os.utime(site.folder / "photos" / NAMES[1], (1_000_000_000, 1_000_000_000))
        site.server.requests.clear()
        result = run("scan", f"{site.url}/photos", "--resume", output, "--jobs", 0)
        assert (result.exit_code, says in result.stderr) == (0, True)
        n_read = sum(r.startswith("GET") and r.endswith(".png") for r in site.server.requests)
        assert n_read == (3, 0, 1)[number]
        assert [r["path"] for r in records_of(output.read_text())] == [f"{site.url}/photos/{n}" for n in NAMES]


def test_by_hash_the_files_are_read_again_and_known(site: SimpleNamespace, run: Run, tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    run("scan", f"{site.url}/photos", "--resume", output, "--jobs", 0)
    (site.folder / "photos" / NAMES[1]).touch()
    result = run("scan", f"{site.url}/photos", "--resume", output, "--known-by", "sha256", "--jobs", 0)
    assert "3 rows kept, 0 files to do" in result.stderr


def test_where_no_time_is_told_files_are_scanned_again(memory: object, run: Run, tmp_path: Path) -> None:
    for name in NAMES[:2]:
        memory.pipe(f"/{name}", (EXAMPLES / "real" / name).read_bytes())  # type: ignore[attr-defined]
    output = tmp_path / "out.csv"
    for known_by, says in (
        ("size-mtime", ""),
        ("size-mtime", "0 rows kept, 2 files to do, of which 2 failed or changed"),
        ("sha256", "2 rows kept, 0 files to do"),
    ):
        result = run("scan", "memory://", "--resume", output, "--known-by", known_by, "--jobs", 0)
        assert (result.exit_code, says in result.stderr) == (0, True)
    assert [row["mtime_ns"] for row in csv.DictReader(output.read_text().splitlines())] == ["", ""]
    assert stamp_of(FoundFile(Location.at_url("memory://gone")), "size-mtime") is None
    result = run("scan", f"memory://{NAMES[0]}", "--resume", output, "--jobs", 0)
    assert (result.exit_code, "which is still there" in result.stderr) == (2, True)
    memory.rm(f"/{NAMES[1]}")  # type: ignore[attr-defined]
    result = run("scan", "memory://", "--resume", output, "--jobs", 0)
    assert (result.exit_code, "1 removed (the file has gone)" in result.stderr) == (0, True)


def test_a_listing_that_tells_size_and_time_saves_the_question(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_store", None)
    known = Location.at_url("s3://bucket/a.png", size_bytes=5, mtime_ns=7)
    assert stamp_of(FoundFile(known), "size-mtime") == "5:7"


def test_shards_of_a_url_are_one_scan_and_merge_expects_it(site: SimpleNamespace, run: Run, tmp_path: Path) -> None:
    outputs = [tmp_path / f"{part}.csv" for part in (1, 2)]
    for part, output in enumerate(outputs, 1):
        run("scan", f"{site.url}/photos", "--shard", f"{part}/2", "--output", output, "--jobs", 0)
    paths = [[row["path"] for row in csv.DictReader(output.read_text().splitlines())] for output in outputs]
    assert [all(Shard(part, 2).holds(path) for path in paths[part - 1]) for part in (1, 2)] == [True, True]
    result = run("merge", *outputs, "--output", tmp_path / "all.csv", "--expect", f"{site.url}/photos")
    assert (result.exit_code, "3 images: 3 real" in result.stdout) == (0, True)
    run("scan", f"{site.url}/photos", "--output", tmp_path / "whole.csv", "--jobs", 0)
    assert (tmp_path / "all.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    result = run("merge", f"{site.url}/1.csv", "--output", tmp_path / "no.csv")
    assert (result.exit_code, "merged from local files only" in result.stderr) == (2, True)


# -------------------------------------------------------------------------------------------------------------- imports


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["scan", str(EXAMPLES / "real" / NAMES[0])], ["scan", f"file://{EXAMPLES}/real/{NAMES[0]}"]],
)
def test_fsspec_is_not_imported_without_a_url(arguments: list[str]) -> None:
    code = f"from spectral_detect.cli import main; main({arguments + ['--jobs', '0'][: 2 * len(arguments[1:])]!r}"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}, standalone_mode=False)\nimport sys; print('|', *sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    )
    loaded = {name.split(".")[0] for name in done.stdout.split("|")[-1].split()}
    assert "spectral_detect" in loaded
    assert not loaded & {"fsspec", "aiohttp", "s3fs"}


def test_without_fsspec_local_files_are_read_as_ever(tmp_path: Path) -> None:
    (tmp_path / "fsspec.py").write_text("raise ImportError('not installed')")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    command = [sys.executable, "-m", "spectral_detect", "scan", "--format", "csv", "--jobs", "0"]
    command += ["--model", str(MODEL), "--files-from", "-"]
    listed = f"{EXAMPLES}/real/{NAMES[0]}\ns3://bucket/a.png\n"
    done = subprocess.run(command, input=listed, env=environment, capture_output=True, text=True, check=False)
    good, bad = csv.DictReader(done.stdout.splitlines())
    assert (done.returncode, good["verdict"]) == (1, "real")
    assert bad["error"].endswith("pip install '.[remote]' in the checkout")


def test_the_errors_of_the_library(site: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match=r"/gone\.png"):
        expand_arguments([f"{site.url}/gone.png"])
    with pytest.raises(RemoteError, match=r"/forbidden\.png.*permission denied"):
        expand_arguments([f"{site.url}/forbidden.png"])
    monkeypatch.setattr(fsspec, "get_filesystem_class", _without_s3fs)
    with pytest.raises(ExtraMissingError, match=r"fsspec\[s3\]"):
        expand_arguments(["s3://bucket/a.png"])
