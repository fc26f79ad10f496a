"""Batches that do not fit are halved and the run goes on; the numbers do not know of it."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

import specent as sp
from specent.errors import ModelError
from specent.sampling import running
from specent.schedules import VE, edm_grid

MIX = sp.exact.GaussianMixture([[-3.0, 0.0], [3.0, 0.0]], labels=["a", "b"])
# a number of threads is given, because finding a suitable one takes an evaluation too
OPTIONS = {"schedule": VE(), "time": edm_grid(8), "samples": 9, "seed": 5, "progress": False, "threads": 1}


class Small:
    """The denoiser of a mixture on a machine whose memory holds `most` states."""

    def __init__(self, most: int, error: type[Exception] = torch.OutOfMemoryError) -> None:
        self.model, self.most, self.error = sp.models.mixture(MIX), most, error
        self.sizes: list[int] = []

    def __call__(self, x: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        self.sizes.append(len(x))
        if len(x) > self.most:
            raise self.error("CUDA out of memory")
        return self.model.denoise(x, float(sigma[0]), condition)


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, MemoryError])
def test_a_batch_that_does_not_fit_is_halved_and_the_numbers_stay(error: type[Exception]) -> None:
    plenty, little = Small(10_000), Small(15, error)
    nets = [
        sp.models.network(net, ["a", "b"], (2,), prediction="data", dtype=torch.float64) for net in (plenty, little)
    ]
    guidance = [sp.Guidance(), sp.Guidance(2.0)]
    expected, found = (sp.sample(net, guidance=guidance, **OPTIONS) for net in nets)
    # 18 trajectories of 3 candidates: 54 states do not fit, nor 27, but 15 do
    assert little.sizes[:3] == [54, 27, 15]
    assert max(little.sizes[3:]) == 15
    for name in ("log_likelihood", "final"):
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-10, atol=1e-10)


def test_memory_that_runs_out_late_costs_only_its_own_batch() -> None:
    net = Small(10_000)
    model = sp.models.network(net, ["a", "b"], (2,), prediction="data", dtype=torch.float64)
    expected = sp.sample(model, batch_size=6, **OPTIONS)
    net.sizes.clear()
    calls = 0

    def late(x: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == 20:  # in the third batch of 8 steps
            raise torch.OutOfMemoryError("CUDA out of memory")
        return net(x, sigma, condition)

    model = sp.models.network(late, ["a", "b"], (2,), prediction="data", dtype=torch.float64)
    found = sp.sample(model, batch_size=6, **OPTIONS)
    np.testing.assert_allclose(found.log_likelihood, expected.log_likelihood, rtol=1e-10, atol=1e-10)
    # two whole batches, three steps of the third, then its two halves: nothing before it was done again
    assert net.sizes == [18] * 19 + [9] * 16


def test_memory_that_does_not_hold_one_trajectory_is_an_error() -> None:
    model = sp.models.network(Small(2), ["a", "b"], (2,), prediction="data", dtype=torch.float64)
    with pytest.raises(ModelError, match=r"at step 0 of 8 .*\(memory ran out"):
        sp.sample(model, **OPTIONS)


def test_memory_that_runs_out_in_the_bookkeeping_is_an_error_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(running, "run_batch", full)
    with pytest.raises(ModelError, match="one trajectory at a time"):
        sp.sample(sp.models.mixture(MIX), **OPTIONS)


def test_other_errors_pass_unchanged() -> None:
    def broken(x: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        raise KeyError("weights")

    with pytest.raises(ModelError, match="KeyError: 'weights'"):
        sp.sample(sp.models.network(broken, ["a", "b"], (2,), prediction="data"), **OPTIONS)


def test_the_batch_on_a_gpu_fills_its_share_of_the_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    setup = SimpleNamespace(device=torch.device("cuda"), candidates=("a", "b"), model=SimpleNamespace(shape=(4,)))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 2000))
    # 100 bytes whatever the batch, and 50 for every trajectory
    monkeypatch.setattr(running, "_needed", lambda setup, batch: 100 + 50 * batch)
    size = running.fitting_batch(setup)
    assert 100 + 50 * size <= 0.7 * 1000 < 100 + 50 * (size + 1)

    def full(setup: object, batch: int) -> int:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(running, "_needed", full)
    assert running.fitting_batch(setup) == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_that_is_nearly_full_still_finishes() -> None:
    free, total = torch.cuda.mem_get_info()
    torch.cuda.set_per_process_memory_fraction(min(1.0, 2**30 / total))
    try:
        net = torch.nn.Sequential(torch.nn.Linear(2, 2**14), torch.nn.SiLU(), torch.nn.Linear(2**14, 2))
        model = sp.models.network(Wide(net), ["a", "b"], (2,), prediction="data")
        made = sp.sample(model, device="cuda", batch_size=4096, **{**OPTIONS, "samples": 4096})
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert np.isfinite(made.log_likelihood).all()
    assert free > 0


class Wide(torch.nn.Module):
    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        out: Tensor = self.net(x)
        return x / (1 + sigma[:, None] ** 2) + 1e-3 * out
