"""What analysis accepts: a dataset, the path of an archive, or a node of a tree; and the state it must be in."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr

from specent import archive, schema
from specent.analysis.scored import ScoredPartition
from specent.arguments import brief
from specent.errors import SpecentError

# nats at the start that are none
_ROUNDING = 1e-6


def as_dataset(value: Any, kind: str, argument: str) -> Any:
    """The dataset behind a path or a node of a tree; anything else is passed on.

    Parameters
    ----------
    value : Dataset, path, or DataTree
        Of a tree, the one dataset of the kind that it holds is taken.
    kind : str
        The kind that is needed.
    argument : str
        Name of the argument, for messages.

    Returns
    -------
    Dataset
        Lazy if it was a path. Anything else as it was.

    Raises
    ------
    SpecentError
        If there is no such file, or the tree does not hold one dataset of the kind.

    Examples
    --------
    >>> import specent as sp
    >>> tree = xr.DataTree.from_dict({"/digits": sp.archive.example()})
    >>> as_dataset(tree, "trajectories", "runs").attrs["specent_kind"]
    'trajectories'
    """
    if isinstance(value, (str, os.PathLike)):
        return archive.open(value, chunks="auto")
    if not isinstance(value, xr.DataTree):
        return value
    nodes = [node for node in value.subtree if node.attrs.get("specent_kind") == kind]
    if len(nodes) != 1:
        paths = ", ".join(node.path for node in nodes)
        raise SpecentError(
            f"{argument} is a DataTree with {len(nodes)} datasets of kind {kind!r} ({paths or 'none'}); pass the node "
            'that is meant, tree["name"]'
        )
    return nodes[0].to_dataset()


def checked_runs(runs: Any) -> xr.Dataset:
    """The trajectories with their dimensions in order, their candidates aligned and their coordinates in memory.

    After a selection of candidates, the pairs follow it, and drivers that are scored no longer are left out.

    Raises
    ------
    SpecentError
        Unless `runs` is a trajectories dataset with two different samples and two times at least, and a driver that is
        scored.
    """
    runs = schema.need(as_dataset(runs, "trajectories", "runs"), "trajectories", "runs", ["log_likelihood"])
    for dim in ("sample", "time"):
        if runs.sizes[dim] < 2:
            raise SpecentError(f"runs has {runs.sizes[dim]} {dim}(s); at least 2 are needed")
    for name in ("candidate", "candidate_prior", "class_label", "guidance"):
        if name not in runs.coords:
            raise SpecentError(f"runs: the coordinate {name!r} is missing; restore it, runs.assign_coords({name}=...)")
    if runs["sample"].dtype.kind not in "iu":
        raise SpecentError(
            f"runs: the coordinate 'sample' has type {runs['sample'].dtype}, and numbers samples by integers; restore "
            "it, runs.assign_coords(sample=runs['sample'].astype(int))"
        )
    twice = [int(label) for label, count in Counter(runs["sample"].values.tolist()).items() if count > 1]
    if twice:
        raise SpecentError(
            f"runs holds sample {twice[0]} more than once, so its intervals would be too narrow; join runs of "
            "different seeds with specent.combine, which numbers their samples anew"
        )
    # chunking a dataset chunks its coordinates too
    return _aligned(runs.assign_coords({name: coord.compute() for name, coord in runs.coords.items() if coord.chunks}))


def _aligned(runs: xr.Dataset) -> xr.Dataset:
    """Second candidates in the order of the candidates, and drivers among these."""
    candidates = runs["candidate"].values.tolist()
    if "other_candidate" in runs.dims and runs["other_candidate"].values.tolist() != candidates:
        others = runs["other_candidate"].values.tolist()
        missing = sorted(set(candidates) - set(others), key=candidates.index)
        if missing:
            raise SpecentError(
                f"runs: candidate {missing[0]!r} is not among other_candidate={brief(others)}; select both alike, or "
                "drop denoiser_distance and other_candidate"
            )
        runs = runs.sel(other_candidate=candidates)
    drivers, known = runs["class_label"].values.tolist(), set(candidates)
    scored = [name for name in drivers if name in known]
    if not scored:
        raise SpecentError(
            f"runs: of the drivers {brief(drivers)} none is among the candidates {brief(candidates)}; select both alike"
        )
    return runs if scored == drivers else runs.sel(class_label=scored)


def check_start(runs: xr.Dataset, partitions: Sequence[ScoredPartition], why: str) -> None:
    """Raise unless the evidence starts within `runs`.

    Parameters
    ----------
    runs : Dataset
        Kind ``trajectories``, of which the first sample of every driver tells, or ``statistics`` of the partitions,
        whose mean entropy is that of the prior where there is no evidence.
    partitions : sequence of ScoredPartition
        The partitions.
    why : str
        What would go wrong, for the message.

    Raises
    ------
    SpecentError
        Naming the largest evidence at the last time, if that is beyond rounding.
    """
    if "log_likelihood" in runs:
        name, last = "log_likelihood", runs["log_likelihood"].isel(time=-1, sample=0)
    else:
        mean = runs["posterior_entropy"].isel(time=-1) / runs["trajectories"].values[0]
        name, last = "what is known of the side in bits", mean - [one.prior_entropy for one in partitions]
    most = float(abs(last).max())
    if most > _ROUNDING:
        raise SpecentError(
            f"runs: {name} is {most:.3g} at the last time, not 0: the noisy end was cut off, and {why}; keep "
            "all noisy times in runs and cut the profiles instead, or leave this estimator out"
        )


def refuse_not_finite(runs: xr.Dataset, sources: Sequence[str], means: xr.Dataset) -> None:
    """If a number in `means` is not finite, raise, naming the first such number in the variables it comes from.

    Raises
    ------
    SpecentError
        Naming the variable and its coordinates.
    """
    if all(np.isfinite(variable.values).all() for variable in means.variables.values()):
        return
    for name in sources:
        bad: xr.DataArray = xr.apply_ufunc(np.isfinite, runs[name], dask="allowed") == 0
        if bool(bad.any()):
            labels = []
            for dim in bad.dims:
                first = int(np.argmax(bad.any([other for other in bad.dims if other != dim]).values))
                value = runs[dim].values[first] if dim in runs.coords else first
                labels.append(f"{dim}={value:.6g}" if isinstance(value, float) else f"{dim}={value!s}")
                bad = bad.isel({dim: [first]})
            raise SpecentError(f"runs: {name} is not finite at {', '.join(labels)}; sample these trajectories again")
