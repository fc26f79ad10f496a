"""The same dataset on another schedule's clock: results depend on the log-SNR alone (arXiv 2107.00630)."""

from __future__ import annotations

import json

import xarray as xr

from specent import schema
from specent.arguments import brief
from specent.axes import rate_factor
from specent.errors import SpecentError
from specent.schedules import Schedule, from_json
from specent.schema import coordinates

_RATES = ("entropy_rate", "entropy_rate_lower", "entropy_rate_upper", "entropy_rate_replicate")


def on_schedule(dataset: xr.Dataset, schedule: Schedule) -> xr.Dataset:
    """Put trajectories or profiles on the clock of another schedule.

    Parameters
    ----------
    dataset : Dataset
        Kind ``trajectories`` or ``profiles``.
    schedule : Schedule
        The clock. Its range of log-SNR must hold that of the dataset.

    Returns
    -------
    Dataset
        The same kind: ``time``, ``sigma`` and ``alpha`` are those of `schedule` at the same log-SNR, and rates per
        unit of time are converted. Everything else is unchanged.

    Raises
    ------
    SpecentError
        If the dataset is of another kind, or the schedule does not reach its log-SNR.

    References
    ----------
    arXiv 2107.00630.

    Examples
    --------
    >>> import specent as sp
    >>> mix = sp.exact.GaussianMixture([[-1.0], [1.0]])
    >>> prof = sp.exact.profiles(mix, sp.schedules.VE(), [0.5, 1.0, 2.0], [sp.Partition.full(mix.labels)])
    >>> sp.on_schedule(prof, sp.schedules.FlowMatching()).time.values.round(4).tolist()
    [0.3333, 0.5, 0.6667]
    """
    kind = dataset.attrs.get("specent_kind") if isinstance(dataset, xr.Dataset) else None
    if not isinstance(kind, str) or kind not in ("trajectories", "profiles"):
        found = f"of kind {brief(kind)}" if isinstance(dataset, xr.Dataset) else f"a {type(dataset).__name__}"
        raise SpecentError(f"dataset is {found}; on_schedule takes trajectories or profiles")
    dataset = schema.need(dataset, kind, "dataset")
    if not isinstance(schedule, Schedule):
        raise SpecentError(f"schedule is a {type(schedule).__name__}; use one of specent.schedules, for example VP()")
    log_snr = dataset["log_snr"].values
    clock = coordinates.of_schedule(schedule, schedule.time(log_snr))
    # the inverse may be off by rounding, and places must not move
    clock["log_snr"] = ("time", log_snr)
    made = dataset.assign_coords(clock)
    if dataset.attrs.get("rate_axis") == "time":
        old = from_json(str(dataset.attrs["schedule"]))
        ratio = rate_factor("time", log_snr, schedule) / rate_factor("time", log_snr, old)
        for name in _RATES:
            if name in made:
                made[name] = (made[name] * xr.DataArray(ratio, dims="time")).astype(made[name].dtype)
    if "prediction_time" in made.coords:
        old = from_json(str(dataset.attrs["schedule"]))
        made = made.assign_coords(prediction_time=schedule.time(old.log_snr(made["prediction_time"].values)))
    kept = {name: value for name, value in dataset.attrs.items() if name not in schema.ATTRIBUTES}
    kept["schedule"] = schedule.to_json()
    settings = {
        "function": "on_schedule",
        "schedule": json.loads(schedule.to_json()),
        "dataset": json.loads(dataset.attrs["settings"]),
    }
    title = f"{dataset.attrs['title']} on the {schedule.name} clock"
    return schema.finish(made, kind, title=title, settings=settings, parents=[dataset], **kept)
