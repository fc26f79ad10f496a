r"""Speciation: the place where half of the uncertainty is gone, the peak of the rate, and the transition window.

Places are crossings of the entropy with fractions of its start, the entropy of the prior (arXiv 2506.10433,
2602.09651). They are found on the log-SNR and mean the same on every axis. The place of the peak does not: a rate per
unit of sigma peaks elsewhere than one per unit of log-SNR, so the rate is converted to the axis before it is searched.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent import schema
from specent.analysis.crossings import crossings, peaks
from specent.arguments import brief, listed, number
from specent.axes import check_axis, position, rate_factor
from specent.errors import SpecentError
from specent.schedules import Schedule, from_json

Array = NDArray[np.float64]

_CURVES = ("entropy", "entropy_rate")
_SHOWN = 4
_NAMES = ("half_time", "window_start", "window_end", "peak_time", "peak_rate")


def speciation(
    profiles: xr.Dataset,
    *,
    axis: str = "log_snr",
    level: float = 0.5,
    window: tuple[float, float] = (0.6, 0.4),
    confidence: float = 0.95,
) -> xr.Dataset:
    """Half-entropy place, peak of the rate and transition window of every profile, with intervals.

    Parameters
    ----------
    profiles : Dataset
        Kind ``profiles``, sampled or exact.
    axis : {"log_snr", "log_sigma", "sigma", "time"}
        Axis of all places and of the rate. "log_sigma" and "sigma" are of the noise level ``sigma / alpha``.
    level : float
        Fraction of the start at which ``half_time`` is taken.
    window : tuple of float
        Fractions at which the transition window starts (higher) and ends (lower).
    confidence : float
        Nominal coverage of intervals from replicates.

    Returns
    -------
    Dataset
        Kind ``speciation``: ``half_time``, ``peak_time``, ``window_start`` and ``window_end`` on `axis`, ``peak_rate``
        in bit per unit of it; each with ``_lower`` and ``_upper``; over the dimensions of `profiles` less ``time``.

    Raises
    ------
    SpecentError
        If an argument cannot be used, a profile holds a NaN, or one never falls to a level: all of a dataset is
        summarised or nothing, and the message says how to leave out the profiles that fail.

    Notes
    -----
    The start of a profile is the entropy of the prior, entropy plus mutual information. Coming from the noisy end, a
    noisy curve may cross a level several times: the middle crossing is taken. Intervals are percentiles of the
    replicates, if `profiles` has them (a replicate that never falls to the level counts as the last place of the grid).
    Otherwise they are where the bounds of the profile cross the level, and where the rate may be as high as its peak.
    Profiles without uncertainty have intervals of no width.

    Examples
    --------
    >>> import specent as sp
    >>> mix = sp.exact.GaussianMixture([[-16.0], [16.0]])
    >>> grid = sp.schedules.log_snr_grid(sp.schedules.VE(), 201, -12.0, 2.0)
    >>> prof = sp.exact.profiles(mix, sp.schedules.VE(), grid, [sp.Partition.full(mix.labels)])
    >>> sp.speciation(prof, axis="sigma").half_time.round(3).item()
    15.627
    """
    if isinstance(profiles, xr.Dataset):
        profiles = schema.ordered(profiles, "profiles")
    schema.need(profiles, "profiles", "profiles")
    check_axis(axis)
    levels = _levels(level, window)
    confidence = number(confidence, "confidence", above=0, below=1)
    if profiles.sizes["time"] < 4:
        raise SpecentError(f"profiles has {profiles.sizes['time']} times; at least 4 are needed to find a place")
    schedule = from_json(str(profiles.attrs["schedule"]))
    taken = [name for name in profiles.data_vars if str(name).startswith(_CURVES) or name == "mutual_information"]
    # noise to data: log-SNR ascends
    loaded = profiles[taken].compute().isel(time=slice(None, None, -1))
    grid = _Grid(axis, loaded["log_snr"].values, str(profiles.attrs["rate_axis"]), schedule)
    dims = [str(dim) for dim in loaded["entropy"].dims if dim != "time"]
    found = _half_and_window(loaded, grid, levels, dims)
    made = {
        f"{name}{bound}": np.empty([loaded.sizes[dim] for dim in dims])
        for name in _NAMES
        for bound in ("", "_lower", "_upper")
    }
    for place in itertools.product(*(range(loaded.sizes[dim]) for dim in dims)):
        curve = loaded.isel(dict(zip(dims, place, strict=True)))
        for name, value in _summary(curve, found[place], grid, levels, confidence).items():
            made[name][place] = value
    return _finished(made, dims, profiles, axis, levels, confidence)


@dataclass(frozen=True)
class _Grid:
    """The axis, and the points of the profile on it, from noise to data."""

    axis: str
    log_snr: Array
    rate_axis: str
    schedule: Schedule

    def places(self, log_snr: Array) -> Array:
        return position(self.axis, log_snr, self.schedule)

    @property
    def factor(self) -> Array:
        """What stored rates are multiplied by to be rates along the axis."""
        wanted, given = (rate_factor(axis, self.log_snr, self.schedule) for axis in (self.axis, self.rate_axis))
        return np.asarray(wanted / given)

    def peaks(self, rates: Array) -> tuple[Array, Array]:
        """Peaks of rates along the axis, shape (curves, points)."""
        at = self.places(self.log_snr)
        order = slice(None) if at[-1] > at[0] else slice(None, None, -1)
        return peaks(at[order], rates[:, order])


def _levels(level: float, window: tuple[float, float]) -> Array:
    mend = "pass two fractions of the start, the higher first, as (0.6, 0.4)"
    half, both = number(level, "level", above=0, below=1), listed(window, "window", mend)
    fractions = [number(value, f"window[{i}]", above=0, below=1) for i, value in enumerate(both)]
    if len(fractions) != 2 or fractions[0] <= fractions[1]:
        raise SpecentError(f"window={brief(window)}: {mend}")
    return np.array([half, *fractions])


def _half_and_window(loaded: xr.Dataset, grid: _Grid, levels: Array, dims: list[str]) -> Array:
    """Crossings (log_snr) of every profile, shape (..., levels), after a look at all that is read of the profiles."""
    for name, array in loaded.data_vars.items():
        bad = ~(abs(array) < np.inf).all([dim for dim in array.dims if dim not in dims])
        if bool(bad.any()):
            first = dict(zip(bad.dims, np.argwhere(bad.values)[0], strict=True))
            what = f"{_named(loaded.isel(first))} holds a NaN or an infinity in {name}"
            raise SpecentError(f"profiles: {what}; drop it with .sel or .isel")
    entropy = loaded["entropy"].transpose(*dims, "time")
    start = (entropy + loaded["mutual_information"]).isel(time=0).transpose(*dims).values
    found = np.empty((*start.shape, len(levels)))
    for place in np.ndindex(start.shape):
        found[place] = crossings(grid.log_snr, entropy.values[place][None], start[place] * levels)[0]
    missed = np.argwhere(np.isnan(found).any(axis=-1))
    if len(missed):
        raise SpecentError(_missed(loaded, [dict(zip(dims, place, strict=True)) for place in missed], found, levels))
    return found


def _summary(curve: xr.Dataset, found: Array, grid: _Grid, levels: Array, confidence: float) -> dict[str, float]:
    """All numbers of one profile; `curve` has the dimension time, and replicate if there are any."""
    start = float(curve["entropy"][0] + curve["mutual_information"][0])
    rates = curve["entropy_rate"].values * grid.factor
    peak_place, peak_height = grid.peaks(rates[None])
    best = dict(zip(_NAMES, (*grid.places(found), peak_place[0], peak_height[0]), strict=True))
    if "entropy_replicate" in curve and "entropy_rate_replicate" in curve:
        bounds = _from_replicates(curve, grid, start * levels, confidence)
    else:
        bounds = _from_bounds(curve, grid, start * levels)
    out: dict[str, float] = {}
    for name, value in best.items():
        # rounding and the middle of several crossings may leave the value just outside
        out[name] = float(value)
        out[f"{name}_lower"] = min(float(bounds[name][0]), out[name])
        out[f"{name}_upper"] = max(float(bounds[name][1]), out[name])
    return out


def _from_replicates(
    curve: xr.Dataset, grid: _Grid, levels: Array, confidence: float
) -> Mapping[str, tuple[float, float]]:
    entropy = curve["entropy_replicate"].transpose("replicate", "time").values.astype(np.float64)
    rates = curve["entropy_rate_replicate"].transpose("replicate", "time").values * grid.factor
    found = crossings(grid.log_snr, entropy, levels)
    found = np.where(np.isnan(found), grid.log_snr[-1], found)
    columns = (*grid.places(found).T, *grid.peaks(rates))
    tail = (1 - confidence) / 2
    return {name: tuple(np.quantile(values, [tail, 1 - tail])) for name, values in zip(_NAMES, columns, strict=True)}


def _from_bounds(curve: xr.Dataset, grid: _Grid, levels: Array) -> Mapping[str, tuple[float, float]]:
    ends = np.stack([curve["entropy_lower"].values, curve["entropy_upper"].values])
    found = crossings(grid.log_snr, ends, levels)
    found[0] = np.where(np.isnan(found[0]), grid.log_snr[0], found[0])
    found[1] = np.where(np.isnan(found[1]), grid.log_snr[-1], found[1])
    out = {name: _sorted(pair) for name, pair in zip(_NAMES, grid.places(found).T, strict=False)}
    lower, upper = (curve[f"entropy_rate_{bound}"].values * grid.factor for bound in ("lower", "upper"))
    (low_place, high_place), (low, high) = grid.peaks(np.stack([lower, upper]))
    at = grid.places(grid.log_snr)[(upper >= low) & (upper > lower)]
    out["peak_time"] = _sorted(np.array([low_place, high_place, *at]))
    out["peak_rate"] = (low, high)
    return out


def _sorted(values: Array) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _missed(loaded: xr.Dataset, missed: list[dict[str, int]], found: Array, levels: Array) -> str:
    """What to say of profiles that never fall to a level, and how to go on without them."""
    curve = loaded.isel(missed[0])
    start, lowest = float(curve["entropy"][0] + curve["mutual_information"][0]), float(curve["entropy"].min())
    level = levels[np.isnan(found[tuple(missed[0].values())])][0]
    text = (
        f"profiles: {_named(curve)} never falls to {level:g} of its start of {start:.4g} bit, its lowest value is "
        f"{lowest:.4g} bit: sample to lower noise, choose higher fractions (level, window), or drop this profile"
    )
    # the dimension along which the least is lost by leaving out what misses a level
    lost = {dim: sorted({place[dim] for place in missed}) for dim in missed[0] if loaded.sizes[dim] > 1}
    dim = min(lost, key=lambda dim: len(lost[dim]) / loaded.sizes[dim], default="")
    if dim and len(lost[dim]) < loaded.sizes[dim]:
        labels = loaded[dim].values[lost[dim]].tolist()
        more = f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
        text += f", with .drop_sel({dim}={labels[:_SHOWN]!r}){more}"
    if len(missed) > 1:
        others = "; ".join(_named(loaded.isel(place)) for place in missed[1:_SHOWN])
        text += f" ({len(missed)} of {found[..., 0].size} profiles miss a level; the next: {others})"
    return text


def _named(curve: xr.Dataset) -> str:
    names = [f"{dim} {curve[dim].item()!r}" for dim in ("partition", "estimator", "guidance") if dim in curve.coords]
    if "dimension" in curve.coords:
        names.append(f"dimension {curve['dimension'].item():g}")
    return ", ".join(names)


def _finished(
    made: dict[str, Array], dims: list[str], profiles: xr.Dataset, axis: str, levels: Array, confidence: float
) -> xr.Dataset:
    kept = {name: coord for name, coord in profiles.coords.items() if "time" not in coord.dims and name != "replicate"}
    level, *window = levels.tolist()
    settings = {
        "function": "speciation", "axis": axis, "level": level, "window": window, "confidence": confidence,
        "profiles": json.loads(profiles.attrs["settings"]),
    }  # fmt: skip
    return schema.finish(
        xr.Dataset({name: (dims, values) for name, values in made.items()}, kept), "speciation",
        title="Places of speciation of entropy profiles", settings=settings, parents=[profiles], time_axis=axis,
        rate_axis=axis, schedule=profiles.attrs["schedule"], level=level, confidence=confidence,
    )  # fmt: skip
