r"""How speciation scales with the dimension d.

For two classes at squared distance proportional to d the half-entropy time of a variance-preserving schedule lies at
:math:`\tfrac12\ln d` plus a constant, and the noise level at a constant times :math:`\sqrt d` (arXiv 2402.18491,
2602.09651). Both laws are straight lines, in :math:`\tfrac12\ln d` and in :math:`\ln d`.
"""

from __future__ import annotations

import json
import warnings
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import ndtri

from specent import schema
from specent.arguments import brief, number
from specent.errors import SpecentError, SpecentWarning
from specent.schedules import from_json

Array = NDArray[np.float64]

_FEWEST = 3
_LEAST_SPAN = 0.01  # of the logarithms of the dimensions
_NEEDED = ("half_entropy", "half_entropy_lower", "half_entropy_upper")
# the axes on which each law is a straight line
_AXES = {"log": ("time",), "sqrt": ("sigma", "log_sigma")}


def fit_scaling(spec: xr.Dataset, law: Literal["log", "sqrt"] = "log") -> xr.Dataset:
    r"""Fit the scaling of the half-entropy time or noise level with the dimension.

    Parameters
    ----------
    spec : Dataset
        Kind ``speciation`` over ``dimension``, at least three of them.
    law : {"log", "sqrt"}
        "log": the half-entropy time of a variance-preserving schedule (axis "time") against :math:`\ln(d)/2`, a
        ``slope`` and an ``intercept``. "sqrt": the logarithm of the noise level (axis "sigma" or "log_sigma")
        against :math:`\ln d`, an ``exponent`` and an ``intercept``.

    Returns
    -------
    Dataset
        Kind ``scaling`` over (estimator, guidance, partition) with standard errors, and ``residual`` over
        ``dimension``; attributes ``dimension_min`` and ``dimension_max``.

    Raises
    ------
    SpecentError
        If there are fewer than three dimensions or one is not positive, a value is infinite or excluded by its own
        bounds, or the summary lacks the axis or the schedule that the law needs.

    Warns
    -----
    SpecentWarning
        If too many values of a line are missing for a fit; its numbers are NaN.

    Notes
    -----
    Points are weighted by their intervals if all of these have width, and the standard errors follow from the weights;
    otherwise it is ordinary least squares with standard errors from the residuals.

    References
    ----------
    arXiv 2402.18491, 2602.09651.

    Examples
    --------
    >>> import specent as sp
    >>> VP = sp.schedules.VP()
    >>> prof = sp.exact.scaling_profiles([64, 256, 1024], VP, sp.schedules.log_snr_grid(VP, 401, -14.0, 4.0))
    >>> fit = sp.fit_scaling(sp.speciation(prof), law="log")
    >>> fit.slope.round(6).item(), fit.intercept.round(4).item()
    (1.0, -0.0215)
    """
    spec = schema.need(spec, "speciation", "spec", _NEEDED)
    if not isinstance(law, str) or law not in _AXES:
        raise SpecentError(f"law={brief(law)} is not known; use 'log' or 'sqrt'")
    dimension = _dimensions(spec)
    axis = _axis(spec, law)
    half = spec[list(_NEEDED)].sel(axis=axis)
    _refuse_bad(half, positive=axis in ("sigma", "time"))
    first = [dim for dim in half.dims if dim != "dimension"]
    value, low, high = (half[name].transpose("dimension", *first).values for name in _NEEDED)
    if axis == "sigma":
        value, low, high = np.log(value), np.log(low), np.log(high)
    confidence = number(spec.attrs.get("confidence", 0.95), "spec: the attribute confidence", above=0, below=1)
    error = (high - low) / (2 * ndtri(0.5 + confidence / 2))
    rows = [str(dim) for dim in first]
    return _dataset(spec, rows, law, *_lines(np.log(dimension) * (0.5 if law == "log" else 1.0), value, error))


def _dimensions(spec: xr.Dataset) -> Array:
    """The dimensions, if a line can be drawn over them."""
    if "dimension" not in spec.dims:
        raise SpecentError(
            "spec has no dimension 'dimension', over which the law is fitted: summarise profiles that have it, from "
            "specent.exact.scaling_profiles or joined along it (xarray.concat, then specent.schema.finish)"
        )
    size: Array = spec["dimension"].values
    if len(size) < _FEWEST:
        raise SpecentError(
            f"spec has {len(size)} dimensions; a fit needs at least 3: use specent.exact.scaling_profiles, or join "
            "the profiles of several d along 'dimension' (xarray.concat, then specent.schema.finish) before summarising"
        )
    if not ((size > 0).all() and np.log(size.max() / size.min()) > _LEAST_SPAN):
        raise SpecentError(
            f"spec: dimension={brief(size.tolist())} must be positive numbers that differ by 1 % at least, so that "
            "their logarithms span a line"
        )
    return size


