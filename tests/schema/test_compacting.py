"""Trajectories in fewer bytes: how far numbers move, what a file of them takes, and what that does to entropies."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

import specent as sp
from specent import studies
from specent.errors import SpecentError
from specent.schema import KINDS, compact
from specent.schema.compacting import rounded


@given(value=st.floats(-1e30, 1e30).filter(lambda x: x == 0 or abs(x) > 1e-30), bits=st.integers(1, 23))
def test_a_rounded_number_is_the_nearest_of_so_many_bits(value: float, bits: int) -> None:
    single = np.float32(value)
    kept = rounded(np.array([value]), bits)[0]
    exact, near = Fraction(float(single)), Fraction(float(kept))
    assert rounded(kept, bits) == kept
    if exact == 0:
        assert kept == 0
        return
    # numbers of b bits behind the first one are whole multiples of this, up to the next power of two
    power = Fraction(2) ** (int(np.frexp(abs(single))[1]) - 1)
    unit = power / 2**bits
    assert (near / unit).denominator == 1
    assert abs(near - exact) <= unit / 2
    assert np.sign(kept) == np.sign(single)


@pytest.fixture(scope="module")
def digits() -> xr.Dataset:
    """Trajectories as the study of digits has them, guided too: of 56 partitions, with distances and predictions."""
    model = sp.models.digits()
    partitions = studies.recipe("digits").partitions_of(model.labels)
    time = sp.schedules.edm_grid(24, 0.02, 80.0)
    return sp.sample(
        model, schedule=sp.schedules.VE(), time=time, samples=8, partitions=partitions,
        guidance=[1.0, 2.0], record=sp.Record(time[::4]), progress=False,
    )  # fmt: skip


def test_entropies_and_rates_change_by_less_than_a_ten_thousandth_bit(digits: xr.Dataset) -> None:
    small = compact(digits)
    for partitions in (None, ["4|9", "1,2,3|7,8"]):
        options = {"estimator": ("path", "cross_entropy", "denoiser_gap"), "replicates": 50, "progress": False}
        before, after = (sp.entropy(runs, partitions, **options) for runs in (digits, small))
        for name in ("entropy", "entropy_rate"):
            change = np.abs(after[name] - before[name])
            # the surprisal of a guided driver has no bound: its rounding is in proportion to it
            assert float((change / np.maximum(np.abs(before[name]), 1.0)).max()) < 1e-4, name


def test_a_file_of_them_has_at_most_45_per_cent_of_the_bytes_and_opens_as_it_was(
    digits: xr.Dataset, tmp_path: Path
) -> None:
    small = compact(digits)
    plain = sp.write(digits, tmp_path / "plain.nc").stat().st_size
    path = sp.write(small, tmp_path / "small.nc")
    assert path.stat().st_size < 0.45 * plain
    with sp.open(path) as stored:
        xr.testing.assert_identical(stored.load(), small)
    sp.validate(path)
    with netCDF4.Dataset(path) as file:
        for name, row in KINDS["trajectories"].items():
            if row.bits and name in file.variables:
                assert file[name].quantization() == (row.bits, "BitRound")
                assert file[name].dtype == np.float32


def test_what_is_not_rounded_stays_and_blocks_stay_blocks(digits: xr.Dataset) -> None:
    small = compact(digits.chunk(sample=4))
    assert small["production"].chunksizes["sample"] == (4, 4)
    assert small["final"].equals(digits["final"])
    assert small["production"].compute().identical(compact(digits)["production"])
    assert small.attrs == digits.attrs
    zero = digits["class_label"] == digits["candidate"]
    assert not compact(digits)["log_likelihood"].where(zero, 0.0).any()


def test_other_datasets_are_refused() -> None:
    with pytest.raises(SpecentError, match="trajectories"):
        compact(xr.Dataset())
