r"""A second's look at a model before a run: what can be seen wrong of a denoiser without data.

The exact denoiser :math:`D(x, \sigma) = E[x_0 | x]` returns the same for the same call, whatever else is in the batch;
it stays within :math:`\sigma` of the state, for :math:`E|D - x|^2 \le \sigma^2 d`; in pure noise it hardly follows the
noise, for :math:`E\,\varepsilon\cdot D = E|x_0 - D|^2/\sigma` is at most the variance of the data over :math:`\sigma`.
The data for it are samples that the model makes itself, in a few steps.

A model that passes this may still be wrong: noise levels that are all told too large by the same factor, for one, are
those of a right denoiser of other data. `specent.check` says more, with data.
"""

from __future__ import annotations

import math
import warnings
import weakref
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from specent.errors import SpecentWarning
from specent.models.base import Model
from specent.models.protocol import ProtocolModel
from specent.sampling.setup import Setup

PROPORTION = 200
"""A run has at least so many times the evaluations of its preflight; a smaller one goes without."""

_STEPS = 8
_FEWEST, _MOST, _NUMBERS = 4, 32, 256

# by how much two outputs may differ, relative to their size: rounding, and kernels that depend on the batch
_REPEAT, _BATCH = 1e-3, 1e-2
# |D - x| at the clean end, in units of the noise
_CLEAN = 1.4
# how much of the noise may be left in pure noise: in deviations of the samples, and of the noise itself
_FOLLOWS, _OWN_ERROR = 2.0, 0.1
# deviation of the model's samples, in units of the noise in which they start
_SWAMPED = 0.5


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a model: a name, what was seen, and what it may come from."""

    name: str
    text: str
    hint: str


@dataclass(frozen=True, eq=False)
class Trial:
    """States of a short run: the start, its denoised data, and the samples in which it ended."""

    noise: Tensor
    level: float
    first: Tensor
    samples: Tensor
    conditions: Tensor


_PASSED: dict[int, weakref.ref[object]] = {}


def mark_passed(model: Model) -> None:
    """Note that a model has passed `specent.check` with data, so that no preflight is needed."""
    thing = _identity(model)
    with suppress(TypeError):  # a class with slots alone cannot be remembered
        _PASSED[id(thing)] = weakref.ref(thing)


def has_passed(model: Model) -> bool:
    """Whether a model needs no preflight: it has passed a check, or is exact."""
    thing = _identity(model)
    known = _PASSED.get(id(thing))
    return model.exact or (known is not None and known() is thing)


def _identity(model: Model) -> object:
    # an object that follows the protocol is wrapped anew every time
    return model.net if isinstance(model, ProtocolModel) else model


def is_worthwhile(setup: Setup) -> bool:
    """Whether a run is large enough for a preflight to cost next to nothing."""
    return setup.evaluations >= PROPORTION * preflight_evaluations(setup)


def preflight_states(setup: Setup) -> int:
    """How many states the preflight works with: fewer of larger ones."""
    return max(_FEWEST, min(_MOST, _NUMBERS // setup.features))


def preflight_evaluations(setup: Setup) -> int:
    """How many states the network denoises in the preflight."""
    return preflight_states(setup) * (_STEPS + 3) + 2


def preflight(setup: Setup) -> list[Finding]:
    """Look at a model for about a second.

    Parameters
    ----------
    setup : Setup
        The run, with its model on its device.

    Returns
    -------
    list of Finding
        Empty if nothing is wrong, or if the model raises: the run itself says that, and where.
    """
    try:
        with torch.no_grad(), np.errstate(all="ignore"):
            return list(_findings(setup))
    except Exception:
        return []


def _findings(setup: Setup) -> Iterator[Finding]:
    """Everything that is wrong; later ones are left out where they rest on what is wrong already."""
    short = _short_run(setup)
    if short is None:
        yield Finding(
            "finite", "the outputs of a short run hold a NaN or an infinity",
            "numbers beyond the range of half precision, a division by zero, or times that the network does not know",
        )  # fmt: skip
        return
    yield from _calls(setup, short)
    yield from _clean_end(setup, short)
    yield from _noisy_end(setup, short)


def _denoise(setup: Setup, x: Tensor, level: float, conditions: Tensor) -> Tensor:
    return setup.model.denoise(x, level, conditions.clone()).to(torch.float64)


def _gaussian(setup: Setup, count: int, stream: int) -> Tensor:
    generator = torch.Generator().manual_seed(stream)
    noise = torch.randn(count, *setup.model.shape, generator=generator, dtype=torch.float64)
    return noise.to(setup.device)


def _short_run(setup: Setup) -> Trial | None:
    """A few steps of the chain from pure noise to samples; None if an output is not finite."""
    count = preflight_states(setup)
    spread = np.linspace(0, len(setup.drivers) - 1, count).round().astype(int)
    conditions = setup.conditions[[setup.index[setup.drivers[i]] for i in spread]]
    levels = setup.noise_level[np.unique(np.linspace(0, len(setup.time) - 1, _STEPS).round().astype(int))]
    noise = _gaussian(setup, count, 0)
    x, outputs = float(levels[-1]) * noise, []
    for i in reversed(range(len(levels))):
        outputs.append(_denoise(setup, x, float(levels[i]), conditions))
        if not torch.isfinite(outputs[-1]).all():
            return None
        if i:
            # the step of noise levels alone: state over alpha, as models take it
            low, keep = float(levels[i - 1]), float(levels[i - 1] / levels[i]) ** 2
            x = keep * x + (1 - keep) * outputs[-1] + low * (1 - keep) ** 0.5 * _gaussian(setup, count, i)
    return Trial(noise, float(levels[-1]), outputs[0], outputs[-1], conditions)


def relative_gap(first: Tensor, second: Tensor) -> float:
    """Largest difference of two outputs, relative to the root mean square of the first.

    Examples
    --------
    >>> relative_gap(torch.tensor([2.0, -2.0]), torch.tensor([2.0, -1.0]))
    0.5
    """
    scale = float(first.square().mean().sqrt())
    return float((first - second).abs().max()) / max(scale, 1e-300)


def noise_displacement(denoised: Tensor, x: Tensor, level: float, rounding: float) -> float:
    """How far states are moved, in units of their noise: at most 1 where there is little, less rounding of their size.

    Examples
    --------
    >>> noise_displacement(torch.zeros(4), torch.full((4,), 0.5), 0.25, rounding=0.0)
    2.0
    """
    moved = float((denoised - x).square().mean().sqrt())
    return max(0.0, moved - rounding * float(x.square().mean().sqrt())) / level


def _deviation(samples: Tensor) -> float:
    """Root mean square deviation of a number of the samples from its mean."""
    return math.sqrt(float(samples.var(0, unbiased=True).mean()))


def _level(setup: Setup, wanted: float) -> float:
    """The noise level of the grid that is nearest."""
    nearest = int(np.abs(np.log(setup.noise_level / wanted)).argmin())
    return float(setup.noise_level[nearest])


def _calls(setup: Setup, short: Trial) -> Iterator[Finding]:
    """The same call gives the same, whatever else is in the batch."""
    level = _level(setup, max(_deviation(short.samples), 1e-30))
    x = short.samples + level * _gaussian(setup, len(short.samples), 100)
    first, again = (_denoise(setup, x, level, short.conditions) for _ in range(2))
    gap = relative_gap(first, again)
    if not gap <= _REPEAT:
        yield Finding(
            "repeatable", f"the same call twice differs by {gap:.2g} of the output",
            "dropout or another random layer is active: call .eval() on the network before it is wrapped",
        )  # fmt: skip
        return
    # not one alone, which some layers refuse in training mode
    pair = _denoise(setup, x[:2], level, short.conditions[:2])
    gap = relative_gap(first, torch.cat([pair, first[2:]]))
    if not gap <= _BATCH:
        yield Finding(
            "batches", f"two states denoised by themselves differ by {gap:.2g} of the output from the same in a batch",
            "normalisation in training mode, or the first condition taken for all of a batch: call .eval() on the "
            "network, and hand every state its own condition",
        )  # fmt: skip


def _clean_end(setup: Setup, short: Trial) -> Iterator[Finding]:
    """Where there is hardly any noise the state is left alone."""
    level = float(setup.noise_level[0])
    x = short.samples + level * _gaussian(setup, len(short.samples), 101)
    # half precision inside the network may round a state by so much of its size
    share = noise_displacement(_denoise(setup, x, level, short.conditions), x, level, rounding=3e-4)
    if not share <= _CLEAN:
        yield Finding(
            "clean end", f"at noise level {level:.3g} a state is moved by {share:.3g} times its noise; 1 is the most",
            "the prediction type (noise read as data?), the scale of the states, or a time that runs the other way",
        )  # fmt: skip


def _noisy_end(setup: Setup, short: Trial) -> Iterator[Finding]:
    """In pure noise the denoised data do not follow the noise, and a run takes the noise away."""
    spread = _deviation(short.samples)
    if not spread <= _SWAMPED * short.level:
        yield Finding(
            "noisy end", f"samples of a short run deviate by {spread:.3g}, but it starts in noise of {short.level:.3g}",
            "noise is left in the denoised data (data read as noise, the wrong scale or time?), or the grid should "
            "end at more noise",
        )  # fmt: skip
        return
    centred = short.first - short.first.mean(0)
    size = float(centred.square().mean().sqrt())
    follows = float((centred * short.noise).mean())
    # of what is no noise, some agrees with it by chance
    chance = 5 * max(0.0, size**2 - follows**2) ** 0.5 / centred.numel() ** 0.5
    # the error of a network that predicts the noise is multiplied by the noise level
    allowed = _OWN_ERROR * short.level if getattr(setup.model, "prediction", "data") != "data" else 0.0
    if abs(follows) > max(_FOLLOWS * spread, allowed) + chance and abs(follows) > 0.5 * size:
        yield Finding(
            "noisy end", f"at noise level {short.level:.3g} the denoised data hold {follows:.3g} times the noise, and "
            f"samples deviate by {spread:.3g} only",
            "the prediction type (data read as noise, or noise as data?), the scale of the states, or a time that runs "
            "the other way",
        )  # fmt: skip


def warn_of_findings(findings: list[Finding]) -> None:
    """One warning about all that was found, if anything was."""
    if findings:
        lines = "; ".join(f"'{finding.name}': {finding.text} ({finding.hint})" for finding in findings)
        warnings.warn(
            f"a look at the model before the run finds it wrong: {lines}. See specent.check(model, images, labels); "
            "check=False leaves this out",
            SpecentWarning,
            stacklevel=6,
        )
