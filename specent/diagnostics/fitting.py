r"""Questions about errors on data: does another reading of the same network denoise better?

The right reading minimises :math:`E|D - x_0|^2`, so every other one must be worse (arXiv 2206.00364). Errors are
counted in units of :math:`\sigma^2 v/(\sigma^2 + v)`, those of a linear denoiser of data with variance v, so that all
noise levels count alike; comparisons are paired, over the same states.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from torch import Tensor

from specent.diagnostics.labelled_data import Examples
from specent.diagnostics.network_probe import Array, SchedulePoint
from specent.diagnostics.paired_differences import Difference, difference, mostly_smaller, z_text
from specent.diagnostics.report import Line
from specent.diagnostics.subject import Subject
from specent.errors import SpecentError
from specent.models.predictions import PREDICTIONS, to_data

# no single state counts for more than this many linear denoisers' errors
MOST = 100.0
# by how much, relatively, another reading must be better before the declared one is called wrong
_BETTER = 0.1
# an error below this share of that of D = x is rounding
_ROUNDING = 0.01
# how often an unsettled comparison is tried with other noise, at most, and with how many numbers in all
_ROUNDS, _NUMBERS = 8, 2**18
# of the error of a linear denoiser, beyond which a reading is no reading
USELESS = 1.1
# an output may also be of the opposite sign: a flow from noise to data, for instance
READINGS = (*PREDICTIONS, "-noise", "-v", "-score", "-velocity")

DECLARED = "the network's own schedule"

_SCALES = {
    DECLARED: None,
    "x_0 + sigma noise (EDM, VE)": lambda level: 1.0,
    "variance-preserving (DDPM, VP)": lambda level: (1 + level**2) ** -0.5,
    "flow matching": lambda level: 1 / (1 + level),
}
_MEND_SCALE = {
    "x_0 + sigma noise (EDM, VE)": "schedule=specent.schedules.VE(), or hand the state divided by alpha",
    "variance-preserving (DDPM, VP)": (
        "schedule=specent.schedules.DDPM(...) or VP(), or hand the state divided by sqrt(1 + sigma^2)"
    ),
    "flow matching": "schedule=specent.schedules.FlowMatching(), or hand the state divided by 1 + sigma",
}


@dataclass(frozen=True)
class Fits:
    """Errors of every reading of the network, by scale of the input and prediction type, shape (levels, n)."""

    levels: Array
    units: Array
    size: int
    errors: dict[tuple[str, str], Array]
    declared: tuple[str, str]
    rounds: int = 1

    def mean(self, reading: tuple[str, str]) -> Array:
        """Error of every example over all levels, in units, shape (n,)."""
        return np.asarray(np.minimum(self.errors[reading] / self.units[:, None], MOST).mean(axis=0))

    def total(self, reading: tuple[str, str]) -> float:
        """The mean of it."""
        return float(self.mean(reading).mean())

    @property
    def useless(self) -> bool:
        """Whether no reading denoises as well as a linear filter."""
        return self.total(self.best) > USELESS

    @cached_property
    def best(self) -> tuple[str, str]:
        """The reading that fits best, the declared one if none is significantly better."""
        found = min(self.errors, key=self.total)
        # of two things that may be wrong, neither is called so if the other explains it all
        for rival in (self.declared, (self.declared[0], found[1]), (found[0], self.declared[1])):
            if not self._better(found, rival):
                return rival
        return found

    def _better(self, found: tuple[str, str], than: tuple[str, str]) -> bool:
        """Whether a reading is significantly better than another, and not by little at few noise levels only."""
        if not difference(self.mean(than), self.mean(found)).significant:
            return False
        # at some noise levels a poor network may like to be misread
        clear = self.total(found) < (1 - _BETTER) * self.total(than)
        return clear or mostly_smaller(
            *(np.minimum(self.errors[one] / self.units[:, None], MOST) for one in (than, found))
        )

    def compared(self, part: int) -> tuple[tuple[str, str], tuple[str, str], Difference]:
        """What is declared of the scale (part 0) or the prediction (1), the rival nearest to it, and the difference.

        The other part is at its best.
        """
        pairs = [(self.declared[0], self.best[1]), (self.best[0], self.declared[1])]
        declared = pairs[part]
        rivals = [
            reading for reading in self.errors if reading[1 - part] == self.best[1 - part] and reading != declared
        ]
        nearest = min(rivals, key=self.total, default=declared) if self.best[part] == declared[part] else self.best
        return declared, nearest, difference(self.mean(nearest), self.mean(declared))

    @property
    def settled(self) -> bool:
        """Whether more noise would change nothing."""
        numbers = len(self.mean(self.declared)) * self.size
        if self.rounds >= min(_ROUNDS, max(1, _NUMBERS // numbers)) or self.best != self.declared:
            return True
        return all(gap.significant or nearest == declared for declared, nearest, gap in map(self.compared, (0, 1)))

    def joined(self, other: Fits) -> Fits:
        """The mean over the noise of both."""
        total = self.rounds + other.rounds
        errors = {
            reading: (self.rounds * value + other.rounds * other.errors[reading]) / total
            for reading, value in self.errors.items()
        }
        return replace(self, errors=errors, rounds=total)


def fits_cost(trial: Subject) -> int:
    """About how many states `fits` denoises: one round of noise."""
    examples = needed(trial)
    levels = trial.error_levels()
    return len(examples) * sum(len(scales(trial.probe.point(float(level)))) for level in levels)


def fits(trial: Subject, examples: Examples) -> Fits:
    """Denoise every example at every level, with the state in every scale, and read the output in every way.

    As often, with other noise, as it takes to tell the readings apart, within limits.
    """
    found = _once(trial, examples, 0)
    while not found.settled:
        found = found.joined(_once(trial, examples, found.rounds))
    return found


def _once(trial: Subject, examples: Examples, number: int) -> Fits:
    levels = trial.error_levels()
    names = {name for level in levels for name in scales(trial.probe.point(float(level)))}
    readings = [(scale, prediction) for scale in _SCALES if scale in names for prediction in READINGS]
    errors: dict[tuple[str, str], list[Array]] = {reading: [] for reading in readings}
    for stream, level in enumerate(levels):
        place, x = trial.probe.point(float(level)), examples.noisy(float(level), 1000 * number + stream)
        factors = scales(place)
        made = {name: trial.probe.output(scale * x, place.time, examples.classes) for name, scale in factors.items()}
        for scale, prediction in readings:
            # where two scales are the same, so are their outputs
            name = scale if scale in made else DECLARED
            alpha = factors[name]
            data = read(prediction, made[name], alpha * x, alpha, alpha * place.level)
            errors[scale, prediction].append(examples.errors(data))
    units = examples.size * levels**2 * examples.variance / (levels**2 + examples.variance)
    kept = {reading: np.nan_to_num(np.stack(value), nan=np.inf) for reading, value in errors.items()}
    return Fits(levels, units, examples.size, kept, (DECLARED, trial.probe.prediction))


def read(prediction: str, output: Tensor, state: Tensor, alpha: float, sigma: float) -> Tensor:
    """The denoised data of an output, which may be of the opposite sign."""
    turned = -output if prediction.startswith("-") else output
    return to_data(prediction.removeprefix("-"), turned, state, alpha, sigma)


def needed(trial: Subject) -> Examples:
    """The data of a trial, for a line that cannot do without."""
    if trial.examples is None:
        raise SpecentError("errors need images")
    return trial.examples


def scales(place: SchedulePoint) -> dict[str, float]:
    """What the state ``x_0 + level * noise`` may be multiplied by, the declared scale first, each once."""
    found = {DECLARED: place.alpha}
    for name, scale in _SCALES.items():
        if scale is not None and abs(scale(place.level) / place.alpha - 1) > 0.01:
            found[name] = scale(place.level)
    return found


def denoising(fit: Fits, examples: Examples) -> Line:
    """Whether the error falls with the noise, and is below that of D = x and of D = the mean of the data."""
    error = fit.errors[fit.declared] / fit.size
    mean = error.mean(axis=1)
    noise, spread = fit.levels**2, examples.variance
    count = error.shape[1]
    slack = 5 * error.std(axis=1, ddof=1) / count**0.5
    trivial = np.minimum(noise, spread)
    share = mean / trivial
    figure = (
        f"error from {mean[0]:.2g} at noise level {fit.levels[0]:.2g} to {mean[-1]:.2g} at {fit.levels[-1]:.2g}; "
        f"{share.min():.2f} to {share.max():.2f} of the better of D = x and D = mean"
    )
    above = mean - slack
    worse = (above > 2 * noise) | ((above > 1.5 * spread) & (above > spread + 0.04 * noise))
    falls = mean[:-1] - slack[:-1] > 2 * (mean[1:] + slack[1:]) + _ROUNDING * noise[:-1]
    if worse.any() or falls.any() or not np.isfinite(mean).all():
        place = int(np.argmax(share)) if worse.any() else int(np.argmax(falls))
        what = "worse than a trivial denoiser" if worse.any() else "the error grows as the noise falls"
        return Line(
            "denoising", "fail", f"{what} at noise level {fit.levels[place]:.3g}; {figure}",
            "the wrong prediction type, scale of the states or clock, weights that were not loaded, or images in other "
            "units than those the model was trained in",
            "fix the other lines that fail first; then compare the range of the images (-1 to 1?) and the weights",
        )  # fmt: skip
    if fit.useless:
        return Line(
            "denoising", "fail", f"read in any way it is worse than a linear filter ({fit.total(fit.best):.3g} of its "
            f"error); {figure}",
            "weights that were not loaded, or images of another kind or range than those the model was trained on",
            "look at samples of the model; compare the range of the images (-1 to 1?) and the weights",
        )  # fmt: skip
    slight = above > 1.05 * trivial
    if slight.any():
        return Line(
            "denoising", "warn", f"{figure}; not better at noise level {fit.levels[int(np.argmax(slight))]:.3g}",
            "the network is poor at this noise level, or was not trained there",
            "keep the grid within the noise levels that it was trained on",
        )  # fmt: skip
    return Line("denoising", "pass", figure)


def prediction(fit: Fits) -> Line:
    """Whether the declared prediction type fits best."""
    found = fit.best[1]
    plain = found.removeprefix("-")
    cause = f"the network predicts {found!r}, not {fit.declared[1]!r}"
    hint = f"say prediction={plain!r}" + (" and return the output with its sign turned" if found != plain else "")
    return _judged("prediction", fit, 1, cause, hint)


def input_scale(fit: Fits) -> Line:
    """Whether the network wants its states in the declared scale."""
    cause = f"the network was trained on states in another scale: {fit.best[0]}"
    return _judged("input scale", fit, 0, cause, f"say {_MEND_SCALE.get(fit.best[0], '')}")


def _judged(name: str, fit: Fits, part: int, cause: str, hint: str) -> Line:
    """The verdict on one of the two parts of a reading."""
    if fit.useless:
        text = "read in any way the network does not denoise"
        return Line(name, "skip", text, hint="fix the line 'denoising' first")
    declared, nearest, gap = fit.compared(part)
    if nearest == declared:
        return Line(name, "skip", "all scales of the states are the same at these noise levels")
    figure = (
        f"error {fit.total(declared):.3g} as declared ({declared[part]}), {fit.total(nearest):.3g} as {nearest[part]}"
    )
    if nearest == fit.best:
        return Line(name, "fail", f"{figure}: less by {z_text(-gap.z)}", cause, hint)
    if gap.significant:
        return Line(name, "pass", f"{figure}: more by {z_text(gap.z)}")
    return Line(
        name, "skip", f"{figure}: no significant difference ({z_text(gap.z)}), these images do not tell them apart",
        hint="give more images, and samples= as many, if you want this settled",
    )  # fmt: skip
