r"""Is the denoiser right at both ends of the noise?

For the exact denoiser :math:`E|D - x|^2 \le \sigma^2 d`, for :math:`D - x = E[x_0 - x | x]`, and as the noise grows
:math:`D` tends to the mean of the data. How much is left of its variation follows, for weak signals, from the
covariance of the data, :math:`\sum_i \lambda_i^2/(\lambda_i + \sigma^2)` with its eigenvalues :math:`\lambda_i` (arXiv
math/0412108).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from specent.diagnostics.checks.contract import FINITE, STATES, Check
from specent.diagnostics.findings import Findings
from specent.diagnostics.report import Line, grade
from specent.sampling.preflight import noise_displacement

_STATES = 32
# deviation of samples, relative to the largest noise level, beyond which that does not swamp them
_SWAMPED = 0.3
# of the noise that the denoiser moves a nearly clean state by: beyond the first a warning, beyond the second a failure
_MOVED = (1.2, 3.0)
# single precision rounds a state by so much of its size
_ROUNDING = 1e-6


@dataclass(frozen=True)
class _CleanEnd:
    """The smallest noise level, and the share of its noise by which the denoiser moves a state."""

    level: float
    share: float


def _measure_clean(findings: Findings) -> _CleanEnd:
    examples = findings.clean_states.first(_STATES)
    level = float(findings.probe.levels(findings.low, findings.high, 2)[0])
    x = examples.noisy(level, 100)
    denoised = findings.probe.denoise(x, level, examples.classes)
    return _CleanEnd(level, noise_displacement(denoised, x, level, _ROUNDING))


def _judge_clean(findings: Findings, end: _CleanEnd) -> Line:
    """Whether the denoiser leaves a state alone that has hardly any noise."""
    figure = f"|D - x| is {end.share:.2f} of the noise at noise level {end.level:.3g} (exact: at most 1)"
    figure += _source(findings)
    verdict = grade(end.share, *_MOVED)
    if verdict == "pass":
        return Line("clean end", verdict, figure)
    return Line(
        "clean end", verdict, figure,
        "the wrong prediction type, states in the wrong scale, a time that runs the other way, or images in other "
        "units than those the model was trained in",
        "compare the lines 'prediction', 'input scale', 'schedule' and 'time'; for images from -1 to 1 say so, not "
        "0 to 1",
    )  # fmt: skip


@dataclass(frozen=True)
class _NoisyEnd:
    """The largest noise level, the deviation of the data, and the expected and the largest deviation of D."""

    level: float
    spread: float
    expected: float
    largest: float
    condition: str


def _measure_noisy(findings: Findings) -> _NoisyEnd:
    examples = findings.clean_states.first(_STATES)
    level = float(findings.probe.levels(findings.low, findings.high, 2)[-1])
    values, size = examples.spectrum, examples.size
    expected = float((values**2 / (values + level**2)).sum() / size) ** 0.5
    variances = []
    for condition in findings.conditions:
        x = examples.noisy(level, 101)
        denoised = findings.probe.denoise(x, level, findings.batch_of(condition, len(examples)))
        variances.append(float(denoised.var(0, unbiased=True).mean()) if len(examples) > 1 else 0.0)
    worst = int(np.argmax(variances))
    name = findings.name(findings.conditions[worst])
    return _NoisyEnd(level, examples.variance**0.5, expected, variances[worst] ** 0.5, name)


def _judge_noisy(findings: Findings, end: _NoisyEnd) -> Line:
    """Whether the denoiser tends to the mean of the data where the noise swamps it."""
    figure = (
        f"at noise level {end.level:.4g} D varies by {end.largest / end.spread:.3f} of the data's deviation under "
        f"{end.condition} ({end.expected / end.spread:.3f} expected){_source(findings)}"
    )
    if findings.clean_states.own and end.spread > _SWAMPED * end.level:
        return Line(
            "noisy end", "warn", f"samples of the model itself have a deviation of {end.spread:.3g} at noise levels "
            f"up to {end.level:.4g}",
            "the model does not denoise, or its data are larger than the noise that is to swamp them",
            "give data; give levels= up to ten times the deviation of the data",
        )  # fmt: skip
    if end.largest <= 2 * end.expected + 0.15 * end.spread:
        return Line("noisy end", "pass", figure)
    if end.largest <= 2 * end.expected + 0.2 * end.level:
        return Line(
            "noisy end", "warn", figure,
            "the error of the network itself, which a noise prediction multiplies by sigma / alpha; or a wrong one",
            "end the grid at lower noise, where the data is swamped already but the network is better",
        )  # fmt: skip
    return Line(
        "noisy end", "fail", figure,
        "the wrong prediction type, states in the wrong scale, or a time that runs the other way: noise is left in D",
        "compare the lines 'prediction', 'input scale', 'schedule' and 'time'",
    )  # fmt: skip


def _source(findings: Findings) -> str:
    return ", on samples of the model itself" if findings.clean_states.own else ""


CLEAN_END = Check("clean end", _measure_clean, _judge_clean, needs=(FINITE, STATES))
NOISY_END = Check("noisy end", _measure_noisy, _judge_noisy, needs=(FINITE, STATES))
