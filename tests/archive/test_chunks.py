"""Chunks that were made here are those that the HDF5 library makes, and other programs read them."""

from __future__ import annotations

import math
from pathlib import Path

import dask.array
import h5py
import netCDF4
import numpy as np
import pytest
import xarray as xr
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import specent as sp
from specent.archive import chunks, pieces
from specent.archive.chunks import StoredVariable, fletcher32

FILTERS = {"compression": "zlib", "complevel": 1, "shuffle": True, "fletcher32": True}


def declare(path: Path, dtype: str, shape: tuple[int, ...], chunk: tuple[int, ...]) -> None:
    """A file of two variables without values."""
    with netCDF4.Dataset(path, "w") as file:
        for i, size in enumerate(shape):
            file.createDimension(f"d{i}", size)
        for name in ("ours", "theirs"):
            file.createVariable(name, dtype, tuple(file.dimensions), chunksizes=chunk or None, **FILTERS)


def store(path: Path, name: str, values: np.ndarray) -> None:
    """Write a whole variable by its parts."""
    with h5py.File(path, "r+") as file:
        stored = StoredVariable(file[name])
        for part in stored.parts(tuple(slice(0, size) for size in values.shape)):
            stored.write(part, values[part])


def load(path: Path, name: str) -> np.ndarray:
    """Read a whole variable by its parts."""
    with h5py.File(path) as file:
        stored = StoredVariable(file[name])
        values = np.empty(stored.shape, file[name].dtype)
        for part in stored.parts(tuple(slice(0, size) for size in stored.shape)):
            values[part] = stored.read(part)
    return values


SHAPES = st.lists(st.integers(1, 9), max_size=3).flatmap(
    lambda shape: st.tuples(st.just(tuple(shape)), st.tuples(*(st.integers(1, size) for size in shape)))
)


@settings(deadline=None, max_examples=40)
@given(layout=SHAPES, dtype=st.sampled_from(["f4", "f8", "i8", "i2", "u1", "S1"]), seed=st.integers(0, 2**32 - 1))
def test_what_is_written_here_is_read_there_and_the_other_way_round(tmp_path_factory, layout, dtype, seed):
    shape, chunk = layout
    octets = np.random.default_rng(seed).integers(1, 256, (*shape, np.dtype(dtype).itemsize), dtype=np.uint8)
    values = octets.view(dtype)[..., 0]
    # text has at least the dimension of its letters
    assume(shape or dtype != "S1")
    path = tmp_path_factory.mktemp("chunks") / "a.nc"
    declare(path, dtype, shape, chunk)
    store(path, "ours", values)
    with netCDF4.Dataset(path, "r+") as file:
        file.set_auto_mask(False)
        assert file["ours"][...].tobytes() == values.tobytes()
        file["theirs"][...] = values
    with h5py.File(path) as file:
        assert file["ours"][()].tobytes() == file["theirs"][()].tobytes() == values.tobytes()
    assert load(path, "ours").tobytes() == load(path, "theirs").tobytes() == values.tobytes()


@pytest.mark.parametrize("fill", ["random", 0, 255])
@pytest.mark.parametrize("length", [1, 2, 3, 719, 720, 8191, 8192, 8193, 100_001])
def test_the_checksum_is_that_of_the_library(tmp_path: Path, length: int, fill: str | int) -> None:
    octets = np.full(length, 0 if fill == "random" else fill, np.uint8)
    if fill == "random":
        octets[:] = np.random.default_rng(length).integers(0, 256, length)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        variable = file.create_dataset("a", data=octets, chunks=octets.shape, fletcher32=True)
        variable.flush()
        _, stored = variable.id.read_direct_chunk((0,))
    assert stored[:-4] == octets.tobytes()
    assert fletcher32(octets) == int.from_bytes(stored[-4:], "little")


@pytest.fixture
def flipped(tmp_path: Path) -> Path:
    """A file with a bit of a number flipped, but not of the checksum, and deflated without fault."""
    values = np.random.default_rng(0).normal(size=(30, 40))
    declare(tmp_path / "a.nc", "f8", values.shape, (10, 40))
    store(tmp_path / "a.nc", "ours", values)
    with h5py.File(tmp_path / "a.nc", "r+") as file:
        _, stored = file["ours"].id.read_direct_chunk((10, 0))
        octets = chunks._inflated(np.frombuffer(stored, np.uint8), 8).copy()
        octets[777] ^= 4
        file["ours"].id.write_direct_chunk((10, 0), chunks._deflated(octets, 8).tobytes())
    return tmp_path / "a.nc"


