r"""By how many bits does the null condition err, and what is that against the information of the class?

Half the integral of :math:`E|D_c - D_\varnothing|^2` over the signal-to-noise ratio is the information of the class
plus the error of the null condition, see `specent.analysis.null_error`. Guidance pushes along :math:`D_c -
D_\varnothing`: where the error is the larger part, most of the push corrects the null condition and does not tell of
the class. The estimator "null" is too low by the error. Of a short run with its few steps the information is taken
from the path and the error from the integral: the path would charge an exact null condition with bits, as the mixture
of its chains is not the chain of the mixture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from specent.analysis.null_error import null_error
from specent.diagnostics.checks.contract import COMPLETE, FINITE, HAS_NULL, RIGHT_READING, Check, Need
from specent.diagnostics.findings import Findings
from specent.diagnostics.report import Line
from specent.errors import SpecentError

# share of the information of the class that is gained where the class counts as open
_OPEN = 0.9
# bits; less than this in all the labels is no information to compare with
_LEAST = 0.05


@dataclass(frozen=True)
class NullBits:
    """Bits along the short run, each as estimate, lower and upper bound.

    Attributes
    ----------
    information : tuple of float
        Of the class.
    error : tuple of float
        Of the null condition.
    in_the_open : tuple of float
        Of these, how many at noise levels above `level`.
    level : float
        Noise level above which nine tenths of the information are gained.
    """

    information: tuple[float, ...]
    error: tuple[float, ...]
    in_the_open: tuple[float, ...]
    level: float


def _measure(findings: Findings) -> NullBits | str:
    """Information and error along the short run, or why there are none."""
    if not findings.run.known:
        return "the model could not be sampled"
    run = findings.run.value
    reason = run.without_posterior(findings.null)
    if reason:
        return reason
    try:
        table = null_error(run.dataset)
    except SpecentError as refusal:
        return str(refusal)
    path, integral = table.sel(estimator="path"), table.sel(estimator="integral")
    information = path["class_information"].values
    # times ascend from the clean end; the last one at which so much is gained, the first if all of it is rounding
    last = int(np.append(0, np.flatnonzero(information >= _OPEN * information[0]))[-1])
    return NullBits(
        information=_bounds(path.isel(time=0), "class_information"),
        error=_bounds(integral.isel(time=0), "null_error"),
        in_the_open=_bounds(integral.isel(time=last), "null_error"),
        level=float(np.exp(-0.5 * table["log_snr"].values[last])),
    )


def _bounds(table: xr.Dataset, name: str) -> tuple[float, ...]:
    return tuple(float(table[key]) for key in (name, f"{name}_lower", f"{name}_upper"))


def _text(bits: tuple[float, ...]) -> str:
    """Bits with their bounds; errors below a hundredth are rounding."""
    best, lower, upper = (f"{max(value, 0.0):.{2 if value < 10 else 0}f}" for value in bits)
    return f"{best} ({lower} to {upper})"


def _judge(findings: Findings, bits: NullBits | str) -> Line:
    if isinstance(bits, str):
        return Line("null error", "skip", bits)
    figure = (
        f"{_text(bits.error)} bit, of which {_text(bits.in_the_open)} above noise level {bits.level:.3g}, where the "
        f"class is open; the class itself is {_text(bits.information)} bit. 0 is exact, up to tenths of a bit from so "
        "few steps"
    )
    if bits.error[1] <= max(bits.information[0], _LEAST):
        return Line("null error", "pass", figure)
    return Line(
        "null error", "warn", figure,
        "the null condition is not the mixture of the labels; of what guidance pushes along, its error is the larger "
        "part",
        "do not use the estimator 'null', which is too low by that; look at sp.null_error and sp.guidance_price",
    )  # fmt: skip


_TRAINED = Need(
    lambda findings, lines: lines["null"].verdict != "fail", "the null condition was not trained",
    "fix the line 'null' first",
)  # fmt: skip

NULL_BITS = Check("null error", _measure, _judge, needs=(FINITE, HAS_NULL, COMPLETE, RIGHT_READING, _TRAINED))
