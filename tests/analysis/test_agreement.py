"""Estimators that part on unguided runs are named, with the cause; numbers that no entropy can be are marked."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent.analysis import agreement
from specent.errors import CalibrationWarning

PAIR = sp.exact.GaussianMixture([[-4.0], [4.0]], labels=["a", "b"])


def runs_of(time: object, samples: int = 400) -> xr.Dataset:
    with warnings.catch_warnings():
        # that such grids are bad is what the analysis is to say
        warnings.simplefilter("ignore", sp.SpecentWarning)
        return sp.sample(
            sp.models.mixture(PAIR), schedule=sp.schedules.VE(), time=time, samples=samples, partitions="a|b",
            progress=False,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("time", "cause"),
    [
        ([0.05, 80.0], "take more steps"),
        (np.geomspace(1e-12, 1e12, 24), "the grid is too wide or too coarse"),
    ],
)
def test_coarse_and_wide_grids_are_told_from_each_other(time: object, cause: str, tmp_path: Path) -> None:
    runs = runs_of(time)
    with pytest.warns(CalibrationWarning, match=rf"path and denoiser_gap differ by .* bit .*{cause}"):
        profiles = sp.entropy(runs, estimator=("path", "denoiser_gap"), replicates=50)
    (entry,) = json.loads(profiles.attrs["disagreements"])
    assert entry["estimators"] == ["path", "denoiser_gap"]
    gap = abs(profiles.entropy.sel(estimator="path") - profiles.entropy.sel(estimator="denoiser_gap"))
    assert entry["gap"] == pytest.approx(gap.max().item(), abs=1e-12)
    assert cause in entry["text"]
    again = sp.open(sp.write(profiles, tmp_path / "profiles.nc"))
    assert again.attrs["disagreements"] == profiles.attrs["disagreements"]


def test_a_fine_grid_is_silent() -> None:
    runs = runs_of(np.geomspace(0.05, 200, 200))
    profiles = sp.entropy(runs, replicates=50)
    assert json.loads(profiles.attrs["disagreements"]) == []
    assert "impossible" not in profiles


def test_denoisers_of_another_process_are_the_model() -> None:
    # the likelihood of the path stays as it was; the recorded production is that of denoisers three times too far apart
    runs = runs_of(np.geomspace(0.05, 200, 200))
    wrong = runs.assign(production=(9 * runs.production).assign_attrs(runs.production.attrs))
    with pytest.warns(CalibrationWarning, match=r"steps are fine there .* so the model explains it"):
        profiles = sp.entropy(wrong, estimator=("path", "denoiser_gap"), replicates=50)
    # 9 bits are taken from 1: below zero by far more than the interval, at the clean end
    outside = profiles.impossible.sel(estimator="denoiser_gap").squeeze()
    assert outside.isel(time=0) == 1
    assert outside.isel(time=-1) == 0
    upper = profiles.entropy_upper.sel(estimator="denoiser_gap").squeeze()
    np.testing.assert_array_equal(outside.values == 1, upper.values < -1e-6)
    assert not profiles.impossible.sel(estimator="path").any()


def test_guided_runs_need_not_agree() -> None:
    runs = runs_of(np.geomspace(0.05, 200, 64))
    shifted = runs.assign_coords(guidance_scale=("guidance", [2.0], runs.guidance_scale.attrs))
    wrong = shifted.assign(production=(9 * runs.production).assign_attrs(runs.production.attrs))
    profiles = sp.entropy(wrong, estimator=("path", "denoiser_gap"), replicates=50)
    assert json.loads(profiles.attrs["disagreements"]) == []


def test_sampling_noise_is_no_disagreement() -> None:
    # two estimates of one entropy, apart by noise that their intervals state: 1000 sets of 20 partitions and 30 times
    rng = np.random.default_rng(0)
    time = np.geomspace(0.1, 100, 30)
    alarms = 0
    for _ in range(200):
        entropy = 0.5 + 0.06 * rng.standard_normal((2, 1, 20, 30))
        half = 1.959964 * 0.06
        profiles = xr.Dataset(
            {
                "entropy": (("estimator", "guidance", "partition", "time"), entropy),
                "entropy_lower": (("estimator", "guidance", "partition", "time"), entropy - half),
                "entropy_upper": (("estimator", "guidance", "partition", "time"), entropy + half),
                "mutual_information": (("estimator", "guidance", "partition", "time"), 1 - entropy),
            },
            {
                "estimator": ["one", "two"], "guidance": ["unguided"], "guidance_scale": ("guidance", [1.0]),
                "partition": [str(i) for i in range(20)], "log_snr": ("time", -2 * np.log(time)),
            },
            {"confidence": 0.95},
        )  # fmt: skip
        alarms += bool(agreement.diverging_pairs(profiles, ["one", "two"])[1])
    # at most one in ten thousand by construction: more than one in two hundred has a chance of 2e-4
    assert alarms <= 1


@pytest.mark.parametrize("scale", [1e15])
def test_means_beyond_what_a_state_can_resolve_are_marked(scale: float) -> None:
    far = sp.exact.GaussianMixture([[-scale], [scale]], labels=["a", "b"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sp.SpecentWarning)
        runs = sp.sample(
            sp.models.mixture(far), schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(32), samples=20,
            partitions="a|b", progress=False,
        )  # fmt: skip
    with pytest.warns(CalibrationWarning, match="path and denoiser_gap differ"):
        profiles = sp.entropy(runs, estimator=("path", "denoiser_gap"), replicates=50)
    assert profiles.impossible.sel(estimator="denoiser_gap").any()
