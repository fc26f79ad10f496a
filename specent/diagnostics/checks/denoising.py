"""Does the error on data fall with the noise, below that of trivial denoisers and of a linear filter?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from specent.diagnostics.checks.contract import FINITE, IMAGES, Check
from specent.diagnostics.findings import Findings
from specent.diagnostics.labelled_data import Array
from specent.diagnostics.readings import ReadingErrors
from specent.diagnostics.report import Line

# an error below this share of that of D = x is rounding
_ROUNDING = 0.01


@dataclass(frozen=True)
class _Errors:
    """Mean squared error of a number at every noise level as declared, beside that of trivial denoisers.

    `slack` is five standard errors of the mean, `spread` the variance of the data.
    """

    readings: ReadingErrors
    mean: Array
    slack: Array
    spread: float

    @property
    def levels(self) -> Array:
        return self.readings.levels

    @property
    def trivial(self) -> Array:
        """Error of the better of D = x and D = the mean of the data."""
        return np.asarray(np.minimum(self.levels**2, self.spread))

    @property
    def above(self) -> Array:
        """The error beyond doubt."""
        return self.mean - self.slack

    @property
    def worse(self) -> NDArray[np.bool_]:
        """At which levels the network is worse than a trivial denoiser."""
        noise = self.levels**2
        return np.asarray(
            (self.above > 2 * noise) | ((self.above > 1.5 * self.spread) & (self.above > self.spread + 0.04 * noise))
        )

    @property
    def grows(self) -> NDArray[np.bool_]:
        """From which levels on the error grows as the noise falls."""
        noise, above, below = self.levels**2, self.above, self.mean + self.slack
        return np.asarray(above[:-1] > 2 * below[1:] + _ROUNDING * noise[:-1])


def _measure(findings: Findings) -> _Errors:
    readings = findings.readings.value
    errors = readings.errors[readings.declared] / readings.size
    slack = 5 * errors.std(axis=1, ddof=1) / errors.shape[1] ** 0.5
    return _Errors(readings, errors.mean(axis=1), slack, findings.clean_states.variance)


def _judge(findings: Findings, errors: _Errors) -> Line:
    """Whether the error falls with the noise, and is below that of D = x and of D = the mean of the data."""
    readings, levels, mean, worse = errors.readings, errors.levels, errors.mean, errors.worse
    share = mean / errors.trivial
    figure = (
        f"error from {mean[0]:.2g} at noise level {levels[0]:.2g} to {mean[-1]:.2g} at {levels[-1]:.2g}; "
        f"{share.min():.2f} to {share.max():.2f} of the better of D = x and D = mean"
    )
    if worse.any() or errors.grows.any() or not np.isfinite(mean).all():
        index = int(np.argmax(share)) if worse.any() else int(np.argmax(errors.grows))
        what = "worse than a trivial denoiser" if worse.any() else "the error grows as the noise falls"
        return Line(
            "denoising", "fail", f"{what} at noise level {levels[index]:.3g}; {figure}",
            "the wrong prediction type, scale of the states or schedule, weights that were not loaded, or images in "
            "other units than those the model was trained in",
            "fix the other lines that fail first; then compare the range of the images (-1 to 1?) and the weights",
        )  # fmt: skip
    if readings.useless:
        return Line(
            "denoising", "fail", "read in any way it is worse than a linear filter "
            f"({readings.total(readings.best):.3g} of its error); {figure}",
            "weights that were not loaded, or images of another kind or range than those the model was trained on",
            "look at samples of the model; compare the range of the images (-1 to 1?) and the weights",
        )  # fmt: skip
    slight = errors.above > 1.05 * errors.trivial
    if slight.any():
        return Line(
            "denoising", "warn", f"{figure}; not better at noise level {levels[int(np.argmax(slight))]:.3g}",
            "the network is poor at this noise level, or was not trained there",
            "keep the grid within the noise levels that it was trained on",
        )  # fmt: skip
    return Line("denoising", "pass", figure)


DENOISING = Check("denoising", _measure, _judge, needs=(FINITE, IMAGES))
