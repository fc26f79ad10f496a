"""The public sampling function: arguments checked, batches run, a labelled dataset made."""

from __future__ import annotations

import json
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from tqdm.auto import tqdm

from specent import coordinates, evidence, schema
from specent.errors import SpecentError
from specent.guidance import FORMULA, Guidance
from specent.models.base import Model, resolve_device
from specent.partitions import Partition
from specent.sampling.chain import Plan, Record, run_batch
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
    partitions: Sequence[Partition] = (),
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
    partitions : sequence of Partition
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
        If an argument cannot be used (before any sampling), or the network returns a NaN or an infinity.

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
    _check_chain(model, schedule, samples, seed, eta, batch_size)
    grid = check_grid(schedule, time)
    place = resolve_device(device)
    settings = _guidance(guidance, model)
    drivers = _labels("classes", classes, model.labels)
    scored = _labels("candidates", candidates, (*model.labels, NULL) if model.null else model.labels)
    _check_scored(scored, drivers, partitions, settings)
    kept = _prediction_places(predictions, grid)
    keep_distances = len(scored) <= _FEW if distances is None else bool(distances)
    prior = np.array([0.0 if name == NULL else model.label_prior[model.labels.index(name)] for name in scored])
    log_snr = schedule.log_snr(grid)
    plan = Plan(
        model=model.to(place),
        candidates=scored,
        log_snr=log_snr,
        noise_level=np.exp(-0.5 * log_snr),
        start=float(schedule.sigma(grid[-1])),
        alpha=schedule.alpha(grid),
        steps=tuple(transitions(schedule, grid)),
        record=Record(_grouped(partitions, scored, prior), keep_distances, kept),
        device=place,
    )
    size = batch_size or _batch_size(plan)
    out = _run(plan, settings, drivers, samples, seed, shared_noise, size, progress)
    options = {
        "function": "sample",
        "model": model.identity,
        "schedule": schedule.to_json(),
        "steps": len(grid),
        "samples": samples,
        "classes": list(drivers),
        "candidates": list(scored),
        "guidance": [str(setting) for setting in settings],
        "partitions": [partition.name for partition in partitions],
        "seed": seed,
        "shared_noise": shared_noise,
        "device": place.type,
    }
    return _dataset(out, plan, schedule, grid, settings, drivers, partitions, prior, options)


def _check_chain(model: Model, schedule: Schedule, samples: int, seed: int, eta: float, batch_size: int | None) -> None:
    if not isinstance(model, Model):
        raise SpecentError(f"model is a {type(model).__name__}; wrap a network with specent.models.network(...)")
    if not isinstance(schedule, Schedule):
        raise SpecentError(f"schedule is a {type(schedule).__name__}; use one of specent.schedules, for example VE()")
    for name, value, least in (("samples", samples, 2), ("seed", seed, 0), ("batch_size", batch_size or 1, 1)):
        try:
            whole = operator.index(value)
        except TypeError as error:
            raise SpecentError(f"{name}={value!r} must be a whole number") from error
        if whole < least:
            raise SpecentError(f"{name}={value!r} must be at least {least}")
    if eta != 1.0:
        raise SpecentError(
            f"eta={eta!r}: evidence needs the stochastic chain, eta=1. A deterministic or rescaled chain has "
            "another density, or none, and its paths would be weighed wrongly"
        )


def _labels(argument: str, chosen: Sequence[str] | None, known: Sequence[str]) -> tuple[str, ...]:
    if chosen is None:
        return tuple(known)
    names = tuple(str(name) for name in chosen)
    unknown = [name for name in names if name not in known]
    if unknown or not names or len(set(names)) < len(names) or isinstance(chosen, str):
        shown = ", ".join(map(repr, known[:12]))
        raise SpecentError(f"{argument}={chosen!r} must list distinct labels of the model: {shown}")
    return names


def _guidance(guidance: Guidance | Sequence[Guidance], model: Model) -> tuple[Guidance, ...]:
    settings = tuple(guidance) if isinstance(guidance, Sequence) else (guidance,)
    for setting in settings:
        if not isinstance(setting, Guidance):
            raise SpecentError(
                f"guidance={setting!r} is a {type(setting).__name__}; use specent.Guidance(scale, interval)"
            )
        if setting.guided and not model.null:
            raise SpecentError(f"guidance {setting} needs a null condition, which this model does not have")
    if not settings or len({str(setting) for setting in settings}) < len(settings):
        raise SpecentError(f"guidance={[str(s) for s in settings]} must hold at least one setting and none twice")
    return settings


def _check_scored(
    scored: tuple[str, ...], drivers: tuple[str, ...], partitions: Sequence[Partition], settings: Sequence[Guidance]
) -> None:
    missing = [name for name in drivers if name not in scored]
    if missing:
        raise SpecentError(f"candidates={list(scored)} must hold every driving class; {missing[0]!r} is missing")
    if NULL not in scored and any(setting.guided for setting in settings):
        raise SpecentError(f"candidates={list(scored)} must hold {NULL!r} for a guided run")
    for partition in partitions:
        if not isinstance(partition, Partition):
            raise SpecentError(f"partitions holds a {type(partition).__name__}; use specent.Partition")
        partition.check([name for name in scored if name != NULL])
    names = [partition.name for partition in partitions]
    if len(set(names)) < len(names):
        raise SpecentError(f"two partitions have the same name among {names[:8]}; rename one")


def _prediction_places(predictions: ArrayLike, grid: NDArray[np.float64]) -> tuple[int, ...]:
    wanted = np.atleast_1d(np.asarray(predictions, dtype=np.float64))
    if not np.isfinite(wanted).all() or (wanted < grid[0]).any() or (wanted > grid[-1]).any():
        raise SpecentError(f"predictions={wanted.tolist()} must be times within the grid, {grid[0]:g} to {grid[-1]:g}")
    return tuple(sorted({int(np.argmin(np.abs(grid - value))) for value in wanted}))


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
    numbers = len(plan.candidates) * int(np.prod(plan.model.shape))
    return max(1, min(4096, _BATCH_NUMBERS // numbers))


def _run(
    plan: Plan, settings: Sequence[Guidance], drivers: tuple[str, ...], samples: int, seed: int, shared: bool,
    size: int, progress: bool,
) -> dict[str, NDArray[Any]]:  # fmt: skip
    """Every guidance setting and batch, gathered in arrays (guidance, class, sample, ...)."""
    keys = [(label, index) for label in drivers for index in range(samples)]
    features = int(np.prod(plan.model.shape))
    out: dict[str, NDArray[Any]] = {}
    starts = range(0, len(keys), size)
    total = len(settings) * len(starts) * len(plan.log_snr)
    with tqdm(total=total, desc="sampling", unit="step", disable=not progress, mininterval=1.0) as bar:
        for g, setting in enumerate(settings):
            for low in starts:
                part = keys[low : low + size]
                streams = Streams(
                    seed, [("" if shared else label, index) for label, index in part], features, len(plan.log_snr)
                )
                places = np.array([plan.candidates.index(label) for label, _ in part])
                for name, value in run_batch(plan, setting, places, streams, bar.update).items():
                    if name not in out:
                        out[name] = np.empty((len(settings), len(keys), *value.shape[1:]), value.dtype)
                    out[name][g, low : low + size] = value
    return {name: value.reshape(len(settings), len(drivers), samples, *value.shape[2:]) for name, value in out.items()}


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
    for name in ("prediction", "final"):
        if name in out:
            out[name] = out[name].reshape(*out[name].shape[:-1], *shape)
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
