"""Archives changed at random and sealed again: a `SpecentError` or success, whatever they say.

What a file says (attributes, text, sizes, types, values) must never raise anything else, end the process, hang, or take
more than 1 GB. Damaged bytes of the structure of a file reach the HDF5 library, in which they may end the process.
"""

from __future__ import annotations

import pickle
import select
import subprocess
import sys
from pathlib import Path

import pytest

MUTANTS = Path(__file__).with_name("mutants.py")


def outcomes(folder: Path, numbers: range, make_dataset) -> dict[int, str]:
    """What became of each mutant, in processes that are started again when one ends or does not answer."""
    datasets = [make_dataset(kind) for kind in ("profiles", "trajectories", "speciation")]
    (folder / "datasets.pickle").write_bytes(pickle.dumps(datasets))
    found: dict[int, str] = {}
    todo = list(numbers)
    while todo:
        with subprocess.Popen(
            [sys.executable, str(MUTANTS), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        ) as worker:
            assert worker.stdin is not None
            assert worker.stdout is not None
            while todo:
                worker.stdin.write(f"{todo[0]}\n")
                # the first answer comes after the libraries are loaded; the machine may be busy
                answered = bool(select.select([worker.stdout], [], [], 120)[0])
                line = worker.stdout.readline() if answered else ""
                if not line:
                    worker.kill()
                    found[todo.pop(0)] = f"ended the process ({worker.wait()})" if answered else "hangs"
                    break
                found[todo.pop(0)] = line.rstrip("\n")
            worker.stdin.close()
            worker.kill()
    return found


def check(found: dict[int, str], most_ended: float) -> None:
    bad = {number: text for number, text in found.items() if "ESCAPED" in text}
    assert bad == {}
    ended = {number: text for number, text in found.items() if "\t" not in text}
    # odd numbers are changes of what a file says
    assert [number for number in ended if number % 2] == []
    assert len(ended) <= most_ended * len(found), ended
    # that the parsers behind the seal were reached, and not every file was refused
    assert any("fine fine fine" in text for text in found.values())
    assert any("refused refused refused" in text for text in found.values())


def test_no_mutant_raises_anything_but_our_own_error(tmp_path, make_dataset):
    check(outcomes(tmp_path, range(40), make_dataset), most_ended=0.03)


@pytest.mark.faults
def test_none_of_two_thousand_mutants_raises_anything_but_our_own_error(tmp_path, make_dataset):
    # measured: see docs/archives.md
    check(outcomes(tmp_path, range(2000), make_dataset), most_ended=0.003)
