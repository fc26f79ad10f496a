"""Definitions of speciation as a figure: rows at the right noise levels, what is exact beside them, tables compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import holoviews as hv
import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent.errors import SpecentError
from specent.plotting import style

VE = sp.schedules.VE()
TIME = sp.schedules.edm_grid(80, 0.5, 100.0)


def options(figure: Any) -> dict[str, Any]:
    return dict(hv.Store.lookup_options("bokeh", figure, "plot").kwargs)


def parts(figure: Any, kind: type) -> list[Any]:
    return [part for part in figure if type(part) is kind]


def table_of(half: float) -> xr.Dataset:
    mix = sp.exact.GaussianMixture([[-half], [half]], labels=["left", "right"])
    turns = sp.exact.u_turns(mix, VE, TIME, "full")
    return sp.analysis.definitions(sp.exact.profiles(mix, VE, TIME, "full"), turns)


@pytest.fixture(scope="module")
def exact() -> xr.Dataset:
    return table_of(8.0)


@pytest.fixture(scope="module")
def measured(exact: xr.Dataset) -> xr.Dataset:
    """The exact levels moved by a tenth, with an interval of a fifth to either side, and one that does not apply."""
    made = exact.assign(
        noise_level=1.1 * exact["noise_level"], noise_level_lower=0.9 * exact["noise_level"],
        noise_level_upper=1.3 * exact["noise_level"],
    )  # fmt: skip
    there = made["definition"] != "bifurcation"
    return made.assign({name: made[name].where(there) for name in made.data_vars if made[name].dtype.kind == "f"})


def test_levels_are_those_of_closed_forms_and_stand_in_the_order_of_the_noise(exact: xr.Dataset) -> None:
    rows = sp.plot.definitions(exact, data=True).set_index("definition")
    # the variance of the data along their axis is that of the means and of each component
    assert rows.loc["spectral", "sigma"] == pytest.approx(np.sqrt(64 + 1), rel=1e-12)
    half = 8 / float(sp.exact.two_component_entropy_inverse(0.5))
    # read off a curve with 80 points
    assert rows.loc["half entropy", "sigma"] == pytest.approx(np.sqrt(half**2 - 1), rel=1e-4)
    assert (np.diff(rows["sigma"]) <= 0).all()
    assert rows.loc["half entropy", "source"] == "arXiv 2506.10433"
    # generation runs to the right whatever the axis is
    over = sp.plot.definitions(exact, axis="log_snr", data=True).set_index("definition")
    np.testing.assert_allclose(over["log_snr"], -2 * np.log(rows["sigma"].loc[over.index]), rtol=1e-12)
    assert (np.diff(over["log_snr"]) >= 0).all()


def test_what_is_exact_stands_beside_what_was_measured(measured: xr.Dataset, exact: xr.Dataset) -> None:
    rows = sp.plot.definitions(measured, exact, data=True)
    np.testing.assert_allclose(rows["sigma"] / rows["exact"], 1.1, rtol=1e-12)
    np.testing.assert_allclose(rows["upper"] / rows["exact"], 1.3, rtol=1e-12)
    # what does not apply has no row
    assert "bifurcation" not in set(rows["definition"])
    over = sp.plot.definitions(measured, exact, "log_snr", data=True)
    assert (over["lower"] < over["log_snr"]).all()
    assert (over["log_snr"] < over["upper"]).all()
    figure = sp.plot.definitions(measured, exact)
    whiskers, marks = parts(figure, hv.Segments)
    np.testing.assert_allclose(marks.dimension_values(0), rows["exact"])
    np.testing.assert_allclose(whiskers.dimension_values(0), rows["lower"])
    (dots,) = parts(figure, hv.Scatter)
    # a row each from top to bottom, named in the words of the axes
    np.testing.assert_allclose(dots.dimension_values(1), -np.arange(len(rows)), atol=1e-12)
    names = [text for _, text in options(figure)["yticks"]]
    assert len(names) == len(rows)
    assert f"peak along {style.AXIS_NAMES['log_snr']}" in names
    assert "exact" not in options(sp.plot.definitions(measured))["title"]


def test_tables_along_a_further_dimension_have_a_colour_each(exact: xr.Dataset) -> None:
    both = xr.concat([table_of(4.0), exact], xr.DataArray([2, 10], dims="classes", name="classes"))
    rows = sp.plot.definitions(both, exact.expand_dims(classes=[10]), data=True)
    spectral = rows[rows["definition"] == "spectral"].set_index("group")
    np.testing.assert_allclose(spectral["sigma"].loc[["2", "10"]], np.sqrt([17.0, 65.0]), rtol=1e-12)
    # the exact table has one of them only
    assert np.isnan(spectral.loc["2", "exact"])
    assert spectral.loc["10", "exact"] == pytest.approx(np.sqrt(65.0))
    figure = sp.plot.definitions(both)
    dots = parts(figure, hv.Scatter)
    assert [one.label for one in dots] == ["classes 2", "classes 10"]
    colours = [hv.Store.lookup_options("bokeh", one, "style").kwargs["color"] for one in dots]
    assert colours == style.colours(2, ordered=True)


def test_both_backends_draw_it(measured: xr.Dataset, exact: xr.Dataset, tmp_path: Path) -> None:
    both = xr.concat([exact, measured], xr.DataArray(["true", "seen"], dims="run", name="run"))
    for number, figure in enumerate(
        (sp.plot.definitions(measured, exact), sp.plot.definitions(both, axis="log_sigma"))
    ):
        hv.render(figure, backend="bokeh")
        assert sp.plot.save(figure, tmp_path / f"{number}.pdf").read_bytes()[:5] == b"%PDF-"


def test_what_is_no_table_of_definitions_is_refused(exact: xr.Dataset, one_curve: xr.Dataset) -> None:
    with pytest.raises(SpecentError, match=r"table is of kind profiles; the result of specent\.analysis\.definitions"):
        sp.plot.definitions(one_curve)
    with pytest.raises(SpecentError, match="exact is a str"):
        sp.plot.definitions(exact, "exact.nc")
    with pytest.raises(SpecentError, match="no variable 'noise_level_lower'"):
        sp.plot.definitions(exact.drop_vars("noise_level_lower"))
    with pytest.raises(SpecentError, match="definition: 'half' is not in the dataset"):
        sp.plot.definitions(exact, definition="half")
    with pytest.raises(SpecentError, match="axis='time'"):
        sp.plot.definitions(exact, axis="time")
    with pytest.raises(SpecentError, match="nothing to draw"):
        sp.plot.definitions(exact.assign(noise_level=exact["noise_level"] * np.nan))
    with pytest.raises(SpecentError, match="select an entry of all but one"):
        sp.plot.definitions(exact.expand_dims(run=["a"], classes=[2]))


def test_sources_that_lost_their_dimension_are_left_out() -> None:
    mix = sp.exact.GaussianMixture([[-8.0], [8.0]])
    profile = sp.exact.profiles(mix, sp.schedules.VE(), np.geomspace(1.0, 100.0, 60), "full")
    whole = sp.analysis.definitions(profile)
    table = sp.plot.definitions(whole.assign(source=whole["source"][0]), data=True)
    assert set(table["source"]) == {""}
    assert len(table) == int(np.isfinite(whole["noise_level"]).sum())
