"""Grids of noise levels by name, as studies compare them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from specent.errors import SpecentError

if TYPE_CHECKING:
    import xarray as xr


def named_grid(
    name: str, steps: int, error: xr.Dataset, profile: xr.Dataset, ends: tuple[float, float], scale: float, share: float
) -> NDArray[np.float64]:
    """A grid by its name.

    Parameters
    ----------
    name : {"edm", "arctan", "sine", "rescaled", "class share", "entropic"}
        Which, see `specent.grids`.
    steps : int
        Number of noise levels.
    error : Dataset
        The denoising error, from one of the ends to the other.
    profile : Dataset
        Kind ``profiles`` of one curve, with the rate at which the class is decided.
    ends : tuple of float
        Smallest and largest noise level.
    scale : float
        Scale of the arctan and sine grids.
    share : float
        Part of the steps for the class, of "class share".

    Returns
    -------
    ndarray, shape (steps,)
        Ascending noise levels.

    Examples
    --------
    >>> import xarray as xr
    >>> named_grid("arctan", 3, xr.Dataset(), xr.Dataset(), (0.1, 10.0), 1.0, 0.5).round(3).tolist()
    [0.1, 1.0, 10.0]
    """
    from specent.analysis import grids
    from specent.schedules import edm_grid

    match name:
        case "edm":
            return edm_grid(steps, *ends)
        case "arctan":
            return grids.arctan(steps, scale, *ends)
        case "sine":
            return grids.sine(steps, scale, *ends)
        case "rescaled":
            return grids.rescaled(error, steps)
        case "class share":
            return grids.class_share(error, profile, steps, share)
        case "entropic":
            return grids.entropic(error, steps)
    raise SpecentError(f"name={name!r} must be edm, arctan, sine, rescaled, class share or entropic")
