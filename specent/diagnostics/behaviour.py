r"""Questions that need no data: finite, right at both ends of the noise, the same however it is called.

For the exact denoiser :math:`E|D - x|^2 \le \sigma^2 d`, for :math:`D - x = E[x_0 - x | x]`, and as the noise grows
:math:`D` tends to the mean of the data. How much is left of its variation follows, for weak signals, from the
covariance of the data, :math:`\sum_i \lambda_i^2/(\lambda_i + \sigma^2)` with its eigenvalues :math:`\lambda_i` (arXiv
math/0412108).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from specent.diagnostics.labelled_data import Examples
from specent.diagnostics.network_probe import Probe
from specent.diagnostics.report import Line, Verdict
from specent.diagnostics.subject import Subject

_SWEEP = 16
_STATES = 4
_ENDS = 32
_BATCH = 6
# deviation of samples, relative to the largest noise level, beyond which that does not swamp them
_SWAMPED = 0.3
# of differences relative to what they are differences of: beyond the first a warning, beyond the second a failure
_ROUNDING = (1e-5, 1e-3)


def sweep_cost(trial: Subject) -> int:
    """How many states `finite` denoises at most."""
    return _SWEEP * _STATES * len(trial.conditions)


def finite(trial: Subject) -> Line:
    """Whether outputs are finite at every noise level and under every condition that is tried."""
    levels = trial.probe.levels(trial.low, trial.high, _SWEEP)
    count = 0
    for stream, level in enumerate(levels):
        for condition in trial.conditions:
            x = _states(trial, float(level), stream)
            denoised = trial.probe.denoise(x, float(level), trial.repeated(condition, len(x)))
            count += len(x)
            if not torch.isfinite(denoised).all():
                what = "a NaN" if denoised.isnan().any() else "an infinity"
                return Line(
                    "finite", "fail", f"{what} at noise level {level:.5g} under the condition {trial.name(condition)}",
                    "numbers that leave the range of half precision (beyond 65504), a division by zero, or a time "
                    "outside of what the network knows",
                    "run the network in single precision or bfloat16; compare the range of noise levels with its own",
                )  # fmt: skip
    return Line("finite", "pass", f"{count} outputs from noise level {levels[0]:.3g} to {levels[-1]:.3g} are finite")


def _states(trial: Subject, level: float, stream: int) -> Tensor:
    """A few noisy examples, or noise alone."""
    if trial.examples is not None:
        return trial.examples.first(_STATES).noisy(level, stream)
    generator = torch.Generator().manual_seed(1_000_003 * trial.seed + stream)
    noise = torch.randn(_STATES, *trial.model.shape, generator=generator, dtype=torch.float64)
    return level * noise.to(trial.device)


def ends_cost(trial: Subject) -> int:
    """How many states the lines about the two ends denoise at most."""
    return _ENDS * (1 + len(trial.conditions))


def clean_end(trial: Subject, examples: Examples) -> Line:
    """Whether the denoiser leaves a state alone that has hardly any noise."""
    few = examples.first(_ENDS)
    level = float(trial.probe.levels(trial.low, trial.high, 2)[0])
    x = few.noisy(level, 100)
    moved = float((trial.probe.denoise(x, level, few.classes) - x).square().mean().sqrt())
    # single precision rounds a state of this size
    share = max(0.0, moved - 1e-6 * float(x.square().mean().sqrt())) / level
    figure = f"|D - x| is {share:.2f} of the noise at noise level {level:.3g} (exact: at most 1){_own(examples)}"
    verdict = _graded(share, 1.2, 3.0)
    if verdict == "pass":
        return Line("clean end", verdict, figure)
    return Line(
        "clean end", verdict, figure,
        "the wrong prediction type, states in the wrong scale, a time that runs the other way, or images in other "
        "units than those the model was trained in",
        "compare the lines 'prediction', 'input scale', 'schedule' and 'time'; for images from -1 to 1 say so, not "
        "0 to 1",
    )  # fmt: skip


def noisy_end(trial: Subject, examples: Examples) -> Line:
    """Whether the denoiser tends to the mean of the data where the noise swamps it."""
    few = examples.first(_ENDS)
    level = float(trial.probe.levels(trial.low, trial.high, 2)[-1])
    values, size = few.spectrum, few.size
    spread = few.variance**0.5
    expected = float((values**2 / (values + level**2)).sum() / size) ** 0.5
    varied = []
    for condition in trial.conditions:
        denoised = trial.probe.denoise(few.noisy(level, 101), level, trial.repeated(condition, len(few)))
        varied.append(float(denoised.var(0, unbiased=True).mean()) if len(few) > 1 else 0.0)
    worst = int(np.argmax(varied))
    found = varied[worst] ** 0.5
    where = trial.name(trial.conditions[worst])
    figure = (
        f"at noise level {level:.4g} D varies by {found / spread:.3f} of the data's deviation under {where} "
        f"({expected / spread:.3f} expected){_own(examples)}"
    )
    if examples.own and spread > _SWAMPED * level:
        return Line(
            "noisy end", "warn", f"samples of the model itself have a deviation of {spread:.3g} at noise levels up to "
            f"{level:.4g}",
            "the model does not denoise, or its data are larger than the noise that is to swamp them",
            "give data; give levels= up to ten times the deviation of the data",
        )  # fmt: skip
    if found <= 2 * expected + 0.15 * spread:
        return Line("noisy end", "pass", figure)
    if found <= 2 * expected + 0.2 * level:
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


def _own(examples: Examples) -> str:
    return ", on samples of the model itself" if examples.own else ""


def _graded(value: float, good: float, bad: float) -> Verdict:
    return "pass" if value <= good else "warn" if value <= bad else "fail"


def calls_cost(trial: Subject) -> int:
    """How many states the lines about calls denoise at most."""
    return 6 * _BATCH + 2 * len(trial.conditions)


def _mixed(trial: Subject, examples: Examples) -> tuple[Tensor, float, Tensor]:
    """Half a dozen states under as many conditions as there are, at a noise level of the data's size."""
    few = examples.first(_BATCH)
    middle = min(max(few.variance**0.5, trial.low), trial.high)
    level = float(trial.probe.levels(middle, middle, 1)[0])
    conditions = [trial.conditions[place % len(trial.conditions)] for place in range(len(few))]
    return few.noisy(level, 102), level, torch.tensor(conditions, device=trial.device)


