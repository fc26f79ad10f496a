"""Run folders and plan files changed at random: a `SpecentError` or success, and nothing written beside them.

What ``run.json``, a shard or a plan says, and what lies in the folder in the place of a file (a link, a pipe, a
device), must never raise anything else, end the process, hang, take more than 1 GB, reach the terminal as it is, or
lead out of the folder.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))
from mutant_workers import answers

MUTANTS = Path(__file__).with_name("run_mutants.py")


def outcomes(folder: Path, numbers: range) -> dict[int, list[str]]:
    """What became of each mutant, one entry of a process that ended or did not answer."""

    def fresh(number: int) -> Path:
        path = folder / str(number)
        path.mkdir()
        return path

    lines = answers(MUTANTS, fresh, numbers)
    return {number: line.split("\t")[1:] if "\t" in line else [line] for number, line in lines.items()}


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
