"""Archives of version 1 of the file format open, are validated and described."""

from __future__ import annotations

import json
from pathlib import Path

import netCDF4
import numpy as np
import pytest

import specent.archive as archive
from specent import command, schema

FOLDER = Path(__file__).with_name("version_1")
KINDS = {
    "trajectories": "trajectories",
    "mixture_runs": "trajectories",
    "profiles": "profiles",
    "sweep": "profiles",
    "speciation": "speciation",
    "sweep_speciation": "speciation",
    "scaling": "scaling",
    "differences": "differences",
    "quality": "quality",
}


def test_an_archive_of_every_kind_is_here():
    assert {path.stem for path in FOLDER.glob("*.nc")} == set(KINDS)
    for path in FOLDER.glob("*.nc"):
        with netCDF4.Dataset(path) as file:
            assert file.specent_schema == "1"


@pytest.mark.parametrize(("name", "kind"), KINDS.items(), ids=KINDS)
@pytest.mark.parametrize("chunks", [None, "auto"])
def test_it_opens_as_a_dataset_of_this_version(name, kind, chunks):
    with archive.open(FOLDER / f"{name}.nc", chunks=chunks) as dataset:
        schema.validate(dataset, kind)
        assert dataset.attrs["specent_schema"] == schema.SCHEMA
        # it is what was run then, whatever reads it now
        assert isinstance(json.loads(dataset.attrs["settings"]), dict)


@pytest.mark.parametrize(("name", "kind"), KINDS.items(), ids=KINDS)
def test_it_is_validated_and_described_and_can_be_written_again(name, kind, tmp_path):
    path = FOLDER / f"{name}.nc"
    archive.validate(path, kind)
    text = archive.describe(path)
    assert text.startswith(f"{kind}: ")
    with archive.open(path) as dataset:
        written = archive.write(dataset, tmp_path / "a.nc")
        archive.validate(written, kind)
        with archive.open(written) as again:
            assert again.identical(dataset)


@pytest.mark.parametrize(
    ("name", "variable"), [("trajectories", "log_likelihood"), ("profiles", "entropy"), ("quality", "precision")]
)
def test_its_numbers_are_those_in_the_file(name, variable):
    path = FOLDER / f"{name}.nc"
    with netCDF4.Dataset(path) as file, archive.open(path) as dataset:
        assert dataset[variable].dims == file[variable].dimensions
        np.testing.assert_array_equal(dataset[variable].values, file[variable][...].data)


def test_validation_says_of_which_version_a_file_is(make_dataset, tmp_path, capsys):
    old, new = FOLDER / "profiles.nc", archive.write(make_dataset("profiles"), tmp_path / "a.nc")
    assert (archive.validate(old), archive.validate(new)) == ("1", schema.SCHEMA)
    assert command.main(["validate", str(old), str(new)]) == 0
    assert capsys.readouterr().out.splitlines() == [f"{old}: good (version 1 of the file format)", f"{new}: good"]
