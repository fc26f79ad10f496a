r"""How the place of speciation scales with the dimension d.

For two classes at squared distance proportional to d the half-entropy time of a variance-preserving clock lies at
:math:`\tfrac12\ln d` plus a constant, and the noise level at a constant times :math:`\sqrt d` (arXiv 2402.18491,
2602.09651). Both laws are straight lines, in :math:`\tfrac12\ln d` and in :math:`\ln d`.
"""

from __future__ import annotations

import json
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import ndtri

from specent import schema
from specent.arguments import brief, number
from specent.errors import SpecentError

Array = NDArray[np.float64]

_LEAST_SPAN = 0.01  # of the logarithms of the dimensions


def fit_scaling(spec: xr.Dataset, law: Literal["log", "sqrt"] = "log") -> xr.Dataset:
    r"""Fit the scaling of the half-entropy place with the dimension.

    Parameters
    ----------
    spec : Dataset
        Kind ``speciation`` over ``dimension``, at least three of them.
    law : {"log", "sqrt"}
        "log": the half-entropy time of a variance-preserving clock (``axis="time"``) against :math:`\ln(d)/2`, a
        ``slope`` and an ``intercept``. "sqrt": the logarithm of the noise level (``axis="sigma"`` or ``"log_sigma"``)
        against :math:`\ln d`, an ``exponent`` and an ``intercept``.

    Returns
    -------
    Dataset
        Kind ``scaling`` over (estimator, guidance, partition) with standard errors, and ``residual`` over
        ``dimension``; attributes ``dimension_min`` and ``dimension_max``.

    Raises
    ------
    SpecentError
        If there are fewer than three dimensions or one is not positive, a place is not a number or excluded by its
        own bounds, or the places are on another axis or clock than the law needs.

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
    >>> fit = sp.fit_scaling(sp.speciation(prof, axis="time"), law="log")
    >>> fit.slope.round(6).item(), fit.intercept.round(4).item()
    (1.0, -0.0215)
    """
    if isinstance(spec, xr.Dataset):
        spec = schema.ordered(spec, "speciation")
    schema.need(spec, "speciation", "spec")
    if not isinstance(law, str) or law not in ("log", "sqrt"):
        raise SpecentError(f"law={brief(law)} is not known; use 'log' or 'sqrt'")
    dimension = _dimensions(spec)
    check = {"log": _check_log, "sqrt": _check_sqrt}[law]
    check(spec)
    _check_places(spec)
    ordered = ("dimension", "estimator", "guidance", "partition")
    value, low, high = (spec[f"half_time{bound}"].transpose(*ordered).values for bound in ("", "_lower", "_upper"))
    if law == "sqrt" and spec.attrs["time_axis"] == "sigma":
        value, low, high = np.log(value), np.log(low), np.log(high)
    confidence = number(spec.attrs.get("confidence", 0.95), "spec: the attribute confidence", above=0, below=1)
    error = (high - low) / (2 * ndtri(0.5 + confidence / 2))
    return _finished(spec, law, *_lines(np.log(dimension) * (0.5 if law == "log" else 1.0), value, error))


def _dimensions(spec: xr.Dataset) -> Array:
    """The dimensions, if a line can be drawn over them."""
    if "dimension" not in spec.dims:
        raise SpecentError(
            "spec has no dimension 'dimension', over which the law is fitted: summarise profiles that have it, from "
            "specent.exact.scaling_profiles or joined along it (xarray.concat, then specent.schema.finish)"
        )
    found: Array = spec["dimension"].values
    if len(found) < 3:
        raise SpecentError(
            f"spec has {len(found)} dimensions; a fit needs at least 3: use specent.exact.scaling_profiles, or join "
            "the profiles of several d along 'dimension' (xarray.concat, then specent.schema.finish) before summarising"
        )
    if not ((found > 0).all() and np.log(found.max() / found.min()) > _LEAST_SPAN):
        raise SpecentError(
            f"spec: dimension={brief(found.tolist())} must be positive numbers that differ by 1 % at least, so that "
            "their logarithms span a line"
        )
    return found


