"""Datasets as a study makes them, from closed forms: the two-component mixture and a made-up set of ten classes."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr

from specent import schema
from specent.exact import scaling_profiles
from specent.guidance import FORMULA, Guidance
from specent.partitions import Partition
from specent.schedules import VE, VP, edm_grid, time_grid
from specent.schema import coordinates

SIZES = (4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0)
DIGITS = tuple("0123456789")


def profiles_of(
    partitions: list[Partition],
    half: np.ndarray,
    start: np.ndarray,
    estimators: tuple[str, ...] = ("exact", "path", "denoiser_gap"),
    guidance: tuple[Guidance, ...] = (Guidance(),),
    steps: int = 48,
) -> xr.Dataset:
    """Logistic entropy curves over ln sigma: `half` noise levels and `start` bits per partition."""
    time = edm_grid(steps)
    log_sigma = np.log(time)
    rng = np.random.default_rng(7)
    shape = (len(estimators), len(guidance), len(partitions), steps)
    H, rate, width = np.empty(shape), np.empty(shape), np.zeros(shape)
    for e, g in np.ndindex(shape[:2]):
        shift = 0.4 * g + 0.05 * e
        ratio = 1 / (1 + np.exp(-2.5 * (log_sigma - np.log(half)[:, None] - shift)))
        H[e, g] = start[:, None] * ratio
        # dH/dlog_snr with the sign of the contract: half of dH/dln sigma
        rate[e, g] = 1.25 * start[:, None] * ratio * (1 - ratio)
        if estimators[e] != "exact":
            width[e, g] = 0.05 * start[:, None] * np.sqrt(ratio * (1 - ratio)) * rng.uniform(0.8, 1.2, (len(half), 1))
        elif g:
            H[e, g] = rate[e, g] = np.nan
    dims = ("estimator", "guidance", "partition", "time")
    total = start[None, None, :, None]
    values = {"entropy": H, "entropy_rate": rate, "mutual_information": total - H}
    data = {
        name + end: (dims, value + sign * width)
        for name, value in values.items()
        for end, sign in (("", 0.0), ("_lower", -1.0), ("_upper", 1.0))
    }
    coords = {
        "estimator": list(estimators),
        **coordinates.of_guidance(guidance),
        **coordinates.of_partitions(partitions),
        **coordinates.of_schedule(VE(), time),
    }
    attributes: dict[str, str | int | float] = {
        "rate_axis": "log_snr",
        "schedule": VE().to_json(),
        "seed": 3,
        "model": '{"name": "logistic <b>"}',
    }
    return schema.finish(
        xr.Dataset(data, coords), "profiles", title="Logistic profiles", settings={"steps": steps}, **attributes
    )


def summary_of(prof: xr.Dataset, axis: str = "log_snr") -> xr.Dataset:
    """Half times, peaks and windows read off the stored curves by interpolation; enough for a figure."""
    positions = {"log_snr": -prof["log_snr"].values, "time": prof["time"].values}[axis]
    sign = -1.0 if axis == "log_snr" else 1.0
    start = prof["entropy"].isel(time=-1)

    def crossing(part: str, level: float) -> xr.DataArray:
        def one(curve: np.ndarray, top: float) -> float:
            if not np.isfinite(curve).all():
                return np.nan
            return sign * float(np.interp(level * top, np.maximum.accumulate(curve), positions))

        return xr.apply_ufunc(
            one, prof[f"entropy{part}"], start, input_core_dims=[["time"], []], vectorize=True, output_dtypes=[float]
        )

    half = {f"half_entropy{part}": crossing(part, 0.5) for part in ("", "_lower", "_upper")}
    if axis != "log_snr":
        half["half_entropy_lower"], half["half_entropy_upper"] = half["half_entropy_upper"], half["half_entropy_lower"]
    rate = prof["entropy_rate"].fillna(-1.0)
    peak = xr.where(
        np.isfinite(half["half_entropy"]), sign * xr.DataArray(positions, dims="time")[rate.argmax("time")], np.nan
    )
    marks = {**half}
    for name, value in {
        "peak": peak,
        "peak_rate": rate.max("time"),
        "window_start": crossing("", 0.6),
        "window_end": crossing("", 0.4),
    }.items():
        marks |= {f"{name}{part}": value for part in ("", "_lower", "_upper")}
    drop = ("time", "sigma", "alpha", "log_snr")
    data = xr.Dataset({name: value.drop_vars(drop, errors="ignore") for name, value in marks.items()})
    coords = {name: prof[name] for name in prof.coords if name not in drop}
    return schema.finish(
        data.expand_dims({"axis": [axis]}).assign_coords(coords), "speciation",
        title="Speciation of " + str(prof.attrs["title"]), settings={}, missing=0, parents=[prof],
    )  # fmt: skip


@pytest.fixture(scope="session")
def pair_profiles() -> xr.Dataset:
    """Two pairs, three estimators, two settings: ten curves, two of them exact."""
    return profiles_of(
        [Partition.pair("cat", "dog"), Partition.pair("cat", "car")],
        np.array([1.0, 6.0]),
        np.array([1.0, 1.0]),
        guidance=(Guidance(), Guidance(2.0)),
    )


@pytest.fixture(scope="session")
def one_curve(pair_profiles: xr.Dataset) -> xr.Dataset:
    """A single measured curve with its interval, for tests of what does not depend on the curves."""
    return pair_profiles.sel(estimator=["path"], guidance=["unguided"], partition=["cat | dog"])


@pytest.fixture(scope="session")
def digit_profiles() -> xr.Dataset:
    """The full set, ten one-against-rest and 45 pairs, in three estimators and two settings: 280 curves."""
    partitions = [
        Partition.full(DIGITS),
        *(Partition.one_vs_rest(a, DIGITS) for a in DIGITS),
        *(Partition.pair(a, b) for a, b in itertools.combinations(DIGITS, 2)),
    ]
    rng = np.random.default_rng(1)
    half = np.exp(rng.normal(0.3, 0.4, len(partitions)))
    start = np.array([np.log2(10)] + [1.0] * 55)
    return profiles_of(partitions, half, start, guidance=(Guidance(), Guidance(2.0)))


@pytest.fixture(scope="session")
def vp_profiles() -> xr.Dataset:
    """The exact two-component mixture over dimensions on the variance-preserving schedule."""
    return scaling_profiles(SIZES, VP(), time_grid(VP(), 120, 0.02, 7.0), rate_axis="time")


@pytest.fixture(scope="session")
def ve_profiles() -> xr.Dataset:
    return scaling_profiles(SIZES, VE(), np.geomspace(0.05, 2000.0, 120), rate_axis="log_snr")


@pytest.fixture(scope="session")
def summary() -> Callable[..., xr.Dataset]:
    """`summary_of`, which reads off a dataset once; the numbers of its answers are shared and not to be changed."""
    # the profiles are kept beside their summary, so that no other dataset takes their identity
    known: dict[tuple[int, str], tuple[xr.Dataset, xr.Dataset]] = {}

    def summarised(prof: xr.Dataset, axis: str = "log_snr") -> xr.Dataset:
        key = (id(prof), axis)
        if key not in known:
            known[key] = (prof, summary_of(prof, axis))
        return known[key][1].copy()

    return summarised


@pytest.fixture(scope="session")
def vp_fit(vp_profiles: xr.Dataset) -> tuple[xr.Dataset, xr.Dataset]:
    """Half times with slope 1 by construction, up to the grid, and the fit of a straight line through them."""
    spec = summary_of(vp_profiles, "time")
    x = np.log(np.array(SIZES)) / 2
    half = spec["half_entropy"].values.ravel()
    (slope, intercept), covariance = np.polyfit(x, half, 1, cov=True)
    error = np.sqrt(np.diag(covariance))
    dims = ("estimator", "guidance", "partition")
    data = {
        "slope": (dims, np.full((1, 1, 1), slope)),
        "slope_standard_error": (dims, np.full((1, 1, 1), error[0])),
        "intercept": (dims, np.full((1, 1, 1), intercept)),
        "intercept_standard_error": (dims, np.full((1, 1, 1), error[1])),
        "residual": ((*dims, "dimension"), (half - slope * x - intercept)[None, None, None]),
    }
    coords = {name: spec[name] for name in spec.coords if name != "axis"}
    return spec, schema.finish(xr.Dataset(data, coords), "scaling", title="Fit", settings={}, law="log", parents=[spec])


@pytest.fixture(scope="session")
def picture_runs() -> xr.Dataset:
    """Two drivers, two samples; pictures of 8 x 8 that sharpen along the path."""
    steps, moments, K = 24, 10, 2
    time = edm_grid(steps)
    rng = np.random.default_rng(2)
    target = np.zeros((K, 8, 8))
    target[0, 1:7, 3:5] = 1.0
    target[1, 1:7, 1:7] = 1.0
    target[1, 3:5, 3:5] = 0.0
    when = time[np.linspace(0, steps - 1, moments).round().astype(int)]
    blur = (when / (1 + when))[:, None, None]
    mean = target.mean(0)
    picture = (1 - blur) * target[:, None] + blur * mean + 0.02 * rng.standard_normal((K, moments, 8, 8))
    dims = ("guidance", "class_label", "sample")
    shape = (1, K, 2)
    data = {
        "log_likelihood": ((*dims, "time", "candidate"), np.zeros((*shape, steps, K))),
        "final": ((*dims, "channel", "y", "x"), np.broadcast_to(target[None, :, None, None], (*shape, 1, 8, 8)).copy()),
        "prediction": (
            (*dims, "prediction_time", "channel", "y", "x"),
            np.broadcast_to(picture[None, :, None, :, None], (*shape, moments, 1, 8, 8)).copy(),
        ),
    }
    labels = ["1", "0"]
    coords = {
        **coordinates.of_guidance([Guidance()]),
        **coordinates.of_schedule(VE(), time),
        "class_label": labels,
        "label_prior": ("class_label", [0.5, 0.5]),
        "candidate": labels,
        "candidate_prior": ("candidate", [0.5, 0.5]),
        "sample": [0, 1],
        "prediction_time": when,
    }
    return schema.finish(
        xr.Dataset(data, coords), "trajectories", title="Pictures", settings={}, schedule=VE().to_json(),
        model='{"name": "drawn"}', guidance_formula=FORMULA, seed=2, seed_rule="none",
    )  # fmt: skip


@pytest.fixture(scope="session")
def guided_differences() -> xr.Dataset:
    """Two settings less unguided, for five classes against the rest: humps of known height at known noise levels."""
    settings = [Guidance(2.0), Guidance(3.0, (0.5, 5.0))]
    labels = DIGITS[:5]
    time = edm_grid(48)
    estimators = ("path", "cross_entropy")
    shape = (len(estimators), len(settings), len(labels), len(time))
    hump = np.exp(-2 * np.log(time / 2) ** 2)
    factor = np.array([1.0, 5.0, 3.0, 2.0, 4.0])
    values = np.broadcast_to(factor[:, None] * hump, shape) * np.array([1.0, -1.0])[:, None, None]
    values = values * np.array([1.0, 0.5])[:, None, None, None]
    whole, summary = ("estimator", "guidance", "partition", "time"), ("estimator", "guidance", "time")
    data = {}
    for name in ("entropy_difference", "entropy_rate_difference"):
        rows = {name: (whole, values)}
        for prefix, level in (("lower_quartile", 0.25), ("median", 0.5), ("upper_quartile", 0.75)):
            rows[f"{prefix}_{name}"] = (summary, np.quantile(values, level, axis=2))
        for key, (dims, value) in rows.items():
            data |= {
                f"{key}{end}": (dims, value + shift) for end, shift in (("", 0), ("_lower", -0.1), ("_upper", 0.1))
            }
    coords = {
        "estimator": list(estimators),
        **coordinates.of_guidance(settings),
        **coordinates.of_partitions([Partition.one_vs_rest(label, labels) for label in labels]),
        **coordinates.of_schedule(VE(), time),
    }
    return schema.finish(
        xr.Dataset(data, coords), "differences", title="Humps", settings={}, rate_axis="log_snr",
        schedule=VE().to_json(), reference="unguided",
    )  # fmt: skip
