r"""What every guidance rule is able to do.

Classifier-free guidance (arXiv 2207.12598) moves the sample with :math:`D_w = D_\text{null} + w\,(D_c -
D_\text{null})`, so **w = 1 is unguided**. Some papers write :math:`1 + w` for it: the formula goes into every file.
A rule says how large w is. The chain asks it three things: `Setting.start` once, `Setting.scale_at` at every noise
level, `Setting.update` after every step.
"""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from specent import arguments
from specent.arguments import brief
from specent.errors import SpecentError
from specent.evidence import namespace

# numpy.ndarray or torch.Tensor
Array = Any

FORMULA = "D_null + w (D_class - D_null) for sigma_lo < sigma/alpha <= sigma_hi, D_class elsewhere; w = 1 is unguided"


class Setting(ABC):
    """A guidance rule with its numbers.

    A rule is a frozen dataclass of numbers and texts that can be rebuilt from its own fields, one of which is the
    `interval` of noise levels ``sigma / alpha`` in which it guides. It says `scale_inside` and `numbers`, and what
    differs from the defaults below. Its text, ``str(setting)``, is the name of the setting in a dataset: two settings
    that differ must have names that differ.

    Attributes
    ----------
    kind : str
        Name of the rule in definitions; the key of `specent.guidance.RULES`.
    formula : str
        What the rule adds to the attribute ``guidance_formula`` of a file; empty if `FORMULA` says it all.
    per_trajectory : bool
        Whether the scale differs between trajectories, so that the scale of every trajectory is kept in the runs.
    defined_by_numbers : bool
        Whether `numbers` define the setting completely, so that a file needs no definition beside them.
    interval : tuple of float
        ``(sigma_lo, sigma_hi)``: the rule guides where ``sigma_lo < sigma / alpha <= sigma_hi``.
    """

    kind: ClassVar[str]
    formula: ClassVar[str] = ""
    per_trajectory: ClassVar[bool] = False
    defined_by_numbers: ClassVar[bool] = False
    interval: tuple[float, float]

    @abstractmethod
    def scale_inside(self, noise_level: float, state: Any) -> Array:
        """Weight w at a noise level within the interval; see `scale_at`."""

    @property
    @abstractmethod
    def numbers(self) -> tuple[float, float, float]:
        """``guidance_scale``, ``sigma_lo`` and ``sigma_hi`` as they stand in a dataset.

        A scale that varies stands there with its bound. ``guidance_scale`` is 1 exactly if the setting is not `guided`.
        """

    @property
    def guided(self) -> bool:
        """Whether the setting differs from sampling the conditional model."""
        return True

    @property
    def needs_null(self) -> bool:
        """Whether the null condition is needed, as it is by every guided run."""
        return self.guided

    def start(self, noise_levels: NDArray[np.float64], batch: int, like: Array) -> Any:
        """State of the rule at the noisy end of the chain, handed back to `scale_at` and `update`.

        Parameters
        ----------
        noise_levels : ndarray, shape (time,)
            Ascending noise levels ``sigma / alpha`` of the whole chain.
        batch : int
            Number of trajectories that are sampled together.
        like : array
            An array of the kind, precision and device that arrays in the state should have.

        Returns
        -------
        object
            Anything; None for a rule that remembers nothing.
        """
        return None

    def scale_at(self, noise_level: float, state: Any = None) -> Array:
        """Weight w at the noise level ``sigma / alpha``, 1 outside the interval.

        Parameters
        ----------
        noise_level : float
            Noise level, not negative.
        state : object
            From `start` or `update`; a rule that remembers nothing needs none.

        Returns
        -------
        float or array, shape (trajectories,)
            A number where all trajectories share it.
        """
        noise_level = arguments.number(noise_level, "noise_level", least=0)
        low, high = self.interval
        return self.scale_inside(noise_level, state) if low < noise_level <= high else 1.0

    def update(self, state: Any, evidence: Array) -> Any:
        """State after a step of the chain.

        Parameters
        ----------
        state : object
            The state before the step.
        evidence : array, shape (trajectories,)
            Log-density of the step under the trajectory's own condition less that under the null condition, in nats.

        Returns
        -------
        object
        """
        return state

    @property
    def definition(self) -> dict[str, Any]:
        """The rule and its numbers, as plain values."""
        fields: dict[str, Any] = {"kind": self.kind, **asdict(self)}  # type: ignore[call-overload]
        low, high = self.interval
        return {**fields, "interval": [low, "inf" if math.isinf(high) else high]}

    @classmethod
    def from_definition(cls, fields: Mapping[str, Any]) -> Self:
        """The setting of a `definition` less its kind."""
        low, high = fields["interval"]
        return cls(**{**fields, "interval": (low, math.inf if high == "inf" else high)})

    def to_json(self) -> str:
        """Definition as JSON text, see `specent.guidance.from_json`."""
        return json.dumps(self.definition)


def checked_interval(value: object) -> tuple[float, float]:
    """An interval of noise levels as two numbers, refused if it is none.

    Examples
    --------
    >>> checked_interval([0, 5])
    (0.0, 5.0)
    """
    interval = arguments.array(value, "guidance interval")
    if interval.shape != (2,) or not 0 <= interval[0] < interval[1]:
        raise SpecentError(
            f"guidance interval={brief(value)} must be (sigma_lo, sigma_hi) with 0 <= sigma_lo < sigma_hi"
        )
    return abs(float(interval[0])), float(interval[1])


def interval_text(interval: tuple[float, float]) -> str:
    """The interval as it ends the name of a setting, empty if it is all noise levels.

    Examples
    --------
    >>> interval_text((0.5, 5.0)), interval_text((0.0, math.inf))
    (' for 0.5<sigma<=5', '')
    """
    low, high = interval
    if low == 0 and math.isinf(high):
        return ""
    return f" for {number_text(low)}<sigma{'' if math.isinf(high) else f'<={number_text(high)}'}"


def number_text(value: float) -> str:
    """The shortest text that tells the number from every other, so that two settings never share a name.

    Examples
    --------
    >>> number_text(2.0), number_text(0.1)
    ('2', '0.1')
    """
    return repr(value).removesuffix(".0")


def zeros(batch: int, like: Array) -> Array:
    """Zeros of shape (batch,), on the device and in the precision of the array `like`.

    Examples
    --------
    >>> zeros(2, np.ones((5, 3)))
    array([0., 0.])
    """
    return namespace(like).zeros(batch, dtype=like.dtype, device=like.device)
