r"""Exact profiles of a Gaussian mixture: conditional entropy, mutual information and entropy rate of any partition.

All three depend on the signal-to-noise ratio alone, so any schedule serves. The rate is half the posterior variance
of the denoisers (arXiv 2302.03792), not a difference of entropies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import entr, ndtri

from specent import arguments, schema
from specent.arguments import brief
from specent.axes import check_axis, rate_factor
from specent.errors import SpecentError
from specent.exact.expectation import Estimate, monte_carlo, on_a_line, quadrature
from specent.exact.mixture import GaussianMixture, component_weights
from specent.guidance import Guidance
from specent.partitions import Partition
from specent.schedules import Schedule, check_grid
from specent.schema import NULL, coordinates

Array = NDArray[np.float64]

BITS = 1 / np.log(2)


def profiles(
    mix: GaussianMixture,
    schedule: Schedule,
    time: ArrayLike,
    partitions: Partition | Sequence[Partition],
    *,
    rate_axis: str = "log_snr",
    samples: int = 4096,
    seed: int = 0,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Exact conditional entropy, mutual information and entropy rate of partitions of a Gaussian mixture.

    Partitions whose components are collinear and equally wide, and every mixture on a line, are integrated to 1e-9 bit
    and have bounds equal to the value. The others are Monte Carlo in the span of the means; their bounds are the value
    plus and minus the normal quantile times the standard error. Where no draw was undecided the standard error says 0.

    Parameters
    ----------
    mix : GaussianMixture
        The model.
    schedule : Schedule
        The clock.
    time : array_like, shape (time,)
        Ascending times in the schedule's range.
    partitions : Partition or sequence of Partition
        The questions, with different names. The null condition, on a side, is the mixture of all components.
    rate_axis : {"log_snr", "log_sigma", "sigma", "time"}
        Axis of the entropy rate, positive where noise adds uncertainty; "sigma" is the noise level ``sigma / alpha``,
        not the coordinate ``sigma``.
    samples : int
        Monte Carlo draws per component, at least 2.
    seed : int
        Seed of the draws, not negative.
    confidence : float
        Coverage of the Monte Carlo bounds, between 0 and 1.

    Returns
    -------
    Dataset
        Kind ``profiles`` with estimator ``"exact"``: ``entropy``, ``mutual_information`` and ``entropy_rate``, each
        with ``_lower`` and ``_upper``, over (estimator, guidance, partition, time); bit, and bit per unit of
        `rate_axis`.

    Raises
    ------
    SpecentError
        If an argument is of another kind, the grid does not fit the schedule, a partition not the mixture, or a setting
        is out of range.

    Examples
    --------
    >>> from specent.schedules import VE
    >>> mix = GaussianMixture([[-4.0], [4.0]], dimension=2**40)
    >>> made = profiles(mix, VE(), [0.5, 4.0, 100.0], [Partition.full(mix.labels)])
    >>> made.entropy.squeeze().round(4).values.tolist()
    [0.0007, 0.5335, 0.9988]
    """
    _checked_mixture(mix)
    grid = check_grid(schedule, time)
    check_axis(rate_axis, "rate_axis")
    asked = _checked_partitions(partitions)
    samples = arguments.whole(samples, "samples", least=2, most=10**9)
    seed = arguments.whole(seed, "seed")
    confidence = arguments.number(confidence, "confidence", above=0, below=1)
    null = any(NULL in partition.labels for partition in asked)
    weights = [component_weights(mix, partition, null) for partition in asked]
    log_snr = schedule.log_snr(grid)
    made = _estimate(_twice(mix) if null else mix, np.exp(-log_snr), weights, samples, seed)
    start = np.array([entr(weight.sum(axis=1)).sum() for weight in weights])[:, None]
    factor = rate_factor(rate_axis, log_snr, schedule)
    half = float(ndtri(min(0.5 + confidence / 2, np.nextafter(1, 0))))
    variables = {
        **bounded("entropy", made.entropy, half * made.entropy_error),
        **bounded("entropy_rate", made.rate * factor, half * made.rate_error * factor),
        **bounded("mutual_information", start - made.entropy, half * made.entropy_error),
    }
    settings = {
        "function": "specent.exact.profiles",
        "model": mix.identity,
        "partitions": [partition.to_json() for partition in asked],
        "rate_axis": rate_axis,
        "samples": samples,
        "seed": seed,
        "confidence": confidence,
    }
    return as_profiles(variables, schedule, grid, asked, rate_axis, settings, "Exact profiles of a Gaussian mixture")


