r"""Grids of noise levels that are chosen from what is known of the data, and what they are good for.

A grid puts its nodes where a density over the noise level :math:`\sigma` (of :math:`x_0 + \sigma\varepsilon`) has equal
shares. With the error :math:`\epsilon(\sigma) = E|x_0 - D(x_\sigma)|^2` of the best denoiser, half of which is the rate
at which information about the data is gained per unit of :math:`\gamma = 1/\sigma^2` (arXiv math/0412108), the
densities are

- *entropic*, :math:`\epsilon\,d\gamma`: equal information in every step. It is right for finite data with their exact
  denoiser, and harms networks, for its nodes crowd where a sample is finished already;
- *rescaled*, :math:`\epsilon\,\sigma^{-2} d\sigma` (arXiv 2504.13612);
- *class share*, a mixture of rescaled and of the rate at which the class is decided, each with total 1: it spends part
  of the steps on the proportions of the classes.

Two densities belong to Gaussian data of standard deviation s and need no measurement: *arctan*, uniform in
:math:`\arctan(\sigma/s)`, which is optimal without noise (arXiv 2404.14507, theorem 3.1), and *sine*, uniform in
:math:`\sigma/\sqrt{\sigma^2 + s^2}`, which is so to leading order for the stochastic chain. They have one
parameter, and tie with measured grids on images of digits.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent import arguments, schedules, schema
from specent.arguments import brief
from specent.axes import rate_factor
from specent.errors import SpecentError
from specent.schedules import Schedule
from specent.schedules.levels import GRID_LEVELS, HIGHEST_LEVEL, LOWEST_LEVEL

Array = NDArray[np.float64]

# shares of a density below this fraction of its largest value move no node
_LEAST = 1e-12


def arctan(
    steps: int,
    scale: float = 0.5,
    sigma_min: float = GRID_LEVELS[0],
    sigma_max: float = GRID_LEVELS[1],
    schedule: Schedule | None = None,
) -> Array:
    r"""Noise levels evenly spaced in :math:`\arctan(\sigma/s)` (arXiv 2404.14507, theorem 3.1).

    Parameters
    ----------
    steps : int
        Number of noise levels, at least 2.
    scale : float
        The standard deviation s of the data, or a fraction of it; positive. It decides where the levels are dense.
    sigma_min, sigma_max : float
        Smallest and largest noise level ``sigma / alpha``.
    schedule : Schedule, optional
        The schedule whose times are returned; `VE` by default, where time is sigma.

    Returns
    -------
    ndarray, shape (steps,)
        Ascending times, for `specent.sample`.

    Raises
    ------
    SpecentError
        If there are fewer than 2 steps, or a number is out of range.

    Examples
    --------
    >>> arctan(9)[::-1].round(5).tolist()
    [80.0, 2.44999, 1.19463, 0.74442, 0.49888, 0.3342, 0.20795, 0.10087, 0.002]
    """
    scale = arguments.number(scale, "scale", above=0)
    return _spaced(steps, sigma_min, sigma_max, schedule, lambda x: np.arctan(x / scale), lambda y: scale * np.tan(y))


def sine(
    steps: int,
    scale: float = 0.5,
    sigma_min: float = GRID_LEVELS[0],
    sigma_max: float = GRID_LEVELS[1],
    schedule: Schedule | None = None,
) -> Array:
    r"""Noise levels evenly spaced in :math:`\sigma/\sqrt{\sigma^2 + s^2}`, for the stochastic chain.

    Parameters
    ----------
    steps, scale, sigma_min, sigma_max, schedule
        As of `arctan`.

    Returns
    -------
    ndarray, shape (steps,)
        Ascending times, for `specent.sample`.

    Raises
    ------
    SpecentError
        As `arctan`.

    Examples
    --------
    >>> sine(9)[::-1].round(5).tolist()
    [80.0, 0.90583, 0.56865, 0.40189, 0.29021, 0.20383, 0.13075, 0.06479, 0.002]
    """
    scale = arguments.number(scale, "scale", above=0)
    return _spaced(
        steps, sigma_min, sigma_max, schedule, lambda x: x / np.hypot(x, scale),
        lambda y: scale * y / np.sqrt((1 - y) * (1 + y)),
    )  # fmt: skip


def _spaced(
    steps: int, low: float, high: float, schedule: Schedule | None, to: Callable[[Array], Array],
    back: Callable[[Array], Array],
) -> Array:  # fmt: skip
    """Times of levels that are evenly spaced where `to` maps them."""
    steps, low, high = _checked(steps, low, high)
    first, last = to(np.array([low, high]))
    levels = back(np.linspace(first, last, steps))
    levels[[0, -1]] = low, high
    return _times(levels, schedule)


def nodes_of_density(levels: Array, density: Array, steps: int) -> Array:
    """Noise levels between which a density has equal shares.

    Parameters
    ----------
    levels : ndarray, shape (n,)
        Ascending noise levels; the first and last are also those of the grid.
    density : ndarray, shape (n,)
        Density per unit of ln sigma, not negative; a power law of sigma between two levels.
    steps : int
        How many noise levels are wanted.

    Returns
    -------
    ndarray, shape (steps,)
        Ascending.

    Raises
    ------
    SpecentError
        If the density is nowhere positive.

    Examples
    --------
    >>> nodes_of_density(np.array([1.0, 100.0]), np.array([1.0, 1.0]), 3).round(12).tolist()
    [1.0, 10.0, 100.0]
    """
    most = float(np.max(density))
    if not most > 0:
        raise SpecentError("the density of the grid is nowhere positive; give a profile in which something changes")
    at, value = np.log(levels), _log(density / most)
    width, slope = np.diff(at), np.diff(value)
    # a power law over an interval: mean of its ends on the scale on which it is exponential
    shares = width * np.exp(value[:-1]) * _mean_growth(slope)
    total = np.concatenate([[0.0], np.cumsum(shares)])
    wanted = np.linspace(0.0, total[-1], steps)[1:-1]
    which = np.clip(np.searchsorted(total, wanted, side="right") - 1, 0, len(shares) - 1)
    inside = (wanted - total[which]) / (width[which] * np.exp(value[which]))
    part = np.clip(_inverse_growth(slope[which], inside), 0.0, 1.0)
    nodes = np.exp(at[which] + part * width[which])
    return np.concatenate([levels[:1], nodes, levels[-1:]])


def _log(density: Array) -> Array:
    return np.log(np.maximum(density, _LEAST * float(np.max(density))))


def _mean_growth(slope: Array) -> Array:
    """Mean of ``exp(slope * t)`` over t from 0 to 1."""
    small = np.abs(slope) < 1e-8
    safe = np.where(small, 1.0, slope)
    return np.where(small, 1 + slope / 2, np.expm1(safe) / safe)


def _inverse_growth(slope: Array, area: Array) -> Array:
    """The t up to which ``exp(slope * t)`` has this area."""
    small = np.abs(slope) < 1e-8
    safe = np.where(small, 1.0, slope)
    return np.where(small, area, np.log1p(np.maximum(safe * area, -1 + 1e-15)) / safe)


def rescaled(
    error: xr.Dataset,
    steps: int,
    sigma_min: float | None = None,
    sigma_max: float | None = None,
    schedule: Schedule | None = None,
) -> Array:
    r"""Noise levels with equal shares of :math:`\epsilon\,\sigma^{-2} d\sigma` (arXiv 2504.13612).

    Parameters
    ----------
    error : Dataset
        The denoising error, see `specent.denoising_error` and `specent.exact.denoising_error`.
    steps : int
        Number of noise levels, at least 2.
    sigma_min, sigma_max : float, optional
        Smallest and largest noise level, within those of `error`; these by default.
    schedule : Schedule, optional
        The schedule whose times are returned; `VE` by default, where time is sigma.

    Returns
    -------
    ndarray, shape (steps,)
        Ascending times, for `specent.sample`.

    Raises
    ------
    SpecentError
        If there are fewer than 2 steps, a number is out of range, or `error` is none.

    Examples
    --------
    >>> import specent as sp
    >>> error = sp.exact.denoising_error(sp.exact.GaussianMixture([[0.0]], 0.25), sp.schedules.edm_grid(200))
    >>> rescaled(error, 9)[::-1].round(3).tolist()
    [80.0, 2.45, 1.195, 0.744, 0.499, 0.334, 0.208, 0.101, 0.002]
    """
    levels, density = _of_error(error, 1.0)
    return _measured(levels, density, steps, sigma_min, sigma_max, schedule)


def entropic(
    error: xr.Dataset,
    steps: int,
    sigma_min: float | None = None,
    sigma_max: float | None = None,
    schedule: Schedule | None = None,
) -> Array:
    r"""Noise levels with equal shares of :math:`\epsilon\,d\gamma`, for the exact denoiser of finite data alone.

    Every step then gains the same information about the data (arXiv 2504.13612, math/0412108). For anything else it
    gives samples three to six times worse than the usual grid of as many steps, and is refused.

    Parameters
    ----------
    error, steps, sigma_min, sigma_max, schedule
        As of `rescaled`; `error` must be that of a finite set of data.

    Returns
    -------
    ndarray, shape (steps,)
        Ascending times, for `specent.sample`.

    Raises
    ------
    SpecentError
        As `rescaled`, or if `error` is not that of the exact denoiser of finite data.
    """
    levels, density = _of_error(error, 2.0)
    if error.attrs.get("denoiser") != "finite data":
        raise SpecentError(
            f"error is that of {brief(error.attrs.get('denoiser', 'an unknown denoiser'))}, but entropic grids serve "
            "the exact denoiser of finite data only: on digits a network makes samples three to six times worse by "
            "them; use specent.grids.rescaled or arctan"
        )
    return _measured(levels, density, steps, sigma_min, sigma_max, schedule)


def class_share(
    error: xr.Dataset,
    profiles: xr.Dataset,
    steps: int,
    share: float = 0.5,
    sigma_min: float | None = None,
    sigma_max: float | None = None,
    schedule: Schedule | None = None,
) -> Array:
    """Noise levels with equal shares of a mixture: of what is rescaled, and of the rate at which the class is decided.

    Parameters
    ----------
    error, steps, sigma_min, sigma_max, schedule
        As of `rescaled`.
    profiles : Dataset
        Kind ``profiles`` of one partition, estimator and setting, with its rate.
    share : float
        Part of the steps that the rate gets, from 0 to 1.

    Returns
    -------
    ndarray, shape (steps,)
        Ascending times, for `specent.sample`.

    Raises
    ------
    SpecentError
        As `rescaled`, or if `profiles` holds several curves or no rate.
    """
    share = arguments.number(share, "share", least=0, most=1)
    levels, density = _of_error(error, 1.0)
    own, rate = _rate(profiles)
    inside = np.interp(np.log(levels), np.log(own), rate, left=0.0, right=0.0)
    parts = [part / _total(levels, part) for part in (density, inside)]
    return _measured(levels, (1 - share) * parts[0] + share * parts[1], steps, sigma_min, sigma_max, schedule)


def _of_error(error: xr.Dataset, power: float) -> tuple[Array, Array]:
    """Ascending noise levels and the density error * sigma ** -power per unit of ln sigma."""
    if not isinstance(error, xr.Dataset) or "denoising_error" not in error or "log_snr" not in error.coords:
        what = f"a {type(error).__name__}" if not isinstance(error, xr.Dataset) else "without denoising_error"
        raise SpecentError(f"error is {what}; make it with specent.denoising_error or specent.exact.denoising_error")
    values = error["denoising_error"].squeeze()
    if values.dims != ("time",) or values.size < 2:
        raise SpecentError(f"error has dimensions {values.dims}; select one curve of two times at least")
    array = arguments.array(values.values, "error.denoising_error")
    levels = _levels(arguments.array(error["log_snr"].values, "error.log_snr"), "error")
    if not (np.isfinite(array).all() and (array >= 0).all()):
        raise SpecentError("error holds a denoising_error that is negative or not finite; measure it again")
    return levels, array * levels**-power


def _levels(log_snr: Array, argument: str) -> Array:
    """Ascending noise levels."""
    if log_snr.ndim != 1 or not np.isfinite(log_snr).all() or not (np.diff(log_snr) < 0).all():
        raise SpecentError(f"{argument}: its log_snr does not fall from time to time; sort it, .sortby('time')")
    return np.asarray(np.exp(-0.5 * log_snr))


def _rate(profiles: xr.Dataset) -> tuple[Array, Array]:
    """Ascending noise levels and the rate of one curve per unit of ln sigma, noise below 0 left out."""
    if not isinstance(profiles, xr.Dataset) or "entropy_rate" not in profiles:
        raise SpecentError("profiles holds no entropy_rate; make it with specent.entropy or specent.exact.profiles")
    values = profiles["entropy_rate"].squeeze()
    if values.dims != ("time",):
        raise SpecentError(
            f"profiles holds curves over {values.dims}; select one partition, estimator and guidance setting"
        )
    profiles = schema.need(profiles, "profiles", "profiles", ["entropy_rate"])
    values = profiles["entropy_rate"].squeeze([dim for dim in profiles["entropy_rate"].dims if dim != "time"])
    if not np.isfinite(values.values).all():
        raise SpecentError("profiles holds an entropy_rate that is not finite; measure it again")
    log_snr = profiles["log_snr"].values
    schedule = schedules.from_json(str(profiles.attrs["schedule"])) if "schedule" in profiles.attrs else schedules.VE()
    factor = rate_factor(str(profiles.attrs["rate_axis"]), log_snr, schedule)
    return _levels(log_snr, "profiles"), np.maximum(values.values / factor, 0.0)


def _total(levels: Array, density: Array) -> float:
    total = float(np.trapezoid(density, np.log(levels)))
    if not total > 0:
        raise SpecentError("profiles decide nothing between the noise levels of error; give both of the same data")
    return total


def _measured(
    levels: Array, density: Array, steps: int, low: float | None, high: float | None, schedule: Schedule | None
) -> Array:
    """Times with equal shares of a measured density, between ends within it."""
    steps, low, high = _checked(steps, levels[0] if low is None else low, levels[-1] if high is None else high)
    if low < levels[0] * (1 - 1e-9) or high > levels[-1] * (1 + 1e-9):
        raise SpecentError(
            f"sigma_min={low:g}, sigma_max={high:g} leave the noise levels {levels[0]:.4g} to {levels[-1]:.4g} "
            "at which the error is known; keep within, or measure more levels"
        )
    cut = np.concatenate([[low], levels[(levels > low) & (levels < high)], [high]])
    # a power law between levels, as between the nodes; what is 0 everywhere stays so
    values = np.exp(np.interp(np.log(cut), np.log(levels), _log(density))) if density.any() else np.zeros(len(cut))
    return _times(nodes_of_density(cut, values, steps), schedule)


def _checked(steps: int, low: float, high: float) -> tuple[int, float, float]:
    steps = arguments.whole(steps, "steps", least=2, most=10**7)
    low, high = (
        arguments.number(value, name, least=LOWEST_LEVEL, most=HIGHEST_LEVEL)
        for name, value in (("sigma_min", low), ("sigma_max", high))
    )
    if low >= high:
        raise SpecentError(f"sigma_min={low!r} must lie below sigma_max={high!r}")
    return steps, low, high


def _times(levels: Array, schedule: Schedule | None) -> Array:
    schedule = schedules.VE() if schedule is None else schedule
    arguments.instance(schedule, Schedule, "schedule", "use specent.schedules.VE() or another")  # type: ignore[type-abstract]
    return schedules.check_grid(schedule, schedule.time_at_level(levels))
