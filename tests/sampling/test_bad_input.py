"""Bad input is refused before the first network evaluation, with the argument, its value and the mend."""

import re

import numpy as np
import pytest
import torch
from torch import Tensor

import specent as sp
from specent import memory
from specent.errors import ModelError, SpecentError
from specent.models.base import resolve_device
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
        ({"partitions": [2.5]}, r"partitions\[0\]=2.5 is a float; use specent.Partition, or text"),
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
        ({"batch_size": 0}, "batch_size=0"),
        ({"samples": 2**70}, "samples="),
        ({"samples": 10**12}, "samples=1000000000000 .* GiB of memory; take fewer"),
        ({"seed": 2**63}, "seed=9223372036854775808 .* at most"),
        ({"seed": 1.0}, "seed=1.0"),
        ({"shared_noise": "no"}, "shared_noise='no' must be True or False"),
        ({"record": {"distances": True}}, "record=.* is a dict; use specent.Record"),
        ({"record": None}, "record=None is a NoneType; use specent.Record"),
        ({"progress": None}, "progress=None must be True or False"),
        ({"partitions": "a|cat"}, "unknown label 'cat'"),
        ({"partitions": ["a|b", sp.Partition.pair("a", "b")]}, "same name 'a | b'"),
        ({"partitions": {"a": "b"}}, "partitions=.* is a dict; use specent.Partition"),
        ({"partitions": None}, "partitions=None is a NoneType; use specent.Partition"),
        ({"partitions": [None]}, r"partitions\[0\]=None"),
        ({"time": [1e-160, 1.0]}, "sigma/alpha=1e-160; keep the grid between 1e-12"),
        ({"time": [1.0, 1e200]}, r"sigma/alpha=1e\+200"),
        ({"schedule": VP(), "time": [0.1, 100.0]}, "sigma/alpha="),
        ({"classes": [None]}, r"classes\[0\]=None must be a name"),
        ({"candidates": 5}, "candidates=5 must be a list of names"),
        ({"guidance": 10**400}, r"guidance=1000.* must be a finite number"),
        ({"guidance": b"1"}, r"guidance=b'1' is a bytes; use a scale"),
        ({"guidance": "w=2"}, "guidance='w=2' is a str; use a scale, specent.Guidance"),
        ({"guidance": True}, "guidance=True is a bool"),
        ({"guidance": -1.0}, "guidance scale=-1.0 must be"),
        ({"guidance": [2.0, sp.Guidance(2.0)]}, "none twice"),
        ({"device": "cuda:one"}, "cannot be used"),
        ({"device": "mps"}, "cannot be used"),
        ({"device": "meta"}, "cannot be used"),
        ({"device": None}, "device=None cannot be used"),
        ({"device": 5}, "device=5 cannot be used"),
        ({"schedule": "ve"}, "schedule='ve' is a str"),
        ({"schedule": VE}, "give a schedule, for example"),
        ({"guidance": []}, "at least one"),
        ({"guidance": [sp.Guidance(2.0), sp.Guidance(2.0)]}, "none twice"),
        ({"classes": ["a", "cat"]}, "classes="),
        ({"classes": "ab"}, "classes="),
        ({"candidates": ["a"]}, "must hold every driving class"),
        ({"candidates": ["a", "b"], "guidance": sp.Guidance(2.0)}, "must hold 'null'"),
        ({"record": sp.Record([1.0, 100.0])}, "record: predictions=.* within the grid, .*; 100 is not"),
        ({"device": "tpu9"}, "cannot be used; use 'cpu'"),
    ],
    ids=str,
)
def test_arguments_are_checked_before_the_network_runs(change: dict[str, object], message: str) -> None:
    net = Counting()
    model = sp.models.network(net, ["a", "b"], (1,), prediction="data")
    with pytest.raises(SpecentError, match=message):
        sp.sample(model, **{**GOOD, **change})
    assert net.calls == 0


def test_a_bare_network_is_told_how_to_become_a_model() -> None:
    with pytest.raises(SpecentError, match=r"specent\.models\.network"):
        sp.sample(Counting(), **GOOD)


def test_guidance_needs_a_null_condition() -> None:
    model = sp.models.network(Counting(), ["a", "b"], (1,), null=False, prediction="data")
    with pytest.raises(SpecentError, match="null condition"):
        sp.sample(model, guidance=sp.Guidance(2.0), **GOOD)


def test_cuda_asked_for_and_absent_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    net = Counting()
    with pytest.raises(SpecentError, match="device='cuda'"):
        sp.sample(sp.models.network(net, ["a", "b"], (1,), prediction="data"), device="cuda", **GOOD)
    assert net.calls == 0


