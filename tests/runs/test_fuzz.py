"""Run folders and plan files changed at random: a `SpecentError` or success, and nothing written beside them.

What ``run.json``, a shard or a plan says, and what lies in the folder in the place of a file (a link, a pipe, a
device), must never raise anything else, end the process, hang, take more than 1 GB, reach the terminal as it is, or
lead out of the folder.
"""

from __future__ import annotations

import select
import subprocess
import sys
from pathlib import Path

import pytest

MUTANTS = Path(__file__).with_name("run_mutants.py")


def outcomes(folder: Path, numbers: range) -> dict[int, list[str]]:
    """What became of each mutant, in processes that are started again when one ends or does not answer."""
    found: dict[int, list[str]] = {}
    todo = list(numbers)
    while todo:
        place = folder / str(todo[0])
        place.mkdir()
        with subprocess.Popen(
            [sys.executable, str(MUTANTS), str(place)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        ) as worker:  # fmt: skip
            assert worker.stdin is not None
            assert worker.stdout is not None
            while todo:
                worker.stdin.write(f"{todo[0]}\n")
                # the first answer comes after the libraries are loaded; the machine may be busy
                answered = bool(select.select([worker.stdout], [], [], 120)[0])
                line = worker.stdout.readline() if answered else ""
                if not line:
                    worker.kill()
                    found[todo.pop(0)] = ["ended the process" if answered else "hangs"]
                    break
                found[todo.pop(0)] = line.rstrip("\n").split("\t")[1:]
            worker.stdin.close()
            worker.kill()
    return found


def check(found: dict[int, list[str]], most_ended: float) -> None:
    assert {number: answer for number, answer in found.items() if "ESCAPED" in answer[-1]} == {}
    ended = {number: answer for number, answer in found.items() if len(answer) == 1}
    assert "hangs" not in [answer[0] for answer in ended.values()]
    # damaged bytes of a shard reach the HDF5 library, in which they may end the process
    assert len(ended) <= most_ended * len(found), ended
    # what is behind the first check was reached, and not everything passed
    assert any("fine fine fine" in answer[-1] for answer in found.values())
    assert any("refused refused refused" in answer[-1] for answer in found.values())


def test_no_mutant_raises_anything_but_our_own_error(tmp_path: Path) -> None:
    check(outcomes(tmp_path, range(30)), most_ended=0.04)


@pytest.mark.faults
def test_none_of_six_hundred_mutants_raises_anything_but_our_own_error(tmp_path: Path) -> None:
    found = outcomes(tmp_path, range(600))
    check(found, most_ended=0.005)
    # plans that were read, written again, and carried out or too large for a test
    plans = [answer[-1] for number, answer in found.items() if number % 3 == 2]
    assert sum(text.startswith("fine fine") for text in plans) >= 5
