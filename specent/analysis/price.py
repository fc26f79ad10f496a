r"""What guidance costs: how many bits the paths of guided chains are from those of the unguided one.

Guidance moves the sample with :math:`D_\text{null} + w(D_c - D_\text{null})`, so a step of gain :math:`\delta\gamma` is
off by :math:`(w-1)(D_c - D_\text{null})`. By Girsanov's theorem the paths of the unguided chain diverge from those of
the guided one by

.. math:: \mathrm{KL} = (w-1)^2\,\tfrac12\int E|D_c - D_\text{null}|^2\,d\gamma ,

:math:`(w-1)^2` times the path divergence (see `specent.analysis.null_error`) that is gained within the guidance
interval. That bounds how far the samples differ. It is summed from the likelihoods of the null condition along
unguided paths, and exact for the chain that was sampled.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from specent import arguments
from specent.analysis.blocks import each_block
from specent.analysis.bootstrap import check_resampling, draw_weights
from specent.analysis.inputs import check_start, checked_runs, refuse_not_finite
from specent.analysis.null_error import check_null_scored
from specent.analysis.several_partitions import with_bounds
from specent.errors import SpecentError
from specent.evidence import BITS_PER_NAT
from specent.guidance import Setting
from specent.partitions import NULL
from specent.schema.coordinates import guidance_settings

Array = NDArray[np.float64]

# what a text reads at most of the likelihoods of the unguided setting: 32 MB, less than half a second
_NUMBERS = 2**23
# trajectories of a class that it needs, and classes that it opens, each of them a file of its own in a run folder
_FEWEST, _CLASSES = 8, 32
_MEANING = "divergence of guided and unguided paths"


def guidance_price(runs: xr.Dataset, *, confidence: float = 0.95, replicates: int = 200, seed: int = 0) -> xr.Dataset:
    r"""How many bits the paths of every guided setting are away from those of the unguided chain.

    Parameters
    ----------
    runs : Dataset or path
        Kind ``trajectories``, with the null condition among its candidates. Settings of which the scale differs between
        trajectories are left out.
    confidence : float
        Nominal coverage of the intervals.
    replicates, seed : int
        Of the bootstrap over trajectories; at least 50 replicates.

    Returns
    -------
    Dataset
        Not a kind of the data contract. Over (guidance), in bits: ``price``, the divergence of the unguided paths from
        the guided ones, :math:`(w-1)^2` times the path divergence of the unguided setting within the interval, which is
        NaN if no setting is unguided; and ``price_paid``, that of the guided paths from the unguided ones, over the
        guided trajectories themselves, NaN for w = 1/2. Both with ``_lower`` and ``_upper``, and means over the labels
        that drove trajectories, by their prior.

    Raises
    ------
    SpecentError
        If no setting is guided, the null condition was not scored, labels were dropped, the noisy end was cut off, no
        label drove a trajectory, or a number is not finite.

    Examples
    --------
    >>> import specent as sp
    >>> guidance_price(sp.archive.example()).guidance.values.tolist()
    ['w=2']
    """
    confidence = arguments.number(confidence, "confidence", above=0, below=1)
    replicates, seed = check_resampling(replicates, seed)
    runs = checked_runs(runs)
    settings = guidance_settings(runs)
    guided = _guided(settings)
    scale = _scales(runs, settings)
    plain = _unguided(settings)
    gains = _path_gains(runs, replicates, seed)
    rows: dict[str, list[Array]] = {"price": [], "price_paid": []}
    for g in guided:
        excess = (scale[g] - 1) ** 2
        rows["price"].append(np.full(gains.shape[-1], np.nan) if plain is None else excess @ gains[plain])
        # along guided paths the likelihood ratio grows by 2w - 1 times the divergence
        with np.errstate(divide="ignore", invalid="ignore"):
            rows["price_paid"].append((excess / (2 * scale[g] - 1)) @ gains[g])
    return _table(runs, guided, rows, confidence)


def quick_price(runs: xr.Dataset, confidence: float = 0.95) -> xr.Dataset:
    """The price alone, from as many trajectories as are read in a moment.

    Parameters
    ----------
    runs : Dataset
        Kind ``trajectories``, of any size.
    confidence : float
        Nominal coverage of the intervals.

    Returns
    -------
    Dataset
        ``price`` over (guidance) as of `guidance_price`, with bounds. Attribute ``trajectories`` says how many were
        read, and is empty if these are all.

    Raises
    ------
    SpecentError
        As `guidance_price`, or if no setting is unguided.
    """
    runs = checked_runs(runs)
    settings = guidance_settings(runs)
    guided, plain = _guided(settings), _unguided(settings)
    check_null_scored(runs, "the price of guidance")
    if plain is None:
        raise SpecentError("runs: no setting is unguided, and the price is that of unguided paths")
    some, words = _few(runs.isel(guidance=[plain]))
    gains = _path_gains(some, 200, 0)[0]
    rows = {"price": [(row - 1) ** 2 @ gains for row in _scales(runs, settings)[guided]]}
    return _table(runs, guided, rows, confidence).assign_attrs(trajectories=words)


def guidance_price_text(runs: xr.Dataset) -> str:
    """The price of every guided setting in words, with intervals.

    Parameters
    ----------
    runs : Dataset
        Kind ``trajectories``, of any size; of a large one the first trajectories are read, and it says how many.

    Returns
    -------
    str
        Lines of text; why there is no price where a setting is guided by a scale that all trajectories share; empty
        where none is, or `runs` are no trajectories.

    Examples
    --------
    >>> import specent as sp
    >>> print(guidance_price_text(sp.archive.example()).splitlines()[0])
    Price of guidance, (w - 1)^2 times the path divergence in the interval: how far unguided paths are from guided ones
    """
    arguments.instance(runs, xr.Dataset, "runs", "give trajectories")
    if runs.attrs.get("specent_kind") != "trajectories" or "guidance" not in runs.dims:
        return ""
    if not any(_priced(one) for one in guidance_settings(runs)):
        return ""
    try:
        table = quick_price(runs)
    except SpecentError as error:
        return f"Price of guidance: not known; {str(error).removeprefix('runs: ')}"
    lines = [
        "Price of guidance, (w - 1)^2 times the path divergence in the interval: how far unguided paths are from "
        "guided ones"
    ]
    for name in table["guidance"].values.tolist():
        row = table.sel(guidance=name)
        best, lower, upper = (float(row[f"price{end}"]) for end in ("", "_lower", "_upper"))
        lines.append(f"  {name:<24} {best:.3g} bit ({lower:.3g} to {upper:.3g})")
    words = table.attrs["trajectories"]
    return "\n".join([*lines, f"  from {words}"] if words else lines)


def _priced(setting: Setting) -> bool:
    return setting.guided and not setting.per_trajectory


def _guided(settings: list[Setting]) -> list[int]:
    """Which settings have a price."""
    guided = [g for g, one in enumerate(settings) if _priced(one)]
    if not guided:
        raise SpecentError("runs: no setting is guided by a scale that all trajectories share; there is no price")
    return guided


def _unguided(settings: list[Setting]) -> int | None:
    return next((g for g, one in enumerate(settings) if not one.guided), None)


def _scales(runs: xr.Dataset, settings: list[Setting]) -> Array:
    """Scale of every setting at each step, shape (guidance, steps); 1 where trajectories differ in it."""
    if "log_snr" not in runs.coords:
        raise SpecentError("runs: the coordinate 'log_snr' is missing, and guidance has its interval on it; restore it")
    # what a step adds belongs to the noisier of its two times, at which the denoisers were evaluated
    level = np.exp(-0.5 * runs["log_snr"].values[1:])
    return np.array(
        [
            np.ones(len(level)) if one.per_trajectory else [float(one.scale_at(float(value))) for value in level]
            for one in settings
        ]
    )


def _path_gains(runs: xr.Dataset, replicates: int, seed: int) -> Array:
    """Mean gain of the driver against the null condition at every step in bits, shape (guidance, steps, replicates)."""
    check_null_scored(runs, "the price of guidance")
    check_start(runs, [], "what was paid there would be missing")
    names = runs["class_label"].values
    drivers = [name for name in names.tolist() if name != NULL]
    if not drivers:
        raise SpecentError("runs: no label drove a trajectory, and the null condition has no price")
    prior = runs["candidate_prior"].sel(candidate=names).where(names != NULL, 0.0).values
    prior = prior if prior.sum() > 0 else (names != NULL).astype(float)
    share = prior / prior.sum()
    # log-likelihoods are relative to the driver's
    null = runs[["log_likelihood"]].sel(candidate=[NULL])
    means = np.zeros((runs.sizes["guidance"], runs.sizes["time"], 1 + replicates))
    for block in each_block(null, ["log_likelihood"], 1 + replicates // runs.sizes["time"]):
        drawn = draw_weights(
            names[block.classes].tolist(), runs["sample"].values, block.samples, replicates, seed
        ) * share[block.classes, None]  # fmt: skip
        values = block.arrays["log_likelihood"][..., 0].astype(np.float64)
        means[:, block.times] -= BITS_PER_NAT * np.einsum("rcs,csgt->gtr", drawn, values, optimize=True)
    refuse_not_finite(runs, ["log_likelihood"], xr.Dataset({"gain": (("guidance", "time", "replicate"), means)}))
    return np.asarray(means[:, :-1] - means[:, 1:])


def _few(runs: xr.Dataset) -> tuple[xr.Dataset, str]:
    """The first trajectories of some classes, so many that they are read in a moment, and how many in words."""
    labels = np.flatnonzero(runs["class_label"].values != NULL)
    samples, path = runs.sizes["sample"], runs.sizes["time"] * runs.sizes["candidate"]
    trajectories = max(_NUMBERS // path, 2)
    classes = min(len(labels), _CLASSES if len(labels) * samples > trajectories else len(labels))
    classes = max(1, min(classes, trajectories // min(_FEWEST, samples)))
    most = max(2, min(samples, trajectories // classes))
    if classes == len(labels) and most == samples:
        return runs, ""
    chosen = labels[np.linspace(0, len(labels) - 1, classes).round().astype(int)]
    words = f"{most} of {samples} trajectories each of {classes} of {len(labels)} classes"
    return runs.isel(class_label=chosen, sample=slice(most)), words


def _table(runs: xr.Dataset, guided: list[int], rows: dict[str, list[Array]], confidence: float) -> xr.Dataset:
    """Prices over the guided settings, from their replicates."""
    variables: dict[str, xr.DataArray] = {}
    for name, values in rows.items():
        array = xr.DataArray(np.where(np.isfinite(values), values, np.nan), dims=("guidance", "replicate"))
        variables |= with_bounds(array, name, _MEANING, "bit", confidence)
    coords = runs.isel(guidance=guided)[["guidance", "guidance_scale", "sigma_lo", "sigma_hi"]].coords
    return xr.Dataset(variables, coords, {"title": "Price of guidance", "confidence": confidence})
