"""Which figures datasets can have at all: told by their kinds and dimensions, before anything is analysed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence

import xarray as xr

from specent.errors import SpecentError, SpecentWarning
from specent.plotting.raster import PIXELS, final_pictures
from specent.plotting.select import Names, names_of

_CURVES = ("profiles", "trajectories", "statistics")


def refuse_unavailable(names: Sequence[str], datasets: Sequence[xr.Dataset]) -> None:
    """Refuse figures of which the datasets can have none, before the long analysis that would find so.

    Parameters
    ----------
    names : sequence of str
        Names of figures.
    datasets : sequence of Dataset
        Of any kind, as they were given.

    Raises
    ------
    SpecentError
        If no figure can be drawn; it names those that can.

    Examples
    --------
    >>> import specent as sp
    >>> refuse_unavailable(["rate", "scaling"], [sp.archive.example()])
    >>> refuse_unavailable(["quality"], [sp.archive.example()])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    specent.errors.SpecentError: nothing to draw: ... have none of quality; they allow entropy, rate, windows, ...
    """
    possible = available(datasets)
    if possible.isdisjoint(names):
        raise nothing_to_draw(names, datasets)


def nothing_to_draw(names: Sequence[str], datasets: Sequence[xr.Dataset]) -> SpecentError:
    """The error that datasets have none of some figures, with those that they may have instead."""
    kinds = ", ".join(sorted({_kind(one) for one in datasets}))
    possible = available(datasets)
    others = [name for name in _NEEDS if name in possible and name not in names]
    which = "no figure" if len(names) == len(_NEEDS) else f"none of {', '.join(names)}"
    text = f"nothing to draw: datasets of kind {kinds} have {which}"
    if kinds == "scaling":
        # a fit is a line through points of another dataset
        return SpecentError(f"{text}; give the speciation that was fitted as well")
    return SpecentError(f"{text}; they allow {', '.join(others)}" if others else text)


def warn_of_empty(figures: Names, drawn: Iterable[str], datasets: Sequence[xr.Dataset]) -> None:
    """Warn of figures that were named and are empty where others are drawn.

    Parameters
    ----------
    figures : str or sequence of str, optional
        The figures as they were named; none of all that are drawn by default needs to be there.
    drawn : iterable of str
        Names of those that are drawn.
    datasets : sequence of Dataset
        Of any kind, as they were given.
    """
    there = set(drawn)
    empty = [] if figures is None else [name for name in names_of(figures) if name not in there]
    if empty:
        reason = str(nothing_to_draw(empty, datasets)).removeprefix("nothing to draw: ")
        warnings.warn(f"{', '.join(empty)} left out: {reason}", SpecentWarning, stacklevel=3)


def available(datasets: Sequence[xr.Dataset]) -> set[str]:
    """Names of the figures that may follow from the datasets; some of them may yet turn out to be empty."""
    return {name for name, needed in _NEEDS.items() if any(needed(one) for one in datasets)}


def _kind(dataset: xr.Dataset) -> str:
    return str(dataset.attrs["specent_kind"])


def _curves(dataset: xr.Dataset) -> bool:
    return _kind(dataset) in _CURVES


def _summary(dataset: xr.Dataset) -> bool:
    return _kind(dataset) in (*_CURVES, "speciation")


def _sweep(dataset: xr.Dataset) -> bool:
    return _summary(dataset) and dataset.sizes.get("dimension", 1) > 1


def _guided(dataset: xr.Dataset) -> bool:
    return _curves(dataset) and dataset.sizes.get("guidance", 1) > 1


def _trajectories(dataset: xr.Dataset) -> bool:
    return _kind(dataset) == "trajectories"


def _analysed(dataset: xr.Dataset) -> bool:
    return _trajectories(dataset) and "definition" in dataset.coords and "log_likelihood" in dataset


def _predicted(dataset: xr.Dataset) -> bool:
    return _trajectories(dataset) and "prediction" in dataset and set(PIXELS) <= set(dataset["prediction"].dims)


def _finished(dataset: xr.Dataset) -> bool:
    return _trajectories(dataset) and final_pictures(dataset)[0] is not None


def _in_the_plane(dataset: xr.Dataset) -> bool:
    return _trajectories(dataset) and "final" in dataset and dataset["final"].sizes.get("feature", 0) in (1, 2)


_NEEDS: dict[str, Callable[[xr.Dataset], bool]] = {
    "entropy": _curves,
    "rate": _curves,
    "rescaled": _sweep,
    "windows": _summary,
    "pair_matrix": _summary,
    "tree": _summary,
    "scaling": _sweep,
    "predictions": _predicted,
    "samples": _finished,
    "posteriors": _analysed,
    "reliability": _analysed,
    "paths": _in_the_plane,
    "disagreement": _curves,
    "class_production": _guided,
    "guidance_effect": lambda one: _kind(one) == "differences",
    "quality": lambda one: _kind(one) == "quality",
    "returns": lambda one: _kind(one) == "interventions",
}
