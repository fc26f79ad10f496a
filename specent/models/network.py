r"""Networks as models: a small EDM-preconditioned one, and an adapter for any other.

The preconditioning of arXiv 2206.00364 (table 1):
:math:`D(x, \sigma) = c_\text{skip} x + c_\text{out} F(c_\text{in} x, c_\text{noise})` with
:math:`c_\text{skip} = \sigma_d^2/(\sigma^2+\sigma_d^2)`, :math:`c_\text{in} = 1/\sqrt{\sigma^2+\sigma_d^2}`,
:math:`c_\text{out} = \sigma\sigma_d c_\text{in}` and :math:`c_\text{noise} = \tfrac14\ln\sigma`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from specent import arguments
from specent.arguments import brief
from specent.errors import ModelError, ScheduleError
from specent.models.base import Model
from specent.models.modules import check_weights, copied_to, evaluation_mode, visible_modules
from specent.models.outputs import checked, reason
from specent.models.predictions import Prediction, check_prediction, to_data
from specent.schedules import VE, Schedule

# how far from a whole number a time may be, by rounding, and still count as one
_WHOLE = 1e-3


class EDMNetwork(nn.Module):
    """A residual perceptron with EDM preconditioning, for images of a few hundred pixels.

    Noise level and class enter through a shared embedding that scales and shifts every block.

    Parameters
    ----------
    features : int
        Number of pixels of a flattened sample.
    classes : int
        Number of labels; index `classes` is the null condition.
    width, blocks, embedding : int
        Width of the residual stream, number of blocks, width of the embedding.
    sigma_data : float
        Standard deviation of the data.
    """

    def __init__(
        self, features: int, classes: int, width: int = 256, blocks: int = 4, embedding: int = 128,
        sigma_data: float = 0.5,
    ) -> None:  # fmt: skip
        super().__init__()
        if embedding % 2:
            raise ModelError(f"embedding={embedding} must be even: half of it are sines, half cosines")
        self.frequencies: Tensor
        self.sigma_data = sigma_data
        # fixed frequencies, so that they need not be stored
        self.register_buffer("frequencies", 2 * torch.pi * torch.logspace(-2, 1, embedding // 2), persistent=False)
        self.embed_noise = nn.Linear(embedding, embedding)
        self.embed_class = nn.Embedding(classes + 1, embedding)
        self.embed_joint = nn.Linear(embedding, embedding)
        self.modulate = nn.Linear(embedding, 2 * width * blocks)
        self.enter = nn.Linear(features, width)
        self.first = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.second = nn.ModuleList(nn.Linear(width, width) for _ in range(blocks))
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.leave = nn.Linear(width, features)
        for layer in (*self.second, self.leave):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def modulation(self, sigma: Tensor, condition: Tensor) -> Tensor:
        """Scales and shifts of all blocks, shape (batch, 2 * width * blocks)."""
        angle = 0.25 * torch.log(sigma)[:, None] * self.frequencies
        noise = self.embed_noise(torch.cat([torch.cos(angle), torch.sin(angle)], dim=-1))
        joint = nn.functional.silu(noise + self.embed_class(condition))
        modulation: Tensor = self.modulate(nn.functional.silu(self.embed_joint(joint)))
        return modulation

    def forward(self, x: Tensor, sigma: Tensor, modulation: Tensor) -> Tensor:
        """Denoise flattened states (batch, features) at noise levels sigma (batch,)."""
        level, data = sigma[:, None], self.sigma_data
        total = level**2 + data**2
        hidden = self.enter(x / total.sqrt())
        parts = modulation.chunk(2 * len(self.first), dim=-1)
        for i, (first, second) in enumerate(zip(self.first, self.second, strict=True)):
            inner = self.norm(hidden) * (1 + parts[2 * i]) + parts[2 * i + 1]
            hidden = hidden + second(nn.functional.silu(first(inner)))
        output = self.leave(self.norm(hidden))
        denoised: Tensor = x * (data**2 / total) + output * (level * data / total.sqrt())
        return denoised


class PerceptronModel(Model):
    """An `EDMNetwork` as a model."""

    def __init__(
        self, net: EDMNetwork, labels: Sequence[str], shape: Sequence[int], label_prior: ArrayLike,
        identity: dict[str, Any],
    ) -> None:  # fmt: skip
        super().__init__(labels, shape, label_prior)
        self.net = net
        self._identity = identity

    @property
    def identity(self) -> dict[str, Any]:
        return self._identity

    def to(self, device: torch.device) -> PerceptronModel:
        net = copied_to(self.net, device, "net")
        return PerceptronModel(net, self.labels, self.shape, self.label_prior, self._identity)

    @torch.no_grad()
    def denoise(self, x: Tensor, sigma: float, condition: Tensor) -> Tensor:
        state = x.reshape(len(x), -1).to(self.net.enter.weight.dtype)
        every = torch.arange(len(self.labels) + 1, device=x.device)  # one embedding per condition, not per state
        modulation = self.net.modulation(torch.full(every.shape, sigma, device=x.device), every)[condition]
        denoised: Tensor = self.net(state, state.new_full((len(x),), sigma), modulation)
        return denoised.reshape(x.shape)

    @torch.no_grad()
    def candidates(self, x: Tensor, sigma: float, conditions: Tensor) -> Tensor:
        state = x.reshape(len(x), 1, -1).to(self.net.enter.weight.dtype)  # broadcast over the conditions
        modulation = self.net.modulation(torch.full(conditions.shape, sigma, device=x.device), conditions)
        denoised: Tensor = self.net(state, state.new_full((1,), sigma), modulation)
        return denoised.reshape(len(x), len(conditions), *self.shape)


class Raw(NamedTuple):
    """One call of a network in its own coordinates: what it returned, the state it was handed, and where."""

    output: Tensor
    state: Tensor
    alpha: float
    sigma: float
    time: float


class NetworkModel(Model):
    """Any network as a model; see `network`."""

    def __init__(
        self, net: Callable[[Tensor, Tensor, Tensor], Tensor], labels: Sequence[str], shape: Sequence[int],
        prediction: Prediction, schedule: Schedule, label_prior: ArrayLike | None, null: bool, identity: dict[str, Any],
        dtype: torch.dtype, integer_times: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(labels, shape, label_prior, null)
        self.net, self.prediction, self.schedule, self.dtype = net, prediction, schedule, dtype
        self.integer_times = integer_times
        self._order = torch.preserve_format
        self._identity = identity
        self._modules = visible_modules(net)

    @property
    def identity(self) -> dict[str, Any]:
        return self._identity

    def to(self, device: torch.device) -> NetworkModel:
        if not isinstance(self.net, nn.Module):
            return self.with_net(self.net)
        twin = self.with_net(copied_to(self.net, device, "net"))
        if device.type == "cuda" and len(self.shape) == 3:
            # the order in which convolutions on a GPU are fastest; weights of the caller keep theirs
            twin._order = torch.channels_last
            if twin.net is not self.net:
                twin.net.to(memory_format=torch.channels_last)  # type: ignore[attr-defined]
        return twin

    def with_net(self, net: Any) -> Self:
        """The same model around another network."""
        twin = copy.copy(self)
        twin.net, twin._modules = net, visible_modules(net)
        return twin

    def compiled(self) -> Model:
        if not isinstance(self.net, nn.Module):
            return super().compiled()
        return self.with_net(torch.compile(self.net))

    @torch.no_grad()
    def raw(self, x: Tensor, sigma: float, condition: Tensor) -> Raw:
        """Call the network, without converting what it returns.

        Parameters
        ----------
        x : Tensor, shape ``(batch, *shape)``
            States ``x_0 + sigma * noise``; or fewer, each of which is denoised under as many conditions in a row.
        sigma : float
            Noise level, shared by the batch.
        condition : Tensor of int64, shape (batch,)
            Index of the label, or the number of labels for the null condition.

        Returns
        -------
        Raw
            ``output`` and ``state`` in the coordinates of the network's own schedule, its ``alpha`` and ``sigma``, and
            the ``time`` that was handed over.

        Raises
        ------
        ModelError
            If the network raises, returns something else than a tensor like its states, or has no such noise level.
        """
        time = self._time(sigma)
        alpha, noise = float(self.schedule.alpha(time)), float(self.schedule.sigma(time))
        state = (x * alpha).to(self.dtype)
        each = len(condition) // max(len(x), 1)
        if each > 1:
            # after the conversion, which makes the many copies of a state half as large
            state = state.repeat_interleave(each, dim=0)
        return Raw(self.call(state, time, condition), state, alpha, noise, time)

    @torch.no_grad()
    def denoise(self, x: Tensor, sigma: float, condition: Tensor) -> Tensor:
        raw = self.raw(x, sigma, condition)
        return to_data(self.prediction, raw.output, raw.state, raw.alpha, raw.sigma)

    def candidates(self, x: Tensor, sigma: float, conditions: Tensor) -> Tensor:
        denoised = self.denoise(x, sigma, conditions.repeat(len(x)))
        return denoised.reshape(len(x), len(conditions), *self.shape)

    def check_levels(self, noise_levels: NDArray[np.float64]) -> None:
        for level in noise_levels:
            self._time(float(level))

    def _time(self, level: float) -> float:
        """Time of the network's own schedule at a noise level."""
        try:
            time = float(self.schedule.time(-2 * np.log(level)))
        except ScheduleError as error:
            raise ModelError(_outside(self.schedule, level, error, self.integer_times)) from error
        if not self.integer_times:
            return time
        if abs(time - round(time)) > _WHOLE:
            rounded = "time = np.unique(grid.round()) of a grid made with schedule=it"
            hint = rounded if self.schedule.whole_times is None else self.schedule.grid_hint
            raise ModelError(
                f"the noise level {level:.5g} is at time {time:.6g} of the network's own {self.schedule.name} "
                "schedule, but the network knows whole times only (integer_times=True); sample on that schedule with "
                f"whole times; {hint}"
            )
        return float(round(time))

    @torch.no_grad()
    def call(self, state: Tensor, time: float, condition: Tensor) -> Tensor:
        """What the network returns for a state at a time, both of its own schedule.

        Parameters
        ----------
        state : Tensor, shape ``(batch, *shape)``
            States ``alpha * data + sigma * noise``.
        time : float
            Time of the schedule, handed over as it is.
        condition : Tensor of int64, shape (batch,)
            Index of the label, or the number of labels for the null condition.

        Returns
        -------
        Tensor, shape ``(batch, *shape)``

        Raises
        ------
        ModelError
            If the network raises, or returns something else than a tensor like its states.
        """
        try:
            kind = torch.int64 if self.integer_times else state.dtype
            times = torch.full((len(state),), time, dtype=kind, device=state.device)
            # copies: the state is needed afterwards, and a network may work in place on what it is given
            copies = state.clone(memory_format=self._order), times, condition.clone()
            # a function may need gradients inside, as the score of an energy does
            with torch.inference_mode(isinstance(self.net, nn.Module)), evaluation_mode(self._modules):
                output = self.net(*copies)
        except Exception as error:
            hint = ""
            if "nference tensor" in str(error) or "does not require grad" in str(error):
                hint = "; if it takes gradients itself, pass a function that calls it, not the module"
            # after an assertion on the GPU no tensor can be read any more
            if "device-side assert" in str(error) or (
                isinstance(error, IndexError) and bool((condition == len(self.labels)).any())
            ):
                hint = f"; if it has no null condition, number {len(self.labels)}, say null=False in network(...)"
            raise ModelError(f"the network raised {reason(error)}{hint}") from error
        return checked(output, state.shape, state.device, "the network")


