"""The public sampling function: arguments checked, batches run, a labelled dataset made."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from tqdm.auto import tqdm

from specent import checks, coordinates, evidence, schema
from specent.guidance import FORMULA, Guidance
from specent.models.arguments import check_memory, check_partitions
from specent.models.base import Model, resolve_device
from specent.partitions import Partition
from specent.sampling.arguments import (
    check_eta,
    check_guidance,
    check_labels,
    check_model,
    check_scored,
    moved,
    prediction_places,
)
from specent.sampling.chain import Plan, Record, check_finite, recorded, run_batch
from specent.sampling.streams import SEED_RULE, SHARED_RULE, Streams
from specent.sampling.transitions import transitions
from specent.schedules import Schedule, check_grid
from specent.schema import NULL

_FEW = 16
_BATCH_NUMBERS = 2**24


def sample(
    model: Model,
    *,
    schedule: Schedule,
    time: ArrayLike,
    samples: int,
    partitions: Iterable[Partition] | Partition = (),
    guidance: Guidance | Sequence[Guidance] = Guidance(),  # noqa: B008  (frozen)
    seed: int = 0,
    device: str = "cpu",
    classes: Sequence[str] | None = None,
    candidates: Sequence[str] | None = None,
    predictions: ArrayLike = (),
    distances: bool | None = None,
    shared_noise: bool = False,
    eta: float = 1.0,
    batch_size: int | None = None,
    progress: bool = True,
) -> xr.Dataset:
    r"""Sample the stochastic reverse chain and score every candidate along each trajectory.

    A network evaluation per noise level and candidate is all it costs: `len(time)` levels, the last of which gives the
    final sample. The chain starts from pure noise of the first level.

    Parameters
    ----------
    model : Model
        A class-conditional denoiser, see `specent.models`.
    schedule : Schedule
        The clock.
    time : array_like, shape (time,)
        Ascending times from data to noise, see `specent.schedules.edm_grid`.
    samples : int
        Trajectories per class, at least 2.
    partitions : Partition or iterable of Partition
        Questions whose entropy production is recorded. Others can be asked afterwards, their rates included as long as
        `distances` are kept.
    guidance : Guidance or sequence of Guidance
        Guidance settings; all share the same noise.
    seed : int
        Seed of the random streams; one stream per (seed, class, sample).
    device : str
        ``"cpu"`` or ``"cuda"``.
    classes : sequence of str, optional
        The labels that drive trajectories; all by default.
    candidates : sequence of str, optional
        The conditions that are scored, drivers and partitions among them; by default all labels, and the null
        condition if the model has one.
    predictions : array_like
        Times (of the grid; the nearest is taken) at which predictions of the data are kept.
    distances : bool, optional
        Whether squared distances between the candidates' denoised data are kept, from which the production of any
        partition follows afterwards. By default, if there are at most 16 candidates.
    shared_noise : bool
        Whether all classes share their noise, for pictures from common starting noise. Their trajectories are then
        not independent.
    eta : float
        1 for the stochastic chain. Anything else is refused: the likelihood of a path is that of this chain.
    batch_size : int, optional
        Trajectories at a time; the numbers do not depend on it.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Dataset
        Kind ``trajectories``; log-likelihoods and production in nats.

    Raises
    ------
    SpecentError
        If an argument cannot be used (before any sampling), the network raises or returns something else than a tensor
        like its states, or a number stops being finite.

    Warns
    -----
    SpecentWarning
        If the grid ends at so little noise that a state there would already tell the labels apart: the chain starts
        from pure noise, and its entropies would all be wrong.

    References
    ----------
    arXiv 2506.10433, 2602.09651; the rate under guidance follows from Ito's lemma, see `specent.evidence`.

    Examples
    --------
    >>> import specent as sp
    >>> mix = sp.exact.GaussianMixture([[-4.0], [4.0]], labels=["left", "right"])
    >>> grid = sp.schedules.edm_grid(16)
    >>> runs = sp.sample(sp.models.mixture(mix), schedule=sp.schedules.VE(), time=grid, samples=8, progress=False)
    >>> dict(runs.log_likelihood.sizes)
    {'guidance': 1, 'class_label': 2, 'sample': 8, 'time': 16, 'candidate': 3}
    """
    check_model(model)
    check_eta(eta)
    samples = checks.whole(samples, "samples", least=2)
    seed = checks.whole(seed, "seed")
    size = None if batch_size is None else checks.whole(batch_size, "batch_size", least=1)
    shared, shows = checks.flag(shared_noise, "shared_noise"), checks.flag(progress, "progress")
    grid = check_grid(schedule, time)
    log_snr = schedule.log_snr(grid)
    levels = np.exp(-0.5 * log_snr)
    model.check_levels(levels)
    place = resolve_device(device)
    settings = check_guidance(guidance, model)
    drivers = check_labels("classes", classes, model.labels)
    scored = check_labels("candidates", candidates, (*model.labels, NULL) if model.null else model.labels)
    asked = check_partitions(partitions)
    check_scored(scored, drivers, asked, settings)
    kept = prediction_places(predictions, grid)
    keep_distances = len(scored) <= _FEW if distances is None else checks.flag(distances, "distances")
    prior = np.array([0.0 if name == NULL else model.label_prior[model.labels.index(name)] for name in scored])
    plan = Plan(
        model=model,
        candidates=scored,
        log_snr=log_snr,
        noise_level=levels,
        start=float(schedule.sigma(grid[-1])),
        alpha=schedule.alpha(grid),
        steps=tuple(transitions(schedule, grid)),
        record=Record(_grouped(asked, scored, prior), keep_distances, kept),
        device=place,
    )
    options = {
        "function": "sample",
        "model": model.identity,
        "schedule": schedule.to_json(),
        "steps": len(grid),
        "samples": samples,
        "classes": list(drivers),
        "candidates": list(scored),
        "guidance": [str(setting) for setting in settings],
        "partitions": [partition.name for partition in asked],
        "seed": seed,
        "shared_noise": shared,
        "device": place.type,
    }
    sizes = _sizes(plan, settings, drivers, samples)
    needed = sum(np.dtype(kind).itemsize * math.prod(shape) for kind, shape in sizes.values())
    check_memory(needed, f"the results of samples={samples} per class", "take fewer of them, or distances=False")
    # a dry run of the last step, on arrays without memory: what cannot become a dataset fails now, not after the work
    dry = {name: np.broadcast_to(np.zeros((), kind), shape) for name, (kind, shape) in sizes.items()}
    _dataset(dry, plan, schedule, grid, settings, drivers, asked, prior, options)
    plan = replace(plan, model=moved(model, place))
    out = {name: np.empty(shape, kind) for name, (kind, shape) in sizes.items()}
    _run(out, plan, settings, drivers, seed, shared, size or _batch_size(plan), shows)
    return _dataset(out, plan, schedule, grid, settings, drivers, asked, prior, options)


def _grouped(
    partitions: Sequence[Partition], scored: tuple[str, ...], prior: NDArray[np.float64]
) -> tuple[tuple[NDArray[np.intp], NDArray[np.float64]], ...]:
    """Joint log-priors of the partitions, stacked by number of sides."""
    groups: dict[int, list[int]] = {}
    for place, partition in enumerate(partitions):
        groups.setdefault(len(partition.sides), []).append(place)
    return tuple(
        (np.array(places), evidence.log_weights(np.stack([partitions[p].weights(scored, prior) for p in places])))
        for places in groups.values()
    )


def _batch_size(plan: Plan) -> int:
    numbers = len(plan.candidates) * math.prod(plan.model.shape)
    return max(1, min(4096, _BATCH_NUMBERS // numbers))


def _sizes(
    plan: Plan, settings: Sequence[Guidance], drivers: tuple[str, ...], samples: int
) -> dict[str, tuple[type[np.floating[Any]], tuple[int, ...]]]:
    """Type and shape (guidance, class, sample, ...) of every array of the result."""
    run = (len(settings), len(drivers), samples)
    return {name: (kind, (*run, *shape)) for name, (kind, shape) in recorded(plan).items()}


def _run(
    out: dict[str, NDArray[Any]], plan: Plan, settings: Sequence[Guidance], drivers: tuple[str, ...], seed: int,
    shared: bool, size: int, progress: bool,
) -> None:  # fmt: skip
    """Fill the arrays (guidance, class, sample, ...), every guidance setting and batch in turn."""
    samples = out["final"].shape[2]
    total = len(drivers) * samples
    features = math.prod(plan.model.shape)
    flat = {name: value.reshape(len(settings), total, *value.shape[3:]) for name, value in out.items()}
    starts = range(0, total, size)
    steps = len(settings) * len(starts) * len(plan.log_snr)
    with tqdm(total=steps, desc="sampling", unit="step", disable=not progress, mininterval=1.0) as bar:
        for g, setting in enumerate(settings):
            for low in starts:
                keys = [(drivers[k // samples], k % samples) for k in range(low, min(low + size, total))]
                streams = Streams(
                    seed, [("" if shared else label, index) for label, index in keys], features, len(plan.log_snr)
                )
                places = np.array([plan.candidates.index(label) for label, _ in keys])
                made = run_batch(plan, setting, places, streams, bar.update, first=g == low == 0)
                for name, value in made.items():
                    check_finite(name, value, plan, setting, keys)
                    flat[name][g, low : low + size] = value


def _dataset(
    out: dict[str, NDArray[Any]], plan: Plan, schedule: Schedule, grid: NDArray[np.float64],
    settings: Sequence[Guidance], drivers: tuple[str, ...], partitions: Sequence[Partition], prior: NDArray[np.float64],
    options: dict[str, Any],
) -> xr.Dataset:  # fmt: skip
    shape = plan.model.shape
    axes = ("feature",) if len(shape) == 1 else ("channel", "y", "x")
    run = ("guidance", "class_label", "sample")
    dims = {
        "log_likelihood": (*run, "time", "candidate"),
        "production": (*run, "time", "partition"),
        "cross_production": (*run, "time", "partition"),
        "denoiser_distance": (*run, "time", "candidate", "other_candidate"),
        "prediction": (*run, "prediction_time", *axes),
        "final": (*run, *axes),
    }
    out = {
        name: value.reshape(*value.shape[:-1], *shape) if name in ("prediction", "final") else value
        for name, value in out.items()
    }
    made = {
        **coordinates.clock(schedule, grid),
        **coordinates.settings(settings),
        "class_label": list(drivers),
        "label_prior": ("class_label", [prior[plan.candidates.index(label)] for label in drivers]),
        "sample": np.arange(options["samples"]),
        "candidate": list(plan.candidates),
        "candidate_prior": ("candidate", prior),
        **{axis: np.arange(size) for axis, size in zip(axes, shape, strict=True)},
    }
    if partitions:
        made |= coordinates.questions(partitions)
    if plan.record.distances:
        made["other_candidate"] = list(plan.candidates)
    if plan.record.predictions:
        made["prediction_time"] = grid[list(plan.record.predictions)]
    return schema.finish(
        xr.Dataset({name: (dims[name], value) for name, value in out.items()}, made),
        "trajectories",
        title=f"Trajectories of {plan.model.identity['name']} with the evidence of {len(plan.candidates)} candidates",
        settings=options,
        schedule=schedule.to_json(),
        model=json.dumps(plan.model.identity, sort_keys=True),
        guidance_formula=FORMULA,
        seed=options["seed"],
        seed_rule=SHARED_RULE if options["shared_noise"] else SEED_RULE,
    )
