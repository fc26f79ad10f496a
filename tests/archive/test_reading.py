from __future__ import annotations

import hashlib
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest
import xarray as xr

import specent.archive as archive
from specent import schema
from specent.archive import sealing
from specent.archive.locking import LIBRARY
from specent.errors import ArchiveError, SpecentError


@pytest.fixture
def path(make_dataset, tmp_path):
    return archive.write(make_dataset("profiles"), tmp_path / "a.nc")


def _resealed(path, **attributes):
    """Change attributes of an archive as a program that knows the seal would."""
    with netCDF4.Dataset(path, "r+") as file:
        file.setncatts(attributes)
    sealing.seal(path)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ArchiveError, match=r"path='.*gone.nc' does not exist"):
        archive.open(tmp_path / "gone.nc")


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(ArchiveError, match=r"is not a run folder: it holds no run\.json"):
        archive.open(tmp_path)


@pytest.mark.parametrize("content", [b"", b"CDF\x01", b"\x89HDF", b"hello " * 100])
def test_a_file_of_another_format_is_named(tmp_path, content):
    (tmp_path / "a.nc").write_bytes(content)
    with pytest.raises(ArchiveError, match="is not a netCDF-4 file; it begins with"):
        archive.open(tmp_path / "a.nc")


def test_a_netcdf_file_of_another_program_is_named(tmp_path):
    xr.Dataset({"a": ("x", np.zeros(3))}).to_netcdf(tmp_path / "a.nc", engine="netcdf4")
    with pytest.raises(ArchiveError, match=r"does not end in a seal: .*not written by sp.write"):
        archive.open(tmp_path / "a.nc")
    with pytest.raises(ArchiveError, match=r"path='.*a.nc': specent_kind=None.*was not made by specent"):
        archive.open(tmp_path / "a.nc", verify=False)


def test_a_file_changed_by_another_program_is_named(path):
    with netCDF4.Dataset(path, "r+") as file:
        file["entropy"][0] = 0.0
    with pytest.raises(ArchiveError, match="cut short, altered by another program"):
        archive.open(path)


def test_another_schema_version_is_named(path):
    _resealed(path, specent_schema="3")
    with pytest.raises(ArchiveError, match=r"path='.*a.nc': specent_schema='3', but this version reads '2'"):
        archive.open(path)


@pytest.mark.parametrize("verify", [True, False])
def test_a_file_cut_short_anywhere_is_reported(path, verify):
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    inside = len(whole) - sealing.LENGTH
    lengths = [0, 1, 8, 100, inside - 1, *rng.integers(0, inside, 60)]
    if verify:
        lengths += range(inside, len(whole))
    for length in lengths:
        path.write_bytes(whole[: int(length)])
        with pytest.raises(ArchiveError, match=re.escape(str(path))):
            archive.open(path, verify=verify)


def test_a_flipped_bit_anywhere_is_reported(path):
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    # every 1/400 of the file and every byte of the seal
    positions = np.linspace(0, len(whole) - 1, 400).astype(int).tolist() + list(
        range(len(whole) - sealing.LENGTH, len(whole))
    )
    for position in positions:
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(ArchiveError, match=r"not a netCDF-4 file|does not end in a seal|is damaged"):
            archive.open(path)


