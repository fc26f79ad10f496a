"""Colours by name: a partition, guidance setting or run has the same colour in all figures of a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import xarray as xr

from specent.plotting import style
from specent.plotting.select import families

_AGREED: ContextVar[Mapping[str, str] | None] = ContextVar("agreed colours", default=None)


def hues(names: Sequence[str], *, ordered: bool = False) -> dict[str, str]:
    """The colour of every name: what the figures of a page agreed on, otherwise the palette from its start.

    Parameters
    ----------
    names : sequence of str
        All different.
    ordered : bool
        Whether they are an ordered scale.

    Returns
    -------
    dict
        Colours by name.

    Examples
    --------
    >>> alone = hues(["3 | 8"])["3 | 8"]
    >>> with agreed({"0 | 1": "#5790fc", "3 | 8": "#f89c20"}):
    ...     together = hues(["3 | 8"])["3 | 8"]
    >>> alone, together
    ('#5790fc', '#f89c20')
    """
    known = _AGREED.get() or {}
    if names and all(name in known for name in names):
        return {name: known[name] for name in names}
    return dict(zip(names, style.colours(len(names), ordered=ordered), strict=True))


@contextmanager
def agreed(colours: Mapping[str, str]) -> Iterator[None]:
    """Within it, figures draw these names in these colours."""
    token = _AGREED.set(colours)
    try:
        yield
    finally:
        _AGREED.reset(token)


def common_colours(datasets: Sequence[xr.Dataset]) -> dict[str, str]:
    """The colour of every guidance setting, run and partition, as far as there are no more of a sort than colours.

    Partitions are of one sort family by family.

    Parameters
    ----------
    datasets : sequence of Dataset
        Of any kind; those without these dimensions count for nothing.

    Returns
    -------
    dict
        Colours by name.
    """
    members: dict[str, dict[str, None]] = {}
    for one in datasets:
        for dim in ("run", "guidance"):
            for name in one[dim].values.tolist() if dim in one.dims else ():
                members.setdefault(dim, {})[str(name)] = None
        if "partition" in one.dims:
            for name, family in zip(one["partition"].values.tolist(), families(one), strict=True):
                members.setdefault(family, {})[str(name)] = None
    few = [list(names) for names in members.values() if len(names) <= len(style.LONG_PALETTE)]
    return {name: colour for names in few for name, colour in zip(names, style.colours(len(names)), strict=True)}
