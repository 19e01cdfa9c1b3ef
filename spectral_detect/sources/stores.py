"""Read and list files at URLs, in any store that fsspec knows: the only home of fsspec.

fsspec and the libraries of the stores are loaded when the first URL is met, and never for local paths.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from fnmatch import fnmatchcase
from functools import cache
from os.path import lexists
from typing import Any
from urllib.parse import unquote

from spectral_detect.errors import ExtraMissingError, RemoteError, SpectralDetectError
from spectral_detect.sources.http_folder import MOST_OF_A_PAGE, is_page, links_of
from spectral_detect.sources.location import Location
from spectral_detect.sources.urls import (
    CHAINED,
    LOCAL,
    as_folder,
    is_web,
    joined,
    local_name,
    looks_like_url,
    pattern_parts,
    scheme_of,
    scrubbed,
    with_lower_scheme,
    without_credentials,
)

BLOCK_BYTES = 2**20
MOST_NESTED = 100  # folders in one another; a server that makes pages up would have no end
LONGEST_REASON = 300

FSSPEC_MISSING = "reading URLs needs fsspec: pip install '.[remote]' in the checkout"
EXTRAS = {"https": "http", "s3a": "s3", "az": "abfs", "gcs": "gs"}  # of fsspec, if they are not named as the scheme
HAVE_EXTRAS = frozenset("abfs adl dropbox git github gs hdfs http oci s3 sftp smb ssh".split())
# stores that read from another one, which has to be named within the URL
WRAPPERS = frozenset(
    "zip tar libarchive dir reference generic cached blockcache filecache simplecache async_wrapper asyncwrapper "
    "asynclocal dask".split()
)
CHAIN_REFUSED = "URLs within URLs (zip://, simplecache::) are not read; unpack or copy the file first"
# names of the time of a file's last change; the time of creation is another thing
TIMES = ("mtime", "LastModified", "last_modified", "Last-Modified", "updated", "modified", "modify")


def is_url(path: str) -> bool:
    """Return whether a path is read through fsspec: it knows the `scheme://`, and there is no local file of that name.

    Without fsspec any scheme counts, so that the user is told what is missing.
    """
    if not looks_like_url(path) or lexists(path):
        return False
    if scheme_of(path) in LOCAL and not CHAINED.search(path):
        return False
    known = _known_schemes()
    return known is None or scheme_of(path) in known


def locate(text: str) -> Location:
    """Return the place that a text names: at a URL, or on this machine.

    A URL is taken for a folder if it ends in a slash, and otherwise for a file; the store is not asked.
    """
    if not is_url(text):
        return Location(local_name(text))
    return Location.at_url(with_lower_scheme(text), is_folder=text.endswith("/"))


def look_up(url: str) -> Location:
    """Ask the store whether a URL leads to a file or a folder, and for its size and time.

    Raises
    ------
    FileNotFoundError
        There is nothing; the message is the URL without credentials.
    RemoteError, ExtraMissingError
        The store cannot be asked; the message says why.
    """
    url = with_lower_scheme(url)
    with _failing_in_words(url):
        return _described(url, _store(url).info(url))


def exists(url: str) -> bool:
    """Return whether a URL leads to anything; True also if the store cannot be asked."""
    try:
        look_up(url)
    except FileNotFoundError:
        return False
    except SpectralDetectError:
        return True
    return True


def expand(url: str) -> list[Location]:
    """Return the file or folder at a URL; if there is none, what the URL matches as a pattern, sorted.

    `**` stands for any number of folders; at the end of a pattern it stands for the folder before it.

    Raises
    ------
    FileNotFoundError, RemoteError, ExtraMissingError
        See `look_up`.
    """
    url = with_lower_scheme(url)
    root, parts = pattern_parts(url)
    try:
        return [look_up(url)]
    except (FileNotFoundError, RemoteError):  # a store without a right to list says "permission denied" of a pattern
        if not parts:
            raise
    matches = {found.address: found for found in _matching(Location.at_url(root, is_folder=True), parts)}
    if not matches:
        raise FileNotFoundError(without_credentials(url))
    return sorted(matches.values(), key=lambda found: _order(found.address))


def list_folder(folder: Location) -> list[Location]:
    """List a folder in the order of names; over HTTP, list what its page links to below it, at any depth.

    Raises
    ------
    FileNotFoundError, RemoteError, ExtraMissingError
        See `look_up`.
    """
    url = folder.address
    if url.count("/") > MOST_NESTED:
        raise RemoteError(f"more than {MOST_NESTED} folders in one another")
    with _failing_in_words(url):
        listed = _linked(url) if is_web(url) else _listed(url)
        inside = [_described(joined(url, name), info) for name, info in listed.items() if name]
    return sorted(inside, key=lambda found: _order(found.address))


def read(location: Location, max_bytes: int) -> tuple[bytes, int | None]:
    """Read a whole file; return it with the time of its last change (ns; None if the store does not tell).

    Raises
    ------
    FileNotFoundError, RemoteError, ExtraMissingError
        See `look_up`; or it is a folder, is larger than `max_bytes` (as announced, or as it comes), or ends early.
    """
    url = location.address
    with _failing_in_words(url):
        store = _store(url)
        found = _described(url, store.info(url))
        if found.is_folder:
            raise RemoteError("a folder", remedy="in a list or a manifest, the URL of a folder ends in /")
        if (found.size_bytes or 0) > max_bytes:
            raise RemoteError(f"{found.size_bytes} bytes: files over {max_bytes} are refused")
        with _opened(store, url, found.size_bytes) as stream:
            content = read_bounded(stream, found.size_bytes, max_bytes + 1)
    if len(content) > max_bytes:
        raise RemoteError(f"announced as {found.size_bytes} bytes and larger: files over {max_bytes} are refused")
    if len(content) < (found.size_bytes or 0):
        raise RemoteError(f"only {len(content)} of {found.size_bytes} bytes came", remedy="try again")
    return content, found.mtime_ns


def read_start(location: Location, n_bytes: int) -> bytes:
    """Read the first bytes of a file; no more than these are fetched if the store can give a part.

    Raises
    ------
    FileNotFoundError, RemoteError, ExtraMissingError
        See `look_up`.
    """
    url = location.address
    with _failing_in_words(url):
        store = _store(url)
        if not is_web(url):
            return bytes(store.cat_file(url, 0, n_bytes))
        # a server may send the whole file all the same, which `cat_file` would take in
        with _opened(store, url, n_bytes, headers={"Range": f"bytes=0-{n_bytes - 1}"}) as stream:
            return read_bounded(stream, n_bytes, n_bytes)


def with_status(location: Location) -> Location:
    """Return the location with its size and time; the store is asked if the listing of a folder did not tell.

    Raises
    ------
    FileNotFoundError, RemoteError, ExtraMissingError
        See `look_up`.
    """
    is_known = location.size_bytes is not None and location.mtime_ns is not None
    return location if is_known else look_up(location.address)


# --------------------------------------------------------------------------------------------------------------- stores


@cache
def _known_schemes() -> frozenset[str] | None:
    """Return the schemes that fsspec reads; None if it is not installed."""
    try:
        import fsspec
    except ImportError:
        return None
    return frozenset(fsspec.available_protocols())


def _store(url: str) -> Any:
    """Return the file system of a URL, with the host and user that the URL names; fsspec keeps one for each."""
    scheme = scheme_of(url)
    if CHAINED.search(url) or scheme in WRAPPERS:
        raise RemoteError(CHAIN_REFUSED)
    try:
        import fsspec
    except ImportError:
        raise ExtraMissingError(FSSPEC_MISSING) from None
    try:
        kind = fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        raise ExtraMissingError(_missing_package(scheme, error)) from None
    # `fsspec.core.url_to_fs` would cut at any `::`, as in http://[::1]/
    options = kind._get_kwargs_from_urls(url)
    return fsspec.filesystem(scheme, **options)


def _missing_package(scheme: str, error: ImportError) -> str:
    extra = EXTRAS.get(scheme, scheme)
    remedy = f"pip install 'fsspec[{extra}]'" if extra in HAVE_EXTRAS else str(error)
    return f"{scheme}:// needs a package that is not installed: {remedy}"


def _described(url: str, info: dict[str, Any]) -> Location:
    if info.get("type") == "directory" or (is_web(url) and is_page(url, info)):
        return Location.at_url(as_folder(url) if is_web(url) else url, is_folder=True)
    size = info.get("size")
    return Location.at_url(url, size_bytes=None if size is None else int(size), mtime_ns=_mtime_ns(info))


def _mtime_ns(info: dict[str, Any]) -> int | None:
    """Return the time in whole seconds: for a file in S3 a listing tells fractions that a question for it does not."""
    for name in TIMES:
        told = _as_time(info.get(name))
        if told is not None:
            return int(told.timestamp()) * 10**9
    return None


def _as_time(told: Any) -> datetime | None:
    try:
        if isinstance(told, str):
            told = _parsed_time(told)
        elif isinstance(told, (int, float)):
            told = datetime.fromtimestamp(told, timezone.utc)
    except (ValueError, TypeError, OverflowError, OSError):
        return None
    if not isinstance(told, datetime):
        return None
    return told if told.tzinfo else told.replace(tzinfo=timezone.utc)


def _parsed_time(told: str) -> datetime:
    if re.fullmatch("[0-9]{14}", told):  # FTP
        return datetime.strptime(told, "%Y%m%d%H%M%S")
    if told[:4].isdigit():
        return datetime.fromisoformat(told[:19])  # UTC, and the fraction is not asked for
    return parsedate_to_datetime(told)


def _listed(folder: str) -> dict[str, dict[str, Any]]:
    """Return what a store says of each name in a folder; the folder itself and names elsewhere stand under ""."""
    store = _store(folder)
    base = str(store._strip_protocol(folder)).rstrip("/")
    entries = store.ls(folder, detail=True)
    store.invalidate_cache()  # which would hold the listings of all folders
    return {_name_in(base, str(entry["name"])): entry for entry in entries}


def _name_in(base: str, name: str) -> str:
    relative = name[len(base) :].strip("/")
    is_below = not base or name.startswith(f"{base}/")
    return relative if is_below and ".." not in relative.split("/") else ""


def _linked(page: str) -> dict[str, dict[str, Any]]:
    """List the links of a page. fsspec's own way follows `../`, misses names that start in http, and has no limit."""
    with _opened(_store(page), page) as stream:
        content = read_bounded(stream, None, MOST_OF_A_PAGE)
    return {name: {} for name in links_of(page, content)}


