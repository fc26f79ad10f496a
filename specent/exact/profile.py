r"""Exact profiles of a Gaussian mixture: conditional entropy, mutual information and entropy rate of any partition.

All three depend on the signal-to-noise ratio alone, so any schedule serves. The rate is half the posterior variance
of the denoisers (arXiv 2302.03792), not a difference of entropies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from typing import Any, Protocol

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.special import entr, stdtrit

from specent import arguments
from specent.arguments import brief
from specent.axes import check_axis, rate_factor
from specent.errors import SpecentError
from specent.evidence import BITS_PER_NAT
from specent.exact.expectation import RANDOMISATIONS, Expectation, monte_carlo, on_a_line, quadrature
from specent.exact.mixture import GaussianMixture, component_weights
from specent.guidance import Guidance
from specent.partitions import NULL, Partition, parse_all
from specent.schedules import Schedule, check_grid
from specent.schema import Curve, build_profiles, coordinates
from specent.schema.definitions import as_settings

Array = NDArray[np.float64]

# points per component of a mixture, if the caller does not say
_SAMPLES = 4096


class Exact(Protocol):
    """Anything that brings its own exact profiles, as the models of data sets and of mixtures do."""

    @property
    def exact_profiles(self) -> Callable[..., xr.Dataset]:
        """From ``(schedule, time, partitions, **options)`` to a dataset of kind ``profiles``.

        The options are those of `profiles`, and its own.
        """
        ...


def profiles(
    source: GaussianMixture | Exact,
    schedule: Schedule,
    time: ArrayLike,
    partitions: Partition | str | Iterable[Partition | str],
    *,
    rate_axis: str = "log_snr",
    samples: int | None = None,
    seed: int = 0,
    confidence: float = 0.95,
    **options: Any,
) -> xr.Dataset:
    """Exact conditional entropy, mutual information and entropy rate of partitions of a mixture or a data set.

    For a Gaussian mixture, partitions whose components are collinear and equally wide, and every mixture on a line, are
    integrated to 1e-9 bit and have bounds equal to the value. The others are quasi-Monte Carlo in the span of the
    means: four independent randomisations of a low-discrepancy sequence for every component give the value and its
    standard error, and Student's t the bounds. Where no point was undecided the standard error says 0. Any other
    source brings its own profiles.

    Parameters
    ----------
    source : GaussianMixture or model
        The distribution of the data: a mixture, or an object with a method ``exact_profiles``, as the models of
        `specent.models.finite` and `specent.models.mixture` have.
    schedule : Schedule
        The noise schedule.
    time : array_like, shape (time,)
        Ascending times in the schedule's range.
    partitions : Partition, str, or iterable of these
        Partitions of different names, text as in `Partition.parse`. The null condition, on a side, is the mixture of
        all labels.
    rate_axis : {"log_snr", "log_sigma", "sigma", "time"}
        Axis of the entropy rate, positive where noise adds uncertainty; "sigma" is the noise level ``sigma / alpha``,
        not the coordinate ``sigma``.
    samples : int, optional
        Points per component of a mixture, rounded up to 4 times a power of two, or draws per class of a data set, at
        least 2. By default 4096 for a mixture; a model has a number of its own.
    seed : int
        Seed of the randomisations or draws, not negative.
    confidence : float
        Coverage of the bounds, between 0 and 1.
    **options
        What the method of a model takes besides, such as ``device``; none for a mixture.

    Returns
    -------
    Dataset
        Kind ``profiles`` with estimator ``"exact"``: ``entropy``, ``mutual_information`` and ``entropy_rate``, each
        with ``_lower`` and ``_upper``, over (estimator, guidance, partition, time); bit, and bit per unit of
        `rate_axis`.

    Raises
    ------
    SpecentError
        If an argument is of another kind, the grid does not fit the schedule, a partition not the source, or a setting
        is out of range.

    Examples
    --------
    >>> from specent.schedules import VE
    >>> mix = GaussianMixture([[-4.0], [4.0]], dimension=2**40)
    >>> curves = profiles(mix, VE(), [0.5, 4.0, 100.0], "full")
    >>> curves.entropy.squeeze().round(4).values.tolist()
    [0.0007, 0.5335, 0.9988]
    """
    if not isinstance(source, GaussianMixture):
        own = _method(source)
        if samples is not None:
            options["samples"] = samples
        return own(schedule, time, partitions, rate_axis=rate_axis, seed=seed, confidence=confidence, **options)
    if options:
        raise SpecentError(f"{next(iter(options))}= is an option of models, not of a GaussianMixture; leave it out")
    grid = check_grid(schedule, time)
    check_axis(rate_axis, "rate_axis")
    distinct = _partitions(partitions, source)
    samples = arguments.whole(_SAMPLES if samples is None else samples, "samples", least=2, most=10**9)
    seed = arguments.whole(seed, "seed")
    confidence = arguments.number(confidence, "confidence", above=0, below=1)
    null = any(NULL in partition.labels for partition in distinct)
    weights = [component_weights(source, partition, null) for partition in distinct]
    log_snr = schedule.log_snr(grid)
    estimate = _estimate(_twice(source) if null else source, np.exp(-log_snr), weights, samples, seed)
    factor = rate_factor(rate_axis, log_snr, schedule)
    quantile = min(0.5 + confidence / 2, np.nextafter(1, 0))
    entropy_half, rate_half = (
        stdtrit(degrees, quantile) * error
        for degrees, error in (
            (estimate.entropy_degrees, estimate.entropy_error), (estimate.rate_degrees, estimate.rate_error)
        )
    )  # fmt: skip
    settings = {
        "function": "specent.exact.profiles",
        "model": source.identity,
        **as_settings(distinct),
        "samples": samples,
        "seed": seed,
        "confidence": confidence,
    }
    return exact_dataset(
        curve_in_bits(estimate.entropy, entropy_half),
        curve_in_bits(estimate.rate * factor, rate_half * factor),
        [float(entr(weight.sum(axis=1)).sum()) for weight in weights],
        distinct, schedule, grid, rate_axis, settings, "Exact profiles of a Gaussian mixture",
    )  # fmt: skip


def half_entropy(mix: GaussianMixture, partition: Partition, fraction: float = 0.5) -> float:
    r"""Log-SNR at which the conditional entropy of a partition has fallen to a fraction of its start.

    The start is the entropy of the side prior, the limit of pure noise. Components must be collinear and equally wide,
    or the mixture one-dimensional, so that quadrature is exact (arXiv 2602.09651 for two components).

    Parameters
    ----------
    mix : GaussianMixture
        The mixture.
    partition : Partition
        The partition.
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
    arguments.instance(mix, GaussianMixture, "mix", "give a specent.exact.GaussianMixture")
    fraction = arguments.number(fraction, "fraction", above=0, below=1)
    weights = component_weights(mix, partition)
    if not on_a_line(mix, weights):
        raise SpecentError(
            f"partition {partition.name!r}: its components are not collinear and equally wide, so its log-SNR is known "
            "with an uncertainty only; use specent.speciation on specent.exact.profiles"
        )
    level = fraction * float(entr(weights.sum(axis=1)).sum())

    def above(log_snr: float) -> float:
        return float(quadrature(mix, np.exp([-log_snr]), weights)[0][0]) - level

    low, high = _bracket(above, partition.name, fraction)
    # imported late: it takes longer than all other modules of this package
    from scipy.optimize import brentq

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


