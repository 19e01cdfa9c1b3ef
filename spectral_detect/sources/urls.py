"""Read URLs as text: tell them from paths, hide their credentials, join and split them. Nothing is fetched here."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote, urlsplit, urlunsplit

# `::` joins a store to the one that it reads from
URL_START = re.compile(r"(?:[a-z][a-z0-9_]+::)*([a-z][a-z0-9+._-]+)://", re.IGNORECASE)
CHAINED = re.compile(r"::(?=[a-z][a-z0-9+._-]+://)", re.IGNORECASE)
LOCAL = ("file", "local")
WEB = ("http", "https")
NAMED_BEFORE_AT = ("github",)  # github://organisation:repository@branch/: no password

# query parameters that give access, or that say how such a parameter was made, by their names in small letters: those
# of S3, CloudFront, Google, Azure, Alibaba, Huawei, Tencent, Akamai, and what any other would call them
SECRET_NAME = re.compile(
    r"x-(?:amz|goog|oss|obs|cos)-.*|q-.*|key-pair-id|policy|expires|sig|sign|auth|jwt|pwd|hdn\w+|googleaccessid"
    r"|.*(?:signature|credentials?|token|secret|passw(?:or)?d|access_?key_?id|api_?key)_*"
)
AZURE_NAMES = frozenset("sv ss srt sr sp st se spr sip ses skoid sktid skt ske sks skv saoid suoid scid sdd".split())


def looks_like_url(path: str) -> bool:
    """Return whether a path starts as a URL does; `file://` counts."""
    return URL_START.match(path) is not None


def scheme_of(url: str) -> str:
    """Return what stands before `://`; in a chain of URLs, the last scheme."""
    found = URL_START.match(url)
    return found[1].lower() if found else ""


def with_lower_scheme(url: str) -> str:
    """Return a URL with its scheme in small letters, as the stores know it."""
    start, authority, rest = _parted(url)
    return f"{start.lower()}{authority}{rest}"


def why_not_opened(path: str, error: OSError) -> str:
    """Return in words why a file that must be on this machine could not be opened."""
    return "URLs are not read here; download it first" if looks_like_url(path) else str(error.strerror)


def is_web(url: str) -> bool:
    """Return whether a URL is read over HTTP."""
    return scheme_of(url) in WEB


def local_name(path: str) -> str:
    """Return a local path that does not look like a URL: the path in a `file://`, a folder that is called `http:`.

    The search for local files starts here, so that none is taken for a URL later on.
    """
    if not looks_like_url(path):
        return path
    if os.path.lexists(path):
        return re.sub(":/+", ":/", path, count=1)
    if scheme_of(path) not in LOCAL or CHAINED.search(path):
        return path
    name = path.partition("://")[2]
    name = name[len("localhost") :] if name.startswith("localhost/") else name
    if not name.startswith("/"):  # a host, or a path that is relative to nothing
        return path
    return unquote(name) if not os.path.lexists(name) and os.path.lexists(unquote(name)) else name


# --------------------------------------------------------------------------------------------------------- credentials


def without_credentials(url: str) -> str:
    """Return a URL as records and messages show it: without the password and the parameters that sign its query.

    It still names the file, and is the same the next time that the URL is signed. Over HTTP the user's name goes as
    well, for it may be a token, and the fragment, which no server gets; elsewhere the name says whose files are meant.
    Any other text is returned unchanged.
    """
    return "::".join(map(_shown, CHAINED.split(url))) if looks_like_url(url) else url


def _shown(url: str) -> str:
    """Return one URL of a chain without its credentials."""
    if not looks_like_url(url) or scheme_of(url) in NAMED_BEFORE_AT:
        return url
    start, authority, rest = _parted(url)
    user, at, host = authority.rpartition("@")
    user = "" if is_web(url) else user.partition(":")[0]
    authority = f"{user}@{host}" if at and user else host
    if is_web(url):
        rest, _ = _without_secrets(rest.partition("#")[0])
    return f"{start}{authority}{rest}"


def scrubbed(text: str, url: str) -> str:
    """Return a message of a store's library about a URL, without the URL's credentials."""
    text = text.replace(url, without_credentials(url))
    for secret in sorted(_secrets_of(url), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def _secrets_of(url: str) -> set[str]:
    return set().union(*map(_secrets_in, CHAINED.split(url)))


def _secrets_in(url: str) -> set[str]:
    if not looks_like_url(url) or scheme_of(url) in NAMED_BEFORE_AT:
        return set()
    _, authority, rest = _parted(url)
    user, _, password = authority.rpartition("@")[0].partition(":")
    secrets = {password, *([user] if is_web(url) else [])}
    if is_web(url):
        rest, _, fragment = rest.partition("#")
        hidden = [*_without_secrets(rest)[1], *fragment.split("&")]
        secrets |= {parameter.partition("=")[2] for parameter in hidden}
    return {form for secret in secrets for form in (secret, unquote(secret)) if form}


def _parted(url: str) -> tuple[str, str, str]:
    """Return `scheme://`, the authority (user, host, port), and the rest from its first slash on."""
    found = URL_START.match(url)
    start = found.end() if found else 0
    end = min((k for mark in "/?#" if (k := url.find(mark, start)) >= 0), default=len(url))
    return url[:start], url[start:end], url[end:]


def _without_secrets(rest: str) -> tuple[str, list[str]]:
    """Return the path and query of a URL without its secret parameters, and those parameters."""
    path, mark, query = rest.partition("?")
    parameters = query.split("&")
    names = [parameter.partition("=")[0].lower() for parameter in parameters]
    with_sig = AZURE_NAMES if "sig" in names else frozenset()
    is_secret = [bool(SECRET_NAME.fullmatch(name)) or name in with_sig for name in names]
    kept = "&".join(p for p, secret in zip(parameters, is_secret, strict=True) if not secret)
    return f"{path}{mark if kept else ''}{kept}", [p for p, s in zip(parameters, is_secret, strict=True) if s]


# -------------------------------------------------------------------------------------------------------------- folders


def joined(folder: str, relative: str) -> str:
    """Return the URL of a name in a folder."""
    return f"{folder}{relative}" if folder.endswith("/") else f"{folder}/{relative}"


def pattern_parts(url: str) -> tuple[str, list[str]]:
    """Return the folder before the first wildcard, and the parts of the pattern after it; none without a wildcard.

    Wildcards are `*` and `[`, and `?` except over HTTP, where a query starts with it.
    """
    start, authority, rest = _parted(url)
    wildcard = re.search(r"[*[]" if is_web(url) else r"[*?[]", rest.partition("?")[0] if is_web(url) else rest)
    if wildcard is None:
        return url, []
    cut = rest.rfind("/", 0, wildcard.start()) + 1
    if not cut:
        return url, []  # in the name of the bucket or the host
    return f"{start}{authority}{rest[:cut]}", [part for part in rest[cut:].split("/") if part]


def as_folder(url: str) -> str:
    """Return a URL with a slash at the end of its path, and without a query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/") + "/", "", ""))
