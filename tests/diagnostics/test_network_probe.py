"""A model as the checks call it: the same numbers, at levels it knows, counted."""

from typing import Any

import numpy as np
import pytest
import torch

import specent as sp
from specent.diagnostics.network_probe import Probe
from specent.schedules import DDPM, VE, VP, FlowMatching, Schedule

LINEAR = DDPM("linear")


class Count:
    """Adds up numbers of states."""

    total = 0

    def __call__(self, states: int) -> None:
        self.total += states


@pytest.mark.parametrize("schedule", [VE(), VP(), LINEAR, FlowMatching()], ids=lambda schedule: schedule.name)
@pytest.mark.parametrize("prediction", ["noise", "velocity"])
def test_it_denoises_like_the_model_and_counts(shop: Any, digits: Any, schedule: Schedule, prediction: str) -> None:
    exact, images, _ = digits
    model = shop.adapted(shop.disguise(exact, prediction, schedule), exact, prediction, schedule, dtype=torch.float64)
    count = Count()
    probe = Probe(model, count)
    x, condition = torch.as_tensor(images[:7]), torch.tensor([0, 1, 2, 3, 4, 5, 0])
    torch.testing.assert_close(probe.denoise(x, 0.8, condition), exact.denoise(x, 0.8, condition), rtol=0, atol=1e-10)
    assert count.total == 7


def test_a_model_that_is_no_network_counts_as_one_that_returns_data(digits: Any) -> None:
    probe = Probe(digits[0], Count())
    assert (probe.prediction, probe.schedule) == ("data", VE())
    assert probe.point(3.0) == pytest.approx((3.0, 1.0, 3.0, 3.0))
    assert probe.range == (0.0, np.inf)


def test_whole_times_are_met_exactly(shop: Any, digits: Any) -> None:
    net = shop.disguise(digits[0], "noise", LINEAR)
    probe = Probe(shop.adapted(net, digits[0], "noise", LINEAR, integer_times=True), Count())
    levels = probe.levels(0.001, 1000.0, 30)
    times = LINEAR.time(-2 * np.log(levels))
    np.testing.assert_allclose(times, times.round(), rtol=0, atol=1e-6)
    assert (times[0], times[-1]) == (pytest.approx(0, abs=1e-6), pytest.approx(999, abs=1e-6))
    assert (np.diff(levels) > 0).all()
    assert probe.range == (pytest.approx(float(LINEAR.noise_level(0))), pytest.approx(float(LINEAR.noise_level(999))))


def test_levels_stay_within_the_schedule(shop: Any, digits: Any) -> None:
    net = shop.disguise(digits[0], "noise", LINEAR)
    model = shop.adapted(net, digits[0], "noise", LINEAR)
    levels = Probe(model, Count()).levels(0.001, 1000.0, 5)
    model.check_levels(levels)
    np.testing.assert_allclose(np.diff(np.log(levels)), np.log(levels[-1] / levels[0]) / 4)


def test_the_copy_in_double_precision_is_one(trained: Any) -> None:
    probe = Probe(trained[0], Count())
    twin = probe.in_double_precision()
    assert isinstance(twin, Probe)
    assert twin.model.net.enter.weight.dtype == torch.float64
    assert trained[0].net.enter.weight.dtype == torch.float32
    x, condition = torch.as_tensor(trained[1][:5]), torch.arange(5)
    single, double = probe.denoise(x, 0.5, condition), twin.denoise(x, 0.5, condition)
    # rounding of single precision, and no more
    assert 1e-9 < float((single - double).abs().max()) < 1e-4


def test_why_there_is_no_copy_is_said(digits: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no torch module" in str(Probe(digits[0], Count()).in_double_precision())
    model = sp.models.network(torch.nn.Linear(2, 2), ["a"], (2,), prediction="data")
    monkeypatch.setattr("specent.diagnostics.network_probe._MOST_WEIGHTS", 5)
    assert "too many for a second copy" in str(Probe(model, Count()).in_double_precision())


def test_a_module_that_another_object_holds_is_copied_with_it() -> None:
    class Own:
        def __init__(self) -> None:
            self.schedule, self.conditions, self.shape = VE(), ["a"], (2,)
            self.layer = torch.nn.Linear(2, 2)

        def __call__(self, x: torch.Tensor, t: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
            return self.layer(x)

    own = Own()
    twin = Probe(sp.models.as_model(own), Count()).in_double_precision()
    assert isinstance(twin, Probe)
    assert twin.model.net.layer.weight.dtype == torch.float64
    assert own.layer.weight.dtype == torch.float32
    assert torch.isfinite(twin.denoise(torch.ones(1, 2), 1.0, torch.zeros(1, dtype=torch.int64))).all()


def test_a_report_says_how_many_states_were_denoised(shop: Any, digits: Any) -> None:
    class CountingNetwork:
        states = 0

        def __call__(self, x: torch.Tensor, t: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
            self.states += len(x)
            return digits[0].denoise(x, float(t[0]), condition).to(x.dtype)

    net = CountingNetwork()
    report = shop.check(shop.adapted(net, digits[0], "data", VE()), digits)
    assert net.states == report.evaluations
