r"""Models whose class densities are known, and their exact conditional-entropy profiles, on any device.

For a Gaussian mixture or a finite data set the posterior of the label given the state is exact, so :math:`H[Z|X_t]`
needs no trajectory: draw data, add noise, average the posterior's entropy. The rate comes from half the posterior
variance of the denoisers (arXiv 2302.03792). Both are averages over independent draws, with a standard error.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from typing import ClassVar

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr, ndtri
from torch import Tensor
from tqdm.auto import tqdm

from specent import arguments, evidence, memory
from specent.axes import check_axis, rate_factor
from specent.errors import SpecentError
from specent.guidance import Guidance
from specent.models import side_moments
from specent.models.base import Model, resolve_device
from specent.models.side_moments import Alike, Members, SummedSides
from specent.partitions import NULL, Partition, parse_all
from specent.schedules import Schedule, check_grid
from specent.schema import Curve, build_profiles, coordinates

Array = NDArray[np.float64]

_LARGEST = 1e150
# numbers in the denoised data of every label that are worked on together
_MOMENTS = 2**25


class ExactModel(Model):
    """A model that is also the distribution of the data."""

    exact: ClassVar[bool] = True

    @abstractmethod
    def to(self, device: torch.device) -> ExactModel:
        """The same model on another device."""

    @abstractmethod
    def draw_data(self, drivers: Tensor, generator: torch.Generator) -> Tensor:
        """Data of the given classes.

        Parameters
        ----------
        drivers : Tensor of int64, shape (draws,)
            Index of the label of each.
        generator : torch.Generator
            Source of random numbers, on the processor.

        Returns
        -------
        Tensor, shape (draws, features)
            On the device of the model.
        """

    @abstractmethod
    def moments(self, x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        """Log-density and denoiser of every label.

        Parameters
        ----------
        x : Tensor, shape (batch, features)
            States.
        sigma : float
            Noise level.

        Returns
        -------
        log_density : Tensor, shape (batch, labels)
            Log-density of the state given the label, up to a constant shared by the labels.
        mean : Tensor, shape (batch, labels, features)
            Denoised data given the label.
        """

    def exact_profiles(
        self,
        schedule: Schedule,
        time: ArrayLike,
        partitions: Partition | str | Iterable[Partition | str],
        *,
        samples: int = 1000,
        seed: int = 0,
        rate_axis: str = "log_snr",
        confidence: float = 0.95,
        device: str = "cpu",
        batch_size: int = 1024,
        progress: bool = True,
    ) -> xr.Dataset:
        """Exact entropy, rate and mutual information, by Monte Carlo over the model's own draws.

        Usually called as ``specent.exact.profiles(model, ...)``.

        Parameters
        ----------
        schedule, time : Schedule and array_like, shape (time,)
            Where the profile is taken.
        partitions : Partition, str, or iterable of these
            The partitions, text as in `Partition.parse`. The null condition, on a side, is the mixture of all labels.
        samples : int
            Draws per class and time; the same data and noise serve all times, so the curves are smooth.
        seed : int
            Seed of the draws.
        rate_axis : {"log_snr", "log_sigma", "sigma", "time"}
            Axis of the entropy rate.
        confidence : float
            Coverage of the bounds, from the normal distribution of the average.
        device : str
            Torch device.
        batch_size : int
            States worked on at a time.
        progress : bool
            Whether to show a progress bar.

        Returns
        -------
        Dataset
            Kind ``profiles``, estimator ``"exact"``, in bit.

        Raises
        ------
        SpecentError
            If an argument cannot be used (before any work), or a result is not finite.

        Examples
        --------
        >>> import specent as sp
        >>> data = sp.models.finite([[-1.0], [1.0]], ["a", "b"])
        >>> curves = data.exact_profiles(sp.schedules.VE(), [0.01, 100.0], "full", samples=50, progress=False)
        >>> curves.entropy.squeeze().round(2).values.tolist()
        [0.0, 1.0]
        """
        samples = arguments.whole(samples, "samples", least=2)
        seed = arguments.whole(seed, "seed")
        batch_size = arguments.whole(batch_size, "batch_size", least=1)
        confidence = arguments.number(confidence, "confidence", above=0, below=1)
        check_axis(rate_axis, "rate_axis")
        progress = arguments.flag(progress, "progress")
        grid = check_grid(schedule, time)
        parts = parse_all(partitions, self.labels)
        members = self._members(parts)
        needed = 16 * len(self.labels) * samples * math.prod(self.shape)
        memory.check_fits(needed, f"the draws of samples={samples} per class", "take fewer of them")
        mean, error = self._averages(
            schedule, grid, members, samples, seed, resolve_device(device), batch_size, progress
        )
        width = float(ndtri(0.5 + confidence / 2)) * error
        factor = np.asarray(rate_factor(rate_axis, schedule.log_snr(grid), schedule))
        rate, slack = factor * mean[1], np.abs(factor) * width[1]
        # the normal interval may leave the range of the quantity where little is undecided
        most = np.log([len(partition.sides) for partition in parts])[:, None]
        low = np.minimum(np.maximum(mean[0] - width[0], 0.0), mean[0])
        high = np.maximum(np.minimum(mean[0] + width[0], most), mean[0])
        return build_profiles(
            _curve(mean[0], low, high),
            _curve(rate, np.maximum(rate - slack, 0.0), rate + slack),
            prior_entropy=[evidence.BITS_PER_NAT * _prior_entropy(sides) for sides in members],
            partitions=parts,
            estimators=["exact"],
            coords={**coordinates.of_schedule(schedule, grid), **coordinates.of_guidance([Guidance()])},
            title="Exact conditional entropy by Monte Carlo over the data's own draws",
            settings={
                "function": "specent.exact.profiles", "model": self.identity, "samples": samples, "seed": seed,
                "confidence": confidence,
            },
            rate_axis=rate_axis,
            schedule=schedule.to_json(),
        )  # fmt: skip

    def _members(self, partitions: Sequence[Partition]) -> list[Members]:
        """Conditions and joint prior of the sides of every partition; the null condition is behind the labels."""
        if not partitions:
            raise SpecentError("partitions is empty; name at least one, for example [Partition.full(model.labels)]")
        null = any(NULL in partition.labels for partition in partitions)
        conditions = [*self.labels, NULL] if null else self.labels
        prior = np.append(self.label_prior, 0.0)[: len(conditions)]
        return [partition.members(conditions, prior) for partition in partitions]

    def _averages(
        self, schedule: Schedule, grid: Array, partitions: Sequence[Members], samples: int, seed: int,
        device: torch.device, batch_size: int, progress: bool,
    ) -> tuple[Array, Array]:  # fmt: skip
        """Entropy and its production per log-SNR in nats, shape (2, partitions, time), with their standard errors."""
        local, levels = self.to(device), schedule.noise_level(grid)
        drivers = torch.arange(len(self.labels)).repeat_interleave(samples)
        generator = torch.Generator().manual_seed(seed)
        data = local.draw_data(drivers, generator)
        noise = torch.randn(data.shape, generator=generator, dtype=torch.float64).to(data.device)
        batch_size = min(batch_size, len(drivers), max(1, _MOMENTS // (len(self.labels) * data.shape[1])))
        groups = side_moments.groups(partitions, len(self.labels), data.shape[1], batch_size, data.device)
        shares = np.stack([_share(sides, self.label_prior) for sides in partitions])
        mean = np.empty((2, len(partitions), len(grid)))
        error = np.empty_like(mean)
        for i in tqdm(range(len(grid)), desc="exact profile", unit="time", disable=not progress, mininterval=1.0):
            rows = [
                local._statistics(data[part], noise[part], float(levels[i]), groups)
                for part in (slice(low, low + batch_size) for low in range(0, len(drivers), batch_size))
            ]
            values = np.concatenate(rows, axis=-1).reshape(2, len(partitions), len(self.labels), samples)
            if not (np.abs(values) < _LARGEST).all():
                raise SpecentError(
                    f"the profile is not finite at time={grid[i]:g} (noise level {levels[i]:.4g}): the data are too "
                    "large for it; rescale them or choose another range of the grid"
                )
            mean[:, :, i] = (values.mean(-1) * shares).sum(-1)
            error[:, :, i] = np.sqrt((values.var(-1, ddof=1) / samples * shares**2).sum(-1))
        return mean, error

    def _statistics(self, data: Tensor, noise: Tensor, level: float, groups: Sequence[Alike | SummedSides]) -> Array:
        """Posterior entropy and its production per log-SNR, in nats, shape (2, partitions, draws)."""
        state = data + level * noise
        density, mean = self.moments(state, level)
        if any(group.highest >= len(self.labels) for group in groups):
            density, mean = _with_null(density, mean, self.label_prior)
        centred = side_moments.centred(mean)
        gram = centred @ centred.transpose(1, 2) if any(isinstance(group, Alike) for group in groups) else None
        out = np.empty((2, sum(len(group.rows) for group in groups), len(state)))
        for group in groups:
            entropy, variance = group.statistics(density, centred, gram)
            out[0, group.rows] = entropy.T.cpu()
            out[1, group.rows] = 0.5 * variance.T.cpu() / level**2
        return out


def _curve(value: Array, lower: Array, upper: Array) -> Curve:
    """A curve in nats, shape (partitions, time), as one in bits."""
    arrays = (xr.DataArray(evidence.BITS_PER_NAT * nats, dims=("partition", "time")) for nats in (value, lower, upper))
    return Curve(*arrays)


def _prior_entropy(sides: Members) -> float:
    return float(entr([weights.sum() for _, weights in sides]).sum())


def _share(sides: Members, label_prior: Array) -> Array:
    """Weight of every label's draws: its own, and its share of those of the null condition, which has no draws."""
    conditions = np.concatenate([columns for columns, _ in sides])
    weight = np.bincount(conditions, np.concatenate([own for _, own in sides]), minlength=len(label_prior))
    labels = len(label_prior)
    return np.asarray(weight[:labels] + weight[labels:].sum() * label_prior)


def _with_null(density: Tensor, mean: Tensor, label_prior: Array) -> tuple[Tensor, Tensor]:
    """Log-density and denoiser of every label, and behind them those of the null condition."""
    joint = density + torch.log(torch.as_tensor(label_prior, device=density.device))
    null = torch.softmax(joint, dim=-1)[:, None, :] @ mean
    return torch.cat([density, joint.logsumexp(-1, keepdim=True)], dim=1), torch.cat([mean, null], dim=1)