def half_entropy(mix: GaussianMixture, partition: Partition, fraction: float = 0.5) -> float:
    r"""Log-SNR at which the conditional entropy of a partition has fallen to a fraction of its start.

    The start is the entropy of the side prior, the limit of pure noise. Components must be collinear and equally wide,
    or the mixture one-dimensional, so that quadrature is exact (arXiv 2602.09651 for two components).

    Parameters
    ----------
    mix : GaussianMixture
        The model.
    partition : Partition
        The question.
    fraction : float
        Strictly between 0 and 1.

    Returns
    -------
    float
        Log-SNR; ``schedule.time`` makes it a time.

    Raises
    ------
    SpecentError
        If one dimension does not suffice, the fraction is out of range, or the entropy never falls that far.

    Examples
    --------
    >>> mix = GaussianMixture([[-16.0], [16.0]], dimension=256)
    >>> round(float(np.exp(-0.5 * half_entropy(mix, Partition.full(mix.labels)))), 3)
    15.627
    """
    _checked_mixture(mix)
    fraction = arguments.number(fraction, "fraction", above=0, below=1)
    weights = component_weights(mix, partition)
    if not on_a_line(mix, weights):
        raise SpecentError(
            f"partition {partition.name!r}: its components are not collinear and equally wide, so the place is known "
            "with an uncertainty only; use specent.speciation on specent.exact.profiles"
        )
    level = fraction * float(entr(weights.sum(axis=1)).sum())

    def above(log_snr: float) -> float:
        return float(quadrature(mix, np.exp([-log_snr]), weights)[0][0]) - level

    low, high = _bracket(above, partition.name, fraction)
    return float(brentq(above, low, high, xtol=1e-13, rtol=1e-14))


def _bracket(above: Callable[[float], float], name: str, fraction: float) -> tuple[float, float]:
    """A log-SNR where `above` is positive and a higher one where it is not."""
    low = high = 0.0
    step = 1.0
    while above(low) <= 0:
        if low < -300:
            raise SpecentError(
                f"fraction={fraction!r} is nearer to 1 than the entropy is known, 1e-10; ask for a smaller fraction"
            )
        low, high, step = low - step, low, 2 * step
    while above(high) > 0:
        if high > 200:
            raise SpecentError(
                f"fraction={fraction!r}: the entropy of partition {name!r} does not fall that far even without noise, "
                "because its sides overlap; ask for a larger fraction"
            )
        low, high, step = high, high + step, 2 * step
    return low, high


def _twice(mix: GaussianMixture) -> GaussianMixture:
    """Every component two times, the second time as one of the null condition: the kernel wants disjoint sides."""
    return GaussianMixture(np.tile(mix.means, (2, 1)), np.tile(mix.variances, 2), dimension=mix.dimension)


def bounded(name: str, value: Array, half: Array | float = 0.0) -> dict[str, Array]:
    """A curve in nats as three in bit: the value, its lower and its upper bound."""
    return {name: value * BITS, f"{name}_lower": (value - half) * BITS, f"{name}_upper": (value + half) * BITS}


def as_profiles(
    curves: dict[str, Array],
    schedule: Schedule,
    grid: Array,
    partitions: Sequence[Partition],
    rate_axis: str,
    settings: dict[str, Any],
    title: str,
    dimension: Array | None = None,
) -> xr.Dataset:
    """Put curves of shape ([dimension,] partition, time) into a dataset of kind ``profiles``."""
    lead = () if dimension is None else ("dimension",)
    dims = (*lead, "estimator", "guidance", "partition", "time")
    place = len(lead)
    coords = {
        **coordinates.of_schedule(schedule, grid),
        **coordinates.of_guidance([Guidance()]),
        **coordinates.of_partitions(partitions),
        "estimator": ["exact"],
    }
    if dimension is not None:
        coords["dimension"] = dimension
    variables = {name: (dims, np.expand_dims(curve, (place, place + 1))) for name, curve in curves.items()}
    return schema.finish(
        xr.Dataset(variables, coords),
        "profiles",
        title=title,
        settings={**settings, "schedule": schedule.to_json(), "time": grid.tolist()},
        schedule=schedule.to_json(),
        rate_axis=rate_axis,
    )


def _estimate(mix: GaussianMixture, tau: Array, weights: list[Array], samples: int, seed: int) -> Estimate:
    """Every partition by the better of the two ways, in nats and per unit log-SNR."""
    made = Estimate(*(np.zeros((len(weights), len(tau))) for _ in range(4)))
    drawn = []
    for i, weight in enumerate(weights):
        if on_a_line(mix, weight):
            made.entropy[i], made.rate[i] = quadrature(mix, tau, weight)
        else:
            drawn.append(i)
    if drawn:
        rough = monte_carlo(mix, tau, [weights[i] for i in drawn], samples, seed)
        made.entropy[drawn], made.rate[drawn] = rough.entropy, rough.rate
        made.entropy_error[drawn], made.rate_error[drawn] = rough.entropy_error, rough.rate_error
    return made


def _checked_mixture(mix: GaussianMixture) -> None:
    arguments.instance(mix, GaussianMixture, "mix", "give a specent.exact.GaussianMixture")


def _checked_partitions(partitions: object) -> list[Partition]:
    hint = "give a list of specent.Partition, for example [Partition.full(mix.labels)]"
    if isinstance(partitions, Partition):
        partitions = [partitions]
    if isinstance(partitions, (str, bytes)) or not isinstance(partitions, Iterable):
        raise SpecentError(f"partitions={brief(partitions)} is a {type(partitions).__name__}; {hint}")
    asked = [arguments.instance(each, Partition, f"partitions[{i}]", hint) for i, each in enumerate(partitions)]
    if not asked:
        raise SpecentError(f"partitions is empty; {hint}")
    names = [partition.name for partition in asked]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise SpecentError(f"partitions: the name {twice[0]!r} stands twice; give each partition its own name")
    return asked