def _matching(folder: Location, parts: list[str]) -> Iterator[Location]:
    """Yield what lies below a folder and matches a pattern, part by part."""
    head, *rest = parts
    if head == "**" and not rest:
        yield folder
        return
    if head == "**":
        yield from _matching(folder, rest)
    try:
        inside = list_folder(folder)
    except FileNotFoundError:  # a page may link to a folder that has gone
        return
    for entry in inside:
        name = entry.address.rstrip("/")[len(joined(folder.address, "")) :]
        name = unquote(name) if is_web(folder.address) else name
        if not name:  # a page that links to itself
            continue
        if head == "**":
            if entry.is_folder and not name.startswith("."):
                yield from _matching(entry, parts)
        elif fnmatchcase(name, head) and "/" not in name and (head[0] == "." or name[0] != "."):
            if not rest:
                yield entry
            elif entry.is_folder:
                yield from _matching(entry, rest)


def _order(url: str) -> bytes:
    """Return a sort key in the order of a walk through folders: files stand where their folder stands."""
    return url.rstrip("/").replace("/", "\0").encode("utf-8", "surrogateescape")


def _opened(store: Any, url: str, size_bytes: int | None = None, **options: Any) -> Any:
    """Open a stream; over HTTP it takes what the server sends, whatever size it has announced."""
    if is_web(url):  # without a size, fsspec would ask for it first
        options |= {"block_size": 0, "size": size_bytes or 1}
    return store.open(url, "rb", **options)