def _axis(spec: xr.Dataset, law: str) -> str:
    """The axis of the summary on which the law is a straight line."""
    axes = [str(name) for name in spec["axis"].values]
    schedule = from_json(str(spec.attrs["schedule"])) if "schedule" in spec.attrs else None
    usable = [axis for axis in _AXES[law] if axis in axes]
    if law == "log" and (not usable or schedule is None or schedule.scaling_law != law):
        name = "unknown" if schedule is None else schedule.name
        raise SpecentError(
            f"law='log' needs the time of a variance-preserving schedule, but spec is on the axes {axes} of the "
            f"schedule {name!r}: use specent.speciation(specent.on_schedule(profiles, VP()), axis='time')"
        )
    if not usable:
        raise SpecentError(
            f"law='sqrt' needs noise levels, but spec is on the axes {axes}: use specent.speciation(profiles, "
            "axis='sigma')"
        )
    return usable[0]


def _refuse_bad(half: xr.Dataset, positive: bool) -> None:
    """Raise, naming the first value to which no law can be fitted; missing ones are left out with their line."""
    value = half["half_entropy"]
    missing = np.isnan(value)
    for name in _NEEDED:
        array = half[name]
        bad = ~(abs(array) < np.inf) | ((array <= 0) & positive)
        text = "is not a positive finite number" if positive else "is not a finite number"
        if name != "half_entropy":
            wrong_side = array > value if name.endswith("lower") else array < value
            text, bad = f"{text} on its side of half_entropy", bad | wrong_side
        bad = bad & ~missing
        if bool(bad.any()):
            at = {dim: int(i[0]) for dim, i in zip(bad.dims, np.nonzero(bad.values), strict=True)}
            where = ", ".join(f"{dim}={array[dim].values[i]!s}" for dim, i in at.items())
            wrong = array.values[tuple(at.values())]
            raise SpecentError(f"spec: {name}={wrong!s} at {where} {text}; drop it (.isel) or summarise again")


def _lines(x: Array, value: Array, error: Array) -> tuple[Array, Array, Array]:
    """Straight lines through values, shape (points, ...): coefficients and standard errors (2, ...), residuals.

    Points that are NaN are left out; of a line with fewer than three points nothing is known.
    """
    columns, errors = value.reshape(len(x), -1), error.reshape(len(x), -1)
    design = np.stack([x, np.ones_like(x)], axis=1)
    coefficients, standard = np.full((2, 2, columns.shape[1]), np.nan)
    residual = np.full_like(columns, np.nan)
    for j in range(columns.shape[1]):
        there = np.isfinite(columns[:, j])
        if there.sum() < _FEWEST:
            continue
        points, rows, widths = columns[there, j], design[there], errors[there, j]
        weighted = bool((widths > 0).all())
        weight = 1 / widths if weighted else np.ones_like(points)
        coefficients[:, j] = np.linalg.lstsq(rows * weight[:, None], points * weight)[0]
        residual[there, j] = points - rows @ coefficients[:, j]
        spread = 1.0 if weighted else np.sum(residual[there, j] ** 2) / (len(points) - 2)
        information = (rows * weight[:, None] ** 2).T @ rows
        standard[:, j] = np.sqrt(spread * np.diag(np.linalg.inv(information)))
    rest = value.shape[1:]
    return coefficients.reshape(2, *rest), standard.reshape(2, *rest), residual.reshape(value.shape)


def _dataset(
    spec: xr.Dataset, dims: list[str], law: str, coefficients: Array, standard: Array, residual: Array
) -> xr.Dataset:
    missing = int(np.isnan(coefficients[0]).sum())
    if missing:
        warnings.warn(
            f"{missing} of {coefficients[0].size} fits are missing (NaN): fewer than {_FEWEST} of their dimensions "
            "have a half-entropy noise level; sample to lower noise, or leave these profiles out",
            SpecentWarning,
            stacklevel=3,
        )
    variables: dict[str, tuple[list[str], Array]] = {"residual": (["dimension", *dims], residual)}
    for i, name in enumerate(("slope" if law == "log" else "exponent", "intercept")):
        variables[name] = (dims, coefficients[i])
        variables[f"{name}_standard_error"] = (dims, standard[i])
    dimension = spec["dimension"].values
    coords = {name: coord for name, coord in spec.coords.items() if "axis" not in coord.dims}
    return schema.finish(
        xr.Dataset(variables, coords), "scaling", title="Scaling of speciation with the dimension",
        settings={"function": "fit_scaling", "law": law, "speciation": json.loads(spec.attrs["settings"])},
        parents=[spec], law=law, dimension_min=float(dimension.min()), dimension_max=float(dimension.max()),
        missing=missing,
    )  # fmt: skip
