"""U-turns batch by batch: what is kept are sums over trajectories, so memory does not grow with their number."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtr
from torch import Tensor
from tqdm.auto import tqdm

from specent import memory
from specent.analysis.bootstrap import Resampling, draw_weights
from specent.interventions.endings import exact_density, posterior_of_sides
from specent.interventions.movers import MOVERS
from specent.interventions.plan import Turning, log_prior
from specent.interventions.walking import Walk
from specent.sampling.running import alone_error, as_many_as_fit, fitting_batch, out_of_memory
from specent.sampling.streams import Streams

Array = NDArray[np.float64]

SEED_RULE = (
    "trunks have the streams of specent.sample; continuations one NumPy Philox stream per trajectory, "
    "SeedSequence([seed, sample, four 32-bit words of SHA-256 of the class label, a zero byte and 'u_turn']), shared "
    "by levels, movers and numbers of steps: the noise of the data, the number that draws a class, then a vector per "
    "step; data are drawn 64 at a time by torch, from SHA-256 of seed, label and number of the block"
)

MOST_RESAMPLED = 32
"""Kernels of more sides have no bootstrap replicates: 200 of 1000 x 1000 numbers are 1.6 GB, 200 spectra minutes."""

# data that are drawn together; another number is another draw
_BLOCK = 64


@dataclass(frozen=True, eq=False)
class TurnSums:
    """Means over the trajectories of every label, the estimate first and then its bootstrap replicates.

    Of more sides than `MOST_RESAMPLED` the kernels have no replicates, so that memory grows with the square of their
    number and no faster. What they are wanted for has a closed form, see `specent.interventions.counting`.

    Attributes
    ----------
    ends : ndarray, shape (movers, steps, turns, 1 + replicates or 1, labels, sides)
        Probability of ending on each side.
    again : ndarray, shape (movers, steps, turns, 1 + replicates)
        Probability of ending on the side of the origin, freed of the mistakes of a classifier that are known.
    spread : ndarray, shape (movers, turns, labels, sides)
        Mean square of the probability of ending on each side, extrapolated and freed of known mistakes.
    squares : ndarray, shape (turns, 1 + replicates, labels)
        Sum of the squared posteriors of the sides at the turn.
    """

    ends: Array
    again: Array
    spread: Array
    squares: Array

    @classmethod
    def empty(cls, turning: Turning, replicates: int) -> TurnSums:
        """Zeros, refused if there is no room for them."""
        sides, labels = turning.weights.shape
        shape = (len(turning.movers), len(turning.steps), len(turning.turns), 1 + replicates)
        kept = 1 + replicates if is_resampled(turning) else 1
        ends, spread = (*shape[:3], kept, labels, sides), (shape[0], shape[2], labels, sides)
        needed = 8 * (int(np.prod(ends, dtype=object)) + int(np.prod(spread, dtype=object)))
        memory.check_fits(3 * needed, "the kernels of u-turns", "take fewer levels or movers, or a coarser partition")
        return cls(np.zeros(ends), np.zeros(shape), np.zeros(spread), np.zeros((shape[2], 1 + replicates, labels)))


def is_resampled(turning: Turning) -> bool:
    """Whether kernels have replicates: where they are small, or a confusion is drawn again with each of them."""
    measured = turning.confusion is not None and turning.confusion.counts is not None
    return measured or len(turning.weights) <= MOST_RESAMPLED


class Batch:
    """Trajectories that are worked on together: the same samples of some labels.

    Parameters
    ----------
    turning : Turning
        What is turned.
    labels : slice
        Of the labels.
    samples : slice
        Of the samples of each.
    """

    def __init__(self, turning: Turning, labels: slice, samples: slice) -> None:
        self.turning, self.labels, self.samples = turning, labels, samples
        self.names = turning.setup.candidates[labels]
        self.numbers = range(samples.start, samples.stop)
        self.own = torch.arange(labels.start, labels.stop, device=turning.setup.device).repeat_interleave(
            len(self.numbers)
        )

    def halves(self) -> list[Batch]:
        """The same trajectories in two batches: of some labels each, or of some samples of the only one."""
        cut = self.labels if self.labels.stop - self.labels.start > 1 else self.samples
        middle = (cut.start + cut.stop + 1) // 2
        parts = [slice(cut.start, middle), slice(middle, cut.stop)]
        if cut is self.labels:
            return [Batch(self.turning, part, self.samples) for part in parts]
        return [Batch(self.turning, self.labels, part) for part in parts]

    def streams(self, vectors: int, mark: str = "\0u_turn") -> Streams:
        """The random streams of the continuations, or with an empty mark of the trunks."""
        setup = self.turning.setup
        keys = [(name + mark, sample) for name in self.names for sample in self.numbers]
        return Streams(setup.seed, keys, setup.features, vectors)

    def noise_of(self, streams: Streams) -> Tensor:
        """The next noise of every trajectory, shape (batch, features)."""
        return torch.from_numpy(streams.draw()).to(self.turning.setup.device)

    def turned(self, bar: tqdm[None]) -> Iterator[tuple[int, Tensor, Tensor]]:
        """Every turn with the states there, and the log-likelihood of the labels at it."""
        return self._trunk(bar) if self.turning.start == "trunk" else self._noised_data()

    def _trunk(self, bar: tqdm[None]) -> Iterator[tuple[int, Tensor, Tensor]]:
        turning, setup = self.turning, self.turning.setup
        streams = self.streams(len(setup.time), mark="")
        x = setup.start * self.noise_of(streams)
        nothing = torch.zeros(len(x), len(setup.candidates), dtype=torch.float64, device=setup.device)
        walk = Walk(
            setup, log_prior(turning), self.own, True, lambda: self.noise_of(streams), None, lambda n: bar.update(n)
        )
        for moment in walk.moments(x, nothing):
            found = np.flatnonzero(turning.turns == setup.time[moment.at])
            if found.size:
                yield int(found[0]), moment.x, moment.log_likelihood

    def _noised_data(self) -> Iterator[tuple[int, Tensor, Tensor]]:
        turning, setup = self.turning, self.turning.setup
        data, noise = self._data(), self.noise_of(self.streams(1))
        assert turning.data is not None
        for turn in reversed(range(len(turning.turns))):
            time = turning.turns[turn]
            x = float(setup.schedule.alpha(time)) * data + float(setup.schedule.sigma(time)) * noise
            own = turning.continued(turn, turning.steps[0], turning.movers[0])
            yield turn, x, exact_density(turning.data, turning.columns, own, len(own.time) - 1, x)

    def _data(self) -> Tensor:
        """Data of the labels, drawn in blocks, so that a datum is the same in every batch."""
        turning = self.turning
        assert turning.data is not None
        first, last = self.samples.start // _BLOCK, (self.samples.stop - 1) // _BLOCK
        rows = []
        for name, column in zip(self.names, turning.columns[self.labels], strict=True):
            blocks = []
            for block in range(first, last + 1):
                text = f"{turning.setup.seed}\0{name}\0{block}".encode()
                generator = torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(text).digest()[:7], "little"))
                blocks.append(turning.data.draw_data(torch.full((_BLOCK,), column), generator))
            start = self.samples.start - first * _BLOCK
            rows.append(torch.cat(blocks)[start : start + len(self.numbers)])
        return torch.cat(rows).to(turning.setup.device).double().reshape(len(self.own), -1)

    def ends(
        self, turn: int, x: Tensor, log_likelihood: Tensor, mover: str, steps: int, bar: tqdm[None]
    ) -> Array:  # fmt: skip
        """On which side every continuation of one kind ended, shape (batch, sides)."""
        turning = self.turning
        setup, prior = turning.continued(turn, steps, mover), log_prior(turning)
        streams = self.streams(2 + steps)
        # the first is the noise of the data
        self.noise_of(streams)
        uniform = torch.as_tensor(ndtr(streams.draw()[:, 0]), device=x.device)
        chosen = MOVERS[mover](torch.softmax(log_likelihood + prior, dim=-1), uniform)
        basin = turning.continuation == "basin"
        density = None
        if basin and chosen is None:
            assert turning.data is not None
            source, columns = turning.data, turning.columns
            density = lambda i, state: exact_density(source, columns, setup, i, state)  # noqa: E731
        walk = Walk(
            setup, prior, chosen, chosen is None or turning.path_is_needed,
            None if basin else lambda: self.noise_of(streams), density, lambda n: bar.update(n),
        )  # fmt: skip
        *_, last = walk.moments(x, log_likelihood)
        return turning.ending(setup, last)


def turn_all(turning: Turning, resampling: Resampling, batch_size: int | None, bar: tqdm[None]) -> TurnSums:
    """Turn all trajectories, and sum up what becomes of them.

    A batch that does not fit into memory is done again in halves, and so are those after it.
    """
    sums = TurnSums.empty(turning, resampling.replicates)
    size = min(batch_size or fitting_batch(turning.setup), as_many_as_fit(2**24, 1 + resampling.replicates))
    waiting = deque(batches(turning, size))
    while waiting:
        batch, before = waiting.popleft(), bar.n
        if len(batch.own) > size:
            waiting.extendleft(reversed(batch.halves()))
            continue
        try:
            made = batch_sums(batch, resampling, bar)
        except Exception as error:
            if not out_of_memory(error):
                raise
            if len(batch.own) == 1:
                raise alone_error(error) from error
            size = (len(batch.own) + 1) // 2
            bar.update(before - bar.n)
            waiting.appendleft(batch)
            continue
        sums.ends[..., batch.labels, :] += made.ends
        sums.spread[:, :, batch.labels] += made.spread
        sums.squares[..., batch.labels] += made.squares
        np.add(sums.again, made.again, out=sums.again)
    return sums


def batch_sums(batch: Batch, resampling: Resampling, bar: tqdm[None]) -> TurnSums:
    """What the trajectories of a batch add to the sums, of its labels alone."""
    turning = batch.turning
    numbers, labels = np.arange(turning.setup.samples), len(batch.names)
    drawn = draw_weights(list(batch.names), numbers, batch.samples, resampling.replicates, resampling.seed)
    kept = drawn if is_resampled(turning) else drawn[:1]
    movers, steps, turns, sides = len(turning.movers), len(turning.steps), len(turning.turns), len(turning.weights)
    ends = np.zeros((movers, steps, turns, len(kept), labels, sides))
    again, spread = np.zeros((movers, steps, turns, len(drawn))), np.zeros((movers, turns, labels, sides))
    squared = np.zeros((turns, len(drawn), labels))
    prior = turning.weights.sum(axis=0)[batch.labels]
    own = np.argmax(turning.weights[:, batch.labels], axis=0)
    for turn, x, log_likelihood in batch.turned(bar):
        at_turn = (posterior_of_sides(log_likelihood, turning.weights) ** 2).sum(axis=1)
        squared[turn] = np.einsum("rln,ln->rl", drawn, at_turn.reshape(drawn.shape[1:]))
        for m, mover in enumerate(turning.movers):
            found = []
            for s, count in enumerate(turning.steps):
                seen = batch.ends(turn, x, log_likelihood, mover, count, bar).reshape(*drawn.shape[1:], sides)
                ends[m, s, turn] = np.einsum("rln,lnz->rlz", kept, seen, optimize=True)
                found.append(seen if turning.confusion is None else turning.confusion.freed(seen))
                home = np.take_along_axis(found[-1], own[:, None, None], axis=-1)[..., 0]
                again[m, s, turn] = np.einsum("rln,ln,l->r", drawn, home, prior, optimize=True)
            spread[m, turn] = np.einsum(
                "ln,lnz->lz", drawn[0], extrapolated(np.stack(found)[None], turning.steps)[0] ** 2
            )
    return TurnSums(ends, again, spread, squared)


def extrapolated(values: Array, steps: tuple[int, ...]) -> Array:
    """What infinitely many steps would give, from the two largest numbers of steps along the second axis.

    Parameters
    ----------
    values : ndarray, shape (movers, steps, ...)
        At so many noise levels, one more than there are transitions between them.
    steps : tuple of int
        Ascending.

    Returns
    -------
    ndarray, shape (movers, ...)

    Examples
    --------
    >>> extrapolated(np.array([[1 + 1 / 7, 1 + 1 / 15]]), (8, 16)).round(12).tolist()
    [1.0]
    """
    if len(steps) == 1:
        return values[:, 0]
    fewer, more = steps[-2] - 1, steps[-1] - 1
    result: Array = (more * values[:, -1] - fewer * values[:, -2]) / (more - fewer)
    return result


def batches(turning: Turning, size: int) -> Iterator[Batch]:
    """All trajectories in batches of at most `size`: some labels whole, or a part of one."""
    samples, labels = turning.setup.samples, len(turning.setup.candidates)
    together = max(1, size // samples)
    for low in range(0, labels, together):
        some = slice(low, min(low + together, labels))
        for first in range(0, samples, size):
            yield Batch(turning, some, slice(first, min(first + size, samples)))
