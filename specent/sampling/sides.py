r"""The production of many partitions at one step of the chain, without an array of candidates by candidates.

`specent.evidence` has the formulas. What they need of a partition is the posterior of its sides, and of the denoiser
of each side its distance from their mean and the projection of that on the direction in which the sample moves. Three
shapes of partition get these in the cheapest way:

- *pairs* of candidates: one of them drives, so the other's denoiser less the driver's is all that is needed;
- every label by itself, and *one label against the rest*: with the posterior :math:`p_c` of the labels and the mean
  :math:`\bar D = \sum_c p_c D_c`, the denoiser of c less that of the rest is :math:`(D_c - \bar D)/(1 - p_c)`, so all
  labels together cost as much as one;
- any other: the mean of every side, one after the other.

The work is proportional to the candidates times the features, and to the members of the sides, for each trajectory.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from specent import evidence
from specent.partitions import NULL, Partition

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Step:
    """What one step of a batch knows of its candidates.

    Attributes
    ----------
    log_likelihood : Tensor, shape (batch, candidates)
        Path log-likelihoods.
    delta : Tensor, shape (batch, candidates, features)
        Denoised data of the candidates, less those of the driver.
    moved : Tensor, shape (batch, features)
        Denoised data that move the sample, less those of the driver.
    driver : Tensor of int, shape (batch,)
        Index of the driver.
    unguided : bool
        Whether the whole run is unguided, see `specent.evidence.production`.
    """

    log_likelihood: Tensor
    delta: Tensor
    moved: Tensor
    driver: Tensor
    unguided: bool

    @cached_property
    def square(self) -> Tensor:
        """Squared distances from the driver's denoised data, shape (batch, candidates)."""
        length: Tensor = torch.linalg.vector_norm(self.delta, dim=-1)
        return length.square()

    @cached_property
    def pull(self) -> Tensor:
        """Projection of `delta` on the movement, shape (batch, candidates)."""
        if not self.moved.any():  # the driver's own denoised data move the sample
            return torch.zeros_like(self.square)
        return projections(self.delta, self.moved)


def projections(vectors: Tensor, direction: Tensor) -> Tensor:
    """Inner products of many vectors, shape (batch, many, features), with one direction each, shape (batch, features).

    As a row times a matrix, which takes a third of the time of a matrix times a column.
    """
    return (direction[:, None] @ vectors.mT)[:, 0]


class Sides:
    """The sides of several partitions, set against the candidates of a run.

    Parameters
    ----------
    partitions : sequence of Partition
        The partitions.
    candidates : sequence of str
        The candidates, among them all labels of the partitions.
    prior : ndarray, shape (candidates,)
        Their prior, 0 for the null condition.
    device : torch.device
        Where steps are worked on.
    """

    def __init__(
        self, partitions: Sequence[Partition], candidates: Sequence[str], prior: Array, device: torch.device
    ) -> None:
        self.count = len(partitions)
        null = list(candidates).index(NULL) if NULL in candidates else None
        members = [partition.members(candidates, prior) for partition in partitions]
        pairs: list[int] = []
        labels: dict[bytes, list[int]] = {}
        others: list[int] = []
        for i, (partition, sides) in enumerate(zip(partitions, members, strict=True)):
            sizes = [len(columns) for columns, _ in sides]
            covered = np.sort(np.concatenate([columns for columns, _ in sides]))
            if sizes == [1, 1]:
                pairs.append(i)
            elif null not in covered and (_is_one_against_the_rest(sizes) or _is_full(partition, sizes)):
                labels.setdefault(covered.tobytes(), []).append(i)
            else:
                others.append(i)
        self.groups: list[_Group] = [
            *([_Pairs(pairs, members, device)] if pairs else []),
            *(_Labels(found, members, prior, device) for found in labels.values()),
            *(_Any(i, members[i], device) for i in others),
        ]

    def entropy(self, log_likelihood: Tensor) -> Tensor:
        """Entropy of the posterior of the sides in nats, shape (batch, partitions)."""
        out = log_likelihood.new_empty(len(log_likelihood), self.count)
        for group in self.groups:
            out[:, group.rows] = group.entropy(log_likelihood)
        return out

    def production(self, step: Step) -> tuple[Tensor, Tensor]:
        """Production of entropy and of cross-entropy per unit of signal-to-noise ratio, in nats.

        Shape (batch, partitions); 0 where no side holds the driver.
        """
        both = step.delta.new_empty(2, len(step.driver), self.count)
        for group in self.groups:
            both[0][:, group.rows], both[1][:, group.rows] = group.production(step)
        return both[0], both[1]


def _is_one_against_the_rest(sizes: list[int]) -> bool:
    return len(sizes) == 2 and 1 in sizes


