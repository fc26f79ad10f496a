r"""What "the noise level at which the class is decided" may mean, side by side.

Papers take different points of one transition: where half of the conditional entropy is left (arXiv 2506.10433), where
the entropy falls fastest, which depends on the axis (2602.09651), where a trajectory that turns comes back to its side
half as surely as it may, :math:`\phi = \tfrac12(1 + \sum_z\pi_z^2)` (2402.16991), where the noise is as wide as the
data, :math:`\sigma = \sqrt\Lambda` (2402.18491), and where the drift gets another fixed point (2305.19693). For two
components at :math:`\pm m` each is a constant K near 1 in :math:`\sigma = m/K`. Of many classes, most of the entropy is
gone before a trajectory is bound to its class.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent import schedules, schema
from specent.analysis.crossings import crossings
from specent.analysis.speciation import speciation
from specent.arguments import brief
from specent.axes import AXES
from specent.errors import SpecentError
from specent.exact.landmarks import bifurcations, recorded_mixture, spectral_log_snr

Array = NDArray[np.float64]

_BOUNDS = ("", "_lower", "_upper")
_SOURCES = {
    "half entropy": "arXiv 2506.10433",
    "window start": "arXiv 2602.09651",
    "window end": "arXiv 2602.09651",
    **{f"peak along {axis}": "arXiv 2602.09651" for axis in AXES},
    "half phi": "arXiv 2402.16991",
    "spectral": "arXiv 2402.18491",
    "bifurcation": "arXiv 2305.19693",
}


def definitions(profiles: xr.Dataset, turns: xr.Dataset | None = None) -> xr.Dataset:
    """The noise level of speciation by every definition that can be told, with intervals.

    Parameters
    ----------
    profiles : Dataset
        Kind ``profiles`` of one partition, estimator and guidance setting.
    turns : Dataset, optional
        Kind ``interventions`` of the same model and partition with one mover, see `specent.u_turn` and
        `specent.exact.u_turns`, for the definition by returns.

    Returns
    -------
    Dataset
        Not a kind of the data contract. ``noise_level`` (definition), sigma / alpha, with ``_lower`` and ``_upper``,
        NaN for what does not apply, and ``source`` (definition). Peaks are of the rate along each axis. The spectral
        prediction and the highest noise at which the drift bifurcates are told of profiles of a Gaussian mixture, the
        latter in one dimension, if they record it.

    Raises
    ------
    SpecentError
        If `profiles` holds several curves, or `turns` several movers or the sides of another partition.

    Examples
    --------
    >>> import specent as sp
    >>> mix, time = sp.exact.GaussianMixture([[-8.0], [8.0]]), sp.schedules.edm_grid(200, 0.5, 200.0)
    >>> profile = sp.exact.profiles(mix, sp.schedules.VE(), time, "full")
    >>> table = definitions(profile, sp.exact.u_turns(mix, sp.schedules.VE(), time, "full"))
    >>> table.noise_level.sel(definition=["half entropy", "half phi", "spectral"]).round(3).values.tolist()
    [7.765, 8.615, 8.062]
    """
    profiles = schema.need(profiles, "profiles", "profiles", ["entropy", "entropy_rate", "mutual_information"])
    several = [str(name) for name, size in profiles["entropy"].sizes.items() if name != "time" and size > 1]
    if several:
        known = "; ".join(f"{name} {brief(profiles[name].values.tolist())}" for name in several)
        first = ", ".join(f"{name}={profiles[name].values.tolist()[0]!r}" for name in several)
        raise SpecentError(f"profiles holds several curves ({known}); select one of each, as profiles.sel({first})")
    levels = _of_profile(profiles)
    if turns is not None:
        levels["half phi"] = _half_phi(turns, profiles)
    mix = recorded_mixture(profiles)
    if mix is not None:
        levels["spectral"] = _exactly(spectral_log_snr(mix))
        found = bifurcations(mix) if mix.dimension == 1 else np.empty(0)
        if len(found):
            levels["bifurcation"] = _exactly(float(found.min()))
    return _table(levels)


def _exactly(log_snr: float) -> Array:
    return np.full(len(_BOUNDS), np.exp(-0.5 * log_snr))


def _of_profile(profiles: xr.Dataset) -> dict[str, Array]:
    """What the curve itself tells: its crossings, and its peaks along every axis."""
    summary = speciation(profiles, progress=False)
    schedule = schedules.from_json(str(profiles.attrs["schedule"]))
    levels = {}
    for name, text in (
        ("half_entropy", "half entropy"),
        ("window_start", "window start"),
        ("window_end", "window end"),
    ):
        levels[text] = np.array([float(summary[f"{name}{end}"].sel(axis="sigma").squeeze()) for end in _BOUNDS])
    for axis in AXES:
        at = np.array([float(summary[f"peak{end}"].sel(axis=axis).squeeze()) for end in _BOUNDS])
        levels[f"peak along {axis}"] = _noise_levels(axis, at, schedule)
    return levels


def _noise_levels(axis: str, at: Array, schedule: schedules.Schedule) -> Array:
    """Noise levels at positions on an axis."""
    if axis == "sigma":
        return at
    log_snr = {"log_snr": at, "log_sigma": -2 * at}[axis] if axis != "time" else schedule.log_snr(at)
    return np.asarray(np.exp(-0.5 * log_snr))


def _half_phi(turns: xr.Dataset, profiles: xr.Dataset) -> Array:
    """Where trajectories return half as surely as they may, by interpolation between the levels of the turns."""
    turns = schema.need(turns, "interventions", "turns", ["phi"])
    phi = turns["phi"].squeeze()
    if phi.dims != ("time",) or phi.size < 4:
        raise SpecentError(
            f"turns has phi over {dict(turns['phi'].sizes)}; select one mover, and turn at 4 noise levels at least"
        )
    if "side_prior" not in turns.coords:
        raise SpecentError("turns: the coordinate 'side_prior' is missing; restore it, assign_coords(side_prior=...)")
    prior = turns["side_prior"].values
    entropies = (profiles["entropy"] + profiles["mutual_information"]).squeeze().values
    own = -float(np.sum(prior * np.log2(prior)))
    if not np.allclose(entropies, own, rtol=1e-3):
        raise SpecentError(
            f"turns count sides whose prior has {own:.4g} bit, profiles {float(entropies[0]):.4g}; give one partition"
        )
    half = 0.5 * (1 + float(np.sum(prior**2)))
    noisy_first = slice(None, None, -1)
    grid = turns["log_snr"].values[noisy_first]
    curves = np.stack([turns[f"phi{end}" if f"phi{end}" in turns else "phi"].squeeze().values for end in _BOUNDS])
    if not np.isfinite(curves).all():
        raise SpecentError("turns has a phi, or a bound of it, that is not finite; leave out its noise level")
    # crossings are those of falling curves
    return np.exp(-0.5 * crossings(grid, -curves[:, noisy_first], np.array([-half]))[:, 0])


def _table(levels: dict[str, Array]) -> xr.Dataset:
    """The table, each row with its lower bound first."""
    nothing = np.full(len(_BOUNDS), np.nan)
    rows = np.stack([levels.get(name, nothing) for name in _SOURCES])
    ordered = np.stack([rows[:, 0], np.fmin(rows[:, 1], rows[:, 2]), np.fmax(rows[:, 1], rows[:, 2])])
    words = {"": "", "_lower": "lower bound of the ", "_upper": "upper bound of the "}
    variables: dict[str, Any] = {
        f"noise_level{end}": xr.Variable(
            "definition", values, {"units": "1", "long_name": f"{words[end]}noise level of speciation, sigma / alpha"}
        )
        for end, values in zip(_BOUNDS, ordered, strict=True)
    }
    variables["source"] = ("definition", list(_SOURCES.values()), {"long_name": "where the definition is from"})
    return xr.Dataset(variables, {"definition": list(_SOURCES)}, {"title": "Definitions of speciation"})
