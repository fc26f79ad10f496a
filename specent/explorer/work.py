"""Work beside the page: a thread that does the newest job only."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable

_PATIENCE = 10

Job = Callable[[Callable[[], bool]], None]


class Worker:
    """A thread that does one job at a time; a job that waits is replaced by a newer one, and may be left undone.

    A job takes a function that says whether a newer job waits, or nothing is needed any more.

    Parameters
    ----------
    name : str
        Name of the thread.
    patient : bool
        Whether the thread lets others go first where the system can do that: the page and the browser, which somebody
        waits for.
    """

    def __init__(self, name: str, *, patient: bool = False) -> None:
        self._name, self._patient = name, patient
        self._changed = threading.Condition()
        self._next: Job | None = None
        self._busy = self._closed = False
        self._thread: threading.Thread | None = None

    def submit(self, job: Job) -> None:
        """Do a job as soon as the one that is being done has ended."""
        with self._changed:
            self._next = job
            if self._thread is None and not self._closed:
                # a daemon: who ends the program does not wait for numbers that nobody will look at
                self._thread = threading.Thread(target=self._work, name=f"specent {self._name}", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def do(self, job: Job) -> None:
        """Do a job at once, in the thread of the caller."""
        job(lambda: False)

    def close(self) -> None:
        """Do no further jobs; the one that is being done learns that it is not needed."""
        with self._changed:
            self._closed, self._next = True, None
            self._changed.notify_all()

    @property
    def busy(self) -> bool:
        """Whether a job is being done or waits."""
        with self._changed:
            return not self._closed and (self._next is not None or self._busy)

    def wait(self, seconds: float = 60.0) -> bool:
        """Wait until nothing is left to do; whether that came true in so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closed or (self._next is None and not self._busy), seconds)

    def _stale(self) -> bool:
        return self._closed or self._next is not None

    def _work(self) -> None:
        if self._patient and sys.platform == "linux":
            # of this thread alone: elsewhere the priority is that of the whole process
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _PATIENCE)
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._next is not None)
                if self._closed:
                    return
                job, self._next, self._busy = self._next, None, True
            try:
                if job is not None:
                    job(self._stale)
            finally:
                with self._changed:
                    self._busy = False
                    self._changed.notify_all()