def _check_places(spec: xr.Dataset) -> None:
    """Raise with the first place that no law can be fitted to."""
    positive = spec.attrs["time_axis"] in ("sigma", "time")
    value = spec["half_time"]
    for name in ("half_time", "half_time_lower", "half_time_upper"):
        found = spec[name]
        bad = ~(abs(found) < np.inf) | ((found <= 0) & positive)
        text = "is not a positive finite number" if positive else "is not a finite number"
        if name != "half_time":
            wrong_side = found > value if name.endswith("lower") else found < value
            text, bad = f"{text} on its side of half_time", bad | wrong_side
        if bool(bad.any()):
            at = {dim: int(i[0]) for dim, i in zip(bad.dims, np.nonzero(bad.values), strict=True)}
            place = ", ".join(f"{dim}={found[dim].values[i]!s}" for dim, i in at.items())
            wrong = found.values[tuple(at.values())]
            raise SpecentError(f"spec: {name}={wrong!s} at {place} {text}; drop it (.isel) or summarise again")


def _check_log(spec: xr.Dataset) -> None:
    name = json.loads(str(spec.attrs.get("schedule", '{"name": "unknown"}')))["name"]
    if spec.attrs["time_axis"] != "time" or name != "vp":
        raise SpecentError(
            f"law='log' needs the time of a variance-preserving clock, but spec is on axis {spec.attrs['time_axis']!r} "
            f"of the schedule {name!r}: use specent.speciation(specent.on_schedule(profiles, VP()), axis='time')"
        )


def _check_sqrt(spec: xr.Dataset) -> None:
    if spec.attrs["time_axis"] not in ("sigma", "log_sigma"):
        raise SpecentError(
            f"law='sqrt' needs noise levels, but spec is on axis {spec.attrs['time_axis']!r}: use "
            "specent.speciation(profiles, axis='sigma')"
        )


def _lines(x: Array, value: Array, error: Array) -> tuple[Array, Array, Array]:
    """Straight lines through values, shape (points, ...): coefficients and standard errors (2, ...), residuals."""
    columns, errors = value.reshape(len(x), -1), error.reshape(len(x), -1)
    design = np.stack([x, np.ones_like(x)], axis=1)
    fitted, standard, residual = (
        np.empty((2, columns.shape[1])),
        np.empty((2, columns.shape[1])),
        np.empty_like(columns),
    )
    for j in range(columns.shape[1]):
        known = bool((errors[:, j] > 0).all())
        weight = 1 / errors[:, j] if known else np.ones_like(x)
        fitted[:, j] = np.linalg.lstsq(design * weight[:, None], columns[:, j] * weight)[0]
        residual[:, j] = columns[:, j] - design @ fitted[:, j]
        spread = 1.0 if known else np.sum(residual[:, j] ** 2) / (len(x) - 2)
        information = (design * weight[:, None] ** 2).T @ design
        standard[:, j] = np.sqrt(spread * np.diag(np.linalg.inv(information)))
    rest = value.shape[1:]
    return fitted.reshape(2, *rest), standard.reshape(2, *rest), residual.reshape(value.shape)


def _finished(spec: xr.Dataset, law: str, fitted: Array, standard: Array, residual: Array) -> xr.Dataset:
    dims = ("estimator", "guidance", "partition")
    made: dict[str, tuple[tuple[str, ...], Array]] = {"residual": (("dimension", *dims), residual)}
    for i, name in enumerate(("slope" if law == "log" else "exponent", "intercept")):
        made[name] = (dims, fitted[i])
        made[f"{name}_standard_error"] = (dims, standard[i])
    dimension = spec["dimension"].values
    return schema.finish(
        xr.Dataset(made, spec.coords), "scaling", title="Scaling of the place of speciation with the dimension",
        settings={"function": "fit_scaling", "law": law, "speciation": json.loads(spec.attrs["settings"])},
        parents=[spec], law=law, dimension_min=float(dimension.min()), dimension_max=float(dimension.max()),
    )  # fmt: skip
