"""Profiles from curves that were worked out by hand, so that they have intervals, places and figures like any other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent import schema
from specent.analysis import bootstrap
from specent.analysis.production import differences
from specent.guidance import Guidance
from specent.partitions import Partition
from specent.schedules import Schedule
from specent.schema import coordinates


def assembled(
    curve: xr.DataArray,
    start: Sequence[float],
    schedule: Schedule,
    time: NDArray[np.float64],
    partitions: Sequence[Partition],
    *,
    title: str,
    settings: Mapping[str, Any],
    parents: Iterable[xr.Dataset] = (),
    clipped: xr.DataArray | None = None,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Profiles of unguided entropy curves that come with bootstrap replicates; rates by second-order differences.

    Parameters
    ----------
    curve : DataArray, dims (replicate, estimator, partition, time)
        Entropy in bits, the estimate at place 0, replicates from 1 on. The coordinate ``estimator`` names the curves.
    start : sequence of float, one per partition
        Entropy of the prior, in bits.
    schedule, time : Schedule and ndarray, shape (time,)
        The clock.
    partitions : sequence of Partition
        The questions.
    title, settings, parents
        As for `specent.schema.finish`.
    clipped : DataArray, dims (estimator, partition, time), optional
        Number of clipped likelihood ratios.
    confidence : float
        Nominal coverage of the bounds.

    Returns
    -------
    Dataset
        Kind ``profiles``, with the replicates.

    Examples
    --------
    >>> from specent.schedules import VE
    >>> levels = np.array([0.5, 1.0, 2.0, 4.0])
    >>> dims = ("replicate", "estimator", "partition", "time")
    >>> curve = xr.DataArray(np.tile([0.0, 0.2, 0.6, 0.9], (51, 1, 1, 1)), {"estimator": ["mine"]}, dims)
    >>> made = assembled(curve, [1.0], VE(), levels, [Partition.pair("a", "b")], title="Mine", settings={})
    >>> made.mutual_information.squeeze().values.round(3).tolist()
    [1.0, 0.8, 0.4, 0.1]
    """
    prior = xr.DataArray(list(start), dims="partition")
    rate = differences(curve, xr.DataArray(schedule.log_snr(time), dims="time"))
    made: dict[str, xr.DataArray] = {}
    for name, values in (("entropy", curve), ("entropy_rate", rate), ("mutual_information", prior - curve)):
        made[name] = values.isel(replicate=0)
        made[f"{name}_lower"], made[f"{name}_upper"] = bootstrap.bounds(values, confidence)
        if name != "mutual_information":
            made[f"{name}_replicate"] = values.isel(replicate=slice(1, None)).astype(np.float32)
    if clipped is not None:
        made["clipped_ratios"] = clipped.astype(np.int64)
    coords = {
        **coordinates.of_schedule(schedule, time),
        **coordinates.of_guidance([Guidance()]),
        **coordinates.of_partitions(partitions),
    }
    whole = xr.Dataset(made).drop_vars("replicate", errors="ignore").expand_dims(guidance=1).assign_coords(coords)
    return schema.finish(
        whole,
        "profiles",
        title=title,
        settings=settings,
        parents=parents,
        schedule=schedule.to_json(),
        rate_axis="log_snr",
        confidence=confidence,
    )
