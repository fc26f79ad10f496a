"""Results of analyses that are no kind of the data contract: whether a figure was given what it draws."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr

from specent.errors import SpecentError
from specent.schema import KINDS


def need_result(
    dataset: Any, argument: str, maker: str, variables: Iterable[str], coordinates: Iterable[str] = ()
) -> xr.Dataset:
    """The dataset passed as `argument`, if it is what `maker` returns, or a selection of it.

    Parameters
    ----------
    dataset : Dataset
        What was given.
    argument : str
        Its name, for messages.
    maker : str
        The function whose result is needed.
    variables, coordinates : iterable of str
        Variables and coordinates that must be there; the variables are numbers.

    Returns
    -------
    Dataset
        The same, computed.

    Raises
    ------
    SpecentError
        Naming the argument and what it should have been.

    Examples
    --------
    >>> import specent as sp
    >>> need_result(sp.archive.example(), "budget", "specent.chain", ["contribution"])
    Traceback (most recent call last):
    ...
    specent.errors.SpecentError: budget is of kind trajectories; the result of specent.chain is needed
    """
    if not isinstance(dataset, xr.Dataset):
        raise SpecentError(f"{argument} is a {type(dataset).__name__}; the result of {maker} is needed")
    kind = dataset.attrs.get("specent_kind")
    if isinstance(kind, str) and kind in KINDS:
        raise SpecentError(f"{argument} is of kind {kind}; the result of {maker} is needed")
    for name in variables:
        if name not in dataset.data_vars:
            raise SpecentError(f"{argument} has no variable {name!r}; give the result of {maker}, with its variables")
        if dataset[name].dtype.kind not in "fiub":
            raise SpecentError(f"{argument}: {name!r} has type {dataset[name].dtype}; convert it, .astype(float)")
    for name in coordinates:
        if name not in dataset.coords:
            raise SpecentError(
                f"{argument} has no coordinate {name!r}; give the result of {maker}, with its coordinates"
            )
    for dim, size in dataset.sizes.items():
        if not size:
            raise SpecentError(f"{argument}: the dimension {dim!r} has no entries; select one at least")
        names = np.atleast_1d(dataset[dim].values).tolist() if dim in dataset.coords else []
        if len({str(name) for name in names}) < len(names):
            raise SpecentError(f"{argument}: the coordinate {dim!r} holds an entry twice; select each once")
    return dataset.compute()
