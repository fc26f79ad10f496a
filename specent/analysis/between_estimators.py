"""How far estimators of the same curve lie apart: each of them less one, with the interval of the difference.

Estimators of one run share its trajectories, and the bootstrap draws the same trajectories for all of them. So a
replicate of the difference is the difference of the replicates, and what they have in common cancels.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from specent import arguments, schema
from specent.analysis import bootstrap
from specent.arguments import brief
from specent.errors import SpecentError
from specent.schema.coordinates import stored_partitions

REFERENCES = ("exact", "path")
"""What is subtracted by default: the first of these that is there."""

QUANTITIES = ("entropy", "entropy_rate")
"""What has a difference."""


def estimator_differences(
    profiles: xr.Dataset, reference: str | xr.Dataset | None = None, *, confidence: float | None = None
) -> xr.Dataset:
    """Entropy and entropy rate of every estimator, less those of one of them.

    Parameters
    ----------
    profiles : Dataset
        Kind ``profiles``.
    reference : str or Dataset, optional
        The estimator that is subtracted: its name, or profiles of one estimator at the same times, of which partitions
        and guidance settings are used that both have. By default "exact", otherwise "path", otherwise the first.
    confidence : float, optional
        Nominal coverage of the intervals; that of `profiles` by default.

    Returns
    -------
    Dataset
        Not a kind of the data contract. ``entropy_difference`` in bits and ``entropy_rate_difference`` in bits per unit
        of the rate axis, over the dimensions of `profiles`, with ``_lower`` and ``_upper``. These come from the
        bootstrap replicates where `profiles` holds them; against an exact reference otherwise from the interval of the
        estimator; they are NaN where neither is there.

    Raises
    ------
    SpecentError
        If the reference is not there, is the only estimator, or has other times.

    Examples
    --------
    >>> import specent as sp
    >>> diff = estimator_differences(sp.entropy(sp.archive.example(), "cat | dog"))
    >>> diff.attrs["reference"], diff.estimator.values.tolist()
    ('path', ['cross_entropy', 'denoiser_gap'])
    >>> bool((diff.entropy_difference_lower <= diff.entropy_difference_upper).all())
    True
    """
    profiles = schema.need(profiles, "profiles", "profiles", QUANTITIES)
    # names may have been lost or become numbers
    profiles = profiles.assign_coords(estimator=profiles["estimator"].values.astype(str))
    recorded = profiles.attrs.get("confidence", 0.95)
    share = recorded if confidence is None else confidence
    share = arguments.number(share, "confidence", above=0, below=1)
    if isinstance(reference, xr.Dataset):
        profiles, base, name = _aligned(profiles, schema.need(reference, "profiles", "reference", QUANTITIES))
    else:
        name = _named(profiles, reference)
        base = profiles.sel(estimator=name, drop=True)
    base = base.compute()
    others = [one for one in profiles["estimator"].values.tolist() if one != name]
    if not others:
        raise SpecentError(f"profiles hold the estimator {name!r} alone; nothing differs from it")
    own = profiles.sel(estimator=others).compute()
    variables: dict[str, xr.DataArray] = {}
    for quantity in QUANTITIES:
        variables |= _difference(own, base, quantity, name, share)
    result = xr.Dataset(variables)
    for quantity in QUANTITIES:
        for end in ("", "_lower", "_upper"):
            text = f"{quantity.replace('_', ' ')} less that of the estimator {name}"
            words = f"{end[1:]} bound of the {text}" if end else text
            result[f"{quantity}_difference{end}"].attrs = {"units": "bit", "long_name": words}
    attributes = {
        key: profiles.attrs[key] for key in ("rate_axis", "schedule", "disagreements") if key in profiles.attrs
    }
    return result.assign_attrs(
        {"title": f"Estimators less {name}", "reference": name, "confidence": share} | attributes
    )


def _named(profiles: xr.Dataset, reference: str | None) -> str:
    names = profiles["estimator"].values.tolist()
    if reference is None:
        return str(next((name for name in REFERENCES if name in names), names[0]))
    if not isinstance(reference, str) or reference not in names:
        raise SpecentError(f"reference={brief(reference)} is no estimator of profiles; they have {names}")
    return reference


def _aligned(profiles: xr.Dataset, reference: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset, str]:
    """The partitions and guidance settings that both have, and the name of the estimator of the reference."""
    names = reference["estimator"].values.tolist()
    if len(names) != 1:
        raise SpecentError(f"reference holds the estimators {brief(names)}; select one")
    first_times, second_times = (one["log_snr"].values for one in (profiles, reference))
    if first_times.shape != second_times.shape or not np.allclose(first_times, second_times, rtol=1e-9, atol=1e-8):
        raise SpecentError("reference has other times than profiles; make both on the same grid")
    if profiles.attrs.get("rate_axis") != reference.attrs.get("rate_axis"):
        raise SpecentError("reference has its rate along another axis than profiles; take both along one")
    position = {one: i for i, one in enumerate(stored_partitions(reference))}
    common = [(i, position[one]) for i, one in enumerate(stored_partitions(profiles)) if one in position]
    known = set(reference["guidance"].values.tolist())
    settings = [one for one in profiles["guidance"].values.tolist() if one in known]
    if not common or not settings:
        raise SpecentError("reference has no partition and guidance setting in common with profiles")
    own, other = (one.isel(partition=list(at)).sel(guidance=settings) for one, at in
                  zip((profiles, reference), zip(*common, strict=True), strict=True))  # fmt: skip
    shared = {dim: own[dim] for dim in ("time", "partition")}
    return own, other.isel(estimator=0, drop=True).assign_coords(shared), str(names[0])


def _difference(
    own: xr.Dataset, base: xr.Dataset, quantity: str, reference: str, confidence: float
) -> dict[str, xr.DataArray]:
    name, replicate = f"{quantity}_difference", f"{quantity}_replicate"
    gap = own[quantity].astype(np.float64) - base[quantity].astype(np.float64)
    paired = replicate in own and replicate in base and bootstrap.distinct_replicates(own) >= bootstrap.FEWEST
    if paired or (reference == "exact" and replicate in own):
        less = base[replicate] if paired else base[quantity]
        replicates = own[replicate].astype(np.float64) - less.astype(np.float64)
        whole = xr.concat([gap.expand_dims("replicate"), replicates.drop_vars("replicate", errors="ignore")],
                          "replicate", join="exact")  # fmt: skip
        lower, upper = bootstrap.bounds(whole, confidence)
    elif reference == "exact":
        lower, upper = (own[f"{quantity}{end}"] - base[quantity] for end in ("_lower", "_upper"))
    else:
        lower = upper = xr.full_like(gap, np.nan)
    return {name: gap, f"{name}_lower": lower, f"{name}_upper": upper}
