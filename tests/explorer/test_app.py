"""What follows from choices: the curves are those of `specent.entropy`, and the address those of the state."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent.explorer.app import Explorer
from specent.explorer.state import State
from specent.explorer.views import PAIR_VIEWS, PROFILE_VIEWS, trajectory_near

MakeExplorer = Callable[..., Explorer]


def drawn_numbers(explorer: Explorer, name: str) -> list[Any]:
    """Everything that the data sources of a figure hold, column by column."""
    drawing = explorer.cards[name].drawing
    assert drawing is not None
    sources = [one for one in drawing.model.references() if type(one).__name__ == "ColumnDataSource"]
    return [np.asarray(column) for one in sources for column in one.data.values()]


def is_drawn(explorer: Explorer, name: str, values: Any) -> bool:
    return any(
        column.shape == values.shape and column.dtype.kind == "f" and np.allclose(column, values)
        for column in drawn_numbers(explorer, name)
    )


def test_the_page_can_be_served_before_figures_are_imported() -> None:
    code = "import sys, specent; specent.explorer; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "panel" in loaded
    assert not {"holoviews", "matplotlib", "specent.plotting", "scipy.optimize", "distributed"} & set(loaded)


def test_figures_of_what_was_chosen_before_are_not_drawn(explorer: MakeExplorer) -> None:
    one = explorer(partition="cat | dog")
    waiting: list[Callable[[], None]] = []
    one._later = waiting.append

    def drawings() -> list[Any]:
        """What the figure of the entropy was drawn from, one after the other."""
        card = one.cards["entropy"]
        seen = [card._read]
        while waiting:
            waiting.pop(0)()
            if card._read is not seen[-1]:
                seen.append(card._read)
        return seen

    one.change(axis="sigma")
    one.choose(axis="log_sigma")
    assert len(drawings()) == 2
    assert is_drawn(one, "entropy", np.log(one.source.dataset["sigma"].values / one.source.dataset["alpha"].values))
    # a choice that is refused leaves no figure undrawn
    one.change(axis="log_snr")
    one.choose(partition="cat | cow")
    assert len(drawings()) == 2
    assert is_drawn(one, "entropy", one.source.dataset["log_snr"].values)


def test_a_typed_partition_draws_the_curve_of_entropy(explorer: MakeExplorer, example_runs: xr.Dataset) -> None:
    one = explorer()
    one.choices.text.value = "cat, car | dog"
    direct = sp.entropy(example_runs.sel(guidance=["unguided"]), ["cat, car | dog"], "path")
    assert one.answer is not None
    xr.testing.assert_identical(one.answer.profiles.drop_attrs(deep=False), direct.drop_attrs(deep=False))
    assert is_drawn(one, "entropy", direct["entropy"].values.ravel())
    assert is_drawn(one, "rate", direct["entropy_rate"].values.ravel())


def test_classes_clicked_into_groups_are_a_partition(explorer: MakeExplorer) -> None:
    one = explorer(start=False)
    one._work = lambda *_: None  # type: ignore[method-assign]
    one.choices.groups.groups = {"cat": "A"}
    assert one.state.partition == "full"
    one.choices.groups.groups = {"cat": "A", "car": "B", "dog": "B"}
    assert one.state.partition == "cat | dog, car"
    assert one.choices.text.value == "cat | dog, car"
    # the groups of a stored partition are shown
    one.choices.stored.value = "cat | dog"
    assert one.choices.groups.groups == {"cat": "A", "dog": "B"}


def test_a_wrong_partition_is_said_and_changes_nothing(explorer: MakeExplorer) -> None:
    one = explorer(start=False)
    one._work = lambda *_: None  # type: ignore[method-assign]
    before = one.state
    one.choices.text.value = "cat | <i>cow</i>"
    assert one.state == before
    words = one.choices.problem.object
    assert "unknown label &#x27;&lt;i&gt;cow" in words
    assert 'role="alert"' in words
    one.choices.text.value = "cat | dog"
    assert one.choices.problem.object == ""


def test_every_choice_is_in_the_address_and_comes_back(explorer: MakeExplorer) -> None:
    states: list[State] = []
    one = explorer(moved=states.append)
    # what is drawn is looked at elsewhere
    one.answer = None
    one._work = lambda *_: None  # type: ignore[method-assign]
    one.choices.guidance.value = "w=2"
    one.choices.estimator.value = ["path", "cross_entropy"]
    one.choices.axis.value = "sigma"
    one.choices.level.value = 3
    one.choices.class_label.value = "dog"
    one.choices.sample.value = 2
    one.choices.pinned.value = True
    one.choices.theme.value = "dark"
    again = State.of_query(states[-1].to_query())
    assert again == states[-1] == one.state
    assert (again.guidance, again.axis, again.pinned, again.theme) == (("w=2",), "sigma", True, "dark")
    assert (again.class_label, again.sample) == ("dog", 2)
    assert again.level == pytest.approx(one.source.log_snr[3])
    restored = explorer(start=False, **vars(again))
    assert restored.state == one.state
    assert restored.choices.text.value == "full"


def test_an_address_with_unknown_names_opens_with_the_default(explorer: MakeExplorer) -> None:
    wrong = {"guidance": ("w=7",), "estimator": ("guess",), "class_label": "cow", "sample": 10**6}
    one = explorer(start=False, partition="cat | cow", **wrong)
    assert one.state.partition == "full"
    assert one.state.guidance == ("unguided",)
    assert one.state.estimator == ("path",)
    assert (one.state.class_label, one.state.sample) == ("cat", 59)
    assert "cow" in one.choices.problem.object


def test_the_noise_level_starts_where_half_of_the_entropy_is_left(
    explorer: MakeExplorer, example_runs: xr.Dataset
) -> None:
    one = explorer(partition="cat | dog")
    curve = sp.entropy(example_runs.sel(guidance=["unguided"]), "cat | dog", "path")["entropy"].squeeze()
    # the nearest time of the grid to where the curve crosses half a bit
    step = int(np.flatnonzero(curve.values > 0.5)[0])
    assert one.state.level in curve["log_snr"].values[[step - 1, step]]


def test_the_python_lines_give_the_numbers_that_are_shown(explorer: MakeExplorer, tmp_path: Path) -> None:
    with sp.archive.example() as runs:
        path = sp.write(runs, tmp_path / "runs.nc")
    one = explorer(path, partition="cat, car | dog", guidance=("w=2",), axis="sigma")
    names: dict[str, Any] = {}
    exec(bytes(one.downloads.python.callback().getvalue()).decode(), names)
    assert one.answer is not None
    assert one.answer.summary is not None
    assert one.pairs is not None
    assert one.pairs.summary is not None
    xr.testing.assert_equal(names["profile"], one.answer.profiles)
    xr.testing.assert_equal(names["summary"], one.answer.summary)
    xr.testing.assert_equal(names["pair_summary"], one.pairs.summary)
    assert {view.name for view in (*PROFILE_VIEWS, *PAIR_VIEWS)} <= names.keys()


def test_the_profile_is_saved_as_a_sealed_archive(explorer: MakeExplorer, tmp_path: Path) -> None:
    one = explorer(partition="cat | dog")
    path = tmp_path / "profile.nc"
    path.write_bytes(one.downloads.profile.callback().getvalue())
    sp.validate(path)
    with sp.open(path) as again:
        assert one.answer is not None
        np.testing.assert_array_equal(again["entropy"], one.answer.profiles["entropy"])


def test_profiles_offer_what_they_hold(explorer: MakeExplorer, example_runs: xr.Dataset) -> None:
    profiles = sp.entropy(example_runs, estimator=("path", "cross_entropy"))
    one = explorer(profiles)
    one.choices.stored.value = "cat | dog"
    assert is_drawn(
        one, "entropy", profiles["entropy"].sel(partition="cat | dog", guidance="unguided", estimator="path").values
    )
    one.choices.text.value = "cat | car"
    assert "choose one of those" in one.choices.problem.object
    assert not one.choices.groups.visible


# five steps are too few for the estimators to agree
@pytest.mark.filterwarnings("ignore::specent.errors.CalibrationWarning")
def test_statistics_are_explored_like_the_trajectories_they_are_of(explorer: MakeExplorer, tmp_path: Path) -> None:
    mix = sp.exact.GaussianMixture([[-1.0], [1.0], [3.0]], labels=["a", "b", "c"])
    schedule, time = sp.schedules.VE(), sp.schedules.edm_grid(8, 0.05, 20.0)
    options: dict[str, Any] = {"partitions": ["full", "a | b"], "seed": 5}
    plan = sp.Plan(sp.models.mixture(mix), schedule, time, 25, record="statistics", **options)
    folder = sp.run(plan, tmp_path / "run", progress=False)
    runs = sp.sample(sp.models.mixture(mix), schedule=schedule, time=time, samples=25, progress=False, **options)
    one = explorer(folder, partition="a | b")
    assert is_drawn(one, "entropy", sp.entropy(runs, "a | b", "path")["entropy"].values.ravel())
    one.choices.text.value = "a | c"
    assert one.state.partition == "a | b"
    assert "choose one of those" in one.choices.problem.object


def test_the_trajectory_nearest_to_a_click_is_shown(explorer: MakeExplorer, example_runs: xr.Dataset) -> None:
    one = explorer(partition="cat | dog")
    scene = one.scene()
    assert scene is not None
    # the first trajectories of each class are drawn
    few = example_runs["log_likelihood"].isel(guidance=0, time=12, sample=slice(0, 3)).astype(float)
    level = float(example_runs["log_snr"].values[12])
    for label, other in (("cat", "dog"), ("dog", "cat")):
        own = few.sel(class_label=label)
        # the posterior of two classes that are equally likely, by the difference of their log-likelihoods
        posteriors = 1 / (1 + np.exp(own.sel(candidate=other) - own.sel(candidate=label)))
        for sample, posterior in enumerate(posteriors.values):
            assert trajectory_near(scene, level, float(posterior)) == (label, sample)


@pytest.mark.parametrize("kind", ["speciation", "quality"])
def test_other_kinds_are_refused(kind: str) -> None:
    with pytest.raises(sp.SpecentError, match=f"of kind '{kind}'; explore shows trajectories, statistics, profiles"):
        sp.explore(xr.Dataset(attrs={"specent_kind": kind}))


def test_a_notebook_begins_where_it_is_told(example_runs: xr.Dataset) -> None:
    page = sp.explore(example_runs, partition="cat | dog", guidance="w=2", theme="dark")
    assert len(page) > 3
    # its parts take their colours from it, as a notebook has none for them
    assert page.styles["--ground"] == page.styles["--ground"].lower() != "#ffffff"
    with pytest.raises(sp.SpecentError, match="colour='red' is no part of a view; choose from partition"):
        sp.explore(example_runs, colour="red")
    with pytest.raises(sp.SpecentError, match="unknown label 'cow'"):
        sp.explore(example_runs, partition="cat | cow")


@pytest.mark.parametrize(
    "field",
    [
        {"axis": "step"}, {"axis": None}, {"level": "x"}, {"level": np.nan}, {"level": [1]}, {"guidance": 3},
        {"guidance": None}, {"guidance": "w=9"}, {"guidance": ["w=2", "w=9"]}, {"run": "first"}, {"estimator": "exact"},
        {"estimator": [None]}, {"class_label": "zebra"}, {"class_label": None}, {"sample": "x"}, {"sample": None},
        {"sample": 1.5}, {"sample": -5}, {"pinned": "yes"}, {"theme": "<b>"}, {"theme": 3}, {"partition": 3},
    ],
    ids=repr,
)  # fmt: skip
def test_a_state_that_cannot_be_is_refused_by_its_name(field: dict[str, Any], example_runs: xr.Dataset) -> None:
    with pytest.raises(sp.SpecentError, match=rf"^{next(iter(field))}(\[0\])?="):
        sp.explore(example_runs, **field)


def test_trajectories_without_evidence_are_refused(example_runs: xr.Dataset) -> None:
    with pytest.raises(sp.SpecentError, match="'log_likelihood' is missing"):
        sp.explore(example_runs.drop_vars("log_likelihood"))


def test_only_figures_that_read_what_changed_are_drawn_again(explorer: MakeExplorer) -> None:
    one = explorer(partition="cat | dog")

    def drawings() -> dict[str, Any]:
        """What every figure was drawn from: the model on the page may be the same."""
        return {name: card._read for name, card in one.cards.items() if card.drawing is not None}

    def redrawn(**fields: Any) -> set[str]:
        before = drawings()
        one.change(**fields)
        now = drawings()
        assert now.keys() == before.keys()
        return {name for name in now if now[name] is not before[name]}

    curves = {"entropy", "rate", "windows"}
    moment = {"posterior_histogram", "trajectory_posteriors"}
    assert drawings().keys() >= curves | moment | {"tree", "pair_matrix"}
    # the example has no predictions, of which nothing can be drawn
    assert redrawn(level=float(one.source.log_snr[3])) == {"posterior_histogram"}
    assert redrawn(class_label="dog", sample=1) == {"trajectory_posteriors"}
    assert redrawn(axis="sigma") == {*curves, "trajectory_posteriors", "tree"}
    # pairs are those of the classes, whatever the partition
    assert redrawn(partition="cat | car") == curves | moment
    assert redrawn(theme="dark") == set()


def test_a_run_that_grows_is_taken_in_and_one_that_is_gone_is_said(explorer: MakeExplorer, tmp_path: Path) -> None:
    mix = sp.exact.GaussianMixture([[-4.0], [4.0]], labels=["left", "right"])
    plan = sp.Plan(sp.models.mixture(mix), sp.schedules.VE(), sp.schedules.edm_grid(8), 30, partitions=["full"], seed=3)
    folder = sp.run(plan, tmp_path / "run", progress=False, shard=10)
    shards = {start: list(folder.glob(f"shard-*-s{start:07d}-*.nc")) for start in (10, 20)}
    away = tmp_path / "away"
    away.mkdir()
    for path in (*shards[10], *shards[20]):
        path.rename(away / path.name)
    with pytest.warns(sp.SpecentWarning, match="opened are 10 samples of every class, of 30"):
        direct = [sp.entropy(sp.open(folder), estimator="path")]
    one = explorer(folder)
    seen = []
    # one span comes, another, then one is set aside
    for change in (shards[10], shards[20]):
        for path in change:
            (away / path.name).rename(path)
        one.follow()
        assert one.answer is not None
        seen.append((one.source.done, one.answer.of))
    assert seen == [(one.source.shards * 2 // 3, 20), (one.source.shards, 30)]
    assert is_drawn(one, "entropy", sp.entropy(sp.open(folder), estimator="path")["entropy"].values.ravel())
    assert not is_drawn(one, "entropy", direct[0]["entropy"].values.ravel())
    assert "following" not in one.status.object


def test_a_run_whose_shard_or_folder_goes_is_still_shown(explorer: MakeExplorer, tmp_path: Path) -> None:
    mix = sp.exact.GaussianMixture([[-4.0], [4.0]], labels=["left", "right"])
    plan = sp.Plan(sp.models.mixture(mix), sp.schedules.VE(), sp.schedules.edm_grid(8), 30, partitions=["full"], seed=3)
    folder = sp.run(plan, tmp_path / "run", progress=False, shard=10)
    for path in folder.glob("shard-*-s0000020-*.nc"):
        path.unlink()
    one = explorer(folder)
    assert one.answer is not None
    assert one.answer.of == 20
    aside = folder / "damaged"
    aside.mkdir()
    for path in folder.glob("shard-*-s0000010-*.nc"):
        path.rename(aside / path.name)
    one.follow()
    assert one.answer.of == 10
    folder.rename(tmp_path / "elsewhere")
    one.follow()
    assert "is no longer there; what is shown was read before" in one.status.object
    assert one.answer.of == 10
    assert one.cards["entropy"].drawing is not None
    (tmp_path / "elsewhere").rename(folder)
    one.follow()
    assert "no longer there" not in one.status.object
    assert "following the run" in one.status.object
