"""Warnings of work that is done in several threads, as texts for the page."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from specent.errors import SpecentWarning


class _Collector:
    """Collects warnings by the thread that they come from.

    `warnings.catch_warnings` puts back what it found when it began, which is wrong where two threads do so at once.
    Here the first that begins changes what is done with warnings, and the last that ends puts it back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._caught: dict[int, list[str]] = {}
        self._before: Any = None
        self._show: Any = None

    @contextmanager
    def collect(self) -> Iterator[list[str]]:
        """A list that holds the warnings of this thread, each once, when the context ends."""
        thread, texts = threading.get_ident(), list[str]()
        with self._lock:
            if not self._caught:
                self._before = warnings.catch_warnings()
                self._before.__enter__()
                warnings.simplefilter("always", SpecentWarning)
                self._show, warnings.showwarning = warnings.showwarning, self._add
            self._caught[thread] = texts
        try:
            yield texts
        finally:
            with self._lock:
                del self._caught[thread]
                if not self._caught:
                    self._before.__exit__(None, None, None)
            texts[:] = list(dict.fromkeys(texts))

    def _add(self, message: Any, category: Any, *place: Any, **more: Any) -> None:
        texts = self._caught.get(threading.get_ident())
        if texts is None or not issubclass(category, SpecentWarning):
            self._show(message, category, *place, **more)
        else:
            texts.append(str(message))


collected = _Collector().collect
"""``with collected() as texts`` keeps the warnings of this package that the thread issues from the terminal."""
