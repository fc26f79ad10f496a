"""Final samples of class-conditional chains, and numbers over several seeds."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from specent.errors import SpecentWarning

if TYPE_CHECKING:
    import xarray as xr

    from specent.guidance import Setting
    from specent.models.base import Model


def samples_by_class(
    model: Model, time: NDArray[np.float64], samples: int, guidance: Sequence[Setting], seed: int,
    labels: Sequence[str] | None = None, **options: Any,
) -> xr.Dataset:  # fmt: skip
    """Final samples of every class, each by the conditions that move it alone: nothing else is evaluated.

    Parameters
    ----------
    model : Model
        The model.
    time : ndarray, shape (time,)
        Grid of the chain, of the schedule `VE`.
    samples : int
        Samples of each class.
    guidance : sequence of settings
        Guidance settings, which share their noise.
    seed : int
        Seed of the random streams, which the samples of a class keep on every grid.
    labels : sequence of str, optional
        Labels of the classes; all by default.
    **options
        More of `specent.sample`.

    Returns
    -------
    Dataset
        Kind ``trajectories`` with nothing but ``final``, as `specent.quality.measure` reads it.
    """
    import xarray as xr

    from specent import sampling, schedules
    from specent.sampling.record import Record

    guided = any(getattr(setting, "scale", 0.0) != 1.0 for setting in guidance)
    parts = []
    for label in model.labels if labels is None else labels:
        scored = [label, *(["null"] if guided else [])]
        with warnings.catch_warnings():
            # what a coarse grid does to the samples is the question here
            warnings.filterwarnings("ignore", "the last step of the grid", SpecentWarning)
            runs = sampling.sample(
                model, schedule=schedules.VE(), time=time, samples=samples, guidance=list(guidance), classes=[label],
                candidates=scored, seed=seed, record=Record(distances=False), check=False, progress=False, **options,
            )  # fmt: skip
        parts.append(runs[["final"]])
    return xr.concat(parts, "class_label", combine_attrs="override", coords="minimal", compat="override", join="exact")


def over_seeds(values: ArrayLike, confidence: float = 0.95) -> tuple[float, float]:
    """Mean of a number over seeds, and half the width of its interval by Student's law.

    Parameters
    ----------
    values : array_like, shape (seeds,)
        The number at each of at least 2 seeds; of differences, those at the same seeds.
    confidence : float
        Coverage of the interval for normal values.

    Returns
    -------
    mean, reach : float

    Examples
    --------
    >>> mean, reach = over_seeds([1.0, 2.0, 3.0, 4.0])
    >>> mean, round(reach, 3)
    (2.5, 2.054)
    """
    array = np.asarray(values, dtype=np.float64)
    error = array.std(ddof=1) / np.sqrt(len(array))
    return float(array.mean()), float(stdtrit(len(array) - 1, 0.5 + confidence / 2) * error)


def over_seeds_text(values: ArrayLike) -> str:
    """The mean over seeds with its interval of 95 %, see `over_seeds`.

    Examples
    --------
    >>> over_seeds_text([1.0, 2.0, 3.0, 4.0])
    '2.500 +- 2.054'
    """
    mean, reach = over_seeds(values)
    return f"{mean:.3f} +- {reach:.3f}"


def verdict_lines(changes: Mapping[str, ArrayLike]) -> Iterator[str]:
    """What changes of a number that should be small mean, by their intervals of 95 % over seeds: better, tie or worse.

    Parameters
    ----------
    changes : mapping of str to array_like, shape (seeds,)
        Difference of each to what it is compared with, at the same seeds.

    Yields
    ------
    str
        A line for every verdict, with the changes. A tie is an interval that holds 0: its width says up to what.

    Examples
    --------
    >>> for line in verdict_lines({"new": [-1.0, -1.1, -0.9], "other": [0.2, -0.1, 0.1]}):
    ...     print(line)
      better: new (-1.000 +- 0.248)
      tie: other (0.067 +- 0.379)
      worse: none
    """
    said: dict[str, list[str]] = {"better": [], "tie": [], "worse": []}
    for name, values in changes.items():
        mean, reach = over_seeds(values)
        which = "tie" if abs(mean) <= reach else "better" if mean < 0 else "worse"
        said[which].append(f"{name} ({over_seeds_text(values)})")
    yield from (f"  {which}: {'; '.join(names) or 'none'}" for which, names in said.items())