def test_a_cuda_index_beyond_the_last_gpu_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(SpecentError, match=r"device='cuda:2' .* finds 2 CUDA GPU\(s\); use 'cuda:0' to 'cuda:1'"):
        resolve_device("cuda:2")
    assert resolve_device("cuda:1").index == 1


def test_memory_is_compared_with_the_whole_result(monkeypatch: pytest.MonkeyPatch) -> None:
    net = Counting()
    model = sp.models.network(net, ["a", "b"], (1,), null=False, prediction="data")
    made = sp.sample(model, **GOOD)
    size = sum(value.nbytes for value in made.data_vars.values())
    net.calls = 0
    monkeypatch.setattr(memory, "total", lambda: size - 1)
    with pytest.raises(SpecentError, match="GiB"):
        sp.sample(model, **GOOD)
    assert net.calls == 0
    monkeypatch.setattr(memory, "total", lambda: size)
    sp.sample(model, **GOOD)


def test_a_generator_or_a_single_partition_counts_as_a_list() -> None:
    model = sp.models.network(Counting(), ["a", "b"], (1,), prediction="data")
    full = sp.Partition.full(["a", "b"])
    for partitions in (full, (one for one in [full])):
        assert sp.sample(model, partitions=partitions, **GOOD).partition.values.tolist() == ["full"]


def test_a_grid_beyond_the_networks_own_schedule_is_refused_at_once_with_a_grid_that_serves() -> None:
    net = Counting()
    model = sp.models.network(net, ["a", "b"], (1,), prediction="noise", schedule=DDPM("linear"))
    with pytest.raises(SpecentError, match="own ddpm schedule") as caught:
        sp.sample(model, **GOOD)
    assert net.calls == 0
    low, high = map(float, re.search(r"sigma_min=(\S+), sigma_max=(\S+) or", str(caught.value)).groups())
    sp.sample(model, **{**GOOD, "time": edm_grid(6, low, high)})


class Own(sp.models.Model):
    """A model of one's own, each part of which can be broken."""

    def __init__(self, identity: object = None, moves: bool = True, answer: object = None) -> None:
        super().__init__(["a", "b"], (1,))
        self.calls, self.moves, self.answer = 0, moves, answer
        self._identity = {"name": "own"} if identity is None else identity

    @property
    def identity(self) -> dict:
        return self._identity

    def to(self, device: torch.device) -> "Own":
        return self if self.moves else None

    def denoise(self, x: Tensor, sigma: float, condition: Tensor) -> Tensor:
        self.calls += 1
        return x / (1 + sigma**2) if self.answer is None else self.answer(x)


class Unmade(Own):
    """A model that forgot its base class."""

    def __init__(self) -> None:
        self.calls, self._identity = 0, {"name": "own"}


class Bare(Own):
    """A model that sets its parts itself."""

    def __init__(self, **parts: object) -> None:
        good = {"labels": ("a", "b"), "shape": (1,), "null": True, "label_prior": [0.5, 0.5]}
        vars(self).update({**good, **parts}, calls=0, moves=True, answer=None, _identity={"name": "own"})


