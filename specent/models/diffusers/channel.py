r"""The Gaussian channel on which a network was trained, from the configuration of its scheduler.

A scheduler is a sampler; what counts here is its forward process. Its betas give :math:`\alpha_t^2 =
\prod_{s \le t} (1 - \beta_s)` at integer times (arXiv 2006.11239), flow matching :math:`x_t = (1 - t) x_0 + t
\varepsilon` (arXiv 2210.02747). The step of the scheduler itself does not matter, because `specent.sample` takes
its own: the spacing, offset or shift of its grid, and its solver, are not read.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from specent import arguments
from specent.arguments import brief
from specent.errors import ModelError, ScheduleError
from specent.models.diffusers.hub import Source, read_json
from specent.models.outputs import reason
from specent.models.predictions import Prediction, check_prediction
from specent.schedules import DDPM, FlowMatching, Schedule

_BETAS = (
    "DDPMScheduler", "DDIMScheduler", "DDPMParallelScheduler", "DDIMParallelScheduler", "PNDMScheduler",
    "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler", "HeunDiscreteScheduler", "LMSDiscreteScheduler",
    "KDPM2DiscreteScheduler", "KDPM2AncestralDiscreteScheduler", "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler", "DPMSolverSDEScheduler", "DEISMultistepScheduler", "UniPCMultistepScheduler",
)  # fmt: skip
_FLOWS = ("FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler")
_DISTILLED = "steps through a distilled network, which is no denoiser, and has no Gaussian transition"
_REFUSED = {
    "LCMScheduler": _DISTILLED,
    "TCDScheduler": _DISTILLED,
    "FlowMatchLCMScheduler": _DISTILLED,
    "CMStochasticIterativeScheduler": _DISTILLED,
    "VQDiffusionScheduler": "has a discrete forward process, not a Gaussian one",
    "AmusedScheduler": "has a discrete forward process, not a Gaussian one",
    "IPNDMScheduler": "has a deterministic step only, and names no betas",
    "EDMEulerScheduler": "preconditions the network, and its time is no index of betas",
    "EDMDPMSolverMultistepScheduler": "preconditions the network, and its time is no index of betas",
    "ScoreSdeVeScheduler": "names no betas",
}
_HINT = "if the network is a denoiser, pass its channel yourself: schedule=specent.schedules..., prediction=..."
# as the betas are in float32, one that leaves no signal may come out as 1 less rounding
_NO_SIGNAL = 1 - 1e-6


@dataclass(frozen=True)
class Channel:
    """The noise schedule of a network, its kind of prediction, and the unit of its time.

    A network is called with the time of the schedule multiplied by `factor`. The sampler of the pipeline clips denoised
    data to plus and minus `limit`, which may be infinite; `scheduler` is the configuration, for archives.
    """

    schedule: Schedule
    prediction: Prediction
    factor: float = 1.0
    limit: float = np.inf
    scheduler: Mapping[str, Any] = field(default_factory=dict)


def read_channel(source: Source, schedule: Schedule | None = None, prediction: str | None = None) -> Channel:
    """The channel of a pipeline: that of its scheduler, unless it is passed.

    Parameters
    ----------
    source : Source
        The pipeline.
    schedule : Schedule, optional
        Noise schedule of the network, instead of the scheduler's.
    prediction : str, optional
        What the network returns, instead of what the scheduler says.

    Returns
    -------
    Channel

    Raises
    ------
    ModelError
        If the scheduler is missing, not known, or belongs to no Gaussian channel.
    """
    kind = None if prediction is None else check_prediction(prediction)
    if schedule is not None:
        hint = "pass a schedule, for example specent.schedules.DDPM('linear')"
        arguments.instance(schedule, Schedule, "schedule", hint, error=ModelError)  # type: ignore[type-abstract]
        if kind is None:
            raise ModelError(f"{source}: with schedule= say what the network returns too, for example prediction='v'")
        return Channel(schedule, kind)
    config = _configuration(source)
    name = config.get("_class_name")
    if name not in (*_BETAS, *_FLOWS):
        why = _REFUSED.get(str(name), f"is not known; known are {', '.join((*_BETAS, *_FLOWS))}")
        raise ModelError(f"{source}: its scheduler {brief(name)} {why}; {_HINT}")
    _check_numbers(source, config)
    scheduler = _scheduler(source, config)
    channel = _flow(source, scheduler) if name in _FLOWS else _discrete(source, scheduler)
    recorded = {key: value for key, value in config.items() if key == "_class_name" or not key.startswith("_")}
    return replace(channel, prediction=kind or channel.prediction, scheduler=recorded)


def _configuration(source: Source) -> dict[str, Any]:
    """The scheduler's configuration, in a folder of its own or beside the network."""
    files = [source.folder / folder / "scheduler_config.json" for folder in ("scheduler", "")]
    file = next((path for path in files if path.is_file()), None)
    if file is None:
        raise ModelError(f"{source} has no scheduler_config.json, which says its betas; {_HINT}")
    return read_json(file, str(source))


