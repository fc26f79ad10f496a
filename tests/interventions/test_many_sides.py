"""U-turns of many sides: errors without replicates, memory of the kernel alone, and batches that do not fit."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr

import specent as sp
from specent.errors import ModelError
from specent.exact.cloning import spectrum
from specent.interventions import carrying_out
from specent.interventions.without_replicates import eigenvalue_errors

FOUR = sp.exact.GaussianMixture([[a, b] for a in (-8.0, 8.0) for b in (-2.0, 2.0)])


def turn(mix: sp.exact.GaussianMixture = FOUR, **options: Any) -> xr.Dataset:
    chosen = {"levels": [8.0], "samples": 300, "steps": (4, 8), "time": sp.schedules.edm_grid(32), **options}
    return sp.u_turn(sp.models.mixture(mix), schedule=sp.schedules.VE(), progress=False, **chosen)


@pytest.mark.parametrize(
    "options",
    [
        {"mover": ("null", "mixture")},
        {"mover": "class", "levels": [2.0, 8.0], "partition": "0,1|2,3"},
        {
            "mover": "class", "steps": 6, "classifier": lambda x: np.eye(4)[(2 * (x[:, 0] > 0) + (x[:, 1] > 0)).long()],
            "confusion": 0.8 * np.eye(4) + 0.05,
        },
    ],
    ids=["extrapolated", "sides of two labels", "confusion"],
)  # fmt: skip
def test_without_replicates_of_the_kernel_all_is_the_same_up_to_their_noise(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    resampled = turn(**options)
    monkeypatch.setattr(carrying_out, "MOST_RESAMPLED", 1)
    closed = turn(**options)
    others = [name for name in resampled if name != "kernel_standard_error" and not str(name).startswith("eigenvalue_")]
    xr.testing.assert_allclose(closed[others], resampled[others], rtol=1e-9, atol=1e-11)
    # 200 replicates know a standard deviation to 5 %, four of which count, and rare ends to less
    often = abs(resampled.kernel.values - 0.5) < 0.48
    ratio = closed.kernel_standard_error.values[often] / resampled.kernel_standard_error.values[often]
    assert (abs(ratio - 1) < 0.25).all()
    widths = [(one.eigenvalue_upper - one.eigenvalue_lower).values[..., 1:] for one in (closed, resampled)]
    np.testing.assert_allclose(*widths, rtol=0.35, atol=1e-3)


def test_the_errors_of_eigenvalues_are_those_of_repeated_measurements() -> None:
    rng = np.random.default_rng(0)
    joint = rng.dirichlet(np.ones(36)).reshape(6, 6) + 0.2 * np.eye(6) / 6
    joint = (joint + joint.T) / (joint + joint.T).sum()
    prior, count = joint.sum(axis=1), 4000
    kernel = joint / prior[:, None]
    seen = np.stack([[rng.multinomial(count, row) / count for row in kernel] for _ in range(400)])
    values, errors = eigenvalue_errors(kernel, kernel * (1 - kernel) / count, prior)
    np.testing.assert_allclose(values, spectrum(kernel, prior))
    assert values[0] == pytest.approx(1)
    # 400 repetitions know a standard deviation to 4 %, four of which count
    np.testing.assert_allclose(spectrum(seen, prior).std(axis=0)[1:3], errors[1:3], rtol=0.16)


def test_memory_is_that_of_a_few_kernels() -> None:
    sides = 200
    mix = sp.exact.GaussianMixture(np.random.default_rng(0).normal(scale=8.0, size=(sides, 2)))
    tracemalloc.start()
    turned = turn(mix, samples=2, steps=2, mover="class", levels=[1.0], replicates=200)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert turned.kernel.shape == (1, 1, sides, sides)
    assert np.isfinite(turned.eigenvalue_upper).all()
    # replicates of the kernel would be 200 of them
    assert peak < 40 * 8 * sides**2


def test_batches_that_do_not_fit_are_halved_and_nothing_is_counted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"samples": 7, "steps": (4, 6), "mover": ("null", "class"), "levels": [2.0, 8.0], "start": "trunk"}
    options["levels"] = sp.schedules.edm_grid(32)[[12, 20]]
    whole, ends, tried = turn(**options), carrying_out.Batch.ends, []

    def small(self: Any, turn: int, x: torch.Tensor, *rest: Any) -> Any:
        tried.append(len(x))
        # the second turn comes late: what the first has given must not stay
        if len(x) > 3 and turn == 0:
            raise torch.OutOfMemoryError("no room")
        return ends(self, turn, x, *rest)

    monkeypatch.setattr(carrying_out.Batch, "ends", small)
    halved = turn(**options)
    xr.testing.assert_allclose(halved, whole, rtol=1e-9, atol=1e-11)
    assert max(tried) == 28
    assert tried[-1] <= 3


def test_where_one_trajectory_does_not_fit_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Any, *rest: Any) -> Any:
        raise torch.OutOfMemoryError("no room")

    monkeypatch.setattr(carrying_out.Batch, "ends", full)
    with pytest.raises(ModelError, match="one trajectory at a time"):
        turn(samples=3)
