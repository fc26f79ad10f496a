r"""Posterior entropy of the sides of partitions, and the posterior variance of the denoisers of the sides.

With the posterior :math:`p_c` of the conditions, :math:`P_z=\sum_{c\in z}p_c` of the sides and
:math:`S_z=\sum_{c\in z}p_cD_c`, the variance is :math:`\sum_z|S_z|^2/P_z-|\sum_zS_z|^2`: twice the production of
entropy per unit of signal-to-noise ratio (arXiv 2302.03792). Few conditions with many features have their inner
products taken once for all partitions (`Alike`). Many conditions have more pairs than features: their :math:`S_z` are
summed, at a cost that is linear in the conditions (`SummedSides`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from specent import evidence

Array = NDArray[np.float64]
Members = list[tuple[NDArray[np.intp], Array]]
"""Conditions on every side of a partition and their joint prior with it, see `specent.Partition.members`."""

# numbers in the largest array of partitions that are worked on together
_TOGETHER = 2**22
# so few conditions cost nothing either way
_FEW = 64
_SMALLEST = 1e-300


@dataclass(frozen=True)
class Alike:
    """Partitions of the same conditions into equally many sides, whose posteriors are computed together.

    Conditions on no side are left out: of the pairs among many labels each knows of two.

    Attributes
    ----------
    rows : list of int
        Which partitions these are.
    conditions : Tensor of int64, shape (conditions,)
        Positions of the conditions on their sides, ascending.
    log_prior : Tensor, shape (partitions, sides, conditions)
        Logarithm of the joint prior of side and condition, minus infinity where a condition is not on a side.
    """

    rows: list[int]
    conditions: Tensor
    log_prior: Tensor

    @property
    def highest(self) -> int:
        """The last of the conditions."""
        return int(self.conditions.max())

    def statistics(self, log_density: Tensor, mean: Tensor, gram: Tensor | None) -> tuple[Tensor, Tensor]:
        """As `SummedSides.statistics`; `gram` has the products of the means, shape (batch, conditions, conditions)."""
        if gram is None:
            gram = mean @ mean.transpose(1, 2)
        chosen = self.conditions
        log_side, within = evidence.posterior(log_density[:, chosen], self.log_prior)
        # of all conditions there is no need for a copy
        inner = gram if len(chosen) == gram.shape[1] else gram[:, chosen[:, None], chosen]
        return evidence.entropy(log_side), evidence.posterior_variance(log_side, within, inner)


@dataclass(frozen=True)
class SummedSides:
    """One partition as the conditions on its sides.

    Attributes
    ----------
    rows : list of int
        Which partition this is.
    conditions : Tensor of int64, shape (conditions,)
        Positions of the conditions that are on a side, side by side.
    side : Tensor of int64, shape (conditions,)
        The side of each.
    log_prior : Tensor, shape (conditions,)
        Logarithm of the joint prior of side and condition.
    """

    rows: list[int]
    conditions: Tensor
    side: Tensor
    log_prior: Tensor

    @property
    def highest(self) -> int:
        """The last of the conditions."""
        return int(self.conditions.max())

    def statistics(self, log_density: Tensor, mean: Tensor, gram: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Posterior entropy of the sides in nats, and the posterior variance of their denoisers.

        Parameters
        ----------
        log_density : Tensor, shape (batch, conditions)
            Log-density of the state given every condition, up to a shared constant.
        mean : Tensor, shape (batch, conditions, features)
            Denoised data given every condition, centred. Means that all states share may be a view expanded over the
            batch.
        gram : Tensor, optional
            Not used here.

        Returns
        -------
        entropy, variance : Tensor, shape (batch, partitions)
        """
        posterior = torch.softmax(log_density[:, self.conditions] + self.log_prior, dim=-1)
        sizes = torch.bincount(self.side)
        side = posterior.new_zeros(len(posterior), len(sizes)).index_add_(1, self.side, posterior)
        alone = (sizes == 1)[self.side]
        weight, own = posterior[:, alone], self.conditions[alone]
        total = _summed(weight, mean, own)
        squares = _summed(weight, _squared_norms(mean), own)[:, 0]
        for z in torch.nonzero(sizes > 1)[:, 0].tolist():
            members = self.side == z
            part = _summed(posterior[:, members], mean, self.conditions[members])
            total = total + part
            squares = squares + part.square().sum(-1) / side[:, z].clamp(min=_SMALLEST)
        variance = (squares - total.square().sum(-1)).clamp(min=0)
        return evidence.entropy(torch.log(side))[:, None], variance[:, None]