def _is_full(partition: Partition, sizes: list[int]) -> bool:
    return set(sizes) == {1} and partition.prior is None


_Members = list[tuple[NDArray[np.intp], Array]]


class _Group(ABC):
    """Partitions of one shape.

    Attributes
    ----------
    rows : list of int
        Their positions among all partitions.
    """

    rows: list[int]

    @abstractmethod
    def entropy(self, log_likelihood: Tensor) -> Tensor:
        """Entropy in nats, shape (batch, rows)."""

    @abstractmethod
    def production(self, step: Step) -> tuple[Tensor, Tensor]:
        """Production and cross-production, shape (batch, rows) each."""


class _Pairs(_Group):
    """One candidate against another."""

    def __init__(self, rows: list[int], members: Sequence[_Members], device: torch.device) -> None:
        self.rows = rows
        self._columns = torch.tensor([[int(columns[0]) for columns, _ in members[i]] for i in rows], device=device)
        weights = np.array([[weight[0] for _, weight in members[i]] for i in rows])
        self._log_prior = torch.as_tensor(np.log(weights), device=device)

    def entropy(self, log_likelihood: Tensor) -> Tensor:
        return _entropy_of_odds(self._log_odds(log_likelihood))

    def _log_odds(self, log_likelihood: Tensor) -> Tensor:
        joint = log_likelihood[:, self._columns] + self._log_prior
        return joint[..., 0] - joint[..., 1]

    def production(self, step: Step) -> tuple[Tensor, Tensor]:
        first, second = self._columns.T
        # the driver's own delta is 0, so the other's is all that the two are apart
        drives = first == step.driver[:, None]
        held = drives | (second == step.driver[:, None])
        other = torch.where(drives, second, first)
        square, pull = step.square.gather(1, other), step.pull.gather(1, other)
        # projection of first less second on the movement less the denoiser of the second
        towards_second = torch.where(drives, square - pull, pull)
        return _two_sided(self._log_odds(step.log_likelihood), square, towards_second, drives, held, step.unguided)


