r"""Exact conditional-entropy profiles of models whose class densities are known, on any device.

For a Gaussian mixture or a finite data set the posterior of the label given the state is exact, so :math:`H[Z|X_t]`
needs no trajectory: draw data, add noise, average the posterior's entropy. The rate comes from half the posterior
variance of the denoisers (arXiv 2302.03792). Both are averages over independent draws, with a standard error.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm
from torch import Tensor
from tqdm.auto import tqdm

from specent import arguments, evidence, memory, schema
from specent.axes import check_axis, rate_factor
from specent.errors import SpecentError
from specent.guidance import Guidance
from specent.models.base import resolve_device
from specent.models.finite import FiniteModel
from specent.models.mixture import MixtureModel
from specent.partitions import Partition, parse_all
from specent.schedules import Schedule, check_grid
from specent.schema import NULL, coordinates

NATS_TO_BITS = 1 / np.log(2)
_LARGEST = 1e150


def exact_profiles(
    model: FiniteModel | MixtureModel,
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
    """Exact entropy, rate and mutual information of a finite data set or a mixture, by Monte Carlo over its own draws.

    Parameters
    ----------
    model : FiniteModel or MixtureModel
        The model, which is also the distribution of the data.
    schedule, time : Schedule and array_like, shape (time,)
        Where the profile is wanted.
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
    >>> from specent.schedules import VE
    >>> from specent.models import finite
    >>> data = finite([[-1.0], [1.0]], ["a", "b"])
    >>> wanted = [Partition.full(data.labels)]
    >>> made = exact_profiles(data, VE(), [0.01, 100.0], wanted, samples=50, progress=False)
    >>> made.entropy.squeeze().round(2).values.tolist()
    [0.0, 1.0]
    """
    kinds = "exact profiles need a model of models.finite or models.mixture"
    arguments.instance(model, (FiniteModel, MixtureModel), "model", kinds)  # type: ignore[arg-type]
    samples = arguments.whole(samples, "samples", least=2)
    seed = arguments.whole(seed, "seed")
    batch_size = arguments.whole(batch_size, "batch_size", least=1)
    confidence = arguments.number(confidence, "confidence", above=0, below=1)
    check_axis(rate_axis, "rate_axis")
    progress = arguments.flag(progress, "progress")
    grid = check_grid(schedule, time)
    levels = schedule.noise_level(grid)
    partitions = parse_all(partitions, model.labels)
    null = any(NULL in partition.labels for partition in partitions)
    conditions = [*model.labels, NULL] if null else model.labels
    prior = np.append(model.label_prior, 0.0)[: len(conditions)]
    weights = [partition.weights(conditions, prior) for partition in partitions]
    if not weights:
        raise SpecentError("partitions is empty; name at least one, for example [Partition.full(model.labels)]")
    place = resolve_device(device)
    needed = 16 * len(model.labels) * samples * math.prod(model.shape)
    memory.check_fits(needed, f"the draws of samples={samples} per class", "take fewer of them")
    local = model.to(place)
    drivers = torch.arange(len(model.labels)).repeat_interleave(samples)
    data, noise = _draws(local, drivers, seed)
    mean = np.empty((2, len(partitions), len(grid)))
    error = np.empty_like(mean)
    for i in tqdm(range(len(grid)), desc="exact profile", disable=not progress, mininterval=1.0):
        rows = [
            _statistics(local, data[low : low + batch_size], noise[low : low + batch_size], float(levels[i]), weights)
            for low in range(0, len(drivers), batch_size)
        ]
        values = np.concatenate(rows, axis=-1).reshape(2, len(partitions), len(model.labels), samples)
        if not (np.abs(values) < _LARGEST).all():
            raise SpecentError(
                f"the profile is not finite at time={grid[i]:g} (noise level {levels[i]:.4g}): the data are too large "
                "for it; rescale them or choose another range of the grid"
            )
        share = np.stack([_share(weight.sum(0), model.label_prior) for weight in weights])
        mean[:, :, i] = (values.mean(-1) * share).sum(-1)
        error[:, :, i] = np.sqrt((values.var(-1, ddof=1) / samples * share**2).sum(-1))
    settings = {
        "function": "exact_profiles",
        "model": model.identity,
        "samples": samples,
        "seed": seed,
        "confidence": confidence,
    }
    start = np.array([-(w.sum(1) * np.log(w.sum(1))).sum() for w in weights])
    factor = np.asarray(rate_factor(rate_axis, schedule.log_snr(grid), schedule))
    return _dataset(mean, error, start, factor, schedule, grid, partitions, rate_axis, confidence, settings)


def _draws(model: FiniteModel | MixtureModel, drivers: Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Data of the given classes, and the noise to add, both shape (draws, features)."""
    generator = torch.Generator().manual_seed(seed)
    count, features = len(drivers), int(np.prod(model.shape))
    pick = torch.rand(count, generator=generator, dtype=torch.float64)
    if isinstance(model, FiniteModel):
        sizes = torch.tensor(model.counts)
        start = torch.cumsum(sizes, 0) - sizes
        data = model.images[(start[drivers] + (pick * sizes[drivers]).long()).to(model.images.device)]
    else:
        share = torch.exp(model.log_weights.cpu()) * model.member[:-1].cpu()
        component = torch.searchsorted(torch.cumsum(share, 1)[drivers], (pick * share.sum(1)[drivers])[:, None])[:, 0]
        spread = torch.randn(count, features, generator=generator, dtype=torch.float64).to(model.means.device)
        component = component.to(model.means.device)
        data = model.means[component] + model.variances[component].sqrt()[:, None] * spread
    noise = torch.randn(count, features, generator=generator, dtype=torch.float64)
    return data, noise.to(data.device)


