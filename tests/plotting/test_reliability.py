"""The figure of reliability shows the numbers of the analysis."""

from __future__ import annotations

import holoviews as hv
import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent.errors import SpecentError
from specent.plotting.reliability import reliability
from specent.plotting.sheets import print_settings, sheet


@pytest.fixture(scope="module")
def runs() -> xr.Dataset:
    return sp.archive.example().load()


def test_points_whiskers_and_counts_are_those_of_the_analysis(runs: xr.Dataset) -> None:
    judged = sp.analysis.reliability(runs, ["cat | dog", "full"], bins=5)
    for source in (runs, judged):
        options = {} if source is judged else {"partition": ["cat | dog", "full"], "bins": 5}
        top, bottom = reliability(source, **options)
        one = judged.sel(guidance="unguided", partition="full")
        dots = [part for part in top if isinstance(part, hv.Scatter)][1]
        np.testing.assert_allclose(dots.dimension_values("stated"), one.stated)
        np.testing.assert_allclose(dots.dimension_values("observed"), one.observed)
        bars = [part for part in top if isinstance(part, hv.Segments)][1]
        np.testing.assert_allclose(bars.dimension_values("y0"), one.observed_lower)
        np.testing.assert_allclose(bars.dimension_values("y1"), one.observed_upper)
        boxes = list(bottom)[1]
        np.testing.assert_array_equal(boxes.dimension_values("number"), one.judgements)


def test_selected_levels_have_a_column_each(runs: xr.Dataset) -> None:
    figure = reliability(runs, "cat | dog", guidance=["unguided", "w=2"], log_snr=[-3.0, 0.0])
    assert len(figure) == 8
    table = reliability(runs, "cat | dog", log_snr=[-3.0], bins=4, data=True)
    # of two sides one is judged, once per trajectory at one level
    assert table.judgements.sum() == 120
    assert table.log_snr.unique() == pytest.approx(float(runs.log_snr[abs(runs.log_snr + 3).argmin("time")]))
    assert (table.edge_lower <= table.stated).all()
    assert (table.stated <= table.edge_upper).all()
    with pytest.raises(SpecentError, match="8 columns"):
        reliability(runs, "cat | dog", log_snr=[-8, -7, -6, -5, -4, -3, -2, -1])
    with pytest.raises(SpecentError, match="w=9"):
        reliability(runs, "cat | dog", guidance="w=9")


def test_a_print_is_no_higher_for_more_judgements(runs: xr.Dataset) -> None:
    judged = sp.analysis.reliability(runs, "cat | dog", bins=5)
    heights = []
    for factor in (1, 1000):
        many = judged.assign(judgements=factor * judged.judgements)
        with print_settings():
            heights.append(sheet(reliability(many), 360.0).get_figheight())
    # the marks of the longer axis are 1, 100, 10 000, of which the last is a number, too
    assert heights[1] == pytest.approx(heights[0], rel=0.05)