def curve_in_bits(value: Array, half: Array | float = 0.0, dims: Sequence[str] = ("partition", "time")) -> Curve:
    """A curve in nats and half the width of its interval, as a curve in bits with bounds."""
    return Curve(*(xr.DataArray(BITS_PER_NAT * bits, dims=dims) for bits in (value, value - half, value + half)))


def exact_dataset(
    entropy: Curve, entropy_rate: Curve, prior_entropy: Sequence[float], partitions: Sequence[Partition],
    schedule: Schedule, grid: Array, rate_axis: str, settings: dict[str, Any], title: str,
    dimension: Array | None = None,
) -> xr.Dataset:  # fmt: skip
    """Exact curves in bits as a dataset of kind ``profiles``; the prior entropy is in nats."""
    coords = {**coordinates.of_schedule(schedule, grid), **coordinates.of_guidance([Guidance()])}
    if dimension is not None:
        coords["dimension"] = dimension
    provenance = {**settings, "rate_axis": rate_axis, "schedule": schedule.to_json(), "time": grid.tolist()}
    return build_profiles(
        entropy, entropy_rate, prior_entropy=[BITS_PER_NAT * nats for nats in prior_entropy], partitions=partitions,
        estimators=["exact"], coords=coords, title=title, settings=provenance, rate_axis=rate_axis,
        schedule=schedule.to_json(),
    )  # fmt: skip


def _estimate(mix: GaussianMixture, tau: Array, weights: list[Array], samples: int, seed: int) -> Expectation:
    """Every partition by the better of the two ways, in nats and per unit log-SNR."""
    shape = (len(weights), len(tau))
    degrees = np.full((2, *shape), float(RANDOMISATIONS - 1))
    estimate = Expectation(*np.zeros((4, *shape)), *degrees)
    others = []
    lines: dict[bytes, bool] = {}
    for i, weight in enumerate(weights):
        # many partitions cover the same components
        covered = weight.any(axis=0).tobytes()
        if covered not in lines:
            lines[covered] = on_a_line(mix, weight)
        if lines[covered]:
            estimate.entropy[i], estimate.rate[i] = quadrature(mix, tau, weight)
        else:
            others.append(i)
    if others:
        rough = monte_carlo(mix, tau, [weights[i] for i in others], samples, seed)
        for field in fields(Expectation):
            getattr(estimate, field.name)[others] = getattr(rough, field.name)
    return estimate


def _method(source: object) -> Callable[..., xr.Dataset]:
    """The method by which anything but a mixture brings its exact profiles."""
    method = None if isinstance(source, type) else getattr(source, "exact_profiles", None)
    if not callable(method):
        raise SpecentError(
            f"source={brief(source)} is a {type(source).__name__}; give a specent.exact.GaussianMixture, or a model of "
            "specent.models.finite or specent.models.mixture"
        )
    own: Callable[..., xr.Dataset] = method
    return own


def _partitions(partitions: Any, mix: GaussianMixture) -> tuple[Partition, ...]:
    distinct = parse_all(partitions, mix.labels)
    if not distinct:
        raise SpecentError("partitions is empty; give at least one, for example 'full'")
    return distinct