def repeatable(trial: Subject, examples: Examples) -> Line:
    """Whether the same call gives the same twice."""
    x, level, conditions = _mixed(trial, examples)
    first, again = (trial.probe.denoise(x, level, conditions) for _ in range(2))
    gap = _relative(first, again)
    figure = f"the same call twice differs by {gap:.2g} of the output"
    if gap <= _ROUNDING[0]:
        return Line("repeatable", "pass", figure)
    return Line(
        "repeatable", _graded(gap, *_ROUNDING), figure,
        "dropout or another random layer is on", "call .eval() on the network before it is wrapped",
    )  # fmt: skip


def batches(trial: Subject, examples: Examples) -> Line:
    """Whether a state is denoised the same alone, in another order, and beside other conditions."""
    x, level, conditions = _mixed(trial, examples)
    whole = trial.probe.denoise(x, level, conditions)
    single = torch.cat([trial.probe.denoise(x[i : i + 1], level, conditions[i : i + 1]) for i in range(len(x))])
    turned = trial.probe.denoise(x.flip(0), level, conditions.flip(0)).flip(0)
    every = torch.tensor(trial.conditions, device=trial.device)
    together = trial.probe.candidates(x[:2], level, every)
    ways = {
        "alone": _relative(whole, single),
        "in another order": _relative(whole, turned),
        "under all conditions at once": max(
            _relative(together[i, [trial.conditions.index(int(conditions[i]))]], whole[i : i + 1])
            for i in range(min(2, len(x)))
        ),
    }
    worst = max(ways, key=lambda name: ways[name])
    figure = f"a state denoised {worst} differs by {ways[worst]:.2g} of the output"
    if ways[worst] <= 10 * _ROUNDING[0]:
        return Line("batches", "pass", figure)
    return Line(
        "batches", _graded(ways[worst], 10 * _ROUNDING[0], _ROUNDING[1]), figure,
        "the network uses the first condition for all of a batch, or statistics of the batch (normalisation in "
        "training mode), or computes in half precision",
        "hand every state its own condition, and call .eval() on the network",
    )  # fmt: skip


def _relative(first: Tensor, second: Tensor) -> float:
    """Largest difference over the root mean square of the first."""
    scale = float(first.square().mean().sqrt())
    return float((first - second).abs().max()) / max(scale, 1e-300)


def precision_cost(trial: Subject) -> int:
    """How many states `precision` denoises at most."""
    return 2 * _BATCH * 4


def precision(trial: Subject, examples: Examples) -> Line:
    """What rounding does to differences of denoisers, by a copy of the network in double precision."""
    twin = trial.probe.in_double_precision()
    if isinstance(twin, str):
        return Line("precision", "skip", twin)
    if len(trial.conditions) < 2:
        return Line("precision", "skip", "one condition has no difference to another")
    try:
        gap, level = _rounded(trial, examples, twin)
    except Exception as error:
        return Line("precision", "skip", f"the copy in double precision raised {type(error).__name__}")
    figure = f"rounding changes differences of conditions by {gap:.2g} of their size at noise level {level:.3g}"
    if gap <= 0.01:
        return Line("precision", "pass", figure)
    return Line(
        "precision", _graded(gap, 0.01, 0.1), figure,
        "the network computes in half precision or TF32 inside",
        "run it in single precision: evidence is the square of these differences, divided by that of the noise",
    )  # fmt: skip


def _rounded(trial: Subject, examples: Examples, twin: Probe) -> tuple[float, float]:
    """The worst share that rounding has in the difference of two conditions, and the noise level where it is."""
    few = examples.first(_BATCH)
    spread = few.variance**0.5
    first, second = trial.conditions[:2]
    worst = (0.0, 0.0)
    for stream, level in enumerate(trial.probe.levels(max(trial.low, 0.1 * spread), min(trial.high, 3 * spread), 2)):
        x = few.noisy(float(level), 103 + stream)
        single, double = (
            probe.denoise(x, float(level), trial.repeated(first, len(x)))
            - probe.denoise(x, float(level), trial.repeated(second, len(x)))
            for probe in (trial.probe, twin)
        )
        size = float(double.square().mean().sqrt())
        if size > 0:
            worst = max(worst, (float((single - double).square().mean().sqrt()) / size, float(level)))
    return worst
