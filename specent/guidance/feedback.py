r"""Guidance whose scale comes from the evidence that the trajectory itself has gathered (arXiv 2506.06085)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from specent import arguments
from specent.errors import SpecentError
from specent.evidence import namespace
from specent.guidance.base import Array, Setting, checked_interval, interval_text, number_text, zeros


class Feedback(NamedTuple):
    """The running logarithm of r of every trajectory, and the temperature and offset of the steps that update it."""

    log_ratio: Array
    temperature: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True)
class FeedbackGuidance(Setting):
    r"""Guidance that rises while a trajectory lacks evidence for its condition (arXiv 2506.06085).

    The paper takes the learned conditional density for a mixture, :math:`p_\theta(x|c) = \pi\,p(x|c) +
    (1-\pi)\,p(x)`. With :math:`r = p_\theta(x_t|c) / p_\theta(x_t)`, solving for the score of :math:`p(x|c)` gives
    guidance of the scale

    .. math:: w(r) = \frac{r}{r - (1 - \pi)} ,

    near 1 where the state speaks for the condition, large where r is small. The density ratio is estimated along the
    path: :math:`\ln r = 0` at the start, and a step from x to x' adds

    .. math:: \ln r' = \max\Bigl(\ln r + \tau \ln\frac{p(x'|x,c)}{p(x'|x,\varnothing)} + \delta,\; \ln r_\min\Bigr) ,
              \qquad r_\min = (1-\pi) \frac{w_\max}{w_\max - 1}

    with the transitions that the chain itself uses: for :math:`\tau = 1, \delta = 0` the evidence of the path. An
    offset :math:`\delta < 0` makes guidance rise unless evidence comes in, :math:`\tau` says how much a piece of
    evidence counts. Both follow from two points among the T network evaluations, which are counted from 1 (noise) down
    to 0 (data):

    .. math:: \delta = \frac{1}{(1 - t_0)\,T} \ln\frac{(1-\pi)\,w_\text{ref}}{w_\text{ref} - 1} , \qquad
              \tau = \frac{2 s_1^2\,|\delta|}{\Delta^2}

    so that the offset alone would bring w to :math:`w_\text{ref}` at :math:`t_0`, and predictions that lie
    :math:`\Delta` apart balance it at :math:`t_1`, where :math:`s_1^2` is the variance of the transition.

    From the paper are the mixture, w(r), the start at 0, an update with a temperature and an offset that follow from
    :math:`t_0` and :math:`t_1`, and the bound on r that follows from the largest scale. A reading of it, to be checked
    before numbers are compared with its own, are the two formulas above with :math:`w_\text{ref} = 3` and
    :math:`\Delta^2 = 10`; that T counts noise levels, of which the first stands at 1; that the running ln r itself is
    kept above its bound, so that guidance ends as soon as evidence comes, and has no upper one; and that :math:`\Delta`
    and :math:`s_1` are measured in the coordinates :math:`x/\alpha`, where all schedules are alike.

    Parameters
    ----------
    pi : float
        Share of the true conditional density in the learned one, above 0 and below 1. The smaller, the stronger is
        guidance.
    t_0 : float, optional
        Where the offset alone would reach `reference`: share of the evaluations that are left, from 0 to below 1. By
        default there is no offset.
    t_1 : float, optional
        Where predictions `gap` apart balance the offset, from 0 to 1; needs `t_0`. By default the temperature is 1.
    largest : float
        Bound on the scale, above ``1 / pi``, up to 1e6.
    reference : float
        The scale that `t_0` refers to, above ``1 / pi`` and at most `largest`.
    gap : float
        Squared distance between the means of the two transitions that counts as typical at `t_1`; 10 suits latents of
        64 x 64 x 4, smaller data need less. From 1e-12 to 1e12.
    interval : tuple of float
        ``(sigma_lo, sigma_hi)``: guidance applies where ``sigma_lo < sigma / alpha <= sigma_hi``; evidence is gathered
        everywhere.

    Raises
    ------
    SpecentError
        If a number is out of range, or they do not fit together.

    Examples
    --------
    >>> exact = FeedbackGuidance(pi=0.9)
    >>> exact.scale_at(1.0, Feedback(np.log([0.1125, 1.0, 9.0]))).round(3).tolist()
    [9.0, 1.111, 1.011]
    >>> str(FeedbackGuidance(pi=0.999, t_0=0.5, t_1=0.4))
    'feedback pi=0.999 t_0=0.5 t_1=0.4 w<=10'
    """

    pi: float
    t_0: float | None = None
    t_1: float | None = None
    largest: float = 10.0
    reference: float = 3.0
    gap: float = 10.0
    interval: tuple[float, float] = (0.0, math.inf)
    kind: ClassVar[str] = "feedback"
    formula: ClassVar[str] = (
        "; settings with feedback (see guidance_definition): w = r / (r - (1 - pi)) of every trajectory, at most "
        "guidance_scale, where ln r starts at 0 and a step adds tau ln(p(x'|x,class) / p(x'|x,null)) + delta"
    )
    per_trajectory: ClassVar[bool] = True

    def __post_init__(self) -> None:
        fields: dict[str, Any] = {
            "pi": arguments.number(self.pi, "pi", above=0, below=1),
            "t_0": None if self.t_0 is None else arguments.number(self.t_0, "t_0", least=0, below=1),
            "t_1": None if self.t_1 is None else arguments.number(self.t_1, "t_1", least=0, most=1),
            "largest": arguments.number(self.largest, "largest", above=1, most=1e6),
            "reference": arguments.number(self.reference, "reference", above=1, most=1e6),
            "gap": arguments.number(self.gap, "gap", least=1e-12, most=1e12),
            "interval": checked_interval(self.interval),
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)
        if self.t_1 is not None and self.t_0 is None:
            raise SpecentError(f"t_1={self.t_1:g} balances an offset, and there is none; give t_0 too")
        if self.largest * self.pi <= 1:
            raise SpecentError(
                f"largest={self.largest:g} must be above 1/pi={1 / self.pi:g}, where guidance starts; raise one of them"
            )
        if self.t_0 is not None and not 1 < self.reference * self.pi <= self.largest * self.pi:
            raise SpecentError(
                f"reference={self.reference:g} must be above 1/pi={1 / self.pi:g}, where guidance starts, and at most "
                f"largest={self.largest:g}"
            )

    @property
    def numbers(self) -> tuple[float, float, float]:
        """The largest scale and the ends of the interval."""
        return (self.largest, *self.interval)

    def start(self, noise_levels: NDArray[np.float64], batch: int, like: Array) -> Feedback:
        """No evidence yet, and how a step of this grid will count."""
        return Feedback(zeros(batch, like), *self.tuning(noise_levels))

    def scale_inside(self, noise_level: float, state: Feedback) -> Array:
        """Weight w of every trajectory, from 1 to `largest`; it depends on the evidence alone."""
        xp = namespace(state.log_ratio)
        bounded = xp.clip(state.log_ratio, self._least, None)
        return xp.clip(-1 / xp.expm1(math.log1p(-self.pi) - bounded), 1.0, self.largest)

    def update(self, state: Feedback, evidence: Array) -> Feedback:
        """The running logarithm of r after a step."""
        log_ratio = state.log_ratio + state.temperature * evidence + state.offset
        return state._replace(log_ratio=namespace(log_ratio).clip(log_ratio, self._least, None))

    def tuning(self, noise_levels: NDArray[np.float64]) -> tuple[float, float]:
        """Temperature tau and offset delta of every step on a grid.

        Parameters
        ----------
        noise_levels : ndarray, shape (time,)
            Ascending noise levels ``sigma / alpha``, at least 2.

        Returns
        -------
        temperature, offset : float

        Examples
        --------
        >>> temperature, offset = FeedbackGuidance(pi=0.5, t_0=0.0, reference=4.0).tuning(np.arange(1.0, 11.0))
        >>> temperature, round(10 * offset, 9)
        (1.0, -0.405465108)
        """
        if self.t_0 is None:
            return 1.0, 0.0
        count = len(noise_levels)
        offset = (math.log1p(-self.pi) - math.log1p(-1 / self.reference)) / ((1 - self.t_0) * count)
        if self.t_1 is None:
            return 1.0, offset
        # evaluation n stands at 1 - n / count; the last one is followed by no transition
        index = count - 1 - min(round((1 - self.t_1) * count), count - 2)
        before, after = noise_levels[index], noise_levels[index - 1]
        variance = after**2 * (1 - (after / before) ** 2)
        return float(2 * variance * abs(offset) / self.gap), offset

    @property
    def _least(self) -> float:
        return math.log1p(-self.pi) - math.log1p(-1 / self.largest)

    def __str__(self) -> str:
        times = [
            f" {name}={number_text(value)}" for name in ("t_0", "t_1") if (value := getattr(self, name)) is not None
        ]
        others = [
            f" {name}={number_text(getattr(self, name))}"
            for name in ("reference", "gap")
            if getattr(self, name) != getattr(FeedbackGuidance, name)
        ]
        text = "".join((f"feedback pi={number_text(self.pi)}", *times, f" w<={number_text(self.largest)}", *others))
        return text + interval_text(self.interval)
