"""What guidance changes: profiles less those of unguided runs, paired by their noise (arXiv 2602.09651, Fig. 3).

All guidance settings of one run share the noise of every trajectory, and the bootstrap draws the same trajectories for
all of them. So a replicate of the difference is the difference of the replicates, and what settings have in common
cancels. Over many partitions of one kind, such as every class against the rest, median and quartiles tell the typical
change; their intervals are over trajectories, the partitions being taken as they are.
"""

from __future__ import annotations

import json

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent import arguments, schema
from specent.analysis import bootstrap
from specent.arguments import brief
from specent.errors import SpecentError

Array = NDArray[np.float64]

QUANTILES = {"lower_quartile": 0.25, "median": 0.5, "upper_quartile": 0.75}
"""Summaries over partitions, as they begin the names of variables."""

_QUANTITIES = ("entropy", "entropy_rate")


def differences(profiles: xr.Dataset, reference: str = "unguided", *, confidence: float | None = None) -> xr.Dataset:
    """Entropy and entropy rate under every guidance setting, less those under a reference setting.

    Parameters
    ----------
    profiles : Dataset
        Kind ``profiles`` with bootstrap replicates, of one call of `specent.sample` with several guidance settings.
        Partitions should be of one kind, for they are summarised together: select them before.
    reference : str
        Name of the guidance setting that is subtracted.
    confidence : float, optional
        Nominal coverage of the intervals; that of `profiles` by default.

    Returns
    -------
    Dataset
        Kind ``differences`` over (estimator, guidance, partition, time): ``entropy_difference`` in bits,
        ``entropy_rate_difference`` in bits per unit of the rate axis, and over (estimator, guidance, time) their median
        and quartiles over the partitions, all with ``_lower`` and ``_upper``. Estimator "path" tells of the entropy
        under guidance, "cross_entropy" of the cross-entropy of the driver.

    Raises
    ------
    SpecentError
        If the reference is not among the settings or the only one, or `profiles` has no replicates, a dimension more,
        or a number that is not finite.

    References
    ----------
    arXiv 2602.09651.

    Examples
    --------
    >>> import specent as sp
    >>> mix = sp.exact.GaussianMixture([[-4.0], [4.0]], labels=["left", "right"])
    >>> runs = sp.sample(sp.models.mixture(mix), schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(32),
    ...                  samples=50, guidance=[sp.Guidance(), sp.Guidance(2.0)], progress=False)
    >>> diff = differences(sp.entropy(runs, "left|right", ("path", "cross_entropy")))
    >>> diff.guidance.values.tolist(), bool(diff.median_entropy_difference.min() < -0.1)
    (['w=2'], True)
    """
    profiles = schema.need(profiles, "profiles", "profiles", _QUANTITIES)
    _check(profiles, reference)
    share = float(profiles.attrs.get("confidence", 0.95)) if confidence is None else confidence
    share = arguments.number(share, "confidence", above=0, below=1)
    variables: dict[str, xr.DataArray] = {}
    for name in _QUANTITIES:
        gap = _gap(profiles, name, reference)
        variables |= _bounded(f"{name}_difference", gap, share)
        for prefix, level in QUANTILES.items():
            variables |= _bounded(f"{prefix}_{name}_difference", summary(gap, level), share)
    settings = {
        "function": "differences", "reference": reference, "confidence": share,
        "profiles": json.loads(profiles.attrs["settings"]),
    }  # fmt: skip
    attributes = {name: profiles.attrs[name] for name in ("model", "guidance_formula") if name in profiles.attrs}
    count = profiles.sizes["partition"]
    return schema.finish(
        xr.Dataset(variables), "differences",
        title=f"Profiles of {count} partition{'s' if count != 1 else ''} less the setting {reference}",
        settings=settings, parents=[profiles], reference=reference, confidence=share,
        rate_axis=profiles.attrs["rate_axis"], schedule=profiles.attrs["schedule"], **attributes,
    )  # fmt: skip


def summary(values: xr.DataArray, level: float) -> xr.DataArray:
    """Quantile over the partitions, replicate by replicate.

    Examples
    --------
    >>> summary(xr.DataArray([[1.0, 3.0], [2.0, 8.0]], dims=("replicate", "partition")), 0.5).values.tolist()
    [2.0, 5.0]
    """
    quantile: xr.DataArray = xr.apply_ufunc(
        np.quantile, values, input_core_dims=[["partition"]], kwargs={"q": level, "axis": -1}
    )
    return quantile


def _check(profiles: xr.Dataset, reference: str) -> None:
    if "dimension" in profiles.dims:
        raise SpecentError(
            "profiles are those of several dimensions; select one: profiles.isel(dimension=0, drop=True)"
        )
    names = profiles["guidance"].values.tolist()
    if not isinstance(reference, str) or reference not in names:
        raise SpecentError(f"reference={brief(reference)} is no guidance setting of profiles; they have {names}")
    if len(names) < 2:
        raise SpecentError(
            f"profiles hold the guidance setting {names[0]!r} alone; sample several at once, guidance=[Guidance(), ...]"
        )
    if any(f"{name}_replicate" not in profiles for name in _QUANTITIES):
        raise SpecentError("profiles hold no bootstrap replicates; make them with entropy(..., keep_replicates=True)")
    if bootstrap.distinct_replicates(profiles) < bootstrap.FEWEST:
        raise SpecentError(
            f"profiles hold {bootstrap.distinct_replicates(profiles)} different bootstrap replicates, too few for "
            f"intervals; keep all of them, at least {bootstrap.FEWEST}"
        )


def _gap(profiles: xr.Dataset, name: str, reference: str) -> xr.DataArray:
    """Every other setting less the reference, dims (replicate, ...): the estimate at index 0, replicates from 1 on."""
    estimate = profiles[name].expand_dims("replicate")
    replicates = profiles[f"{name}_replicate"].drop_vars("replicate").astype(np.float64)
    whole = xr.concat([estimate, replicates], "replicate", join="exact").compute()
    others = [setting for setting in profiles["guidance"].values.tolist() if setting != reference]
    gap = whole.sel(guidance=others) - whole.sel(guidance=reference, drop=True)
    bad = ~np.isfinite(gap.values)
    if bad.any():
        at = [int(index[0]) for index in np.nonzero(bad)]
        where = [f"{dim}={gap[dim].values[i]}" for dim, i in zip(gap.dims, at, strict=True) if dim in gap.coords]
        raise SpecentError(f"profiles: {name} is not finite at {', '.join(where)}; leave it out, or make it again")
    return gap


def _bounded(name: str, values: xr.DataArray, confidence: float) -> dict[str, xr.DataArray]:
    lower, upper = bootstrap.bounds(values, confidence)
    return {name: values.isel(replicate=0), f"{name}_lower": lower, f"{name}_upper": upper}
