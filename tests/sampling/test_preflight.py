"""The look at a model before a run: silent for right models, and it names what is wrong with others."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import specent as sp
from specent.models.predictions import from_data
from specent.sampling import preflight as looking
from specent.sampling.preparation import make_setup
from specent.schedules import DDPM, VE, VP, FlowMatching, Schedule

RANDOM = np.random.default_rng(0)
EXACT = {
    "two points": sp.models.mixture(sp.exact.GaussianMixture([[-3.0], [3.0]])),
    "plane": sp.models.mixture(sp.exact.GaussianMixture([[-2.0, 0.0], [2.0, 1.0]])),
    "overlapping": sp.models.mixture(sp.exact.GaussianMixture(RANDOM.normal(size=(3, 64)))),
    "narrow": sp.models.mixture(sp.exact.GaussianMixture(RANDOM.normal(size=(5, 16)), variance=1e-3)),
    "digits": sp.models.finite(*sp.models.digits_data()),
}
LEVELS = np.geomspace(0.02, 80.0, 48)


def disguised(
    exact: Any, returns: str, schedule: Schedule, declared: str | None = None, scale: float = 1.0,
    told: Callable[[float], float] = lambda level: level,
) -> sp.models.Model:  # fmt: skip
    """A network with the exact denoiser of a model inside, in single precision, right but for the arguments."""

    def net(x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
        alpha, sigma = (float(part(float(t[0]))) for part in (schedule.alpha, schedule.sigma))
        state = scale * x.double()
        data = exact.denoise(state / alpha, told(sigma / alpha), condition)
        return from_data(returns, data, state, alpha, sigma).to(x.dtype)

    return sp.models.network(
        net, list(exact.labels), exact.shape, prediction=declared or returns, schedule=schedule,
        label_prior=exact.label_prior,
    )  # fmt: skip


def names(model: sp.models.Model, schedule: Schedule = VE()) -> list[str]:  # noqa: B008  (frozen)
    time = schedule.time(-2 * np.log(LEVELS))
    setup = make_setup(model, schedule, time, 500, (), 1.0, 0, "cpu", None, None, sp.Record(), False)
    return [finding.name for finding in looking.preflight(setup)]


@pytest.mark.parametrize(
    ("returns", "schedule"),
    [("data", VE()), ("noise", DDPM("linear")), ("noise", VE()), ("v", VP()), ("velocity", FlowMatching()),
     ("score", VE())],
)  # fmt: skip
@pytest.mark.parametrize("kind", EXACT)
def test_right_models_pass_in_silence(kind: str, returns: str, schedule: Schedule) -> None:
    assert names(disguised(EXACT[kind], returns, schedule), schedule) == []


def test_a_trained_network_passes_in_silence() -> None:
    assert names(sp.models.digits()) == []


@pytest.mark.parametrize("kind", EXACT)
def test_noise_read_as_data_and_data_read_as_noise_are_named(kind: str) -> None:
    for returns, declared in (("noise", "data"), ("data", "noise")):
        found = names(disguised(EXACT[kind], returns, VE(), declared))
        assert set(found) & {"clean end", "noisy end"}, (returns, declared)


@pytest.mark.parametrize("kind", EXACT)
@pytest.mark.parametrize("scale", [2.0, 0.5])
def test_states_in_another_scale_are_named(kind: str, scale: float) -> None:
    assert set(names(disguised(EXACT[kind], "noise", VE(), scale=scale))) & {"clean end", "noisy end"}
    # the nearest of some images is the nearest of their multiples too
    if kind != "digits":
        assert "clean end" in names(disguised(EXACT[kind], "data", VE(), scale=scale))


# points without any width are found whatever noise level is told
@pytest.mark.parametrize("kind", [kind for kind in EXACT if kind != "digits"])
@pytest.mark.parametrize("returns", ["data", "noise"])
def test_a_time_that_runs_the_other_way_is_named(kind: str, returns: str) -> None:
    model = disguised(EXACT[kind], returns, VE(), told=lambda level: LEVELS[0] * LEVELS[-1] / level)
    assert "noisy end" in names(model)


@pytest.mark.parametrize("kind", ["two points", "plane", "overlapping", "digits"])
def test_a_time_shifted_by_three_hundred_steps_is_named(kind: str) -> None:
    schedule = DDPM("linear")

    def told(level: float) -> float:
        time = round(float(schedule.time(-2 * np.log(level))))
        return float(schedule.noise_level(min(time + 300, 999)))

    model = disguised(EXACT[kind], "noise", schedule, told=told)
    setup = make_setup(model, schedule, np.arange(1000.0), 500, (), 1.0, 0, "cpu", None, None, sp.Record(), False)
    assert [finding.name for finding in looking.preflight(setup)] == ["clean end"]


def hidden(module: torch.nn.Module, before: bool = False) -> sp.models.Model:
    """The exact denoiser of a mixture and a module in training mode that a closure hides."""
    exact = EXACT["narrow"]

    def net(x: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        return module(exact.denoise(x, float(sigma[0]), condition).float())

    return sp.models.network(net, list(exact.labels), exact.shape, prediction="data")


def test_training_mode_hidden_in_a_closure_is_named() -> None:
    assert "repeatable" in names(hidden(torch.nn.Dropout(0.1).train()))
    assert "batches" in names(hidden(torch.nn.BatchNorm1d(16, affine=False).train()))
    assert names(hidden(torch.nn.Dropout(0.1).eval())) == []


def test_numbers_that_are_not_finite_are_named() -> None:
    def net(x: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        return x / (1 + sigma[:, None] ** 2) if float(sigma[0]) > 1 else x * torch.nan

    assert names(sp.models.network(net, ["a", "b"], (4,), prediction="data")) == ["finite"]


def counted(exact: Any, wrong: bool) -> tuple[sp.models.Model, list[int]]:
    """A right or wrong model that counts the states it denoises."""
    sizes: list[int] = []

    class Net:
        schedule, conditions, shape = VE(), list(exact.labels), exact.shape

        def __call__(self, x: Tensor, t: Tensor, condition: Tensor) -> Tensor:
            sizes.append(len(x))
            denoised = exact.denoise(x.double(), float(t[0]), condition)
            return ((x - denoised) / t[:, None] if wrong else denoised).to(x.dtype)

    return sp.models.as_model(Net()), sizes


OPTIONS = {"schedule": VE(), "time": sp.schedules.edm_grid(32, 0.02, 80), "progress": False, "threads": 1}


def test_a_run_warns_once_by_name_and_can_be_told_not_to() -> None:
    model, sizes = counted(EXACT["overlapping"], wrong=True)
    with pytest.warns(sp.SpecentWarning, match=r"'noisy end': .*noise as data.*check=False") as caught:
        sp.sample(model, samples=60, **OPTIONS)
    assert [warning.filename for warning in caught] == [__file__]
    run = 3 * 60 * 32 * 3
    # four states in eight steps, at the clean end, and in the same call twice; then two of them
    assert sum(sizes) - run == 46
    assert sum(sizes) - run < 0.01 * run
    sizes.clear()
    sp.sample(model, samples=60, check=False, **OPTIONS)
    assert sum(sizes) == run


def test_a_tiny_run_an_exact_model_and_a_checked_one_go_without() -> None:
    model, sizes = counted(EXACT["overlapping"], wrong=True)
    sp.sample(model, samples=4, **OPTIONS)
    assert sum(sizes) == 3 * 4 * 32 * 3
    assert looking.has_passed(EXACT["digits"])
    assert looking.has_passed(EXACT["plane"])
    right, sizes = counted(EXACT["plane"], wrong=False)
    assert sp.check(right, progress=False).ok
    assert not looking.has_passed(right), "without data the check sees too little"
    labels = np.arange(400) % 2
    images = np.array([[-2.0, 0.0], [2.0, 1.0]])[labels] + RANDOM.normal(size=(400, 2))
    assert sp.check(right, images, labels, progress=False).ok
    assert looking.has_passed(right)
    # the object is what was checked, however often it is wrapped
    assert looking.has_passed(sp.models.as_model(right.net))
    sizes.clear()
    sp.sample(right, samples=400, **OPTIONS)
    assert sum(sizes) == 2 * 400 * 32 * 2


def test_a_model_that_fails_its_check_has_not_passed() -> None:
    model, _ = counted(EXACT["overlapping"], wrong=True)
    assert not sp.check(model, RANDOM.normal(size=(64, 64)), np.arange(64) % 3, progress=False).ok
    assert not looking.has_passed(model)


def test_what_the_network_raises_is_left_to_the_run() -> None:
    def net(x: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        raise KeyError("weights")

    model = sp.models.network(net, ["a", "b"], (64,), prediction="data")
    with pytest.raises(sp.SpecentError, match=r"at step 0 of 32 .*KeyError"):
        sp.sample(model, samples=400, **OPTIONS)
