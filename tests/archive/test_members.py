"""A shard that is compared with a good one is judged as one that is opened and validated."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import netCDF4
import pytest

import specent as sp
from specent.archive import members, sealing
from specent.archive.run_folder import RunFolder
from specent.errors import ArchiveError

Change = Callable[[netCDF4.Dataset], Any]


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    mix = sp.exact.GaussianMixture([[-4.0], [0.0], [4.0]], labels=["a", "b", "c"], weights=[0.25, 0.25, 0.5])
    plan = sp.Plan(
        sp.models.mixture(mix), sp.schedules.VE(), sp.schedules.edm_grid(4, 0.1, 200), samples=4, partitions="full"
    )
    return sp.run(plan, tmp_path_factory.mktemp("members") / "run", shard=2, progress=False)


@pytest.fixture
def folder(sampled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sampled, tmp_path / "run"))


def altered(path: Path, change: Change) -> None:
    """Change a shard and seal it again."""
    path.write_bytes(path.read_bytes()[: -sealing.LENGTH])
    with netCDF4.Dataset(path, "r+") as file:
        change(file)
    sealing.seal(path)


def label(text: str) -> Change:
    def change(file: netCDF4.Dataset) -> None:
        file["class_label"].set_auto_chartostring(False)
        file["class_label"][0, 0] = text

    return change


def assign(name: str, number: float) -> Change:
    return lambda file: file[name].__setitem__(0, number)


CHANGES: dict[str, Change] = {
    "nothing": lambda file: None,
    "history": lambda file: file.setncattr("history", "copied"),
    "class": label("b"),
    "sample": assign("sample", 7),
    "prior": assign("label_prior", 0.3),
    "time": assign("time", 0.2),
    "scale": assign("guidance_scale", -2.0),
    "settings": lambda file: file.setncattr("settings", "{}"),
    "digest": lambda file: file.setncattr("settings_sha256", "0"),
    "kind": lambda file: file.setncattr("specent_kind", "profiles"),
    "schema": lambda file: file.delncattr("specent_schema"),
    "units": lambda file: file["final"].setncattr("units", "m"),
    "name": lambda file: file.renameVariable("final", "last"),
    "dimension": lambda file: file.renameDimension("candidate", "candidates"),
    "more": lambda file: file.createVariable("more", "f8", ("time",)),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_it_is_judged_as_one_that_is_opened(folder: Path, change: Change) -> None:
    shards = RunFolder.read(folder).grid.shards
    altered(folder / shards[2].name, change)
    opened = RunFolder.read(folder).fault(shards[2])
    compared = RunFolder.read(folder)
    assert compared.fault(shards[0]) == ""
    assert compared.fault(shards[2]) == opened
    assert bool(opened) == (change not in (CHANGES["nothing"], CHANGES["history"]))


def test_damage_is_found_without_opening(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there = RunFolder.read(folder)
    first, second, third, *_ = there.grid.shards
    assert there.fault(first) == ""
    monkeypatch.setattr("specent.archive.reading.open_file", lambda *_: pytest.fail("it was opened"))
    assert there.fault(second) == ""
    content = bytearray(there.file(third).read_bytes())
    content[len(content) // 2] ^= 1
    there.file(third).write_bytes(content)
    assert "damaged" in there.fault(third)
    there.file(second).unlink()
    assert "does not exist" in there.fault(second)


def test_patterns_of_shards_of_a_run_are_the_same(folder: Path) -> None:
    there = RunFolder.read(folder)
    first, *others = (members.pattern(there.file(shard)) for shard in there.grid.shards)
    assert others == [first] * len(others)


@pytest.mark.parametrize("name", ["settings", "final"])
def test_what_a_later_shard_lacks_is_one_error_when_it_is_read(folder: Path, name: str) -> None:
    def change(file: netCDF4.Dataset) -> None:
        if name == "settings":
            file.delncattr(name)
        else:
            file.renameVariable(name, "last")
            file.createGroup(name)

    last = RunFolder.read(folder).grid.shards[-1]
    altered(folder / last.name, change)
    runs = sp.open(folder)
    # threads would go on reading other shards after the error, beside the changes that the next test makes
    with pytest.raises(ArchiveError, match=f"{last.name}.* cannot be read"):
        runs["final"].compute(scheduler="synchronous")
