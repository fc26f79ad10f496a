r"""U-turns: take a state, go on with fresh noise, and count how often it ends on the side from which it came.

A continuation of :math:`x_t` by the right chain is a new draw from :math:`p(x_0|x_t)`, so it ends on the side of its
origin with probability :math:`\phi = E\sum_z P(z|x_t)^2` (arXiv 2402.18491, 2402.16991, 2403.01633). The left side is
counted; the right side is what the posterior predicts. The origin is itself a draw from the posterior, so a single
continuation of every state serves.

With n steps :math:`\phi` is too large by about 1/n; two numbers of steps give what infinitely many would.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import xarray as xr
from numpy.typing import ArrayLike
from tqdm.auto import tqdm

from specent import arguments
from specent.analysis.bootstrap import Resampling, check_resampling
from specent.interventions.carrying_out import TurnSums, turn_all
from specent.interventions.counting import interventions_dataset
from specent.interventions.plan import Turning, make_turning
from specent.models.base import Model
from specent.models.modules import evaluation_mode, visible_modules
from specent.models.protocol import Denoiser, as_model
from specent.partitions import Partition
from specent.sampling.preparation import model_on
from specent.sampling.sampler import suitable_threads
from specent.sampling.threads import limited
from specent.schedules import Schedule


def u_turn(
    model: Model | Denoiser,
    *,
    schedule: Schedule,
    time: ArrayLike,
    levels: ArrayLike,
    samples: int,
    partition: Partition | str = "full",
    start: str = "data",
    data: Any = None,
    mover: str | Sequence[str] = "mixture",
    steps: int | Sequence[int] = (32, 64),
    continuation: str = "chain",
    classifier: Any = None,
    confusion: ArrayLike | None = None,
    confusion_samples: ArrayLike | None = None,
    replicates: int = 200,
    confidence: float = 0.95,
    seed: int = 0,
    device: str = "cpu",
    batch_size: int | None = None,
    progress: bool = True,
) -> xr.Dataset:
    r"""Turn trajectories at chosen noise levels, go on with fresh noise, and count where they end.

    Parameters
    ----------
    model : Model or Denoiser
        As of `specent.sample`.
    schedule, time : Schedule and array_like, shape (time,)
        Where the continuations end (the first time), how their steps are spaced, and the grid of the trunk.
    levels : float or array_like
        Noise levels ``sigma / alpha`` of the turns, within the grid.
    samples : int
        Trajectories per class, at least 2; each is turned once at every level.
    partition : Partition or str
        Whose sides count, text as in `Partition.parse`.
    start : {"data", "trunk"}
        What turns: data with noise, or unguided trajectories of the model that their class has moved so far.
    data : model of `specent.models.finite` or `specent.models.mixture`, optional
        The distribution of the data, where the model itself is a network. Needed for ``start="data"``.
    mover : str or sequence of str
        What continues, and is tested: ``"null"``, the null condition; ``"mixture"``, the conditionals mixed by their
        running posterior; ``"class"``, a class drawn from the posterior at the turn. Several share states and noise.
    steps : int or sequence of int
        Noise levels of a continuation, 2 at least. With several, phi is extrapolated from the two largest.
    continuation : {"chain", "basin"}
        The stochastic chain; or the deterministic one (DDIM), which has no fresh noise and measures another thing, how
        often the basin of a state is the side of its origin. It is called ``basin`` in the result, not ``phi``.
    classifier : {"posterior", "path"} or callable, optional
        What tells the end: the posterior of the exact data, by default where these are known; the posterior given the
        path, by default elsewhere; or a function from pictures to probabilities of the sides, (batch, sides), or an
        object with ``classify(pictures)``, which gives labels.
    confusion : array_like, shape (sides, sides), optional
        Share of the data of a side, the row, that the classifier puts on each side; the kernel is freed of it. Needed
        with a classifier, and only there.
    confusion_samples : int or array_like, optional
        On how many data of each side the confusion was measured; intervals then know of its error.
    replicates, confidence : int, float
        Of the bootstrap over trajectories, and the nominal coverage of intervals. Of more than 32 sides the kernel and
        its eigenvalues have no replicates but errors in closed form, unless the confusion was measured on samples.
    seed : int
        Of trajectories and bootstrap; one stream per (seed, class, sample).
    device, batch_size : str, int
        As of `specent.sample`; a batch that does not fit is done again in halves. Memory does not grow with the number
        of samples, and with that of many sides as the kernel does.
    progress : bool
        Whether to show a progress bar, over the evaluations of the network.

    Returns
    -------
    Dataset
        Kind ``interventions`` over (mover, time): ``phi`` with bounds and standard error; ``kernel``, its
        ``eigenvalue``; ``entropy_least`` and ``entropy_most``, what the interval of phi leaves to the conditional
        entropy; ``posterior_phi``, which the posterior at the turn predicts, and the ``disagreement`` with it;
        ``phi_at_steps`` and ``step_error``, by how much the extrapolation changed it.

    Raises
    ------
    SpecentError
        If an argument cannot be used, before anything is sampled; or the network or classifier returns what it must
        not.

    References
    ----------
    arXiv 2402.18491, 2402.16991, 2403.01633.

    Examples
    --------
    >>> import specent as sp
    >>> mix = sp.exact.GaussianMixture([[-8.0], [8.0]], labels=["left", "right"])
    >>> turned = u_turn(sp.models.mixture(mix), schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(32),
    ...                 levels=[1.0, 8.0], samples=100, steps=16, progress=False)
    >>> (turned.phi > 0.65).squeeze().values.tolist(), bool(turned.phi[0, 0] > turned.phi[0, 1])
    ([True, True], True)
    """
    network = as_model(model)
    confidence = arguments.number(confidence, "confidence", above=0, below=1)
    shows = arguments.flag(progress, "progress")
    size = None if batch_size is None else arguments.whole(batch_size, "batch_size", least=1)
    turning = make_turning(
        network, schedule, time, levels, samples, partition, start, data, mover, steps, continuation, classifier,
        confusion, confusion_samples, seed, device,
    )  # fmt: skip
    resampling = check_resampling(replicates, turning.setup.seed)
    sums = _summed(turning.on_device(model_on(network, turning.setup.device)), resampling, size, shows)
    settings = {
        **turning.settings, "replicates": resampling.replicates, "confidence": confidence,
        "confusion_samples": None if confusion_samples is None else arguments.array(confusion_samples, "").tolist(),
    }  # fmt: skip
    return interventions_dataset(turning, sums, resampling, confidence, settings)


def _summed(turning: Turning, resampling: Resampling, size: int | None, shows: bool) -> TurnSums:
    """Carry it out with a bar, by as many threads as are worth it."""
    setup = turning.setup
    with (
        torch.no_grad(),
        evaluation_mode(visible_modules(setup.model)),
        limited(suitable_threads(setup, size or setup.trajectories)),
        tqdm(
            total=turning.evaluations, desc=f"turning {setup.trajectories} trajectories", unit=" network evaluations",
            unit_scale=True, disable=not shows, mininterval=1.0,
        ) as bar,
    ):  # fmt: skip
        return turn_all(turning, resampling, size, bar)
