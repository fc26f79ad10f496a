from __future__ import annotations

import math
import os
import pickle
import subprocess
import sys
import tracemalloc
from pathlib import Path

import dask.array
import netCDF4
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

import specent.archive as archive
from specent import schema
from specent.archive import pieces, sealing, writing
from specent.errors import ArchiveError, SpecentError

WRITERS = Path(__file__).with_name("writers.py")
# the largest and smallest numbers, both zeros, one without a short decimal form
CORNERS = [0.0, -0.0, 5e-324, -2.2250738585072014e-308, 1.7976931348623157e308, 0.1, -1 / 3]


def _identical(stored: xr.Dataset, meant: xr.Dataset) -> bool:
    """Same names, dimensions, types, attributes and bytes; -0.0 is not 0.0."""
    same = stored.attrs == meant.attrs and list(stored.sizes) and set(stored.variables) == set(meant.variables)
    for name, variable in meant.variables.items():
        other = stored.variables[name]
        same = same and other.dims == variable.dims and other.attrs == variable.attrs and other.dtype == variable.dtype
        same = same and other.values.tobytes() == variable.values.tobytes()
    return bool(same) and set(stored.coords) == set(meant.coords)


@settings(deadline=None, max_examples=16)
@given(data=st.data(), kind=st.sampled_from(sorted(schema.KINDS)), seed=st.integers(0, 2**32 - 1))
def test_any_dataset_comes_back_as_it_was(make_dataset, tmp_path_factory, data, kind, seed):
    original = make_dataset(kind, seed, data.draw(st.integers(2, 6), "steps"), data.draw(st.integers(1, 5), "samples"))
    names = {
        "trajectories": "production", "profiles": "entropy_rate", "speciation": "peak_rate", "scaling": "residual",
        "differences": "entropy_rate_difference", "statistics": "production", "quality": "frechet_limit_difference",
        "interventions": "disagreement",
    }  # fmt: skip
    corners = data.draw(st.lists(st.sampled_from(CORNERS), min_size=1, max_size=9), "corners")
    # bounds too, or they would exclude the value
    for name in (
        name for name in original.data_vars if str(name).removesuffix("_lower").removesuffix("_upper") == names[kind]
    ):
        flat = original[name].values.flatten()
        flat[: len(corners)] = corners[: len(flat)]
        original[name].values = flat.reshape(original[name].shape)
    text = data.draw(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30), "comment")
    original.attrs |= {"comment": text, "number": data.draw(st.integers(-(2**63), 2**63 - 1), "number")}
    path = archive.write(original, tmp_path_factory.mktemp("round") / "a.nc")
    with archive.open(path) as stored:
        assert _identical(stored, original)
        assert all(type(value) in (str, int, float) for value in stored.attrs.values())


def test_settings_of_a_megabyte_survive(make_dataset, tmp_path):
    original = make_dataset("profiles")
    again = schema.finish(
        original,
        "profiles",
        title="big",
        settings={"grid": list(range(200_000))},
        rate_axis="time",
        schedule='{"name": "ve"}',
    )
    assert len(again.attrs["settings"]) > 1_000_000
    with archive.open(archive.write(again, tmp_path / "a.nc")) as stored:
        assert _identical(stored, again)


def test_dask_blocks_of_any_shape_give_the_same_values(make_dataset, tmp_path):
    original = make_dataset("trajectories", steps=6, samples=7)
    lazy = original.chunk({"sample": 3, "time": 4, "class_label": 2})
    path = archive.write(lazy, tmp_path / "a.nc")
    assert dask.is_dask_collection(lazy["production"].data)
    with archive.open(path) as stored:
        assert _identical(stored, original)


def test_an_archive_can_replace_the_file_it_is_read_from(make_dataset, tmp_path):
    original = make_dataset("trajectories")
    path = archive.write(original, tmp_path / "a.nc")
    for chunks in (None, "auto"):
        with archive.open(path, chunks=chunks) as lazy:
            archive.write(lazy, path, overwrite=True)
        with archive.open(path) as stored:
            assert _identical(stored, original)


