"""Bad input is refused before the first network evaluation, with the argument, its value and the mend."""

import numpy as np
import pytest
import torch
from torch import Tensor

import specent as sp
from specent.errors import SpecentError
from specent.schedules import DDPM, VE, VP, FlowMatching, edm_grid


class Counting:
    """A network that counts its calls and may return something broken."""

    def __init__(self, broken_below: float = 0.0) -> None:
        self.calls = 0
        self.broken_below = broken_below

    def __call__(self, x: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        self.calls += 1
        out = x / (1 + sigma[:, None] ** 2)
        if float(sigma[0]) < self.broken_below:
            out[condition == 1] = torch.nan
        return out


GOOD = {"schedule": VE(), "time": edm_grid(6), "samples": 2, "progress": False}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"partitions": [sp.Partition.pair("a", "cat")]}, "unknown label 'cat'"),
        ({"partitions": ["full"]}, "use specent.Partition"),
        ({"partitions": [sp.Partition.pair("a", "b")] * 2}, "same name"),
        ({"schedule": FlowMatching(), "time": [0.1, 1.0]}, "time=1.0 is outside"),
        ({"schedule": DDPM(), "time": [0.0, 1000.0]}, "time=1000.0 is outside"),
        ({"schedule": VP(), "time": [0.0, 1.0]}, "time=0.0 is outside"),
        ({"time": [1.0, np.nan]}, "time=nan"),
        ({"time": edm_grid(6)[::-1]}, "ascend"),
        ({"time": [1.0, 2.0, 2.0]}, "ascend"),
        ({"time": [1.0]}, "at least 2"),
        ({"time": [[1.0, 2.0]]}, "one-dimensional"),
        ({"samples": 1}, "samples=1"),
        ({"samples": 2.5}, "samples=2.5 must be a whole number"),
        ({"seed": -1}, "seed=-1"),
        ({"batch_size": -4}, "batch_size=-4"),
        ({"eta": 0.0}, "eta=0.0"),
        ({"schedule": "ve"}, "schedule is a str"),
        ({"guidance": 2.0}, "guidance"),
        ({"guidance": []}, "at least one"),
        ({"guidance": [sp.Guidance(2.0), sp.Guidance(2.0)]}, "none twice"),
        ({"classes": ["a", "cat"]}, "classes="),
        ({"classes": "ab"}, "classes="),
        ({"candidates": ["a"]}, "must hold every driving class"),
        ({"candidates": ["a", "b"], "guidance": sp.Guidance(2.0)}, "must hold 'null'"),
        ({"predictions": [100.0]}, "within the grid"),
        ({"device": "tpu9"}, "not a torch device"),
    ],
    ids=str,
)
def test_arguments_are_checked_before_the_network_runs(change: dict[str, object], message: str) -> None:
    net = Counting()
    model = sp.models.network(net, ["a", "b"], (1,))
    with pytest.raises(SpecentError, match=message):
        sp.sample(model, **{**GOOD, **change})
    assert net.calls == 0


def test_a_bare_network_is_told_how_to_become_a_model() -> None:
    with pytest.raises(SpecentError, match=r"specent\.models\.network"):
        sp.sample(Counting(), **GOOD)


def test_guidance_needs_a_null_condition() -> None:
    model = sp.models.network(Counting(), ["a", "b"], (1,), null=False)
    with pytest.raises(SpecentError, match="null condition"):
        sp.sample(model, guidance=sp.Guidance(2.0), **GOOD)


def test_cuda_asked_for_and_absent_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    net = Counting()
    with pytest.raises(SpecentError, match="device='cuda'"):
        sp.sample(sp.models.network(net, ["a", "b"], (1,)), device="cuda", **GOOD)
    assert net.calls == 0


def test_a_nan_from_the_network_names_step_and_class() -> None:
    model = sp.models.network(Counting(broken_below=1.0), ["a", "b"], (1,))
    step = int(np.argmax(edm_grid(6)[::-1] < 1.0))
    with pytest.raises(SpecentError, match=rf"at step {step} of 6 .* for class 'b', on a trajectory driven by 'a'"):
        sp.sample(model, **GOOD)


@pytest.mark.parametrize(
    ("scale", "interval"),
    [(-1.0, (0.0, 1.0)), (np.nan, (0.0, 1.0)), (2.0, (5.0, 1.0)), (2.0, (-1.0, 1.0)), (2.0, (1.0,))],
)
def test_bad_guidance_is_refused(scale: float, interval: tuple[float, ...]) -> None:
    with pytest.raises(SpecentError, match="guidance"):
        sp.Guidance(scale, interval)
