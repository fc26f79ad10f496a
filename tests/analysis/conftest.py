r"""Trajectories of Gaussian mixtures from a chain written down a second time, in NumPy and for the test's eyes only.

States are those of the variance-exploding clock. For shared isotropic variance s0^2 the denoiser of class c at noise
sigma is :math:`D_c = (s_0^2 x + \sigma^2 m_c)/(s_0^2 + \sigma^2)`, and a step down to sigma' is
:math:`N(k x + (1-k) D, \sigma'^2 (1-k))`, :math:`k = \sigma'^2/\sigma^2`. Log-likelihoods are squared errors of that
density, which double precision bears in one or two dimensions. The production is stored for two sides only, in the
form of Ito's lemma in the log-odds, without the package's kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy.special import expit

import specent as sp
from specent import schema
from specent.guidance import FORMULA
from specent.schema import coordinates


def _drift_terms(log_odds, contrast, drive):
    """Production of the entropy of a coin with these log-odds, of the surprisal of side 0, and the unguided form."""
    chance, other = expit(log_odds), expit(-log_odds)
    square = np.sum(contrast**2, axis=-1)
    drift = drive - square / 2
    first, second = -log_odds * chance * other, -chance * other * (1 + log_odds * (1 - 2 * chance))
    entropy = -(first * drift + second * square / 2)
    surprisal = -(-other * drift + chance * other * square / 2)
    return entropy, surprisal, 0.5 * chance * other * square


def gaussian_runs(
    means: Sequence[Sequence[float]],
    *,
    samples: int,
    grid: Any,
    guidance: Sequence[sp.Guidance] = (),
    seed: int = 0,
    variance: float = 1.0,
    believed: Sequence[Sequence[float]] | None = None,
    distances: bool = True,
    named: bool = True,
) -> xr.Dataset:
    """Trajectories of a uniform mixture; with `believed`, the likelihood is that of a mixture with these means.

    The null condition is the mixture's own denoiser at the state. Labels are "a", "b", ...
    """
    means = np.asarray(means, dtype=float)
    judged = means if believed is None else np.asarray(believed, dtype=float)
    settings = list(guidance) or [sp.Guidance()]
    labels = [chr(ord("a") + k) for k in range(len(means))]
    grid = np.asarray(grid, dtype=float)
    count, dim = means.shape
    shape = (len(settings), count, samples, len(grid))
    likelihood = np.zeros((*shape, count + 1))
    distance = np.zeros((*shape, count + 1, count + 1))
    produced, crossed = np.zeros(shape), np.zeros(shape)
    final = np.zeros((*shape[:3], dim))
    for g, setting in enumerate(settings):
        for c in range(count):
            rng = np.random.default_rng([seed, c])
            x = grid[-1] * rng.standard_normal((samples, dim))
            total = np.zeros((samples, count + 1))
            for i in range(len(grid) - 1, -1, -1):
                sigma = grid[i]
                sampled = _denoised(x, sigma, means, variance)
                scored = sampled if judged is means else _denoised(x, sigma, judged, variance)
                weight = setting.scale_at(sigma)
                moved = sampled[:, -1] + weight * (sampled[:, c] - sampled[:, -1])
                likelihood[g, c, :, i] = total - total[:, [c]]
                if distances:
                    distance[g, c, :, i] = np.sum((scored[:, :, None] - scored[:, None]) ** 2, axis=-1)
                if count == 2:
                    contrast = scored[:, 0] - scored[:, 1]
                    drive = np.sum(contrast * (moved - scored[:, 1]), axis=-1)
                    h, up, half = _drift_terms(total[:, 0] - total[:, 1], contrast, drive)
                    down = _drift_terms(
                        total[:, 1] - total[:, 0], -contrast, np.sum(-contrast * (moved - scored[:, 0]), axis=-1)
                    )[1]
                    produced[g, c, :, i] = (h if setting.guided else half) / sigma**2
                    crossed[g, c, :, i] = (up if c == 0 else down) / sigma**2
                if i == 0:
                    final[g, c] = moved
                    break
                keep = grid[i - 1] ** 2 / sigma**2
                spread = grid[i - 1] * np.sqrt(1 - keep)
                new = keep * x + (1 - keep) * moved + spread * rng.standard_normal((samples, dim))
                centre = keep * x[:, None] + (1 - keep) * scored
                total = total - np.sum((new[:, None] - centre) ** 2, axis=-1) / (2 * spread**2)
                x = new
    return _dataset(likelihood, distance, produced, crossed, final, settings, labels, grid, seed, distances, named)


def _denoised(x, sigma, means, variance):
    """Denoised data of every class, and of their mixture at the state, shape (samples, classes + 1, coordinates)."""
    each = (variance * x[:, None] + sigma**2 * means) / (variance + sigma**2)
    score = -np.sum((x[:, None] - means) ** 2, axis=-1) / (2 * (variance + sigma**2))
    share = np.exp(score - score.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    return np.concatenate([each, np.sum(share[..., None] * each, axis=1, keepdims=True)], axis=1)


def _dataset(likelihood, distance, produced, crossed, final, settings, labels, grid, seed, distances, named):
    schedule = sp.schedules.VE()
    run = ("guidance", "class_label", "sample")
    made = {
        "log_likelihood": ((*run, "time", "candidate"), likelihood),
        "final": ((*run, "feature"), final.astype(np.float32)),
    }
    names = [*labels, schema.NULL]
    coords = {
        **coordinates.of_schedule(schedule, grid),
        **coordinates.of_guidance(settings),
        "class_label": labels,
        "label_prior": ("class_label", np.full(len(labels), 1 / len(labels))),
        "sample": np.arange(likelihood.shape[2]),
        "candidate": names,
        "candidate_prior": ("candidate", [*np.full(len(labels), 1 / len(labels)), 0.0]),
        "feature": np.arange(final.shape[-1]),
    }
    if distances:
        made["denoiser_distance"] = ((*run, "time", "candidate", "other_candidate"), distance)
        coords["other_candidate"] = names
    if len(labels) == 2 and named:
        made["production"] = ((*run, "time", "partition"), produced[..., None])
        made["cross_production"] = ((*run, "time", "partition"), crossed[..., None])
        coords |= coordinates.of_partitions([sp.Partition.pair("a", "b")])
    return schema.finish(
        xr.Dataset(made, coords),
        "trajectories",
        title="Trajectories of a Gaussian mixture",
        settings={"seed": seed},
        schedule=schedule.to_json(),
        model="{}",
        guidance_formula=FORMULA,
        seed=seed,
        seed_rule="one stream per class",
    )


@pytest.fixture(scope="session", name="gaussian_runs")
def _gaussian_runs() -> Callable[..., xr.Dataset]:
    """The function that makes trajectories of a Gaussian mixture."""
    return gaussian_runs


@pytest.fixture(scope="session")
def repeated_runs() -> Callable[..., xr.Dataset]:
    """Independent repetitions of a run, one a number, side by side along ``guidance`` as if these were settings.

    Trajectories are independent of each other, so all are of one chain, whose seed is the first number.
    """

    def repeated(numbers: Sequence[int], samples: int, **options: Any) -> xr.Dataset:
        whole = gaussian_runs(**options, samples=samples * len(numbers), seed=numbers[0])
        each = [whole.isel(sample=slice(samples * i, samples * (i + 1))) for i in range(len(numbers))]
        each = [run.assign_coords(sample=whole["sample"][:samples]) for run in each]
        runs = xr.concat(each, "guidance", data_vars="minimal", coords="minimal", compat="override")
        names = ("guidance", [f"repetition {number}" for number in numbers], whole["guidance"].attrs)
        return runs.assign_coords(guidance=names)

    return repeated


@pytest.fixture(scope="session")
def pair_runs() -> xr.Dataset:
    """Two components at +-2, unguided and guided, 200 trajectories a class."""
    settings = [sp.Guidance(), sp.Guidance(2.0), sp.Guidance(3.0, (0.5, 8.0))]
    return gaussian_runs([[-2.0], [2.0]], samples=200, grid=np.geomspace(0.2, 60, 48), guidance=settings)


@pytest.fixture(scope="session")
def four_runs() -> xr.Dataset:
    """Four components in the plane, unguided and guided, 100 trajectories a class."""
    means = [[-3.0, 0.0], [3.0, 0.0], [0.0, 4.0], [0.0, 5.0]]
    settings = [sp.Guidance(), sp.Guidance(2.0)]
    return gaussian_runs(means, samples=100, grid=np.geomspace(0.2, 60, 48), guidance=settings)


@pytest.fixture(scope="session")
def pair_quadrature() -> Callable[..., Any]:
    """Conditional entropy, in bits, of two equally likely components at +-m on a line, by a Riemann sum."""

    def entropy(distance: float, sigma: Any, variance: float = 1.0) -> Any:
        out = []
        for level in np.atleast_1d(sigma):
            spread = np.sqrt(level**2 + variance)
            x, step = np.linspace(-distance - 10 * spread, distance + 10 * spread, 20001, retstep=True)
            centred = [(x - m) / spread for m in (-distance, distance)]
            centred = [(x - m) / spread for m in (-distance, distance)]
            density = [np.exp(-0.5 * z**2) / (spread * np.sqrt(2 * np.pi)) for z in centred]
            log_odds = -2 * distance * x / spread**2
            chance = expit(log_odds)
            surprisal = chance * np.logaddexp(0, -log_odds) + (1 - chance) * np.logaddexp(0, log_odds)
            out.append(np.sum(0.5 * (density[0] + density[1]) * surprisal) * step / np.log(2))
        return np.array(out)

    return entropy
