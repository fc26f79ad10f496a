"""The guards of the browser tests notice what they are there for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from playwright.sync_api import Page

Guard = Callable[..., AbstractContextManager[Callable[[Path], Page]]]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("<script>console.error('no ranges')</script>", "console: no ranges"),
        ("<script>setTimeout(() => { throw new Error('lost'); })</script>", "uncaught: .*lost"),
        ("<script>fetch('https://example.org/a.js').catch(() => 0)</script>", "left the machine: https://example.org"),
        ("<script>new WebSocket('ws://192.0.2.1/ws')</script>", "left the machine: ws://192.0.2.1/ws"),
        ("<img src='http://localhost.example.org/pixel.png'>", "left the machine: http://localhost.example.org"),
    ],
)
def test_what_a_page_must_not_do_fails_the_test(body: str, message: str, guard: Guard, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(f"<!doctype html><title>page</title>{body}")
    with pytest.raises(AssertionError, match=message), guard() as visit:
        visit(path).wait_for_timeout(100)


def test_a_page_that_behaves_passes(guard: Guard, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("<!doctype html><title>page</title><img src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>")
    with guard(viewport={"width": 390, "height": 844}) as visit:
        page = visit(path)
        assert page.title() == "page"
        assert page.evaluate("window.innerWidth") == 390
