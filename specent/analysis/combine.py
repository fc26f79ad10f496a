"""Datasets that belong together, as one: trajectories that were sampled apart, profiles that were computed apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import xarray as xr

from specent.analysis.combined_profiles import combined_profiles
from specent.analysis.combined_trajectories import combined_trajectories
from specent.arguments import brief
from specent.errors import ArchiveError, SpecentError

_TRAJECTORIES = ("sample", "class_label", "guidance")
_PROFILES = ("estimator", "partition")


def combine(
    *datasets: xr.Dataset | Sequence[xr.Dataset],
    along: Literal["sample", "class_label", "guidance", "estimator", "partition"] = "estimator",
) -> xr.Dataset:
    """Join trajectories along samples, classes or guidance settings, or profiles along estimators or partitions.

    Parameters
    ----------
    *datasets : Dataset, or one sequence of Dataset
        At least two, of one kind. Trajectories must be of one model, schedule, grid and set of candidates; profiles
        of the same times, guidance settings and rate axis.
    along : {"sample", "class_label", "guidance", "estimator", "partition"}
        In what they differ: the first three join trajectories, the others profiles. Along "sample" trajectories are
        numbered anew; along "guidance" they must be of one seed, since guidance settings share their noise.

    Returns
    -------
    Dataset
        The same kind. The settings of every part, its seed among them, are kept in the settings; the attribute
        ``seed`` of trajectories lists the seeds if there are several. Bootstrap replicates and counts of clipped
        ratios are kept if every part has them.

    Raises
    ------
    SpecentError
        If the parts do not fit together, naming in what they differ, or a trajectory, class, setting, estimator or
        partition would be there twice.

    Examples
    --------
    >>> import specent as sp
    >>> mix = sp.exact.GaussianMixture([[-4.0], [4.0]], labels=["left", "right"])
    >>> first, second = (
    ...     sp.sample(sp.models.mixture(mix), schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(16), samples=20,
    ...               partitions="full", seed=seed, progress=False)
    ...     for seed in (0, 1))
    >>> runs = sp.combine([first, second], along="sample")
    >>> runs.sizes["sample"], runs.attrs["seed"]
    (40, '[0, 1]')
    """
    parts: list[Any] = list(datasets)
    if len(parts) == 1 and isinstance(parts[0], (list, tuple)):
        parts = list(parts[0])
    if not isinstance(along, str) or along not in (*_TRAJECTORIES, *_PROFILES):
        raise SpecentError(
            f"along={brief(along)} must be 'sample', 'class_label' or 'guidance' of trajectories, or 'estimator' or "
            "'partition' of profiles"
        )
    if len(parts) < 2:
        raise SpecentError(f"combine got {len(parts)} dataset(s); it joins at least two")
    _refuse_other_kind(parts, along)
    return (combined_trajectories if along in _TRAJECTORIES else combined_profiles)(parts, along)


def _refuse_other_kind(parts: Sequence[Any], along: str) -> None:
    """Refuse trajectories where profiles are joined, and the other way round, with the values of `along` that fit."""
    kinds = {str(part.attrs.get("specent_kind")) for part in parts if isinstance(part, xr.Dataset)}
    if along in _PROFILES and kinds == {"trajectories"}:
        raise ArchiveError(
            f"along={along!r} joins profiles, and these are trajectories: pass along='sample' for several seeds, "
            "'class_label' or 'guidance'"
        )
    if along in _TRAJECTORIES and kinds == {"profiles"}:
        raise ArchiveError(
            f"along={along!r} joins trajectories, and these are profiles: pass along='estimator' or 'partition', or "
            "combine the trajectories that they were computed from"
        )
