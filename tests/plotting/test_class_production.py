"""Production class by class: medians and quartiles of the dataset, and how they go with the differences."""

from __future__ import annotations

import holoviews as hv
import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent.errors import SpecentError
from specent.plotting.class_production import class_production
from specent.plotting.guidance_effect import guidance_effect

SIDES = ["cat | rest", "dog | rest", "car | rest"]


@pytest.fixture(scope="module")
def profiles() -> xr.Dataset:
    return sp.entropy(sp.archive.example(), ["full", *SIDES], ("path", "cross_entropy"))


def test_medians_and_quartiles_are_those_over_the_classes(profiles: xr.Dataset) -> None:
    table = class_production(profiles, data=True)
    assert table.guidance.unique().tolist() == ["unguided", "w=2"]
    assert set(table.classes) == {3}
    for name, rows in table.groupby("guidance"):
        own = np.sort(profiles.entropy_rate.sel(guidance=name, estimator="path", partition=SIDES).values, axis=0)
        # of three sorted numbers the second is the median, and the quartiles lie half way to it
        np.testing.assert_allclose(rows["median"], own[1])
        np.testing.assert_allclose(rows.lower_quartile, 0.5 * (own[0] + own[1]))
        np.testing.assert_allclose(rows.upper_quartile, 0.5 * (own[1] + own[2]))
    other = class_production(profiles, estimator="cross_entropy", partition=SIDES[:2], data=True)
    assert set(other.classes) == {2}


def test_the_figure_names_settings_beside_their_medians_and_marks_where_they_guide(profiles: xr.Dataset) -> None:
    figure = class_production(profiles)
    assert sum(isinstance(part, hv.Area) for part in figure) == 2
    (bar,) = [part for part in figure if isinstance(part, hv.Segments)]
    assert bar.dimension_values("guidance").tolist() == ["w=2"]
    options = hv.Store.lookup_options("bokeh", figure, "plot").kwargs
    assert "quartiles over 3 classes" in options["title"]
    assert {text for hook in options["hooks"] for text in getattr(hook, "texts", ())} == {"unguided", "w=2"}


def test_where_all_classes_are_alike_the_medians_differ_by_the_median_of_the_differences(profiles: xr.Dataset) -> None:
    alike = profiles.sel(partition=SIDES).copy()
    for name in ("entropy_rate", "entropy_rate_replicate"):
        alike[name] = profiles[name].sel(partition=SIDES[0], drop=True).expand_dims(partition=SIDES, axis=-2)
    table = class_production(alike, data=True).pivot(index="log_snr", columns="guidance", values="median")
    effect = guidance_effect(sp.analysis.differences(alike), estimator="path")
    curve = next(part for part in effect if type(part) is hv.Curve)
    gap = (table["w=2"] - table["unguided"]).sort_index()
    order = np.argsort(curve.dimension_values("log_snr"))
    np.testing.assert_allclose(curve.dimension_values("entropy_rate")[order], gap, atol=1e-12)


def test_trajectories_are_analysed_first(profiles: xr.Dataset) -> None:
    table = class_production(sp.archive.example(), partition=SIDES, data=True)
    np.testing.assert_allclose(table["median"], class_production(profiles, data=True)["median"])


def test_fewer_than_two_classes_are_refused(profiles: xr.Dataset) -> None:
    with pytest.raises(SpecentError, match="no two partitions of one class each"):
        class_production(profiles.sel(partition=["full", "cat | rest"]))
    with pytest.raises(SpecentError, match="select one run"):
        class_production(sp.compare({"a": profiles, "b": profiles}))
