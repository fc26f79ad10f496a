"""Every figure takes what xarray makes of a dataset: selections, means, extra variables, a dimension more or less."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import holoviews as hv
import numpy as np
import pytest
import xarray as xr
from bokeh.models import Line

import specent as sp
from specent.errors import SpecentError

Reduction = Callable[[xr.Dataset], xr.Dataset]

REDUCTIONS: dict[str, Reduction] = {
    "scalar partition": lambda one: one.sel(partition="cat | dog"),
    "scalar partition and estimator": lambda one: one.sel(partition="cat | dog", estimator="path"),
    "scalar guidance": lambda one: one.isel(guidance=0),
    "mean over partitions": lambda one: one.mean("partition"),
    "mean without attributes of variables": lambda one: one.mean("partition", keep_attrs=False).assign_attrs(one.attrs),
    "extra coordinate": lambda one: one.assign_coords(checkpoint=17, colour=("partition", ["red", "blue"])),
    "extra variable": lambda one: one.assign(half_of_it=one[next(iter(one.data_vars))] / 2),
    "scalar coordinate dropped": lambda one: one.isel(guidance=0, drop=True),
    "one dimension more": lambda one: xr.concat([one, one], "checkpoint"),
    "transposed": lambda one: one.transpose(),
}


@pytest.fixture(params=REDUCTIONS.values(), ids=REDUCTIONS)
def reduce(request: pytest.FixtureRequest) -> Reduction:
    return request.param


@pytest.fixture(scope="module")
def few_profiles(pair_profiles: xr.Dataset) -> xr.Dataset:
    """Two pairs in two settings: six curves, two of them exact."""
    return pair_profiles.sel(estimator=["exact", "path"])


def rendered(figure: Any) -> Any:
    return hv.renderer("bokeh").get_plot(figure).state


def curves(figure: Any) -> list[Any]:
    panels = list(figure) if isinstance(figure, hv.Layout) else [figure]
    return [part for panel in panels for part in panel if type(part) is hv.Curve]


QUANTITIES = (sp.plot.entropy, sp.plot.rate, sp.plot.mutual_information)


@pytest.mark.parametrize("draw", QUANTITIES)
def test_curves_of_any_selection(draw: Callable[..., Any], reduce: Reduction, few_profiles: xr.Dataset) -> None:
    figure = draw(reduce(few_profiles))
    name = {"entropy": "entropy", "rate": "entropy_rate"}.get(draw.__name__, "mutual_information")
    reduced = reduce(few_profiles)[name]
    lines = curves(figure)
    finite = np.isfinite(reduced.transpose(..., "time").values.reshape(-1, reduced.sizes["time"])).any(axis=1)
    assert len(lines) == finite.sum()
    # what is drawn is what xarray made
    values = np.concatenate([line.dimension_values(name) for line in lines])
    np.testing.assert_allclose(np.sort(values), np.sort(reduced.values[np.isfinite(reduced.values)]), rtol=1e-12)


# rendering knows elements, not quantities: each of them in turn
@pytest.mark.parametrize(("draw", "change"), [*zip(itertools.cycle(QUANTITIES), REDUCTIONS)], ids=REDUCTIONS)
def test_curves_of_any_selection_are_rendered(draw: Callable[..., Any], change: str, few_profiles: xr.Dataset) -> None:
    figure = draw(REDUCTIONS[change](few_profiles))
    lines = rendered(figure).select({"type": Line})
    assert len(list(lines)) >= len(curves(figure)) > 0


def test_windows_of_any_selection(reduce: Reduction, few_profiles: xr.Dataset, summary: Any) -> None:
    spec = summary(few_profiles)
    halves = [part for part in sp.plot.windows(reduce(spec)) if isinstance(part, hv.Scatter) and "lower" in part]
    reduced = np.exp(-reduce(spec)["half_entropy"].values.ravel() / 2)
    values = np.concatenate([part.dimension_values("sigma") for part in halves])
    np.testing.assert_allclose(np.sort(values), np.sort(reduced[np.isfinite(reduced)]), rtol=1e-12)


def test_a_summary_of_one_axis_may_have_lost_the_dimension(few_profiles: xr.Dataset, summary: Any) -> None:
    spec = summary(few_profiles)
    (bar, *_), (expected, *_) = (list(sp.plot.windows(one)) for one in (spec.isel(axis=0), spec))
    np.testing.assert_array_equal(bar.array(), expected.array())


@pytest.mark.parametrize("name", [name for name in REDUCTIONS if "over" not in name and "without" not in name])
def test_matrices_of_any_selection(name: str, few_profiles: xr.Dataset, summary: Any) -> None:
    figure = sp.plot.pair_matrix(REDUCTIONS[name](summary(few_profiles)))
    matrices = list(figure) if isinstance(figure, hv.Layout) else [figure]
    # one per setting and run, and of two their difference
    assert len(matrices) in ({2, 3, 4} if name == "one dimension more" else {1, 3})
    assert all(any(isinstance(part, hv.HeatMap) for part in matrix) for matrix in matrices)


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one.isel(guidance=0),
        lambda one: one.isel(estimator=0, partition=0),
        lambda one: one.mean("partition"),
        lambda one: one.assign_coords(colour="red").assign(other=1.0),
        lambda one: xr.concat([one, one], "checkpoint"),
    ],
)
def test_scalings_and_rescalings_of_any_selection(
    change: Reduction, vp_fit: tuple[xr.Dataset, xr.Dataset], vp_profiles: xr.Dataset
) -> None:
    top, _ = sp.plot.scaling(*(change(one) for one in vp_fit))
    points = [part for part in top if isinstance(part, hv.Scatter)]
    assert {len(part) for part in points} == {6}
    profiles = change(vp_profiles)
    raw, _ = sp.plot.rescaled(profiles, run="0" if "checkpoint" in profiles.dims else None)
    assert len([part for part in raw if type(part) is hv.Curve]) == 6


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one.isel(guidance=0),
        lambda one: one.sel(estimator="path"),
        lambda one: one.isel(guidance=0, estimator=0, partition=2),
        lambda one: one.assign_coords(colour="red").assign(other=1.0),
    ],
)
def test_guidance_effects_of_any_selection(change: Reduction, guided_differences: xr.Dataset) -> None:
    figure = sp.plot.guidance_effect(change(guided_differences))
    assert any(type(part) is hv.Curve for part in figure)
    assert any(isinstance(part, hv.Segments) for part in figure)


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one.isel(guidance=0),
        lambda one: one.assign_coords(colour="red").assign(other=1.0),
        lambda one: xr.concat([one, one], "checkpoint"),
    ],
)
def test_tables_of_quality_of_any_selection(change: Reduction, make_dataset: Callable[..., xr.Dataset]) -> None:
    table = change(make_dataset("quality"))
    panel = next(iter(sp.plot.quality(table)))
    dots = next(part for part in panel if isinstance(part, hv.Scatter) and "who" in part)
    np.testing.assert_allclose(dots.dimension_values("frechet_limit"), table["frechet_limit"].values.ravel())
    assert len(set(dots.dimension_values("who"))) == table["frechet_limit"].size


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one.isel(guidance=0),
        lambda one: one.sel(class_label="0"),
        lambda one: one.isel(sample=0),
        lambda one: one.isel(prediction_time=3),
        lambda one: one.assign_coords(colour="red").assign(other=1.0),
    ],
)
def test_predictions_of_any_selection(change: Reduction, picture_runs: xr.Dataset) -> None:
    runs = change(picture_runs)
    strip = sp.plot.predictions(runs, most=30)
    # an image for each noise level, a row for each class
    assert len(strip) == (10 if "prediction_time" in runs.dims else 1)
    rows = hv.Store.lookup_options("bokeh", strip, "plot").kwargs["yticks"]
    assert len(rows) == (1 if "class_label" not in runs.dims else 2)


def test_a_page_of_selections(few_profiles: xr.Dataset, summary: Any, tmp_path: Path) -> None:
    one = few_profiles.sel(estimator="path", guidance="w=2")
    spec = summary(few_profiles).sel(estimator="path", guidance="w=2")
    text = sp.plot.page([one, spec], tmp_path / "page.html").read_text(encoding="utf-8")
    assert text.count('<figure class="entropy">') == text.count('<figure class="windows">') == 1
    assert 'class="half"' in text


def test_what_cannot_be_understood_is_refused_with_a_remedy(pair_profiles: xr.Dataset) -> None:
    with pytest.raises(SpecentError, match="prof: the dimension 'time'"):
        sp.plot.entropy(pair_profiles.mean("time"))
    with pytest.raises(SpecentError, match="prof: the variable 'entropy_rate' is missing"):
        sp.plot.rate(pair_profiles.drop_vars(["entropy_rate"]))
