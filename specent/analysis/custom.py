"""Profiles from curves of one's own, so that they have intervals, speciation and figures like any other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent import schema
from specent.analysis import bootstrap
from specent.analysis.curves import rate_by_differences
from specent.guidance import Guidance
from specent.partitions import Partition
from specent.schedules import Schedule
from specent.schema import coordinates


def custom_profiles(
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
        Entropy in bits, the estimate at index 0, replicates from 1 on. The coordinate ``estimator`` names the curves.
    start : sequence of float, one per partition
        Entropy of the prior, in bits.
    schedule, time : Schedule and ndarray, shape (time,)
        The noise schedule, and the times of the curves.
    partitions : sequence of Partition
        The partitions.
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
    >>> prof = custom_profiles(curve, [1.0], VE(), levels, [Partition.pair("a", "b")], title="Mine", settings={})
    >>> prof.mutual_information.squeeze().values.round(3).tolist()
    [1.0, 0.8, 0.4, 0.1]
    """
    rate = rate_by_differences(curve, xr.DataArray(schedule.log_snr(time), dims="time"))
    entropy, entropy_rate = (
        schema.Curve(
            values.isel(replicate=0), *bootstrap.bounds(values, confidence), values.isel(replicate=slice(1, None))
        )
        for values in (curve, rate)
    )
    return schema.build_profiles(
        entropy,
        entropy_rate,
        prior_entropy=start,
        partitions=partitions,
        estimators=[str(name) for name in curve["estimator"].values],
        coords={**coordinates.of_schedule(schedule, time), **coordinates.of_guidance([Guidance()])},
        title=title,
        settings=settings,
        parents=parents,
        rate_axis="log_snr",
        schedule=schedule.to_json(),
        extra={} if clipped is None else {"clipped_ratios": clipped.astype(np.int64)},
        confidence=confidence,
    )
