r"""Guidance settings: a constant scale, a scale in an interval of noise levels, and a scale that feeds back.

Classifier-free guidance (arXiv 2207.12598) moves the sample with :math:`D_w = D_\text{null} + w\,(D_c -
D_\text{null})`, so **w = 1 is unguided**. Some papers write :math:`1 + w` for it: the formula goes into every file. A
`Guidance` has one w, in all noise or in an interval of it (arXiv 2404.07724). A `FeedbackGuidance` (arXiv 2506.06085)
takes w from the evidence that the trajectory itself has gathered for its condition.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from specent import arguments
from specent.arguments import brief
from specent.errors import SpecentError
from specent.evidence import namespace

# numpy.ndarray or torch.Tensor
Array = Any

FORMULA = "D_null + w (D_class - D_null) for sigma_lo < sigma/alpha <= sigma_hi, D_class elsewhere; w = 1 is unguided"
FEEDBACK_FORMULA = (
    "; settings with feedback (see guidance_definition): w = r / (r - (1 - pi)) of every trajectory, at most "
    "guidance_scale, where ln r starts at 0 and a step adds tau ln(p(x'|x,class) / p(x'|x,null)) + delta"
)


@dataclass(frozen=True)
class Guidance:
    """Guidance scale and the interval of noise levels ``sigma / alpha`` in which it applies.

    Parameters
    ----------
    scale : float
        The weight w, from 0 to 1e6; 1 is unguided, 0 follows the null condition.
    interval : tuple of float
        ``(sigma_lo, sigma_hi)``: w applies where ``sigma_lo < sigma / alpha <= sigma_hi``.

    Raises
    ------
    SpecentError
        If the scale is out of range, or the interval is upside down.

    Examples
    --------
    >>> Guidance(2.0, (0.5, 5.0)).scale_at(1.0), Guidance(2.0, (0.5, 5.0)).scale_at(0.5)
    (2.0, 1.0)
    >>> str(Guidance()), str(Guidance(2.0, (0.5, 5.0)))
    ('unguided', 'w=2 for 0.5<sigma<=5')
    """

    scale: float = 1.0
    interval: tuple[float, float] = (0.0, math.inf)
    feeds_back: ClassVar[bool] = False

    def __post_init__(self) -> None:
        scale = arguments.number(self.scale, "guidance scale", least=0, most=1e6)
        # settings read from a file come as lists and whole numbers; a setting must hash, compare and print alike
        object.__setattr__(self, "scale", abs(scale))
        object.__setattr__(self, "interval", _interval(self.interval))

    @property
    def guided(self) -> bool:
        """Whether the setting differs from sampling the conditional model."""
        return self.scale != 1.0

    def scale_at(self, noise_level: float) -> float:
        """Weight w at the noise level ``sigma / alpha``."""
        noise_level = arguments.number(noise_level, "noise_level", least=0)
        low, high = self.interval
        return self.scale if low < noise_level <= high else 1.0

    def scales(self, noise_level: float, log_ratio: Array) -> float:
        """Weight w of every trajectory at a noise level, one number since all share it."""
        return self.scale_at(noise_level)

    def to_json(self) -> str:
        """Definition as JSON text, see `from_json`."""
        return _json(self)

    def __str__(self) -> str:
        return f"w={_plain(self.scale)}{_where(self.interval)}" if self.guided else "unguided"


@dataclass(frozen=True)
class FeedbackGuidance:
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
    evidence counts. Both follow from two places on the clock of the T network evaluations, that runs from 1 (noise) to
    0 (data):

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
    >>> exact.scales(1.0, np.log([0.1125, 1.0, 9.0])).round(3).tolist()
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
    feeds_back: ClassVar[bool] = True

    def __post_init__(self) -> None:
        found: dict[str, Any] = {
            "pi": arguments.number(self.pi, "pi", above=0, below=1),
            "t_0": None if self.t_0 is None else arguments.number(self.t_0, "t_0", least=0, below=1),
            "t_1": None if self.t_1 is None else arguments.number(self.t_1, "t_1", least=0, most=1),
            "largest": arguments.number(self.largest, "largest", above=1, most=1e6),
            "reference": arguments.number(self.reference, "reference", above=1, most=1e6),
            "gap": arguments.number(self.gap, "gap", least=1e-12, most=1e12),
            "interval": _interval(self.interval),
        }
        for name, value in found.items():
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
    def scale(self) -> float:
        """The largest weight, as which the setting stands in the coordinate ``guidance_scale``."""
        return self.largest

    @property
    def guided(self) -> bool:
        """Always: at the start the weight is 1 / pi."""
        return True

    def scales(self, noise_level: float, log_ratio: Array) -> Array:
        """Weight w of every trajectory.

        Parameters
        ----------
        noise_level : float
            Noise level ``sigma / alpha``.
        log_ratio : array, shape (trajectories,)
            Running logarithm of r, 0 at the start of the chain; see `updated`.

        Returns
        -------
        array, shape (trajectories,)
            From 1 to `largest`.
        """
        xp = namespace(log_ratio)
        low, high = self.interval
        if not low < arguments.number(noise_level, "noise_level", least=0) <= high:
            return xp.ones_like(log_ratio)
        bounded = xp.clip(log_ratio, self._least, None)
        return xp.clip(-1 / xp.expm1(math.log1p(-self.pi) - bounded), 1.0, self.largest)

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
        place = count - 1 - min(round((1 - self.t_1) * count), count - 2)
        before, after = noise_levels[place], noise_levels[place - 1]
        variance = after**2 * (1 - (after / before) ** 2)
        return float(2 * variance * abs(offset) / self.gap), offset

    def updated(self, log_ratio: Array, evidence: Array, tuning: tuple[float, float]) -> Array:
        """The running logarithm of r after a step.

        Parameters
        ----------
        log_ratio : array, shape (trajectories,)
            Before the step.
        evidence : array, shape (trajectories,)
            Log-density of the step under the condition less that under the null condition, in nats.
        tuning : tuple of float
            From `tuning`.

        Returns
        -------
        array, shape (trajectories,)
        """
        temperature, offset = tuning
        return namespace(log_ratio).clip(log_ratio + temperature * evidence + offset, self._least, None)

    @property
    def _least(self) -> float:
        return math.log1p(-self.pi) - math.log1p(-1 / self.largest)

    def to_json(self) -> str:
        """Definition as JSON text, see `from_json`."""
        return _json(self)

    def __str__(self) -> str:
        places = [f" {name}={_plain(value)}" for name in ("t_0", "t_1") if (value := getattr(self, name)) is not None]
        rest = [
            f" {name}={_plain(getattr(self, name))}"
            for name in ("reference", "gap")
            if getattr(self, name) != getattr(FeedbackGuidance, name)
        ]
        text = "".join((f"feedback pi={_plain(self.pi)}", *places, f" w<={_plain(self.largest)}", *rest))
        return text + _where(self.interval)


Setting = Guidance | FeedbackGuidance


def from_json(text: str) -> Setting:
    """The guidance setting that a JSON text defines.

    Parameters
    ----------
    text : str
        As written by ``to_json`` of a setting, and as kept in the coordinate ``guidance_definition``.

    Returns
    -------
    Guidance or FeedbackGuidance

    Raises
    ------
    SpecentError
        If the text defines none.

    Examples
    --------
    >>> from_json(Guidance(2.0, (0.5, 5.0)).to_json())
    Guidance(scale=2.0, interval=(0.5, 5.0))
    """
    try:
        held = json.loads(text)
        fields = dict(held)
        low, high = fields.pop("interval")
        kind = {"constant": Guidance, "feedback": FeedbackGuidance}[fields.pop("kind")]
        made: Setting = kind(**fields, interval=(low, math.inf if high == "inf" else high))
    except SpecentError as error:
        raise SpecentError(f"the definition {brief(text)} is of no guidance setting: {error}") from error
    except (KeyError, RecursionError, TypeError, ValueError) as error:
        raise SpecentError(f"the definition {brief(text)} is of no guidance setting") from error
    return made


def formula(settings: Iterable[Setting]) -> str:
    """How the scales of some settings enter, as text for a file.

    Examples
    --------
    >>> formula([Guidance(), Guidance(2.0)]) == FORMULA
    True
    """
    return FORMULA + (FEEDBACK_FORMULA if any(setting.feeds_back for setting in settings) else "")


def _json(setting: Setting) -> str:
    fields: dict[str, Any] = {"kind": "feedback" if setting.feeds_back else "constant", **asdict(setting)}
    low, high = setting.interval
    return json.dumps({**fields, "interval": [low, "inf" if math.isinf(high) else high]})


def _interval(value: object) -> tuple[float, float]:
    interval = arguments.array(value, "guidance interval")
    if interval.shape != (2,) or not 0 <= interval[0] < interval[1]:
        raise SpecentError(
            f"guidance interval={brief(value)} must be (sigma_lo, sigma_hi) with 0 <= sigma_lo < sigma_hi"
        )
    return abs(float(interval[0])), float(interval[1])


def _where(interval: tuple[float, float]) -> str:
    """The interval as it ends a name, empty if it is all noise levels."""
    low, high = interval
    if low == 0 and math.isinf(high):
        return ""
    return f" for {_plain(low)}<sigma{'' if math.isinf(high) else f'<={_plain(high)}'}"


def _plain(value: float) -> str:
    """The shortest text that tells the number from every other, so that two settings never share a name."""
    return repr(value).removesuffix(".0")