def level_range(schedule: Schedule) -> tuple[float, float]:
    """Smallest and largest noise level of a schedule, a little inside, so that the numbers hold as they are printed."""
    least, most = schedule.level_range
    return 1.0001 * least, 0.9999 * most


def _outside(schedule: Schedule, level: float, error: ScheduleError, whole: bool) -> str:
    """That a noise level is outside the schedule of a network, and what the grid should be."""
    least, most = level_range(schedule)
    if least <= level <= most:
        return f"the grid holds the noise level {level:.5g}, which the network's own schedule refuses: {error}"
    hint = f"make the grid with sigma_min={least:.5g}, sigma_max={most:.5g} or within"
    hint = "sample on that schedule with whole times, all that it knows (integer_times=True)" if whole else hint
    return (
        f"the grid holds the noise level {level:.5g}, but the network's own {schedule.name} schedule has sigma/alpha "
        f"from {least:.5g} to {most:.5g}; {hint}"
    )


def network(
    net: Callable[[Tensor, Tensor, Tensor], Tensor],
    labels: Sequence[str],
    shape: Sequence[int],
    *,
    prediction: str,
    schedule: Schedule | None = None,
    label_prior: ArrayLike | None = None,
    null: bool = True,
    name: str = "network",
    checkpoint_sha256: str = "",
    dtype: torch.dtype = torch.float32,
    integer_times: bool = False,
) -> NetworkModel:
    """Bring your own denoiser.

    Parameters
    ----------
    net : callable
        Called as ``net(x, time, condition)`` with states of shape ``(batch, *shape)`` in the coordinates of `schedule`,
        times of shape (batch,) and conditions of shape (batch,): int64, 0 .. K-1 for the labels, K for the null
        condition. A `torch.nn.Module` is run in evaluation mode, and copied to the device that is sampled on if it is
        elsewhere: it stays where and as it is. A function is called as it is.
    labels : sequence of str
        The K class labels.
    shape : sequence of int
        Shape of one sample: (features,) or (channels, height, width).
    prediction : {"data", "noise", "v", "score", "velocity"}
        What the network returns: the denoised data, the noise (arXiv 2006.11239), v (arXiv 2202.00512), the score
        (arXiv 2011.13456), or the velocity noise - data of flow matching (arXiv 2210.02747). The names of diffusers
        serve too: "sample", "epsilon", "v_prediction" and "flow_prediction".
    schedule : Schedule, optional
        The noise schedule and coordinates the network was trained in; `VE` by default, where time is sigma.
        Trajectories may be sampled on any other schedule.
    label_prior : array_like, shape (labels,), optional
        Prior of the labels, uniform by default.
    null : bool
        Whether condition K may be used. Say False for a network that was not trained on a null condition.
    name, checkpoint_sha256 : str
        Recorded in archives.
    dtype : torch.dtype
        Type of the states handed to the network; float32 or better, because differences of denoisers are small.
    integer_times : bool
        Whether the network knows whole times only, like those of arXiv 2006.11239. It is then handed int64 times, and
        noise levels between two of them are refused rather than rounded.

    Returns
    -------
    NetworkModel

    Raises
    ------
    ModelError
        If an argument cannot be used.

    Examples
    --------
    A Gaussian class at the origin and one at 2, as a noise prediction:

    >>> import torch
    >>> def net(x, sigma, condition):
    ...     mean = 2.0 * (condition == 1)[:, None]
    ...     return (x - mean) * (sigma / (1 + sigma**2))[:, None]
    >>> model = network(net, ["origin", "two"], (1,), prediction="noise", null=False)
    >>> model.denoise(torch.tensor([[4.0]]), 1.0, torch.tensor([1])).item()
    3.0
    """
    if not callable(net):
        raise ModelError(f"net={brief(net)} is not callable; pass a function or a torch module")
    if isinstance(net, type):
        raise ModelError(f"net={brief(net)} is a class; pass an instance of it, with its weights")
    kind = check_prediction(prediction)
    own = VE() if schedule is None else schedule
    hint = "give a schedule, for example specent.schedules.VE()"
    arguments.instance(own, Schedule, "schedule", hint, error=ModelError)  # type: ignore[type-abstract]
    whole = arguments.flag(integer_times, "integer_times", error=ModelError)
    if whole and own.time_range[1] - own.time_range[0] <= 1:
        raise ModelError(
            f"integer_times=True does not go with the {own.name} schedule, whose times lie between "
            f"{own.time_range[0]:g} and {own.time_range[1]:g}; use specent.schedules.DDPM(...), or leave it out"
        )
    if not isinstance(dtype, torch.dtype) or dtype not in (torch.float32, torch.float64):
        shown = brief(dtype)
        raise ModelError(f"dtype={shown}: differences of denoisers are small; use torch.float32 or torch.float64")
    check_weights(net)
    text = arguments.name(name, "name", error=ModelError)
    identity: dict[str, Any] = {"name": text, "prediction": kind, "schedule": own.to_json()}
    if whole:
        identity["integer_times"] = True
    if not isinstance(checkpoint_sha256, str) or checkpoint_sha256:
        identity["checkpoint_sha256"] = arguments.name(checkpoint_sha256, "checkpoint_sha256", error=ModelError)
    return NetworkModel(net, labels, shape, kind, own, label_prior, null, identity, dtype, whole)
