"""Entropies of several partitions of one source that are added and subtracted, with the intervals of the result.

Estimates of one bootstrap replicate come from the same trajectories. So sums and differences are taken replicate by
replicate, and their intervals know how much of the sampling error the partitions share.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from scipy.special import entr

from specent import arguments, schema
from specent.analysis import bootstrap
from specent.analysis.entropy import entropy
from specent.analysis.inputs import as_dataset, checked_runs
from specent.errors import PartitionError, SpecentError
from specent.evidence import BITS_PER_NAT
from specent.partitions import NULL, Partition
from specent.schema.coordinates import stored_partitions

QUANTITIES = ("entropy", "entropy_rate")


@dataclass(frozen=True)
class EntropySource:
    """Trajectories or profiles of which entropies are combined.

    Attributes
    ----------
    dataset : Dataset
        Kind ``trajectories`` or ``profiles``.
    labels : tuple of str
        Labels that partitions may have.
    label_prior : mapping of str to float, optional
        Their prior, uniform if it is None.
    """

    dataset: xr.Dataset
    labels: tuple[str, ...]
    label_prior: Mapping[str, float] | None

    @classmethod
    def of(
        cls, source: xr.Dataset, label_prior: Mapping[str, float] | None, options: Mapping[str, Any]
    ) -> EntropySource:
        """Trajectories, which bring their prior, or profiles, which take no options of the estimation."""
        check_label_prior(label_prior)
        source = as_dataset(source, "trajectories", "source")
        if isinstance(source, xr.Dataset) and source.attrs.get("specent_kind") == "trajectories":
            runs = checked_runs(source)
            candidates, priors = (runs[name].values.tolist() for name in ("candidate", "candidate_prior"))
            prior = dict(zip(candidates, priors, strict=True))
            return cls(runs, tuple(name for name in prior if name != NULL), prior)
        if options:
            raise SpecentError(f"{next(iter(options))}= is for trajectories; these profiles have their entropies")
        profiles = schema.need(source, "profiles", "source", (*QUANTITIES, "mutual_information"))
        known = [label for one in stored_partitions(profiles) for label in one.labels if label != NULL]
        return cls(profiles, tuple(dict.fromkeys(known)), label_prior)

    @property
    def sampled(self) -> bool:
        """Whether these are trajectories, whose entropies are still to be estimated."""
        return bool(self.dataset.attrs["specent_kind"] == "trajectories")

    def prior(self, labels: Sequence[str]) -> list[float]:
        """The prior of the labels."""
        known = self.label_prior
        return [1.0 if known is None else prior_of(known, label) for label in labels]

    def profiles(self, partitions: Sequence[Partition], whole: Sequence[Partition], **options: Any) -> xr.Dataset:
        """Profiles of these partitions, in their order, which may name one of them twice.

        Parameters
        ----------
        partitions : sequence of Partition
            Which to take.
        whole : sequence of Partition
            Those of them that cover all labels: their entropy in pure noise says with which prior profiles were made.
        **options
            Of `specent.entropy`.

        Raises
        ------
        SpecentError
            If a partition is missing, or a number is not finite.
        """
        profiles = self.dataset
        if self.sampled:
            profiles = entropy(profiles, [*dict.fromkeys(partitions)], **options)
        for name in ("mutual_information", *(name for name in profiles if str(name).startswith(QUANTITIES))):
            if not np.isfinite(profiles[name].values).all():
                raise SpecentError(f"source holds a number in {name!r} that is not finite; measure it again")
        self._refuse_other_prior(profiles, whole)
        at = _positions(profiles, partitions)
        kept = [name for name in profiles.data_vars if str(name).startswith(QUANTITIES)]
        # profiles are small, and sums over replicates are taken of whole arrays
        picked = profiles[kept].isel(partition=at).compute()
        return picked.drop_vars([name for name, coord in picked.coords.items() if "partition" in coord.dims])

    def _refuse_other_prior(self, profiles: xr.Dataset, whole: Sequence[Partition]) -> None:
        """Raise if profiles were made with other priors of the labels than those by which partitions are weighed."""
        total = (profiles["entropy"] + profiles["mutual_information"]).isel(time=-1)
        made = total.isel(partition=_positions(profiles, whole)).transpose("partition", ...).values
        for partition, bits in zip(whole, made.reshape(len(whole), -1)[:, 0], strict=True):
            weights = partition.weights(partition.labels, self.prior(partition.labels))
            expected = float(entr(weights.sum(axis=1)).sum()) * BITS_PER_NAT
            if abs(bits - expected) > 1e-3:
                raise SpecentError(
                    f"label_prior: partition {partition.name!r} starts at {bits:.4g} bit in source, and at "
                    f"{expected:.4g} by these priors; give those with which the profiles were made"
                )


def check_label_prior(label_prior: Mapping[str, float] | None) -> None:
    """Raise unless priors are given by label, or not at all.

    Raises
    ------
    SpecentError
        Naming what was given.
    """
    if label_prior is not None:
        hint = "give a mapping from every label to its prior"
        arguments.instance(label_prior, Mapping, "label_prior", hint)  # type: ignore[type-abstract]


def prior_of(label_prior: Mapping[str, float], label: str, *, positive: bool = False) -> float:
    """The prior of one label, not negative.

    Examples
    --------
    >>> prior_of({"cat": 0.25}, "cat")
    0.25
    """
    if label not in label_prior:
        raise PartitionError(f"label_prior has no number for {label!r}; give one for every label")
    above = 0.0 if positive else -np.inf
    return arguments.number(label_prior[label], f"label_prior[{label!r}]", above=above, least=0, most=1e100)


def _positions(profiles: xr.Dataset, wanted: Sequence[Partition]) -> list[int]:
    """Where partitions of these sides and priors are among those of the profiles."""
    known = {(one.sides, one.prior): i for i, one in reversed([*enumerate(stored_partitions(profiles))])}
    for partition in wanted:
        if (partition.sides, partition.prior) not in known:
            raise SpecentError(
                f"source holds no profile of {partition.name!r}; make it with the partitions of "
                "specent.analysis.splits, or of specent.designs.joint, or give the trajectories"
            )
    return [known[partition.sides, partition.prior] for partition in wanted]


def with_replicates(profiles: xr.Dataset, quantity: str) -> xr.DataArray:
    """The estimate at index 0 of ``replicate``, and replicates after it, if there are any."""
    estimate = profiles[quantity].expand_dims("replicate")
    name = f"{quantity}_replicate"
    if name not in profiles or bootstrap.distinct_replicates(profiles) < bootstrap.FEWEST:
        return estimate
    replicates = profiles[name].astype(np.float64).drop_vars("replicate", errors="ignore")
    return xr.concat([estimate, replicates], "replicate", join="exact")


def with_bounds(
    values: xr.DataArray, name: str, text: str, units: str, confidence: float
) -> Iterator[tuple[str, xr.DataArray]]:
    """Names and arrays of an estimate and its bounds, from it and its replicates; NaN where there are none."""
    estimate = values.isel(replicate=0)
    ends = [xr.full_like(estimate, np.nan)] * 2
    if values.sizes["replicate"] > 1:
        ends = [*bootstrap.bounds(values, confidence)]
    for end, array in zip(("", "_lower", "_upper"), (estimate, *ends), strict=True):
        words = f"{end[1:]} bound of the {text}" if end else text
        yield f"{name}{end}", array.assign_attrs(units=units, long_name=words)
