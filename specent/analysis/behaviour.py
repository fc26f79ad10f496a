r"""Do the U-turns of a model agree with its posterior? :math:`\phi` is counted, :math:`E\sum_z P(z|x)^2` is predicted.

The two are equal for any model that is what it says it is. Where they differ, the mover does not continue as the
conditionals and their posterior would: the null condition, for one, is another network in all but name.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import xarray as xr

from specent.errors import CalibrationWarning

_NEEDED = ("phi", "posterior_phi", "disagreement", "disagreement_standard_error")

STANDARD_ERRORS = 4.0
"""A disagreement beyond so many standard errors, and beyond what the steps explain, is named."""


def posterior_disagreements(turned: xr.Dataset) -> list[str]:
    """What each mover does otherwise than the posterior predicts, a text for every mover that does.

    Parameters
    ----------
    turned : Dataset
        Kind ``interventions``, of one run.

    Returns
    -------
    list of str
        Empty where all agree, or where nothing was predicted.

    Examples
    --------
    >>> import specent as sp
    >>> mix = sp.exact.GaussianMixture([[-8.0], [8.0]])
    >>> posterior_disagreements(sp.exact.u_turns(mix, sp.schedules.VE(), [8.0]))
    []
    """
    if any(name not in turned for name in _NEEDED):
        return []
    texts = []
    for mover in turned["mover"].values.tolist():
        one = turned.sel(mover=mover)
        error = one["disagreement_standard_error"].values
        explained = np.abs(one["step_error"].values) if "step_error" in one else 0.0
        excess = np.abs(one["disagreement"].values) - explained
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.nan_to_num(excess / error)
        worst = int(np.argmax(ratio))
        if ratio[worst] > STANDARD_ERRORS:
            level = float(np.exp(-0.5 * one["log_snr"].values[worst]))
            counted, predicted = (100 * float(one[name].values[worst]) for name in ("phi", "posterior_phi"))
            texts.append(
                f"continuations moved by {mover!r} come back to their side in {counted:.1f} % of cases at noise level "
                f"{level:.3g}, and the posterior predicts {predicted:.1f} %, {ratio[worst]:.1f} standard errors more "
                "than the steps explain"
            )
    return texts


def name_disagreements(parts: Sequence[xr.Dataset], names: Sequence[str]) -> None:
    """Warn of every run whose posterior and behaviour disagree."""
    for name, part in zip(names, parts, strict=True):
        for text in posterior_disagreements(part):
            warnings.warn(
                f"the posterior and the behaviour of {name!r} disagree: {text}; do not read its posterior where the "
                "mover is used in the place of the classes",
                CalibrationWarning,
                stacklevel=3,
            )
