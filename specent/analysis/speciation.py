r"""Speciation: the noise at which half of the entropy is left, the peak of the rate, and the transition window.

The half-entropy noise level and the ends of the window are crossings of the entropy with fractions of its start, the
entropy of the prior (arXiv 2506.10433, 2602.09651). They are found on the log-SNR and mean the same on every axis. The
peak does not: a rate per unit of sigma peaks elsewhere than one per unit of log-SNR, so for every axis the rate is
converted to it before the peak is searched. A summary therefore has the dimension ``axis``.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from tqdm.auto import tqdm

from specent import schema
from specent.analysis.bootstrap import FEWEST, distinct_replicates
from specent.analysis.crossings import crossings, peaks
from specent.arguments import brief, listed, names, number
from specent.axes import AXES, check_axis, position, rate_factor
from specent.errors import SpecentError, SpecentWarning
from specent.schedules import Schedule, from_json

Array = NDArray[np.float64]
Missing = NDArray[np.bool_]
Index = tuple[NDArray[np.intp], ...]

_NEEDED = ("entropy", "entropy_rate", "mutual_information")
_CROSSINGS = ("half_entropy", "window_start", "window_end")
_NAMES = (*_CROSSINGS, "peak", "peak_rate")


def speciation(
    profiles: xr.Dataset,
    *,
    axis: str | Sequence[str] = AXES,
    level: float = 0.5,
    window: tuple[float, float] = (0.6, 0.4),
    confidence: float = 0.95,
    progress: bool = True,
) -> xr.Dataset:
    """Half-entropy noise level, peak of the rate and transition window of every profile, with intervals.

    Parameters
    ----------
    profiles : Dataset
        Kind ``profiles``, sampled or exact, or any selection of one.
    axis : {"log_snr", "log_sigma", "sigma", "time"}, or sequence of these
        Axes along which the summary is given, all by default. "log_sigma" and "sigma" are of the noise level
        ``sigma / alpha``.
    level : float
        Fraction of the start at which ``half_entropy`` is taken.
    window : tuple of float
        Fractions at which the transition window starts (higher) and ends (lower).
    confidence : float
        Nominal coverage of intervals from replicates.
    progress : bool
        Whether to show a progress bar where it takes more than two seconds.

    Returns
    -------
    Dataset
        Kind ``speciation``: ``half_entropy``, ``peak``, ``window_start`` and ``window_end`` on each axis, ``peak_rate``
        in bit per unit of it; each with ``_lower`` and ``_upper``; over ``axis`` and the dimensions of `profiles` less
        ``time``. NaN where a curve never falls to the level, and for a curve of NaN alone, which a join leaves where
        there is none; the attribute ``missing`` counts these values.

    Raises
    ------
    SpecentError
        If an argument cannot be used, or a profile holds an infinity, or a NaN beside numbers.

    Warns
    -----
    SpecentWarning
        If a curve never falls to a level, or is missing, with the number of them and an example.

    Notes
    -----
    The start of a profile is the entropy of the prior, entropy plus mutual information. Coming from the noisy end, a
    noisy curve may cross a level several times: the middle crossing is taken. Intervals are percentiles of the
    replicates, if the curve has them (a replicate that never falls to the level counts as the last time of the grid).
    Otherwise they are where the bounds of the profile cross the level, and where the rate may be as high as its peak.
    Profiles without uncertainty have intervals of no width.

    References
    ----------
    arXiv 2506.10433, 2602.09651.

    Examples
    --------
    >>> import specent as sp
    >>> mix = sp.exact.GaussianMixture([[-16.0], [16.0]])
    >>> grid = sp.schedules.log_snr_grid(sp.schedules.VE(), 201, -12.0, 2.0)
    >>> prof = sp.exact.profiles(mix, sp.schedules.VE(), grid, [sp.Partition.full(mix.labels)])
    >>> sp.speciation(prof).half_entropy.sel(axis="sigma").round(3).item()
    15.627
    """
    profiles = schema.need(profiles, "profiles", "profiles", _NEEDED)
    axes = _checked_axes(axis)
    levels = _checked_levels(level, window)
    confidence = number(confidence, "confidence", above=0, below=1)
    if profiles.sizes["time"] < 4:
        raise SpecentError(f"profiles has {profiles.sizes['time']} times; at least 4 are needed to find a crossing")
    used = [name for name in profiles.data_vars if str(name).startswith(("entropy", "mutual_information"))]
    # from noise to data: log-SNR ascends
    curves = _without_few_replicates(profiles[used]).compute().isel(time=slice(None, None, -1))
    dims = [str(dim) for dim in curves["entropy"].dims if dim != "time"]
    missing, unreplicated = _missing_curves(curves, dims)
    schedule = from_json(str(profiles.attrs["schedule"]))
    rulers = [_Ruler(name, curves["log_snr"].values, str(profiles.attrs["rate_axis"]), schedule) for name in axes]
    values = {f"{name}{bound}": np.full((*missing.shape, len(axes)), np.nan) for name in _NAMES for bound in _BOUNDS}
    with tqdm(
        total=int((~missing).sum()), desc="speciation", unit=" profiles", disable=None if progress else True, delay=2
    ) as bar:
        for index in _blocks(curves, dims, missing, unreplicated):
            block = _Profiles.of(curves, dims, index, levels)
            for i, ruler in enumerate(rulers):
                for name, numbers in block.summary(ruler, confidence).items():
                    values[name][..., i][index] = numbers
            bar.update(len(index[0]))
    _warn_of_missing(values, curves, missing, levels)
    return _dataset(values, [*dims, "axis"], axes, profiles, levels, confidence)


@dataclass(frozen=True)
class _Ruler:
    """An axis, with the times of the profiles on it, from noise to data."""

    axis: str
    log_snr: Array
    rate_axis: str
    schedule: Schedule

    def positions(self, log_snr: Array) -> Array:
        """Positions on the axis; NaN stays NaN."""
        out = np.full_like(log_snr, np.nan)
        there = np.isfinite(log_snr)
        out[there] = position(self.axis, log_snr[there], self.schedule)
        return out

    @property
    def factor(self) -> Array:
        """What rates of the profiles are multiplied by to be rates along the axis."""
        target, own = (rate_factor(axis, self.log_snr, self.schedule) for axis in (self.axis, self.rate_axis))
        return np.asarray(target / own)

    def peaks(self, rates: Array) -> tuple[Array, Array]:
        """Positions and heights of the peaks of rates along the axis, shape (curves, times)."""
        grid = self.positions(self.log_snr)
        order = slice(None) if grid[-1] > grid[0] else slice(None, None, -1)
        return peaks(grid[order], rates[:, order])


@dataclass(frozen=True)
class _Profiles:
    """Profiles from noise to data, with the log-SNR at which they cross the levels.

    `rates` have the shape (profiles, times) and `crossings` (profiles, levels); `end_rates` and `ends` are those of the
    curves from which intervals are taken, replicates or the two bounds, after the first dimension.
    """

    log_snr: Array
    rates: Array
    crossings: Array
    ends: Array
    end_rates: Array
    replicated: bool

    @classmethod
    def of(cls, curves: xr.Dataset, dims: list[str], index: Index, levels: Array) -> _Profiles:
        """Find the crossings of the profiles at an index, and of their replicates or bounds."""

        def rows(name: str, *inner: str) -> Array:
            return curves[name].transpose(*dims, *inner, "time").values[index].astype(np.float64)

        log_snr, entropies, rates = curves["log_snr"].values, rows("entropy"), rows("entropy_rate")
        thresholds = (entropies[:, 0] + rows("mutual_information")[:, 0])[:, None] * levels
        replicated = all(name in curves for name in _REPLICATES)
        if replicated:
            end_entropies, end_rates = (rows(name, "replicate") for name in _REPLICATES)
            # an exact curve that was joined to sampled ones has none
            replicated = not np.isnan(end_entropies[0]).all()
        if not replicated:
            end_entropies, end_rates = (
                np.stack([rows(f"{name}{bound}" if f"{name}{bound}" in curves else name) for bound in _BOUNDS[1:]], 1)
                for name in ("entropy", "entropy_rate")
            )
        profiles, ends, times = end_entropies.shape
        flat = crossings(log_snr, end_entropies.reshape(-1, times), np.repeat(thresholds, ends, axis=0))
        positions = flat.reshape(profiles, ends, -1)
        # a curve that never falls to the level may do so beyond the grid
        last = np.full((ends, 1), log_snr[-1])
        if not replicated:
            last[0] = log_snr[0]
        positions = np.where(np.isnan(positions), last, positions)
        return cls(log_snr, rates, crossings(log_snr, entropies, thresholds), positions, end_rates, replicated)

    def summary(self, ruler: _Ruler, confidence: float) -> dict[str, Array]:
        """All numbers of the profiles on one axis, with their bounds, each of shape (profiles,)."""
        estimates = dict(
            zip(_NAMES, (*ruler.positions(self.crossings).T, *ruler.peaks(self.rates * ruler.factor)), strict=True)
        )
        bounds = self._from_replicates(ruler, confidence) if self.replicated else self._from_bounds(ruler)
        out: dict[str, Array] = {}
        for name, value in estimates.items():
            low, high = bounds[name]
            out[name] = value
            # rounding and the middle of several crossings may leave the value just outside
            out[f"{name}_lower"], out[f"{name}_upper"] = np.minimum(low, value), np.maximum(high, value)
        return out

    def _from_replicates(self, ruler: _Ruler, confidence: float) -> dict[str, Array]:
        columns = (*np.moveaxis(ruler.positions(self.ends), -1, 0), *self._end_peaks(ruler))
        tail = (1 - confidence) / 2
        return {name: np.quantile(values, [tail, 1 - tail], 1) for name, values in zip(_NAMES, columns, strict=True)}

    def _from_bounds(self, ruler: _Ruler) -> dict[str, tuple[Array, Array]]:
        columns = np.moveaxis(ruler.positions(self.ends), -1, 0)
        out = {name: (ends.min(1), ends.max(1)) for name, ends in zip(_CROSSINGS, columns, strict=True)}
        lower, upper = np.moveaxis(self.end_rates * ruler.factor, 1, 0)
        peaks_at, heights = self._end_peaks(ruler)
        # the rate may be as high as its peak wherever its upper bound reaches the peak of the lower one
        possible = (upper >= heights[:, :1]) & (upper > lower)
        grid = ruler.positions(self.log_snr)
        out["peak"] = (
            np.minimum(peaks_at.min(1), np.where(possible, grid, np.inf).min(1)),
            np.maximum(peaks_at.max(1), np.where(possible, grid, -np.inf).max(1)),
        )
        out["peak_rate"] = (heights[:, 0], heights[:, 1])
        return out

    def _end_peaks(self, ruler: _Ruler) -> tuple[Array, Array]:
        """Positions and heights of the peaks of the curves of the intervals, each of shape (profiles, ends)."""
        flat = (self.end_rates * ruler.factor).reshape(-1, len(self.log_snr))
        position, height = ruler.peaks(flat)
        return position.reshape(self.end_rates.shape[:2]), height.reshape(self.end_rates.shape[:2])


_BOUNDS = ("", "_lower", "_upper")
_REPLICATES = ("entropy_replicate", "entropy_rate_replicate")
# numbers of the curves of a block: splines of them take some twelve times as much
_BLOCK = 2**20


def _blocks(curves: xr.Dataset, dims: list[str], missing: Missing, unreplicated: Missing) -> Iterator[Index]:
    """Indices of profiles that are summarised at once, all of them with replicates or all without."""
    for these in (~missing & ~unreplicated, ~missing & unreplicated):
        index = np.nonzero(these)
        size = max(1, _BLOCK // (curves.sizes["time"] * curves.sizes.get("replicate", 2)))
        for low in range(0, len(index[0]), size):
            yield tuple(part[low : low + size] for part in index)


def _checked_axes(axis: str | Sequence[str]) -> list[str]:
    axes = [axis] if isinstance(axis, str) else list(names(axis, "axis"))
    for name in axes:
        check_axis(name)
    if not axes or len(set(axes)) < len(axes):
        raise SpecentError(f"axis={brief(axis)} must name one axis at least, and none twice")
    return axes


def _checked_levels(level: float, window: tuple[float, float]) -> Array:
    hint = "pass two fractions of the start, the higher first, as (0.6, 0.4)"
    half, both = number(level, "level", above=0, below=1), listed(window, "window", hint)
    fractions = [number(value, f"window[{i}]", above=0, below=1) for i, value in enumerate(both)]
    if len(fractions) != 2 or fractions[0] <= fractions[1]:
        raise SpecentError(f"window={brief(window)}: {hint}")
    return np.array([half, *fractions])


def _without_few_replicates(curves: xr.Dataset) -> xr.Dataset:
    """The curves without their replicates where a selection left too few for an interval, which is warned of."""
    count = distinct_replicates(curves)
    if "replicate" not in curves.dims or count >= FEWEST:
        return curves
    warnings.warn(
        f"profiles has {count} different bootstrap replicates, too few for intervals: these are taken from the bounds "
        f"of the curves instead. Keep all replicates, at least {FEWEST}",
        SpecentWarning,
        stacklevel=3,
    )
    return curves.drop_dims("replicate")


def _missing_curves(curves: xr.Dataset, dims: list[str]) -> tuple[Missing, Missing]:
    """Where there is no curve, only NaN, and where there are no replicates of one.

    Raises
    ------
    SpecentError
        If a curve holds a NaN beside numbers.
    """
    # an array of one number would otherwise be a plain one
    within = {name: [dim for dim in array.dims if dim not in dims] for name, array in curves.data_vars.items()}
    empty = {name: array.isnull().all(within[name]).transpose(*dims) for name, array in curves.data_vars.items()}
    missing = np.all([array.values for array in empty.values()], axis=0)
    unreplicated = np.all(
        [np.full_like(missing, True), *(empty[name].values for name in _REPLICATES if name in empty)], 0
    )
    for name, array in curves.data_vars.items():
        bad = ~(abs(array) < np.inf).all(within[name]).transpose(*dims).values & ~missing
        if name in _REPLICATES:
            bad &= ~unreplicated
        if bad.any():
            first = dict(zip(dims, np.argwhere(bad)[0], strict=True))
            what = f"{_label(curves.isel(first))} holds a NaN or an infinity in {name}"
            raise SpecentError(f"profiles: {what}; drop it with .sel or .isel")
    if missing.all():
        raise SpecentError("profiles holds no number, only NaN; find out what made it, a join of other labels perhaps")
    return np.asarray(missing), np.asarray(unreplicated)


def _warn_of_missing(values: dict[str, Array], curves: xr.Dataset, gone: NDArray[np.bool_], levels: Array) -> None:
    """A warning for all curves that are not there, and one for all that never fall to a level; each names the first."""
    dims = [str(dim) for dim in curves["entropy"].dims if dim != "time"]
    if gone.any():
        first = curves.isel(dict(zip(dims, np.argwhere(gone)[0], strict=True)))
        warnings.warn(
            f"{int(gone.sum())} of {gone.size} profiles hold no number, so their summary is missing (NaN). The first: "
            f"{_label(first)}. Drop them with .sel or .isel, or compute them too",
            SpecentWarning,
            stacklevel=3,
        )
    missing = np.stack([np.isnan(values[name][..., 0]) & ~gone for name in _CROSSINGS], axis=-1)
    if not missing.any():
        return
    index = np.argwhere(missing)[0]
    curve = curves.isel(dict(zip(dims, index[:-1], strict=True)))
    start, lowest = float(curve["entropy"][0] + curve["mutual_information"][0]), float(curve["entropy"].min())
    if lowest > levels[index[-1]] * start:
        reason = f"lowest value is {lowest:.4g} bit. Sample to lower noise, or choose higher fractions (level, window)"
    else:
        noisiest = float(curve["entropy"][0])
        reason = f"value at the noisiest time is {noisiest:.4g} bit already. Keep or sample times of higher noise"
    count, total = int(missing.any(axis=-1).sum()), missing[..., 0].size
    lost = [name for i, name in enumerate(_CROSSINGS) if missing[..., i].any()]
    warnings.warn(
        f"{count} of {total} profiles do not cross one of the levels {brief(levels.tolist())} of their start: "
        f"{', '.join(lost)} is missing there (NaN). The first: {_label(curve)} misses {levels[index[-1]]:g} of "
        f"its start of {start:.4g} bit, its {reason}",
        SpecentWarning,
        stacklevel=3,
    )


def _label(curve: xr.Dataset) -> str:
    labels = [f"{dim} {curve[dim].item()!r}" for dim in ("run", "partition", "estimator", "guidance") if dim in curve]
    if "dimension" in curve.coords:
        labels.append(f"dimension {curve['dimension'].item():g}")
    return ", ".join(labels)


def _dataset(
    values: dict[str, Array], dims: list[str], axes: list[str], profiles: xr.Dataset, levels: Array, confidence: float
) -> xr.Dataset:
    coords: dict[Any, Any] = {
        name: coord for name, coord in profiles.coords.items() if "time" not in coord.dims and name != "replicate"
    }
    level, *window = levels.tolist()
    settings = {
        "function": "speciation", "axis": axes, "level": level, "window": window, "confidence": confidence,
        "profiles": json.loads(profiles.attrs["settings"]),
    }  # fmt: skip
    return schema.finish(
        xr.Dataset({name: (dims, array) for name, array in values.items()}, {**coords, "axis": axes}), "speciation",
        title="Speciation of entropy profiles", settings=settings, parents=[profiles],
        schedule=profiles.attrs["schedule"], level=level, confidence=confidence,
        missing=int(sum(np.isnan(values[name]).sum() for name in _NAMES)),
    )  # fmt: skip
