"""Figures that datasets cannot have are refused before anything is analysed, and no others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import xarray as xr

import specent as sp
from specent.errors import SpecentError
from specent.plotting import export, pages
from specent.plotting.available import _NEEDS, available
from specent.plotting.contents import FIGURES, PAGE_FIGURES, Section
from specent.plotting.derived import with_profiles


def test_every_figure_says_what_it_needs() -> None:
    assert tuple(_NEEDS) == FIGURES


@pytest.fixture(scope="module")
def sweep() -> xr.Dataset:
    schedule = sp.schedules.VP()
    grid = sp.schedules.log_snr_grid(schedule, 41, -12.0, 4.0)
    return sp.exact.scaling_profiles([16, 64, 256], schedule, grid)


@pytest.fixture(scope="module")
def collection(pair_profiles: xr.Dataset, sweep: xr.Dataset) -> dict[str, list[xr.Dataset]]:
    summary = sp.speciation(sweep)
    return {
        "trajectories": [sp.archive.example()],
        "profiles": [pair_profiles],
        "sweep": [sweep],
        "summary of a sweep and its fit": [summary, sp.fit_scaling(summary)],
        "fit": [sp.fit_scaling(summary)],
        "u-turns": [sp.exact.u_turns(sp.exact.GaussianMixture([[-8.0], [8.0]]), sp.schedules.VE(), [4.0, 8.0])],
    }


def empty(datasets: Sequence[xr.Dataset], names: Iterable[str]) -> set[str]:
    """Those of some figures of which a page draws none."""
    whole, _ = with_profiles(datasets, None)
    section = Section.of(whole, None).with_summaries(progress=False)
    return {name for name in names if next(iter(PAGE_FIGURES[name].draw(section)), None) is None}


@pytest.mark.filterwarnings("ignore::specent.errors.SpecentWarning")  # some curves never fall to half
def test_nothing_that_can_be_drawn_is_refused(collection: dict[str, list[xr.Dataset]]) -> None:
    refused = {key: set(FIGURES) - available(datasets) for key, datasets in collection.items()}
    assert {key: empty(collection[key], names) for key, names in refused.items()} == refused
    assert refused["fit"] == set(FIGURES)
    assert available(collection["u-turns"]) == {"returns"}
    assert {"scaling", "rescaled"} <= available(collection["sweep"])
    assert {"scaling", "samples", "quality", "predictions"} <= refused["trajectories"]


@pytest.mark.parametrize(("write", "name"), [(sp.plot.page, "page.html"), (sp.plot.save_figures, "figure.pdf")])
def test_what_cannot_be_drawn_is_refused_before_the_analysis(
    write: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def analysis(*_: Any) -> Any:
        raise AssertionError("it was analysed")

    for module in (pages, export):
        monkeypatch.setattr(module, "with_profiles", analysis)
    with pytest.raises(SpecentError, match=r"trajectories have none of scaling, quality; they allow entropy, rate"):
        write(sp.archive.example(), tmp_path / name, figures=["scaling", "quality"])
    assert list(tmp_path.iterdir()) == []
