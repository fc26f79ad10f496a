r"""Reliability of the posterior: of all judgements that state a probability, how often what they state comes true.

Given the path, the posterior of unguided runs is exact for any network if sampling and likelihood are the same chain
(arXiv 2506.10433). So among the trajectories and times at which a side has a posterior near P, that side holds the
driver in a share P of them. Judgements are binned by what they state; a trajectory that is judged several times
counts as one draw in the standard error, which is at least that of a calibrated posterior, whose variance is
:math:`P(1-P)` for one judgement.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from specent import arguments
from specent.analysis.inputs import checked_runs
from specent.analysis.scored import Partitions, ScoredPartition, scored_partitions
from specent.analysis.trajectory_posteriors import COPIED, PosteriorBlock, each_posterior
from specent.arguments import brief
from specent.errors import SpecentError
from specent.schema import coordinates

Array = NDArray[np.float64]

_MOST = 200


def reliability(
    runs: xr.Dataset,
    partitions: Partitions = None,
    *,
    log_snr: ArrayLike | None = None,
    bins: int = 10,
    confidence: float = 0.95,
) -> xr.Dataset:
    """How often the sides hold the driver, against the posterior that is stated for them.

    Of two sides the first is judged, since the other says the same; of more, every one.

    Parameters
    ----------
    runs : Dataset or path
        Kind ``trajectories``; read block by block.
    partitions : Partition, str, or sequence of these, optional
        By default those named when `runs` was sampled.
    log_snr : array_like, optional
        Log-SNR at which the posterior is judged; the nearest times of the grid are taken. By default all times are
        pooled.
    bins : int
        Bins of equal width from 0 to 1.
    confidence : float
        Nominal coverage of the intervals.

    Returns
    -------
    Dataset
        Not a kind of the data contract. Over (guidance, partition, time, bin), without ``time`` if all are pooled:
        ``stated``, the mean posterior in the bin; ``observed``, the share in which the side holds the driver, with
        ``_lower`` and ``_upper``; ``judgements``, their number. Trajectories are weighted by the prior of their label.
        NaN where a bin is empty. ``edge_lower`` and ``edge_upper`` (bin) are the ends of the bins.

    Raises
    ------
    SpecentError
        If an argument cannot be used, or `runs` holds a number that is not finite.

    References
    ----------
    arXiv 2506.10433.

    Examples
    --------
    >>> import specent as sp
    >>> table = reliability(sp.archive.example(), "cat | dog", bins=4).sel(guidance="unguided", partition="cat | dog")
    >>> bool(((table.observed_lower <= table.stated) & (table.stated <= table.observed_upper)).all())
    True
    """
    bins = arguments.whole(bins, "bins", least=2, most=_MOST)
    confidence = arguments.number(confidence, "confidence", above=0, below=1)
    runs = checked_runs(runs)
    chosen = np.arange(runs.sizes["time"]) if log_snr is None else _nearest(runs, log_snr)
    scored = scored_partitions(runs, partitions)
    moments = [_moments(runs, one, chosen, bins, pooled=log_snr is None) for one in scored]
    z = float(ndtri(0.5 + confidence / 2))
    dims = ("guidance", "partition", "time", "bin")
    numbers = [_Moments.stacked(moments, name) for name in ("weight", "stated", "observed", "judgements")]
    weight, stated, observed, judgements = numbers
    error = np.stack([one.standard_error() for one in moments], axis=1)
    with np.errstate(invalid="ignore"):
        stated, observed = stated / weight, observed / weight
    bounds = [np.clip(observed + sign * z * error, 0.0, 1.0) for sign in (-1, 1)]
    arrays = {"stated": stated, "observed": observed, "observed_lower": bounds[0], "observed_upper": bounds[1]}
    result = xr.Dataset({name: (dims, array) for name, array in arrays.items()})
    result["judgements"] = dims, judgements.astype(np.int64)
    result = result.isel(time=0) if log_snr is None else result
    return _described(result, runs, scored, chosen if log_snr is not None else None, bins)


@dataclass(eq=False)
class _Moments:
    """Sums over trajectories in every bin, each of shape (guidance, time, bins); see `add`."""

    shape: tuple[int, int, int]
    sums: dict[str, Array] = field(default_factory=dict)

    def add(self, name: str, values: Array) -> None:
        """Add numbers of shape (guidance, time, bins)."""
        self.sums.setdefault(name, np.zeros(self.shape))
        self.sums[name] += values

    @staticmethod
    def stacked(moments: list[_Moments], name: str) -> Array:
        """One sum of several partitions, shape (guidance, partition, time, bins)."""
        return np.stack([one.sums[name] for one in moments], axis=1)

    def standard_error(self) -> Array:
        """Of the observed share: from the scatter between trajectories, or that of a calibrated posterior if larger."""
        one = self.sums
        with np.errstate(invalid="ignore", divide="ignore"):
            gap = (one["observed"] - one["stated"]) / one["weight"]
            scatter = one["square"] - 2 * gap * one["cross"] + gap**2 * one["count_square"]
            return np.asarray(np.sqrt(np.maximum(scatter, one["calibrated"])) / one["weight"])


def _moments(
    runs: xr.Dataset, scored: ScoredPartition, chosen: NDArray[np.intp], bins: int, *, pooled: bool
) -> _Moments:
    """The sums of one partition at the chosen times, or over all of them."""
    some = runs.isel(time=chosen)
    moments = _Moments((runs.sizes["guidance"], 1 if pooled else len(chosen), bins))
    for block in each_posterior(some, scored):
        _add(moments, block, scored, runs.sizes["sample"], bins, pooled)
    return moments


def _add(
    moments: _Moments, block: PosteriorBlock, scored: ScoredPartition, samples: int, bins: int, pooled: bool
) -> None:
    sides = 1 if len(scored.weights) == 2 else len(scored.weights)
    stated = block.posterior[..., :sides]
    member = (scored.side[block.drivers, None] == np.arange(sides))[:, None, None, None, :]
    residual = member - stated
    at = np.minimum((stated * bins).astype(np.int64), bins - 1)
    weight = (scored.share[block.drivers] / samples)[:, None, None, None]

    def per_trajectory(values: Array) -> Array:
        # the times of one trajectory are one draw
        total = values.sum(axis=-1)
        return np.asarray(total.sum(axis=-1, keepdims=True) if pooled else total)

    for b in range(bins):
        inside = at == b
        number, lost, likely, spread = (
            per_trajectory(np.where(inside, part, 0.0)) for part in (1.0, residual, stated, stated * (1 - stated))
        )
        sums = {
            "weight": weight * number, "stated": weight * likely, "observed": weight * (likely + lost),
            "judgements": number, "square": (weight * lost) ** 2, "cross": weight**2 * lost * number,
            "count_square": (weight * number) ** 2, "calibrated": weight**2 * number * spread,
        }  # fmt: skip
        for name, values in sums.items():
            column = np.zeros((*values.shape[2:], bins))
            column[..., b] = values.sum(axis=(0, 1))
            moments.add(name, column)


def _nearest(runs: xr.Dataset, log_snr: ArrayLike) -> NDArray[np.intp]:
    """Positions of the times nearest to some log-SNR, ascending and each once."""
    levels = np.atleast_1d(arguments.array(log_snr, "log_snr"))
    grid = runs["log_snr"].values
    if levels.ndim != 1 or not levels.size or not ((levels >= grid.min()) & (levels <= grid.max())).all():
        raise SpecentError(
            f"log_snr={brief(levels.tolist())} must be numbers from {grid.min():.3g} to {grid.max():.3g}, "
            "the log-SNR of runs"
        )
    return np.unique(np.abs(grid[:, None] - levels).argmin(axis=0))


def _described(
    result: xr.Dataset, runs: xr.Dataset, scored: list[ScoredPartition], chosen: NDArray[np.intp] | None, bins: int
) -> xr.Dataset:
    copied = runs[[name for name in COPIED if name in runs.coords]]
    copied = copied.drop_dims("time") if chosen is None else copied.isel(time=chosen)
    edges = np.linspace(0.0, 1.0, bins + 1)
    texts = {"units": "1", "long_name": "end of the bin of the stated posterior"}
    result = result.assign_coords(
        {
            **copied.coords,
            **coordinates.of_partitions([one.partition for one in scored]),
            "edge_lower": ("bin", edges[:-1], texts),
            "edge_upper": ("bin", edges[1:], texts),
        }
    )
    for name, text in {
        "stated": "mean posterior that is stated in the bin",
        "observed": "share of the judgements in the bin in which the side holds the driver",
        "observed_lower": "lower bound of the observed share",
        "observed_upper": "upper bound of the observed share",
        "judgements": "number of judgements in the bin",
    }.items():
        result[name].attrs = {"units": "1", "long_name": text}
    result.attrs = {"title": "Reliability of the path posterior"}
    return result
