"""Small valid datasets of every kind, made without the halves of the package that normally make them."""

from __future__ import annotations

import gc
from collections.abc import Callable

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, settings

from specent import schema
from specent.guidance import FORMULA, Guidance
from specent.partitions import Partition
from specent.schedules import VE, edm_grid

# the same examples in every run, and no verdict on how long one takes: the machine may be busy
settings.register_profile("ci", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ci")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the examples of a part beside its tests, in the process that has trained or drawn what both need.

    Tests of the whole package come first: among them are the longest, which would keep the others waiting at the end.
    """
    items.sort(key=lambda item: item.path.parent.relative_to(item.config.rootpath).parts[1:2])


def pytest_collection_finish() -> None:
    """Leave out of every later search for garbage what was loaded to collect the tests, and stays."""
    gc.collect()
    gc.freeze()


MakeDataset = Callable[..., xr.Dataset]
LABELS = ("cat", "dög", "red car")


def _time(steps: int) -> dict[str, object]:
    time = edm_grid(steps)
    schedule = VE()
    return {
        "time": time,
        "sigma": ("time", schedule.sigma(time)),
        "alpha": ("time", schedule.alpha(time)),
        "log_snr": ("time", schedule.log_snr(time)),
    }


def _settings() -> dict[str, object]:
    settings = [Guidance(), Guidance(2.0, (0.5, 5.0))]
    return {
        "guidance": [str(setting) for setting in settings],
        "guidance_scale": ("guidance", [setting.scale for setting in settings]),
        "sigma_lo": ("guidance", [setting.interval[0] for setting in settings]),
        "sigma_hi": ("guidance", [setting.interval[1] for setting in settings]),
    }


def _partitions() -> dict[str, object]:
    made = [Partition.full(LABELS), Partition.pair("cat", "dög")]
    return {
        "partition": [partition.name for partition in made],
        "definition": ("partition", [partition.to_json() for partition in made]),
    }


def _trajectories(rng: np.random.Generator, steps: int, samples: int) -> xr.Dataset:
    candidates = [*LABELS, schema.NULL]
    K, A = len(LABELS), len(candidates)
    run = (2, K, samples, steps)
    evidence = rng.standard_normal((*run, A))
    for c in range(K):
        evidence[:, c, :, :, c] = 0.0
    evidence[:, :, :, -1] = 0.0
    dims = ("guidance", "class_label", "sample", "time")
    return xr.Dataset(
        {
            "log_likelihood": ((*dims, "candidate"), evidence),
            "production": ((*dims, "partition"), rng.standard_normal((*run, 2))),
            "cross_production": ((*dims, "partition"), rng.standard_normal((*run, 2))),
            "denoiser_distance": ((*dims, "candidate", "other_candidate"), rng.random((*run, A, A), dtype=np.float32)),
            "final": ((*dims[:3], "channel", "y", "x"), rng.standard_normal((2, K, samples, 1, 3, 2))),
            "prediction": (
                (*dims[:3], "prediction_time", "channel", "y", "x"), rng.standard_normal((2, K, samples, 2, 1, 3, 2)),
            ),
        },
        {
            **_time(steps), **_settings(), **_partitions(),
            "class_label": list(LABELS),
            "label_prior": ("class_label", [0.5, 0.25, 0.25]),
            "candidate": candidates,
            "candidate_prior": ("candidate", [0.5, 0.25, 0.25, 0.0]),
            "other_candidate": candidates,
            "prediction_time": [0.1, 3.0],
        },
    )  # fmt: skip


def _rows(kind: str, sizes: dict[str, int], rng: np.random.Generator) -> dict[str, object]:
    """Random values for every variable of the kind, lower bounds below upper ones, entropies within their range."""
    rows: dict[str, object] = {}
    for name, variable in schema.KINDS[kind].items():
        dims = [dim for dim in variable.dims if dim != "run"]
        shape = [sizes[dim] for dim in dims]
        shift = -1.0 if name.endswith("_lower") else 1.0 if name.endswith("_upper") else 0.0
        values = rng.random(shape) + shift
        rows[name] = (dims, values * 100 if variable.dtype == "int64" else values)
        if variable.dtype == "int64":
            rows[name] = (dims, rng.integers(0, 1000, shape))
    return rows


def _table(kind: str, rng: np.random.Generator, steps: int, samples: int) -> xr.Dataset:
    sizes = {"dimension": 3, "estimator": 2, "guidance": 2, "partition": 2, "time": steps, "replicate": samples}
    sizes |= {"axis": 2, "class_label": len(LABELS)}
    shared = {**_settings(), **_partitions(), "estimator": ["path", "null"], "dimension": [2.0, 16.0, 2.0**20]}
    if kind == "differences":
        del shared["dimension"]
    if kind == "speciation":
        shared["axis"] = ["log_snr", "sigma"]
    if kind == "quality":
        shared = _settings()
    if kind == "interventions":
        sides = ["cat", "dög"]
        shared = {
            "mover": ["null", "mixture"],
            "steps": [8, 16],
            "side": sides,
            "end_side": sides,
            "side_prior": ("side", [0.5, 0.5]),
        }
        sizes |= {"mover": 2, "steps": 2, "side": 2, "end_side": 2, "rank": 2}
    if kind == "statistics":
        shared = {**_settings(), **_partitions(), "class_label": list(LABELS)}
        shared["label_prior"] = "class_label", [0.5, 0.25, 0.25]
    times = _time(steps) if kind in ("profiles", "differences", "statistics", "interventions") else {}
    return xr.Dataset(_rows(kind, sizes, rng), {**shared, **times})


def build(kind: str, seed: int = 0, steps: int = 5, samples: int = 4) -> xr.Dataset:
    """A valid dataset of `kind` with random values."""
    rng = np.random.default_rng(seed)
    made = _trajectories(rng, steps, samples) if kind == "trajectories" else _table(kind, rng, steps, samples)
    attributes: dict[str, str | int | float] = {
        "trajectories": {
            "schedule": VE().to_json(), "model": '{"name": "nöne"}', "guidance_formula": FORMULA,
            "seed": 2**63 - 1 - seed, "seed_rule": "none",
        },
        "profiles": {"schedule": VE().to_json(), "rate_axis": "log_snr"},
        "statistics": {
            "schedule": VE().to_json(), "model": '{"name": "nöne"}', "guidance_formula": FORMULA, "seed": seed,
            "seed_rule": "none", "resampling_seed": 0,
        },
        "speciation": {"missing": 0},
        "scaling": {"law": "sqrt"},
        "differences": {"schedule": VE().to_json(), "rate_axis": "log_snr", "reference": "unguided"},
        "quality": {"features": '{"name": "none"}', "real": '{"count": 3}'},
        "interventions": {
            "schedule": VE().to_json(), "partition": Partition.pair("cat", "dög").to_json(), "start": "data",
            "continuation": "chain", "classifier": "path",
        },
    }[kind]  # fmt: skip
    settings = {"seed": seed, "steps": steps, "interval": (0.0, np.inf), "samples": np.int64(samples)}
    return schema.finish(made, kind, title=f"random {kind}", settings=settings, **attributes)


@pytest.fixture(scope="session")
def make_dataset() -> MakeDataset:
    return build


@pytest.fixture(params=sorted(schema.KINDS))
def any_dataset(request: pytest.FixtureRequest) -> xr.Dataset:
    return build(request.param)