def test_an_open_dataset_keeps_its_file_when_that_is_replaced(make_dataset, tmp_path):
    old, new = make_dataset("trajectories", seed=1), make_dataset("trajectories", seed=2)
    path = archive.write(old, tmp_path / "a.nc")
    with archive.open(path) as reader:
        archive.write(new, path, overwrite=True)
        assert _identical(reader.load(), old)
    with archive.open(path) as reader:
        assert _identical(reader, new)


def test_a_file_that_appears_meanwhile_is_not_replaced(make_dataset, tmp_path, monkeypatch):
    path = tmp_path / "a.nc"
    monkeypatch.setattr(writing, "_compare", lambda *_: path.write_bytes(b"theirs"))
    with pytest.raises(ArchiveError, match="exists; pass overwrite=True"):
        archive.write(make_dataset("scaling"), path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"theirs"


def test_every_number_is_chunked_compressed_and_has_a_checksum_and_no_fill_value(any_dataset, tmp_path):
    with netCDF4.Dataset(archive.write(any_dataset, tmp_path / "a.nc")) as file:
        assert set(file.variables) == set(any_dataset.variables)
        for variable in file.variables.values():
            filters = variable.filters()
            assert (filters["zlib"], filters["complevel"], filters["shuffle"], filters["fletcher32"]) == (
                True,
                1,
                True,
                True,
            )
            assert variable.chunking() != "contiguous"
            assert "_FillValue" not in variable.ncattrs()
        assert not any(dimension.isunlimited() for dimension in file.dimensions.values())


def test_every_variable_in_the_file_has_units_and_long_name(any_dataset, tmp_path):
    with netCDF4.Dataset(archive.write(any_dataset, tmp_path / "a.nc")) as file:
        for name, variable in file.variables.items():
            row = {**schema.COORDINATES, **schema.KINDS[any_dataset.attrs["specent_kind"]]}[name]
            assert variable.units == row.units
            assert variable.long_name.startswith(row.long_name)


def test_h5netcdf_reads_the_same_values(any_dataset, tmp_path):
    path = archive.write(any_dataset, tmp_path / "a.nc")
    with xr.open_dataset(path, engine="h5netcdf") as other:
        for name, variable in any_dataset.variables.items():
            stored = other[name].values
            assert stored.astype(variable.dtype).tobytes() == variable.values.tobytes()
            assert {key: other[name].attrs[key] for key in variable.attrs} == variable.attrs
        assert set(other.coords) == set(any_dataset.coords)
        assert schema.plain_attributes(other.attrs) == any_dataset.attrs


@given(shape=st.lists(st.integers(1, 5000), min_size=1, max_size=5).map(tuple), itemsize=st.sampled_from([1, 4, 8]))
def test_chunks_hold_one_to_four_megabytes_or_the_whole_variable(shape, itemsize):
    chunks = pieces.storage_chunks(shape, itemsize)
    size = math.prod(chunks) * itemsize
    assert all(1 <= chunk <= whole for chunk, whole in zip(chunks, shape, strict=True))
    assert size <= 4 << 20
    assert size >= 1 << 20 or chunks == shape


def test_regions_cover_every_value_once(make_dataset, monkeypatch):
    monkeypatch.setattr(pieces, "_CHUNK_BYTES", 200)
    original = make_dataset("trajectories", samples=7)
    for dataset in (original, original.chunk({"sample": 3, "time": 2})):
        for variable in dataset.variables.values():
            seen = np.zeros(variable.shape, dtype=int)
            for region in pieces.regions(variable):
                seen[region] += 1
            assert (seen == 1).all()


def _written_bytes_peak(samples: int, folder: Path, template: xr.Dataset) -> int:
    """Peak of traced memory while a lazy dataset of zeros with that many samples is written."""

    def zeros(name: str) -> xr.Variable:
        variable = template[name].variable
        shape = [samples if dim == "sample" else size for dim, size in variable.sizes.items()]
        blocks = [500 if dim == "sample" else size for dim, size in variable.sizes.items()]
        return xr.Variable(variable.dims, dask.array.zeros(shape, chunks=blocks, dtype=variable.dtype))

    names = ["log_likelihood", "final"]
    lazy = template[names].drop_dims("sample").assign({name: zeros(name) for name in names})
    attributes = {name: template.attrs[name] for name in schema.KIND_ATTRIBUTES["trajectories"]}
    original = schema.finish(lazy, "trajectories", title="zeros", settings={}, **attributes)
    tracemalloc.start()
    archive.write(original, folder / f"{samples}.nc")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_the_number_of_samples(make_dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "_BATCH_BYTES", 1 << 20)
    template = make_dataset("trajectories", steps=16, samples=1)
    few, many = (_written_bytes_peak(samples, tmp_path, template) for samples in (4_000, 16_000))
    # the data grow by 12000 samples of 3 kB each, 37 MB
    assert many < few + 4e6


def _at(original: xr.Dataset, name: str, value: float, **index: int) -> xr.Dataset:
    bad = original.copy(deep=True)
    bad[name][index] = value
    return bad


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("chunks", [None, {"sample": 2}])
def test_a_number_that_is_not_finite_is_named_with_its_place(make_dataset, tmp_path, value, chunks):
    original = make_dataset("trajectories")
    bad = _at(original, "production", value, guidance=1, class_label=2, sample=3, time=1, partition=0)
    bad = bad if chunks is None else bad.chunk(chunks)
    labels = (
        f"production={value} at guidance=w=2 for 0.5<sigma<=5, class_label=red car, sample=3, time=.*, partition=full"
    )
    with pytest.raises(ArchiveError, match=labels):
        archive.write(bad, tmp_path / "a.nc")
    assert list(tmp_path.iterdir()) == []


def test_a_coordinate_that_is_not_finite_is_named_with_its_place(make_dataset, tmp_path):
    bad = make_dataset("profiles")
    bad["guidance_scale"].values[1] = np.nan
    with pytest.raises(ArchiveError, match="guidance_scale=nan at guidance=w=2"):
        archive.write(bad, tmp_path / "a.nc")
    assert list(tmp_path.iterdir()) == []


PATHS = {
    "no folder": ("nowhere/a.nc", "the folder '.*nowhere' does not exist; make it first"),
    "wrong suffix": ("a.h5", "must end in '.nc'"),
    "a folder": ("folder.nc", "is a folder; choose another name"),
    "taken": ("taken.nc", "exists; pass overwrite=True"),
    # a folder in which not even root can make a file
    "read-only": ("/proc/a.nc", "the folder cannot be written to"),
}


@pytest.mark.parametrize(("name", "message"), PATHS.values(), ids=PATHS.keys())
def test_a_path_that_cannot_be_written_is_refused_before_any_work(make_dataset, tmp_path, name, message):
    (tmp_path / "folder.nc").mkdir()
    (tmp_path / "taken.nc").write_bytes(b"mine")
    blocks = dask.array.from_delayed(dask.delayed(pytest.fail)("computed"), (2, 3, 4, 5, 2), float)
    original = make_dataset("trajectories")
    original["production"] = original["production"].copy(data=blocks)
    with pytest.raises(ArchiveError, match=message):
        archive.write(original, tmp_path / name)
    assert {path.name for path in tmp_path.iterdir()} == {"folder.nc", "taken.nc"}
    assert (tmp_path / "taken.nc").read_bytes() == b"mine"
    with pytest.raises(ArchiveError, match=message):
        archive.check_output(tmp_path / name)


def test_a_path_can_be_checked_beforehand_and_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert archive.check_output("a.nc") == tmp_path / "a.nc"
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "a.nc").write_bytes(b"mine")
    assert archive.check_output("a.nc", overwrite=True) == tmp_path / "a.nc"
    assert (tmp_path / "a.nc").read_bytes() == b"mine"


