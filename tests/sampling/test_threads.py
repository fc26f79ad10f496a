"""Threads are taken by the work that there is for them, given back, and recorded; numbers do not depend on them."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

import specent as sp
from specent.sampling.threads import PER_THREAD, _Products, limited, suitable

MIX = sp.exact.GaussianMixture([[-2.0], [2.0]], labels=["a", "b"])
OPTIONS = {"schedule": sp.schedules.VE(), "time": sp.schedules.edm_grid(6), "samples": 9, "progress": False}


@pytest.fixture(autouse=True)
def four_threads() -> Iterator[None]:
    """Torch with four threads, whatever the machine has."""
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    assert torch.get_num_threads() == 4, "the number of threads was not given back"
    torch.set_num_threads(before)


class Watching:
    """A network that notes how many threads it is called with."""

    def __init__(self, error: bool = False) -> None:
        self.threads: set[int] = set()
        self.error = error

    def __call__(self, x: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        self.threads.add(torch.get_num_threads())
        if self.error:
            raise KeyError("weights")
        return x / (1 + sigma[:, None] ** 2)


def test_a_small_network_is_sampled_on_one_thread_and_the_file_says_so() -> None:
    net = Watching()
    runs = sp.sample(sp.models.network(net, ["a", "b"], (1,), prediction="data"), **OPTIONS)
    assert net.threads == {1}
    assert '"threads": 1' in runs.attrs["settings"]


def test_a_given_number_of_threads_is_used() -> None:
    net = Watching()
    runs = sp.sample(sp.models.network(net, ["a", "b"], (1,), prediction="data"), threads=3, **OPTIONS)
    assert net.threads == {3}
    assert '"threads": 3' in runs.attrs["settings"]


def test_threads_are_given_back_when_the_network_fails() -> None:
    net = Watching(error=True)
    with pytest.raises(sp.SpecentError, match="weights"):
        sp.sample(sp.models.network(net, ["a", "b"], (1,), prediction="data"), **OPTIONS)
    with pytest.raises(RuntimeError, match="other"), limited(2):
        raise RuntimeError("other")


@pytest.mark.parametrize("threads", [0, 1.5, True, "all"])
def test_what_is_no_number_of_threads_is_refused(threads: object) -> None:
    with pytest.raises(sp.SpecentError, match="threads="):
        sp.sample(sp.models.mixture(MIX), threads=threads, **OPTIONS)


@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize(("share", "expected"), [(0.9, 1), (2.1, 2), (3.5, 3), (50.0, 4)])
def test_threads_follow_from_the_mean_matrix_product(share: float, expected: int, inference: bool) -> None:
    # two products of 2 * 32 * 64 * 64 operations each, as a product and as a layer, and work that is none
    layer, matrix, x = torch.nn.Linear(64, 64), torch.ones(64, 64), torch.ones(32, 64)

    def call() -> None:
        with torch.inference_mode(inference):
            (layer(x) @ matrix).exp()

    times = int(np.ceil(share * PER_THREAD / (2 * 32 * 64 * 64)))
    assert suitable(call, times) == expected


def test_no_evaluation_is_spent_where_there_is_no_choice() -> None:
    calls = []
    with limited(1):
        assert suitable(lambda: calls.append(1)) == 1
    assert calls == []


def test_the_number_of_threads_changes_nothing_but_rounding() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(40, 40, dtype=torch.float64)

    def net(x: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        return torch.tanh(layer(x) + condition[:, None]) + x / (1 + sigma[:, None] ** 2)

    model = sp.models.network(net, ["a", "b"], (40,), prediction="data", dtype=torch.float64)
    one, four = (sp.sample(model, threads=threads, **{**OPTIONS, "samples": 200}) for threads in (1, 4))
    for name in ("log_likelihood", "final"):
        np.testing.assert_allclose(one[name], four[name], rtol=1e-9, atol=1e-9)


def test_the_bar_counts_network_evaluations_and_names_trajectories_and_threads(
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = {**OPTIONS, "progress": True, "guidance": [1.0, 2.0]}
    sp.sample(sp.models.mixture(MIX), **options)
    text = capsys.readouterr().err
    assert "sampling 18 trajectories under each of 2 guidance settings, 1 thread:" in text
    # 2 settings, 18 trajectories, 6 noise levels, 3 candidates
    assert "648/648" in text
    assert "network evaluations" in text
    assert "step" not in text


def test_counting_operations_does_not_load_the_compiler() -> None:
    # torch wraps what would load it on the first call, which takes seconds
    assert not hasattr(_Products.__torch_dispatch__, "__wrapped__")
