"""Every figure of a dataset that was cut, turned, relabelled or emptied: one error of the package, or the figure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import holoviews as hv
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import specent as sp
from specent.errors import SpecentError

PAIRS = ["cat | dog", "cat | car", "dog | car"]
OLD = Path(__file__).parents[1] / "archive" / "version_1"
GROUPS = sp.Partition.groups({"animal": ["cat", "dog"], "vehicle": ["car"]})
Draw = Callable[..., Any]


@pytest.fixture(scope="module")
def runs() -> xr.Dataset:
    return sp.archive.example().isel(sample=slice(4), time=slice(None, None, 4)).load()


@pytest.fixture(scope="module")
def prof(runs: xr.Dataset) -> xr.Dataset:
    return sp.entropy(runs, PAIRS, ["path", "cross_entropy"], progress=False)


@pytest.fixture(scope="module")
def plane_runs() -> xr.Dataset:
    mix = sp.exact.GaussianMixture([[-2.0, 0.0], [2.0, 0.0]], labels=["a", "b"])
    return sp.sample(
        sp.models.mixture(mix), schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(8), samples=3,
        partitions=[sp.Partition.full(["a", "b"])], seed=0, progress=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def turned() -> xr.Dataset:
    mix = sp.exact.GaussianMixture([[-8.0], [8.0]], labels=["left", "right"])
    return sp.u_turn(
        sp.models.mixture(mix), schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(16), levels=[4.0, 8.0],
        samples=5, mover=("null", "class"), steps=(4, 8), seed=0, progress=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def figures(
    runs: xr.Dataset,
    turned: xr.Dataset,
    prof: xr.Dataset,
    plane_runs: xr.Dataset,
    picture_runs: xr.Dataset,
    guided_differences: xr.Dataset,
    vp_profiles: xr.Dataset,
    vp_fit: tuple[xr.Dataset, xr.Dataset],
) -> dict[str, tuple[xr.Dataset, Draw]]:
    """A dataset for every figure, and the figure as a function of it."""
    spec, (sizes, fit), plot = sp.speciation(prof, progress=False), vp_fit, sp.plot
    classes = sp.entropy(runs, ["cat | rest", "dog | rest"], "path", progress=False)
    return {
        "entropy": (prof.isel(partition=[0], guidance=[0]), plot.entropy),
        "disagreement": (prof, plot.disagreement),
        "class_production": (classes, plot.class_production),
        "windows": (spec, plot.windows),
        "pair_matrix": (spec, plot.pair_matrix),
        "tree": (spec, plot.tree),
        "rescaled": (vp_profiles.isel(time=slice(None, None, 8)), plot.rescaled),
        "scaling of a summary": (sizes, lambda one, **options: plot.scaling(one, fit, **options)),
        "scaling of a fit": (fit, lambda one, **options: plot.scaling(sizes, one, **options)),
        "guidance_effect": (guided_differences.isel(estimator=[0], time=slice(None, None, 8)), plot.guidance_effect),
        "quality": (sp.open(OLD / "quality.nc").load(), plot.quality),
        "returns": (turned, plot.returns),
        "transition_matrix": (turned, plot.transition_matrix),
        "definitions": (sp.analysis.definitions(prof.isel(guidance=0, partition=0, estimator=0)), plot.definitions),
        "tree of nodes": (sp.tree(runs.isel(guidance=[0]), replicates=50), plot.tree),
        "budget": (sp.chain(runs, [GROUPS, "full"], estimator="path"), plot.budget),
        "posteriors": (runs, plot.posteriors),
        "trajectory_posteriors": (runs, plot.trajectory_posteriors),
        "posterior_histogram": (runs, lambda one, **options: plot.posterior_histogram(one, 0.0, **options)),
        "reliability": (runs, plot.reliability),
        "predictions": (picture_runs, plot.predictions),
        "predictions_at": (picture_runs, lambda one, **options: plot.predictions_at(one, 0.0, **options)),
        "samples": (picture_runs, plot.samples),
        "paths": (plane_runs, plot.paths),
    }


NAMES = (
    "entropy", "disagreement", "class_production", "windows", "pair_matrix", "tree", "rescaled", "scaling of a summary",
    "scaling of a fit", "guidance_effect", "quality", "returns", "budget", "tree of nodes", "definitions",
    "transition_matrix", "posteriors", "trajectory_posteriors", "posterior_histogram", "reliability", "predictions",
    "predictions_at", "samples", "paths",
)  # fmt: skip


def strange(dataset: xr.Dataset) -> Iterator[tuple[str, xr.Dataset]]:
    """The dataset changed in one place after the other, with what was changed."""
    for dim, size in dataset.sizes.items():
        yield f"no {dim}", dataset.isel({dim: []})
        yield f"one {dim}", dataset.isel({dim: [0]})
        yield f"a {dim} that is scalar", dataset.isel({dim: 0})
        yield f"the first {dim} twice", dataset.isel({dim: [0, *range(size)]})
        yield f"{dim} renamed", dataset.rename({dim: "other"})
        if dim in dataset.coords:
            yield f"{dim} without names", dataset.drop_vars(dim)
    for name, values in dataset.coords.items():
        if values.dtype.kind in "fi":
            yield f"{name} all zero", dataset.assign_coords({name: (values.dims, np.zeros(values.shape))})
            yield (
                f"{name} without a number",
                dataset.assign_coords({name: (values.dims, np.full(values.shape, np.nan))}),
            )
            yield f"{name} as text", dataset.assign_coords({name: (values.dims, values.values.astype(str))})
        else:
            letters = [f"<b>{{x}}$\\frac\n\x00{i}" for i in range(values.size)]
            yield f"{name} in strange letters", dataset.assign_coords({name: (values.dims, letters)})
    for name, values in dataset.data_vars.items():
        yield f"without {name}", dataset.drop_vars(name)
        if values.dtype.kind != "f" or any(
            part in str(name) for part in ("_lower", "_upper", "_replicate", "quartile")
        ):
            continue
        for value in (np.nan, np.inf):
            yield f"{name} {value} throughout", dataset.assign({name: values.copy(data=np.full(values.shape, value))})
        one = values.values.copy()
        one.flat[one.size // 2] = np.nan
        yield f"a hole in {name}", dataset.assign({name: values.copy(data=one)})
        yield f"{name} complex", dataset.assign({name: values.astype(complex)})
        yield f"{name} without attributes", dataset.assign({name: values.drop_attrs()})
    for name in ("rate_axis", "law", "reference", "confidence", "schedule", "specent_kind"):
        if name in dataset.attrs:
            kept = {key: value for key, value in dataset.attrs.items() if key != name}
            yield f"no attribute {name}", dataset.drop_attrs(deep=False).assign_attrs(kept)
            yield f"attribute {name} an array", dataset.assign_attrs({name: np.arange(3)})
    yield "in pieces", dataset.chunk()


@pytest.mark.filterwarnings("ignore::specent.errors.SpecentWarning")
@pytest.mark.parametrize("name", NAMES)
def test_a_strange_dataset_is_drawn_or_refused_in_a_sentence(
    name: str, figures: dict[str, tuple[xr.Dataset, Draw]]
) -> None:
    dataset, draw = figures[name]
    assert isinstance(draw(dataset), hv.core.Dimensioned)
    failures = []
    # every second change, and the other ones for the next figure: all of them take a minute and a half
    for what, changed in islice(strange(dataset), NAMES.index(name) % 2, None, 2):
        try:
            assert isinstance(draw(changed), hv.core.Dimensioned)
        except SpecentError as error:
            if len(str(error)) > 500:
                failures.append(f"{what}: {error}")
        except Exception as error:
            failures.append(f"{what}: {type(error).__name__}: {error}")
    assert not failures


@pytest.mark.parametrize("name", NAMES)
def test_times_in_another_order_are_refused(name: str, figures: dict[str, tuple[xr.Dataset, Draw]]) -> None:
    dataset, draw = figures[name]
    if "time" in dataset.dims:
        with pytest.raises(SpecentError, match="log_snr must descend with time"):
            draw(dataset.isel(time=slice(None, None, -1)), data=True)


def test_a_position_that_lost_its_axis_is_refused(figures: dict[str, tuple[xr.Dataset, Draw]]) -> None:
    spec, draw = figures["windows"]
    # on which of its axes a number stands cannot be told, so that any conversion would be wrong
    with pytest.raises(SpecentError, match="'axis' holds 'reduced'"):
        draw(spec.sel(axis="log_snr", drop=True))


def test_positions_beyond_all_numbers_are_refused(figures: dict[str, tuple[xr.Dataset, Draw]]) -> None:
    spec, draw = figures["windows"]
    with pytest.raises(SpecentError, match="cannot be drawn along axis='log_snr'"):
        draw(spec.assign(half_entropy=spec["half_entropy"] * 0 + 1e300), axis="log_snr")


def test_class_production_draws_one_estimator(figures: dict[str, tuple[xr.Dataset, Draw]]) -> None:
    classes, draw = figures["class_production"]
    for estimator in (None, ["path"], np.arange(2)):
        with pytest.raises(SpecentError, match=r"estimator=.* must be the name of one estimator"):
            draw(classes, estimator=estimator)


def test_a_summary_of_unknown_settings_has_no_bars(figures: dict[str, tuple[xr.Dataset, Draw]]) -> None:
    # a setting that was averaged away guides nobody knows where
    for name in ("guidance_effect", "class_production"):
        dataset, draw = figures[name]
        bars = [part for part in draw(dataset) if isinstance(part, hv.Segments)]
        assert bars
        assert not [part for part in draw(dataset.isel(guidance=0, drop=True)) if isinstance(part, hv.Segments)]


def test_differences_of_lazy_profiles_are_those_of_loaded_ones(figures: dict[str, tuple[xr.Dataset, Draw]]) -> None:
    prof, draw = figures["disagreement"]
    pd.testing.assert_frame_equal(draw(prof.chunk(), data=True), draw(prof, data=True))


def test_intervals_of_two_estimators_have_the_line_styles_of_their_curves(prof: xr.Dataset) -> None:
    three = sp.entropy(sp.archive.example().isel(sample=slice(8)), "cat | dog", progress=False)
    figure = sp.plot.disagreement(three, guidance="unguided")
    curves = [part for part in figure if type(part) is hv.Curve]
    named = {
        part.label: hv.Store.lookup_options("bokeh", part, "style").kwargs["line_dash"] for part in curves if part.label
    }
    edges = [hv.Store.lookup_options("bokeh", part, "style").kwargs["line_dash"] for part in curves if not part.label]
    assert sorted(map(str, edges)) == sorted(str(dash) for dash in named.values() for _ in range(2))
    assert len(set(map(str, named.values()))) == 2
    # a single estimator needs no telling apart
    alone = sp.plot.disagreement(prof, partition="cat | dog", guidance="unguided")
    assert len([part for part in alone if type(part) is hv.Curve]) == 1


def test_a_matrix_of_pairs_names_its_axes(figures: dict[str, tuple[xr.Dataset, Draw]]) -> None:
    spec, draw = figures["pair_matrix"]
    options = hv.Store.lookup_options("bokeh", draw(spec, guidance="unguided"), "plot").kwargs
    assert (options["xlabel"], options["ylabel"]) == ("class", "other class")


def test_a_named_figure_that_is_empty_is_warned_of(figures: dict[str, tuple[xr.Dataset, Draw]], tmp_path: Path) -> None:
    spec, _ = figures["windows"]
    text = "quality left out: datasets of kind speciation have none of quality; they allow"
    with pytest.warns(sp.SpecentWarning, match=text):
        sp.plot.save_figures(spec, tmp_path / "windows.pdf", ["windows", "quality"])
    with pytest.warns(sp.SpecentWarning, match=text):
        sp.plot.page(spec, tmp_path / "windows.html", figures=["quality", "windows"])


def test_dimensions_without_a_scale_are_refused(figures: dict[str, tuple[xr.Dataset, Draw]]) -> None:
    prof, rescaled = figures["rescaled"]
    with pytest.raises(SpecentError, match="no ambient dimension above 1"):
        rescaled(prof.isel(dimension=[0]).assign_coords(dimension=[1.0]))
    spec, scaling = figures["scaling of a summary"]
    with pytest.raises(SpecentError, match="dimension that is not positive"):
        scaling(spec.assign_coords(dimension=[0.0, *spec["dimension"].values[1:]]))
