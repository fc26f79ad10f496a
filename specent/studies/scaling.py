"""The two scaling laws of one sweep over dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr


def fit_both_laws(
    profiles: xr.Dataset, least_dimension: float
) -> tuple[xr.Dataset, xr.Dataset, xr.Dataset, xr.Dataset]:
    """Speciation and scaling fit under VP, in time, and under VE, in the noise level.

    Parameters
    ----------
    profiles : Dataset
        Profiles over dimensions on the VE schedule. They depend on the log-SNR alone, so they serve VP as well.
    least_dimension : float
        The fits use dimensions from this one on.

    Returns
    -------
    tuple of Dataset
        Speciation and fit under VP, speciation and fit under VE.
    """
    from specent import analysis, schedules

    large = profiles.sel(dimension=profiles.dimension >= least_dimension)
    by_time = analysis.speciation(analysis.on_schedule(large, schedules.VP()), axis="time")
    by_level = analysis.speciation(large, axis="sigma")
    return by_time, analysis.fit_scaling(by_time, law="log"), by_level, analysis.fit_scaling(by_level, law="sqrt")
