"""The coordinates that every dataset of the contract shares, built in one place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from specent.guidance import Setting
from specent.partitions import Partition
from specent.schedules import Schedule


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
    return {
        "partition": [partition.name for partition in partitions],
        "definition": ("partition", [partition.to_json() for partition in partitions]),
    }


def of_guidance(guidance: Sequence[Setting]) -> dict[str, Any]:
    """Names, scales and intervals of guidance settings, and their definitions if one of them feeds back.

    Examples
    --------
    >>> from specent.guidance import Guidance
    >>> of_guidance([Guidance(), Guidance(2.0)])["guidance"]
    ['unguided', 'w=2']
    """
    made: dict[str, Any] = {
        "guidance": [str(setting) for setting in guidance],
        "guidance_scale": ("guidance", [float(setting.scale) for setting in guidance]),
        "sigma_lo": ("guidance", [float(setting.interval[0]) for setting in guidance]),
        "sigma_hi": ("guidance", [float(setting.interval[1]) for setting in guidance]),
    }
    if any(setting.feeds_back for setting in guidance):
        made["guidance_definition"] = ("guidance", [setting.to_json() for setting in guidance])
    return made