class _Labels(_Group):
    """Every label by itself, weighted by its prior, and single labels against all the others, of one set of labels."""

    def __init__(self, rows: list[int], members: Sequence[_Members], prior: Array, device: torch.device) -> None:
        covered = np.sort(np.concatenate([columns for columns, _ in members[rows[0]]]))
        share = prior[covered] / prior[covered].sum()
        self._log_prior = torch.as_tensor(np.log(share), device=device)
        self._covered = torch.as_tensor(covered, device=device)
        first, last = int(covered[0]), int(covered[-1])
        # a slice costs no copy
        self._columns = slice(first, last + 1) if last - first + 1 == len(covered) else self._covered
        self._full = [i for i in rows if len(members[i]) > 2]
        ones = [i for i in rows if len(members[i]) == 2]
        self.rows = [*self._full, *ones]
        single, shift = [], []
        for i in ones:
            one, rest = sorted(members[i], key=lambda side: len(side[0]))
            position = int(np.searchsorted(covered, one[0][0]))
            single.append(position)
            # log of prior over label prior, of the label less that of the rest
            shift.append(np.log(one[1].sum() / share[position]) - np.log(rest[1].sum() / (1 - share[position])))
        self._single = torch.tensor(single, dtype=torch.long, device=device)
        self._shift = torch.tensor(shift, dtype=torch.float64, device=device)

    def entropy(self, log_likelihood: Tensor) -> Tensor:
        log_posterior, log_rest, _ = self._posterior(log_likelihood)
        full = evidence.entropy(log_posterior)[:, None].expand(-1, len(self._full))
        return torch.cat([full, _entropy_of_odds(self._log_odds(log_posterior, log_rest))], dim=1)

    def _posterior(self, log_likelihood: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log-posterior of the labels, that of all others, shape (batch, labels), and the likeliest label."""
        joint = log_likelihood[:, self._columns] + self._log_prior
        top = joint.argmax(1, keepdim=True)
        total = joint.logsumexp(1, keepdim=True)
        return joint - total, evidence.log_sum_exp_of_others(joint) - total, top

    def _log_odds(self, log_posterior: Tensor, log_rest: Tensor) -> Tensor:
        return (log_posterior - log_rest)[:, self._single] + self._shift

    def production(self, step: Step) -> tuple[Tensor, Tensor]:
        log_posterior, log_rest, top = self._posterior(step.log_likelihood)
        delta = step.delta[:, self._columns]
        apart, centre = _apart_from_the_rest(delta, log_posterior, log_rest, top)
        square = (apart**2).sum(-1)
        pull = projections(apart, step.moved - centre)
        # the label less the mean is the label less the rest, times what the rest weighs
        rest = log_rest.exp()
        scale = (1 / rest).scatter(1, top, 1.0)
        square, pull = square * scale**2, pull * scale
        drives = self._covered == step.driver[:, None]
        full = evidence.rates(log_posterior, square * rest**2, pull * rest, drives.to(rest.dtype), step.unguided)
        one, held = self._single, drives.any(1, keepdim=True).expand(-1, len(self._single))
        odds, towards_rest = self._log_odds(log_posterior, log_rest), pull + log_posterior.exp() * square
        ones = _two_sided(odds, square[:, one], towards_rest[:, one], drives[:, one], held, step.unguided)
        wide = [rate[:, None].expand(-1, len(self._full)) for rate in full]
        return torch.cat([wide[0], ones[0]], 1), torch.cat([wide[1], ones[1]], 1)


class _Any(_Group):
    """One partition of any shape."""

    def __init__(self, row: int, sides: _Members, device: torch.device) -> None:
        self.rows = [row]
        self._sides = [
            (torch.as_tensor(columns, device=device), torch.as_tensor(evidence.log_weights(weights), device=device))
            for columns, weights in sides
        ]

    def entropy(self, log_likelihood: Tensor) -> Tensor:
        sums = [(log_likelihood[:, columns] + weights).logsumexp(1) for columns, weights in self._sides]
        joint = torch.stack(sums, 1)
        entropy: Tensor = evidence.entropy(joint - joint.logsumexp(1, keepdim=True))
        return entropy[:, None]

    def production(self, step: Step) -> tuple[Tensor, Tensor]:
        sums, means, holds = [], [], []
        for columns, weights in self._sides:
            joint = step.log_likelihood[:, columns] + weights
            sums.append(joint.logsumexp(1))
            within = (joint - sums[-1][:, None]).exp()
            means.append((within[:, None] @ step.delta[:, columns])[:, 0])
            holds.append((columns == step.driver[:, None]).any(1))
        log_side, mean = torch.stack(sums, 1), torch.stack(means, 1)
        log_side = log_side - log_side.logsumexp(1, keepdim=True)
        centre = log_side.exp()[:, None] @ mean
        apart = mean - centre
        towards = (apart @ (step.moved[:, None] - centre).transpose(1, 2))[..., 0]
        held = torch.stack(holds, 1).to(mean.dtype)
        produced, cross = evidence.rates(log_side, (apart**2).sum(-1), towards, held, step.unguided)
        return produced[:, None], cross[:, None]


def _apart_from_the_rest(delta: Tensor, log_posterior: Tensor, log_rest: Tensor, top: Tensor) -> tuple[Tensor, Tensor]:
    """Of every label its denoised data less the mean of all, of the likeliest less that of the others; and the mean.

    Where one label is certain the mean is its own, and what the others are apart from it would be lost in rounding.
    """
    row = torch.arange(len(delta), device=delta.device)
    others = (log_posterior - _at_top(log_rest, top)).exp().scatter(1, top, 0.0)
    from_others = delta[row, top[:, 0]] - (others[:, None] @ delta)[:, 0]
    centre = delta[row, top[:, 0]] - _at_top(log_rest, top).exp() * from_others
    apart = delta - centre[:, None]
    apart[row, top[:, 0]] = from_others
    return apart, centre


def _at_top(values: Tensor, top: Tensor) -> Tensor:
    return values.gather(1, top)


def _two_sided(
    log_odds: Tensor, square: Tensor, towards_second: Tensor, drives_first: Tensor, held: Tensor, unguided: bool
) -> tuple[Tensor, Tensor]:
    """Production of partitions of two sides, shape (batch, partitions) as all arguments.

    Parameters
    ----------
    log_odds : Tensor
        Of the first side.
    square : Tensor
        Squared distance of the two sides' denoised data.
    towards_second : Tensor
        Projection of their difference, first less second, on the movement less the second.
    drives_first, held : Tensor of bool
        Whether the first side holds the driver, and whether either does.
    unguided : bool
        As `evidence.production` has it.
    """
    log_side = torch.nn.functional.logsigmoid(torch.stack([log_odds, -log_odds], -1))
    first, second = log_side.exp().unbind(-1)
    towards_centre = towards_second - first * square
    spread = torch.stack([second**2 * square, first**2 * square], -1)
    towards = torch.stack([second * towards_centre, -first * towards_centre], -1)
    holds = torch.stack([drives_first, held & ~drives_first], -1).to(square.dtype)
    return evidence.rates(log_side, spread, towards, holds, unguided)


def _entropy_of_odds(log_odds: Tensor) -> Tensor:
    both = torch.nn.functional.logsigmoid(torch.stack([log_odds, -log_odds], -1))
    entropy: Tensor = evidence.entropy(both)
    return entropy
