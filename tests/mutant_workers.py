"""Processes that answer what became of mutants, and are started again when one ends or does not answer."""

from __future__ import annotations

import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path


def answers(script: Path, folder: Callable[[int], Path], numbers: range) -> dict[int, str]:
    """The line that a script prints for each number that it reads; without tabs if it printed none.

    Parameters
    ----------
    script : Path
        Reads numbers from its input, and prints a line for each.
    folder : callable
        The folder that a process is handed which begins with that number.
    numbers : range
        The mutants.
    """
    found: dict[int, str] = {}
    todo = list(numbers)
    while todo:
        with subprocess.Popen(
            [sys.executable, str(script), str(folder(todo[0]))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        ) as worker:  # fmt: skip
            assert worker.stdin is not None
            assert worker.stdout is not None
            # the first answer comes after the libraries are loaded; the machine may be busy
            patience = 600
            while todo:
                worker.stdin.write(f"{todo[0]}\n")
                answered = bool(select.select([worker.stdout], [], [], patience)[0])
                patience = 120
                line = worker.stdout.readline() if answered else ""
                if not line:
                    worker.kill()
                    found[todo.pop(0)] = f"ended the process ({worker.wait()})" if answered else "hangs"
                    break
                found[todo.pop(0)] = line.rstrip("\n")
            worker.stdin.close()
            worker.kill()
    return found
