"""Web pages that list a folder: what they link to, and which URL shows one."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

MOST_OF_A_PAGE = 2**26  # bytes; 200,000 links or so


def links_of(page: str, content: bytes) -> list[str]:
    """Return the paths, relative to a page, of what it links to below itself; "" for what lies elsewhere.

    Parameters
    ----------
    page : str
        Its URL, which ends in a slash.
    content : bytes
        Its HTML.
    """
    links = _Links()
    links.feed(content.decode("utf-8", "replace"))
    return [linked_from(page, urljoin(page, link)) for link in links.found]


class _Links(HTMLParser):
    """Collects the addresses that a page links to, unchanged."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if tag == "a" and name == "href" and value]


def linked_from(page: str, link: str) -> str:
    """Return the path of a link relative to its page, whose URL ends in a slash; "" if it leads elsewhere.

    Elsewhere is another host, another scheme, a folder above, and the page itself in another order.
    """
    here, there = urlsplit(page), urlsplit(link)
    inside = there.path[len(here.path) :]
    is_below = (there.scheme, there.netloc) == (here.scheme, here.netloc) and there.path.startswith(here.path)
    is_plain = not (there.query or there.fragment) and ".." not in unquote(inside).replace("\\", "/").split("/")
    return inside if is_below and is_plain else ""


def is_page(url: str, info: dict[str, Any]) -> bool:
    """Return whether a web server shows a folder: HTML at a path that ends in a slash, or a redirection to one."""
    asked, given = urlsplit(url), urlsplit(str(info.get("url", url)))
    leads_on = unquote(given.path) == unquote(asked.path) + "/"
    return (
        not asked.query
        and (asked.path in ("", "/") or asked.path.endswith("/") or leads_on)
        and (info.get("mimetype") in (None, "text/html"))
    )
