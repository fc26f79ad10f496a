"""What is said when a number of a run is not finite: where it happened, and why."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from specent.errors import ModelError
from specent.guidance import Setting
from specent.sampling.setup import Setup

if TYPE_CHECKING:
    from specent.sampling.scorers import Seen

# beyond what data and noise of any grid add up to
_VAST = 1e30
# files keep single precision
_LARGEST = float(np.finfo(np.float32).max)


def step_text(setup: Setup, i: int) -> str:
    """The step and the noise level of the time with index i."""
    return f"at step {len(setup.time) - 1 - i} of {len(setup.time)} (noise level {setup.noise_level[i]:.4g})"


def refuse_infinite_output(
    square: Tensor, seen: Seen, x: Tensor, setup: Setup, i: int, drivers: NDArray[np.intp]
) -> None:
    """Refuse denoised data that hold a NaN or an infinity, or are too large to be squared.

    Either shows in the squared distances from the driver's, an array that is small.
    """
    if torch.isfinite(square).all():
        return
    size = seen.denoised.abs().amax(-1).nan_to_num(nan=torch.inf, posinf=torch.inf)
    pair = int(torch.nonzero(size == size.max())[0])
    row, column = int(seen.rows[pair]), int(seen.columns[pair])
    worst, state = float(size[pair]), float(x[row].abs().max())
    what = f"{worst:.3g}, too large to be squared," if math.isfinite(worst) else "a NaN or an infinity"
    hint = "check its weights and the range of the time grid"
    if not state < _VAST:
        hint = (
            f"the state itself had grown to {state:.3g} before: an earlier output or the guidance scale was too large"
        )
    raise ModelError(
        f"the network returned {what} {step_text(setup, i)} for class {setup.candidates[column]!r}, on a trajectory "
        f"driven by {setup.candidates[int(drivers[row])]!r}; {hint}"
    )


def refuse_infinite_results(
    name: str, value: NDArray[Any], setup: Setup, guidance: Setting, keys: Sequence[tuple[str, int]]
) -> None:
    """Refuse a batch of results that holds a NaN, or a number too large for single precision, naming where."""
    finite = (value >= -_LARGEST) & (value <= _LARGEST)
    if finite.all():
        return
    row, *inner = (int(index) for index in np.unravel_index(np.argmin(finite), value.shape))
    time = setup.prediction_indices[inner[0]] if name == "prediction" else 0 if name == "final" else inner[0]
    label, sample = keys[row]
    raise ModelError(
        f"{name} is {value[(row, *inner)]} {step_text(setup, time)} for guidance {str(guidance)!r}, class {label!r}, "
        f"sample {sample}: the model's outputs or the guidance scale are too large to be squared and kept"
    )
