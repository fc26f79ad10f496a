"""Differences of estimators as a figure: their numbers, which panels are drawn, and what was recorded."""

from __future__ import annotations

import json

import holoviews as hv
import numpy as np
import pytest
import xarray as xr

from specent.errors import SpecentError
from specent.plotting.disagreement import MOST, disagreement


def options(element: object) -> dict:
    return dict(hv.Store.lookup_options("bokeh", element, "plot").kwargs)


def test_curves_and_bands_are_the_differences(pair_profiles: xr.Dataset) -> None:
    table = disagreement(pair_profiles, partition="cat | dog", guidance="unguided", data=True)
    assert set(table.estimator) == {"path", "denoiser_gap"}
    one = pair_profiles.sel(partition="cat | dog", guidance="unguided")
    path = table[table.estimator == "path"]
    truth = one.entropy.sel(estimator="exact")
    np.testing.assert_allclose(path.entropy_difference, one.entropy.sel(estimator="path") - truth, atol=1e-12)
    # against exact profiles the interval is that of the estimator
    np.testing.assert_allclose(path.lower, one.entropy_lower.sel(estimator="path") - truth, atol=1e-12)
    figure = disagreement(pair_profiles, partition="cat | dog", guidance="unguided")
    assert sum(isinstance(part, hv.Area) for part in figure) == 2
    assert "cat | dog" in options(figure)["title"]
    assert options(figure)["ylabel"] == "H[Z | Xₜ] less exact (bit)"


def test_a_measured_and_an_exact_dataset_are_the_same_as_one_of_both(pair_profiles: xr.Dataset) -> None:
    parts = [pair_profiles.sel(estimator=["path"]), pair_profiles.sel(estimator=["exact"])]
    both = disagreement(parts, guidance="unguided", data=True)
    one = disagreement(pair_profiles.sel(estimator=["path", "exact"]), guidance="unguided", data=True)
    np.testing.assert_allclose(both.entropy_difference, one.entropy_difference)
    with pytest.raises(SpecentError, match="a measured and an exact one"):
        disagreement([parts[0], parts[0]])


def test_of_many_panels_those_that_differ_most_are_drawn(digit_profiles: xr.Dataset) -> None:
    figure = disagreement(digit_profiles)
    assert len(figure) == MOST
    assert "6 of 56" in options(figure)["title"]
    table = disagreement(digit_profiles, data=True)
    gap = abs(digit_profiles.entropy - digit_profiles.entropy.sel(estimator="exact")).isel(guidance=0)
    largest = gap.max(["estimator", "time"]).to_series().nlargest(MOST)
    assert set(table.partition) == set(largest.index)
    with pytest.raises(SpecentError, match="56 panels"):
        disagreement(digit_profiles, partition=digit_profiles.partition.values)


def test_recorded_disagreements_reach_from_one_estimator_to_the_other(pair_profiles: xr.Dataset) -> None:
    at = 20
    entry = {
        "partition": "cat | car", "guidance": "unguided", "estimators": ["path", "denoiser_gap"], "text": "apart <b>",
        "log_snr": float(pair_profiles.log_snr[at]),
    }  # fmt: skip
    marked = pair_profiles.assign_attrs(disagreements=json.dumps([entry]))
    figure = disagreement(marked, partition="cat | car", guidance="unguided")
    (mark,) = [part for part in figure if isinstance(part, hv.Segments)]
    one = pair_profiles.entropy.sel(partition="cat | car", guidance="unguided").isel(time=at)
    reach = mark.dimension_values("y1")[0] - mark.dimension_values(1)[0]
    assert reach == pytest.approx(float(one.sel(estimator="denoiser_gap") - one.sel(estimator="path")))
    other = disagreement(marked, partition="cat | dog", guidance="unguided")
    assert not [part for part in other if isinstance(part, hv.Segments)]


def test_what_cannot_be_compared_is_refused(pair_profiles: xr.Dataset) -> None:
    with pytest.raises(SpecentError, match="quantity='rate'"):
        disagreement(pair_profiles, "rate")
    with pytest.raises(SpecentError, match="'path' alone"):
        disagreement(pair_profiles.sel(estimator=["path"]))