def test_a_flipped_bit_is_refused_by_every_library(flipped: Path) -> None:
    with netCDF4.Dataset(flipped) as file:
        assert file["ours"][:10].shape == (10, 40)
        with pytest.raises(RuntimeError, match="HDF error"):
            file["ours"][10:20]
    with h5py.File(flipped) as file, pytest.raises(OSError, match="filter returned failure"):
        file["ours"][10:20]
    with pytest.raises(ValueError, match="the checksum of a chunk"):
        load(flipped, "ours")


def test_a_chunk_that_is_no_deflated_stream_is_refused(flipped: Path) -> None:
    with h5py.File(flipped, "r+") as file:
        file["ours"].id.write_direct_chunk((0, 0), b"no stream")
    with pytest.raises(ValueError, match="cannot be inflated"):
        load(flipped, "ours")


@pytest.mark.parametrize("blocks", [None, {"sample": 3}, {"sample": 4, "time": 5, "candidate": 2}])
def test_every_program_reads_an_archive_of_many_chunks(make_dataset, tmp_path, monkeypatch, blocks):
    monkeypatch.setattr(pieces, "_CHUNK_BYTES", 400)
    monkeypatch.setattr(pieces, "_LEAST_BYTES", 100)
    runs = make_dataset("trajectories", samples=11)
    path = sp.write(sp.schema.compact(runs if blocks is None else runs.chunk(blocks)), tmp_path / "a.nc")
    expected = sp.schema.compact(runs)
    with netCDF4.Dataset(path) as file:
        file.set_auto_maskandscale(False)
        for name, variable in expected.data_vars.items():
            counts = [-(-size // step) for size, step in zip(variable.shape, file[name].chunking(), strict=True)]
            assert math.prod(counts) > 1
            assert file[name][:].tobytes() == variable.values.tobytes()
        assert file["candidate"][:].tolist() == expected["candidate"].values.tolist()
    for engine in ("netcdf4", "h5netcdf"):
        with xr.open_dataset(path, engine=engine, decode_times=False) as other:
            for name, variable in expected.variables.items():
                assert other[name].values.astype(variable.dtype).tobytes() == variable.values.tobytes()


BLOCKS = st.lists(st.lists(st.integers(1, 12), min_size=1, max_size=4), min_size=1, max_size=3)


@settings(deadline=None)
@given(blocks=BLOCKS, room=st.sampled_from([400, 4000, 50_000]), even=st.booleans())
def test_pieces_are_whole_chunks_and_cover_every_value_once(blocks, room, even):
    sizes = [[parts[0]] * len(parts) if even else parts for parts in blocks]
    shape = tuple(map(sum, sizes))
    lazy = xr.Variable([f"d{i}" for i in range(len(shape))], dask.array.zeros(shape, chunks=tuple(map(tuple, sizes))))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "_CHUNK_BYTES", room)
        patch.setattr(pieces, "_LEAST_BYTES", room // 4)
        for variable in (lazy, lazy.copy(data=np.zeros(shape))):
            chunk, seen = pieces.layout(variable), np.zeros(shape, int)
            assert 8 * math.prod(chunk) <= room
            for region in pieces.regions(variable):
                seen[region] += 1
                for part, step, size in zip(region, chunk, shape, strict=True):
                    assert part.start % step == 0
                    assert part.stop % step == 0 or part.stop == size
            assert (seen == 1).all()


@pytest.mark.parametrize("blocks", [(1, 7, 300), (40, 7, 300), (8, 7, 100), (1, 1, 10)])
def test_a_block_is_in_one_piece(monkeypatch: pytest.MonkeyPatch, blocks: tuple[int, ...]) -> None:
    monkeypatch.setattr(pieces, "_CHUNK_BYTES", 1 << 14)
    monkeypatch.setattr(pieces, "_LEAST_BYTES", 1 << 12)
    variable = xr.Variable(["a", "b", "c"], dask.array.zeros((80, 7, 300), chunks=blocks))
    count = np.zeros(variable.data.numblocks, int)
    for region in pieces.regions(variable):
        count[tuple(slice(p.start // b, -(-p.stop // b)) for p, b in zip(region, blocks, strict=True))] += 1
    assert (count == 1).all()