def _damage(path, variable):
    """Flip a bit in the middle of the first chunk of a variable."""
    with h5py.File(path) as file:
        chunk = file[variable].id.get_chunk_info(0)
    whole = bytearray(path.read_bytes())
    whole[chunk.byte_offset + chunk.size // 2] ^= 1
    path.write_bytes(whole)


def test_without_checking_the_seal_damaged_data_are_noticed_when_they_are_read(path):
    _damage(path, "entropy")
    with archive.open(path, verify=False) as lazy, pytest.raises((OSError, RuntimeError), match="NetCDF"):
        lazy["entropy"].load()


@pytest.mark.parametrize("name", ["time", "definition"])
def test_without_checking_the_seal_damaged_coordinates_are_reported(path, name):
    _damage(path, name)
    with pytest.raises(ArchiveError, match=r"path='.*a.nc'.* cannot be read"):
        archive.open(path, verify=False)


def test_anything_behind_the_seal_is_reported(path):
    with path.open("ab") as file:
        file.write(b"\n")
    with pytest.raises(ArchiveError, match="does not end in a seal"):
        archive.open(path)


def test_the_seal_is_the_sha256_of_all_bytes_before_it(path):
    whole = path.read_bytes()
    head, seal = whole[:-81], whole[-81:]
    assert seal == b"\nspecent sha256 " + hashlib.sha256(head).hexdigest().encode() + b"\n"


def test_data_are_read_when_first_used_and_coordinates_at_once(path):
    with archive.open(path) as lazy:
        assert not lazy["entropy"].variable._in_memory
        assert all(coordinate.variable._in_memory for coordinate in lazy.coords.values())


def test_closing_ends_access_to_the_file(path):
    before = len(os.listdir("/proc/self/fd"))
    with archive.open(path) as lazy:
        opened = len(os.listdir("/proc/self/fd"))
    assert opened == before + 1
    assert len(os.listdir("/proc/self/fd")) == before
    with archive.open(path, chunks="auto") as lazy:
        assert len(os.listdir("/proc/self/fd")) == before + 1
        lazy["entropy"].compute()
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_refused_file_is_closed(path):
    _resealed(path, specent_schema="3")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(ArchiveError):
        archive.open(path)
    assert len(os.listdir("/proc/self/fd")) == before


def test_chunks_give_dask_arrays_of_the_asked_sizes_and_the_same_values(make_dataset, tmp_path):
    original = make_dataset("trajectories", samples=5)
    path = archive.write(original, tmp_path / "a.nc")
    with archive.open(path, chunks={"sample": 2}) as lazy:
        assert lazy["log_likelihood"].chunksizes["sample"] == (2, 2, 1)
        assert isinstance(lazy["definition"].data, np.ndarray)
        assert lazy.identical(original)
    with archive.open(path, chunks="auto") as lazy:
        assert all(array.chunks for array in lazy.data_vars.values())
        assert lazy.identical(original)


@pytest.mark.parametrize("chunks", ["all", 3, {"nowhere": 2}, {"time": 0}, {"time": "big"}, {"time": True}])
def test_chunks_that_make_no_sense_are_named(path, chunks):
    with pytest.raises(SpecentError, match=r"chunks=.*(sizes)"):
        archive.open(path, chunks=chunks)


def test_a_valid_dataset_and_file_of_each_kind_validate(any_dataset, tmp_path):
    kind = any_dataset.attrs["specent_kind"]
    assert archive.validate(any_dataset, kind) == schema.SCHEMA
    assert archive.validate(archive.write(any_dataset, tmp_path / "a.nc"), kind) == schema.SCHEMA
    assert archive.validate(str(tmp_path / "a.nc")) == schema.SCHEMA


def test_validate_names_the_file_and_the_kind(path):
    with pytest.raises(ArchiveError, match=r"path='.*a.nc': a dataset of kind 'scaling' is needed"):
        archive.validate(path, "scaling")
    with pytest.raises(SpecentError, match=r"dataset_or_path=1\.5 is a float"):
        archive.validate(1.5)


@pytest.mark.parametrize("kind", [[], 3, "weather"])
def test_validate_refuses_a_kind_there_is_none_of(make_dataset, kind):
    with pytest.raises(ArchiveError, match=r"kind=.* is not one of trajectories, statistics, profiles"):
        archive.validate(make_dataset("scaling"), kind)


def test_verify_is_true_or_false(path):
    with pytest.raises(SpecentError, match="verify='no' must be True or False"):
        archive.open(path, verify="no")


def test_validate_reports_damage(path):
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 4
    path.write_bytes(whole)
    with pytest.raises(ArchiveError, match="is damaged or was altered"):
        archive.validate(path)


def test_the_kind_of_every_maker_is_known():
    assert set(schema.KINDS) == set(schema.KIND_ATTRIBUTES)


@pytest.mark.parametrize("engine", ["netcdf4", "h5netcdf"])
def test_what_xarray_wrote_is_read_without_its_seal_and_can_be_sealed(any_dataset, tmp_path, engine):
    any_dataset.to_netcdf(tmp_path / "plain.nc", engine=engine)
    with pytest.raises(ArchiveError, match=re.escape("sp.write(sp.open(path, verify=False), new_path)")):
        archive.open(tmp_path / "plain.nc")
    with archive.open(tmp_path / "plain.nc", verify=False) as dataset:
        assert dataset.identical(any_dataset)
        path = archive.write(dataset, tmp_path / "sealed.nc")
    archive.validate(path)
    with archive.open(path) as sealed:
        assert sealed.identical(any_dataset)


def test_a_fill_value_that_is_a_number_is_not_taken_for_data(make_dataset, tmp_path):
    dataset = make_dataset("profiles")
    dataset["entropy"].encoding["_FillValue"] = -9999.0
    dataset.to_netcdf(tmp_path / "plain.nc")
    with pytest.raises(ArchiveError, match="attribute '_FillValue' of variable 'entropy'"):
        archive.open(tmp_path / "plain.nc", verify=False)


def test_threads_may_open_read_and_write_archives_at_once(make_dataset, tmp_path):
    source = archive.write(make_dataset("trajectories"), tmp_path / "a.nc")
    (tmp_path / "out").mkdir()
    command = [sys.executable, str(Path(__file__).with_name("threads.py")), str(source), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    # every reader has read the same numbers, and every writer has finished
    assert done.stdout.split() == ["64", "1", "2"]


def test_the_lock_of_the_library_is_one_in_a_process(make_dataset, tmp_path):
    assert pickle.loads(pickle.dumps(LIBRARY)) is LIBRARY
    path = archive.write(make_dataset("profiles"), tmp_path / "a.nc")
    with archive.open(path, chunks={}) as dataset:
        again = pickle.loads(pickle.dumps(dataset))
        assert again["entropy"].equals(dataset["entropy"])
        again.close()
