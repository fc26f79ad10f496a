"""The coordinates that every dataset of the contract shares, built in one place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent.errors import ArchiveError
from specent.guidance import Guidance, Setting, from_json
from specent.partitions import Partition
from specent.schedules import Schedule
from specent.schema import definitions

GUIDANCE_NUMBERS = ("guidance_scale", "sigma_lo", "sigma_hi")
"""Names of the coordinates that hold `specent.guidance.Setting.numbers`."""


def of_schedule(schedule: Schedule, time: NDArray[Any]) -> dict[str, Any]:
    """Time and what the schedule says of it.

    Examples
    --------
    >>> import numpy as np
    >>> from specent.schedules import VE
    >>> sorted(of_schedule(VE(), np.array([0.1, 1.0])))
    ['alpha', 'log_snr', 'sigma', 'time']
    """
    return {
        "time": time,
        "sigma": ("time", schedule.sigma(time)),
        "alpha": ("time", schedule.alpha(time)),
        "log_snr": ("time", schedule.log_snr(time)),
    }


def of_partitions(partitions: Sequence[Partition]) -> dict[str, Any]:
    """Names and definitions of partitions.

    Examples
    --------
    >>> of_partitions([Partition.pair("a", "b")])["partition"]
    ['a | b']
    """
    texts, labels = definitions.to_texts(partitions)
    return {
        "partition": [partition.name for partition in partitions],
        "definition": ("partition", texts, {definitions.LABELS: labels} if labels else {}),
    }


def of_sides(partition: Partition, prior: NDArray[Any]) -> dict[str, Any]:
    """Sides of a partition as origins, with their prior, and as ends.

    Examples
    --------
    >>> of_sides(Partition.pair("a", "b"), np.array([0.5, 0.5]))["end_side"]
    ['a', 'b']
    """
    names = list(partition.side_names)
    return {"side": names, "side_prior": ("side", prior), "end_side": names}


def stored_partitions(dataset: xr.Dataset) -> list[Partition]:
    """The partitions of a dataset, from their definitions; none if there are no definitions.

    Examples
    --------
    >>> stored_partitions(xr.Dataset(coords=of_partitions([Partition.pair("a", "b")])))[0].side_names
    ('a', 'b')
    """
    if "definition" not in dataset.coords:
        return []
    variable = dataset.variables["definition"]
    texts = [str(text) for text in np.atleast_1d(variable.values)]
    return definitions.from_texts(texts, definitions.labels_beside(variable))


def of_guidance(guidance: Sequence[Setting]) -> dict[str, Any]:
    """Names, scales and intervals of guidance settings, and their definitions if these do not say all of one.

    Examples
    --------
    >>> of_guidance([Guidance(), Guidance(2.0)])["guidance"]
    ['unguided', 'w=2']
    """
    coords: dict[str, Any] = {"guidance": [str(setting) for setting in guidance]}
    for i, name in enumerate(GUIDANCE_NUMBERS):
        coords[name] = ("guidance", [float(setting.numbers[i]) for setting in guidance])
    if not all(setting.defined_by_numbers for setting in guidance):
        coords["guidance_definition"] = ("guidance", [setting.to_json() for setting in guidance])
    return coords


def guidance_settings(dataset: xr.Dataset) -> list[Setting]:
    """The guidance settings of a dataset, from their definitions or, where there are none, from their numbers.

    Raises
    ------
    ArchiveError
        If a coordinate with one of these numbers is missing.

    Examples
    --------
    >>> guidance_settings(xr.Dataset(coords=of_guidance([Guidance(), Guidance(2.0)])))
    [Guidance(scale=1.0, interval=(0.0, inf)), Guidance(scale=2.0, interval=(0.0, inf))]
    """
    if "guidance_definition" in dataset.coords:
        return [from_json(str(text)) for text in dataset["guidance_definition"].values]
    for name in GUIDANCE_NUMBERS:
        if name not in dataset.coords:
            raise ArchiveError(f"the coordinate {name!r} is missing; restore it, dataset.assign_coords({name}=...)")
    rows = zip(*(dataset[name].values.tolist() for name in GUIDANCE_NUMBERS), strict=True)
    return [Guidance(scale, (low, high)) for scale, low, high in rows]
