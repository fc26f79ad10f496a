"""A constant guidance scale (arXiv 2207.12598), in all noise or in an interval of it (arXiv 2404.07724)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from specent import arguments
from specent.errors import SpecentError
from specent.guidance.base import Setting, checked_interval, interval_text, number_text


@dataclass(frozen=True)
class Guidance(Setting):
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
    kind: ClassVar[str] = "constant"
    defined_by_numbers: ClassVar[bool] = True

    def __post_init__(self) -> None:
        scale = arguments.number(self.scale, "guidance scale", least=0, most=1e6)
        # settings read from a file come as lists and whole numbers; a setting must hash, compare and print alike
        object.__setattr__(self, "scale", abs(scale))
        object.__setattr__(self, "interval", checked_interval(self.interval))

    def scale_inside(self, noise_level: float, state: Any) -> float:
        """The same weight at every noise level."""
        return self.scale

    @classmethod
    def below(cls, profile: Any, left: float = 0.1, *, scale: float = 3.0) -> Self:
        """Guide at low noise only: below the noise level at which this part of the entropy is left.

        There the class is all but decided, and what guidance adds is correction of the null condition. On 8x8 digits,
        whose unguided Fréchet distance is 1.53, the rule lowers it by 0.41 ± 0.31 at w = 3 (95 % interval over four
        seeds; ``specent run intervals``), as the best of a sweep of 36 intervals does, by 0.38 ± 0.30; guiding where
        the entropy falls raises it by 1.28 ± 0.40 at w = 2, and in all noise by 0.89 ± 0.32. That is one data set and
        one network, on which the 10 % were chosen. A small network of drawn shapes is harmed by the rule, whose 25.9
        it raises by 10.2 ± 2.2, while a sweep finds an interval that gains 4.9 ± 1.7 (``--data shapes``). With the
        exact mixture in place of the null condition there is nothing to gain: 0.04 ± 0.03. Published intervals of
        ImageNet networks differ between Fréchet distances of Inception and of DINOv2 features (arXiv 2404.07724,
        2506.06085), so no one rule gives both: measure yours.

        Parameters
        ----------
        profile : Dataset
            Kind ``profiles`` of unguided runs, or exact: one partition and estimator, the full set of labels for
            instance. Of several guidance settings the unguided one is taken.
        left : float
            Part of the entropy of the labels before anything is seen, between 0 and 1.
        scale : float
            The weight w.

        Returns
        -------
        Guidance
            From noise level 0 to that of the rule, in four digits.

        Raises
        ------
        SpecentError
            If `profile` holds several curves, none that is unguided, or one that does not fall so far.

        References
        ----------
        Intervals: arXiv 2404.07724.

        Examples
        --------
        >>> import specent as sp
        >>> mix = sp.exact.GaussianMixture([[-8.0], [8.0]])
        >>> curve = sp.exact.profiles(mix, sp.schedules.VE(), sp.schedules.edm_grid(200), "full")
        >>> round(Guidance.below(curve, scale=2.0).interval[1], 2)
        4.0
        """
        left = arguments.number(left, "left", above=0, below=1)
        log_snr, entropy, start = _unguided_curve(profile)
        # the lowest noise at which more is left, for a measured curve may cross the level more than once
        above = np.flatnonzero(entropy > left * start)
        if not len(above) or above[0] == 0:
            raise SpecentError(
                f"profile: {left:g} of {start:.3g} bit is not among its entropies, {entropy[0]:.3g} to "
                f"{entropy[-1]:.3g} bit; choose another left=, or a profile over more noise levels"
            )
        ends = slice(above[0] - 1, above[0] + 1)
        at = float(np.interp(left * start, entropy[ends], log_snr[ends]))
        # a name of a setting has as many digits as tell something
        return cls(scale, (0.0, float(f"{math.exp(-0.5 * at):.4g}")))

    @property
    def numbers(self) -> tuple[float, float, float]:
        """The scale and the ends of the interval."""
        return (self.scale, *self.interval)

    @property
    def guided(self) -> bool:
        """Whether the scale differs from 1."""
        return self.scale != 1.0

    def __str__(self) -> str:
        return f"w={number_text(self.scale)}{interval_text(self.interval)}" if self.guided else "unguided"


def _unguided_curve(profile: Any) -> tuple[Any, Any, float]:
    """Log-SNR and entropy of the one unguided curve of a profile, by ascending time, and the entropy of the prior."""
    names = {"entropy", "mutual_information"}
    if getattr(profile, "attrs", {}).get("specent_kind") != "profiles" or not names <= set(profile):
        raise SpecentError(
            f"profile is a {type(profile).__name__}, not profiles with entropy and mutual_information; give what "
            "specent.entropy or specent.exact.profiles returns"
        )
    lost = [name for name in ("log_snr", "guidance_scale") if name not in profile.coords]
    if lost:
        raise SpecentError(f"profile: the coordinate {lost[0]!r} is missing; restore it, assign_coords({lost[0]}=...)")
    if "guidance" in profile.dims:
        plain = np.flatnonzero(profile["guidance_scale"].values == 1.0)
        if not len(plain):
            raise SpecentError(
                f"profile: none of the guidance settings {profile['guidance'].values.tolist()} is unguided, and guided "
                "runs have decided elsewhere; measure an unguided run"
            )
        profile = profile.isel(guidance=plain[0])
    entropy = profile["entropy"].squeeze()
    if entropy.dims != ("time",):
        raise SpecentError(f"profile holds curves over {entropy.dims}; select one partition and one estimator")
    values, known, log_snr = (
        arguments.array(profile[name].squeeze().values, f"profile.{name}")
        for name in ("entropy", "mutual_information", "log_snr")
    )
    if not values.shape == known.shape == log_snr.shape or values.size < 2:
        raise SpecentError("profile needs an entropy, a mutual information and a log_snr at each of two times or more")
    if not np.isfinite([values, known]).all():
        raise SpecentError("profile holds an entropy that is not finite; measure it again")
    if not np.isfinite(log_snr).all() or not (np.diff(log_snr) < 0).all():
        raise SpecentError("profile: its log_snr does not fall from time to time; sort it, profile.sortby('time')")
    return log_snr, values, float(values[-1] + known[-1])
