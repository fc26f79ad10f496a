"""Titles and names with braces are text: HoloViews would take a title for a template and fill it in."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

import holoviews as hv
import numpy as np
import pytest
import xarray as xr
from bokeh.models import Plot
from bokeh.models.widgets import Div

import specent as sp

# a field that is not there, one that would take gigabytes, an attribute, and one brace alone
TITLES = ["{x}", "{label:>99999999999}", "{label.__class__}", "{0} {} {", "}", "<b>{group}</b>"]


@pytest.fixture(scope="module")
def runs() -> xr.Dataset:
    return sp.archive.example().isel(guidance=[0], sample=slice(0, 20))


@pytest.fixture(scope="module")
def prof(runs: xr.Dataset) -> xr.Dataset:
    return sp.entropy(runs, ["cat | dog", "cat | car", "dog | car"], ["path", "cross_entropy"], progress=False)


@pytest.fixture(scope="module")
def figures(runs: xr.Dataset, prof: xr.Dataset, picture_runs: xr.Dataset) -> dict[str, Callable[[str], Any]]:
    spec = sp.speciation(prof, progress=False)
    return {
        "entropy": lambda title: sp.plot.entropy(prof, partition="cat | dog", estimator="path", title=title),
        "panels": lambda title: sp.plot.disagreement(prof, title=title),
        "class_production": lambda title: sp.plot.class_production(prof, partition=["cat | dog"], title=title),
        "windows": lambda title: sp.plot.windows(spec, estimator="path", title=title),
        "tree": lambda title: sp.plot.tree(spec, estimator="path", title=title),
        "pair_matrix": lambda title: sp.plot.pair_matrix(spec, estimator="path", title=title),
        "reliability": lambda title: sp.plot.reliability(runs, "cat | dog", title=title),
        "posteriors": lambda title: sp.plot.posteriors(runs, "cat | dog", title=title),
        "histogram": lambda title: sp.plot.posterior_histogram(runs, 0.0, "cat | dog", title=title),
        "trajectories": lambda title: sp.plot.trajectory_posteriors(runs, "cat | dog", title=title),
        "paths": lambda title: sp.plot.paths(runs, title=title),
        "samples": lambda title: sp.plot.samples(picture_runs, title=title),
        "strips": lambda title: sp.plot.predictions(picture_runs, title=title),
        "predictions_at": lambda title: sp.plot.predictions_at(picture_runs, 0.0, title=title),
    }


def shown(figure: Any) -> str:
    """The text of the titles of a figure as Bokeh draws it, and of the heading of its panels without its tags."""
    parts = list(hv.renderer("bokeh").get_plot(figure).state.references())
    titles = [str(part.title.text) for part in parts if isinstance(part, Plot) and part.title is not None]
    return "\n".join([*titles, *(part.text for part in parts if isinstance(part, Div))])


@pytest.mark.parametrize("name", ["entropy", "panels", "class_production", "windows", "tree", "pair_matrix",
                                  "reliability", "posteriors", "histogram", "trajectories", "paths", "samples",
                                  "strips", "predictions_at"])  # fmt: skip
def test_a_title_with_braces_is_shown_as_it_is(name: str, figures: dict[str, Callable[[str], Any]]) -> None:
    title = " ".join(TITLES)
    text = shown(figures[name](title))
    escaped = html.escape(title, quote=False)
    # titles of pictures are broken into lines
    assert any(one in " ".join(text.split()) for one in (title, escaped))
    if "<div" in text or "<span" in text:
        assert escaped in text


@pytest.mark.parametrize("name", TITLES[:4])
def test_classes_with_braces_in_their_names_have_panels(name: str, tmp_path: Any) -> None:
    labels = [name, "other", "third"]
    mix = sp.exact.GaussianMixture([[-9.0], [-2.0], [2.0]], labels=labels)
    pairs = [sp.Partition.pair(a, b) for a, b in ((name, "other"), (name, "third"), ("other", "third"))]
    truth = sp.exact.profiles(mix, sp.schedules.VE(), sp.schedules.edm_grid(12, 0.02), pairs)
    other = truth.assign_coords(estimator=["path"])
    both = xr.concat([truth, other], "estimator", data_vars="minimal", join="outer")
    assert f"{name} | other" in shown(sp.plot.disagreement(both))
    target = sp.plot.page([truth.assign_attrs(title=name)], tmp_path / "page.html", title=name, progress=False)
    assert f"<h1>{html.escape(name)}</h1>" in target.read_text(encoding="utf-8")
    assert np.isfinite(sp.plot.entropy(truth, data=True)["entropy"]).all()
