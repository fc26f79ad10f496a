"""The same dataset on another schedule: results depend on the log-SNR alone (arXiv 2107.00630)."""

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
    """Put trajectories or profiles on another schedule.

    Parameters
    ----------
    dataset : Dataset
        Kind ``trajectories`` or ``profiles``.
    schedule : Schedule
        The noise schedule. Its range of log-SNR must hold that of the dataset.

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
        what = f"of kind {brief(kind)}" if isinstance(dataset, xr.Dataset) else f"a {type(dataset).__name__}"
        raise SpecentError(f"dataset is {what}; on_schedule takes trajectories or profiles")
    dataset = schema.need(dataset, kind, "dataset")
    if not isinstance(schedule, Schedule):
        raise SpecentError(f"schedule is a {type(schedule).__name__}; use one of specent.schedules, for example VP()")
    log_snr = dataset["log_snr"].values
    times = coordinates.of_schedule(schedule, schedule.time(log_snr))
    # the inverse may be off by rounding, and the noise must stay the same
    times["log_snr"] = ("time", log_snr)
    result = dataset.assign_coords(times)
    if dataset.attrs.get("rate_axis") == "time":
        old = from_json(str(dataset.attrs["schedule"]))
        ratio = rate_factor("time", log_snr, schedule) / rate_factor("time", log_snr, old)
        for name in _RATES:
            if name in result:
                result[name] = (result[name] * xr.DataArray(ratio, dims="time")).astype(result[name].dtype)
    if "prediction_time" in result.coords:
        old = from_json(str(dataset.attrs["schedule"]))
        result = result.assign_coords(prediction_time=schedule.time(old.log_snr(result["prediction_time"].values)))
    attributes = {name: value for name, value in dataset.attrs.items() if name not in schema.ATTRIBUTES}
    attributes["schedule"] = schedule.to_json()
    settings = {
        "function": "on_schedule",
        "schedule": json.loads(schedule.to_json()),
        "dataset": json.loads(dataset.attrs["settings"]),
    }
    title = f"{dataset.attrs.get('title', kind)} on the schedule {schedule.name}"
    return schema.finish(result, kind, title=title, settings=settings, parents=[dataset], **attributes)
