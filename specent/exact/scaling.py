r"""The two-component mixture over many dimensions, in closed form (arXiv 2602.09651).

Two equally likely components at :math:`\pm m` with :math:`|m|^2 = d` and variance :math:`s_0^2` depend on the noise
through :math:`K = \sqrt{d/(s_0^2 + \sigma^2/\alpha^2)}` alone, whatever the dimension: :math:`H = F(K)`.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from specent import arguments
from specent.arguments import brief
from specent.axes import check_axis, rate_factor
from specent.errors import SpecentError
from specent.exact.analytic import two_component_entropy, two_component_entropy_slope
from specent.exact.profile import curve_in_bits, exact_dataset
from specent.partitions import Partition
from specent.schedules import Schedule, check_grid

Array = NDArray[np.float64]


def scaling_profiles(
    dimensions: ArrayLike,
    schedule: Schedule,
    time: ArrayLike,
    *,
    variance: float = 1.0,
    rate_axis: str = "log_snr",
) -> xr.Dataset:
    """Profiles of two equally likely components at +-m, ``|m|**2 = d``, for many dimensions d on one time grid.

    Parameters
    ----------
    dimensions : array_like, shape (dimension,)
        Ambient dimensions d, ascending, from 1 to 1e30.
    schedule : Schedule
        The noise schedule.
    time : array_like, shape (time,)
        Ascending times in the schedule's range.
    variance : float
        Variance of each component, positive, at most 1e30.
    rate_axis : {"log_snr", "log_sigma", "sigma", "time"}
        Axis of the entropy rate; "sigma" is the noise level ``sigma / alpha``, not the coordinate ``sigma``.

    Returns
    -------
    Dataset
        Kind ``profiles`` over (dimension, estimator, guidance, partition, time), estimator ``"exact"``, to 1e-10 bit.

    Raises
    ------
    SpecentError
        If a dimension is below 1 or they do not ascend, the variance is not positive, or the grid does not fit.

    Examples
    --------
    >>> from specent.schedules import VP
    >>> curves = scaling_profiles([16, 2**20], VP(), [1.0, np.log(16) / 2, np.log(2**20) / 2])
    >>> curves.entropy.squeeze().round(6).values.tolist()
    [[0.252389, 0.514056, 0.999989], [0.0, 0.0, 0.514056]]
    """
    size = arguments.array(dimensions, "dimensions")
    if size.ndim != 1 or not size.size or not ((size >= 1) & (size <= 1e30)).all() or not (np.diff(size) > 0).all():
        raise SpecentError(
            f"dimensions={brief(dimensions)} must be a list of ascending numbers from 1 to 1e30; whole numbers "
            "of numpy wrap around beyond 2**63, so write 2.0 ** numpy.arange(...)"
        )
    variance = arguments.number(variance, "variance", above=0, most=1e30)
    check_axis(rate_axis, "rate_axis")
    grid = check_grid(schedule, time)
    log_snr = schedule.log_snr(grid)
    tau = np.exp(-log_snr)
    ratio = np.sqrt(size[:, None] / (variance + tau))
    entropy = two_component_entropy(ratio) * np.log(2)
    slope = two_component_entropy_slope(ratio) * np.log(2)
    # ln K = const - ln(s0^2 + tau)/2 and dtau/dlog_snr = -tau
    rate = -slope * ratio * tau / (2 * (variance + tau)) * rate_factor(rate_axis, log_snr, schedule)
    settings = {
        "function": "specent.exact.scaling_profiles",
        "model": {"name": "two_components", "squared_mean": "dimension", "variance": variance},
        "dimensions": size.tolist(),
    }
    pair, dims = Partition.pair("-", "+"), ("dimension", "partition", "time")
    return exact_dataset(
        curve_in_bits(entropy[:, None], dims=dims), curve_in_bits(rate[:, None], dims=dims), [float(np.log(2))], [pair],
        schedule, grid, rate_axis, settings, "Exact profiles of the two-component mixture over dimensions", size,
    )  # fmt: skip
