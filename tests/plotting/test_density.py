"""Trajectories over the density: states behind predictions, the density, and what is predicted of the mixture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import holoviews as hv
import numpy as np
import pytest
import xarray as xr
from matplotlib.legend import Legend

import specent as sp
from specent.errors import SpecentError
from specent.plotting.density import paths
from specent.plotting.marks import landmarks
from specent.plotting.sheets import print_settings, sheet

PAIR = sp.exact.GaussianMixture([[-1.0], [1.0]], 0.01, labels=["a", "b"])
PLANE = sp.exact.GaussianMixture([[-6.0, 2.0], [-6.0, -2.0], [8.0, 0.0]], labels=["cat", "dog", "car"])


def sampled(mix: sp.exact.GaussianMixture, schedule: sp.schedules.Schedule, time: np.ndarray) -> xr.Dataset:
    return sp.sample(
        sp.models.mixture(mix), schedule=schedule, time=time, samples=8, partitions="full",
        record=sp.Record(predictions=time), guidance=[sp.Guidance(), sp.Guidance(3.0)], seed=5, progress=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def line() -> xr.Dataset:
    return sampled(PAIR, sp.schedules.VP(), sp.schedules.log_snr_grid(sp.schedules.VP(), 40, -7, 7))


@pytest.fixture(scope="module")
def plane() -> xr.Dataset:
    return sampled(PLANE, sp.schedules.VE(), sp.schedules.edm_grid(24, 0.05, 80.0))


def plot_options(element: object) -> dict:
    return dict(hv.Store.lookup_options("bokeh", element, "plot").kwargs)


def test_states_begin_as_the_noise_and_end_in_the_samples(plane: xr.Dataset) -> None:
    table = paths(plane, most=8, data=True)
    states, final = table[table.mark == "state"], table[table.mark == "final"]
    first = states[states.time == states.time.max()]
    # 24 states of noise of standard deviation 80 around their means
    assert float(np.sqrt((first[["x0", "x1"]] ** 2).mean().mean())) == pytest.approx(80, rel=4 / np.sqrt(2 * 48))
    last = states[states.time == states.time.min()].set_index(["class_label", "sample"])
    ends = final.set_index(["class_label", "sample"])
    # the last step, from the noise level 0.05, moves them by noise of that size
    assert float(np.abs(last[["x0", "x1"]] - ends[["x0", "x1"]]).max().max()) < 5 * 0.05
    np.testing.assert_allclose(
        final[final.class_label == "dog"].x1, plane.final.sel(class_label="dog", guidance="unguided", feature=1)
    )


def test_guided_paths_are_predictions_and_the_title_says_so(plane: xr.Dataset) -> None:
    table = paths(plane, guidance="w=3", data=True)
    own = table[(table.mark == "prediction") & (table.class_label == "cat") & (table["sample"] == 1)]
    stored = plane.prediction.sel(guidance="w=3", class_label="cat", sample=1).sortby(
        "prediction_time", ascending=False
    )
    np.testing.assert_allclose(own[["x0", "x1"]], stored.transpose("prediction_time", "feature"))
    assert "predicted data" in plot_options(paths(plane, guidance="w=3"))["title"]
    assert "noisy state" in plot_options(paths(plane))["title"]


def test_the_density_is_that_of_the_mixture_and_integrates_to_one(plane: xr.Dataset) -> None:
    figure = paths(plane)
    image = next(part for part in figure if isinstance(part, hv.Image))
    values = image.dimension_values("density", flat=False)
    assert float(values.mean()) * np.prod(np.subtract(*np.array(image.bounds.lbrt()).reshape(2, 2))) == pytest.approx(
        1.0, abs=0.01
    )
    # three equal components of unit variance: each is 1 / (2 pi) / 3 at its mean
    assert float(values.max()) == pytest.approx(1 / (6 * np.pi), rel=0.02)
    assert plot_options(image)["colorbar"]
    paths_drawn = [part for part in figure if type(part) is hv.Path]
    assert [part.label for part in paths_drawn] == ["cat", "dog", "car"]
    plain = paths(plane.assign_attrs(model="{}", settings="{}"))
    assert not [part for part in plain if isinstance(part, hv.Image)]


def test_on_a_line_every_column_is_the_density_of_its_noise(line: xr.Dataset) -> None:
    figure = paths(line, axis="time")
    image = next(part for part in figure if isinstance(part, hv.Image))
    left, _, right, _ = image.bounds.lbrt()
    time = float(line.time[25])
    column = image[time, :].dimension_values("density")
    up = image[time, :].dimension_values("x0")
    shown = float(image.dimension_values("time", expanded=False)[
        np.abs(image.dimension_values("time", expanded=False) - time).argmin()])  # fmt: skip
    alpha, variance = np.exp(-shown), 0.01 * np.exp(-2 * shown) + 1 - np.exp(-2 * shown)
    both = sum(np.exp(-0.5 * (up - sign * alpha) ** 2 / variance) for sign in (-1, 1))
    np.testing.assert_allclose(column, both / both.max(), atol=0.02)
    assert left == pytest.approx(float(line.time.min()))
    assert right == pytest.approx(float(line.time.max()))


def test_bifurcation_and_predicted_speciation_are_marked(line: xr.Dataset, plane: xr.Dataset) -> None:
    time = sp.exact.symmetry_breaking_time(1.0, 0.01)
    split, speciation = landmarks(line, "time")
    assert split.text == "bifurcation"
    # the position is interpolated between the times of the grid
    assert split.position == pytest.approx(time, abs=0.01)
    assert speciation.text == "predicted speciation"
    (level,) = landmarks(plane, "sigma")
    assert level.position == pytest.approx(
        sp.exact.spectral_sigma(covariance=np.diag([392 / 9 + 1, 8 / 3 + 1])), rel=1e-9
    )
    drawn = {part.label for part in paths(line) if type(part) is hv.Curve}
    assert drawn == {"bifurcation", "predicted speciation"}
    assert landmarks(line.assign_attrs(model="{}", settings="{}"), "sigma") == []


@pytest.mark.parametrize("draw", [sp.plot.entropy, sp.plot.mutual_information, sp.plot.rate])
def test_curves_of_a_mixture_have_marks_with_entries_in_a_legend(draw: Any) -> None:
    mix = sp.exact.GaussianMixture([[-1.0], [1.0]], variance=0.25, labels=["left", "right"])
    truth = sp.exact.profiles(mix, sp.schedules.VE(), sp.schedules.edm_grid(24, 0.05), ["full"])
    figure = draw(truth, "sigma")
    marks = {part.dimension_values("what")[0]: part for part in figure if type(part) is hv.Scatter}
    assert set(marks) == {"bifurcation", "predicted speciation"}
    level = sp.schedules.VP().log_snr(np.array([sp.exact.symmetry_breaking_time(1.0, 0.25)]))
    # found by halving, to about 1e-4
    assert marks["bifurcation"].dimension_values("sigma")[0] == pytest.approx(np.exp(-0.5 * level[0]), rel=1e-3)
    # the variance of the data along the line is 1 + 0.25
    predicted = sp.exact.spectral_sigma(covariance=np.array([[1.25]]))
    assert marks["predicted speciation"].dimension_values("sigma")[0] == pytest.approx(predicted, rel=1e-9)
    entries = hv.render(figure).select_one({"name": "line styles"}).items
    assert [entry.label.value for entry in entries] == ["bifurcation", "predicted speciation"]
    with print_settings():
        (axes,) = sheet(figure, 240.0).axes
        (legend,) = [part for part in axes.get_children() if isinstance(part, Legend)]
        assert {text.get_text() for text in legend.get_texts()} == set(marks)
    # what is out of view is not spoken of
    near = draw(truth, "sigma", view=(0.05, 0.5))
    assert not [part for part in near if type(part) is hv.Scatter]
    assert hv.render(near).select_one({"name": "line styles"}) is None


def test_states_that_stored_digits_cannot_tell_are_left_out(plane: xr.Dataset) -> None:
    coarse = plane.assign(prediction=np.round(plane.prediction * 256) / 256)
    kept = [paths(one, data=True).query("mark == 'state'").time.max() for one in (plane, coarse)]
    assert kept[0] == float(plane.time.max())
    assert kept[1] < kept[0]
    assert "stored digits" in plot_options(paths(coarse))["title"]


def test_what_has_no_plane_is_refused(plane: xr.Dataset, line: xr.Dataset, picture_runs: xr.Dataset) -> None:
    with pytest.raises(SpecentError, match="one or two dimensions"):
        paths(picture_runs)
    with pytest.raises(SpecentError, match="mixture has 1 dimensions"):
        paths(plane, PAIR)
    with pytest.raises(SpecentError, match="keep nothing on the way"):
        paths(line.drop_vars("prediction"))


def test_both_backends_draw_paths(line: xr.Dataset, plane: xr.Dataset, tmp_path: Path) -> None:
    for number, figure in enumerate((paths(line, axis="sigma"), paths(plane))):
        hv.renderer("bokeh").get_plot(figure)
        assert sp.plot.save(figure, tmp_path / f"{number}.png").stat().st_size > 10_000
