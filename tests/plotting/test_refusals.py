"""What the arguments of figures must not be: one error names the argument and its value, before anything is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import holoviews as hv
import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent.errors import SpecentError
from specent.plotting.strips import chosen_evenly

PAIRS = ["cat | dog", "cat | car", "dog | car"]


@pytest.fixture(scope="module")
def runs() -> xr.Dataset:
    return sp.archive.example()


@pytest.fixture(scope="module")
def prof(runs: xr.Dataset) -> xr.Dataset:
    return sp.entropy(runs.isel(guidance=[0]), PAIRS, ["path", "cross_entropy"], progress=False)


@pytest.fixture(scope="module")
def spec(prof: xr.Dataset) -> xr.Dataset:
    return sp.speciation(prof, progress=False)


# what is empty counts as false, and arrays as neither true nor false
NO_AXES = ["", 0, [], {}, np.array([]), np.arange(3), "step", "Sigma"]


@pytest.mark.parametrize("axis", NO_AXES, ids=repr)
@pytest.mark.parametrize("name", ["rate", "class_production", "disagreement", "windows", "pair_matrix", "tree"])
def test_only_no_axis_at_all_means_the_usual_one(name: str, axis: Any, prof: xr.Dataset, spec: xr.Dataset) -> None:
    dataset = spec if name in ("windows", "pair_matrix", "tree") else prof
    with pytest.raises(SpecentError, match="axis="):
        getattr(sp.plot, name)(dataset, axis=axis, data=True)


@pytest.mark.parametrize("axis", NO_AXES, ids=repr)
def test_only_no_axis_at_all_means_the_usual_one_of_differences(axis: Any, guided_differences: xr.Dataset) -> None:
    with pytest.raises(SpecentError, match="axis="):
        sp.plot.guidance_effect(guided_differences, axis=axis, data=True)


@pytest.mark.parametrize("value", [np.arange(3), np.array([]), None, ["entropy"]], ids=repr)
def test_one_of_some_names_is_no_array(
    value: Any, prof: xr.Dataset, spec: xr.Dataset, guided_differences: xr.Dataset
) -> None:
    with pytest.raises(SpecentError, match="quantity="):
        sp.plot.disagreement(prof, value)
    with pytest.raises(SpecentError, match="quantity="):
        sp.plot.guidance_effect(guided_differences, value)
    with pytest.raises(SpecentError, match="order="):
        sp.plot.pair_matrix(spec, order=value)


class Unprintable:
    """An object whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


@pytest.mark.parametrize("value", [10**400, "x" * 100_000, Unprintable()], ids=["huge", "long", "unprintable"])
def test_a_selection_of_any_size_is_refused_in_a_short_message(value: Any, prof: xr.Dataset, spec: xr.Dataset) -> None:
    for what in (
        lambda: sp.plot.entropy(prof, partition=value),
        lambda: sp.plot.entropy(prof, run=value),
        lambda: sp.plot.windows(spec, guidance=[value]),
        lambda: sp.plot.pair_matrix(spec, class_label=[value, "cat"]),
    ):
        with pytest.raises(SpecentError) as caught:
            what()
        assert len(str(caught.value)) < 300


def test_a_label_that_is_in_no_pair_is_named(spec: xr.Dataset) -> None:
    with pytest.raises(
        SpecentError, match="class_label='zebra' is in no pair of spec; choose from 'car', 'cat', 'dog'"
    ):
        sp.plot.pair_matrix(spec, class_label=["cat", "zebra"])
    with pytest.raises(SpecentError, match="class_label='zebra'"):
        sp.plot.tree(spec, class_label=["cat", "dog", "zebra"])


@pytest.mark.parametrize("sample", [np.arange(3), "0", 1.5, True, -1, 60], ids=repr)
def test_a_trajectory_that_is_not_there_is_refused(sample: Any, runs: xr.Dataset) -> None:
    with pytest.raises(SpecentError, match="sample="):
        sp.plot.trajectory_posteriors(runs, "cat | dog", class_label="cat", sample=sample, data=True)


def test_a_class_that_is_not_there_is_refused_and_one_on_no_side_is_not_marked(runs: xr.Dataset) -> None:
    with pytest.raises(SpecentError, match="class_label='zebra' is not one of cat, dog, car"):
        sp.plot.trajectory_posteriors(runs, "cat | dog", class_label="zebra", sample=0, data=True)
    table = sp.plot.trajectory_posteriors(runs, "cat | dog", class_label="car", sample=0, data=True)
    assert set(table["class_label"]) == {"cat", "dog"}


def test_a_single_trajectory_can_be_drawn(runs: xr.Dataset) -> None:
    table = sp.plot.trajectory_posteriors(runs, "cat | dog", most=1, data=True)
    assert table[["class_label", "sample"]].drop_duplicates().values.tolist() == [["cat", 0]]


def test_posteriors_are_refused_before_trajectories_are_read(runs: xr.Dataset) -> None:
    # reading any of these fails with another error
    broken = runs.assign(log_likelihood=runs["log_likelihood"] * np.nan)
    for options, text in (
        ({"axis": "step"}, "axis='step'"),
        ({"view": (2, 2)}, "view="),
        ({"quantiles": [0.5, 2]}, "quantiles="),
        ({"quantiles": "half"}, "quantiles='half'"),
    ):
        with pytest.raises(SpecentError, match=text):
            sp.plot.posteriors(broken, "cat | dog", **options)


def test_of_few_trajectories_as_many_are_drawn_as_there_are(runs: xr.Dataset) -> None:
    table = sp.plot.posteriors(runs.isel(sample=[3, 7]), "cat | dog", curves=30, data=True)
    single = table[table["mark"] == "trajectory"][["class_label", "sample"]].drop_duplicates()
    assert sorted(single.values.tolist()) == [["cat", 3], ["cat", 7], ["dog", 3], ["dog", 7]]


def test_no_more_pictures_are_tried_than_there_are() -> None:
    # a row for each of so many would not fit into memory
    positions = np.array([0.0, 1.0, 2.0, 4.0])
    assert chosen_evenly(positions, most=10**9) == chosen_evenly(positions, most=4)


@pytest.mark.parametrize("figure", [hv.Overlay([]), hv.Layout([])], ids=["overlay", "layout"])
def test_an_empty_figure_cannot_be_saved(figure: Any, tmp_path: Path) -> None:
    with pytest.raises(SpecentError, match="empty"):
        sp.plot.save(figure, tmp_path / "figure.pdf")


def test_a_picture_that_would_fill_the_memory_is_refused(prof: xr.Dataset, tmp_path: Path) -> None:
    figure = sp.plot.entropy(prof, partition="cat | dog", estimator="path")
    with pytest.raises(SpecentError, match=r"dpi=2400 makes a picture of 9448[89] by \d+ pixels"):
        sp.plot.save(figure, tmp_path / "figure.png", width=1000, dpi=2400)
    assert not list(tmp_path.iterdir())


def test_selections_of_a_strip_that_select_nothing_are_refused(picture_runs: xr.Dataset, prof: xr.Dataset) -> None:
    with pytest.raises(SpecentError, match="'partitoin' is not one of partition, estimator, dimension, run"):
        sp.plot.predictions(picture_runs, prof, partitoin="cat | dog")
    with pytest.raises(SpecentError, match="partition selects curves of a profile: give prof"):
        sp.plot.predictions(picture_runs, partition="cat | dog")
