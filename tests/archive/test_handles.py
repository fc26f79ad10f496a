"""Files are opened once for all that is read of them at a time, and are closed then."""

import netCDF4
import pytest

import specent as sp
from specent.analysis.blocks import each_block
from specent.archive import handles
from specent.archive.handles import kept_open, opened


@pytest.fixture
def files(tmp_path):
    paths = [tmp_path / f"{name}.nc" for name in "abc"]
    for path in paths:
        netCDF4.Dataset(path, "w").close()
    return paths


def test_files_stay_open_until_all_are_done_and_never_too_many_of_them(files, monkeypatch):
    monkeypatch.setattr(handles, "_MOST", 2)
    with kept_open():
        with opened(files[0]) as first, opened(files[1]) as second:
            pass
        with kept_open(), opened(files[0]) as again:
            assert again is first
        assert first.isopen()
        with opened(files[2]):
            assert second.isopen()
            assert not first.isopen()
    assert not second.isopen()
    for path in files:
        # the library refuses to write to a file that is open
        with netCDF4.Dataset(path, "r+"):
            pass


def test_a_file_that_is_read_by_itself_is_closed_at_once(files):
    with opened(files[0]) as file:
        assert file.isopen()
    assert not file.isopen()


def test_a_file_is_closed_after_an_error(files):
    with pytest.raises(ZeroDivisionError), kept_open(), opened(files[0]) as file:
        raise ZeroDivisionError
    assert not file.isopen()
    with pytest.raises(FileNotFoundError), kept_open(), opened(files[0].with_suffix(".txt")):
        pass
    assert not handles._KEPT.files


def test_every_shard_is_opened_once_for_all_that_is_read_of_it(tmp_path, monkeypatch):
    mix = sp.exact.GaussianMixture([[-1.0], [1.0]])
    plan = sp.Plan(sp.models.mixture(mix), sp.schedules.VE(), sp.schedules.edm_grid(8), 100, partitions=["full"])
    sp.run(plan, tmp_path / "run", shard=25, progress=False)
    paths = []
    real = netCDF4.Dataset

    def counted(path, *args, **options):
        paths.append(path)
        return real(path, *args, **options)

    with sp.open(tmp_path / "run") as runs:
        monkeypatch.setattr(handles.netCDF4, "Dataset", counted)
        names = ["log_likelihood", "production", "cross_production"]
        blocks = list(each_block(runs, names, runs.sizes["candidate"]))
    shards = sorted((tmp_path / "run").glob("shard-*.nc"))
    assert len(shards) > 1
    assert sum(block.arrays["production"].size for block in blocks) == runs["production"].size
    assert sorted(paths) == shards
