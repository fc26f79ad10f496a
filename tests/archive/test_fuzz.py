"""Archives changed at random and sealed again: a `SpecentError` or success, whatever they say.

What a file says (attributes, text, sizes, types, values) must never raise anything else, end the process, hang, or take
more than 1 GB. Damaged bytes of the structure of a file reach the HDF5 library, in which they may end the process.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))
from mutant_workers import answers

MUTANTS = Path(__file__).with_name("mutants.py")


def outcomes(folder: Path, numbers: range, make_dataset) -> dict[int, str]:
    """What became of each mutant."""
    datasets = [make_dataset(kind) for kind in ("profiles", "trajectories", "speciation")]
    (folder / "datasets.pickle").write_bytes(pickle.dumps(datasets))
    return answers(MUTANTS, lambda _number: folder, numbers)


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
