"""What is read from u-turns for a figure: a series of shares for every mover and run, and what belongs together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from specent import arguments
from specent.errors import SpecentError, visible
from specent.partitions import Partition
from specent.plotting import style
from specent.plotting.select import Series
from specent.schema import need

Array = NDArray[np.float64]

MOVER_NAMES = {"null": "null condition", "mixture": "mixture of classes", "class": "drawn class"}
"""What the movers of `specent.u_turn` are called in a figure."""

POSTERIOR, EXACT = "posterior", "exact"


def measured_and_exact(turns: Any) -> tuple[xr.Dataset | None, xr.Dataset | None]:
    """The measured and the exact dataset among some u-turns, of which one may be missing.

    Raises
    ------
    SpecentError
        If one is of another kind, there are several of a sort, or both count the ends on different sides.
    """
    given = [turns] if isinstance(turns, xr.Dataset) else arguments.listed(turns, "turns", "give datasets")
    datasets = [need(one, "interventions", "turns") for one in given]
    exact = [one for one in datasets if is_exact(one)]
    measured = [one for one in datasets if not is_exact(one)]
    if not datasets or len(exact) > 1 or len(measured) > 1:
        raise SpecentError(
            f"turns are {len(measured)} measured and {len(exact)} exact datasets; give one of each at most, and put "
            "several beside each other by specent.compare"
        )
    if exact and measured and not same_sides(measured[0], exact[0]):
        raise SpecentError("turns count the ends on different sides; give the exact u-turns of the same partition")
    return next(iter(measured), None), next(iter(exact), None)


def is_exact(turns: xr.Dataset) -> bool:
    """Whether u-turns are those of a mixture in closed form."""
    return "mover" in turns.coords and set(np.atleast_1d(turns["mover"].values).tolist()) == {EXACT}


def same_sides(one: xr.Dataset, other: xr.Dataset) -> bool:
    """Whether two sets of u-turns count ends on the same sides."""
    try:
        first, second = (Partition.from_json(str(part.attrs.get("partition", ""))).sides for part in (one, other))
    except SpecentError:
        return False
    return first == second


def quantity_of(turns: xr.Dataset) -> str:
    """What u-turns count: returns of the chain, or the basins of the deterministic continuation."""
    name = "basin" if "basin" in turns and "phi" not in turns else "phi"
    need(turns, "interventions", "turns", (name,))
    return name


def shares_of_turns(turns: xr.Dataset, name: str, axis: str) -> list[Series]:
    """What was counted, for every run and mover.

    Raises
    ------
    SpecentError
        If none of it is a finite number.
    """
    curves = _series(turns, name, axis, turns["mover"].values.astype(str).tolist())
    if not any(np.isfinite(one.y).any() for one in curves):
        raise SpecentError(f"nothing to draw: {name!r} holds no finite number in this selection")
    return [one for one in curves if np.isfinite(one.y).any()]


def predictions_of_posterior(turns: xr.Dataset, axis: str) -> list[Series]:
    """What the posterior at the turn predicts, for every run; nothing where the dataset does not say."""
    if "posterior_phi" not in turns:
        return []
    return [one for one in _series(turns, "posterior_phi", axis, [POSTERIOR]) if np.isfinite(one.y).any()]


def _series(turns: xr.Dataset, name: str, axis: str, movers: Sequence[str]) -> list[Series]:
    x, values = style.positions(turns, axis), []
    runs = turns["run"].values.astype(str).tolist() if "run" in turns[name].dims else [""]
    for key in (name, f"{name}_lower", f"{name}_upper"):
        one = turns[key if key in turns else name]
        whole = one.expand_dims([dim for dim in ("run", "mover") if dim not in one.dims])
        values.append(np.asarray(whole.transpose("run", "mover", "time").values, dtype=np.float64))
    nowhere = np.zeros(x.shape, dtype=bool)
    return [
        Series(_names(run, mover), "", x, values[0][i, j], values[1][i, j], values[2][i, j], nowhere)
        for i, run in enumerate(runs)
        for j, mover in enumerate(movers)
    ]


def _names(run: str, mover: str) -> dict[str, str]:
    # HoloViews asks for the name of every letter, which control characters do not have
    names = {"run": visible(run), "mover": visible(mover)} if run else {"mover": visible(mover)}
    return names | {"estimator": EXACT} if mover == EXACT else names


def counted(curves: Sequence[Series]) -> list[Series]:
    """Those of some series that were counted, neither predicted nor exact."""
    return [one for one in curves if one.names["mover"] not in (POSTERIOR, EXACT)]


def table_of_shares(curves: Sequence[Series], axis: str, name: str) -> pd.DataFrame:
    """A row for every noise level of every series."""
    dims = [dim for dim in ("run", "mover") if any(dim in one.names for one in curves)]
    rows = [
        {dim: one.names.get(dim, "") for dim in dims}
        | {axis: one.x, name: one.y, "lower": one.lower, "upper": one.upper}
        for one in curves
    ]
    return pd.concat([pd.DataFrame(row) for row in rows], ignore_index=True)
