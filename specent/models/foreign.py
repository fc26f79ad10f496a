r"""Denoisers of other libraries by their shape: ``denoiser(x_t, t).mean`` and ``denoiser.schedule(t)``.

The convention is that of azula, which is never imported: a time t in 0 .. 1, a schedule :math:`t \mapsto (\alpha_t,
\sigma_t)` whose signal-to-noise ratio falls with t, and a posterior of the data given the state (arXiv 2206.00364 gives
the preconditioned ones). Which t has a given ratio is found by bisection.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from specent import arguments
from specent.arguments import brief
from specent.errors import ModelError, ScheduleError
from specent.models.modules import check_weights
from specent.models.network import NetworkModel
from specent.models.outputs import reason
from specent.models.protocol import moved_object, state_type
from specent.schedules import Array, Schedule

# ends of the time that are looked for at both ends, where alpha or sigma may vanish at 0 and 1 themselves
_ENDS = (0.0, 1e-6, 1e-4)
_PROBES = 257
_HALVINGS = 45
# how far, relatively, the noise level that is found may be from the one that is looked for
_CLOSE = 1e-4
# how many times that were looked for are remembered
_REMEMBERED = 2**14
# by how much rounding may raise the log-SNR of a schedule in single precision
_ROUNDING = 1e-2


class ForeignSchedule(Schedule):
    """A function ``t -> (alpha, sigma)`` on 0 .. 1 as a schedule; see `foreign`.

    Parameters
    ----------
    function : callable
        Called with a tensor of times, shape (times,).
    dtype : torch.dtype
        Type of the times that the denoiser is handed; no others are used.
    """

    name: ClassVar[str] = "foreign"
    noise_free_start: ClassVar[bool] = False
    signal_free_end: ClassVar[bool] = False

    def __init__(self, function: Callable[[Tensor], Any], dtype: torch.dtype = torch.float32) -> None:
        self.function, self.dtype, self.device = function, dtype, torch.device("cpu")
        self.precision = torch.float64
        self._times: dict[float, float] = {}
        try:
            self._pair(np.array(0.5))
        except ModelError:
            # tensors that it holds in single precision need not go with double ones
            self.precision = dtype
        self._range = (self._end(_ENDS), self._end([1.0 - end for end in _ENDS]))
        times = np.linspace(*self._range, _PROBES)
        probes = self.log_snr(times)
        rising = np.flatnonzero(~(np.diff(probes) <= _ROUNDING))
        if rising.size or not probes[0] > probes[-1]:
            start = times[rising[0] if rising.size else 0]
            raise ModelError(
                f"the schedule of the denoiser: alpha / sigma does not fall with t near t={start:.4g}; time must run "
                "from 0 (data) to 1 (noise)"
            )

    def on(self, function: Callable[[Tensor], Any], device: torch.device) -> ForeignSchedule:
        """The same schedule, from a function that takes and returns tensors of another device."""
        twin = copy.copy(self)
        twin.function, twin.device, twin._times = function, device, {}
        return twin

    @property
    def time_range(self) -> tuple[float, float]:
        return self._range

    def alpha(self, time: ArrayLike) -> Array:
        return self._pair(self._checked(time))[0]

    def sigma(self, time: ArrayLike) -> Array:
        return self._pair(self._checked(time))[1]

    def log_snr(self, time: ArrayLike) -> Array:
        alpha, sigma = self._pair(self._checked(time))
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(2 * (np.log(alpha) - np.log(sigma)))

    def time(self, log_snr: ArrayLike) -> Array:
        target = arguments.array(log_snr, "log_snr", error=ScheduleError)
        if target.ndim:
            return self._bisected(target)
        # a run asks for the time of its few noise levels again and again, and each takes many calls of the function
        key = float(target)
        if key not in self._times:
            if len(self._times) >= _REMEMBERED:
                self._times.clear()
            self._times[key] = float(self._bisected(target))
        return np.asarray(self._times[key])

    def _bisected(self, target: Array) -> Array:
        """The times at which the log-SNR falls to these values."""
        low, high = (np.full(target.shape, end) for end in self._range)
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            noisier = self.log_snr(middle) <= target
            low, high = np.where(noisier, low, middle), np.where(noisier, middle, high)
        # of the two that are left, the nearer: a schedule of steps has both of them
        gaps = [np.abs(self.log_snr(end) - target) for end in (low, high)]
        bad = ~(np.minimum(*gaps) <= 2 * _CLOSE)
        if bad.any():
            raise ScheduleError(
                f"log_snr={float(target[bad].flat[0]):g} is not among those of the denoiser's own schedule, which "
                f"run from {float(self.log_snr(self._range[1])):g} to {float(self.log_snr(self._range[0])):g}"
            )
        return np.where(gaps[0] <= gaps[1], low, high)

    def _end(self, candidates: Sequence[float]) -> float:
        """The first of the candidates where alpha and sigma are positive."""
        for time in candidates:
            alpha, sigma = self._pair(np.asarray(time))
            if np.isfinite(alpha) and np.isfinite(sigma) and alpha > 0 and sigma > 0:
                return time
        raise ModelError(
            f"the schedule of the denoiser gives alpha={float(alpha):g}, sigma={float(sigma):g} at t={time:g}; both "
            "must be positive numbers for t between 0 and 1"
        )

    def _pair(self, time: Array) -> tuple[Array, Array]:
        """Alpha and sigma, of the shape of `time`."""
        times = torch.as_tensor(time.reshape(-1), dtype=self.dtype, device=self.device).to(self.precision)
        try:
            parts = [torch.as_tensor(part).detach().cpu().double() for part in self.function(times)]
        except Exception as error:
            raise ModelError(
                f"the schedule of the denoiser raised {reason(error)}, called with a tensor of times"
            ) from error
        # some have an axis of length one at the end, for states that are vectors; a constant may be a single number
        if len(parts) != 2 or any(part.numel() not in (1, times.numel()) for part in parts):
            shapes = [tuple(part.shape) for part in parts]
            raise ModelError(
                f"the schedule of the denoiser returned shapes {shapes}; need alpha and sigma of each time"
            )
        alpha, sigma = (part.reshape(-1).expand(times.numel()).numpy().reshape(time.shape) for part in parts)
        return alpha, sigma


class _Mean:
    """The mean of a denoiser's posterior, as a function of state, time and condition."""

    def __init__(self, denoiser: Any, arguments: Callable[[Tensor], dict[str, Any]]) -> None:
        self.denoiser, self.arguments = denoiser, arguments

    def __call__(self, x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        output = self.denoiser(x, time[0], **self.arguments(condition))
        mean: Tensor = output if isinstance(output, Tensor) else output.mean
        return mean


class ForeignModel(NetworkModel):
    """A denoiser of another library, as a model; see `foreign`."""

    net: _Mean
    schedule: ForeignSchedule

    def to(self, device: torch.device) -> ForeignModel:
        denoiser = moved_object(self.net.denoiser, device, "denoiser")
        twin = self.with_net(_Mean(denoiser, self.net.arguments))
        twin.schedule = self.schedule.on(denoiser.schedule, device)
        return twin


def _by_label(condition: Tensor) -> dict[str, Any]:
    return {"label": condition}


def foreign(
    denoiser: Any,
    labels: Sequence[str],
    shape: Sequence[int],
    *,
    condition: Callable[[Tensor], dict[str, Any]] = _by_label,
    null: bool = False,
    label_prior: ArrayLike | None = None,
    name: str = "",
    dtype: torch.dtype | None = None,
) -> ForeignModel:
    """A model from a denoiser shaped like those of azula.

    Parameters
    ----------
    denoiser : object
        Called as ``denoiser(x_t, t, **condition(c))`` with states of shape ``(batch, *shape)`` in the coordinates of
        its own schedule and a scalar tensor t between 0 and 1; it returns an object whose ``mean`` is the denoised
        data, or that tensor itself. ``denoiser.schedule(t)`` gives alpha and sigma.
    labels : sequence of str
        The K class labels.
    shape : sequence of int
        Shape of one sample: (features,) or (channels, height, width).
    condition : callable
        The keyword arguments for a tensor of conditions: int64, shape (batch,), 0 .. K-1 for the labels, K for the null
        condition. By default ``{"label": c}``; return ``{}`` for a denoiser without any.
    null : bool
        Whether condition K may be used.
    label_prior : array_like, shape (labels,), optional
        Prior of the labels, uniform by default.
    name : str
        Recorded in archives; the name of the class by default.
    dtype : torch.dtype, optional
        Type of the states: that of the weights if they are double, single otherwise.

    Returns
    -------
    ForeignModel

    Raises
    ------
    ModelError
        If an argument cannot be used, or alpha / sigma does not fall with t.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> class Denoiser:  # of unit Gaussians at the origin and at 2
    ...     def schedule(self, t):
    ...         return torch.ones_like(t), 0.01 * 1e4**t
    ...     def __call__(self, x_t, t, label):
    ...         alpha, sigma = self.schedule(t)
    ...         mean = 2.0 * (label == 1)[:, None]
    ...         return SimpleNamespace(mean=mean + (x_t - mean) / (1 + sigma**2))
    >>> model = foreign(Denoiser(), ["origin", "two"], (1,))
    >>> round(model.denoise(torch.tensor([[4.0]]), 1.0, torch.tensor([1])).item(), 5)
    3.0
    """
    kind = type(denoiser).__name__
    if not callable(denoiser) or isinstance(denoiser, type):
        raise ModelError(f"denoiser={brief(denoiser)} cannot be called; pass an instance, as denoiser(x_t, t)")
    schedule = getattr(denoiser, "schedule", None)
    if not callable(schedule):
        raise ModelError(
            f"denoiser={brief(denoiser)} has no schedule(t) -> (alpha, sigma); an object D(x, t, condition) "
            "with a schedule of specent is a model as it is; wrap a plain network with specent.models.network(...)"
        )
    if not callable(condition):
        raise ModelError(f"condition={brief(condition)} must be a function, as lambda c: {{'label': c}}")
    check_weights(denoiser)
    width = state_type(denoiser) if dtype is None else dtype
    if width not in (torch.float32, torch.float64):
        raise ModelError(f"dtype={brief(dtype)}: differences are small; use torch.float32 or torch.float64")
    own = ForeignSchedule(schedule, width)
    text = arguments.name(name or kind, "name", error=ModelError)

    # its schedule is a function: all that can be said of it is its name
    identity = {"name": text, "denoiser": kind, "schedule": type(schedule).__name__, "prediction": "data"}
    return ForeignModel(_Mean(denoiser, condition), labels, shape, "data", own, label_prior, null, identity, width)