class Crooked(Own):
    """A model whose candidates lose an axis."""

    def candidates(self, x: Tensor, sigma: float, conditions: Tensor) -> Tensor:
        return x


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Own(identity={}), "must be a dictionary with a 'name'"),
        (Own(identity="own"), "must be a dictionary with a 'name'"),
        (Own(identity={"name": "a\0b"}), "must be a name"),
        (Own(identity={"name": "own", "set": {1}}), "cannot be written as JSON"),
        (Own(identity={"name": "own", "weight": np.float32(1)}), "cannot be written as JSON"),
        (Own(moves=False), "must return the model"),
        (Unmade(), "super"),
        (Bare(labels=("a", "b\0")), r"labels\[1\]="),
        (Bare(labels=(0, 1)), r"Bare.labels=\(0, 1\) must be text"),
        (Bare(label_prior=[0.5, 0.6]), "label_prior="),
        (Bare(label_prior=None), "super"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_models_of_ones_own_are_checked_before_they_run(model: Own, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        sp.sample(model, **GOOD)
    assert model.calls == 0


def test_a_model_that_sets_its_parts_itself_is_accepted() -> None:
    assert sp.sample(Bare(), **GOOD).class_label.values.tolist() == ["a", "b"]


def test_outputs_of_models_of_ones_own_are_checked() -> None:
    with pytest.raises(ModelError, match=r"step 0 of 6 .*Crooked.candidates returned shape \(4, 1\); \(4, 3, 1\)"):
        sp.sample(Crooked(), **GOOD)
    with pytest.raises(ModelError, match=r"step 0 of 6 .*Own.denoise returned shape \(1, 12\); \(12, 1\)"):
        sp.sample(Own(answer=lambda x: x.T), **GOOD)
    with pytest.raises(ModelError, match=r"step 0 of 6 .* the model raised ZeroDivisionError"):
        sp.sample(Own(answer=lambda x: 1 / 0), **GOOD)
    weight = torch.ones(1, requires_grad=True)
    assert np.isfinite(sp.sample(Own(answer=lambda x: 0.1 * weight * x), **GOOD).final).all()


class Output(dict):
    """What a network of another library returns: a mapping with the tensor as an attribute."""

    sample = torch.zeros(1)


BROKEN = {
    "none": (lambda x: None, "returned None, a NoneType; return the tensor"),
    "tuple": (lambda x: (x,), r"a tuple; return the tensor alone, for example output\[0\]"),
    "list": (lambda x: [x], r"a list; return the tensor alone, for example output\[0\]"),
    "float": (lambda x: 1.5, "returned 1.5, a float; return the tensor"),
    "object": (lambda x: Output(), r"a Output; return the tensor, for example output\.sample"),
    "numpy": (lambda x: x.numpy(), "a ndarray; return a tensor, for example torch.from_numpy"),
    "sparse": (lambda x: x.to_sparse(), r"layout torch.sparse_coo; return output.to_dense\(\)"),
    "device": (lambda x: x.to("meta"), "on meta for states on cpu"),
    "complex": (lambda x: x + 1j, "type torch.complex64"),
    "bool": (lambda x: x > 0, "type torch.bool"),
    "int": (lambda x: x.long(), "type torch.int64"),
    "shape": (lambda x: x[:, 0], r"returned shape \(12,\); \(12, 1\) is needed"),
    "raises": (lambda x: {}["weights"], "the network raised KeyError: 'weights'"),
    "memory": (lambda x: (_ for _ in ()).throw(MemoryError), "smaller batch_size"),
}


@pytest.mark.parametrize("answer", BROKEN)
def test_what_a_network_may_not_return_is_named_with_its_step_and_noise_level(answer: str) -> None:
    net, message = BROKEN[answer]

    def late(x: Tensor, sigma: Tensor, condition: Tensor) -> object:
        return x if float(sigma[0]) > 70 else net(x)

    level = edm_grid(6)[-2]
    with pytest.raises(ModelError, match=rf"at step 1 of 6 \(noise level {level:.4g}\): .*{message}"):
        sp.sample(sp.models.network(late, ["a", "b"], (1,), prediction="data"), **GOOD)


def test_a_missing_null_condition_is_suggested() -> None:
    table = torch.nn.Embedding(2, 1)
    model = sp.models.network(lambda x, t, c: x + table(c), ["a", "b"], (1,), prediction="data")
    with pytest.raises(ModelError, match=r"at step 0 .* raised IndexError: .*null=False") as caught:
        sp.sample(model, **GOOD)
    assert isinstance(caught.value.__cause__, IndexError)
    without = sp.models.network(lambda x, t, c: table(c), ["a", "b"], (1,), null=False, prediction="data")
    assert sp.sample(without, **GOOD).sizes["candidate"] == 2


def test_an_output_that_requires_a_gradient_is_detached() -> None:
    weight = torch.ones(1, requires_grad=True)

    @torch.enable_grad()
    def net(x: Tensor, t: Tensor, c: Tensor) -> Tensor:
        return weight * 0.1 * x

    assert np.isfinite(sp.sample(sp.models.network(net, ["a", "b"], (1,), prediction="data"), **GOOD).final).all()


@pytest.mark.filterwarnings("ignore:time ends at:specent.errors.SpecentWarning")  # so large from the start
def test_results_too_large_to_be_kept_are_refused_with_their_place() -> None:
    model = sp.models.network(lambda x, t, c: 1e37 * (c == 1)[:, None] + 0 * x, ["a", "b"], (1,), prediction="data")
    # half the gain of the grid's last noise level, 0.002, times the square of 1e37
    with pytest.raises(
        ModelError,
        match=r"log_likelihood is -1\.2499\d*e\+79 at step 5 of 6 .*guidance 'unguided', class 'a', sample 0",
    ):
        sp.sample(model, **GOOD)


def test_a_state_that_overflowed_is_not_blamed_on_the_weights() -> None:
    # beyond single precision after the first step, so that the network is handed an infinity at the second
    model = sp.models.network(lambda x, t, c: 1e45 * x.double(), ["a", "b"], (1,), prediction="data")
    with pytest.raises(ModelError, match=r"at step 1 of 6 .*the state itself had grown to 1?.*e\+4"):
        sp.sample(model, **GOOD)


def test_a_nan_from_the_network_names_step_and_class() -> None:
    model = sp.models.network(Counting(broken_below=1.0), ["a", "b"], (1,), prediction="data")
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