def read_bounded(stream: Any, size_bytes: int | None, most: int) -> bytes:
    """Read a stream to its end, but not beyond `most` bytes."""
    content = bytearray()
    block = (size_bytes or BLOCK_BYTES) + 1  # in one go if the size is right
    while len(content) < most and (part := stream.read(min(block, most - len(content)))):
        content += part
    return bytes(content)


# ------------------------------------------------------------------------------------------------------------- failures


@contextmanager
def _failing_in_words(url: str) -> Iterator[None]:
    """Turn whatever a store raises into `FileNotFoundError` or `RemoteError`, without credentials."""
    try:
        yield
    except SpectralDetectError:
        raise
    except Exception as error:  # each library has exceptions of its own
        # over HTTP, fsspec says that a file is not found whatever has gone wrong; the cause tells why
        behind = error.__cause__ if is_web(url) and isinstance(error, FileNotFoundError) else None
        cause = behind if isinstance(behind, Exception) else error
        status = getattr(cause, "status", None)
        if isinstance(cause, FileNotFoundError) or status in (404, 410):
            raise FileNotFoundError(without_credentials(url)) from None
        raise RemoteError(_reason(cause, status, url)) from None


def _reason(cause: Exception, status: object, url: str) -> str:
    if isinstance(cause, PermissionError) or status in (401, 403):
        told = f"HTTP {status}" if status else scrubbed(_one_line(cause), url)
        return f"permission denied ({told}); give the store's credentials in its own way, see docs/urls.md"
    if status:
        return f"the server answers HTTP {status}; try again later"
    if type(cause).__name__ == "ClientPayloadError":  # aiohttp's, which is not imported here
        return "the server broke off in the middle; try again"
    if isinstance(cause, TimeoutError) or type(cause).__name__.endswith("TimeoutError"):
        return "no answer in time; try again later"
    return scrubbed(_one_line(cause), url)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:LONGEST_REASON] or type(error).__name__
