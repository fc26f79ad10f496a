"""A real browser for tests: Debian's Chromium without a window, and guards that fail a test for what it must not do.

A page must write no error to the console and load nothing from another machine: files and 127.0.0.1 alone are allowed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, WebSocket, sync_playwright

# names are not resolved, so that what a page asks for outside fails at once where the machine has a network
FLAGS = ("--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
TIMEOUT = 30_000
"""Milliseconds until an action in the browser has failed: many times what it takes, for machines that are busy."""

Visit = Callable[..., Page]
Guard = Callable[..., AbstractContextManager[Visit]]


class Watch:
    """What the pages of a context must not do, as they do it."""

    def __init__(self, context: BrowserContext) -> None:
        self.complaints: list[str] = []
        context.on("console", self._console)
        context.on("weberror", lambda problem: self.complaints.append(f"uncaught: {problem.error}"))
        context.on("request", self._request)
        context.on("page", lambda page: page.on("websocket", self._socket))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(f"console: {message.text}")

    def _request(self, request: Request) -> None:
        self._address(request.url)

    def _socket(self, socket: WebSocket) -> None:
        self._address(socket.url)

    def _address(self, url: str) -> None:
        parts = urlsplit(url)
        inside = parts.scheme in ("file", "data", "blob", "about") or parts.hostname == "127.0.0.1"
        if not inside:
            self.complaints.append(f"left the machine: {url}")


@contextmanager
def _guarded(chromium: Browser, **options: Any) -> Iterator[Visit]:
    """Open pages in a fresh context; where it ends, fail for everything they complained of."""
    settings: dict[str, Any] = {"viewport": {"width": 1400, "height": 900}, "accept_downloads": True} | options
    context = chromium.new_context(**settings)
    context.set_default_timeout(TIMEOUT)
    watch = Watch(context)

    def visit(target: str | Path) -> Page:
        page = context.new_page()
        page.goto(target.resolve().as_uri() if isinstance(target, Path) else target)
        return page

    try:
        yield visit
    finally:
        context.close()
    assert not watch.complaints, "the page must not do this:\n" + "\n".join(watch.complaints)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Chromium of the system, which continuous integration installs: without it tests fail, they are not skipped.

    It lives as long as a module of tests and not as long as the session, because while playwright runs, no other test
    of the same process could run an event loop of its own.
    """
    path = shutil.which("chromium")
    assert path is not None, "these tests need Chromium; install it (for instance: apt-get install chromium)"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def guard(chromium: Browser) -> Guard:
    """A context of its own for pages that several tests share.

    Opened by ``with guard(**options) as visit``, whose options are those of a context of playwright, such as
    ``viewport``, ``color_scheme``, ``has_touch``.
    """
    return lambda **options: _guarded(chromium, **options)


@pytest.fixture
def visit(guard: Guard) -> Iterator[Visit]:
    """``visit(path or address)`` opens a page, 1400 pixels wide, and returns it; the test fails if it misbehaves."""
    with guard() as opened:
        yield opened
