"""U-turns as a figure: what is counted, predicted and exact, where each stands, and what a page says of them."""

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
from specent.plotting import style
from specent.plotting.labels import DirectLabels, StyleLegend
from specent.plotting.results import result
from specent.schema import KINDS

LEVELS = (4.0, 8.0, 16.0)
MOVERS = ("null", "mixture", "class")


def options(figure: Any) -> dict[str, Any]:
    return dict(hv.Store.lookup_options("bokeh", figure, "plot").kwargs)


def look(element: Any) -> dict[str, Any]:
    return dict(hv.Store.lookup_options("bokeh", element, "style").kwargs)


def parts(figure: Any, kind: type) -> list[Any]:
    return [part for part in figure if type(part) is kind]


@pytest.fixture(scope="module")
def mix() -> sp.exact.GaussianMixture:
    return sp.exact.GaussianMixture([[-8.0], [8.0]], labels=["left", "right"])


@pytest.fixture(scope="module")
def turned(mix: sp.exact.GaussianMixture) -> xr.Dataset:
    return sp.u_turn(
        sp.models.mixture(mix), schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(32), levels=LEVELS, samples=20,
        mover=MOVERS, steps=(4, 8), progress=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def exact(mix: sp.exact.GaussianMixture) -> xr.Dataset:
    return sp.exact.u_turns(mix, sp.schedules.VE(), np.geomspace(1.0, 64.0, 13))


def by_quadrature(level: float) -> float:
    """E sum_z P(z|x)^2 of two components at -8 and 8 with variance 1, by adaptive quadrature."""
    variance = 1 + level**2
    density = stats.norm(8.0, np.sqrt(variance)).pdf

    def integrand(x: float) -> float:
        right = 1 / (1 + np.exp(-2 * 8.0 * x / variance))
        return float((right**2 + (1 - right) ** 2) * density(x))

    ends = 8.0 - 12 * np.sqrt(variance), 8.0 + 12 * np.sqrt(variance)
    return float(integrate.quad(integrand, *ends, epsabs=1e-12, limit=200)[0])


def test_the_table_holds_what_quadrature_gives(turned: xr.Dataset, exact: xr.Dataset) -> None:
    table = sp.plot.returns([turned, exact], data=True)
    known = table[table["mover"] == "exact"]
    np.testing.assert_allclose(known["phi"], [by_quadrature(level) for level in known["sigma"]], atol=1e-9)
    np.testing.assert_allclose(known["sigma"], np.geomspace(1.0, 64.0, 13))
    # 40 trajectories: a standard error of the mean of squares of at most 0.25 / sqrt(40), of which four
    predicted = table[table["mover"] == "posterior"]
    np.testing.assert_allclose(predicted["phi"], [by_quadrature(level) for level in LEVELS], atol=0.16)
    for mover in MOVERS:
        own = table[table["mover"] == mover]
        np.testing.assert_array_equal(own["phi"], turned["phi"].sel(mover=mover))
        np.testing.assert_array_equal(own["lower"], turned["phi_lower"].sel(mover=mover))
    assert table.columns.tolist() == ["mover", "sigma", "phi", "lower", "upper"]


@pytest.mark.parametrize("axis", ["sigma", "log_snr", "time"])
def test_counts_stand_side_by_side_in_the_order_of_the_movers(axis: str, turned: xr.Dataset) -> None:
    figure = sp.plot.returns(turned, axis)
    dots = [one for one in parts(figure, hv.Scatter) if one.label]
    assert [one.label for one in dots] == ["null condition", "mixture of classes", "drawn class"]
    at = np.array([one.dimension_values(0) for one in dots])
    # on axes that run down from left to right the larger number is further left
    across = at if axis == "log_snr" else -np.log(at)
    assert (np.diff(across, axis=0) > 0).all()
    level = np.array(LEVELS)
    # these are drawn in the order of ascending times
    np.testing.assert_allclose(at[1], level if axis != "log_snr" else -2 * np.log(level), rtol=1e-12, atol=1e-12)
    # the hover names the noise level, not where the dot stands
    np.testing.assert_allclose(dots[0].dimension_values("level"), at[1], atol=1e-12)
    low, high = options(figure)["xlim"]
    assert low < at.min() < at.max() < high
    assert bool(options(figure).get("invert_xaxis")) == (axis != "log_snr")


def test_a_guess_is_right_as_often_as_two_draws_from_the_prior_agree() -> None:
    mix = sp.exact.GaussianMixture([[-8.0], [8.0]], weights=[0.2, 0.8], labels=["left", "right"])
    turned = sp.exact.u_turns(mix, sp.schedules.VE(), [1.0, 8.0, 64.0])
    (line,) = parts(sp.plot.returns(turned), hv.HLine)
    assert line.data == pytest.approx(0.04 + 0.64)
    assert options(sp.plot.returns(turned))["ylim"][0] < 0.68


def test_what_is_exact_is_thin_and_dashed_beside_counts_and_plain_alone(turned: xr.Dataset, exact: xr.Dataset) -> None:
    (beside,) = [one for one in sp.plot.returns([turned, exact]) if one.label == "exact"]
    (alone,) = [one for one in sp.plot.returns(exact) if one.label == "exact"]
    assert (look(beside)["line_dash"], look(beside)["line_width"]) == (style.EXACT_DASH, 1.2)
    assert look(alone)["line_dash"] == "solid"
    names = [hook for hook in options(sp.plot.returns([turned, exact]))["hooks"] if isinstance(hook, StyleLegend)]
    assert [text for text, _, _ in names[0].entries] == ["counted", "the posterior predicts", "exact", "a guess"]


def test_a_mover_has_one_colour_whatever_else_is_drawn(turned: xr.Dataset) -> None:
    def colours(figure: Any) -> dict[str, str]:
        return {one.label: look(one)["color"] for one in parts(figure, hv.Scatter) if one.label}

    every = colours(sp.plot.returns(turned))
    assert len(set(every.values())) == 3
    assert colours(sp.plot.returns(turned, mover="class")).items() <= every.items()


@pytest.mark.filterwarnings("ignore::specent.errors.CalibrationWarning")
def test_runs_have_a_panel_each_and_of_one_mover_a_colour_each(turned: xr.Dataset) -> None:
    both = sp.compare({"first": turned, "second": turned})
    assert len(sp.plot.returns(both)) == 2
    single = sp.plot.returns(both, mover="null")
    dots = [one for one in parts(single, hv.Scatter) if one.label]
    assert [one.label for one in dots] == ["first, null condition", "second, null condition"]
    assert look(dots[0])["color"] != look(dots[1])["color"]
    names = next(hook for hook in options(single)["hooks"] if isinstance(hook, DirectLabels))
    assert sorted(names.texts) == ["first", "second"]
    table = sp.plot.returns(both, run="second", data=True)
    assert set(table["run"]) == {"second"}


def test_the_title_names_who_does_not_do_as_the_posterior_says(turned: xr.Dataset) -> None:
    plain = turned.assign(
        disagreement=turned["disagreement"] * 0, disagreement_standard_error=turned["phi_standard_error"] * 0 + 0.01,
        step_error=turned["step_error"] * 0,
    )  # fmt: skip
    assert "standard errors" not in options(sp.plot.returns(plain))["title"]
    # five standard errors, at one of the levels
    off = plain["disagreement"].copy(deep=True)
    off.loc[{"mover": "null", "time": 8.0}] = -0.05
    title = options(sp.plot.returns(plain.assign(disagreement=off)))["title"]
    assert " ".join(title.split()).endswith("posterior predicts: null condition")


def test_a_single_level_has_its_names_under_the_dots(turned: xr.Dataset) -> None:
    figure = sp.plot.returns(turned.isel(time=[1]))
    names = next(hook for hook in options(figure)["hooks"] if isinstance(hook, DirectLabels))
    assert names.texts == ("null condition", "mixture of classes", "drawn class")
    dots = [one for one in parts(figure, hv.Scatter) if one.label]
    assert names.x == tuple(float(one.dimension_values(0)[0]) for one in dots)
    assert not [one for one in parts(figure, hv.Curve) if not one.label]


def test_the_basin_of_a_state_is_called_by_its_name(mix: sp.exact.GaussianMixture) -> None:
    turned = sp.u_turn(
        sp.models.mixture(mix), schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(32), levels=[8.0], samples=10,
        steps=8, continuation="basin", progress=False,
    )  # fmt: skip
    assert sp.plot.returns(turned, data=True).columns.tolist() == ["mover", "sigma", "basin", "lower", "upper"]
    assert "basin" in options(sp.plot.returns(turned))["title"]


@pytest.mark.filterwarnings("ignore::specent.errors.CalibrationWarning")
def test_both_backends_draw_it(turned: xr.Dataset, exact: xr.Dataset, tmp_path: Path) -> None:
    both = sp.compare({"first": turned, "second": turned})
    for number, given in enumerate(([turned, exact], both, turned.isel(time=[0]))):
        figure = sp.plot.returns(given)
        hv.render(figure, backend="bokeh")
        assert sp.plot.save(figure, tmp_path / f"{number}.pdf").read_bytes()[:5] == b"%PDF-"


def test_a_page_draws_u_turns_beside_the_exact_ones(turned: xr.Dataset, exact: xr.Dataset, tmp_path: Path) -> None:
    text = sp.plot.page([turned, exact], tmp_path / "page.html", progress=False).read_text()
    assert text.count('<figure class="returns">') == 1
    # with the exact ones of other sides it has a figure for each
    other = sp.exact.u_turns(
        sp.exact.GaussianMixture([[-1.0], [1.0]], labels=["a", "b"]), sp.schedules.VE(), [1.0, 2.0]
    )
    text = sp.plot.page([turned, other], tmp_path / "two.html", progress=False).read_text()
    assert text.count('<figure class="returns">') == 2


def test_the_sentence_of_a_page_is_of_the_least_certain_level(turned: xr.Dataset, exact: xr.Dataset) -> None:
    datasets = {kind: [] for kind in KINDS}
    alone = result({**datasets, "interventions": [exact.isel(time=slice(3, 9, 2))]})
    # halfway between a guess and certainty is 0.75, which 8 is the closest to of 2.83, 5.66, 8 and 16
    near = min(exact["sigma"].values[3:9:2], key=lambda level: abs(by_quadrature(level) - 0.75))
    assert alone == f"At noise level {near:.3g}, {by_quadrature(near):.3f} of the continuations return."
    text = result({**datasets, "interventions": [turned, exact]})
    counted = turned["phi"].sel(mover="null").values
    at = int(np.argmin(np.abs(counted - 0.75)))
    assert text.startswith(f"At noise level {LEVELS[at]:g}, {counted[at]:.3f} [")
    assert f"the posterior predicts {float(turned['posterior_phi'][at]):.3f} [" in text
    assert text.count("noise level") == 1


def test_what_does_not_belong_together_is_refused(turned: xr.Dataset, exact: xr.Dataset, one_curve: xr.Dataset) -> None:
    other = sp.exact.u_turns(sp.exact.GaussianMixture([[-1.0], [1.0]], labels=["a", "b"]), sp.schedules.VE(), [1.0])
    with pytest.raises(SpecentError, match=r"turns: .*profiles"):
        sp.plot.returns(one_curve)
    with pytest.raises(SpecentError, match="2 measured and 0 exact"):
        sp.plot.returns([turned, turned])
    with pytest.raises(SpecentError, match="different sides"):
        sp.plot.returns([turned, other])
    with pytest.raises(SpecentError, match="mover: 'nobody' is not in the dataset"):
        sp.plot.returns(turned, mover="nobody")
    with pytest.raises(SpecentError, match="turns is a str"):
        sp.plot.returns(["turns.nc"])
    with pytest.raises(SpecentError, match="nothing to draw"):
        sp.plot.returns(exact.assign(phi=exact["phi"] * np.nan))
