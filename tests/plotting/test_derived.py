"""A page analyses what it is given: profiles of trajectories, speciation of profiles, scaling over dimensions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import specent as sp
from specent.errors import SpecentError, SpecentWarning


@pytest.fixture(scope="module")
def runs() -> xr.Dataset:
    """Trajectories of three components, sampled with the full set."""
    mix = sp.exact.GaussianMixture([[-6.0], [0.0], [6.0]], labels=["a", "b", "c"])
    options = {"schedule": sp.schedules.VE(), "time": sp.schedules.edm_grid(32), "samples": 40, "progress": False}
    return sp.sample(sp.models.mixture(mix), partitions="full", **options)


def page(datasets: object, folder: Path, **options: object) -> str:
    return sp.plot.page(datasets, folder / "page.html", overwrite=True, **options).read_text(encoding="utf-8")


def test_a_page_of_trajectories_has_their_profiles_and_summaries(runs: xr.Dataset, tmp_path: Path) -> None:
    text = page(runs, tmp_path)
    for name in ("entropy", "rate", "windows"):
        assert text.count(f'<figure class="{name}">') == 1
    assert text.count('class="half"') == 1
    # the number is that of the analysis
    spec = sp.speciation(sp.entropy(runs), axis="sigma").squeeze()
    value, low, high = (float(spec[f"half_entropy{end}"].sel(estimator="path")) for end in ("", "_lower", "_upper"))
    assert f"{value:.2f} <small>[{low:.2f}, {high:.2f}]</small>" in text
    assert f"noise level {value:.2f} [{low:.2f}, {high:.2f}]" in text


def test_any_partition_of_trajectories_can_be_drawn(runs: xr.Dataset, tmp_path: Path) -> None:
    options = {"figures": ["entropy", "windows"], "plain": True, "estimator": "path"}
    text = page(runs, tmp_path, partition=["a|rest", "full"], **options)
    assert '"a | rest' in text
    assert '"full' in text
    assert '"a | b' in page(runs, tmp_path, partition=sp.Partition.pair("a", "b"), **options)
    with pytest.raises(SpecentError, match="partition='everything' is none of those sampled with"):
        page(runs, tmp_path, partition="everything")


def test_what_is_given_is_not_analysed_again(runs: xr.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    profiles = sp.entropy(runs, ["full", "a|b"], "path")
    datasets = [runs, profiles, sp.speciation(profiles)]

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("analysed again")

    monkeypatch.setattr("specent.plotting.derived.entropy", refused)
    monkeypatch.setattr("specent.plotting.derived.summarise", refused)
    windows = {"figures": ["windows"]}
    assert page(datasets, tmp_path, **windows).count('class="half"') == 1
    # not even where only a part of it is there
    part = [profiles.sel(partition=["full"]), datasets[2]]
    assert page(part, tmp_path, **windows).count('class="half"') == 1
    # summaries that no figure shows are not made
    assert 'class="half"' not in page(profiles, tmp_path, figures=["entropy"])


def test_profiles_of_other_runs_are_analysed(runs: xr.Dataset, ve_profiles: xr.Dataset, tmp_path: Path) -> None:
    sweep, estimators = ve_profiles.isel(dimension=slice(0, 4)), ["path", "exact"]
    text = page([runs, sweep], tmp_path, figures=["entropy", "windows", "scaling"], estimator=estimators)
    assert text.count('class="half"') == 2
    assert text.count('<figure class="scaling">') == 1


def test_profiles_that_cannot_be_summarised_are_drawn_with_a_warning(ve_profiles: xr.Dataset, tmp_path: Path) -> None:
    broken = ve_profiles.isel(dimension=slice(0, 3)).copy(deep=True)
    broken.entropy[{"dimension": 0, "time": 5}] = np.nan
    empty = pytest.warns(SpecentWarning, match="windows left out")
    with empty, pytest.warns(SpecentWarning, match="drawn without half-entropy noise levels"):
        text = page(broken, tmp_path, figures=["rescaled", "windows"])
    assert '<figure class="rescaled">' in text
    assert 'class="half"' not in text


def test_curves_that_a_join_left_empty_cost_the_others_nothing(pair_profiles: xr.Dataset, tmp_path: Path) -> None:
    # exact curves beside guided ones: there is no exact curve under guidance
    joined = pair_profiles.sel(estimator=["exact", "path"], partition=["cat | dog"])
    with pytest.warns(SpecentWarning, match="1 of 4 profiles hold no number"):
        text = page(joined, tmp_path, figures=["entropy", "windows"])
    assert '<figure class="entropy">' in text
    assert 'class="half"' in text


def test_profiles_without_the_partition_that_is_analysed_are_left_out_with_a_warning(
    runs: xr.Dataset, tmp_path: Path
) -> None:
    mix = sp.exact.GaussianMixture([[-6.0], [0.0], [6.0]], labels=["a", "b", "c"])
    exact = sp.exact.profiles(mix, sp.schedules.VE(), runs.time, "full")
    options = {"figures": ["entropy"], "plain": True, "estimator": "path"}
    with pytest.warns(
        SpecentWarning, match=r"have none of the partitions .*a \| b.* only trajectories can be analysed"
    ):
        text = page([runs, exact], tmp_path, partition="a|b", **options)
    assert '"a | b' in text
    # the spelling of a partition makes no difference to profiles either
    profiles = sp.entropy(runs, ["full", "a|b"], "path")
    assert '"a | b' in page(profiles, tmp_path, partition="a|b", figures=["entropy"], plain=True)
