"""Curves over the log-SNR: rates by differences, and entropies by integration of a rate."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Array = NDArray[np.float64]


def rate_by_differences(entropy: xr.DataArray, log_snr: xr.DataArray) -> xr.DataArray:
    """Minus the derivative of entropy curves with respect to log_snr, by second-order differences on any grid."""
    return _along_time(_minus_gradient, entropy, log_snr)


def integrated(rate: xr.DataArray, log_snr: xr.DataArray) -> xr.DataArray:
    """Trapezoid integral of a rate over log_snr, from the noisiest time down to every time."""
    return _along_time(_trapezoid_from_end, rate, log_snr)


def _along_time(kernel: Callable[..., Array], curve: xr.DataArray, log_snr: xr.DataArray) -> xr.DataArray:
    result: xr.DataArray = xr.apply_ufunc(
        kernel,
        curve,
        log_snr,
        input_core_dims=[["time"], ["time"]],
        output_core_dims=[["time"]],
        dask="parallelized",
        output_dtypes=[np.float64],
    )
    return result


def _minus_gradient(entropy: Array, log_snr: Array) -> Array:
    edge = 2 if len(log_snr) > 2 else 1
    slope: Array = np.gradient(entropy, log_snr, axis=-1, edge_order=edge)  # type: ignore[call-overload]
    return -slope


def _trapezoid_from_end(rate: Array, log_snr: Array) -> Array:
    area = 0.5 * (rate[..., 1:] + rate[..., :-1]) * -np.diff(log_snr)
    out = np.zeros_like(rate)
    out[..., :-1] = np.cumsum(area[..., ::-1], axis=-1)[..., ::-1]
    return out
