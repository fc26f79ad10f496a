"""The command ``specent``: run a recipe, check and describe archives, draw their figures.

Exit codes: 0 done, 1 bad input (one line on standard error says what and how to put it right), 2 wrong usage,
130 interrupted, 143 terminated. With SPECENT_TRACEBACK=1 in the environment a traceback stands above that line.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from cyclopts import CycloptsError

from specent.command import archives as archives
from specent.command import check as check
from specent.command import plot as plot
from specent.command import run as run
from specent.command.interface import app
from specent.errors import SpecentError


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
        with _termination():
            app(tokens, exit_on_error=False, print_error=False)
            sys.stdout.flush()
    except SpecentError as error:
        return _failed(error, error, 1)
    except CycloptsError as error:
        return _failed(f"{error} (specent --help shows the usage)", error, 2)
    except BrokenPipeError:
        # `specent describe FILE | head` has read enough; what is left must not be flushed at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt as error:
        return _failed("interrupted; nothing half-written is left", error, 130)
    except _Terminated as error:
        return _failed("terminated; nothing half-written is left", error, 143)
    except Exception as error:
        return _failed(f"{type(error).__name__}: {error} (SPECENT_TRACEBACK=1 shows where)", error, 1)
    return 0


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


def _failed(message: object, error: BaseException, code: int) -> int:
    if os.environ.get("SPECENT_TRACEBACK", "0") not in ("", "0"):
        traceback.print_exception(error)
    text = " ".join(str(message).split())
    # on the command line the argument of Python is a flag
    text = text if "--overwrite" in text else text.replace("overwrite=True", "--overwrite")
    print(f"specent: {text}", file=sys.stderr)
    return code
