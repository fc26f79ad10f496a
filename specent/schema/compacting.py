r"""Trajectories in fewer bytes: single precision, rounded to the bits that matter.

A number that is rounded to b bits of its mantissa is off by at most :math:`2^{-b-1}` of itself, up or down alike, and
ends in zeros, which compress to nothing. This is the rounding that netCDF calls BitRound (Kouznetsov, *Geosci. Model
Dev.* 14, 377, 2021). What is kept of each variable stands in the registry: 16 bits of a log-likelihood, of which small
differences of large ones may matter, 12 of production and 10 of distances, which are averaged.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from specent.arguments import instance
from specent.schema.registry import KINDS
from specent.schema.rules import kind_of

BITS = "significant_bits"
"""Attribute of a variable that was rounded: how many bits of the mantissa it keeps."""

_MANTISSA = 23
# numbers that stay in the cache of a processor on the way
_BLOCK = 1 << 16


def rounded(values: ArrayLike, bits: int) -> NDArray[np.float32]:
    """Single precision, rounded to so many bits of the mantissa; of two as near the even one.

    Parameters
    ----------
    values : array_like
        Numbers within the range of single precision.
    bits : int
        From 1 to 23.

    Returns
    -------
    ndarray of float32

    Examples
    --------
    >>> rounded([1.0, 1.3, -1000.7], 3).tolist()
    [1.0, 1.25, -1024.0]
    """
    single: NDArray[np.float32] = np.array(values, dtype=np.float32, order="C")
    drop = np.uint32(_MANTISSA - bits)
    if drop == 0:
        return single
    unit = np.uint32(1) << drop
    half, mask = (unit >> np.uint32(1)) - np.uint32(1), ~(unit - np.uint32(1))
    flat = single.reshape(-1).view(np.uint32)
    for start in range(0, flat.size, _BLOCK):
        whole = flat[start : start + _BLOCK]
        odd = (whole >> drop) & np.uint32(1)
        odd += half
        whole += odd
        whole &= mask
    return single


def compact(runs: xr.Dataset) -> xr.Dataset:
    """Trajectories rounded to the bits that matter, in single precision.

    Parameters
    ----------
    runs : Dataset
        Kind ``trajectories``, in NumPy or Dask arrays.

    Returns
    -------
    Dataset
        Kind ``trajectories``. Variables that were rounded have the attribute ``significant_bits``, by which
        `specent.write` tells netCDF; entropies change by less than 1e-4 bit.

    Raises
    ------
    SpecentError
        If it is not of that kind.

    Examples
    --------
    >>> import specent as sp
    >>> compact(sp.archive.example())["log_likelihood"].dtype
    dtype('float32')
    """
    instance(runs, xr.Dataset, "runs", "pass a Dataset of kind trajectories")
    kind_of(runs, "trajectories")
    small: dict[str, Any] = {}
    for row in KINDS["trajectories"].values():
        if row.bits and row.name in runs:
            array: xr.DataArray = xr.apply_ufunc(
                rounded, runs[row.name], kwargs={"bits": row.bits}, dask="parallelized", output_dtypes=[np.float32]
            )
            small[row.name] = array.assign_attrs({**runs[row.name].attrs, BITS: row.bits})
    return runs.assign(small)
