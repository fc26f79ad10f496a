"""The public sampling function: a run in one piece, in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import xarray as xr
from numpy.typing import ArrayLike

from specent import arguments
from specent.guidance import Guidance, Setting
from specent.models.base import Model
from specent.models.protocol import Denoiser, as_model
from specent.partitions import Partition
from specent.sampling.precision import Precision
from specent.sampling.preparation import make_setup
from specent.sampling.record import Record
from specent.sampling.sampler import Execution, ready, refuse_impossible_result
from specent.sampling.scoring import Scoring
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
    scoring: Scoring | None = None,
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
    scoring : Scoring, optional
        Which candidates are evaluated, see `specent.Scoring`: those that may still matter. By default all of them, at
        every step. What was evaluated is recorded, and distances are not.
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
    setup = make_setup(
        as_model(model), schedule, time, samples, partitions, guidance, seed, device, classes, candidates, record,
        shared_noise, scoring,
    )  # fmt: skip
    execution = Execution(batch_size, precision, compiled, threads, check)
    shows = arguments.flag(progress, "progress")
    what = f"the results of samples={setup.samples} per class"
    refuse_impossible_result(setup, execution, what, "take fewer of them, or record=specent.Record(distances=False)")
    with (
        ready(setup, execution) as sampler,
        sampler.progress(setup.evaluations, setup.trajectories, shows) as bar,
    ):
        return sampler.sample(sampler.setup, bar)
