"""What holds for the whole documentation: no dead link inside, nothing from the network, and not too large."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from sphinx.util import logging

logger = logging.getLogger(__name__)

LARGEST = 50_000_000
"""Bytes of the whole documentation, at most."""

# elements whose address the browser loads without being asked
_LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src",
           "embed": "src", "object": "data", "image": "href", "use": "href"}  # fmt: skip
_LOADING_LINKS = {"stylesheet", "icon", "preload", "prefetch", "modulepreload", "preconnect", "dns-prefetch"}
_IN_STYLES = re.compile(r"""(?:url\(|@import)\s*["']?((?:https?:)?//[^"')\s]+)""")


class Page(HTMLParser):
    """The names that a page of HTML defines, where it leads, and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self._in_style = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element says."""
        values = {name: value or "" for name, value in attrs}
        self.names.update(values[name] for name in ("id", "name") if name in values)
        self.loaded += _IN_STYLES.findall(values.get("style", ""))
        self._in_style = tag == "style"
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag == "link" and _LOADING_LINKS & set(values.get("rel", "").split()):
            self.loaded.append(values.get("href", ""))
        elif tag in _LOADED and values.get(_LOADED[tag]):
            self.loaded.append(values[_LOADED[tag]])
        if values.get("srcset"):
            self.loaded += [entry.split()[0] for entry in values["srcset"].split(",") if entry.split()]

    def handle_data(self, data: str) -> None:
        """Note what a style sheet within the page loads."""
        if self._in_style:
            self.loaded += _IN_STYLES.findall(data)

    def handle_endtag(self, tag: str) -> None:
        """A style sheet ends."""
        self._in_style = False


def faults(folder: Path) -> list[str]:
    """Whatever is wrong with the pages of a folder, a line each."""
    pages = {
        path: Page(path.read_text(encoding="utf-8"))
        for path in sorted(folder.rglob("*.html"))
        if "_static" not in path.relative_to(folder).parts
    }
    found = []
    for path, page in pages.items():
        where = path.relative_to(folder)
        found += [f"{where}: loads {one} from the network" for one in page.loaded if _external(one)]
        inside = [one for one in [*page.links, *page.loaded] if one and not _external(one) and not urlsplit(one).scheme]
        found += [f"{where}: the link {one} leads nowhere" for one in inside if not _leads(path, one, pages)]
    for path in sorted(folder.rglob("*.css")):
        text = path.read_text(encoding="utf-8")
        found += [f"{path.relative_to(folder)}: loads {one} from the network" for one in _IN_STYLES.findall(text)]
    total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    if total > LARGEST:
        found.append(f"the pages take {total / 1e6:.0f} MB; {LARGEST / 1e6:.0f} MB are allowed")
    return found


def _external(address: str) -> bool:
    return urlsplit(address).scheme in ("http", "https", "ftp", "ws", "wss") or address.startswith("//")


def _leads(path: Path, address: str, pages: dict[Path, Page]) -> bool:
    """Whether an address within the documentation leads to a file, and to a name that is in it."""
    parts = urlsplit(address)
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target.is_dir():
        target /= "index.html"
    if not parts.fragment or target not in pages:
        return target.is_file()
    return unquote(parts.fragment) in pages[target].names


def look(app: Any, exception: Exception | None) -> None:
    """Warn of every fault of the pages that were built; warnings end the build."""
    if exception is None and app.builder.name == "html":
        for fault in faults(Path(app.outdir).resolve()):
            logger.warning("%s", fault)


def setup(app: Any) -> dict[str, bool]:
    """Look at the pages once they are there."""
    app.connect("build-finished", look)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
