"""Sizes that a file cannot hold are refused before anything is loaded; honest files that pack well are not."""

from __future__ import annotations

import tracemalloc

import dask.array as da
import h5py
import netCDF4
import numpy as np
import pytest

import specent.archive as archive
from specent.archive import sealing
from specent.errors import ArchiveError


@pytest.fixture
def path(make_dataset, tmp_path):
    return archive.write(make_dataset("profiles"), tmp_path / "a.nc")


def copied(path, sizes=None, chunks=None, contiguous=()):
    """A sealed copy in which dimensions have other sizes, which are never written, or storage is another."""
    target, sizes = path.with_name("b.nc"), sizes or {}
    with netCDF4.Dataset(path) as old, netCDF4.Dataset(target, "w") as new:
        for name, dimension in old.dimensions.items():
            new.createDimension(name, sizes.get(name, len(dimension)))
        for name, variable in old.variables.items():
            options = {"contiguous": True} if name in contiguous else {"compression": "zlib"}
            options |= {"chunksizes": chunks[name]} if chunks and name in chunks else {}
            one = new.createVariable(name, variable.dtype, variable.dimensions, **options)
            one.setncatts({key: variable.getncattr(key) for key in variable.ncattrs()})
            for each in (variable, one):
                each.set_auto_chartostring(False)
            if not set(sizes) & set(variable.dimensions):
                one[:] = variable[:]
        new.setncatts({key: old.getncattr(key) for key in old.ncattrs()})
    return target


def refused(path, match, verify=True):
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match=match) as refusal:
            archive.open(path, verify=verify)
        # what netCDF4 and NumPy took; the file declares gigabytes
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()
    assert str(path) in str(refusal.value)


@pytest.mark.parametrize(
    ("dim", "chunks"),
    [("time", {"entropy": (1, 1, 1, 1, 1000)}), ("partition", None), ("replicate", None)],
    ids=["time", "partition", "replicate"],
)
@pytest.mark.parametrize("verify", [True, False])
def test_a_dimension_of_values_that_were_never_written_is_refused(path, dim, chunks, verify):
    bad = copied(path, {dim: 10**8}, chunks)
    assert bad.stat().st_size < 200_000
    if verify:
        sealing.seal(bad)
    refused(bad, "would take .* bytes, more than a file of|too many to unpack", verify)


def test_coordinates_have_a_bound_of_their_own(path):
    # 5 million doubles of 40 MB are less than a file of 100 kB may unpack to, but are loaded at once
    bad = copied(path, {"time": 5_000_000}, {"time": (1000,)})
    sealing.seal(bad)
    refused(bad, "would take|too many")


def test_a_chunk_that_takes_memory_by_itself_is_refused(path):
    bad = copied(path, {"time": 2 * 10**7}, {"time": (2 * 10**7,)})
    sealing.seal(bad)
    refused(bad, "variable 'time' has chunks of 160000000 bytes|would take")


def test_a_sealed_file_keeps_all_variables_in_chunks(path):
    """Values outside of the file, of which HDF5 can read any, are never in chunks."""
    bad = copied(path, contiguous=("sigma",))
    sealing.seal(bad)
    refused(bad, "variable 'sigma' is not stored in chunks")


def test_one_text_that_is_named_over_and_over_is_refused(path):
    """References to texts of variable length take 16 bytes each; all may lead to the same long text."""
    with h5py.File(path, "r+") as file:
        texts = np.array(["z" * 60_000] + ["s"] * 999, dtype=object)
        variable = file.create_dataset("more", data=texts, dtype=h5py.string_dtype())
        file["more"].make_scale("more")
        start = variable.id.get_offset()
        file["time"].attrs["coordinates"] = "more"
    content = bytearray(path.read_bytes())
    content[start : start + 16 * 1000] = content[start : start + 16] * 1000
    path.write_bytes(content)
    refused(path, "the texts of 'more' would take .* bytes", verify=False)


def test_honest_data_that_pack_as_well_as_zlib_can_are_opened(make_dataset, tmp_path):
    runs = make_dataset("trajectories", samples=1).drop_vars(["denoiser_distance", "prediction", "prediction_time"])
    many = runs.isel(sample=[0] * 4000).drop_vars("sample")
    for name in many.data_vars:
        zeros = da.zeros(many[name].shape, dtype=many[name].dtype, chunks=-1)
        many[name] = many[name].copy(data=zeros)
    many = many.assign_coords(sample=("sample", np.arange(4000), runs["sample"].attrs))
    path = archive.write(many, tmp_path / "zeros.nc")
    assert many.nbytes > 50 * path.stat().st_size
    with archive.open(path) as stored:
        assert stored.sizes["sample"] == 4000
