"""A mixture disguised as a network of every prediction type on every schedule has the entropies of the mixture."""

import functools

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor

import specent as sp
from specent.models.predictions import from_data
from specent.schedules import DDPM, VE, FlowMatching, Schedule

MIX = sp.exact.GaussianMixture(
    3.0 * np.array([[1.0, 0, 0, 0], [-1.0, 0.5, 0, 0], [0, 0, 1.5, 0]]),
    variance=[1.0, 0.5, 0.8],
    labels=["a", "b", "c"],
)
EXACT = sp.models.mixture(MIX)
QUESTIONS = [sp.Partition.full(MIX.labels), sp.Partition.pair("a", "b")]
SAMPLES = 400

# for each schedule a grid in its own clock, to noise at which the mixture is swamped
GRIDS: dict[str, tuple[Schedule, np.ndarray]] = {
    "ddpm": (DDPM("linear"), np.unique(sp.schedules.edm_grid(60, 0.03, 150, schedule=DDPM("linear")).round())),
    "edm": (VE(), sp.schedules.edm_grid(48, 0.03, 150)),
    "flow_matching": (FlowMatching(), sp.schedules.edm_grid(48, 0.03, 150, schedule=FlowMatching())),
}
PREDICTIONS = ["noise", "v", "score", "data", "velocity"]


def disguised(prediction: str, schedule: Schedule, dtype: torch.dtype = torch.float64) -> sp.models.NetworkModel:
    """A network that knows states and times of its own schedule only, and returns the prediction."""

    def net(x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        moment = float(time[0])
        alpha, sigma = float(schedule.alpha(moment)), float(schedule.sigma(moment))
        state = x.double()
        data = EXACT.denoise(state / alpha, sigma / alpha, condition)
        return from_data(prediction, data, state, alpha, sigma).to(x.dtype)

    return sp.models.network(
        net, MIX.labels, (MIX.dimension,), prediction=prediction, schedule=schedule, dtype=dtype,
        integer_times=isinstance(schedule, DDPM),
    )  # fmt: skip


def sampled(model: sp.models.Model, clock: str) -> xr.Dataset:
    schedule, time = GRIDS[clock]
    return sp.sample(model, schedule=schedule, time=time, samples=SAMPLES, partitions=QUESTIONS, seed=1, progress=False)


@functools.cache
def exact_runs(clock: str) -> xr.Dataset:
    """The runs of the mixture itself on a schedule, made once. Not to be changed."""
    return sampled(EXACT, clock)


@pytest.fixture(scope="module")
def flow_entropy() -> xr.DataArray:
    """The entropy along the runs of the mixture itself on flow matching."""
    return sp.entropy(exact_runs("flow_matching"), estimator="path", replicates=50).entropy


@pytest.fixture(scope="module", params=GRIDS)
def plain(request: pytest.FixtureRequest) -> tuple[str, xr.Dataset, xr.Dataset]:
    """A schedule, the runs of the mixture itself on it, and the exact profile."""
    clock = request.param
    return clock, exact_runs(clock), sp.exact.profiles(MIX, *GRIDS[clock], QUESTIONS)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_a_disguised_mixture_has_its_evidence(plain: tuple[str, xr.Dataset, xr.Dataset], prediction: str) -> None:
    clock, runs, _ = plain
    made = sampled(disguised(prediction, GRIDS[clock][0]), clock)
    # the same noise: what is left is rounding in double precision, 1e-16, which a division by sigma of 0.03 and steps
    # that multiply by the signal-to-noise ratio of 1000 make larger
    xr.testing.assert_allclose(made.log_likelihood, runs.log_likelihood, rtol=1e-10, atol=1e-10)
    xr.testing.assert_allclose(made.production, runs.production, rtol=1e-10, atol=1e-10)
    xr.testing.assert_allclose(made.denoiser_distance, runs.denoiser_distance, rtol=1e-5, atol=1e-5)


def test_that_evidence_gives_the_exact_profile(plain: tuple[str, xr.Dataset, xr.Dataset]) -> None:
    _, runs, exact = plain
    profile = sp.entropy(runs, estimator=("path", "denoiser_gap"), replicates=100)
    gap = profile.entropy.squeeze("guidance") - exact.entropy.sel(estimator="exact").squeeze("guidance")
    # 1200 trajectories (800 of the pair) whose entropies scatter by 0.5 bit at most: standard error 0.018 bit; finite
    # steps add up to 0.05
    assert float(abs(gap).max()) < 4 * 0.018 + 0.05


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_states_in_single_precision_cost_little(flow_entropy: xr.DataArray, prediction: str) -> None:
    runs = exact_runs("flow_matching")
    made = sampled(disguised(prediction, FlowMatching(), torch.float32), "flow_matching")
    # single precision rounds by 6e-8, the noise level of 150 makes that 1e-5 of the data, the evidence sums 48 steps of
    # differences up to 10 with signal-to-noise ratios up to 1000: about 1e-2 in a log-likelihood of hundreds
    assert float(abs(made.log_likelihood - runs.log_likelihood).max()) < 0.1
    entropy = sp.entropy(made, estimator="path", replicates=50).entropy
    assert float(abs(entropy - flow_entropy).max()) < 1e-3