def test_what_breaks_the_contract_is_not_written(make_dataset, tmp_path):
    with pytest.raises(ArchiveError, match="'final' is missing"):
        archive.write(make_dataset("trajectories").drop_vars("final"), tmp_path / "a.nc")
    with pytest.raises(SpecentError, match="dataset is a dict"):
        archive.write({}, tmp_path / "a.nc")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("problem", [ZeroDivisionError, KeyError, RuntimeError, OSError, MemoryError])
def test_a_computation_that_fails_is_told_from_a_failing_disk_and_leaves_the_old_file(make_dataset, tmp_path, problem):
    old = make_dataset("profiles", seed=1)
    path = archive.write(old, tmp_path / "a.nc")

    def fail(block: np.ndarray) -> np.ndarray:
        raise problem("on purpose")

    new = make_dataset("profiles", seed=2).chunk()
    new["entropy"] = new["entropy"].copy(data=new["entropy"].data.map_blocks(fail, dtype=float))
    message = f"computing the data of 'entropy' failed .{problem.__name__}: .*on purpose"
    with pytest.raises(ArchiveError, match=message) as caught:
        archive.write(new, path, overwrite=True)
    assert isinstance(caught.value.__cause__, problem)
    assert "disk" not in str(caught.value)
    with pytest.raises(ArchiveError, match=message):
        archive.validate(new)
    assert list(tmp_path.iterdir()) == [path]
    with archive.open(path) as stored:
        assert _identical(stored, old)


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize(
    ("name", "value"), [("entropy_lower", 2.0), ("entropy_upper", -1.0), ("peak_rate_upper", -2.0)]
)
def test_what_validate_refuses_is_not_written(make_dataset, tmp_path, name, value, lazy):
    original = make_dataset("profiles" if name.startswith("entropy") else "speciation")
    original[name][{"partition": 1, "estimator": 0}] = value
    bad = original.chunk() if lazy else original
    for refused in (lambda: archive.validate(bad), lambda: archive.write(bad, tmp_path / "a.nc")):
        with pytest.raises(ArchiveError, match=rf"{name}={value} at .*estimator=path, .* excludes .* itself"):
            refused()
    assert list(tmp_path.iterdir()) == []


