"""The price of guidance in the sentence of a page."""

from __future__ import annotations

import xarray as xr

import specent as sp
from specent.plotting.results import result
from specent.schema import KINDS


def sentence(*runs: xr.Dataset) -> str:
    return result({kind: list(runs) if kind == "trajectories" else [] for kind in KINDS})


def test_guided_trajectories_are_said_to_cost_their_price() -> None:
    runs = sp.archive.example()
    row = sp.guidance_price(runs).sel(guidance="w=2")
    price, lower, upper = (float(row[f"price{end}"]) for end in ("", "_lower", "_upper"))
    said = sentence(runs)
    assert said.startswith("Price of guidance")
    assert f"w=2 {price:.2f} [{lower:.2f}, {upper:.2f}] bit." in said


def test_nothing_is_said_of_unguided_trajectories_or_where_the_price_is_not_known() -> None:
    runs = sp.archive.example()
    assert sentence(runs.sel(guidance=["unguided"])) == ""
    assert sentence(runs.sel(guidance=["w=2"])) == ""
