r"""Entanglement of two attributes: what the state tells of one about the other, on the way.

.. math:: I(A;B\,|\,X_t) = H[A|X_t] + H[B|X_t] - H[A,B|X_t] \;\ge\; 0 .

Attributes that are independent in pure noise and in clean pictures, where nothing or everything is known, may depend on
each other in between: of a state that could be one or the other combination, but no mixture of the two, each attribute
tells the other. It is 0 throughout if the attributes move the picture along directions of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xarray as xr

from specent import arguments
from specent.analysis.several_partitions import EntropySource, with_bounds, with_replicates
from specent.designs import joint
from specent.errors import PartitionError
from specent.partitions import Partition

# probabilities of labels that went through texts
_ROUNDING = 1e-6


def entanglement(
    source: xr.Dataset,
    first: Partition | str,
    second: Partition | str,
    *,
    label_prior: Mapping[str, float] | None = None,
    confidence: float | None = None,
    **options: Any,
) -> xr.Dataset:
    """Mutual information of two partitions given the state, at every noise level.

    Parameters
    ----------
    source : Dataset or path
        Kind ``trajectories``, of which the entropies are taken; or kind ``profiles`` that hold both partitions and
        `specent.designs.joint` of them, such as exact ones.
    first, second : Partition or str
        Both attributes, as partitions of the same labels.
    label_prior : mapping of str to float, optional
        Prior of the labels of profiles, uniform by default; trajectories bring their own.
    confidence : float, optional
        Nominal coverage of the intervals, that of the profiles by default.
    **options
        Of `specent.entropy`, for trajectories: ``estimator``, "path" by default, ``replicates``, ``seed``.

    Returns
    -------
    Dataset
        Not a kind of the data contract. ``entanglement`` (..., time) in bits, with ``_lower`` and ``_upper``, NaN where
        the profiles have no replicates. Other dimensions are those of the profiles. An estimate may be negative by its
        sampling error.

    Raises
    ------
    SpecentError
        If the partitions cover different labels or weigh them differently, or the source does not hold what is needed.

    Examples
    --------
    >>> import specent as sp
    >>> labels, (tone, size) = sp.designs.factorial({"tone": ["dark", "light"], "size": ["small", "large"]})
    >>> mix = sp.exact.GaussianMixture([[-4.0, -4.0], [-4.0, 4.0], [4.0, -4.0], [4.0, 4.0]], labels=list(labels))
    >>> wanted = [tone, size, sp.designs.joint(tone, size)]
    >>> profiles = sp.exact.profiles(mix, sp.schedules.VE(), [1.0, 4.0, 16.0], wanted)
    >>> float(abs(entanglement(profiles, tone, size).entanglement).max()) < 0.01
    True
    """
    found = EntropySource.of(source, label_prior, options)
    pair = [Partition.parse(one, found.labels) if isinstance(one, str) else one for one in (first, second)]
    both = joint(*pair)
    chances = [partition.weights(found.labels, found.prior(found.labels)).sum(axis=0) for partition in (*pair, both)]
    for partition, weights in zip(pair, chances, strict=False):
        if abs(weights - chances[-1]).max() > _ROUNDING:
            raise PartitionError(
                f"partition {partition.name!r} gives the labels other probabilities than their prior; leave out prior="
            )
    # rates are not asked for, and the production of the joint partition is seldom recorded
    wanted = {"estimator": "path", "rate": "differences"} | options if found.sampled else options
    profiles = found.profiles([*pair, both], [*pair, both], **wanted)
    share = profiles.attrs.get("confidence", 0.95) if confidence is None else confidence
    share = arguments.number(share, "confidence", above=0, below=1)
    entropies = with_replicates(profiles, "entropy")
    values = entropies.isel(partition=0) + entropies.isel(partition=1) - entropies.isel(partition=2)
    text = f"mutual information of {pair[0].name!r} and {pair[1].name!r} given the state"
    kept = profiles[[name for name in profiles.coords if name != "replicate"]].coords
    result = xr.Dataset(dict(with_bounds(values, "entanglement", text, "bit", share))).assign_coords(kept)
    return result.assign_attrs(title="Entanglement of two attributes", confidence=share)
