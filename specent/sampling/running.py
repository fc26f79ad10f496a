"""The batches of a run: as large as memory allows, made smaller when it runs out; the numbers do not change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm.auto import tqdm

from specent.errors import ModelError, SpecentError
from specent.models.outputs import words
from specent.sampling.chain import run_batch
from specent.sampling.failures import refuse_infinite_results
from specent.sampling.setup import Setup
from specent.sampling.streams import Streams

_MOST = 4096
_NUMBERS = 2**24
# of the memory that is free: batches of a network do not need quite the same each, and memory breaks into pieces
_SHARE = 0.7
# of the trajectories that fit with every candidate in double precision, which few candidates take a part of
_MORE = 3


def run_batches(
    setup: Setup, size: int, bar: tqdm[Any], looks: bool = True, most: int | None = None
) -> tuple[dict[str, NDArray[Any]], int]:
    """Sample every guidance setting and batch in turn.

    A batch that does not fit into memory is done again in halves; trajectories that are done stay as they are.

    Parameters
    ----------
    setup : Setup
        The run, with its model on its device.
    size : int
        Trajectories at a time.
    bar : tqdm
        Counts the evaluations of the network.
    looks : bool
        Whether the start of the first batch is looked at.
    most : int, optional
        Pairs of state and candidate that the model is handed at a time where only some are evaluated; as many as a
        batch has by default.

    Returns
    -------
    arrays : dict of ndarray
        Shape (guidance, class, sample, ...).
    size : int
        The batch size at the end.

    Raises
    ------
    ModelError
        If the network fails, or not even one trajectory fits into memory.
    """
    arrays = {name: np.empty(shape, dtype) for name, (dtype, shape) in setup.whole_layout().items()}
    total = setup.trajectories
    flat = {name: array.reshape(len(setup.guidance), total, *array.shape[3:]) for name, array in arrays.items()}
    for g in range(len(setup.guidance)):
        low = 0
        while low < total:
            keys, before = setup.keys[low : low + size], bar.n
            try:
                batch = _batch(setup, g, keys, bar, looks and g == low == 0, most)
            except Exception as error:
                if not out_of_memory(error):
                    raise
                if len(keys) == 1:
                    raise alone_error(error) from error
                size = (len(keys) + 1) // 2
                most = None if most is None else (most + 1) // 2
                bar.update(before - bar.n)
                continue
            for name, value in batch.items():
                refuse_infinite_results(name, value, setup, setup.guidance[g], keys)
                flat[name][g, low : low + len(keys)] = value
            low += len(keys)
            if bar.total is not None:  # what was not evaluated is not to come either
                bar.total -= len(keys) * len(setup.time) * len(setup.candidates) - (bar.n - before)
    return arrays, size


def _batch(
    setup: Setup, g: int, keys: Sequence[tuple[str, int]], bar: tqdm[Any], first: bool, most: int | None
) -> dict[str, NDArray[Any]]:
    """Sample some trajectories under one guidance setting."""
    noise = [("" if setup.shared_noise else label, sample) for label, sample in keys]
    streams = Streams(setup.seed, noise, setup.features, len(setup.time))
    drivers = np.array([setup.index[label] for label, _ in keys])
    return run_batch(setup, setup.guidance[g], drivers, streams, bar.update, first, most)


def out_of_memory(error: BaseException | None) -> bool:
    """Whether an exception, or one that caused it, says that memory ran out.

    Examples
    --------
    >>> out_of_memory(ValueError("no")), out_of_memory(MemoryError())
    (False, True)
    """
    while error is not None:
        if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in words(error):
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            return True
        error = error.__cause__
    return False


def alone_error(error: Exception) -> SpecentError:
    """What to say when memory runs out although only one trajectory is worked on."""
    if isinstance(error, SpecentError):
        return error
    return ModelError("memory ran out with one trajectory at a time; score fewer candidates, or use another device")


def fitting(setup: Setup) -> tuple[int, int]:
    """How much is worked on at a time.

    Where only some candidates are evaluated, a batch has more trajectories, so that the model is handed many pairs even
    at steps where most wait, but no more than with every candidate.

    Parameters
    ----------
    setup : Setup
        The run, with its model on its device.

    Returns
    -------
    trajectories : int
        In a batch.
    pairs : int
        Of state and candidate that the model is handed at a time.
    """
    whole = fitting_batch(setup)
    pairs = whole * len(setup.candidates)
    return (whole if setup.scoring is None else min(_MOST, _MORE * whole)), pairs


def fitting_batch(setup: Setup) -> int:
    """Trajectories at a time with every candidate: by free memory on a GPU, by a fixed amount of numbers elsewhere."""
    numbers = len(setup.candidates) * math.prod(setup.model.shape)
    if setup.device.type != "cuda":
        return as_many_as_fit(_NUMBERS, numbers)
    try:
        one, two = _needed(setup, 1), _needed(setup, 2)
    except Exception:  # memory that does not hold two, or a broken network: the run itself says which, and where
        return 1
    each = two - one
    if each <= 0:
        return as_many_as_fit(_NUMBERS, numbers)
    return as_many_as_fit(int(_SHARE * torch.cuda.mem_get_info(setup.device)[0]) - (one - each), each)


def as_many_as_fit(free: int, each: int) -> int:
    """How many trajectories fit, at least 1 and at most 4096.

    Examples
    --------
    >>> as_many_as_fit(1000, 300), as_many_as_fit(10, 300)
    (3, 1)
    """
    return max(1, min(_MOST, free // max(1, each)))


def _needed(setup: Setup, batch: int) -> int:
    """Peak memory of an evaluation of `batch` trajectories on a GPU, in bytes."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(setup.device)
    start = torch.cuda.memory_allocated(setup.device)
    x = torch.zeros(batch, *setup.model.shape, dtype=torch.float64, device=setup.device)
    denoised = setup.model.candidates(x, float(setup.noise_level[-1]), setup.conditions).double()
    # the evidence keeps a few copies in double precision
    del x, denoised
    extra = 8 * 4 * batch * len(setup.candidates) * math.prod(setup.model.shape)
    return torch.cuda.max_memory_allocated(setup.device) - start + extra
