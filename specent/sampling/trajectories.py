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

from specent import arguments, evidence, memory, schema
from specent.guidance import Guidance, Setting, formula
from specent.models.base import Model, resolve_device
from specent.models.protocol import Denoiser, as_model
from specent.partitions import Partition, parse_all
from specent.sampling.chain import Plan, Selection, recorded
from specent.sampling.precision import Precision, arithmetic, check_precision, probe
from specent.sampling.preparation import (
    check_guidance,
    check_labels,
    check_model,
    check_scored,
    moved,
)
from specent.sampling.record import Record
from specent.sampling.running import batch_size as fitting_batch
from specent.sampling.running import run
from specent.sampling.streams import SEED_RULE, SHARED_RULE
from specent.schedules import Schedule, check_grid
from specent.schema import NULL, coordinates
from specent.transitions import transitions


def sample(
    model: Model | Denoiser,
    *,
    schedule: Schedule,
    time: ArrayLike,
    samples: int,
    partitions: Partition | str | Iterable[Partition | str] = (),
    guidance: Setting | float | Sequence[Setting | float] = Guidance(),  # noqa: B008  (frozen)
    seed: int = 0,
    device: str = "cpu",
    classes: Sequence[str] | None = None,
    candidates: Sequence[str] | None = None,
    record: Record = Record(),  # noqa: B008  (frozen)
    shared_noise: bool = False,
    batch_size: int | None = None,
    precision: Precision = "float32",
    compiled: bool = False,
    progress: bool = True,
) -> xr.Dataset:
    r"""Sample the stochastic reverse chain and score every candidate along each trajectory.

    A network evaluation per noise level and candidate is all it costs: `len(time)` levels, the last of which gives the
    final sample. The chain starts from pure noise of the first level.

    Parameters
    ----------
    model : Model or Denoiser
        A class-conditional denoiser, see `specent.models`; any object that follows the protocol
        `specent.models.Denoiser` serves.
    schedule : Schedule
        The clock.
    time : array_like, shape (time,)
        Ascending times from data to noise, see `specent.schedules.edm_grid`.
    samples : int
        Trajectories per class, at least 2.
    partitions : Partition, str, or iterable of these
        Partitions whose entropy production is recorded, text as in `Partition.parse`. The entropy of others follows
        afterwards too, and their rates as long as `record` keeps distances.
    guidance : Guidance, FeedbackGuidance, float, or sequence of these
        Guidance settings, a number being the scale of a constant one; all share the same noise. If the scale of one of
        them differs between trajectories, the scale of every trajectory is kept.
    seed : int
        Seed of the random streams; one stream per (seed, class, sample).
    device : str
        ``"cpu"`` or ``"cuda"``.
    classes : sequence of str, optional
        The labels that drive trajectories, and ``"null"`` for the unconditional chain; all labels by default.
    candidates : sequence of str, optional
        The conditions that are scored, drivers and partitions among them; by default all labels, and the null
        condition if the model has one.
    record : Record
        What is kept beside the evidence: predictions of the data at chosen times, and distances between the
        candidates' denoised data. By default distances between up to 16 candidates.
    shared_noise : bool
        Whether all classes share their noise, for pictures from common starting noise. Their trajectories are then
        not independent.
    batch_size : int, optional
        Trajectories at a time; the numbers do not depend on it. By default as many as the free memory of the GPU holds.
        A batch that runs out of memory is done again in halves, and the run goes on.
    precision : {"float32", "tf32", "bfloat16", "float16"}
        Arithmetic of the network. Anything below ``"float32"`` is tried on 32 trajectories first. Differences of
        denoisers and evidence are in double precision always.
    compiled : bool
        Whether to run the network through `torch.compile`, which pays in long runs on a GPU.
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
        from pure noise, and its entropies would all be wrong. If reduced precision changes an entropy by more than
        0.02 bit.

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
    model = as_model(model)
    check_model(model)
    samples = arguments.whole(samples, "samples", least=2)
    seed = arguments.whole(seed, "seed")
    size = None if batch_size is None else arguments.whole(batch_size, "batch_size", least=1)
    shared, shows = arguments.flag(shared_noise, "shared_noise"), arguments.flag(progress, "progress")
    grid = check_grid(schedule, time)
    log_snr = schedule.log_snr(grid)
    levels = np.exp(-0.5 * log_snr)
    model.check_levels(levels)
    place = resolve_device(device)
    settings = check_guidance(guidance, model)
    conditions = (*model.labels, NULL) if model.null else model.labels
    drivers = model.labels if classes is None else check_labels("classes", classes, conditions)
    scored = check_labels("candidates", candidates, conditions)
    asked = parse_all(partitions, model.labels)
    check_scored(scored, drivers, asked, settings)
    arithmetic_name, compiles = check_precision(precision), arguments.flag(compiled, "compiled")
    prior = np.array([0.0 if name == NULL else model.label_prior[model.labels.index(name)] for name in scored])
    record = arguments.instance(record, Record, "record", "use specent.Record(predictions=[...], distances=True)")
    selection = Selection(
        log_priors=_grouped(asked, scored, prior),
        distances=record.keeps_distances(len(scored)),
        predictions=record.prediction_indices(grid),
        scales=any(setting.per_trajectory for setting in settings),
    )
    plan = Plan(
        model=model,
        candidates=scored,
        log_snr=log_snr,
        noise_level=levels,
        start=float(schedule.sigma(grid[-1])),
        alpha=schedule.alpha(grid),
        steps=tuple(transitions(schedule, grid)),
        record=selection,
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
        "precision": arithmetic_name,
        "compiled": compiles,
    }
    sizes = _sizes(plan, settings, drivers, samples)
    needed = sum(np.dtype(kind).itemsize * math.prod(shape) for kind, shape in sizes.values())
    hint = "take fewer of them, or record=specent.Record(distances=False)"
    memory.check_fits(needed, f"the results of samples={samples} per class", hint)
    # a dry run of the last step, on arrays without memory: what cannot become a dataset fails now, not after the work
    dry = {name: np.broadcast_to(np.zeros((), kind), shape) for name, (kind, shape) in sizes.items()}
    _dataset(dry, plan, schedule, grid, settings, drivers, asked, prior, options)
    plan = replace(plan, model=moved(model, place, compiles))
    out = {name: np.empty(shape, kind) for name, (kind, shape) in sizes.items()}
    keys = [(label, index) for label in drivers for index in range(samples)]
    if arithmetic_name != "float32":
        probe(plan, settings[0], keys, seed, arithmetic_name)
    with arithmetic(arithmetic_name, place):
        run(out, plan, settings, keys, seed, shared, size or fitting_batch(plan), shows)
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


def _sizes(
    plan: Plan, settings: Sequence[Setting], drivers: tuple[str, ...], samples: int
) -> dict[str, tuple[type[np.floating[Any]], tuple[int, ...]]]:
    """Type and shape (guidance, class, sample, ...) of every array of the result."""
    run = (len(settings), len(drivers), samples)
    return {name: (kind, (*run, *shape)) for name, (kind, shape) in recorded(plan).items()}


def _dataset(
    out: dict[str, NDArray[Any]], plan: Plan, schedule: Schedule, grid: NDArray[np.float64],
    settings: Sequence[Setting], drivers: tuple[str, ...], partitions: Sequence[Partition], prior: NDArray[np.float64],
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
        "scale": (*run, "time"),
        "prediction": (*run, "prediction_time", *axes),
        "final": (*run, *axes),
    }
    out = {
        name: value.reshape(*value.shape[:-1], *shape) if name in ("prediction", "final") else value
        for name, value in out.items()
    }
    made = {
        **coordinates.of_schedule(schedule, grid),
        **coordinates.of_guidance(settings),
        "class_label": list(drivers),
        "label_prior": ("class_label", [prior[plan.candidates.index(label)] for label in drivers]),
        "sample": np.arange(options["samples"]),
        "candidate": list(plan.candidates),
        "candidate_prior": ("candidate", prior),
        **{axis: np.arange(size) for axis, size in zip(axes, shape, strict=True)},
    }
    if partitions:
        made |= coordinates.of_partitions(partitions)
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
        guidance_formula=formula(settings),
        seed=options["seed"],
        seed_rule=SHARED_RULE if options["shared_noise"] else SEED_RULE,
    )
