"""Who is taken for whom, as heat maps: which cell is which, at which noise level, and with what interval."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import holoviews as hv
import numpy as np
import pytest
import xarray as xr
from scipy import integrate, stats

import specent as sp
from specent.errors import SpecentError


def options(figure: Any) -> dict[str, Any]:
    return dict(hv.Store.lookup_options("bokeh", figure, "plot").kwargs)


@pytest.fixture(scope="module")
def exact() -> xr.Dataset:
    mix = sp.exact.GaussianMixture([[-8.0], [8.0]], weights=[0.2, 0.8], labels=["left", "right"])
    return sp.exact.u_turns(mix, sp.schedules.VE(), [2.0, 8.0, 32.0])


def test_a_cell_is_the_chance_to_end_there_given_the_origin(exact: xr.Dataset) -> None:
    table = sp.plot.transition_matrix(exact, 8.5, data=True).set_index(["side", "end_side"])["kernel"]
    variance = 1 + 8.0**2

    def taken_for_right(x: float) -> float:
        odds = 0.8 / 0.2 * np.exp(2 * 8.0 * x / variance)
        return float(odds / (1 + odds) * stats.norm(-8.0, np.sqrt(variance)).pdf(x))

    expected = integrate.quad(taken_for_right, -120, 120, epsabs=1e-12, limit=200)[0]
    assert table["left", "right"] == pytest.approx(expected, abs=1e-9)
    np.testing.assert_allclose(table.groupby("side").sum(), 1.0, rtol=1e-12)
    figure = sp.plot.transition_matrix(exact, 8.5)
    heat = next(part for part in figure if isinstance(part, hv.HeatMap))
    drawn = heat.dframe().set_index(["other_label", "label"])["half"]
    # a row is an origin and a column an end, and the rarer side is taken for the other more often
    assert drawn["left", "right"] == pytest.approx(expected, abs=1e-9)
    assert drawn["right", "left"] < drawn["left", "right"]
    assert (options(figure)["xlabel"], options(figure)["ylabel"]) == ("side of the end", "side of the origin")
    assert "noise level 8" in options(figure)["title"]


def test_without_a_level_it_is_the_least_certain_one(exact: xr.Dataset) -> None:
    # certain at 2, and a guess at 32, so that the middle one is nearest to halfway
    assert "noise level 8" in options(sp.plot.transition_matrix(exact))["title"]


def test_movers_have_a_matrix_each_with_intervals(tmp_path: Path) -> None:
    mix = sp.exact.GaussianMixture([[-8.0], [8.0]], labels=["left", "right"])
    turned = sp.u_turn(
        sp.models.mixture(mix), schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(32), levels=[8.0], samples=20,
        mover=("null", "class"), steps=8, progress=False,
    )  # fmt: skip
    figure = sp.plot.transition_matrix(turned)
    assert len(figure) == 2
    table = sp.plot.transition_matrix(turned, data=True)
    # normal quantile of 95 %
    half = 1.959964 * turned["kernel_standard_error"].isel(time=0).values.ravel()
    np.testing.assert_allclose(table["upper"] - table["kernel"], np.minimum(half, 1 - table["kernel"]), atol=1e-6)
    hv.render(figure, backend="bokeh")
    assert sp.plot.save(figure, tmp_path / "matrix.pdf").read_bytes()[:5] == b"%PDF-"


def test_what_has_no_kernel_is_refused(exact: xr.Dataset, one_curve: xr.Dataset) -> None:
    with pytest.raises(SpecentError, match=r"turns: .*profiles"):
        sp.plot.transition_matrix(one_curve)
    with pytest.raises(SpecentError, match="'kernel' is missing"):
        sp.plot.transition_matrix(exact.drop_vars("kernel"))
    with pytest.raises(SpecentError, match="level="):
        sp.plot.transition_matrix(exact, -1.0)
    with pytest.raises(SpecentError, match="lost sides at one end"):
        sp.plot.transition_matrix(exact.isel(side=[0]))