def groups(
    partitions: Sequence[Members], labels: int, features: int, states: int, device: torch.device
) -> list[Alike | SummedSides]:
    """The partitions in groups that are worked on together, and fit into memory for so many states.

    Parameters
    ----------
    partitions : sequence of Members
        The partitions.
    labels, features : int
        How many labels and features there are.
    states : int
        How many states are worked on at a time.
    device : torch.device
        Where the work is done.

    Returns
    -------
    list of Alike or SummedSides
        Every partition is in one of them.
    """
    # a condition without prior weight is on no side
    held = [[(own[weights > 0], weights[weights > 0]) for own, weights in sides] for sides in partitions]
    counts = [sum(len(own) for own, _ in members) for members in held]
    summed, squared = features * sum(counts), features * labels**2 + sum(count**2 for count in counts)
    if labels > _FEW and summed < squared:
        return [linear_group(row, members, device) for row, members in enumerate(held)]
    alike: dict[tuple[tuple[int, ...], int], list[int]] = {}
    for row, members in enumerate(held):
        conditions = np.sort(np.concatenate([own for own, _ in members]))
        alike.setdefault((tuple(conditions.tolist()), len(members)), []).append(row)
    found: list[Alike | SummedSides] = []
    for (known, sides), rows in alike.items():
        most = max(1, _TOGETHER // (states * sides * len(known)))
        for part in (rows[low : low + most] for low in range(0, len(rows), most)):
            prior = np.zeros((len(part), sides, len(known)))
            for i, row in enumerate(part):
                for z, (own, weights) in enumerate(held[row]):
                    prior[i, z, np.searchsorted(known, own)] = weights
            log_prior = torch.as_tensor(evidence.log_weights(prior), device=device)
            found.append(Alike(part, torch.as_tensor(known, device=device), log_prior))
    return found


def linear_group(row: int, members: Members, device: torch.device) -> SummedSides:
    """One partition, at a cost linear in its conditions."""
    conditions = np.concatenate([own for own, _ in members])
    side = np.repeat(np.arange(len(members)), [len(own) for own, _ in members])
    log_prior = np.log(np.concatenate([weights for _, weights in members]))
    return SummedSides([row], *(torch.as_tensor(array, device=device) for array in (conditions, side, log_prior)))


def _shared(mean: Tensor) -> bool:
    """Whether all states have the same means, which then are in memory once."""
    return mean.stride(0) == 0


def centred(mean: Tensor) -> Tensor:
    """Means, shape (batch, conditions, features), less their average over the conditions: only differences count."""
    if _shared(mean):
        return (mean[0] - mean[0].mean(0)).expand_as(mean)
    return mean - mean.mean(1, keepdim=True)


def _squared_norms(mean: Tensor) -> Tensor:
    """Squared norm of every mean, shape (batch, conditions, 1)."""
    if _shared(mean):
        return mean[0].square().sum(-1, keepdim=True).expand(len(mean), -1, -1)
    return mean.square().sum(-1, keepdim=True)


def _summed(weight: Tensor, mean: Tensor, chosen: Tensor) -> Tensor:
    """Sum of the chosen means with weights, shape (batch, features)."""
    if _shared(mean):
        return weight @ mean[0, chosen]
    return torch.bmm(weight[:, None], mean[:, chosen])[:, 0]
