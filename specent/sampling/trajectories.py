"""The public sampling function: arguments are checked, batches run, and their arrays become a labelled dataset."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike

from specent import arguments, memory
from specent.guidance import Guidance, Setting
from specent.models.base import Model
from specent.models.modules import evaluation_mode, visible_modules
from specent.models.protocol import Denoiser, as_model
from specent.partitions import Partition
from specent.sampling.dataset import run_settings, trajectories_dataset
from specent.sampling.grid import warn_of_coarse_end
from specent.sampling.plan import Plan
from specent.sampling.precision import Precision, arithmetic, check_precision, probe
from specent.sampling.preflight import has_passed, is_worthwhile, preflight, warn_of_findings
from specent.sampling.preparation import make_plan, model_on
from specent.sampling.record import Record
from specent.sampling.running import fitting_batch, run_batches
from specent.sampling.threads import check_threads, limited, suitable
from specent.schedules import Schedule


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
    threads: int | None = None,
    check: bool = True,
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
        The noise schedule of the chain.
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
    threads : int, optional
        Threads of the processor. By default as many as have enough to do, for a small network one, because threads
        that wait for each other are slow on a machine with other work; see `specent.sampling.threads`.
    check : bool
        Whether to look at the model before the run, for about a second and under one per cent of the evaluations: are
        its outputs finite and the same whenever they are asked for, and right at both ends of the noise? A run too
        small for that goes without, as do exact models and those that have passed `specent.check`
        with data.
    progress : bool
        Whether to show a progress bar, over the evaluations of the network.

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
        If the model looks wrong before the run; the text names what is seen and what it may come from. If the grid ends
        at so little noise that a state there would already tell the labels apart: the chain starts from pure noise, and
        its entropies would all be wrong. If the last step is much longer than the others. If reduced precision changes
        an entropy by more than 0.02 bit.

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
    plan = make_plan(
        model, schedule, time, samples, partitions, guidance, seed, device, classes, candidates, record, shared_noise
    )
    size = None if batch_size is None else arguments.whole(batch_size, "batch_size", least=1)
    number, shows, looks = check_threads(threads), arguments.flag(progress, "progress"), arguments.flag(check, "check")
    arithmetic_name, compiles = check_precision(precision), arguments.flag(compiled, "compiled")
    settings = {**run_settings(plan), "precision": arithmetic_name, "compiled": compiles}
    refuse_impossible_result(plan, settings)
    warn_of_coarse_end(plan)
    plan = replace(plan, model=model_on(model, plan.device, compiles))
    size = size or fitting_batch(plan)
    # a network left in training mode is run in evaluation mode, and gets its mode back
    with evaluation_mode(visible_modules(plan.model)), limited(number or suitable_threads(plan, size)) as used:
        if looks and not has_passed(model) and is_worthwhile(plan):
            warn_of_findings(preflight(plan))
        if arithmetic_name != "float32":
            probe(plan, arithmetic_name)
        with arithmetic(arithmetic_name, plan.device):
            arrays, _ = run_batches(plan, size, used, shows)
    return trajectories_dataset(arrays, plan, {**settings, "threads": used})


def refuse_impossible_result(plan: Plan, settings: dict[str, Any]) -> None:
    """Refuse a run whose result would not fit into memory or could not become a dataset, before the work."""
    layout = plan.whole_layout()
    needed = sum(np.dtype(dtype).itemsize * math.prod(shape) for dtype, shape in layout.values())
    hint = "take fewer of them, or record=specent.Record(distances=False)"
    memory.check_fits(needed, f"the results of samples={plan.samples} per class", hint)
    # a dry run of the last step, on arrays without memory
    empty = {name: np.broadcast_to(np.zeros((), dtype), shape) for name, (dtype, shape) in layout.items()}
    trajectories_dataset(empty, plan, settings)


def suitable_threads(plan: Plan, size: int) -> int | None:
    """How many threads batches of `size` trajectories are worth; None where a GPU computes."""
    if plan.device.type != "cpu":
        return None
    x = torch.zeros(1, *plan.model.shape, dtype=torch.float64)
    level = float(plan.noise_level[-1])
    batch = min(size, plan.trajectories)
    return suitable(lambda: plan.model.candidates(x, level, plan.conditions.clone()), batch)
