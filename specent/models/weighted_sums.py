r"""Sums over the images of a finite data set, weighted by how likely each is given a noisy state.

For the state z an image y has the score :math:`q = z\cdot y - |y|^2/2` and the weight :math:`\exp(q/\sigma^2)`. At low
noise the exponents are of the order of :math:`10^7`, which single precision knows to no better than a nat, while nearly
all weights are zero. So scores are taken in single precision to leave out the images that matter to no state, and the
others are scored again, in double precision. With u the unit roundoff of single precision, :math:`\gamma_n=nu/(1-nu)`,
d numbers an image, and Y the norm of the longest image, a score in single precision is wrong by at most

.. math::  R = \gamma_{d+8}\, Y\,(|z| + Y)

in whatever order it is summed: two roundings are of the operands, d + 1 of the sum, one of :math:`|y|^2/2` (Higham,
Accuracy and Stability of Numerical Algorithms, 2002, section 3.1), one of the bound it is compared with, and the rest
covers underflow. Let t be a lower bound of the largest score of a group of n images. One that scores less than
:math:`t - R - \sigma^2\ln(2^p n)` in single precision has less than the :math:`2^{-p}/n`-th part of the largest weight;
all of them together have less than :math:`2^{-p}` of the sum, which is its rounding error with p the bits of a number.

Images in single precision are averaged with products in single precision, which are added up in double precision block
by block. There the scores of single precision count themselves if :math:`u\,Y(|z| + Y)\le 3\cdot 10^{-5}\sigma^2`. The
states are mostly noise then, and the error of a sum of terms of random sign does not grow with their number (Higham and
Mary, SIAM J. Sci. Comput. 42, A3427, 2020): with 64 to 12 288 terms it is 0.3 u times the norms or less in the mean,
which makes 1e-5 nats of a log-weight. Of these a denoiser sees the part :math:`w_i(1-w_i)` of what images differ by.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from specent.models.stored import Stored

Piece = tuple[int, int, int]
"""Group, first row and last row but one of its images within a block."""

_ROUNDOFF = 2.0**-24
# scores of single precision count where they are known to so many nats
_NATS = 3e-5
# norms from the inverse to this neither overflow nor underflow in products of single precision
_LARGEST_NORM = 1e9
# numbers of a block on a processor: the system takes larger arrays back at once, and clears their memory anew
_NUMBERS = 3 * 2**20
# fewer states than this are not worth a pass that leaves out images, and as many are tried to see what it would leave
_FEW = 16


class WeightedSums:
    """Sums over groups of images, of every state.

    Parameters
    ----------
    images : Tensor or Stored, shape (images, features)
        In double or single precision; the groups lie one after the other.
    half_squares : Tensor of float64, shape (images,)
        Half the squared norm of each.
    state : Tensor of float64, shape (states, features)
        Noisy states.
    sigma : float
        Noise level.
    groups : sequence of (int, int)
        First row and last row but one of every group.
    """

    def __init__(
        self,
        images: Tensor | Stored,
        half_squares: Tensor,
        state: Tensor,
        sigma: float,
        groups: Sequence[tuple[int, int]],
    ) -> None:
        self.images = images
        self.half_squares = half_squares
        self.state = state
        self.sigma = sigma
        self.groups = groups
        self.single = state.float()
        self.precise = images.dtype is torch.float64
        shape = (len(state), len(groups))
        self.top = state.new_full(shape, -torch.inf)
        self.total = state.new_zeros(shape)
        self.average = state.new_zeros(0)
        longest = float((2 * half_squares.max()).sqrt())
        lengths = state.norm(dim=1)
        self.safe = longest <= _LARGEST_NORM and bool((lengths <= _LARGEST_NORM).all())
        self.scale = longest * (float(lengths.max()) + longest)
        roundings = (state.shape[1] + 8) * _ROUNDOFF
        self.known = roundings < 0.5
        shortest = 1 / _LARGEST_NORM
        self.error = roundings / (1 - roundings) * max(longest, shortest) * (lengths.clamp(min=shortest) + longest)

    def run(self, block: int, *, averaged: bool) -> tuple[Tensor, Tensor]:
        """The sums over all images.

        Parameters
        ----------
        block : int
            Most images to be worked on at a time.
        averaged : bool
            Whether the averages are wanted.

        Returns
        -------
        log_sum : Tensor of float64, shape (states, groups)
            Logarithm of the sum of the weights.
        average : Tensor of float64, shape (states, groups, features)
            Mean of the images under their weights; empty if it is not wanted.
        """
        first, last = self.groups[0][0], self.groups[-1][1]
        rows, features = block, self.state.shape[1]
        if self.state.device.type == "cpu":
            rows = min(rows, max(1, _NUMBERS // features))
        if averaged:
            self.average = self.state.new_zeros(*self.top.shape, features)
        tried = self._worth_a_try(last - first)
        sieved = None if tried else False
        with full_single_precision() if tried or not self.precise else nullcontext():
            for low in range(first, last, rows):
                high = min(low + rows, last)
                images, half_squares = self.images[low:high], self.half_squares[low:high]
                pieces = list(self._pieces(low, high))
                if sieved is None:
                    sieved = self._leaves_out_half(images, half_squares, pieces)
                if sieved:
                    kept, pieces = self._sieve(images, half_squares, pieces)
                    # so few that double precision costs nothing
                    images, half_squares = images[kept].double(), half_squares[kept]
                if pieces:
                    self._add(images, half_squares, pieces)
        if averaged:
            self.average /= self.total[..., None]
        return self.top + torch.log(self.total), self.average

    def _pieces(self, low: int, high: int) -> Iterator[Piece]:
        """The parts of the groups that lie in a block."""
        for group, (start, stop) in enumerate(self.groups):
            if start < high and stop > low:
                yield group, max(start, low) - low, min(stop, high) - low

    def _worth_a_try(self, count: int) -> bool:
        """Whether most of the images could be left out: of every group each state needs one."""
        needed = len(self.state) * len(self.groups)
        return self.safe and self.known and len(self.state) >= _FEW and 2 * needed <= count

    def _matters(self, images: Tensor, half_squares: Tensor, pieces: Sequence[Piece], states: slice) -> list[Tensor]:
        """Whether an image matters to a state, by scores in single precision, shape (states, images of the piece)."""
        rough = torch.addmm(half_squares.float(), self.single[states], images.float().T, beta=-1)
        error, variance = self.error[states], self.sigma**2
        bits = 53 if self.precise else 24
        found = []
        for group, start, stop in pieces:
            score = rough[:, start:stop]
            best = torch.maximum(self.top[states, group] * variance, score.amax(1).double() - error)
            size = self.groups[group][1] - self.groups[group][0]
            least = best - error - variance * (bits * math.log(2) + math.log(size))
            found.append(score >= least.float()[:, None])
        return found

    def _leaves_out_half(self, images: Tensor, half_squares: Tensor, pieces: Sequence[Piece]) -> bool:
        """Whether the images that matter to no state are more than half of a block, judged by a few states."""
        few = slice(None, None, len(self.state) // _FEW)
        states = torch.cat(self._matters(images, half_squares, pieces, few), dim=1).sum(0)
        # an image that matters to one of the few stands for as many others as there are states to each of the few
        alone, shared = int((states == 1).sum()), int((states > 1).sum())
        return 2 * (alone * len(self.state) / len(self.state[few]) + shared) < len(images)

    def _sieve(self, images: Tensor, half_squares: Tensor, pieces: Sequence[Piece]) -> tuple[Tensor, list[Piece]]:
        """The rows of a block that matter to any state, and where the groups lie among them."""
        matters = torch.cat([one.any(0) for one in self._matters(images, half_squares, pieces, slice(None))])
        kept = torch.nonzero(matters)[:, 0]
        ends = torch.tensor([stop for _, _, stop in pieces], device=kept.device)
        stops = torch.searchsorted(kept, ends).tolist()
        groups = [group for group, _, _ in pieces]
        return kept, [piece for piece in zip(groups, [0, *stops[:-1]], stops, strict=True) if piece[1] < piece[2]]

    def _add(self, images: Tensor, half_squares: Tensor, pieces: Sequence[Piece]) -> None:
        """Add images to the sums, and put them into proportion with the largest weight so far."""
        scores = self._scores(images, half_squares)
        for group, start, stop in pieces:
            score, top = scores[:, start:stop], self.top[:, group]
            new = torch.maximum(top, score.amax(1))
            weight = score.sub_(new[:, None]).exp_()
            rescale = (top - new).exp_()
            self.total[:, group] = self.total[:, group] * rescale + weight.sum(1)
            self.top[:, group] = new
            if len(self.average):
                average = self.average[:, group].mul_(rescale[:, None])
                if images.dtype is torch.float64:
                    average.addmm_(weight, images[start:stop])
                else:
                    average += weight.float() @ images[start:stop]

    def scores(self, block: int) -> Tensor:
        """Logarithm of the weight of every image, shape (states, images), `block` of them at a time."""
        rows = range(0, len(self.images), block)
        return torch.cat(
            [self._scores(self.images[low : low + block], self.half_squares[low : low + block]) for low in rows], dim=1
        )

    def _scores(self, images: Tensor, half_squares: Tensor) -> Tensor:
        """Logarithms of the weights, shape (states, images), in double precision."""
        factor = self.sigma**-2
        if images.dtype is torch.float32 and self.safe and _ROUNDOFF * self.scale <= _NATS * self.sigma**2:
            rough = torch.addmm(half_squares.float(), self.single, images.T, beta=-factor, alpha=factor)
            return rough.double()
        return torch.addmm(half_squares, self.state, images.double().T, beta=-factor, alpha=factor)


@contextmanager
def full_single_precision() -> Iterator[None]:
    """Within it, products in single precision are not rounded to fewer bits, whatever is set for networks."""
    backends: Any = torch.backends
    units = (backends.cuda.matmul, backends.mkldnn.matmul)
    before = [unit.fp32_precision for unit in units]
    with ExitStack() as stack:
        for kind in ("cpu", "cuda"):
            stack.enter_context(torch.autocast(kind, enabled=False))
        try:
            for unit in units:
                unit.fp32_precision = "ieee"
            yield
        finally:
            for unit, value in zip(units, before, strict=True):
                unit.fp32_precision = value