def _statistics(
    model: FiniteModel | MixtureModel, data: Tensor, noise: Tensor, level: float, weights: list[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """Posterior entropy and its production per log-SNR, in nats, shape (2, partitions, draws)."""
    state = data + level * noise
    if isinstance(model, FiniteModel):
        density, mean = model.moments(state, level)
    else:
        density = model.log_density(state, level)
        mean = model.candidates(state, level, torch.arange(len(model.labels), device=state.device))
    if weights[0].shape[1] > len(model.labels):
        density, mean = _with_null(density, mean, model.label_prior)
    centred = mean - mean.mean(1, keepdim=True)
    gram = centred @ centred.transpose(1, 2)
    idle = torch.zeros_like(density)
    out = np.empty((2, len(weights), len(state)))
    for i, weight in enumerate(weights):
        log_prior = torch.as_tensor(evidence.log_weights(weight[None]), device=state.device)
        log_side, _ = evidence.posterior(density, log_prior)
        out[0, i] = evidence.entropy(log_side)[:, 0].cpu()
        produced, _ = evidence.production(density, log_prior, gram, idle, idle, unguided=True)
        out[1, i] = produced[:, 0].cpu() / level**2
    return out


def _share(weight: NDArray[np.float64], label_prior: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weight of every label's draws: its own, and its share of those of the null condition, which has no draws."""
    labels = len(label_prior)
    return np.asarray(weight[:labels] + weight[labels:].sum() * label_prior)


def _with_null(density: Tensor, mean: Tensor, label_prior: NDArray[np.float64]) -> tuple[Tensor, Tensor]:
    """Log-density and denoiser of every label, and behind them those of the null condition."""
    joint = density + torch.log(torch.as_tensor(label_prior, device=density.device))
    null = torch.softmax(joint, dim=-1)[:, None, :] @ mean
    return torch.cat([density, joint.logsumexp(-1, keepdim=True)], dim=1), torch.cat([mean, null], dim=1)


def _dataset(
    mean: NDArray[np.float64], error: NDArray[np.float64], start: NDArray[np.float64], factor: NDArray[np.float64],
    schedule: Schedule, grid: NDArray[np.float64], partitions: Sequence[Partition], rate_axis: str, confidence: float,
    settings: dict[str, Any],
) -> xr.Dataset:  # fmt: skip
    width = norm.ppf(0.5 + confidence / 2) * error
    dims = ("estimator", "guidance", "partition", "time")
    # the normal interval may leave the range of the quantity where little is undecided
    most = np.log([len(partition.sides) for partition in partitions])[:, None]
    low = np.minimum(np.maximum(mean[0] - width[0], 0.0), mean[0])
    high = np.maximum(np.minimum(mean[0] + width[0], most), mean[0])
    curves = {
        "entropy": (mean[0], low, high),
        "entropy_rate": tuple(
            factor * value for value in (mean[1], np.maximum(mean[1] - width[1], 0), mean[1] + width[1])
        ),
        "mutual_information": tuple(start[:, None] - value for value in (mean[0], high, low)),
    }
    variables: dict[str, Any] = {}
    for name, values in curves.items():
        for suffix, value in zip(("", "_lower", "_upper"), values, strict=True):
            variables[name + suffix] = (dims, value[None, None] * NATS_TO_BITS)
    coords = {
        **coordinates.of_schedule(schedule, grid),
        **coordinates.of_guidance([Guidance()]),
        **coordinates.of_partitions(partitions),
        "estimator": ["exact"],
    }
    return schema.finish(
        xr.Dataset(variables, coords),
        "profiles",
        title="Exact conditional entropy by Monte Carlo over the data's own draws",
        settings=settings,
        rate_axis=rate_axis,
        schedule=schedule.to_json(),
    )
