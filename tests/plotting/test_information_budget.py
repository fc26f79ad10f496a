"""The information budget as a figure: what is stacked on what, what it adds up to, and where names stand."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import holoviews as hv
import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent.errors import SpecentError
from specent.plotting.areas import Area, AreaNames, place

COARSE = sp.Partition.groups({"left": ["a", "b"], "right": ["c", "d"]})
LEVELS = [COARSE, sp.Partition.full(["a", "b", "c", "d"])]


def options(figure: Any) -> dict[str, Any]:
    return dict(hv.Store.lookup_options("bokeh", figure, "plot").kwargs)


def parts(figure: Any, kind: type) -> list[Any]:
    return [part for part in figure if type(part) is kind]


@pytest.fixture(scope="module")
def mix() -> sp.exact.GaussianMixture:
    return sp.exact.GaussianMixture([[-12.0], [-8.0], [8.0], [10.0]], 0.25, labels=["a", "b", "c", "d"])


@pytest.fixture(scope="module")
def exact(mix: sp.exact.GaussianMixture) -> xr.Dataset:
    wanted = [*LEVELS, *(one.partition for one in sp.analysis.splits(LEVELS))]
    time = np.geomspace(0.2, 60.0, 60)
    return sp.chain(sp.exact.profiles(mix, sp.schedules.VE(), time, list(dict.fromkeys(wanted))), LEVELS)


@pytest.fixture(scope="module")
def sampled(mix: sp.exact.GaussianMixture) -> xr.Dataset:
    runs = sp.sample(
        sp.models.mixture(mix), schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(24, 0.2, 60.0), samples=20,
        partitions="full", seed=0, progress=False,
    )  # fmt: skip
    return sp.chain(runs, LEVELS, estimator=("path", "denoiser_gap"))


def test_the_area_of_a_split_is_its_share_of_the_bits(exact: xr.Dataset) -> None:
    table = sp.plot.budget(exact, data=True)
    assert table["split"].unique().tolist() == [
        "left | right",
        "left: a | b",
        "right: c | d",
        "sum",
        "partition",
        "gap",
    ]
    area = {}
    for name, own in table.groupby("split"):
        own = own.sort_values("log_snr")
        area[name] = np.trapezoid(own["entropy_rate"], own["log_snr"])
    # the halves: one bit, all of it decided at noise 0.2, and at 60 most of it open: the information of a faint signal,
    # (9.5 / 60)^2 / 2 / ln 2, is 0.018 bit
    assert area["left | right"] == pytest.approx(1.0, abs=0.03)
    # a split of two components, whose halved distance in units of their width tells their entropy
    for name, half in (("left: a | b", 2.0), ("right: c | d", 1.0)):
        known = [float(sp.exact.two_component_entropy(half / np.hypot(0.5, level))) for level in (60.0, 0.2)]
        # the trapezoidal rule on 60 points
        assert area[name] == pytest.approx(0.5 * (known[0] - known[1]), abs=1e-3)
    assert area["partition"] == pytest.approx(area["sum"], abs=1e-6)


def test_the_stack_adds_up_to_the_finest_partition(sampled: xr.Dataset) -> None:
    table = sp.plot.budget(sampled, "entropy", "sigma", estimator="path", data=True)
    wide = table.pivot(index="sigma", columns="split", values="entropy")
    splits = wide[["left | right", "left: a | b", "right: c | d"]].sum(axis=1)
    np.testing.assert_allclose(splits, wide["sum"], atol=1e-12)
    np.testing.assert_allclose(wide["partition"] - wide["sum"], wide["gap"], atol=1e-12)
    # two bits of four classes are open at the start
    assert wide["sum"].iloc[-1] == pytest.approx(2.0)
    figure = sp.plot.budget(sampled, "entropy", estimator="path")
    areas = [one for one in parts(figure, hv.Area) if one.label]
    assert [one.label for one in areas] == ["left | right", "left: a | b", "right: c | d"]
    for below, above in itertools.pairwise(areas):
        np.testing.assert_array_equal(below.dimension_values(2), above.dimension_values(1))
    assert (areas[0].dimension_values(1) == 0).all()


def test_estimators_have_a_panel_each_and_the_title_says_the_gap(sampled: xr.Dataset, exact: xr.Dataset) -> None:
    assert len(sp.plot.budget(sampled)) == 2
    gap = sampled["gap_rate"].sel(level="full", estimator="path", guidance="unguided")
    at = int(np.abs(gap).argmax("time"))
    title = options(sp.plot.budget(sampled, estimator="path"))["title"]
    assert f"{float(gap[at]):+.2g}".replace("-", "−") in title
    assert "full itself, the same number" in options(sp.plot.budget(exact))["title"]


def test_many_splits_are_summed_level_by_level() -> None:
    labels = [f"c{i:02d}" for i in range(24)]
    pairs = sp.Partition.groups({f"p{i}": labels[2 * i : 2 * i + 2] for i in range(12)})
    halves = sp.Partition.groups({"low": labels[:12], "high": labels[12:]})
    levels = [halves, pairs, sp.Partition.full(labels)]
    made = sp.analysis.splits(levels)
    assert len(made) == 15
    mix = sp.exact.GaussianMixture(np.arange(24.0)[:, None] ** 1.5, 0.01, labels=labels)
    wanted = list(dict.fromkeys([*levels, *(one.partition for one in made)]))
    profiles = sp.exact.profiles(mix, sp.schedules.VE(), np.geomspace(0.1, 300.0, 12), wanted)
    figure = sp.plot.budget(sp.chain(profiles, levels), "entropy")
    assert len([one for one in parts(figure, hv.Area) if one.label]) == 3
    table = sp.plot.budget(sp.chain(profiles, levels), "entropy", data=True)
    start = table[table["log_snr"] == table["log_snr"].min()].set_index("split")["entropy"]
    # 24 classes: log2 24 bits, of which one tells the halves, log2 6 the pairs, and one the two of a pair
    np.testing.assert_allclose(start.iloc[:3], [1.0, np.log2(6), 1.0], atol=0.01)


def box(name: str, low: float, high: float) -> Area:
    x = tuple(np.linspace(0.0, 10.0, 11).tolist())
    return Area(name, "#5790fc", x, (low,) * 11, (high,) * 11)


def test_a_name_stands_in_the_middle_of_its_area_or_nowhere() -> None:
    frame = ((0.0, 10.0), (0.0, 10.0), (200.0, 100.0))
    assert place(box("name", 2.0, 6.0), frame, (6.0, 12.0), log=False) == (pytest.approx(5.0), pytest.approx(4.0))
    assert place(box("name", 2.0, 3.0), frame, (6.0, 12.0), log=False) is None
    assert place(box("n" * 40, 2.0, 6.0), frame, (6.0, 12.0), log=False) is None
    # a triangle that rises to the right: the name stands as far right as it fits, over which the lowest height counts
    x = tuple(np.linspace(1.0, 10.0, 200).tolist())
    slope = Area("name", "#5790fc", x, (0.0,) * 200, x)
    where = place(slope, frame, (6.0, 12.0), log=False)
    assert where is not None
    half = 0.5 * (6.0 * 4 + 4) / 200 * 10
    assert where[0] == pytest.approx(10 - half, abs=0.1)
    assert where[1] == pytest.approx(0.5 * (10 - 2 * half), abs=0.1)


def test_names_that_fit_nowhere_stand_in_the_legend(exact: xr.Dataset, tmp_path: Path) -> None:
    figure = sp.plot.budget(exact)
    drawn = hv.render(figure, backend="bokeh")
    (inside,) = [one for one in drawn.renderers if one.name == "direct labels"]
    (legend,) = [one for one in drawn.below if one.name == "line styles"]
    beside = {item.label["value"] for item in legend.items} - {"full itself"}
    assert set(inside.data_source.data["text"]) | beside == {"left | right", "left: a | b", "right: c | d"}
    assert not set(inside.data_source.data["text"]) & beside
    # in a frame of no height no name fits
    names = next(hook for hook in options(figure)["hooks"] if isinstance(hook, AreaNames))
    assert set(names._placed((560.0, 5.0), (6.6, 15.0))) == {None}
    assert sp.plot.save(figure, tmp_path / "budget.pdf", width=40).read_bytes()[:5] == b"%PDF-"
    assert sp.plot.save(sp.plot.budget(exact, "entropy"), tmp_path / "open.svg").stat().st_size > 1000


def test_what_is_no_budget_is_refused(exact: xr.Dataset, sampled: xr.Dataset, one_curve: xr.Dataset) -> None:
    with pytest.raises(SpecentError, match=r"chain is of kind profiles; the result of specent\.chain is needed"):
        sp.plot.budget(one_curve)
    with pytest.raises(SpecentError, match="chain is a str"):
        sp.plot.budget("budget.nc")
    with pytest.raises(SpecentError, match="no variable 'contribution_rate'"):
        sp.plot.budget(exact.drop_vars("contribution_rate"))
    with pytest.raises(SpecentError, match="'contribution_rate' has lost its dimension 'split'"):
        sp.plot.budget(exact.assign(contribution_rate=exact.contribution_rate.isel(split=0, drop=True)))
    with pytest.raises(SpecentError, match="lost its dimension 'split'"):
        sp.plot.budget(exact.isel(split=0))
    with pytest.raises(SpecentError, match="quantity='rates'"):
        sp.plot.budget(exact, "rates")
    with pytest.raises(SpecentError, match="estimator: 'null' is not in the dataset"):
        sp.plot.budget(sampled, estimator="null")
    with pytest.raises(SpecentError, match="nothing to draw"):
        sp.plot.budget(exact.assign(contribution_rate=exact["contribution_rate"] * np.nan))
    with pytest.raises(SpecentError, match="log_snr must descend with time"):
        sp.plot.budget(exact.isel(time=slice(None, None, -1)))
