"""The batches of a run: as large as memory allows, made smaller when it runs out; the numbers do not change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm.auto import tqdm

from specent.errors import ModelError, SpecentError
from specent.guidance import Setting
from specent.sampling.chain import Plan, check_finite, run_batch
from specent.sampling.streams import Streams

_MOST = 4096
_NUMBERS = 2**24
# of the memory that is free: batches of a network do not need quite the same each, and memory breaks into pieces
_SHARE = 0.7


def run(
    out: dict[str, NDArray[Any]], plan: Plan, settings: Sequence[Setting], keys: Sequence[tuple[str, int]], seed: int,
    shared: bool, size: int, progress: bool,
) -> int:  # fmt: skip
    """Fill the arrays (guidance, class, sample, ...), every guidance setting and batch in turn.

    A batch that does not fit into memory is done again in halves; trajectories that are done stay as they are.

    Parameters
    ----------
    out : dict of ndarray
        What is filled.
    plan : Plan
        The run, with its model on its device.
    settings : sequence of Setting
        The guidance settings.
    keys : sequence of (str, int)
        Class label and sample of every trajectory, in the order of the arrays.
    seed, shared : int, bool
        Seed of the streams, and whether all classes share their noise.
    size : int
        Trajectories at a time.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    int
        The batch size at the end.

    Raises
    ------
    ModelError
        If the network fails, or not even one trajectory fits into memory.
    """
    features, total = math.prod(plan.model.shape), len(keys)
    flat = {name: value.reshape(len(settings), total, *value.shape[3:]) for name, value in out.items()}
    steps = len(settings) * total * len(plan.log_snr)
    with tqdm(total=steps, desc="sampling", unit="step", unit_scale=True, disable=not progress, mininterval=1.0) as bar:
        for g, setting in enumerate(settings):
            low = 0
            while low < total:
                some = keys[low : low + size]
                streams = Streams(
                    seed, [("" if shared else label, index) for label, index in some], features, len(plan.log_snr)
                )
                places = np.array([plan.candidates.index(label) for label, _ in some])
                before, tick = bar.n, partial(bar.update, len(some))
                try:
                    made = run_batch(plan, setting, places, streams, tick, first=g == low == 0)
                except Exception as error:
                    if not out_of_memory(error):
                        raise
                    if len(some) == 1:
                        raise _alone(error) from error
                    size = (len(some) + 1) // 2
                    bar.update(before - bar.n)
                    continue
                for name, value in made.items():
                    check_finite(name, value, plan, setting, some)
                    flat[name][g, low : low + len(some)] = value
                low += len(some)
    return size


def out_of_memory(error: BaseException | None) -> bool:
    """Whether an exception, or one that caused it, says that memory ran out.

    Examples
    --------
    >>> out_of_memory(ValueError("no")), out_of_memory(MemoryError())
    (False, True)
    """
    while error is not None:
        if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error):
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            return True
        error = error.__cause__
    return False


def _alone(error: Exception) -> SpecentError:
    """What to say when memory runs out although only one trajectory is worked on."""
    if isinstance(error, SpecentError):
        return error
    return ModelError("memory ran out with one trajectory at a time; score fewer candidates, or use another device")


def batch_size(plan: Plan) -> int:
    """Trajectories at a time: by the memory that is free on a GPU, by a fixed amount of numbers elsewhere."""
    numbers = len(plan.candidates) * math.prod(plan.model.shape)
    if plan.device.type != "cuda":
        return fitting(_NUMBERS, numbers)
    try:
        one, two = _needed(plan, 1), _needed(plan, 2)
    except Exception:  # memory that does not hold two, or a broken network: the run itself says which, and where
        return 1
    each = two - one
    if each <= 0:
        return fitting(_NUMBERS, numbers)
    return fitting(int(_SHARE * torch.cuda.mem_get_info(plan.device)[0]) - (one - each), each)


def fitting(free: int, each: int) -> int:
    """How many trajectories fit, at least 1 and at most 4096.

    Examples
    --------
    >>> fitting(1000, 300), fitting(10, 300)
    (3, 1)
    """
    return max(1, min(_MOST, free // max(1, each)))


def _needed(plan: Plan, batch: int) -> int:
    """Peak memory of an evaluation of `batch` trajectories on a GPU, in bytes."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(plan.device)
    start = torch.cuda.memory_allocated(plan.device)
    x = torch.zeros(batch, *plan.model.shape, dtype=torch.float64, device=plan.device)
    denoised = plan.model.candidates(x, float(plan.noise_level[-1]), plan.conditions).double()
    # the evidence keeps a few copies in double precision
    del x, denoised
    extra = 8 * 4 * batch * len(plan.candidates) * math.prod(plan.model.shape)
    return torch.cuda.max_memory_allocated(plan.device) - start + extra
