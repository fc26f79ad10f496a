"""Arithmetic of the network: full single precision by default, or reduced where the user asks for speed.

Class evidence lives in differences of denoisers, small against the denoisers themselves, and matrix units round to 8 or
11 bits where they are let. So networks do not use them unless the user says so, and what reduced precision does to the
entropy is measured on a few trajectories before the run. Differences and evidence are in double precision always.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from specent.arguments import brief
from specent.errors import SpecentError, SpecentWarning
from specent.evidence import BITS_PER_NAT
from specent.partitions import NULL, Partition
from specent.sampling.chain import run_batch
from specent.sampling.record import Record
from specent.sampling.setup import Setup
from specent.sampling.sides import Sides
from specent.sampling.streams import Streams

Precision = Literal["float32", "tf32", "bfloat16", "float16"]

PRECISIONS: dict[str, torch.dtype | None] = {
    "float32": None, "tf32": None, "bfloat16": torch.bfloat16, "float16": torch.float16,
}  # fmt: skip

PROBE_BITS = 0.02
"""Change of an entropy by reduced precision, in bits, beyond which a warning is given."""

_PROBED = 32


def check_precision(precision: Any) -> str:
    """The name of a precision.

    Examples
    --------
    >>> check_precision("tf32")
    'tf32'
    """
    if not isinstance(precision, str) or precision not in PRECISIONS:
        raise SpecentError(f"precision={brief(precision)} must be one of {', '.join(map(repr, PRECISIONS))}")
    return precision


@contextmanager
def arithmetic(precision: str, device: torch.device) -> Iterator[None]:
    """Within it, networks on `device` compute in that precision.

    Parameters
    ----------
    precision : {"float32", "tf32", "bfloat16", "float16"}
        ``"float32"`` keeps the matrix units of a GPU from rounding to TF32, which torch lets them do in convolutions.
    device : torch.device
        Where the network runs.
    """
    backends: Any = torch.backends
    units = (backends.cudnn.conv, backends.cudnn.rnn, backends.cuda.matmul)
    before = [unit.fp32_precision for unit in units]
    dtype = PRECISIONS[precision]
    with ExitStack() as stack:
        if dtype is not None:
            stack.enter_context(torch.autocast(device.type, dtype=dtype))
        try:
            for unit in units:
                unit.fp32_precision = "ieee" if precision == "float32" else "tf32"
            yield
        finally:
            for unit, value in zip(units, before, strict=True):
                unit.fp32_precision = value


def probe(setup: Setup, precision: str) -> float:
    """Largest change that reduced precision makes to an entropy on a few trajectories; warns beyond `PROBE_BITS`.

    Parameters
    ----------
    setup : Setup
        The run, with its model on its device. Its first guidance setting is tried, on 32 of its trajectories, evenly
        spread.
    precision : str
        The reduced precision.

    Returns
    -------
    float
        In bits, over all times and recorded partitions (the full label set if there are none). The trajectories of both
        precisions share their noise.
    """
    keys = setup.keys
    few = [keys[i] for i in np.unique(np.linspace(0, len(keys) - 1, _PROBED).round().astype(int))]
    plain, reduced = (_entropies(setup, few, name) for name in ("float32", precision))
    change = float(np.abs(reduced - plain).max(initial=0.0))
    if change > PROBE_BITS:
        warnings.warn(
            f"precision={precision!r} changes an entropy by {change:.2g} bit on {len(few)} trajectories, more than "
            f"{PROBE_BITS} bit; use precision='float32'",
            SpecentWarning,
            stacklevel=6,
        )
    return change


def _entropies(setup: Setup, keys: Sequence[tuple[str, int]], precision: str) -> NDArray[np.float64]:
    """Mean entropy of the path posterior in bits, shape (time, partitions)."""
    streams = Streams(setup.seed, keys, setup.features, len(setup.time))
    drivers = np.array([setup.index[label] for label, _ in keys])
    sides = setup.sides if setup.partitions else _full(setup)
    bare = replace(setup, partitions=(), record=Record(distances=False), scoring=None)
    with arithmetic(precision, setup.device):
        arrays = run_batch(bare, setup.guidance[0], drivers, streams, lambda _: None)
    along = torch.from_numpy(arrays["log_likelihood"]).unbind(1)
    means = [sides.entropy(values.to(setup.device)).mean(0).cpu().numpy() for values in along]
    return BITS_PER_NAT * np.stack(means)


def _full(setup: Setup) -> Sides:
    """Every label among the candidates as a side of its own."""
    labels = [name for name in setup.candidates if name != NULL]
    parts = [Partition.full(labels)] if len(labels) > 1 else []
    return Sides(parts, setup.candidates, setup.candidate_prior, setup.device)
