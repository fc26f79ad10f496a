"""A run made ready to be sampled, in one piece or in parts: model, arithmetic, threads and batches as it wants them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from tqdm.auto import tqdm

from specent import arguments, memory
from specent.models.modules import evaluation_mode, visible_modules
from specent.sampling.dataset import run_settings, trajectories_dataset
from specent.sampling.grid import warn_of_coarse_end
from specent.sampling.precision import Precision, arithmetic, check_precision, probe
from specent.sampling.preflight import has_passed, is_worthwhile, preflight, warn_of_findings
from specent.sampling.preparation import model_on
from specent.sampling.running import fitting, run_batches
from specent.sampling.setup import Setup
from specent.sampling.threads import check_threads, limited, suitable


@dataclass(frozen=True)
class Execution:
    """How a run is computed; see `specent.sample` for the meaning of each.

    Raises
    ------
    SpecentError
        If one of them cannot be used.
    """

    batch_size: int | None = None
    precision: Precision = "float32"
    compiled: bool = False
    threads: int | None = None
    check: bool = True

    def __post_init__(self) -> None:
        if self.batch_size is not None:
            object.__setattr__(self, "batch_size", arguments.whole(self.batch_size, "batch_size", least=1))
        object.__setattr__(self, "threads", check_threads(self.threads))
        object.__setattr__(self, "check", arguments.flag(self.check, "check"))
        check_precision(self.precision)
        object.__setattr__(self, "compiled", arguments.flag(self.compiled, "compiled"))

    def settings(self, setup: Setup) -> dict[str, Any]:
        """What decides the numbers of a run."""
        return {**run_settings(setup), "precision": self.precision, "compiled": self.compiled}


@dataclass(frozen=True, eq=False)
class Sampler:
    """A run that is ready; made by `ready` or `prepared`.

    Attributes
    ----------
    setup : Setup
        The run, with its model on its device.
    execution : Execution
        How it is computed.
    size : int
        Trajectories at a time.
    threads : int
        Threads of the processor.
    pairs : int, optional
        Pairs of state and candidate that the model is handed at a time, see `specent.sampling.running.fitting`.
    """

    setup: Setup
    execution: Execution
    size: int
    threads: int
    pairs: int | None = None

    def sample(self, part: Setup, bar: tqdm[Any], looks: bool = True) -> xr.Dataset:
        """Sample the whole run, or a part of it, see `Setup.part`.

        Parameters
        ----------
        part : Setup
            What is sampled.
        bar : tqdm
            Counts the evaluations of the network.
        looks : bool
            Whether to warn of a start that tells the labels apart.
        """
        arrays = self.arrays(part, bar, looks)
        return trajectories_dataset(arrays, part, {**self.execution.settings(part), "threads": self.threads})

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Within it the run can be sampled by this thread; afterwards everything is as it was.

        A network left in training mode is run in evaluation mode, and gets its mode back.
        """
        with (
            evaluation_mode(visible_modules(self.setup.model)),
            limited(self.threads),
            arithmetic(self.execution.precision, self.setup.device),
        ):
            yield

    def arrays(self, part: Setup, bar: tqdm[Any], looks: bool = True) -> dict[str, NDArray[Any]]:
        """The arrays of a part, see `Setup.whole_layout`; arguments as of `sample`."""
        return run_batches(part, self.size, bar, looks, self.pairs)[0]

    def progress(self, evaluations: int, trajectories: int, shown: bool) -> tqdm[Any]:
        """The bar over the evaluations of the network, see `progress_bar`."""
        on_processor = self.setup.device.type == "cpu"
        where = f"{self.threads} thread{'s' if self.threads > 1 else ''}" if on_processor else ""
        batch = min(self.size, trajectories)
        if (held := held_bytes(self.setup, batch)) > 0:
            where += f"{', ' if where else ''}{held / 2**20:.3g} MiB for the differences of {batch} at a time"
        return progress_bar(self.setup, evaluations, trajectories, where, shown)


