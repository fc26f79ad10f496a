"""How good is the null model as a stand-in for all other classes? (The open question of arXiv 2506.10433.)

One class of K against the rest, at prior 1/2, in three ways: with the denoisers of all classes (mixture), with the null
condition less the class (complement), and with the null condition as it is (shortcut), which has a floor in closed
form. Three archives of profiles are written. OUTPUT holds Gaussian mixtures of up to 1000 classes by their noisy
states, where all is exact; ..._paths.nc the same partitions along sampled paths, at two numbers of steps;
..._digits.nc the trained model of the digits beside the exact posterior of its data. The tables give the error of each
way at the clean end, at its largest, and in the half-entropy noise level; of every model that is sampled also the
information of the class and the error of the null condition in bits. Takes about two minutes on one core.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from scipy.special import logsumexp
from tqdm.auto import tqdm

import specent as sp
from specent import arguments
from specent.analysis.bootstrap import skewed_interval
from specent.analysis.crossings import crossings
from specent.analysis.custom import custom_profiles
from specent.arguments import brief
from specent.errors import CalibrationWarning
from specent.guidance import FORMULA
from specent.models import FiniteModel, Model
from specent.models.digits import digits_data
from specent.schema import NULL, coordinates
from specent.studies import (
    ShardedSettings,
    limited_threads,
    output_paths,
    print_lines,
    run_folder,
    sampled,
    tiny_settings,
    write_results,
)

Array = NDArray[np.float64]
Floored = tuple[xr.Dataset, list[float]]
Study = tuple[xr.Dataset, list[float], dict[str, xr.Dataset]]

SCHEDULE = sp.schedules.VE()
WAYS = ("mixture", "complement", "shortcut")
# length of the mean of every component, whose variance is 1: classes are far apart once the noise is gone
RADIUS = 16.0
PARTS = {"class_information": "the class", "null_error": "error of the null", "cross_term": "cross term"}
# noise levels at which they are printed, as far as the grid goes
LEVELS = (10.0, 3.0, 1.0, 0.3, 0.1)


@dataclass(frozen=True)
class Settings(ShardedSettings):
    """Settings of the study of the null condition.

    Parameters
    ----------
    output : Path
        Archive of profiles of noisy states to write; those of paths and of the digits are written beside it.
    tiny : bool
        Run in seconds on sizes that show nothing but that it works.
    classes : tuple of int
        Numbers of classes of the mixtures.
    draws : int
        Noisy states of a class, of the rest and of the null condition.
    path_classes : tuple of int
        Numbers of classes of the mixtures that are sampled.
    path_samples : int
        Trajectories of each of these mixtures, shared out evenly among its classes and the null condition.
    refinement : int
        Into how many steps each step of a path is cut the second time.
    steps : int
        Noise levels.
    digits_samples : int
        Trajectories of every digit and of the null condition.
    """

    output: Path = Path("null_study.nc")
    tiny: bool = False
    classes: tuple[int, ...] = (2, 3, 4, 10, 32, 100, 1000)
    draws: int = 10000
    path_classes: tuple[int, ...] = (2, 10, 32)
    path_samples: int = 2200
    refinement: int = 4
    steps: int = 64
    digits_samples: int = 200
    threads: int | None = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("classes", "path_classes"):
            numbers = [arguments.whole(value, name, least=2, most=100_000) for value in getattr(self, name)]
            if not numbers or len(set(numbers)) < len(numbers):
                raise sp.SpecentError(f"{name}={brief(numbers)} must hold one number at least and none twice")
        arguments.whole(self.draws, "draws", least=2, most=1_000_000)
        arguments.whole(self.path_samples, "path_samples", least=2 * (1 + max(self.path_classes)), most=1_000_000)
        arguments.whole(self.refinement, "refinement", least=2, most=1000)
        arguments.whole(self.steps, "steps", least=4, most=100_000)
        arguments.whole(self.digits_samples, "digits_samples", least=2, most=1_000_000)


def main(settings: Settings) -> tuple[Path, ...]:
    """Work out the three archives, write each as soon as it is there, and print the tables."""
    if settings.tiny:
        small: dict[str, Any] = {"classes": (2, 10, 1000), "path_classes": (2, 10), "path_samples": 44}
        settings = tiny_settings(settings, draws=20, steps=12, refinement=2, digits_samples=4, **small)
    paths = output_paths(settings.output, "paths", "digits", overwrite=settings.overwrite)
    headings = (
        "Noisy states of Gaussian mixtures, exact",
        "Sampled paths of Gaussian mixtures, with the steps given and with finer ones",
        "Handwritten digits and their trained network, mean over the classes",
    )
    with limited_threads(settings.threads), run_folder(settings, paths[0]) as folder:
        parts: tuple[Callable[[Settings], Study], ...] = (
            states,
            partial(walks, folder=folder),
            partial(digits, folder=folder),
        )
        for compute, path, heading in zip(parts, paths, headings, strict=True):
            curves, floors, splits = compute(settings)
            curves = write_results(curves, path, "null_study", settings)
            print_lines(partial(report, curves, floors, heading))
            if splits:
                print_lines(partial(report_bits, splits))
    return tuple(paths)


def states(settings: Settings) -> Study:
    """Profiles of mixtures from their noisy states, and their floors; no paths, so no bits of the null condition."""
    time = grid(settings)
    parts = [by_states(count, settings, time) for count in tqdm(settings.classes, desc="noisy states")]
    names = {f"1 of {count}": float(sp.exact.null_floor(1 / count)) for count in settings.classes}
    return *profiles(parts, names, "Class against rest of Gaussian mixtures, by noisy states", settings, time), {}


def walks(settings: Settings, folder: Path) -> Study:
    """Profiles of mixtures from sampled paths, beside those from noisy states, and what the steps cost their null."""
    time, cut = grid(settings), settings.refinement
    fine = np.geomspace(time[0], time[-1], cut * (len(time) - 1) + 1)
    parts, names, bits = [], {}, {}
    for count in settings.path_classes:
        labels = [str(k) for k in range(count)]
        model = sp.models.mixture(sp.exact.GaussianMixture(RADIUS * np.eye(count), labels=labels))
        exact = by_states(count, settings, time).sel(estimator=["exact"])
        for levels, every in ((time, 1), (fine, cut)):
            plan = planned(model, levels, settings.path_samples // (count + 1), settings.seed)
            runs = sampled(folder / f"{count} classes {len(levels)} steps", plan, settings)
            ways = three_ways(runs.isel(time=slice(None, None, every)), labels, labels)
            parts.append(xr.concat([exact, ways], "estimator"))
            name = f"1 of {count}, {len(levels)} steps"
            names[name], bits[name] = float(sp.exact.null_floor(1 / count)), sp.null_error(runs)
    return *profiles(parts, names, "Class against rest of Gaussian mixtures, by paths", settings, time), bits


def digits(settings: Settings, folder: Path) -> Study:
    """Profiles of the digits from paths of the trained network, beside those of the data, and the bits of its null."""
    time = np.geomspace(0.02, 100.0, settings.steps)
    data, network = sp.models.finite(*digits_data(), name="digits"), sp.models.digits()
    labels = network.labels
    known = evidence(noisy(data, settings, time), labels, data.label_prior, time, data.identity)
    exact = three_ways(known, labels, labels).sel(estimator=["mixture", "shortcut"])
    exact = exact.assign_coords(estimator=["exact", "exact shortcut"])
    plan = planned(network, time, settings.digits_samples, settings.seed, distances=True)
    runs = sampled(folder / "digits", plan, settings)
    ways = three_ways(runs, labels, labels)
    names = {f"1 of {len(labels)} digits": float(sp.exact.null_floor(network.label_prior).mean())}
    both = xr.concat([exact, ways], "estimator")
    bits = {f"all {len(labels)} digits": sp.null_error(runs)}
    return *profiles([both], names, "Class against rest of the digits", settings, time), bits


def grid(settings: Settings) -> Array:
    """Noise levels for the mixtures, from none to speak of to nothing but noise."""
    return np.geomspace(0.1, 20 * RADIUS, settings.steps)


def planned(model: Model, time: Array, samples: int, seed: int, distances: bool = False) -> sp.Plan:
    """Paths of every class and of the null condition; with distances the bits of the null have a second estimate."""
    drivers = [*model.labels, NULL]
    return sp.Plan(model, SCHEDULE, time, samples, seed=seed, classes=drivers, record=sp.Record(distances=distances))


def by_states(count: int, settings: Settings, time: Array) -> xr.Dataset:
    """The three ways for one class of a mixture from noisy states; that of all classes is exact."""
    prior = np.array([1 / count, 1 - 1 / count])
    labels = ("class", "rest")
    states = evidence(simplex(count, settings, time), labels, prior, time, {"name": f"simplex of {count}"})
    return three_ways(states, labels, labels[:1]).assign_coords(estimator=["exact", *WAYS[1:]])


def simplex(count: int, settings: Settings, time: Array) -> Array:
    """Log-densities of noisy states under a class, the rest and the null condition, shape (driver, sample, time, 3).

    The means are orthogonal and of one length, so that all classes are alike: one of them stands for all. The states of
    the drivers are of that class, of another one, and of either, as the null condition has it.
    """
    stream = np.random.default_rng([settings.seed, count])
    out = np.empty((3, settings.draws, len(time), 3))
    rows = max(1, 2**20 // count)
    for driver, low in product(range(3), range(0, settings.draws, rows)):
        part = out[driver, low : low + rows]
        noise = stream.standard_normal((len(part), count))
        own = stream.random(len(part)) > 1 / count if driver == 2 else np.full(len(part), driver == 1)
        for i, variance in enumerate(1 + time**2):
            state = np.sqrt(variance) * noise
            state[np.arange(len(part)), own.astype(int)] += RADIUS
            # what a density has beyond this score is shared by all classes
            score = RADIUS / variance * state
            rest = sp.evidence.log_sum_exp(score[:, 1:])
            null = np.logaddexp(score[:, 0], rest)
            part[:, i] = np.stack([score[:, 0], rest - np.log(count - 1), null - np.log(count)], axis=-1)
    return out


def noisy(data: FiniteModel, settings: Settings, time: Array) -> Array:
    """Log-densities of noisy pictures under every label and the null condition, the drivers first."""
    stream = np.random.default_rng([settings.seed, 0])
    samples, sizes = settings.digits_samples, np.array(data.counts)
    mixed = stream.choice(len(sizes), samples, p=data.label_prior)
    label = np.append(np.arange(len(sizes)).repeat(samples), mixed)
    index = (np.cumsum(sizes) - sizes)[label] + (stream.random(len(label)) * sizes[label]).astype(int)
    state = data.images[torch.as_tensor(index)]
    noise = torch.as_tensor(stream.standard_normal(tuple(state.shape)))
    density = np.stack([data.log_density(state + level * noise, float(level)).numpy() for level in time], axis=1)
    null = logsumexp(density + np.log(data.label_prior), axis=-1, keepdims=True)
    return np.concatenate([density, null], axis=-1).reshape(-1, samples, len(time), len(sizes) + 1)


def evidence(density: Array, labels: Sequence[str], prior: Array, time: Array, model: dict[str, Any]) -> xr.Dataset:
    """Independent states in place of paths, their log-densities in place of the evidence, for the same estimators.

    The labels, and the null condition behind them, are the drivers and the candidates.
    """
    names, priors = [*labels, NULL], np.append(prior, 0.0)
    coords = {
        **coordinates.of_schedule(SCHEDULE, time),
        **coordinates.of_guidance([sp.Guidance()]),
        "class_label": names,
        "label_prior": ("class_label", priors),
        "candidate": names,
        "candidate_prior": ("candidate", priors),
    }
    relative = density - np.einsum("kntk->knt", density)[..., None]
    run = ("guidance", "class_label", "sample")
    final = np.zeros((1, *density.shape[:2], 1), dtype=np.float32)
    return sp.schema.finish(
        xr.Dataset(
            {"log_likelihood": ((*run, "time", "candidate"), relative[None]), "final": ((*run, "feature"), final)}
        ).assign_coords(coords),
        "trajectories",
        title="Evidence of independent noisy states",
        settings={"function": "evidence", "model": model},
        schedule=SCHEDULE.to_json(),
        model=json.dumps(model),
        guidance_formula=FORMULA,
        seed=0,
        seed_rule="one stream per model",
    )


def three_ways(runs: xr.Dataset, labels: Sequence[str], ones: Sequence[str]) -> xr.Dataset:
    """Entropy of each of `ones` against the rest in all ways, with its replicates, averaged over them.

    All ways share the resampling, so replicates of their differences are paired.
    """
    rest = [sp.Partition.one_vs_rest(one, labels) for one in ones]
    null = [sp.Partition.pair(one, NULL) for one in ones]
    with warnings.catch_warnings():
        # that the null condition disagrees is what is measured
        warnings.simplefilter("ignore", CalibrationWarning)
        both = [
            sp.entropy(runs, rest, ("path", "null"), rate="differences"),
            sp.entropy(runs, null, "path", rate="differences"),
        ]
    curves, clipped = [], []
    for part in both:
        best = part.entropy.expand_dims(replicate=[-1])
        curves.append(xr.concat([best, part.entropy_replicate.astype(np.float64)], "replicate").mean("partition"))
        clipped.append(part.get("clipped_ratios", xr.zeros_like(part.entropy)).sum("partition"))
    joined = {name: xr.concat(parts, "estimator") for name, parts in (("curve", curves), ("clipped", clipped))}
    ways = xr.Dataset(joined).isel(guidance=0).reset_coords(drop=True)
    return ways.drop_vars(["time", "replicate"]).assign_coords(estimator=list(WAYS))


def profiles(parts: list[xr.Dataset], floors: dict[str, float], title: str, settings: Settings, time: Array) -> Floored:
    """The curves as profiles of partitions with the names of the floors, and the floors."""
    whole = xr.concat(parts, "partition")
    sides = {"class": ["class"], "rest": ["rest"]}
    curves = custom_profiles(
        whole.curve.transpose("replicate", "estimator", "partition", "time"),
        [1.0] * len(floors),
        SCHEDULE,
        time,
        [sp.Partition.groups(sides, prior=(0.5, 0.5), name=name) for name in floors],
        title=title,
        settings={"function": "null_study", "floors": floors, "seed": settings.seed},
        clipped=whole.clipped,
    )
    return curves, list(floors.values())


def report(curves: xr.Dataset, floors: list[float], heading: str) -> Iterator[str]:
    """Lines of text: each way at the clean end, its largest error, and that of its half-entropy noise level."""
    yield f"\n{heading}; bits and noise levels with 95 % intervals"
    titles = ("clean end", "floor", "largest error", "half-entropy sigma", "its error", "clipped")
    widths = (27, 8, 28, 26, 26, 9)
    yield f"{'':>18} {'way':>14}" + "".join(f"{text:>{width}}" for text, width in zip(titles, widths, strict=True))
    for name, floor in zip(curves.partition.values, floors, strict=True):
        part = curves.sel(partition=name).isel(guidance=0)
        replicates = {str(way): replicas(part.sel(estimator=way)) for way in part.estimator.values}
        for way, curve in replicates.items():
            clipped = int(part.clipped_ratios.sel(estimator=way).max())
            cells = [interval(curve[:, 0], 4), f"{floor:.4f}" if way.endswith("shortcut") else ""]
            cells += [*compared(part, curve, replicates["exact"]), str(clipped) if clipped else ""]
            row = "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
            yield f"{name:>18} {way:>14}{row}"


def report_bits(tables: dict[str, xr.Dataset]) -> Iterator[str]:
    """Lines of text: what the paths tell of the class, and the error of the null condition, down to noise levels."""
    yield "\nBits gained down to a noise level along the paths of the classes; an exact null condition has no error"
    yield f"{'':>18} {'estimator':>14}{'sigma':>9}" + "".join(f"{text:>28}" for text in PARTS.values())
    for name, table in tables.items():
        sigma = np.exp(-0.5 * table.log_snr.values)
        levels = [level for level in LEVELS if level > 1.1 * sigma[0]] if "integral" in table.estimator else []
        for estimator in [way for way in table.estimator.values if way != "denoiser_gap"]:
            for i in [*(int(abs(np.log(sigma / level)).argmin()) for level in levels), 0]:
                at = table.sel(estimator=estimator).isel(time=i)
                ends = [[float(at[part + end]) for end in ("", "_lower", "_upper")] for part in PARTS]
                row = "".join(f"{written(bounds, 3):>28}" for bounds in ends)
                yield f"{name:>18} {estimator:>14}{sigma[i]:>9.3g}{row}"


def compared(part: xr.Dataset, curve: Array, truth: Array) -> list[str]:
    """Largest error of a curve, its half-entropy noise level, and the error of that, as text."""
    error = curve - truth
    worst = int(np.argmax(abs(error[0])))
    half, reference = (half_sigma(part.log_snr.values, values) for values in (curve, truth))
    if np.isnan(half[0]):
        return [interval(error[:, worst], 4), "never", ""]
    if curve is truth:
        return ["", interval(half, 3), ""]
    return [interval(error[:, worst], 4), interval(half, 3), interval(half - reference, 3)]


def replicas(part: xr.Dataset) -> Array:
    """A curve and its bootstrap replicates, shape (1 + replicates, time)."""
    rest = part.entropy_replicate.transpose("replicate", "time").values
    return np.concatenate([part.entropy.values[None], rest.astype(np.float64)])


def half_sigma(log_snr: Array, curves: Array) -> Array:
    """Noise levels at which curves fall to half a bit, NaN where they never do."""
    return np.exp(-0.5 * crossings(log_snr[::-1], curves[:, ::-1], np.array([0.5]))[:, 0])


def interval(values: Array, digits: int) -> str:
    """An estimate and the bounds of its 95 % interval from the replicates behind it."""
    lower, upper = skewed_interval(values[np.isfinite(values)], 0.95)
    return written([values[0], lower, upper], digits)


def written(values: Sequence[float], digits: int) -> str:
    """An estimate and its bounds as text, with no minus sign before a zero."""
    best, lower, upper = (f"{round(float(value), digits) + 0.0:.{digits}f}" for value in values)
    return f"{best} ({lower} .. {upper})"