def _check_numbers(source: Source, config: Mapping[str, Any]) -> None:
    """Refuse NaN, and numbers out of range where they are read here."""
    where = f"{source}: scheduler_config.json: "
    for key, value in config.items():
        items = value if isinstance(value, list) else [value]
        if any(isinstance(item, float) and np.isnan(item) for item in items):
            raise ModelError(f"{where}{key}={brief(value)} must hold no NaN; {_HINT}")
    for key in ("shift", "clip_sample_range"):
        if config.get(key) is not None:
            arguments.number(config[key], where + key, above=0, most=1e6, error=ModelError)
    if "num_train_timesteps" in config:
        key = "num_train_timesteps"
        arguments.whole(config[key], where + key, least=2, most=10**6, error=ModelError)


def _scheduler(source: Source, config: dict[str, Any]) -> Any:
    """The scheduler; settings that are absent from its configuration have the defaults of its class."""
    import diffusers

    from specent.models.diffusers.weights import quiet

    # some of them warn about their own code
    with quiet(), warnings.catch_warnings(action="ignore"):
        try:
            return getattr(diffusers, config["_class_name"]).from_config(config)
        except Exception as error:
            raise ModelError(f"{source}: its {config['_class_name']} cannot be created: {reason(error)}") from error


def _flow(source: Source, scheduler: Any) -> Channel:
    if getattr(scheduler.config, "invert_sigmas", False):
        raise ModelError(f"{source}: its scheduler has invert_sigmas, time from noise to data; {_HINT}")
    return Channel(FlowMatching(), "velocity", float(scheduler.config.num_train_timesteps))


def _discrete(source: Source, scheduler: Any) -> Channel:
    config = scheduler.config
    for name, value in (("use_flow_sigmas", True), ("timestep_type", "continuous")):
        if config.get(name) == value:
            raise ModelError(f"{source}: its scheduler has {name}={value!r}, so times are no index of betas; {_HINT}")
    prediction = check_prediction(
        config.get("prediction_type", "epsilon"), f"{source}: prediction_type of its {type(scheduler).__name__}"
    )
    if prediction == "velocity":
        raise ModelError(f"{source}: its scheduler predicts a flow, but has no flow times; {_HINT}")
    clips = config.get("clip_sample", False) and source.kind in ("DDPMPipeline", "DDIMPipeline", "UNet2DModel")
    limit = float(config.get("clip_sample_range", 1.0)) if clips else np.inf
    try:
        return Channel(_ddpm(betas(scheduler), config), prediction, limit=limit)
    except ScheduleError as error:
        raise ModelError(f"{source}: the betas of its scheduler cannot be used: {error}; {_HINT}") from error


def betas(scheduler: Any) -> NDArray[np.float64]:
    """The betas of a scheduler of diffusers in double precision, without the last if no signal remains after it.

    diffusers computes them in single precision; these agree with them to its rounding, within 1e-7. With
    ``rescale_betas_zero_snr`` (arXiv 2305.08891) the last time has no signal, and no noise level ``sigma / alpha``.

    Parameters
    ----------
    scheduler : SchedulerMixin
        With a configuration that names betas.

    Returns
    -------
    ndarray, shape (times,)

    Examples
    --------
    >>> from diffusers import DDPMScheduler
    >>> betas(DDPMScheduler(num_train_timesteps=4, beta_start=0.1, beta_end=0.4)).round(3).tolist()
    [0.1, 0.2, 0.3, 0.4]
    """
    config = scheduler.config
    start, end, steps = config.beta_start, config.beta_end, config.num_train_timesteps
    if config.get("trained_betas") is not None:
        values = np.asarray(config.trained_betas, dtype=np.float64)
    elif config.beta_schedule == "linear":
        values = np.linspace(start, end, steps)
    elif config.beta_schedule == "scaled_linear":
        values = np.linspace(start**0.5, end**0.5, steps) ** 2
    elif config.beta_schedule == "squaredcos_cap_v2":
        # arXiv 2102.09672
        bar = np.cos((np.arange(steps + 1) / steps + 0.008) / 1.008 * np.pi / 2) ** 2
        values = np.minimum(1 - bar[1:] / bar[:-1], 0.999)
    else:
        # rarer ones, as the scheduler computes them
        return _with_signal(scheduler.betas.double().numpy())
    return _with_signal(_without_final_signal(values) if config.get("rescale_betas_zero_snr") else values)


def _without_final_signal(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Betas whose square roots of abar are shifted and stretched so that the last is 0 and the first stays."""
    root = np.sqrt(np.cumprod(1 - values))
    bar = ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2
    return 1 - np.append(bar[0], bar[1:] / bar[:-1])


def _with_signal(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[:-1] if values.size > 2 and values[-1] > _NO_SIGNAL else values


def _ddpm(values: NDArray[np.float64], config: Any) -> DDPM:
    """A schedule of the betas, by its name if they have one."""
    schedule = DDPM(tuple(values.tolist()))
    names = {"linear": "linear", "scaled_linear": "scaled_linear", "squaredcos_cap_v2": "cosine"}
    name: Any = names.get(config.get("beta_schedule"))
    if name is None or schedule.steps != config.num_train_timesteps:
        return schedule
    known, times = DDPM(name, schedule.steps), np.arange(schedule.steps)
    return known if np.allclose(known.log_snr(times), schedule.log_snr(times), rtol=0, atol=1e-9) else schedule