def progress_bar(setup: Setup, evaluations: int, trajectories: int, where: str, shown: bool) -> tqdm[Any]:
    """A bar over the evaluations of the network, one per trajectory, noise level and candidate.

    Parameters
    ----------
    setup : Setup
        The run.
    evaluations, trajectories : int
        How many there are.
    where : str
        What samples them, for the label.
    shown : bool
        Whether the bar is seen.
    """
    count = len(setup.guidance)
    settings = f" under each of {count} guidance settings" if count > 1 else ""
    return tqdm(
        total=evaluations,
        desc=f"sampling {trajectories} trajectories{settings}{', ' if where else ''}{where}",
        unit=" network evaluations",
        unit_scale=True,
        disable=not shown,
        mininterval=1.0,
    )


@contextmanager
def ready(setup: Setup, execution: Execution) -> Iterator[Sampler]:
    """Make a run ready, see `prepared`, and set threads and arithmetic for it, see `Sampler.at_work`.

    Parameters
    ----------
    setup : Setup
        The run.
    execution : Execution
        How it is computed.

    Yields
    ------
    Sampler

    Raises
    ------
    SpecentError
        If the model cannot be brought to the device.
    """
    sampler = prepared(setup, execution)
    with sampler.at_work():
        yield sampler


def prepared(setup: Setup, execution: Execution) -> Sampler:
    """Put the model on its device, decide on batches and threads, and look at what may go wrong.

    Parameters
    ----------
    setup : Setup
        The run.
    execution : Execution
        How it is computed.

    Returns
    -------
    Sampler
        Which samples while it is `at_work`.

    Raises
    ------
    SpecentError
        If the model cannot be brought to the device.
    """
    warn_of_coarse_end(setup)
    model = setup.model
    setup = replace(setup, model=model_on(model, setup.device, execution.compiled))
    size, pairs = (execution.batch_size, None) if execution.batch_size else fitting(setup)
    with (
        evaluation_mode(visible_modules(setup.model)),
        limited(execution.threads or suitable_threads(setup, size)) as used,
    ):
        if execution.check and not has_passed(model) and is_worthwhile(setup):
            warn_of_findings(preflight(setup))
        if execution.precision != "float32":
            probe(setup, execution.precision)
    return Sampler(setup, execution, size, used, pairs)


def refuse_impossible_result(setup: Setup, execution: Execution, what: str, hint: str) -> None:
    """Refuse a run whose result would not fit into memory or could not become a dataset, before the work.

    Parameters
    ----------
    setup : Setup
        What is sampled in one piece.
    execution : Execution
        How it is computed.
    what, hint : str
        What the message calls it, and its advice.

    Raises
    ------
    SpecentError
    """
    memory.check_fits(result_bytes(setup), what, hint)
    if setup.scoring is not None:
        size = execution.batch_size or (fitting(setup)[0] if setup.device.type == "cpu" else 1)
        batch = min(size, setup.trajectories)
        what = (
            f"the differences of {batch} trajectories to {len(setup.candidates)} candidates, held by {setup.scoring},"
        )
        memory.check_fits(held_bytes(setup, batch), what, "take a smaller batch_size=, or fewer candidates=")
    # a dry run of the last step
    trajectories_dataset(empty_result(setup), setup, execution.settings(setup))


def held_bytes(setup: Setup, batch: int) -> int:
    """How many bytes the differences of so many trajectories take: held in half precision, and as they are evaluated.

    0 if every candidate is evaluated at every step.
    """
    if setup.scoring is None:
        return 0
    single = 8 if setup.model.exact else 4
    return batch * len(setup.candidates) * setup.features * (single + (2 if setup.scoring.lag else 0))


def result_bytes(setup: Setup) -> int:
    """How many bytes the arrays of a run take."""
    return sum(np.dtype(dtype).itemsize * math.prod(shape) for dtype, shape in setup.whole_layout().values())


def empty_result(setup: Setup) -> dict[str, NDArray[Any]]:
    """The arrays of a run, without values and without memory."""
    layout = setup.whole_layout()
    return {name: np.broadcast_to(np.zeros((), dtype), shape) for name, (dtype, shape) in layout.items()}


def suitable_threads(setup: Setup, size: int) -> int | None:
    """How many threads batches of `size` trajectories are worth; None where a GPU computes."""
    if setup.device.type != "cpu":
        return None
    x = torch.zeros(1, *setup.model.shape, dtype=torch.float64)
    level = float(setup.noise_level[-1])
    batch = min(size, setup.trajectories)
    return suitable(lambda: setup.model.candidates(x, level, setup.conditions.clone()), batch)
