"""The one builder of ``profiles``: curves in bits, with their bounds, become a dataset of the contract."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from specent.partitions import Partition
from specent.schema import coordinates
from specent.schema.building import finish


class Curve(NamedTuple):
    """A quantity with its bounds, and its bootstrap replicates if there are any.

    The dimensions are some of (dimension, estimator, guidance, partition, time), the replicates have ``replicate`` too.
    """

    value: xr.DataArray
    lower: xr.DataArray
    upper: xr.DataArray
    replicates: xr.DataArray | None = None


def build_profiles(
    entropy: Curve,
    entropy_rate: Curve,
    *,
    prior_entropy: Sequence[float],
    partitions: Sequence[Partition],
    estimators: Sequence[str],
    coords: Mapping[Any, Any],
    title: str,
    settings: Mapping[str, Any],
    rate_axis: str,
    schedule: str,
    parents: Iterable[xr.Dataset] = (),
    extra: Mapping[str, xr.DataArray] | None = None,
    **attributes: str | int | float,
) -> xr.Dataset:
    """Build a dataset of kind ``profiles``; the mutual information follows from the entropy.

    Parameters
    ----------
    entropy, entropy_rate : Curve
        In bits, and in bits per unit of `rate_axis`. The dimensions ``estimator``, ``guidance`` and ``partition`` may
        be left out where they have one entry.
    prior_entropy : sequence of float
        Entropy of the sides before anything is seen, in bits, one number per partition.
    partitions : sequence of Partition
        The partitions.
    estimators : sequence of str
        Names of the estimators.
    coords : mapping
        Coordinates of the dimensions ``time``, ``guidance`` and, where there is one, ``dimension``; see
        `specent.schema.coordinates`.
    title, settings, parents, **attributes
        As for `specent.schema.finish`.
    rate_axis : str
        Axis along which the rate is given.
    schedule : str
        The noise schedule as JSON text.
    extra : mapping of str to DataArray, optional
        Further variables of the kind.

    Returns
    -------
    Dataset

    Examples
    --------
    >>> from specent.guidance import Guidance
    >>> from specent.schedules import VE
    >>> time, values = np.array([0.5, 1.0]), xr.DataArray([0.2, 0.6], dims="time")
    >>> coords = {**coordinates.of_schedule(VE(), time), **coordinates.of_guidance([Guidance()])}
    >>> profiles = build_profiles(
    ...     Curve(values, values, values), Curve(values, values, values), prior_entropy=[1.0], estimators=["mine"],
    ...     partitions=[Partition.pair("a", "b")], coords=coords, title="Mine", settings={}, rate_axis="log_snr",
    ...     schedule=VE().to_json())
    >>> profiles.mutual_information.squeeze().values.tolist()
    [0.8, 0.4]
    """
    start = xr.DataArray(np.asarray(prior_entropy, dtype=np.float64), dims="partition")
    variables: dict[str, xr.DataArray] = dict(extra or {})
    for name, curve in (("entropy", entropy), ("entropy_rate", entropy_rate)):
        variables |= {name: curve.value, f"{name}_lower": curve.lower, f"{name}_upper": curve.upper}
        if curve.replicates is not None:
            variables[f"{name}_replicate"] = curve.replicates.astype(np.float32, copy=False)
    information = ("mutual_information", "mutual_information_upper", "mutual_information_lower")
    for name, bits in zip(information, (entropy.value, entropy.lower, entropy.upper), strict=True):
        variables[name] = start - bits
    dataset = xr.Dataset({name: _complete(array) for name, array in variables.items()})
    return finish(
        dataset.assign_coords({**coords, **coordinates.of_partitions(partitions), "estimator": list(estimators)}),
        "profiles",
        title=title,
        settings=settings,
        parents=parents,
        rate_axis=rate_axis,
        schedule=schedule,
        **attributes,
    )


def _complete(array: xr.DataArray) -> xr.Variable:
    """The array without coordinates, and with every dimension that a profile must have."""
    bare = array.variable
    lost = [dim for dim in ("estimator", "guidance", "partition") if dim not in bare.dims]
    return xr.DataArray(bare).expand_dims(lost).variable if lost else bare
