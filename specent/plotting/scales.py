"""What the script of a page needs to put its figures on another noise axis: names, labels, and tables of schedules."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from specent.plotting import style

SCALES = ("log_snr", "sigma", "log_sigma", "time", "step")
"""Scales between which the reader of a page chooses."""

_BUTTONS = {"log_snr": "log-SNR", "sigma": "σ", "log_sigma": "ln σ", "time": "time", "step": "step"}
_NAMES = {"log_snr": "log-SNR", "sigma": "σ/α", "log_sigma": "ln(σ/α)", "time": "t", "step": "step"}
_FINE = 257


def noise_data(initial: str, groups: Sequence[Sequence[xr.Dataset]]) -> dict[str, Any]:
    """What the script reads: the initial scale, names and labels of all, and the table of every section.

    Parameters
    ----------
    initial : str
        Out of `SCALES`.
    groups : sequence of sequence of Dataset
        The datasets of every section.

    Returns
    -------
    dict
        Of JSON. A section whose datasets lie on different schedules has no times, and one whose first measured dataset
        has no grid of its own no steps.
    """
    tables = [schedule_table(group) for group in groups]
    available = ["log_snr", "sigma", "log_sigma"]
    available += [name for name, key in (("time", "time"), ("step", "steps")) if any(key in one for one in tables)]
    return {
        "scale": initial if initial in available else "log_snr",
        "available": available,
        "names": _NAMES,
        "labels": {**style.AXIS_LABELS, "step": "step of the sampler  (noise ⟶ data)"},
        "tables": {str(number): one for number, one in enumerate(tables, 1)},
    }


def schedule_table(datasets: Sequence[xr.Dataset]) -> dict[str, Any]:
    """Times and steps at log-SNRs, ascending; the time is that of the schedule all datasets share.

    Parameters
    ----------
    datasets : sequence of Dataset
        Those of a section.

    Returns
    -------
    dict
        Of lists: "log_snr" with "time", "time_is_noise_level", and "steps", the log-SNR of every step.
    """
    timed = [one for one in datasets if "time" in one.dims and "log_snr" in one.coords and one.sizes["time"] > 1]
    if not timed:
        return {}
    result: dict[str, Any] = {}
    # exact references lie on a grid that nobody samples on
    measured = next((one for one in timed if set(map(str, np.atleast_1d(one.get("estimator", [])))) != {"exact"}), None)
    first = timed[0] if measured is None else measured
    steps = np.sort(np.asarray(first["log_snr"].values, dtype=np.float64))
    if np.isfinite(steps).all() and (np.diff(steps) > 0).all():
        result["steps"] = steps.tolist()
    if len({str(one.attrs.get("schedule")) for one in timed}) == 1:
        result |= _times(timed)
    return result


def _times(datasets: Sequence[xr.Dataset]) -> dict[str, Any]:
    """Those of the datasets, and between them those of the schedule where it is known."""
    pairs = [(one[name].values.astype(np.float64) for name in ("log_snr", "time")) for one in datasets]
    log_snr, time = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    finite = np.isfinite(log_snr) & np.isfinite(time)
    log_snr, time = log_snr[finite], time[finite]
    schedule = style.schedule_of(datasets[0])
    if schedule is not None and log_snr.size:
        fine = np.linspace(log_snr.min(), log_snr.max(), _FINE)
        log_snr, time = np.concatenate([log_snr, fine]), np.concatenate([time, schedule.time(fine)])
    log_snr, index = np.unique(log_snr, return_index=True)
    time = time[index]
    if log_snr.size < 2 or not (np.diff(time) < 0).all():
        return {}
    level = schedule is not None and schedule.time_is_noise_level
    return {"log_snr": log_snr.tolist(), "time": time.tolist(), "time_is_noise_level": level}


def switch(data: dict[str, Any]) -> str:
    """The choice of scale as HTML: a group of radio buttons, which the keyboard reaches."""
    buttons = "".join(
        f'<label><input type="radio" name="scale" value="{name}"{" checked" if name == data["scale"] else ""}'
        f"{'' if name in data['available'] else ' disabled'}><span>{_BUTTONS[name]}</span></label>"
        for name in SCALES
    )
    return f'<fieldset class="switch"><legend>Noise axis of all figures</legend>{buttons}</fieldset>'


def json_text(value: Any) -> str:
    """JSON that may stand inside an element of HTML."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
