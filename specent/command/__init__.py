"""The command ``specent``: run a recipe, check and describe archives, draw their figures.

Exit codes: 0 done, 1 bad input (one line on standard error says what and how to put it right), 2 wrong usage,
130 interrupted, 143 terminated. With SPECENT_TRACEBACK=1 in the environment a traceback stands above that line.
Warnings are one line each on standard error too, ``specent: warning: ...``.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TextIO

from cyclopts import CycloptsError

from specent.command import archives as archives
from specent.command import check as check
from specent.command import explore as explore
from specent.command import grid as grid
from specent.command import plot as plot
from specent.command import run as run
from specent.command import runs as runs
from specent.command.interface import app
from specent.errors import SpecentError, SpecentWarning, one_line


class _Terminated(BaseException):
    """SIGTERM arrived; no `Exception`, so that nothing but `main` catches it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments after the program's name; those of the process by default.

    Returns
    -------
    int
        0 done, 1 bad input, 2 wrong usage, 130 interrupted, 143 terminated.
    """
    tokens = sys.argv[1:] if argv is None else list(argv)
    try:
        with _termination(), _plain_warnings():
            app(tokens, exit_on_error=False, print_error=False)
            # None where whoever began the program closed it, as the shell does for >&-
            if sys.stdout is not None:
                sys.stdout.flush()
    except SpecentError as error:
        return _failed(error, error, 1)
    except CycloptsError as error:
        return _failed(f"{error} ({_usage(tokens)} shows the usage)", error, 2)
    except BrokenPipeError:
        # `specent describe FILE | head` has read enough; what is left must not be flushed at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt as error:
        return _failed(str(error) or "interrupted; nothing half-written is left", error, 130)
    except _Terminated as error:
        return _failed("terminated; nothing half-written is left", error, 143)
    except Exception as error:
        return _failed(f"{type(error).__name__}: {error} (SPECENT_TRACEBACK=1 shows where)", error, 1)
    return 0


def _usage(tokens: Sequence[str]) -> str:
    """The command that shows the usage of what was typed.

    Examples
    --------
    >>> _usage(["run", "gmm_1d", "--stepz", "3"]), _usage(["plot"]), _usage(["draw"]), _usage([])
    ('specent run gmm_1d --help', 'specent plot --help', 'specent --help', 'specent --help')
    """
    known = tokens[:1] if tokens and not tokens[0].startswith("-") and tokens[0] in app else []
    named = tokens[1:2] if known == ["run"] and not "".join(tokens[1:2]).startswith("-") else []
    return " ".join(["specent", *known, *named, "--help"])


@contextmanager
def _termination() -> Iterator[None]:
    """Turn SIGTERM into an exception, so that temporary files are removed on the way out."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _Terminated

    if threading.current_thread() is not threading.main_thread():
        # signals are for the main thread to handle
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Print a warning as one plain line, without the line of code that raised it."""
    before = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if file is not None:
            before(message, category, filename, lineno, file, line)
            return
        # of a warning by another library the reader needs to know where it comes from
        origin = "" if issubclass(category, SpecentWarning) else f" ({category.__name__} at {filename}:{lineno})"
        print(f"specent: warning: {_one_line(message)}{origin}", file=sys.stderr)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = before


def _one_line(message: object) -> str:
    text = " ".join(one_line(message).split())
    # on the command line the argument of Python is a flag
    return text if "--overwrite" in text else text.replace("overwrite=True", "--overwrite")


def _failed(message: object, error: BaseException, code: int) -> int:
    if os.environ.get("SPECENT_TRACEBACK", "0") not in ("", "0"):
        traceback.print_exception(error)
    print(f"specent: {_one_line(message)}", file=sys.stderr)
    return code