def _spoil(path: Path) -> None:
    with netCDF4.Dataset(path, "r+") as file:
        file["entropy"][0] = 0.25


def _rename(path: Path) -> None:
    with netCDF4.Dataset(path, "r+") as file:
        file.title = "another"


@pytest.mark.parametrize("spoil", [_spoil, _rename])
def test_what_is_not_read_back_as_meant_is_not_kept(make_dataset, tmp_path, monkeypatch, spoil):
    whole = sealing.seal

    def seal(path: Path) -> None:
        spoil(path)
        whole(path)

    monkeypatch.setattr(writing.sealing, "seal", seal)
    with pytest.raises(ArchiveError, match="read back from the new file differs"):
        archive.write(make_dataset("profiles"), tmp_path / "a.nc")
    assert list(tmp_path.iterdir()) == []


def test_a_failing_disk_is_one_clear_error_and_leaves_the_old_file(make_dataset, tmp_path, monkeypatch):
    path = archive.write(make_dataset("profiles", seed=1), tmp_path / "a.nc")
    before = path.read_bytes()

    def fail(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing.sealing, "seal", fail)
    with pytest.raises(ArchiveError, match=r"path='.*a.nc' could not be written .*No space left"):
        archive.write(make_dataset("profiles", seed=2), path, overwrite=True)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == before


def test_a_full_disk_is_one_clear_error_and_leaves_nothing(make_dataset, tmp_path):
    (tmp_path / "dataset.pickle").write_bytes(pickle.dumps(make_dataset("trajectories", samples=400)))
    folder = tmp_path / "out"
    folder.mkdir()
    command = [sys.executable, str(WRITERS), "full", str(tmp_path / "dataset.pickle"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert "could not be written" in done.stdout
    assert "is the disk full?" in done.stdout
    assert os.listdir(folder) == []
